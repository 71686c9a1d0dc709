//! The connection of one agency to the broker: mutual TLS, its attachment, its term, its submit streams.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use truc_broker::Engine;
use truc_ledger::LogVerifier;
use truc_proto::broker::v1::blob_service_client::BlobServiceClient;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_proto::broker::v1::{SubmitRequest, SubmitResponse, UploadRequest, upload_request};
use truc_signing::sha256;
use truc_transport::shutdown::Shutdown;
use truc_transport::tls::{self, Peer};
use truc_types::limits::{BLOB_CHUNK_BYTES, SUBMIT_IN_FLIGHT_MAX};
use truc_types::{EdgeTerm, Reason, Refusal};

use super::axis::Agency;
use super::check::Checker;
use super::stock::{ATTACHMENT, Sealed, opening};
use crate::failure::Failure;

/// HTTP/2 windows: answers of a whole block fit.
pub(super) const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Clone)]
pub(super) struct Lane {
    channel: Channel,
    url: String,
}

/// Both directions of a submit stream.
pub(super) struct Stream {
    pub(super) requests: mpsc::Sender<SubmitRequest>,
    answers: Pin<Box<dyn tokio_stream::Stream<Item = Result<SubmitResponse, Status>> + Send>>,
    url: String,
}

impl Lane {
    /// Connects an agency and uploads its attachment.
    pub(super) async fn open(address: SocketAddr, agency: &Agency) -> Result<Self, Failure> {
        let lane = Self::connect(address, agency, STREAM_WINDOW_BYTES).await?;
        lane.upload().await?;
        Ok(lane)
    }

    /// Connects an agency; the broker may send so many bytes on a stream before it is told that they were read.
    pub(super) async fn connect(address: SocketAddr, agency: &Agency, window_bytes: u32) -> Result<Self, Failure> {
        let url = format!("https://{address}");
        let away = |cause: tonic::transport::Error| Failure::Unreachable { url: url.clone(), message: cause.to_string() };
        let endpoint =
            Endpoint::from_shared(url.clone()).and_then(|endpoint| endpoint.tls_config(tls::client(&agency.tls))).map_err(away)?;
        let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
        let endpoint = endpoint.initial_stream_window_size(window_bytes).initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let channel = endpoint.connect().await.map_err(away)?;
        Ok(Self { channel, url })
    }

    /// Opens a term of the agency: sequence numbers begin anew.
    pub(super) async fn open_term(&self, agency: &Agency, term: EdgeTerm, log: &LogVerifier) -> Result<(), Failure> {
        self.submit().await?.open_term(agency, term, log).await
    }

    async fn upload(&self) -> Result<(), Failure> {
        let begin = upload_request::Begin { sha256: sha256(ATTACHMENT).0.to_vec().into(), size: ATTACHMENT.len() as u64, offset: 0 };
        let pieces = [upload_request::Request::Begin(begin), upload_request::Request::Data(ATTACHMENT.into())];
        let pieces = tokio_stream::iter(pieces.map(|request| UploadRequest { request: Some(request) }));
        let uploaded = BlobServiceClient::new(self.channel.clone()).upload(pieces).await;
        let uploaded = uploaded.map_err(|status| Failure::of_status(&self.url, &status))?.into_inner();
        if uploaded.complete { Ok(()) } else { Err(Failure::BadAnswer("an upload that is not complete".to_owned())) }
    }

    /// Uploads bytes under a digest that they do not have. What becomes of it is of no interest.
    pub(super) async fn upload_in_vain(&self, number: usize, attempt: u64, bytes: usize) {
        let digest = sha256(format!("{number} {attempt}").as_bytes());
        let begin = upload_request::Begin { sha256: digest.0.to_vec().into(), size: bytes as u64, offset: 0 };
        let chunk = bytes::Bytes::from(vec![0; BLOB_CHUNK_BYTES]);
        let chunks = std::iter::repeat_n(upload_request::Request::Data(chunk), bytes / BLOB_CHUNK_BYTES);
        let pieces = std::iter::once(upload_request::Request::Begin(begin)).chain(chunks);
        let pieces = tokio_stream::iter(pieces.map(|request| UploadRequest { request: Some(request) }));
        if let Err(status) = BlobServiceClient::new(self.channel.clone()).upload(pieces).await {
            tracing::debug!(%status, "an upload in vain");
        }
    }

    /// Submits one statement without end; its answers.
    pub(super) async fn submit_without_end(&self, statement: bytes::Bytes) -> Result<Streaming<SubmitResponse>, Failure> {
        let request = SubmitRequest { request_id: 0, statement, force_takeover: false };
        let answers = SubmitServiceClient::new(self.channel.clone()).submit(tokio_stream::iter(std::iter::repeat(request))).await;
        answers.map(tonic::Response::into_inner).map_err(|status| Failure::of_status(&self.url, &status))
    }

    /// A new submit stream.
    pub(super) async fn submit(&self) -> Result<Stream, Failure> {
        let (requests, sent) = mpsc::channel(SUBMIT_IN_FLIGHT_MAX);
        let answers = SubmitServiceClient::new(self.channel.clone()).submit(ReceiverStream::new(sent)).await;
        let answers = answers.map_err(|status| Failure::of_status(&self.url, &status))?.into_inner();
        Ok(Stream { requests, answers: Box::pin(answers), url: self.url.clone() })
    }
}

/// A new submit stream of each.
pub(super) async fn streams(lanes: &[Lane]) -> Result<Vec<Stream>, Failure> {
    let mut streams = Vec::with_capacity(lanes.len());
    for lane in lanes {
        streams.push(lane.submit().await?);
    }
    Ok(streams)
}

impl Stream {
    /// A submit stream of an agency to an engine in this process.
    pub(super) fn within(engine: &Engine, agency: &Agency, shutdown: &Shutdown) -> Self {
        let (requests, sent) = mpsc::channel(SUBMIT_IN_FLIGHT_MAX);
        let answers = engine.submit(Peer::within(agency.code.clone()), ReceiverStream::new(sent).map(Ok), shutdown);
        Self { requests, answers: Box::pin(answers), url: "this process".to_owned() }
    }

    /// Opens a term of the agency that the stream is of.
    pub(super) async fn open_term(&mut self, agency: &Agency, term: EdgeTerm, log: &LogVerifier) -> Result<(), Failure> {
        let opening = opening(agency, term);
        self.send(0, &opening).await?;
        let answer = self.answer().await?.ok_or_else(ended)?;
        Checker::new(log.clone()).statement(&opening, answer.outcome).map(drop).map_err(Failure::Refused)
    }

    /// Hands a statement over.
    pub(super) async fn send(&mut self, request_id: u64, sealed: &Sealed) -> Result<(), Failure> {
        send(&self.requests, request_id, sealed).await
    }

    /// The next answer; none when all were given.
    pub(super) async fn answer(&mut self) -> Result<Option<SubmitResponse>, Failure> {
        self.answers.next().await.transpose().map_err(|status| Failure::of_status(&self.url, &status))
    }
}

/// Hands a statement over.
pub(super) async fn send(requests: &mpsc::Sender<SubmitRequest>, request_id: u64, sealed: &Sealed) -> Result<(), Failure> {
    let request = SubmitRequest { request_id, statement: sealed.file.clone(), force_takeover: false };
    requests.send(request).await.map_err(|_| ended())
}

/// The broker ended a stream that it should not have.
pub(super) fn ended() -> Failure {
    Failure::Refused(Refusal::new(Reason::BrokerAway, "the broker ended a submit stream"))
}
