//! What does an open delivery cost in memory? Fills the core's state and the queues with open documents, of one and of ten recipients.
//!
//! Resident memory is what the kernel says (`/proc/self/statm`), so that what the allocator wastes counts too. The environment variable
//! `TRUC_BENCH_DELIVERIES` says how many; nothing is sealed or parsed, so that millions take seconds.

use std::sync::Arc;

use truc_benches::{Axis, Machine};
use truc_core::dispatch::AgencyQueue;
use truc_core::{Effect, Entry};
use truc_signing::sha256;
use truc_signing::statement::{Accepted, Envelope, Fact, QueueEntry, Statement};
use truc_types::{LeafIndex, MessageId, QueuePosition, SenderSeq};

const DELIVERIES: u64 = 200_000;
const PAGE_BYTES: u64 = 4_096;

#[expect(clippy::print_stdout, reason = "a bench prints what it found")]
fn main() {
    let deliveries = std::env::var("TRUC_BENCH_DELIVERIES").ok().and_then(|text| text.parse().ok()).unwrap_or(DELIVERIES);
    println!("machine: {}\ndurability: none, all in memory", Machine::this(&std::env::temp_dir(), 0));
    // Kept until the end, or the second would be laid into what the first gave back.
    let mut kept = Vec::new();
    for fan_out in [1u8, 10] {
        let (before, mut axis) = (resident(), Axis::new(fan_out + 1));
        let mut queues: Vec<AgencyQueue> = (0..=fan_out).map(|_| AgencyQueue::default()).collect();
        fill(&mut axis, &mut queues, deliveries, fan_out);
        let (open, bytes) = (axis.state.open_deliveries(), resident().saturating_sub(before));
        println!("fan-out {fan_out}: {open} open deliveries, {} MiB, {} bytes each", bytes >> 20, bytes / open.max(1));
        kept.push((axis, queues));
    }
}

/// Opens documents until there are so many deliveries.
#[expect(clippy::expect_used, reason = "a bench whose fixture does not stand has nothing to measure")]
fn fill(axis: &mut Axis, queues: &mut [AgencyQueue], deliveries: u64, fan_out: u8) {
    let sample = axis.entries(1, fan_out);
    let (Some(Statement::Envelope(envelope)), Some(Statement::Fact(Fact::Accepted(accepted)))) =
        (sample.first().map(|entry| entry.statement.clone()), sample.get(1).map(|entry| entry.statement.clone()))
    else {
        return;
    };
    let mut effects = Vec::new();
    for number in 1..=deliveries / u64::from(fan_out) {
        for entry in document(&envelope, &accepted, number) {
            axis.state.apply(axis.state.next(), &entry, &mut effects).expect("the document applies");
        }
        for effect in effects.drain(..) {
            if let Effect::Queued { agency, position, delivery } = effect
                && let Some(queue) = queues.get_mut(usize::from(agency.0))
            {
                queue.push(position, delivery);
            }
        }
        // As the broker does, or the list of changes would be what is measured.
        if number % 50_000 == 0 {
            drop(axis.state.take_rows());
        }
    }
}

/// The entries of a document like the sample: other id, number and places.
fn document(envelope: &Envelope, accepted: &Accepted, number: u64) -> [Entry; 2] {
    let message_id = MessageId::from_bytes((u128::from(number) << 20 | 1 << 100).to_be_bytes());
    let digest = sha256(&number.to_be_bytes());
    let envelope = Envelope { message_id, sender_seq: SenderSeq(number), ..envelope.clone() };
    let queue = accepted.queue.iter().map(|queued| QueueEntry { position: QueuePosition(number), ..queued.clone() }).collect();
    let accepted = Accepted { message_id, envelope: digest, leaf: LeafIndex(number), queue, ..accepted.clone() };
    let bytes: Arc<[u8]> = Arc::from([]);
    [
        Entry { bytes: bytes.clone(), digest: Some(digest), statement: Statement::Envelope(Box::new(envelope)) },
        Entry { bytes, digest: None, statement: Statement::Fact(Fact::Accepted(accepted)) },
    ]
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_BYTES
}
