//! `truc inbox ack`: registers a document; the sender sees it.

use clap::Args;
use truc_proto::edge::v1 as pb;

use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Register a document (03, đã tiếp nhận). Sealed and logged; the sender sees it. Doing it again changes nothing.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// The message id.
    message: String,
    /// Code of the recipient organisation that registers it.
    #[arg(long, value_name = "CODE")]
    recipient: String,
    /// Number in your register (số đến).
    #[arg(long, value_name = "NUMBER", default_value = "")]
    arrival_number: String,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, message, recipient, arrival_number } = arguments;
    let request = pb::AcknowledgeRequest { message_id: message.clone(), recipient: recipient.clone(), arrival_number };
    let answered = edge.connect().await?.acknowledge(request).await;
    answered.map_err(|status| edge.failure(&status).in_options(&[("arrival_number", "--arrival-number")]))?;
    let object = serde_json::json!({ "message_id": message, "recipient": recipient, "step": "acknowledged" });
    let done = output.language().choose("acknowledged for", "đã tiếp nhận cho");
    output.data(&format!("{message} {done} {recipient}"), &object)?;
    Ok(Exit::Done)
}
