//! Acknowledge and Refuse: what the agency decided about a document that it was shown. Durable when answered; sealed and logged afterwards.

use std::sync::Arc;

use truc_proto::edge::v1 as pb;
use truc_signing::StatementError;
use truc_transport::clock;
use truc_types::limits::REASON_CODE_BYTES_MAX;
use truc_types::{Reason, Refusal};

use super::{draft, message_id, organisation, unknown};
use crate::groups::{SealedAlong, seal_along};
use crate::node::Node;
use crate::record::{Answer, GivenReason, Record, Recorded};
use crate::state::{PendingItem, State, Visibility, pending_answer};
use crate::store::refusal_of;

/// Status 03.
pub(super) async fn acknowledge(node: &Arc<Node>, request: pb::AcknowledgeRequest) -> Result<(), Refusal> {
    let answer = Answer::Acknowledged { arrival_number: draft::text(request.arrival_number) };
    record(node, &request.message_id, &request.recipient, answer).await
}

/// Status 02.
pub(super) async fn refuse(node: &Arc<Node>, request: pb::RefuseRequest) -> Result<(), Refusal> {
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

async fn record(node: &Arc<Node>, id: &str, recipient: &str, answer: Answer) -> Result<(), Refusal> {
    let (message_id, recipient) = (message_id(id)?, organisation("recipient", recipient)?);
    // What passes here can be sealed later.
    node.sealer.check_answer(&answer).map_err(|cause| fault(&cause))?;
    let (kind, shown, deciding) = (std::mem::discriminant(&answer), recipient.clone(), Arc::clone(node));
    let decide = move |state: &State| {
        let row = state.inbox(&message_id, &recipient).map_err(refusal_of)?;
        let row = row.filter(|row| matches!(row.visibility, Visibility::Shown(_))).ok_or_else(|| unknown(&message_id))?;
        match &row.answer {
            None => {
                let at = clock::now();
                let (event, pending) = pending_answer(&row, at, &answer);
                let item = PendingItem { message_id, recipient: recipient.clone(), row: pending };
                let along = seal_along(&deciding, state, (event, row.sender), item, 1);
                let answered = Record::Answered { message_id, recipient, at, answer };
                let (receipt, along) = along.unzip();
                Ok((std::iter::once(Recorded::from(answered)).chain(receipt).collect(), Some(along)))
            }
            Some(earlier) if *earlier == answer => Ok((Vec::new(), None)),
            Some(earlier) => {
                let (reason, what) = if std::mem::discriminant(earlier) == kind {
                    (Reason::ReceiptRepeated, "was answered before with other values")
                } else {
                    (Reason::ReceiptOutOfOrder, "was answered before the other way")
                };
                Err(Refusal::new(reason, format!("{message_id} for {recipient} {what}")).with("message_id", message_id))
            }
        }
    };
    let recorded = node.store.record_soon_paced(decide, |recorded: Option<Option<SealedAlong>>| {
        let is_new = recorded.is_some();
        recorded.flatten().into_iter().for_each(SealedAlong::hand_over);
        is_new
    });
    if recorded.await? {
        tracing::debug!(%message_id, recipient = %shown, "document answered");
    }
    Ok(())
}
