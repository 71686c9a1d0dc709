//! What the broker checks of itself every 5 s: disk, keys, clock, sequencer. The whole path, with a message of its own, is `loopback`'s.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use truc_blobs::BlobStore;
use truc_signing::statement::SignerRole;
use truc_transport::checks::{Checks, Found, Weight};
use truc_transport::clock;
use truc_transport::disk::Space;
use truc_transport::keys::KeyFiles;
use truc_transport::machine::{CLOCK, DISK, KEYS, Machine};
use truc_transport::metrics::{Counter, Gauge, Metrics, number, seconds};
use truc_transport::process::Process;
use truc_types::limits::{READINESS_EVERY_MILLIS, READINESS_PROBE_MILLIS_MAX};
use truc_types::{Reason, Refusal, Timestamp};
use truc_views::ViewStore;

use crate::config::{AUTHORITY_FILE, BrokerConfig, LOG_KEY_FILE, TLS_CERTIFICATE_FILE, TLS_KEY_FILE};
use crate::loopback::LoopbackEnds;
use crate::meters::Meters;
use crate::metrics as m;
use crate::published::Published;
use crate::sequencer::Command;

pub(crate) const SEQUENCER: &str = "sequencer";
pub(crate) const LOOPBACK: &str = "loopback";

/// The checks of a broker, none of them looked at yet.
pub(crate) fn checks() -> Checks {
    Checks::new(&[DISK, KEYS, CLOCK, SEQUENCER, LOOPBACK].map(|name| (name, Weight::Required)))
}

/// The files that a broker was started from, with its certificates in use.
pub(crate) fn key_files(config: &BrokerConfig) -> KeyFiles {
    let file = |name: &str| config.data.join(name);
    KeyFiles::default()
        .key("tls", &file(TLS_KEY_FILE))
        .key("log", &file(LOG_KEY_FILE))
        .key("authority", &file(AUTHORITY_FILE))
        .certificate("tls", &file(TLS_CERTIFICATE_FILE))
}

/// Looks at everything, again and again.
pub(crate) struct Health {
    pub(crate) checks: Checks,
    pub(crate) meters: Arc<Meters>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) clock_stepped_back: Arc<AtomicBool>,
    pub(crate) machine: Machine,
    pub(crate) gauges: Arc<Gauges>,
}

impl Health {
    /// Runs until it is dropped.
    pub(crate) async fn watch(mut self) -> Infallible {
        let mut every = tokio::time::interval(Duration::from_millis(READINESS_EVERY_MILLIS));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let limit = Duration::from_millis(READINESS_PROBE_MILLIS_MAX);
        loop {
            every.tick().await;
            let look = self.machine.look(|| check_step(&self.clock_stepped_back));
            let (look, sequencer) = tokio::join!(look, probe(&self.commands, limit));
            if look.jump_millis != 0 {
                tracing::error!(jump_millis = look.jump_millis, "the clock of this machine jumped");
                self.gauges.clock_jumps.inc();
            }
            self.meters.disk_full.store(look.disk_full, Ordering::Relaxed);
            if let Some(space) = look.space {
                self.gauges.space(space);
            }
            self.checks.note_result(SEQUENCER, sequencer);
        }
    }
}

/// A backward step against the last block lasts until the clock has caught up.
fn check_step(stepped_back: &AtomicBool) -> Result<(), Refusal> {
    if stepped_back.load(Ordering::Relaxed) {
        return Err(Refusal::new(Reason::ClockSteppedBack, "the clock of this machine is behind the time of the last block"));
    }
    Ok(())
}

/// A command that does nothing, through sequencer and committer.
pub(crate) async fn probe(commands: &mpsc::Sender<Command>, limit: Duration) -> Result<(), Refusal> {
    let (reply, answered) = oneshot::channel();
    let stopped = |message: &str| Refusal::new(Reason::SequencerStopped, message);
    let round_trip = async {
        commands.send(Command::Probe { reply }).await.map_err(|_| stopped("the sequencer takes no commands"))?;
        answered.await.map_err(|_| stopped("the committer has ended"))
    };
    let late = || stopped(&format!("a command did not come through sequencer and committer within {} ms", limit.as_millis()));
    tokio::time::timeout(limit, round_trip).await.map_err(|_| late())?
}

