//! `truc inbox list`: what arrived, in the order of arrival.

use clap::Args;
use truc_proto::edge::v1 as pb;

use crate::commands::remote::EdgeAddress;
use crate::commands::words;
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

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, after, follow } = arguments;
    let request = pb::ReceiveDocumentsRequest { after_cursor: after, no_wait: !follow };
    let mut documents = edge.connect().await?.receive_documents(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    while let Some(response) = documents.message().await.map_err(|status| edge.failure(&status))? {
        let document = response.document.ok_or_else(|| Failure::BadAnswer("a cursor without a document".to_owned()))?;
        let text = format!("{} {}", response.cursor, words::line(&document, output.language()));
        output.data(&text, &words::Received::of(Some(response.cursor), &document))?;
    }
    Ok(Exit::Done)
}
