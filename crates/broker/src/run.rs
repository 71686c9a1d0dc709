//! A running broker: boot, threads, services, drain. Ends when it is told to, or when the journal fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tonic::server::NamedService as _;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use truc_blobs::BlobStore;
use truc_proto::admin::v1::broker_admin_service_server::BrokerAdminServiceServer;
use truc_proto::broker::v1::blob_service_server::BlobServiceServer;
use truc_proto::broker::v1::delivery_service_server::DeliveryServiceServer;
use truc_proto::broker::v1::directory_service_server::DirectoryServiceServer;
use truc_proto::broker::v1::log_service_server::LogServiceServer;
use truc_proto::broker::v1::submit_service_server::SubmitServiceServer;
use truc_transport::metrics::number;
use truc_transport::shutdown::Shutdown;
use truc_transport::{accept, clock, reflection};
use truc_types::limits::{
    CALLS_PER_CONNECTION_MAX, GRPC_MESSAGE_BYTES_MAX, HEADER_LIST_BYTES_MAX, KEEPALIVE_MILLIS, RESET_STREAMS_MAX, SHUTDOWN_MILLIS_MAX,
};
use truc_types::{Reason, Refusal};

use crate::config::BrokerConfig;
use crate::connections::Counted;
use crate::engine::{Engine, defect};
use crate::grpc::blobs::Blobs;
use crate::grpc::delivery::Deliveries;
use crate::grpc::directory::Directory;
use crate::grpc::log::Log;
use crate::grpc::submit::Submits;
use crate::meters::Meters;
use crate::watching::{Prepared, Watching};

/// HTTP/2 windows: a stream may have this many bytes under way.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const KEEPALIVE: Duration = Duration::from_millis(KEEPALIVE_MILLIS);
/// How often uploads that nobody goes on with are looked for.
const UPLOAD_SWEEP: Duration = Duration::from_secs(60 * 60);
/// An upload to which nothing was added for so long is dropped, and its place is free again: an edge that retries for days resumes before.
const UPLOAD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the port describes to tools.
const SERVICES: [&str; 6] = [
    "grpc.health.v1.Health",
    SubmitServiceServer::<Submits>::NAME,
    DeliveryServiceServer::<Deliveries>::NAME,
    BlobServiceServer::<Blobs>::NAME,
    DirectoryServiceServer::<Directory>::NAME,
    LogServiceServer::<Log>::NAME,
];

