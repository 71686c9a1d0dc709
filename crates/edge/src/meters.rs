//! The handles by which an edge counts, and what is remembered of the line for readiness. Made once for each edge.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use truc_proto::broker::v1 as pb;
use truc_transport::metrics::{Counter, Gauge, Metrics, number};
use truc_transport::status;
use truc_types::limits::CLOCK_SKEW_MILLIS_MAX;
use truc_types::{AgencyCode, Reason, Refusal};

use crate::metrics as m;

/// A start and a broker that is started again take this long; a line that is away for longer is worth a warning.
const LINK_GRACE: Duration = Duration::from_secs(3);

/// Counts for one edge.
pub(crate) struct Meters {
    pub(crate) accepted: Counter,
    /// By the place of the reason in the table of all.
    refusals: Vec<Counter>,
    refusals_unknown: Counter,
    pub(crate) taken: Counter,
    pub(crate) given_back: Counter,
    pub(crate) uploaded: Counter,
    pub(crate) downloaded: Counter,
    pub(crate) forks: Counter,
    pub(crate) invalid: Counter,
    connections: Counter,
    connected: Gauge,
    away: Gauge,
    skew: Gauge,
    /// Milliseconds that this clock is ahead of the axis'.
    skew_millis: AtomicI64,
    /// Since when there is no connection; `None` while there is one.
    away_since: Mutex<Option<Instant>>,
    /// Nothing new is taken from the DMS.
    pub(crate) disk_full: AtomicBool,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics, agency: &AgencyCode) -> Self {
        let agency = agency.as_str();
        metrics.gauge(&m::BUILD_INFO, &[agency, env!("CARGO_PKG_VERSION")]).set(1.0);
        let counter = |description| metrics.counter(description, &[agency]);
        let labelled = |description, label: &str| metrics.counter(description, &[agency, label]);
        Self {
            accepted: counter(&m::ACCEPTED),
            refusals: Reason::ALL.iter().map(|reason| labelled(&m::REFUSALS, reason.code())).collect(),
            refusals_unknown: labelled(&m::REFUSALS, "unknown"),
            taken: labelled(&m::DELIVERED, "taken"),
            given_back: labelled(&m::DELIVERED, "given_back"),
            uploaded: counter(&m::UPLOADED),
            downloaded: counter(&m::DOWNLOADED),
            forks: labelled(&m::ALARMS, "fork"),
            invalid: labelled(&m::ALARMS, "invalid"),
            connections: counter(&m::CONNECTED),
            connected: metrics.gauge(&m::LINK, &[agency]),
            away: metrics.gauge(&m::LINK_AWAY, &[agency]),
            skew: metrics.gauge(&m::CLOCK_SKEW, &[agency]),
            skew_millis: AtomicI64::new(0),
            away_since: Mutex::new(Some(Instant::now())),
            disk_full: AtomicBool::new(false),
        }
    }

    /// What the axis answered to a statement.
    pub(crate) fn answered(&self, outcome: &pb::submit_response::Outcome) {
        match outcome {
            pb::submit_response::Outcome::Accepted(_) => self.accepted.inc(),
            pb::submit_response::Outcome::Refused(refusal) => {
                let known = status::from_proto(refusal).and_then(|refusal| self.refusals.get(refusal.reason as usize));
                known.unwrap_or(&self.refusals_unknown).inc()
            }
        };
    }

    /// The edge is connected and its term is open.
    pub(crate) fn connected(&self) {
        self.connections.inc();
        self.connected.set(1.0);
        *self.away_since.lock() = None;
    }

    /// The connection has ended.
    pub(crate) fn disconnected(&self) {
        self.connected.set(0.0);
        self.away_since.lock().get_or_insert_with(Instant::now);
    }

    /// Whether there is a connection.
    ///
    /// `None` while nobody would worry; else [`Reason::BrokerAway`] with the time since the last one.
    pub(crate) fn check_link(&self) -> Option<Result<(), Refusal>> {
        match *self.away_since.lock() {
            None => Some(Ok(())),
            Some(since) if since.elapsed() < LINK_GRACE => None,
            Some(since) => {
                let seconds = since.elapsed().as_secs();
                let away = Refusal::new(Reason::BrokerAway, format!("not connected to the axis for {seconds} s"));
                Some(Err(away.with("seconds", seconds)))
            }
        }
    }

    /// Brings the time without a connection up to date.
    pub(crate) fn age(&self) {
        self.away.set(self.away_since.lock().map_or(0.0, |since| since.elapsed().as_secs_f64()));
    }

    /// This clock and the axis' were compared.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 milliseconds")]
    pub(crate) fn compared(&self, ahead_millis: i64) {
        self.skew_millis.store(ahead_millis, Ordering::Relaxed);
        self.skew.set(ahead_millis as f64 / number(1_000));
    }

    /// Whether this clock was near the axis' at the last comparison: documents from the future are refused there.
    ///
    /// # Errors
    /// [`Reason::ClockJumped`] with the difference.
    pub(crate) fn check_skew(&self) -> Result<(), Refusal> {
        let ahead = self.skew_millis.load(Ordering::Relaxed);
        if ahead.unsigned_abs() > CLOCK_SKEW_MILLIS_MAX / 2 {
            let message = format!("the clock of this machine is {ahead} ms ahead of the axis'");
            return Err(Refusal::new(Reason::ClockJumped, message).with("ahead_millis", ahead));
        }
        Ok(())
    }

    /// Below the reserve no new document is taken in; what is in is still sent.
    ///
    /// # Errors
    /// [`Reason::DiskFull`].
    pub(crate) fn check_disk(&self) -> Result<(), Refusal> {
        if self.disk_full.load(Ordering::Relaxed) {
            return Err(Refusal::new(Reason::DiskFull, "the disk of this edge is full: no new document is taken until there is room"));
        }
        Ok(())
    }
}
