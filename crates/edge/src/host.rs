//! Several edges in one process: one machine that serves many small agencies, a test bed, the demo. Each edge keeps its own data folder, keys, journal,
//! connection and address; what one of them meets does not touch the others. Not one edge for several agencies: there is no such thing.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use truc_transport::daemon::{announce_agency, password};
use truc_transport::logging::{self, LogFormat, LogLevel};
use truc_transport::shutdown::Shutdown;
use truc_types::limits::DMS_STREAMS_MAX;
use truc_types::{Reason, Refusal};

use crate::config::EdgeConfig;
use crate::error::EdgeError;
use crate::transfer::UPLOADS_MAX;

/// Edges that start at the same time: each reads its journal and view, and the disk is one.
const STARTS_AT_ONCE: usize = 8;
/// Threads for short work of all edges together; what may stall has its own for each, so that no edge waits for the line or the DMS of another.
const THREADS_SHARED: usize = 512;

/// Runs several edges in one process. Each folder is one that `truc edge init` made; all have the same password.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// The data folders, one per agency.
    #[arg(value_name = "DIR", required = true)]
    pub data: Vec<PathBuf>,
    /// File with the password of the key files; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
    /// Print the ready lines as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs until SIGTERM or SIGINT, or until no edge is left. Prints one line with agency and address to standard output for each edge once its DMS can
/// connect. An edge that fails ends alone, with its reason in the log; the others go on.
///
/// # Errors
/// Why nothing could start; or, at the end, the first edge that failed.
pub fn host(args: &HostArgs) -> Result<(), Refusal> {
    logging::start(if args.log_json { LogFormat::Json } else { LogFormat::Human }, LogLevel::Info);
    let password = password(args.password_file.as_deref())?;
    let mut configs = Vec::with_capacity(args.data.len());
    let mut mistakes = Vec::new();
    // Counted together, told apart by the label `agency`: any listener of theirs shows all.
    let metrics = crate::metrics::new();
    // All of them before any is started, so that all mistakes are told at once.
    for data in &args.data {
        match crate::load(data, &password) {
            Ok(config) => {
                let log = configs.first().map_or_else(|| config.log.clone(), |first: &EdgeConfig| config.log.clone().beside(&first.log));
                configs.push(EdgeConfig { metrics: metrics.clone(), log, ..config });
            }
            Err(cause) => mistakes.push(format!("{}: {cause}", data.display())),
        }
    }
    if !mistakes.is_empty() {
        return Err(Refusal::new(Reason::ConfigInvalid, mistakes.join("; ")));
    }
    let failed = |cause: std::io::Error| Refusal::new(Reason::ConfigInvalid, format!("cannot start: {cause}"));
    let threads = THREADS_SHARED + configs.len() * (DMS_STREAMS_MAX + UPLOADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build().map_err(failed)?;
    let json = args.json;
    runtime.block_on(async move {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        let mut hangups = signal(SignalKind::hangup()).map_err(failed)?;
        tokio::spawn(async move {
            // It would end all of them.
            while hangups.recv().await.is_some() {
                tracing::warn!("nothing was reloaded: hosted edges read their settings and certificates at the start only");
            }
        });
        run_all(configs, shutdown, json).await.map_err(|cause| cause.to_refusal())
    })
}

async fn run_all(configs: Vec<EdgeConfig>, shutdown: Shutdown, json: bool) -> Result<(), EdgeError> {
    let starts = Arc::new(Semaphore::new(STARTS_AT_ONCE));
    let mut edges = JoinSet::new();
    for config in configs {
        let (shutdown, starts) = (shutdown.clone(), Arc::clone(&starts));
        edges.spawn(async move {
            let agency = config.agency.clone();
            let start = Mutex::new(starts.acquire_owned().await.ok());
            let ready = |address| {
                drop(start.lock().take());
                announce_agency(agency.as_str(), address, json);
            };
            Box::pin(crate::run(config, shutdown, ready)).await
        });
    }
    let mut first = Ok(());
    while let Some(ended) = edges.join_next().await {
        let ended = ended.unwrap_or_else(|cause| Err(EdgeError::Serve(cause.to_string())));
        if let Err(cause) = ended {
            tracing::error!(reason = %cause.reason(), %cause, left = edges.len(), "an edge of this process ended");
            first = first.and(Err(cause));
        }
    }
    first
}
