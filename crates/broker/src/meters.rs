//! The handles by which the broker counts, and what is remembered of the durable side for readiness. Made once; nothing is formatted while documents pass.
//!
//! What rests on a block is counted after it is durable, by the committer; nothing of the tentative state is shown but how far ahead it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;
use truc_core::registry::{AgencyIndex, Registry};
use truc_transport::clock;
use truc_transport::metrics::{Counter, Gauge, Histogram, Metrics, number, seconds};
use truc_types::{Lane, Position, Reason, Timestamp};

use crate::committer::Answer;
use crate::metrics as m;

/// Counts for one broker.
pub(crate) struct Meters {
    metrics: Metrics,
    accepted: Counter,
    repeated: Counter,
    refused: Counter,
    /// By the place of the reason in the table of all.
    refusals: Vec<Counter>,
    submit: Histogram,
    pub(crate) commit: Histogram,
    delivery: Histogram,
    blocks: Counter,
    entries: Counter,
    block_bytes: Counter,
    block_ahead: Gauge,
    pub(crate) position: Gauge,
    deliveries: Counter,
    redeliveries: Counter,
    fetched: Counter,
    open: Gauge,
    leases: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) submit_streams: Gauge,
    deliver_streams: Gauge,
    pub(crate) blob_received: Counter,
    pub(crate) blob_sent: Counter,
    pub(crate) blob_stored: Gauge,
    queues: Mutex<Vec<QueueMeters>>,
    /// Position after the newest entry that is decided.
    pub(crate) decided: AtomicU64,
    /// When the last real document was fetched, in milliseconds; 0 before the first.
    last_fetched: AtomicU64,
    /// Nothing new is taken in.
    pub(crate) disk_full: AtomicBool,
}

struct QueueMeters {
    agency: AgencyIndex,
    lanes: [LaneMeters; Lane::COUNT],
}

struct LaneMeters {
    waiting: Gauge,
    oldest: Gauge,
    oldest_at: Option<Timestamp>,
}

/// What a command did that is counted once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) deliveries: u32,
    pub(crate) redeliveries: u32,
    /// Milliseconds from acceptance to `fetched`, one for each delivery.
    pub(crate) waited_millis: Vec<u64>,
}

/// Documents, and the acceptance of the oldest, by [`Lane::index`].
pub(crate) type Lanes = [(usize, Option<Timestamp>); Lane::COUNT];

/// How full the queues are. Of the durable side once the block it travels with is.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// For each agency.
    pub(crate) queues: Vec<(AgencyIndex, Lanes)>,
    pub(crate) open_messages: usize,
    pub(crate) leases: usize,
    pub(crate) streams: usize,
}

/// A statement that is being answered, and since when.
pub(crate) struct Metered {
    meters: Arc<Meters>,
    received: Instant,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let (counter, gauge) = (|d, v: &[&str]| metrics.counter(d, v), |d, v: &[&str]| metrics.gauge(d, v));
        gauge(&m::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        Self {
            accepted: counter(&m::SUBMISSIONS, &["accepted"]),
            repeated: counter(&m::SUBMISSIONS, &["repeated"]),
            refused: counter(&m::SUBMISSIONS, &["refused"]),
            refusals: Reason::ALL.iter().map(|reason| counter(&m::REFUSALS, &[reason.code()])).collect(),
            submit: metrics.histogram(&m::SUBMIT, &[]),
            commit: metrics.histogram(&m::COMMIT, &[]),
            delivery: metrics.histogram(&m::DELIVERY, &[]),
            blocks: counter(&m::BLOCKS, &[]),
            entries: counter(&m::ENTRIES, &[]),
            block_bytes: counter(&m::BLOCK_BYTES, &[]),
            block_ahead: gauge(&m::BLOCK_AHEAD, &[]),
            position: gauge(&m::POSITION, &[]),
            deliveries: counter(&m::DELIVERIES, &[]),
            redeliveries: counter(&m::REDELIVERIES, &[]),
            fetched: counter(&m::FETCHED, &[]),
            open: gauge(&m::OPEN, &[]),
            leases: gauge(&m::LEASES, &[]),
            connections: gauge(&m::CONNECTIONS, &[]),
            submit_streams: gauge(&m::STREAMS, &["submit"]),
            deliver_streams: gauge(&m::STREAMS, &["deliver"]),
            blob_received: counter(&m::BLOB_RECEIVED, &[]),
            blob_sent: counter(&m::BLOB_SENT, &[]),
            blob_stored: gauge(&m::BLOB_STORED, &[]),
            queues: Mutex::default(),
            decided: AtomicU64::new(0),
            last_fetched: AtomicU64::new(0),
            disk_full: AtomicBool::new(false),
            metrics: metrics.clone(),
        }
    }