/// Gauges that are looked at for each reading.
pub(crate) struct Gauges {
    ready: Gauge,
    checks: Vec<(&'static str, Gauge)>,
    durable_lag: Gauge,
    views_lag: Gauge,
    uploads: Gauge,
    /// Certificates that change only with a start.
    certificates: Vec<(&'static str, Timestamp, Gauge)>,
    loopback: Option<(LoopbackEnds, Gauge)>,
    tls: Gauge,
    first_seal: Gauge,
    disk_free: Gauge,
    disk_size: Gauge,
    clock_jumps: Counter,
    process: Process,
}

impl Gauges {
    /// Registers them.
    pub(crate) fn new(
        metrics: &Metrics,
        checks: &Checks,
        certificates: Vec<(&'static str, Timestamp)>,
        loopback: Option<LoopbackEnds>,
        reserve_bytes: u64,
    ) -> Self {
        metrics.gauge(&m::DISK_RESERVE, &[]).set(number(reserve_bytes));
        let certificate = |(role, ends): (&'static str, Timestamp)| (role, ends, metrics.gauge(&m::CERTIFICATE, &[role]));
        Self {
            ready: metrics.gauge(&m::READY, &[]),
            checks: checks.passing().into_iter().map(|(name, _)| (name, metrics.gauge(&m::CHECK, &[name]))).collect(),
            durable_lag: metrics.gauge(&m::DURABLE_LAG, &[]),
            views_lag: metrics.gauge(&m::VIEWS_LAG, &[]),
            uploads: metrics.gauge(&m::UPLOADS, &[]),
            certificates: certificates.into_iter().map(certificate).collect(),
            loopback: loopback.map(|ends| (ends, metrics.gauge(&m::CERTIFICATE, &["loopback"]))),
            tls: metrics.gauge(&m::CERTIFICATE, &["tls"]),
            first_seal: metrics.gauge(&m::CERTIFICATE, &["seal"]),
            disk_free: metrics.gauge(&m::DISK_FREE, &[]),
            disk_size: metrics.gauge(&m::DISK_SIZE, &[]),
            clock_jumps: metrics.counter(&m::CLOCK_JUMPS, &[]),
            process: Process::new(metrics),
        }
    }

    fn space(&self, space: Space) {
        self.disk_free.set(number(space.free_bytes));
        self.disk_size.set(number(space.total_bytes));
    }

    /// Brings everything up to date.
    pub(crate) fn refresh(&self, checks: &Checks, meters: &Meters, published: &Published, views: &ViewStore, blobs: &dyn BlobStore) {
        self.ready.set(if checks.is_ready() { 1.0 } else { 0.0 });
        for ((_, gauge), (_, passing)) in self.checks.iter().zip(checks.passing()) {
            gauge.set(if passing { 1.0 } else { 0.0 });
        }
        let durable = published.shard_start().plus(published.checkpoint().size).0;
        meters.position.set(number(durable));
        self.durable_lag.set(number(meters.decided.load(Ordering::Relaxed).saturating_sub(durable)));
        self.views_lag.set(number(durable.saturating_sub(views.position().0)));
        self.uploads.set(number(blobs.uploads_open() as u64));
        let now = clock::now();
        for (_, ends, gauge) in &self.certificates {
            gauge.set(until(*ends, now));
        }
        if let Some((_, ends)) = checks.values().ends.into_iter().find(|(role, _)| *role == "tls") {
            self.tls.set(until(ends, now));
        }
        if let Some((ends, gauge)) = &self.loopback {
            gauge.set(until(ends.first(), now));
        }
        if let Some(ends) = first_seal_end(published, now) {
            self.first_seal.set(until(ends, now));
        }
        meters.age();
        self.process.look();
    }
}

/// When the first seal certificate of the registry ends that has not: one that was replaced is of no interest once it has.
fn first_seal_end(published: &Published, now: Timestamp) -> Option<Timestamp> {
    let registry = published.registry();
    let seals = registry.keys().iter().filter(|key| key.role == SignerRole::Seal && key.revoked_at.is_none());
    seals.map(|key| key.not_after).filter(|ends| *ends >= now).min()
}

fn until(ends: Timestamp, now: Timestamp) -> f64 {
    seconds(ends.millis_since(now)) - seconds(now.millis_since(ends))
}

/// Whether the checks pass without which a loopback message would only say the same again, and perhaps write to a disk that is full.
pub(crate) fn local_checks_pass(checks: &Checks) -> bool {
    checks.passing().iter().all(|(name, passing)| *passing || ![DISK, KEYS, SEQUENCER].contains(name))
}

/// Notes that the loopback check is off.
pub(crate) fn loopback_off(checks: &Checks, why: &'static str) {
    checks.note(LOOPBACK, Found::Off(why));
}
