//! `truc status`: what became of a document that was sent, per recipient.

use std::time::Duration;

use clap::Args;
use truc_proto::edge::v1::{self as pb, Stage, Step, get_status_request};
use truc_types::Reason;

use super::remote::{Client, EdgeAddress};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// How long nothing happens before a person is told why.
const QUIET: Duration = Duration::from_secs(3);

/// Tell what became of a document that was sent, per recipient.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// The message id.
    #[arg(required_unless_present = "reference", conflicts_with = "reference")]
    message: Option<String>,
    /// Your own name of the document instead.
    #[arg(long, value_name = "REF")]
    reference: Option<String>,
    /// Go on until every recipient has acknowledged or refused.
    #[arg(long)]
    watch: bool,
}

#[derive(serde::Serialize)]
struct Status<'a> {
    message_id: &'a str,
    client_reference: &'a str,
    stage: &'static str,
    refusal_reason: &'a str,
    refusal_message: &'a str,
    accepted_at: &'a str,
    leaf: Option<u64>,
    recipients: Vec<Recipient<'a>>,
}

#[derive(serde::Serialize)]
struct Recipient<'a> {
    recipient: &'a str,
    step: &'static str,
    at: &'a str,
    queue_position: u64,
    arrival_number: &'a str,
    reason_code: &'a str,
    reason_text: &'a str,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = arguments.edge.connect().await?;
    let document = match (arguments.message, arguments.reference) {
        (Some(message_id), _) => get_status_request::Document::MessageId(message_id),
        (None, reference) => get_status_request::Document::ClientReference(reference.unwrap_or_default()),
    };
    let response = client.get_status(pb::GetStatusRequest { document: Some(document) }).await;
    let status = response.map_err(|status| arguments.edge.failure(&status))?.into_inner().status;
    let status = status.ok_or_else(|| Failure::BadAnswer("no status".to_owned()))?;
    if arguments.watch {
        return watch(&mut client, &arguments.edge, &status.message_id, output, |_| false).await;
    }
    print(&status, output)?;
    Ok(Exit::Done)
}

/// Prints every change until the edge ends the stream or `enough` says so. Exit code 1 when the axis refused the document.
pub(super) async fn watch(
    client: &mut Client,
    edge: &EdgeAddress,
    message_id: &str,
    output: &mut Output,
    enough: impl Fn(&pb::DocumentStatus) -> bool,
) -> Result<Exit, Failure> {
    let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
    let mut changes = client.watch_status(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    let mut exit = Exit::Done;
    let (mut stage_now, mut told) = (Stage::Unspecified, false);
    loop {
        let quiet = tokio::time::sleep(QUIET);
        let change = tokio::select! {
            change = changes.message() => change.map_err(|status| edge.failure(&status))?,
            () = quiet, if !told && matches!(stage_now, Stage::Stored | Stage::Sealed) => {
                told = true;
                output.talk(
                    "the edge has stored the document; the axis has not answered yet and may be away. The edge goes on trying for days: \
                     it is safe to stop waiting here",
                );
                continue;
            }
        };
        let Some(change) = change else { break };
        let Some(status) = change.status else { continue };
        stage_now = status.stage();
        print(&status, output)?;
        exit = if status.stage() == Stage::RefusedByAxis { Exit::Failed } else { Exit::Done };
        if enough(&status) {
            break;
        }
    }
    Ok(exit)
}

fn print(status: &pb::DocumentStatus, output: &mut Output) -> Result<(), Failure> {
    let accepted = status.stage() == Stage::Accepted;
    // The wire spells reasons as the error details of gRPC do; people and programs know them as `group.name`.
    let reason = status.refusal_reason.parse::<Reason>().ok();
    let refusal_reason = reason.map_or(status.refusal_reason.as_str(), |reason| reason.code());
    let object = Status {
        message_id: &status.message_id,
        client_reference: &status.client_reference,
        stage: stage(status.stage()),
        refusal_reason,
        refusal_message: &status.refusal_message,
        accepted_at: &status.accepted_at,
        leaf: accepted.then_some(status.leaf),
        recipients: status.recipients.iter().map(recipient).collect(),
    };
    let mut text = match status.stage() {
        Stage::Accepted => format!("{} accepted at {} as leaf {}", status.message_id, status.accepted_at, status.leaf),
        Stage::RefusedByAxis => {
            let advice = reason.map(|reason| format!("\n  what to do: {}", reason.advice())).unwrap_or_default();
            format!("{} refused by the axis: {refusal_reason}: {}{advice}", status.message_id, status.refusal_message)
        }
        other => format!("{} {}", status.message_id, stage(other)),
    };
    for Recipient { recipient, step, at, queue_position, arrival_number, reason_code, reason_text } in &object.recipients {
        text.push_str(&format!("\n  {recipient} {step}"));
        if !at.is_empty() {
            text.push_str(&format!(" {at}"));
        }
        if *queue_position > 0 {
            text.push_str(&format!(" position {queue_position}"));
        }
        if !arrival_number.is_empty() {
            text.push_str(&format!(" arrival number {arrival_number}"));
        }
        if !reason_code.is_empty() {
            text.push_str(&format!(" {reason_code}: {reason_text}"));
        }
    }
    output.data(&text, &object)
}

fn recipient(status: &pb::RecipientStatus) -> Recipient<'_> {
    let step = step(status.step());
    Recipient {
        recipient: &status.recipient,
        step,
        at: &status.at,
        queue_position: status.queue_position,
        arrival_number: &status.arrival_number,
        reason_code: &status.reason_code,
        reason_text: &status.reason_text,
    }
}

/// A step as it is written.
pub(super) const fn step(step: Step) -> &'static str {
    match step {
        Step::Unspecified => "unknown",
        Step::Waiting => "waiting",
        Step::Queued => "queued",
        Step::Fetched => "fetched",
        Step::Acknowledged => "acknowledged",
        Step::Refused => "refused",
    }
}

/// A stage as it is written.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Unspecified => "unknown",
        Stage::Stored => "stored",
        Stage::Sealed => "sealed",
        Stage::Accepted => "accepted",
        Stage::RefusedByAxis => "refused_by_axis",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Lines(Sender<Vec<u8>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(json: bool) -> String {
        let (sender, receiver) = channel();
        let mut output = Output::new(json, Box::new(Lines(sender)), Box::new(io::sink()));
        let recipients = vec![pb::RecipientStatus { recipient: "G99".to_owned(), step: Step::Waiting.into(), ..Default::default() }];
        let status = pb::DocumentStatus {
            message_id: "M".to_owned(),
            stage: Stage::RefusedByAxis.into(),
            refusal_reason: "RECIPIENT_UNKNOWN".to_owned(),
            refusal_message: "no organisation has the code G99".to_owned(),
            recipients,
            ..Default::default()
        };
        print(&status, &mut output).unwrap();
        drop(output);
        String::from_utf8(receiver.iter().flatten().collect()).unwrap()
    }

    #[test]
    fn a_refusal_has_its_code_and_what_to_do() {
        let refused =
            "M refused by the axis: recipient.unknown: no organisation has the code G99\n  what to do: look the code up in the directory";
        assert_eq!(printed(false), format!("{refused}\n  G99 waiting\n"));
        assert!(printed(true).contains(r#""refusal_reason":"recipient.unknown""#));
    }
}