    /// Begins to count a statement.
    pub(crate) fn received(self: &Arc<Self>) -> Metered {
        Metered { meters: Arc::clone(self), received: Instant::now() }
    }

    /// A block is durable.
    pub(crate) fn block(&self, entries: usize, bytes: usize, time: Timestamp, end: Position) {
        self.blocks.inc();
        self.entries.inc_by(entries as u64);
        self.block_bytes.inc_by(bytes as u64);
        self.position.set(number(end.0));
        let now = clock::now();
        self.block_ahead.set(seconds(time.millis_since(now)) - seconds(now.millis_since(time)));
    }

    /// What was decided in a block that is durable now.
    pub(crate) fn tally(&self, tally: &Tally) {
        self.deliveries.inc_by(u64::from(tally.deliveries));
        self.redeliveries.inc_by(u64::from(tally.redeliveries));
        self.fetched.inc_by(tally.waited_millis.len() as u64);
        for waited in &tally.waited_millis {
            self.delivery.observe(seconds(*waited));
        }
        if !tally.waited_millis.is_empty() {
            self.last_fetched.store(clock::now().as_millis(), Ordering::Relaxed);
        }
    }

    /// When the last real document went the whole way.
    pub(crate) fn last_fetched(&self) -> Timestamp {
        Timestamp::from_millis(self.last_fetched.load(Ordering::Relaxed))
    }

    /// Takes how full the queues are.
    pub(crate) fn load(&self, load: &Load, registry: &Registry) {
        self.open.set(number(load.open_messages as u64));
        self.leases.set(number(load.leases as u64));
        self.deliver_streams.set(number(load.streams as u64));
        let mut queues = self.queues.lock();
        for (agency, lanes) in &load.queues {
            let known = queues.iter().position(|queue| queue.agency == *agency);
            let Some(at) = known.or_else(|| self.queue(*agency, registry).map(|queue| (queues.push(queue), queues.len() - 1).1)) else {
                continue;
            };
            let Some(queue) = queues.get_mut(at) else { continue };
            for (meters, (waiting, oldest_at)) in queue.lanes.iter_mut().zip(lanes) {
                meters.waiting.set(number(*waiting as u64));
                meters.oldest_at = *oldest_at;
            }
        }
        drop(queues);
        self.age();
    }

    fn queue(&self, agency: AgencyIndex, registry: &Registry) -> Option<QueueMeters> {
        let code = registry.agency(agency)?.code.as_str();
        let lanes = LANES.map(|lane| LaneMeters {
            waiting: self.metrics.gauge(&m::QUEUE, &[code, lane]),
            oldest: self.metrics.gauge(&m::QUEUE_OLDEST, &[code, lane]),
            oldest_at: None,
        });
        Some(QueueMeters { agency, lanes })
    }

    /// Ages of the oldest documents, as of now.
    pub(crate) fn age(&self) {
        let now = clock::now();
        for lane in self.queues.lock().iter().flat_map(|queue| &queue.lanes) {
            lane.oldest.set(lane.oldest_at.map_or(0.0, |at| seconds(now.millis_since(at))));
        }
    }
}

/// Names of the lanes, by [`Lane::index`].
const LANES: [&str; Lane::COUNT] = ["normal", "urgent", "very_urgent", "flash"];

impl Metered {
    /// The statement is answered.
    pub(crate) fn answered(self, answer: &Answer) {
        let meters = &self.meters;
        match answer {
            Answer::Accepted(acceptance) if acceptance.repeated => meters.repeated.inc(),
            Answer::Accepted(_) => meters.accepted.inc(),
            Answer::Refused(refusal) => {
                if let Some(counter) = meters.refusals.get(refusal.reason as usize) {
                    counter.inc();
                }
                meters.refused.inc()
            }
        };
        meters.submit.observe(self.received.elapsed().as_secs_f64());
    }
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("received", &self.received).finish_non_exhaustive()
    }
}
