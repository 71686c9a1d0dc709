//! WatchEvents: everything that happens to every document, in the order of the journal, from a cursor on.

use std::collections::HashMap;
use std::sync::Arc;

use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::event::Kind as ProtoKind;
use truc_types::{MessageId, Reason, Refusal};

use super::{Sender, StreamError};
use crate::node::Node;
use crate::state::{EventRow, Kind, State, StateError};

/// Records read from the rows at once: what a slow reader holds in memory, a few hundred kilobytes at most.
const PAGE: usize = 32;

/// A cursor that this edge gave, or 0.
pub(super) async fn start(node: &Node, after: u64) -> Result<u64, Refusal> {
    let end = node.store.read(|state| Ok(state.applied().0)).await?;
    if after > end {
        let message = format!("cursor {after} was never handed out, the journal ends at {end}");
        return Err(Refusal::new(Reason::CursorUnknown, message).with("field", "after_cursor").with("found", after).with("last", end));
    }
    Ok(after)
}

/// Sends what happened after the cursor, then waits for more.
pub(super) async fn events(
    node: Arc<Node>,
    sender: Sender<pb::WatchEventsResponse>,
    mut cursor: u64,
    no_wait: bool,
) -> Result<(), StreamError> {
    let mut changes = node.store.signals().events.subscribe();
    loop {
        let page = node.store.read(move |state| with_references(state, state.events_after(cursor, PAGE)?)).await?;
        // What happens behind these is told, unless there is more already.
        let is_last = page.len() < PAGE;
        for response in page {
            cursor = response.cursor;
            sender.send(response).await?;
        }
        if is_last && no_wait {
            return Ok(());
        }
        if is_last && sender.wait(changes.changed()).await?.is_err() {
            return Ok(());
        }
    }
}

/// Events of documents that were sent name the reference of the DMS.
fn with_references(state: &State, page: Vec<(u64, Vec<EventRow>)>) -> Result<Vec<pb::WatchEventsResponse>, StateError> {
    let mut references: HashMap<MessageId, String> = HashMap::new();
    let mut responses = Vec::with_capacity(page.len());
    for (cursor, rows) in page {
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let reference = match (&row.reference, references.get(&row.message_id)) {
                _ if !kind(row.kind).is_sent => String::new(),
                (Some(known), _) | (None, Some(known)) => known.clone(),
                (None, None) => {
                    let reference = state.outbox(&row.message_id)?.map(|row| row.reference).unwrap_or_default();
                    references.entry(row.message_id).or_insert(reference).clone()
                }
            };
            events.push(event(row, reference));
        }
        responses.push(pb::WatchEventsResponse { cursor, events });
    }
    Ok(responses)
}

fn event(row: EventRow, client_reference: String) -> pb::Event {
    pb::Event {
        kind: kind(row.kind).proto.into(),
        message_id: row.message_id.to_string(),
        recipient: row.recipient,
        at: row.at.to_string(),
        client_reference,
        reason: row.reason,
        reason_text: row.reason_text,
        arrival_number: row.arrival_number,
    }
}

/// A kind in the words of the interface, and whether it is about a document that was sent.
struct Shown {
    proto: ProtoKind,
    is_sent: bool,
}

const fn kind(kind: Kind) -> Shown {
    let (proto, is_sent) = match kind {
        Kind::Stored => (ProtoKind::Stored, true),
        Kind::Sealed => (ProtoKind::Sealed, true),
        Kind::Accepted => (ProtoKind::Accepted, true),
        Kind::RefusedByAxis => (ProtoKind::RefusedByAxis, true),
        Kind::Queued => (ProtoKind::Queued, true),
        Kind::Fetched => (ProtoKind::Fetched, true),
        Kind::Acknowledged => (ProtoKind::Acknowledged, true),
        Kind::Refused => (ProtoKind::Refused, true),
        Kind::Arrived => (ProtoKind::Arrived, false),
        Kind::Shown => (ProtoKind::Shown, false),
        Kind::Discarded => (ProtoKind::Discarded, false),
        Kind::AnsweredAcknowledged => (ProtoKind::AnsweredAcknowledged, false),
        Kind::AnsweredRefused => (ProtoKind::AnsweredRefused, false),
        Kind::AnswerLogged => (ProtoKind::AnswerLogged, false),
        Kind::AnswerDropped => (ProtoKind::AnswerDropped, false),
    };
    Shown { proto, is_sent }
}
