//! One connection to the broker after the other: connect, check the log, read the registry, open the term, then all loops until one of them ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use truc_proto::broker::v1::blob_service_client::BlobServiceClient;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::directory_service_client::DirectoryServiceClient;
use truc_proto::broker::v1::log_service_client::LogServiceClient;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_types::limits::GRPC_MESSAGE_BYTES_MAX;
use truc_types::{EdgeTerm, Reason};

use crate::backoff::Backoff;
use crate::config::EdgeConfig;
use crate::error::EdgeError;
use crate::node::{LinkError, Node};
use crate::submit::Submitter;
use crate::{inbox, outbox, receipts, term, witness};

/// Longest pause between two tries to connect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that lived so long was a good one.
const LASTED: Duration = Duration::from_secs(60);
/// Time for a connection to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How often an idle connection is probed, and how long the answer may take: a dead line is noticed within half a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// One connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    channel: Channel,
}

/// The clients of one connection.
impl Link {
    /// Connects to the broker.
    pub(crate) async fn connect(config: &EdgeConfig) -> Result<Self, LinkError> {
        let away = |cause: tonic::transport::Error| {
            let causes: Vec<_> =
                std::iter::successors(std::error::Error::source(&cause), |cause| cause.source()).map(ToString::to_string).collect();
            LinkError::Away(format!("{cause}: {}", causes.join(": ")))
        };
        let endpoint = Endpoint::from(config.broker.clone()).tls_config(config.tls.config()).map_err(away)?;
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(CONNECT_MAX);
        let channel = endpoint.keep_alive_while_idle(true).tcp_nodelay(true).connect().await.map_err(away)?;
        Ok(Self { channel })
    }
    pub(crate) fn submit(&self) -> SubmitServiceClient<Channel> {
        SubmitServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    }
    pub(crate) fn delivery(&self) -> DeliveryServiceClient<Channel> {
        DeliveryServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    }
    pub(crate) fn blobs(&self) -> BlobServiceClient<Channel> {
        BlobServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    }
    pub(crate) fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    }
    pub(crate) fn log(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX)
    }
}

/// Keeps the edge connected until something ends it for good.
pub(crate) async fn keep_connected(node: Arc<Node>) -> EdgeError {
    let mut backoff = Backoff::up_to(RECONNECT_PAUSE_MAX);
    loop {
        let begun = Instant::now();
        let ended = session(&node).await;
        let was_connected = node.connected.swap(false, Ordering::Relaxed);
        node.meters.disconnected();
        match &ended {
            Err(LinkError::Untrusted(_)) => drop(node.meters.invalid.inc()),
            Err(LinkError::Fatal(EdgeError::Fork(_))) => drop(node.meters.forks.inc()),
            _ => {}
        }
        // Only a connection that lasted starts the pauses over: one that ends at once every time must not be a busy loop.
        if begun.elapsed() > LASTED {
            backoff.reset();
        }
        match ended {
            Err(LinkError::Fatal(cause)) => return cause,
            Err(LinkError::Refused(refusal)) if refusal.reason == Reason::TermSuperseded => {
                let own = node.term.lock().unwrap_or(EdgeTerm(0));
                return EdgeError::TermSuperseded { own, open: EdgeTerm(0) };
            }
            Err(LinkError::Refused(refusal)) if refusal.reason == Reason::LogFork => return EdgeError::Fork(refusal.message),
            Err(LinkError::Untrusted(cause)) => tracing::error!(%cause, "what the axis sent does not hold; connecting again"),
            // An axis that stops in order, or a line that breaks: nothing to warn of before it does not come back.
            Err(cause) if was_connected => {
                tracing::info!(broker = %node.config.broker, %cause, "the connection to the axis ended; connecting again")
            }
            Err(cause) => tracing::warn!(broker = %node.config.broker, %cause, "no connection to the axis; connecting again"),
            Ok(never) => match never {},
        }
        backoff.wait().await;
    }
}

async fn session(node: &Arc<Node>) -> Result<Infallible, LinkError> {
    let link = Link::connect(&node.config).await?;
    node.at_axis.clear();
    witness::catch_up(node, &link).await?;
    witness::read_registry(node, &link).await?;
    let (submitter, mut answers) = Submitter::open(&link, Arc::clone(&node.meters)).await?;
    // Dropping the set ends all of them.
    let mut loops = JoinSet::new();
    loops.spawn(async move { answers.hand_out().await });
    let term = term::open(node, &submitter).await?;
    tracing::info!(agency = %node.agency(), %term, "connected to the axis");
    node.connected.store(true, Ordering::Relaxed);
    node.meters.connected();
    // Behind everything that the loops before left with the recorder: what they were about to record must be found by those that look now.
    node.store.record_all(Vec::new()).await?;
    loops.spawn(witness::watch(Arc::clone(node), link.clone()));
    loops.spawn(outbox::run(Arc::clone(node), link.clone(), submitter.clone(), term));
    loops.spawn(receipts::run(Arc::clone(node), submitter, term));
    loops.spawn(inbox::run(Arc::clone(node), link, term));
    let ended = match loops.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(cause)) => Err(LinkError::Away(format!("a loop of the edge broke: {cause}"))),
        None => Err(LinkError::Away("no loop was running".to_owned())),
    };
    // None of them goes on beside those of the next connection.
    loops.shutdown().await;
    ended
}
