//! Acknowledge and Refuse: what the agency decided about a document that it was shown. Durable when answered; sealed and logged afterwards.

use truc_proto::edge::v1 as pb;
use truc_signing::StatementError;
use truc_transport::clock;
use truc_types::limits::REASON_CODE_BYTES_MAX;
use truc_types::{Reason, Refusal};

use super::{draft, message_id, organisation, unknown};
use crate::node::Node;
use crate::record::{Answer, GivenReason, Record};
use crate::state::Visibility;
use crate::store::refusal_of;

/// Status 03.
pub(super) async fn acknowledge(node: &Node, request: pb::AcknowledgeRequest) -> Result<(), Refusal> {
    let answer = Answer::Acknowledged { arrival_number: draft::text(request.arrival_number) };
    record(node, &request.message_id, &request.recipient, answer).await
}

/// Status 02.
pub(super) async fn refuse(node: &Node, request: pb::RefuseRequest) -> Result<(), Refusal> {
    let answer = Answer::Refused(GivenReason { code: request.reason_code, text: request.reason_text });
    record(node, &request.message_id, &request.recipient, answer).await
}

/// A fault of the receipt in the words of the request.
fn fault(cause: &StatementError) -> Refusal {
    let path = cause.path();
    let field = match path.rsplit_once('.') {
        Some((_, "code")) => "reason_code",
        Some((_, "text")) => "reason_text",
        _ => "arrival_number",
    };
    let mut refusal = cause.to_refusal();
    refusal.message = refusal.message.replace(&format!("{path:?}"), field);
    if field == "reason_code" {
        refusal.message = format!("{}; it is 1 to {REASON_CODE_BYTES_MAX} of a-z, 0-9, '_', '.', '-'", refusal.message);
    }
    refusal.values.retain(|(name, _)| *name != "path");
    refusal.with("field", field)
}

async fn record(node: &Node, id: &str, recipient: &str, answer: Answer) -> Result<(), Refusal> {
    let (message_id, recipient) = (message_id(id)?, organisation("recipient", recipient)?);
    // What passes here can be sealed later.
    node.sealer.check_answer(&answer).map_err(|cause| fault(&cause))?;
    let (kind, shown) = (std::mem::discriminant(&answer), recipient.clone());
    let recorded = node.store.record(move |state| {
        let row = state.inbox(&message_id, &recipient).map_err(refusal_of)?;
        let row = row.filter(|row| matches!(row.visibility, Visibility::Shown(_))).ok_or_else(|| unknown(&message_id))?;
        match row.answer {
            None => Ok((vec![Record::Answered { message_id, recipient, at: clock::now(), answer }], true)),
            Some(earlier) if earlier == answer => Ok((Vec::new(), false)),
            Some(earlier) => {
                let (reason, what) = if std::mem::discriminant(&earlier) == kind {
                    (Reason::ReceiptRepeated, "was answered before with other values")
                } else {
                    (Reason::ReceiptOutOfOrder, "was answered before the other way")
                };
                Err(Refusal::new(reason, format!("{message_id} for {recipient} {what}")).with("message_id", message_id))
            }
        }
    });
    if recorded.await? {
        tracing::info!(%message_id, recipient = %shown, "document answered");
    }
    Ok(())
}
