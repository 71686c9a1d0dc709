//! `truc status`: what became of a document that was sent, per recipient.

use clap::Args;
use truc_proto::edge::v1::{self as pb, Stage, get_status_request};
use truc_types::Reason;

use super::follow::{Patience, Until, follow};
use super::remote::EdgeAddress;
use super::stages::{stage, stage_word, step, step_word};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

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
    let by_reference = matches!(document, get_status_request::Document::ClientReference(_));
    let response = client.get_status(pb::GetStatusRequest { document: Some(document) }).await;
    let response = response.map_err(|status| match arguments.edge.failure(&status) {
        Failure::Refused(refusal) if by_reference && refusal.reason == Reason::MessageUnknown => Failure::ReferenceUnknown(refusal),
        failure => failure,
    });
    let status = response?.into_inner().status;
    let status = status.ok_or_else(|| Failure::BadAnswer("no status".to_owned()))?;
    if arguments.watch {
        let patience = Patience { until: Until::Answered, seconds_max: None };
        return follow(&mut client, &arguments.edge, &status.message_id, patience, output).await;
    }
    print(&status, output)?;
    Ok(Exit::Done)
}

/// Prints a status: a line for the document, one for each recipient.
pub(super) fn print(status: &pb::DocumentStatus, output: &mut Output) -> Result<(), Failure> {
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
        leaf: (status.stage() == Stage::Accepted).then_some(status.leaf),
        recipients: status.recipients.iter().map(recipient).collect(),
    };
    let language = output.language();
    let mut text = headline(status, reason, refusal_reason, language);
    for told in &status.recipients {
        text.push_str(&format!("\n  {} {}", told.recipient, step_word(told.step(), language)));
        if !told.at.is_empty() {
            text.push_str(&format!(" {}", told.at));
        }
        if told.queue_position > 0 {
            text.push_str(&format!(" {} {}", language.choose("position", "vị trí"), told.queue_position));
        }
        if !told.arrival_number.is_empty() {
            text.push_str(&format!(" {} {}", language.choose("arrival number", "số đến"), told.arrival_number));
        }
        if !told.reason_code.is_empty() {
            text.push_str(&format!(" {}: {}", told.reason_code, told.reason_text));
        }
    }
    output.data(&text, &object)
}

/// How far the document is on its way to the axis.
fn headline(status: &pb::DocumentStatus, reason: Option<Reason>, code: &str, language: Language) -> String {
    let pb::DocumentStatus { message_id, accepted_at, leaf, refusal_message, .. } = status;
    let word = stage_word(status.stage(), language);
    match status.stage() {
        Stage::Accepted => {
            let (at, as_leaf) = (language.choose("at", "lúc"), language.choose("as leaf", "tại lá"));
            format!("{message_id} {word} {at} {accepted_at} {as_leaf} {leaf}")
        }
        Stage::RefusedByAxis => {
            let refused = language.choose("refused by the axis", word);
            let advice = reason.map(|reason| {
                let what = language.choose("what to do", "cách khắc phục");
                format!("\n  {what}: {}", language.choose(reason.advice(), reason.advice_vi()))
            });
            format!("{message_id} {refused}: {code}: {refusal_message}{}", advice.unwrap_or_default())
        }
        Stage::Unspecified | Stage::Stored | Stage::Sealed => format!("{message_id} {word}"),
    }
}

fn recipient(status: &pb::RecipientStatus) -> Recipient<'_> {
    Recipient {
        recipient: &status.recipient,
        step: step(status.step()),
        at: &status.at,
        queue_position: status.queue_position,
        arrival_number: &status.arrival_number,
        reason_code: &status.reason_code,
        reason_text: &status.reason_text,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{Sender, channel};

    use truc_proto::edge::v1::Step;

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

    fn printed(json: bool, language: Language) -> String {
        let (sender, receiver) = channel();
        let mut output = Output::new(json, Box::new(Lines(sender)), Box::new(io::sink())).in_language(language);
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
        assert_eq!(printed(false, Language::En), format!("{refused}\n  G99 waiting\n"));
        let vietnamese = printed(false, Language::Vi);
        assert!(vietnamese.starts_with("M bị trục từ chối: recipient.unknown: "), "{vietnamese}");
        assert!(
            vietnamese.contains(Reason::RecipientUnknown.advice_vi()) && vietnamese.ends_with("\n  G99 chờ vào trục\n"),
            "{vietnamese}"
        );
        assert!(printed(true, Language::Vi).contains(r#""refusal_reason":"recipient.unknown""#));
    }
}
