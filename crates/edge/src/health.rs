//! What an edge checks of itself every 5 s: disk, keys, clock, store. The line to the axis is shown too and decides nothing: an edge takes documents
//! without it, and that is what it is for.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use truc_signing::Authority;
use truc_transport::checks::{Checks, Weight};
use truc_transport::clock;
use truc_transport::keys::KeyFiles;
use truc_transport::machine::{CLOCK, DISK, KEYS, Machine};
use truc_transport::metrics::{Counter, Gauge, number, seconds};
use truc_transport::process::Process;
use truc_types::limits::{METRICS_ROWS_MAX, READINESS_EVERY_MILLIS, READINESS_PROBE_MILLIS_MAX};
use truc_types::{Reason, Refusal, Timestamp};

use crate::config::{EdgeConfig, Layout};
use crate::metrics as m;
use crate::node::Node;
use crate::state::Backlog;

const STORE: &str = "store";
const LINK: &str = "link";

/// The checks of an edge, none of them looked at yet.
pub(crate) fn checks() -> Checks {
    use Weight::{Reported, Required};
    Checks::new(&[(DISK, Required), (KEYS, Required), (CLOCK, Required), (STORE, Required), (LINK, Reported)])
}

/// The files that an edge was started from.
pub(crate) fn key_files(config: &EdgeConfig) -> KeyFiles {
    let layout = Layout::of(&config.data);
    KeyFiles::default()
        .key("seal", &layout.seal_key())
        .key("tls", &layout.tls_key())
        .certificate("seal", &layout.seal_certificate())
        .certificate("tls", &layout.tls_certificate())
}

/// Runs until it is dropped.
pub(crate) async fn watch(node: Arc<Node>, gauges: Arc<Gauges>) -> Infallible {
    let mut every = tokio::time::interval(Duration::from_millis(READINESS_EVERY_MILLIS));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let config = &node.config;
    let mut machine = Machine::new(node.checks.clone(), &config.data, config.disk_reserve_bytes, Arc::new(key_files(config)));
    loop {
        every.tick().await;
        let (look, backlog) = tokio::join!(machine.look(|| node.meters.check_skew()), backlog(&node));
        if look.jump_millis != 0 {
            tracing::error!(agency = %node.agency(), jump_millis = look.jump_millis, "the clock of this machine jumped");
            gauges.clock_jumps.inc();
        }
        node.meters.disk_full.store(look.disk_full, Ordering::Relaxed);
        if let Some(space) = look.space {
            gauges.disk_free.set(number(space.free_bytes));
            gauges.disk_size.set(number(space.total_bytes));
        }
        node.checks.note_result(STORE, backlog.map(|backlog| gauges.backlog(&backlog)));
        if let Some(link) = node.meters.check_link() {
            node.checks.note_result(LINK, link);
        }
        gauges.refresh(&node);
    }
}

/// Reads the rows, which shows at the same time that they can be read.
async fn backlog(node: &Node) -> Result<Backlog, Refusal> {
    let limit = Duration::from_millis(READINESS_PROBE_MILLIS_MAX);
    let late = |_| Refusal::new(Reason::JournalStorage, format!("the rows were not read within {READINESS_PROBE_MILLIS_MAX} ms"));
    tokio::time::timeout(limit, node.store.search(|state| state.backlog(METRICS_ROWS_MAX))).await.map_err(late)?
}

/// Gauges that are looked at.
pub(crate) struct Gauges {
    ready: Gauge,
    checks: Vec<Gauge>,
    stored: Gauge,
    sealed: Gauge,
    outbox_oldest: Gauge,
    inbox: Gauge,
    receipts: Gauge,
    feed: Gauge,
    witness: Gauge,
    /// Certificates that may be renewed while the edge runs.
    renewed: Vec<(&'static str, Gauge)>,
    certificates: Vec<(Timestamp, Gauge)>,
    disk_free: Gauge,
    disk_size: Gauge,
    clock_jumps: Counter,
    process: Process,
}

impl Gauges {
    pub(crate) fn new(config: &EdgeConfig, checks: &Checks) -> Self {
        let (metrics, agency) = (&config.metrics, config.agency.as_str());
        let gauge = |description| metrics.gauge(description, &[agency]);
        let labelled = |description, label: &str| metrics.gauge(description, &[agency, label]);
        gauge(&m::DISK_RESERVE).set(number(config.disk_reserve_bytes));
        let authority = std::fs::read_to_string(Layout::of(&config.data).authority()).ok();
        let mut ends = vec![("operator", config.operator.not_after)];
        let authority = authority.and_then(|pem| Authority::chain_from_pem(&pem).ok());
        let first = authority.and_then(|chain| chain.iter().map(Authority::not_after).min());
        ends.extend(first.map(|ends| ("authority", ends)));
        Self {
            ready: gauge(&m::READY),
            checks: checks.passing().into_iter().map(|(name, _)| labelled(&m::CHECK, name)).collect(),
            stored: labelled(&m::OUTBOX, "stored"),
            sealed: labelled(&m::OUTBOX, "sealed"),
            outbox_oldest: gauge(&m::OUTBOX_OLDEST),
            inbox: gauge(&m::INBOX),
            receipts: gauge(&m::RECEIPTS),
            feed: gauge(&m::FEED),
            witness: gauge(&m::WITNESS),
            renewed: ["seal", "tls"].map(|role| (role, labelled(&m::CERTIFICATE, role))).to_vec(),
            certificates: ends.into_iter().map(|(role, ends)| (ends, labelled(&m::CERTIFICATE, role))).collect(),
            disk_free: gauge(&m::DISK_FREE),
            disk_size: gauge(&m::DISK_SIZE),
            clock_jumps: metrics.counter(&m::CLOCK_JUMPS, &[agency]),
            process: Process::new(metrics),
        }
    }

    fn backlog(&self, backlog: &Backlog) {
        self.stored.set(number(backlog.stored));
        self.sealed.set(number(backlog.sealed));
        let now = clock::now();
        self.outbox_oldest.set(backlog.oldest.map_or(0.0, |oldest| seconds(now.millis_since(oldest))));
        self.inbox.set(number(backlog.unconfirmed));
        self.receipts.set(number(backlog.receipts));
        self.feed.set(number(backlog.feed_cursor));
        self.witness.set(number(backlog.witness_size));
    }

    /// Brings up to date what costs nothing to look at.
    pub(crate) fn refresh(&self, node: &Node) {
        self.ready.set(if node.checks.is_ready() { 1.0 } else { 0.0 });
        for (gauge, (_, passing)) in self.checks.iter().zip(node.checks.passing()) {
            gauge.set(if passing { 1.0 } else { 0.0 });
        }
        let now = clock::now();
        let until = |ends: Timestamp| seconds(ends.millis_since(now)) - seconds(now.millis_since(ends));
        for (ends, gauge) in &self.certificates {
            gauge.set(until(*ends));
        }
        for (role, ends) in node.checks.values().ends {
            if let Some((_, gauge)) = self.renewed.iter().find(|(renewed, _)| *renewed == role) {
                gauge.set(until(ends));
            }
        }
        node.meters.age();
        self.process.look();
    }
}
