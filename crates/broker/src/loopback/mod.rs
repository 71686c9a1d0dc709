//! The signed loopback message: when no real document has gone the whole way for a while, the broker sends one to itself, over its own port, as an edge
//! would: mutual TLS, term, attachment, seal, admission, journal, queue, delivery, receipt, feed. One that does not come back makes it unready.
//!
//! It is of the kind that genesis reserves, from and to the agency that the axis itself is; nobody else may use either. One round is `round`.

mod round;
mod statements;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use parking_lot::Mutex;
use tokio::time::Instant;
use truc_signing::{Certificate, Owner, SealKey};
use truc_transport::checks::{Checks, Found};
use truc_transport::clock;
use truc_transport::metrics::{Counter, Histogram, Metrics};
use truc_transport::tls::{ClientTls, TlsFiles};
use truc_types::limits::LOOPBACK_MILLIS_MAX;
use truc_types::{Reason, Refusal, Timestamp};

use crate::health::{LOOPBACK, local_checks_pass};
use crate::meters::Meters;
use crate::metrics as m;

pub(crate) use round::Round;
pub(crate) use statements::Sealer;

/// How often it is looked at whether a message is due.
const LOOK: Duration = Duration::from_millis(250);
/// Longest pause after a message that did not come back: readiness returns soon after the fault has gone.
const RETRY: Duration = Duration::from_secs(5);

/// What the axis' own agency has.
pub struct LoopbackKeys {
    /// Seals its statements.
    pub(crate) sealer: Sealer,
    /// Its side of mutual TLS; renewed with that of the listener.
    pub(crate) tls: ClientTls,
    /// When its seal certificate ends.
    seal_ends: Timestamp,
}

/// When the first of its certificates ends.
pub(crate) struct LoopbackEnds {
    seal: Timestamp,
    tls: ClientTls,
}

impl LoopbackEnds {
    pub(crate) fn first(&self) -> Timestamp {
        let client = Certificate::from_pem(&self.tls.certificate_pem());
        client.map_or(self.seal, |client| client.not_after().min(self.seal))
    }
}

impl LoopbackKeys {
    /// Keys that fit together.
    ///
    /// # Errors
    /// [`Reason::KeyUnreadable`].
    pub(crate) fn new(seal_certificate_pem: &str, seal: SigningKey, tls: TlsFiles) -> Result<Self, Refusal> {
        let unreadable = |cause: String| Refusal::new(Reason::KeyUnreadable, format!("the axis' own agency: {cause}"));
        let certificate = Certificate::from_pem(seal_certificate_pem).map_err(|cause| unreadable(cause.to_string()))?;
        let Owner::Agency(agency) = &certificate.owner else { return Err(unreadable("its seal certificate names no agency".to_owned())) };
        let key = SealKey::new(seal, &certificate).map_err(|cause| unreadable(cause.to_string()))?;
        Certificate::from_pem(&tls.certificate_pem).map_err(|cause| unreadable(cause.to_string()))?;
        let seal_ends = certificate.not_after();
        Ok(Self { sealer: Sealer::new(key, agency.clone()), tls: ClientTls::new(tls), seal_ends })
    }

    pub(crate) fn ends(&self) -> LoopbackEnds {
        LoopbackEnds { seal: self.seal_ends, tls: self.tls.clone() }
    }
}

/// Sends loopback messages while a broker runs.
pub(crate) struct Loopback {
    round: Round,
    idle: Duration,
    checks: Checks,
    meters: Arc<Meters>,
    passed: Counter,
    failed: Counter,
    took: Histogram,
}

impl Loopback {
    pub(crate) fn new(round: Round, idle: Duration, checks: Checks, meters: Arc<Meters>, metrics: &Metrics) -> Self {
        let count = |outcome| metrics.counter(&m::LOOPBACK, &[outcome]);
        let (passed, failed) = (count("passed"), count("failed"));
        Self { round, idle, checks, meters, passed, failed, took: metrics.histogram(&m::LOOPBACK_SECONDS, &[]) }
    }

    /// Runs until it is dropped. The first message goes out at once: a broker that has just started has not shown anything yet.
    pub(crate) async fn run(mut self) -> Infallible {
        let idle_millis = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        let (mut seen, mut next) = (self.meters.last_fetched(), Instant::now());
        loop {
            let fetched = self.meters.last_fetched();
            if fetched > seen {
                // A real document is the better proof.
                seen = fetched;
                self.checks.note(LOOPBACK, Found::Passing);
                let quiet = clock::now().millis_since(fetched).min(idle_millis);
                next = Instant::now() + Duration::from_millis(idle_millis - quiet);
            }
            if Instant::now() >= next && local_checks_pass(&self.checks) {
                let outcome = self.send().await;
                next = Instant::now() + if outcome.is_ok() { self.idle } else { self.idle.min(RETRY) };
                self.checks.note_result(LOOPBACK, outcome);
            }
            tokio::time::sleep(LOOK.min(self.idle)).await;
        }
    }

    async fn send(&mut self) -> Result<(), Refusal> {
        let (begun, hop) = (Instant::now(), Arc::new(Mutex::new("connect")));
        let limit = Duration::from_millis(LOOPBACK_MILLIS_MAX);
        let cause = match tokio::time::timeout(limit, self.round.run(&hop)).await {
            Ok(Ok(())) => {
                self.passed.inc();
                self.took.observe(begun.elapsed().as_secs_f64());
                return Ok(());
            }
            Ok(Err(cause)) => cause,
            Err(_) => format!("nothing came within {LOOPBACK_MILLIS_MAX} ms"),
        };
        self.failed.inc();
        let hop = *hop.lock();
        Err(Refusal::new(Reason::LoopbackFailed, format!("the loopback message failed at the hop {hop}: {cause}")).with("hop", hop))
    }
}
