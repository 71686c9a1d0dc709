//! What watches a running broker: its checks, its loopback message, and the listener that shows both with the metrics. Started beside the services, ended
//! by dropping; nothing of the protocol waits for any of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use truc_ledger::LogVerifier;
use truc_signing::{Authority, Certificate};
use truc_transport::checks::Checks;
use truc_transport::keys::KeyFiles;
use truc_transport::machine::Machine;
use truc_transport::metrics::Metrics;
use truc_transport::observe::{self, Observed};
use truc_transport::process;
use truc_types::{Reason, Refusal, Timestamp};

use crate::config::{AUTHORITY_FILE, BrokerConfig};
use crate::engine::Engine;
use crate::health::{Gauges, Health, checks, key_files, loopback_off};
use crate::loopback::{Loopback, LoopbackKeys};
use crate::meters::Meters;
use crate::metrics::TABLE;

/// What is known before the engine has started.
pub(crate) struct Prepared {
    pub(crate) meters: Arc<Meters>,
    pub(crate) checks: Checks,
    metrics: Metrics,
    listener: Option<TcpListener>,
    data: PathBuf,
    disk_reserve_bytes: u64,
    keys: KeyFiles,
    /// Ends of the certificates that do not stand in the registry.
    ends: Vec<(&'static str, Timestamp)>,
    loopback: Option<LoopbackKeys>,
    loopback_idle: Duration,
    log: LogVerifier,
}

/// Everything that watches. Dropping it ends it.
pub(crate) struct Watching {
    pub(crate) checks: Checks,
    tasks: JoinSet<Infallible>,
}

impl Watching {
    /// Waits until something that watches has panicked: what it says last would stand for ever.
    pub(crate) async fn failed(&mut self) -> Refusal {
        match self.tasks.join_next().await {
            Some(Err(cause)) => Refusal::new(Reason::OutcomeUnknown, format!("what watches the broker ended: {cause}")),
            None => std::future::pending().await,
        }
    }
}

impl Prepared {
    /// Takes what it needs of the configuration, and the address for metrics.
    pub(crate) async fn new(config: &mut BrokerConfig) -> Result<Self, Refusal> {
        let listener = match config.metrics_listen {
            Some(address) => Some(observe::bind(address).await?),
            None => None,
        };
        let metrics = Metrics::new(&[TABLE, process::TABLE]);
        let keys = key_files(config);
        let authority = std::fs::read_to_string(config.data.join(AUTHORITY_FILE)).ok();
        let authority = authority.and_then(|pem| Authority::from_pem(&pem).ok()).map(|authority| ("authority", authority.not_after()));
        let ends: Vec<_> = authority.into_iter().collect();
        Ok(Self {
            meters: Arc::new(Meters::new(&metrics)),
            checks: checks(),
            metrics,
            listener,
            data: config.data.clone(),
            disk_reserve_bytes: config.disk_reserve_bytes,
            keys,
            ends,
            loopback: config.loopback.take(),
            loopback_idle: config.loopback_idle,
            log: config.signer.verifier().clone(),
        })
    }

    /// Starts to watch; edges can connect to `address` already.
    pub(crate) fn start(mut self, engine: &Engine, address: SocketAddr) -> Watching {
        let checks = self.checks.clone();
        let registry = engine.published.registry();
        let operator = registry.genesis().and_then(|genesis| Certificate::from_pem(&genesis.operator_pem).ok());
        self.ends.extend(operator.map(|operator| ("operator", operator.not_after())));
        let keys = Arc::new(std::mem::take(&mut self.keys));
        let loopback = self.loopback.as_ref().map(LoopbackKeys::ends);
        let gauges = Gauges::new(&self.metrics, &checks, std::mem::take(&mut self.ends), loopback, self.disk_reserve_bytes);
        let gauges = Arc::new(gauges);
        let mut tasks = JoinSet::new();
        let health = Health {
            checks: checks.clone(),
            meters: self.meters.clone(),
            commands: engine.commands.clone(),
            clock_stepped_back: engine.clock_stepped_back.clone(),
            machine: Machine::new(checks.clone(), &self.data, self.disk_reserve_bytes, keys),
            gauges: gauges.clone(),
        };
        tasks.spawn(health.watch());
        if let Some(listener) = self.listener.take() {
            let (checks, meters) = (checks.clone(), self.meters.clone());
            let (published, views, blobs) = (engine.published.clone(), engine.views.clone(), engine.blobs.clone());
            let observed = Observed {
                metrics: self.metrics.clone(),
                checks: checks.clone(),
                refresh: Arc::new(move || gauges.refresh(&checks, &meters, &published, &views, blobs.as_ref())),
            };
            tasks.spawn(observe::serve(listener, observed));
        }
        match self.loopback(engine, &checks, address) {
            Ok(loopback) => drop(tasks.spawn(loopback.run())),
            Err(why) => loopback_off(&checks, why),
        }
        Watching { checks, tasks }
    }

    fn loopback(self, engine: &Engine, checks: &Checks, address: SocketAddr) -> Result<Loopback, &'static str> {
        let registry = engine.published.registry();
        let genesis = registry.genesis().ok_or("the log has no genesis")?;
        registry.axis_agency().ok_or("the axis was made without an agency of its own")?;
        let keys = self.loopback.ok_or("there are no keys for the axis' own agency in keys/loopback.*")?;
        if self.loopback_idle.is_zero() {
            return Err("turned off by loopback_idle_seconds = 0");
        }
        let round = crate::loopback::Round::new(keys, genesis.loopback_kind.clone(), self.log, address);
        Ok(Loopback::new(round, self.loopback_idle, checks.clone(), self.meters, &self.metrics))
    }
}