/// Runs a broker until `shutdown` begins or the journal fails. `ready` is called with the bound address once edges can connect.
///
/// # Errors
/// Why it could not start, or [`Reason::OutcomeUnknown`] when the journal failed: the process must end then, and start anew.
pub async fn run(mut config: BrokerConfig, shutdown: Shutdown, ready: impl FnOnce(SocketAddr)) -> Result<(), Refusal> {
    let listener = tokio::net::TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("cannot listen on {}: {cause}", config.listen)))?;
    let address = listener.local_addr().map_err(|cause| Refusal::new(Reason::ConfigInvalid, cause.to_string()))?;
    let (server_tls, notify, reflection) = (config.tls.clone(), config.notify.clone(), config.reflection);
    let data = config.data.clone();
    let prepared = Prepared::new(&mut config).await?;
    let (meters, counting) = (prepared.meters.clone(), prepared.meters.clone());
    let checks = prepared.checks.clone();
    let engine = tokio::task::spawn_blocking(move || Engine::start(config, counting)).await.map_err(|_| defect("the start panicked"))??;

    let (health, health_service) = tonic_health::server::health_reporter();
    set_readiness(&health, false).await;
    let sweeping = tokio::spawn(sweep_uploads(engine.blobs.clone(), meters.clone()));
    let submits = SubmitServiceServer::new(engine.submit_service(&shutdown));
    let (reflection, reflection_alpha) =
        if reflection { reflection::services(&SERVICES).map(|(v1, alpha)| (Some(v1), Some(alpha)))? } else { (None, None) };
    let server = limited()
        .add_optional_service(reflection)
        .add_optional_service(reflection_alpha)
        .add_service(health_service)
        .add_service(submits.max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
        .add_service(DeliveryServiceServer::new(engine.delivery_service(&shutdown)).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
        .add_service(BlobServiceServer::new(engine.blob_service()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
        .add_service(DirectoryServiceServer::new(engine.directory_service()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
        .add_service(BrokerAdminServiceServer::new(engine.admin(data, checks)))
        .add_service(LogServiceServer::new(engine.log_service()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX));
    tracing::info!(%address, "listening");
    let mut watching = prepared.start(&engine, address);
    notify.ready(&format!("serving on {address}"));
    ready(address);

    let incoming = accept::tls(listener, server_tls);
    let incoming = incoming.map(move |stream| stream.map(|stream| Counted::new(stream, &meters.connections)));
    let mut failed = None;
    let served = {
        let serve = server.serve_with_incoming_shutdown(incoming, shutdown.begun());
        tokio::pin!(serve);
        tokio::select! {
            served = &mut serve => served,
            () = notify.keep_alive(|| engine.answers()) => Ok(()),
            ended = watch(&engine, &mut watching, &health, &shutdown) => {
                failed = ended;
                set_readiness(&health, false).await;
                shutdown.begin();
                // Streams get a moment for their last answers; a client that holds on longer is cut off.
                tokio::time::timeout(Duration::from_millis(SHUTDOWN_MILLIS_MAX), &mut serve).await.unwrap_or(Ok(()))
            }
        }
    };
    notify.stopping();
    if let Err(cause) = served {
        tracing::error!(%cause, "the server ended");
    }
    sweeping.abort();
    let finished = engine.finish().await;
    failed.map_or(finished, Err)
}

/// A server with the limits of every connection.
fn limited() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(Some(CALLS_PER_CONNECTION_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_STREAMS_MAX))
}

/// Tells of readiness; returns when the process has to end, with the cause unless the engine has it.
async fn watch(engine: &Engine, watching: &mut Watching, health: &HealthReporter, shutdown: &Shutdown) -> Option<Refusal> {
    let mut readiness = watching.checks.subscribe();
    loop {
        let ready = *readiness.borrow_and_update();
        set_readiness(health, ready).await;
        tracing::info!(ready, "readiness");
        tokio::select! {
            () = shutdown.begun() => return None,
            () = engine.endings.begun() => return None,
            cause = watching.failed() => {
                tracing::error!(%cause, "this process ends");
                return Some(cause);
            }
            changed = readiness.changed() => if changed.is_err() {
                return None;
            }
        }
    }
}

/// Readiness of the broker as a whole (the empty name) and of submission.
async fn set_readiness(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", SubmitServiceServer::<Submits>::NAME] {
        health.set_service_status(service, status).await;
    }
}

/// Drops uploads that nobody goes on with, now and every hour.
async fn sweep_uploads(blobs: Arc<dyn BlobStore>, meters: Arc<Meters>) {
    let mut every = tokio::time::interval(UPLOAD_SWEEP);
    loop {
        every.tick().await;
        let (blobs, counted) = (blobs.clone(), blobs.clone());
        match tokio::task::spawn_blocking(move || blobs.sweep(clock::now(), UPLOAD_AGE_MAX)).await {
            Ok(Ok(_)) => {}
            Ok(Err(cause)) => tracing::warn!(%cause, "unfinished uploads cannot be swept"),
            Err(cause) => tracing::error!(%cause, "sweeping unfinished uploads panicked"),
        }
        match tokio::task::spawn_blocking(move || counted.stored_bytes()).await {
            Ok(Ok(bytes)) => drop(meters.blob_stored.set(number(bytes))),
            Ok(Err(cause)) => tracing::warn!(%cause, "stored attachments cannot be counted"),
            Err(cause) => tracing::error!(%cause, "counting stored attachments panicked"),
        }
    }
}
