//! `truc inbox list`: what arrived, in the order of arrival.

use clap::Args;
use truc_proto::edge::v1 as pb;

use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// List the documents that arrived, in the order in which they arrived at this edge.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Go on after this cursor; without it after what the DMS has confirmed, 0 for everything.
    #[arg(long, value_name = "CURSOR")]
    after: Option<u64>,
    /// Go on listing what arrives.
    #[arg(long)]
    follow: bool,
}

#[derive(serde::Serialize)]
struct Row<'a> {
    cursor: u64,
    message_id: &'a str,
    recipient: &'a str,
    sender: &'a str,
    sender_agency: &'a str,
    number: &'a str,
    notation: &'a str,
    subject: &'a str,
    type_name: &'a str,
    issued_on: &'a str,
    due_on: &'a str,
    urgency: u32,
    created_at: &'a str,
    accepted_at: &'a str,
    queue_position: u64,
    in_reply_to: &'a str,
    attachments: Vec<File<'a>>,
}

#[derive(serde::Serialize)]
struct File<'a> {
    name: &'a str,
    media_type: &'a str,
    size: u64,
    sha256: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, after, follow } = arguments;
    let request = pb::ReceiveDocumentsRequest { after_cursor: after, no_wait: !follow };
    let mut documents = edge.connect().await?.receive_documents(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    while let Some(response) = documents.message().await.map_err(|status| edge.failure(&status))? {
        let document = response.document.ok_or_else(|| Failure::BadAnswer("a cursor without a document".to_owned()))?;
        print(response.cursor, &document, output)?;
    }
    Ok(Exit::Done)
}

fn print(cursor: u64, document: &pb::ReceivedDocument, output: &mut Output) -> Result<(), Failure> {
    let pb::ReceivedDocument { message_id, recipient, sender, number, notation, subject, accepted_at, .. } = document;
    let files = document.attachments.len();
    let text = format!("{cursor} {message_id} {accepted_at} from {sender} for {recipient}: {number}/{notation} {subject} ({files} files)");
    let row = Row {
        cursor,
        message_id,
        recipient,
        sender,
        sender_agency: &document.sender_agency,
        number,
        notation,
        subject,
        type_name: &document.type_name,
        issued_on: &document.issued_on,
        due_on: &document.due_on,
        urgency: document.urgency,
        created_at: &document.created_at,
        accepted_at,
        queue_position: document.queue_position,
        in_reply_to: &document.in_reply_to,
        attachments: document
            .attachments
            .iter()
            .map(|file| File { name: &file.name, media_type: &file.media_type, size: file.size, sha256: &file.sha256 })
            .collect(),
    };
    output.data(&text, &row)
}
