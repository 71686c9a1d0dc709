//! GetStatus and WatchStatus: what became of a document that was sent.

use std::sync::Arc;

use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::Stage;
use truc_proto::edge::v1::Step as ProtoStep;
use truc_proto::edge::v1::get_status_request::Document;
use truc_types::{MessageId, Reason, Refusal};

use super::{Sender, StreamError, invalid, message_id, unknown};
use crate::node::Node;
use crate::state::{OutboxRow, RecipientRow, Step};

/// The status now.
pub(super) async fn status(node: &Node, request: pb::GetStatusRequest) -> Result<pb::DocumentStatus, Refusal> {
    let message_id = match request.document {
        Some(Document::MessageId(text)) => message_id(&text)?,
        Some(Document::ClientReference(reference)) => {
            let row = node.store.read(move |state| state.reference(&reference)).await?;
            row.ok_or_else(|| Refusal::new(Reason::MessageUnknown, "no document was handed in under this client reference"))?.message_id
        }
        None => return Err(invalid("document", "name a message_id or a client_reference")),
    };
    let row = node.store.read(move |state| state.outbox(&message_id)).await?;
    Ok(to_proto(&message_id, &row.ok_or_else(|| unknown(&message_id))?))
}

/// The status now and at every change, until nothing can change any more.
pub(super) async fn watch(node: Arc<Node>, sender: Sender<pb::WatchStatusResponse>, message_id: MessageId) -> Result<(), StreamError> {
    let mut changes = node.store.signals().statuses.subscribe();
    let mut last = None;
    loop {
        let row = node.store.read(move |state| state.outbox(&message_id)).await?;
        let row = row.ok_or_else(|| unknown(&message_id))?;
        if last.as_ref() != Some(&row) {
            sender.send(pb::WatchStatusResponse { status: Some(to_proto(&message_id, &row)) }).await?;
        }
        let settled = row.recipients.iter().all(|recipient| matches!(recipient.step, Step::Acknowledged | Step::Refused));
        if row.refusal.is_some() || settled {
            return Ok(());
        }
        last = Some(row);
        if sender.wait(changes.changed()).await?.is_err() {
            return Ok(());
        }
    }
}

/// Where a document stands on its way to the axis.
pub(super) const fn stage(row: &OutboxRow) -> Stage {
    match (&row.refusal, &row.accepted, &row.sealed) {
        (Some(_), ..) => Stage::RefusedByAxis,
        (None, Some(_), _) => Stage::Accepted,
        (None, None, Some(_)) => Stage::Sealed,
        (None, None, None) => Stage::Stored,
    }
}

/// How far a document is with one recipient.
pub(super) const fn step(step: Step) -> ProtoStep {
    match step {
        Step::Waiting => ProtoStep::Waiting,
        Step::Queued => ProtoStep::Queued,
        Step::Fetched => ProtoStep::Fetched,
        Step::Acknowledged => ProtoStep::Acknowledged,
        Step::Refused => ProtoStep::Refused,
    }
}

/// What became of a document.
pub(super) fn to_proto(message_id: &MessageId, row: &OutboxRow) -> pb::DocumentStatus {
    let (refusal_reason, refusal_message) = row.refusal.clone().unwrap_or_default();
    pb::DocumentStatus {
        message_id: message_id.to_string(),
        client_reference: row.reference.clone(),
        stage: stage(row).into(),
        refusal_reason,
        refusal_message,
        accepted_at: row.accepted.map(|accepted| accepted.at.to_string()).unwrap_or_default(),
        leaf: row.accepted.map(|accepted| accepted.leaf.0).unwrap_or_default(),
        recipients: row.recipients.iter().map(recipient).collect(),
    }
}

fn recipient(row: &RecipientRow) -> pb::RecipientStatus {
    let reason = row.reason.as_ref();
    pb::RecipientStatus {
        recipient: row.code.to_string(),
        step: step(row.step).into(),
        at: if row.step == Step::Waiting { String::new() } else { row.at.to_string() },
        queue_position: row.queue_position.0,
        arrival_number: row.arrival_number.clone().unwrap_or_default(),
        reason_code: reason.map(|reason| reason.code.clone()).unwrap_or_default(),
        reason_text: reason.map(|reason| reason.text.clone()).unwrap_or_default(),
    }
}
