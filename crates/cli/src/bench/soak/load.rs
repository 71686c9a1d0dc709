//! The load of a soak: documents leave at their time through light edges, whatever the axis does, and are watched until the receipt of their recipient
//! is back. Keeps no more than what is on its way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_edge::light::LightEdge;
use truc_types::MessageId;

use crate::bench::figures::{defect, histogram, record};
use crate::bench::stock::draft;
use crate::failure::Failure;

/// What was begun must be back so soon after the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The documents of so many seconds may be on their way; with more, the axis does not keep up.
const BEHIND_SECONDS_MAX: u32 = 30;

/// The documents that are on their way, and what was seen of the others since somebody looked.
pub(super) struct Watch {
    /// When each was to leave.
    begun: Mutex<HashMap<MessageId, Instant>>,
    returned: Mutex<Returned>,
    changed: Notify,
}

/// Documents that are back.
struct Returned {
    all: u64,
    /// Those that were told of and were not on their way.
    strange: u64,
    /// Microseconds from the intended time until the last receipt was verified, since somebody looked.
    latencies: Histogram<u64>,
}

impl Watch {
    pub(super) fn new() -> Result<Self, Failure> {
        let returned = Returned { all: 0, strange: 0, latencies: histogram()? };
        Ok(Self { begun: Mutex::default(), returned: Mutex::new(returned), changed: Notify::new() })
    }

    /// The last receipt about a document was verified just now.
    pub(super) fn returned(&self, message_id: MessageId) {
        let (now, due) = (Instant::now(), self.begun.lock().remove(&message_id));
        let mut returned = self.returned.lock();
        match due {
            Some(due) => {
                returned.all += 1;
                record(&mut returned.latencies, due, now);
            }
            None => returned.strange += 1,
        }
        self.changed.notify_one();
    }

    /// Latencies of what came back since the last look.
    pub(super) fn look(&self) -> Result<Histogram<u64>, Failure> {
        Ok(std::mem::replace(&mut self.returned.lock().latencies, histogram()?))
    }

    fn on_their_way(&self) -> usize {
        self.begun.lock().len()
    }

    /// Waits until nothing is on its way.
    async fn all_returned(&self) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        while self.on_their_way() > 0 {
            if tokio::time::timeout_at(end, self.changed.notified()).await.is_err() {
                return Err(Failure::BadAnswer(format!("{} documents did not return", self.on_their_way())));
            }
        }
        Ok(())
    }
}

/// Sends so many documents a second until `end`, each agency in turn to all others in turn, and waits for all. How many there were: every one of them is
/// back, once.
pub(super) async fn run(edges: &[LightEdge], watch: &Arc<Watch>, rate: u32, end: Instant) -> Result<u64, Failure> {
    let (start, interval, mut sending) = (Instant::now(), Duration::from_secs(1) / rate, JoinSet::new());
    let behind_max = usize::try_from(rate.saturating_mul(BEHIND_SECONDS_MAX)).unwrap_or(usize::MAX);
    let mut sent = 0;
    for turn in 0.. {
        let due = start + interval * turn;
        if due >= end {
            break;
        }
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        let turn = usize::try_from(turn).map_err(|cause| defect(&cause.to_string()))?;
        let (own, round) = (turn % edges.len(), turn / edges.len());
        let recipient = edges.get((own + 1 + round % (edges.len() - 1)) % edges.len());
        let (Some(edge), Some(recipient)) = (edges.get(own).cloned(), recipient) else { return Err(defect("nobody to write to")) };
        let document = edge.seal(draft(edge.agency(), sent, &[recipient.agency().into()]));
        watch.begun.lock().insert(document.message_id, due);
        sending.spawn(async move { edge.submit(document).await });
        sent += 1;
        while let Some(submitted) = sending.try_join_next() {
            submitted.map_err(|cause| defect(&cause.to_string()))?.map_err(Failure::Refused)?;
        }
        let waiting = watch.on_their_way();
        if waiting > behind_max {
            return Err(Failure::BadAnswer(format!(
                "{waiting} of {sent} documents are on their way: the axis does not keep up with {rate}/s"
            )));
        }
    }
    while let Some(submitted) = sending.join_next().await {
        submitted.map_err(|cause| defect(&cause.to_string()))?.map_err(Failure::Refused)?;
    }
    watch.all_returned().await?;
    let returned = watch.returned.lock();
    match (returned.all, returned.strange) {
        (all, 0) if all == sent => Ok(sent),
        (all, strange) => Err(Failure::BadAnswer(format!("of {sent} documents {all} are back, and {strange} that were not on their way"))),
    }
}
