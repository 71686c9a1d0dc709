//! Starts one edge and runs it until it is told to end or has to: journal, server for the DMS, connection to the axis.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use truc_blobs::FolderStore;
use truc_transport::observe;
use truc_transport::shutdown::Shutdown;
use truc_types::limits::{DMS_STREAMS_MAX, SHUTDOWN_MILLIS_MAX};

use crate::access::{Guard, check_listen};
use crate::config::{EdgeConfig, Layout};
use crate::error::EdgeError;
use crate::hand_in::HandIns;
use crate::health::{self, Gauges};
use crate::held::Held;
use crate::meters::Meters;
use crate::node::Node;
use crate::record::Record;
use crate::sealer::Sealer;
use crate::session::keep_connected;
use crate::store::Store;
use crate::transfer::{AtAxis, DOWNLOADS_MAX, UPLOADS_MAX};
use crate::trust::{Observed, Trust, TrustError};
use crate::{grpc, state, sweep, watch};

/// Runs one edge. `ready` is called once with the address on which the DMS can connect; the connection to the axis comes about by itself.
///
/// Returns when `shutdown` has begun and what was in flight is answered, at most 10 s later; or with the fault that ends the edge. Several edges can
/// run in one process, each with its own data folder.
///
/// # Errors
/// What [`EdgeError`] lists. After [`EdgeError::Append`] the outcome of calls that were not answered is unknown; the next start finds it out.
pub async fn run(config: EdgeConfig, shutdown: Shutdown, ready: impl FnOnce(SocketAddr) + Send) -> Result<(), EdgeError> {
    check_listen(config.listen, &config.access)?;
    let guard = Guard::open(&config.access)?;
    if let Some(watch) = &config.watch {
        watch.check()?;
    }
    let listener = TcpListener::bind(config.listen).await.map_err(|source| EdgeError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| EdgeError::Listen { address: config.listen, source })?;
    let observing = match config.metrics_listen {
        Some(address) => Some(observe::bind(address).await.map_err(EdgeError::Unreadable)?),
        None => None,
    };
    let node = Arc::new(open(config).await?);
    let mut beside = watch(&node, observing);
    tracing::info!(agency = %node.agency(), %address, "edge serves its document-management system");
    let notify = node.config.notify.clone();
    notify.ready(&format!("serving {} on {address}", node.agency()));
    ready(address);
    // Its own: another edge of this process goes on when this one ends.
    let stop = Shutdown::default();
    let mut folders = JoinSet::new();
    if let Some(settings) = &node.config.watch {
        folders.spawn(watch::take_in(Arc::clone(&node), settings.clone()));
        folders.spawn(watch::put_out(Arc::clone(&node), settings.clone()));
    }
    let mut connection = tokio::spawn(keep_connected(Arc::clone(&node)));
    let mut server = tokio::spawn(grpc::serve(Arc::clone(&node), listener, guard, stop.clone()));
    let mut served = None;
    let fault = tokio::select! {
        () = shutdown.begun() => None,
        ended = &mut connection => Some(ended.unwrap_or_else(|cause| EdgeError::Serve(cause.to_string()))),
        ended = &mut server => {
            served = Some(());
            ended.unwrap_or_else(|cause| Err(EdgeError::Serve(cause.to_string()))).err()
        }
        // None of them ends but by a panic; going on without one would be a readiness that stands still, or files that nobody takes.
        Some(ended) = folders.join_next() => Some(EdgeError::Serve(format!("the watch folder's loop ended: {ended:?}"))),
        Some(ended) = beside.join_next() => Some(EdgeError::Serve(format!("a loop beside the services ended: {ended:?}"))),
        () = notify.keep_alive(|| async { node.store.record_all(Vec::new()).await.is_ok() }) => None,
        cause = node.store.failed() => Some(EdgeError::Stopped(cause)),
    };
    if let Some(cause) = &fault {
        tracing::error!(agency = %node.agency(), reason = %cause.reason(), %cause, "the edge ends");
    }
    notify.stopping();
    connection.abort();
    folders.abort_all();
    // Calls get their time to end; streams end at once because the shutdown has begun.
    stop.begin();
    let drain = Duration::from_millis(SHUTDOWN_MILLIS_MAX);
    if served.is_none() && tokio::time::timeout(drain, &mut server).await.is_err() {
        tracing::warn!("calls were still running at the end of the grace period");
        server.abort();
    }
    node.store.clone().close().await;
    fault.map_or(Ok(()), Err)
}

