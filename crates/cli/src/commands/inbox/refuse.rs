//! `truc inbox refuse`: returns a document with a reason; the sender sees it.

use clap::Args;
use truc_proto::edge::v1 as pb;

use crate::commands::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Return a document with a reason (02, từ chối nhận). Sealed and logged; the sender sees it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// The message id.
    message: String,
    /// Code of the recipient organisation that returns it.
    #[arg(long, value_name = "CODE")]
    recipient: String,
    /// Code of the reason for programs, e.g. wrong_recipient: 1 to 40 of a-z, 0-9, '_', '.', '-'.
    #[arg(long, value_name = "WORD")]
    code: String,
    /// The reason in words: the law demands one.
    #[arg(long, value_name = "TEXT")]
    text: String,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { edge, message, recipient, code, text } = arguments;
    let request = pb::RefuseRequest { message_id: message.clone(), recipient: recipient.clone(), reason_code: code, reason_text: text };
    let answered = edge.connect().await?.refuse(request).await;
    answered.map_err(|status| edge.failure(&status).in_options(&[("reason_code", "--code"), ("reason_text", "--text")]))?;
    let object = serde_json::json!({ "message_id": message, "recipient": recipient, "step": "refused" });
    let done = output.language().choose("refused for", "đã từ chối nhận cho");
    output.data(&format!("{message} {done} {recipient}"), &object)?;
    Ok(Exit::Done)
}
