//! TraceMessage: every entry of the log about one message, in bounded pages. Receipts are in no index, so they are looked for in the entries after
//! the envelope; what was refused before it got into the log is looked for in the facts, from the first one on.

use std::sync::Arc;

use tokio::sync::oneshot;
use truc_journal::BlockHeader;
use truc_proto::admin::v1 as pb;
use truc_signing::DsseFile;
use truc_transport::clock;
use truc_types::{MessageId, Position, Reason, Refusal};

use super::{Admin, lane_name, text};
use crate::grpc::{ending, locate, logged_proven};
use crate::published::{Published, storage};
use crate::sequencer::{Command, InspectedDelivery};

/// Entries that one call looks through: less than a second of work.
const ENTRIES_LOOKED_MAX: u64 = 20_000;
/// Bytes of the entries of one answer: with their proofs well below the gRPC message limit.
const STEP_BYTES_MAX: usize = 512 * 1024;

impl Admin {
    pub(super) async fn trace(&self, request: &pb::TraceMessageRequest) -> Result<pb::TraceMessageResponse, Refusal> {
        let message_id: MessageId =
            request.message_id.parse().map_err(|cause| Refusal::new(Reason::RequestInvalid, format!("message_id: {cause}")))?;
        let first_page = request.from_position == 0;
        let envelope = if first_page { locate(&self.commands, &self.published, message_id).await? } else { None };
        let waiting = if first_page { self.waiting(message_id).await? } else { Vec::new() };
        let from = envelope.unwrap_or(Position(request.from_position));
        let published = self.published.clone();
        let page = tokio::task::spawn_blocking(move || look(&published, message_id, from, envelope)).await.map_err(|_| ending())?;
        let registry = self.published.registry();
        let delivery = |delivery: InspectedDelivery| pb::TraceDelivery {
            recipient: delivery.recipient.to_string(),
            agency: registry.agency(delivery.agency).map(|agency| agency.code.to_string()).unwrap_or_default(),
            queue_position: delivery.queue_position.0,
            lane: lane_name(delivery.lane).to_owned(),
            attempts: delivery.standing.attempts,
            until: text(delivery.standing.until),
            leased: delivery.standing.leased,
            connected: delivery.connected,
        };
        Ok(pb::TraceMessageResponse { waiting: waiting.into_iter().map(delivery).collect(), ..page? })
    }

    async fn waiting(&self, message_id: MessageId) -> Result<Vec<InspectedDelivery>, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::InspectMessage { message_id, reply }).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }
}

/// One page: from a position on, at most so many entries and bytes.
fn look(
    published: &Published,
    message_id: MessageId,
    from: Position,
    envelope: Option<Position>,
) -> Result<pb::TraceMessageResponse, Refusal> {
    let reader = published.reader();
    // Only what the published checkpoint covers can be proven.
    let end = Position(published.shard_start().0 + published.checkpoint().size);
    let name = message_id.to_string();
    let (mut found, mut bytes): (Vec<(Position, BlockHeader)>, usize) = (Vec::new(), 0);
    let mut next = end;
    'blocks: for block in reader.blocks_from(from) {
        let block = block.map_err(|cause| storage(&cause))?;
        for (position, entry) in block.positioned() {
            if position < from {
                continue;
            }
            if position >= end {
                break 'blocks;
            }
            let is_own = envelope.is_some_and(|envelope| position == envelope || position == envelope.next());
            if !is_own && (position.0 - from.0 >= ENTRIES_LOOKED_MAX || bytes > STEP_BYTES_MAX) {
                next = position;
                break 'blocks;
            }
            if is_own || names(entry, name.as_bytes()) {
                bytes += entry.len();
                found.push((position, block.header.clone()));
            }
        }
    }
    let (proven, checkpoint) = published.prove(found.iter().map(|(position, _)| *position))?;
    let steps = proven.iter().zip(found).map(|(proven, (position, header))| pb::TraceStep {
        entry: Some(logged_proven(proven)),
        position: position.0,
        block: header.number.0,
        block_time: header.time.to_string(),
    });
    Ok(pb::TraceMessageResponse {
        steps: steps.collect(),
        checkpoint: checkpoint.note.to_string(),
        next_from_position: if next < end { next.0 } else { 0 },
        end_position: end.0,
        waiting: Vec::new(),
        now: clock::now().to_string(),
    })
}

/// Whether an entry names a message. A quick look, not the strict reader: an id that stands in a text makes a step too many, never one too few.
fn names(entry: &Arc<[u8]>, message_id: &[u8]) -> bool {
    let has = |bytes: &[u8]| bytes.windows(message_id.len()).any(|window| window == message_id);
    if entry.starts_with(b"{\"_type\"") { has(entry) } else { DsseFile::parse(entry).is_ok_and(|file| has(&file.payload)) }
}