/// Starts the checks, the listener that shows them with the metrics, and the sweep.
fn watch(node: &Arc<Node>, observing: Option<TcpListener>) -> JoinSet<Infallible> {
    let gauges = Arc::new(Gauges::new(&node.config, &node.checks));
    let mut tasks = JoinSet::new();
    tasks.spawn(health::watch(Arc::clone(node), Arc::clone(&gauges)));
    tasks.spawn(sweep::run(Arc::clone(node)));
    if let Some(listener) = observing {
        let (metrics, checks) = (node.config.metrics.clone(), node.checks.clone());
        let refreshed = Arc::clone(node);
        tasks.spawn(observe::serve(listener, observe::Observed { metrics, checks, refresh: Arc::new(move || gauges.refresh(&refreshed)) }));
    }
    tasks
}

/// Opens everything that is on the disk, and believes what was verified before.
async fn open(config: EdgeConfig) -> Result<Node, EdgeError> {
    let layout = Layout::of(&config.data);
    let agency = config.agency.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let store = Store::open(&layout.journal(), &layout.views(), &agency)?;
        let blobs = FolderStore::open(&layout.blobs())?;
        let folder = layout.hand_ins();
        let hand_ins = HandIns::open(&folder).map_err(|source| EdgeError::File { path: folder, source })?;
        Ok::<_, EdgeError>((store, blobs, hand_ins))
    });
    let (store, blobs, hand_ins) = opened.await.map_err(|cause| EdgeError::Serve(cause.to_string()))??;
    let trust = remembered(&store, &config).await?;
    let sealer = Sealer::new(Arc::clone(&config.seal), config.agency.clone());
    let meters = Arc::new(Meters::new(&config.metrics, &config.agency));
    Ok(Node {
        meters,
        checks: health::checks(),
        config,
        store,
        trust,
        sealer,
        blobs: Arc::new(blobs),
        held: Held::default(),
        hand_ins: Arc::new(hand_ins),
        term: Mutex::default(),
        connected: AtomicBool::new(false),
        streams: Arc::new(Semaphore::new(DMS_STREAMS_MAX)),
        uploads: Semaphore::new(UPLOADS_MAX),
        downloads: Semaphore::new(DOWNLOADS_MAX),
        fresh: Arc::default(),
        recent: Arc::default(),
        groups: Mutex::default(),
        at_axis: AtAxis::default(),
        writing: Mutex::default(),
        registry: tokio::sync::Mutex::default(),
    })
}

/// The keys and the checkpoint of earlier connections.
async fn remembered(store: &Store, config: &EdgeConfig) -> Result<Trust, EdgeError> {
    let unread = |refusal: truc_types::Refusal| EdgeError::Unreadable(refusal);
    let meta: state::Meta = store.read(|state| state.meta()).await.map_err(unread)?;
    let trust = Trust::new(config.log.clone(), config.operator.clone(), Observed::new(meta.checkpoint));
    let mut version = 1;
    loop {
        let positions = store.read(move |state| state.registry_from(version, 100)).await.map_err(unread)?;
        if positions.is_empty() {
            return Ok(trust);
        }
        for position in positions {
            let Record::RegistryEntry { version: found, leaf, file } = store.record_at(position).await.map_err(unread)? else {
                return Err(EdgeError::Record { position, cause: "no registry statement".to_owned() });
            };
            let adopted = trust.adopt_recorded(leaf.index, &file);
            adopted.map_err(|cause: TrustError| EdgeError::Record { position, cause: cause.to_string() })?;
            version = found + 1;
        }
    }
}
