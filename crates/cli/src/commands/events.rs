//! `truc events`: what happens to the documents of an edge, in order.

use clap::Args;
use truc_proto::edge::v1 as pb;

use super::remote::EdgeAddress;
use super::stages::{kind, kind_word};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Show what happened to the documents of an edge, in order. Each line begins with the cursor that goes on after it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Go on after this cursor; 0 for everything.
    #[arg(long, value_name = "CURSOR", default_value_t = 0)]
    after: u64,
    /// Go on showing what happens.
    #[arg(long)]
    follow: bool,
}

#[derive(serde::Serialize)]
struct Row<'a> {
    cursor: u64,
    kind: String,
    message_id: &'a str,
    recipient: &'a str,
    at: &'a str,
    client_reference: &'a str,
    reason: &'a str,
    reason_text: &'a str,
    arrival_number: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, after, follow } = arguments;
    let request = pb::WatchEventsRequest { after_cursor: after, no_wait: !follow };
    let mut events = edge.connect().await?.watch_events(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    while let Some(response) = events.message().await.map_err(|status| edge.failure(&status))? {
        for event in &response.events {
            print(response.cursor, event, output)?;
        }
    }
    Ok(Exit::Done)
}

fn print(cursor: u64, event: &pb::Event, output: &mut Output) -> Result<(), Failure> {
    let (kind, language) = (kind(event), output.language());
    let pb::Event { message_id, recipient, at, client_reference, reason, reason_text, arrival_number, .. } = event;
    let mut text = format!("{cursor} {at} {message_id} {}", kind_word(event, language));
    let parts = [
        (language.choose("for", "nơi nhận"), recipient),
        (language.choose("reference", "mã tham chiếu"), client_reference),
        (language.choose("arrival number", "số đến"), arrival_number),
        (language.choose("because", "lý do"), reason),
    ];
    for (name, value) in parts {
        if !value.is_empty() {
            text.push_str(&format!(" {name} {value}"));
        }
    }
    if !reason_text.is_empty() {
        text.push_str(&format!(": {reason_text}"));
    }
    output.data(&text, &Row { cursor, kind, message_id, recipient, at, client_reference, reason, reason_text, arrival_number })
}
