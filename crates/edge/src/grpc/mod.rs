//! The gRPC server for the DMS: one file per group of calls, which turn messages into values and back. What is done stands in the parts behind.

mod admin;
mod answer;
mod catalogue;
mod directory;
mod document;
pub(crate) mod draft;
mod edxml;
mod events;
mod evidence;
mod info;
pub(crate) mod receive;
mod receive_edxml;
mod send;
mod small;
mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::server::NamedService as _;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use truc_proto::admin::v1::edge_admin_service_server::EdgeAdminServiceServer;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::directory_service_server::DirectoryServiceServer;
use truc_proto::edge::v1::document_service_server::{DocumentService, DocumentServiceServer};
use truc_transport::shutdown::Shutdown;
use truc_transport::status::status as status_of;
use truc_transport::{accept, reflection};
use truc_types::limits::{
    CALLS_PER_CONNECTION_MAX, DMS_SILENCE_MILLIS_MAX, DMS_STREAMS_MAX, GRPC_MESSAGE_BYTES_MAX, HEADER_LIST_BYTES_MAX, KEEPALIVE_MILLIS,
    RESET_STREAMS_MAX,
};
use truc_types::{MessageId, OrganisationCode, Reason, Refusal};

use crate::access::{Admission, Guard};
use crate::error::EdgeError;
use crate::hand_in::Turn;
use crate::node::Node;

/// Messages that wait for a slow reader, per stream.
const STREAM_AHEAD: usize = 4;

/// What the port describes to tools.
const SERVICES: [&str; 2] = ["grpc.health.v1.Health", DocumentServiceServer::<Documents>::NAME];

/// Serves until the shutdown has begun and the last call has ended.
pub(crate) async fn serve(node: Arc<Node>, listener: TcpListener, guard: Guard, shutdown: Shutdown) -> Result<(), EdgeError> {
    let failed = |cause: tonic::transport::Error| EdgeError::Serve(chain(&cause));
    let (health, health_service) = tonic_health::server::health_reporter();
    // The edge takes documents whether the axis is there or not: the line is no part of readiness.
    let mut readiness = node.checks.subscribe();
    let telling = async move {
        loop {
            let serving = if *readiness.borrow_and_update() { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in ["", DocumentServiceServer::<Documents>::NAME] {
                health.set_service_status(service, serving).await;
            }
            if readiness.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reflection = if node.config.reflection { Some(reflection::services(&SERVICES)) } else { None };
    let reflection = reflection.transpose().map_err(|refusal| EdgeError::Serve(refusal.to_string()))?;
    let (reflection, reflection_alpha) = reflection.unzip();
    let keepalive = Some(Duration::from_millis(KEEPALIVE_MILLIS));
    let mut server = tonic::transport::Server::builder()
        .max_concurrent_streams(Some(CALLS_PER_CONNECTION_MAX))
        .http2_keepalive_interval(keepalive)
        .http2_keepalive_timeout(keepalive)
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .http2_max_local_error_reset_streams(Some(RESET_STREAMS_MAX));
    let tls = node.config.access.tls.clone();
    let directory = DirectoryServiceServer::new(directory::Directory { node: Arc::clone(&node) });
    let operator = EdgeAdminServiceServer::new(admin::Admin { node: Arc::clone(&node) });
    let documents =
        DocumentServiceServer::new(Documents { node, shutdown: shutdown.clone() }).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
    let server = server.add_optional_service(reflection).add_optional_service(reflection_alpha);
    let server = server.add_service(health_service).add_service(InterceptedService::new(directory, guard.clone()));
    let server = server.add_service(InterceptedService::new(documents, guard.clone()));
    let server = server.add_service(InterceptedService::new(operator, guard.clone()));
    let stop = async move { shutdown.begun().await };
    let served = async move {
        match tls {
            None => server.serve_with_incoming_shutdown(accept::plain(listener), stop).await,
            // Handshakes of our own: who connects and says nothing gives its place back, and a certificate can be renewed while the edge runs.
            Some(tls) => server.serve_with_incoming_shutdown(accept::tls(listener, tls.server().clone()), stop).await,
        }
    };
    tokio::select! {
        served = served => served.map_err(failed),
        () = guard.keep_fresh() => Ok(()),
        never = telling => never,
    }
}

/// An error with its causes: the transport's own words are "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |cause| cause.source()).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The service of one edge.
#[derive(Clone)]
struct Documents {
    node: Arc<Node>,
    shutdown: Shutdown,
}

type Stream<T> = ReceiverStream<Result<T, Status>>;

/// Sends to one reader until it goes away or the process ends.
struct Sender<T> {
    messages: mpsc::Sender<Result<T, Status>>,
    shutdown: Shutdown,
}

/// The reader went away, or the process ends.
struct Ended;

impl<T: Send + 'static> Sender<T> {
    async fn send(&self, message: T) -> Result<(), Ended> {
        let message = match self.messages.try_send(Ok(message)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(message)) => message,
            Err(TrySendError::Closed(_)) => return Err(Ended),
        };
        tokio::select! {
            sent = self.messages.send(message) => sent.map_err(|_| Ended),
            () = self.shutdown.begun() => Err(Ended),
        }
    }

    /// Waits for something that happens while somebody reads.
    async fn wait<O>(&self, event: impl Future<Output = O>) -> Result<O, Ended> {
        tokio::select! {
            outcome = event => Ok(outcome),
            () = self.messages.closed() => Err(Ended),
            () = self.shutdown.begun() => Err(Ended),
        }
    }
}

/// How a stream ends: a reader that went away needs no answer.
enum StreamError {
    Ended,
    Refused(Refusal),
}

impl From<Ended> for StreamError {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl From<Refusal> for StreamError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The next message of a stream that a DMS sends. One that says nothing more gives its thread back; what came of a hand-in is kept.
async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
    let silence = Duration::from_millis(DMS_SILENCE_MILLIS_MAX);
    tokio::time::timeout(silence, stream.message()).await.unwrap_or_else(|_| {
        let message = format!("nothing came for {DMS_SILENCE_MILLIS_MAX} ms in the middle of the stream");
        Err(status_of(&Refusal::new(Reason::FlowStalled, message).with("limit_millis", DMS_SILENCE_MILLIS_MAX)))
    })
}

impl Documents {
    /// Takes a stream of the DMS as long as its token counts. One too many is refused and does not wait: what it sends meanwhile would fill the window of its
    /// connection, and hold up those that are being read. Its turn lasts longer than the call where work goes on that nobody waits for any more.
    async fn taken<T, O, F>(&self, request: Request<Streaming<T>>, take: impl FnOnce(Streaming<T>, Turn) -> F) -> Result<O, Status>
    where
        F: Future<Output = Result<O, Status>>,
    {
        let admission = Admission::of(&request);
        let turn = Arc::clone(&self.node.streams).try_acquire_owned().map(Arc::new).map_err(|_| {
            let message = format!("{DMS_STREAMS_MAX} streams of this DMS are being taken");
            status_of(&Refusal::new(Reason::UploadTooMany, message).with("limit", DMS_STREAMS_MAX))
        })?;
        Box::pin(admission.during(take(request.into_inner(), Arc::clone(&turn)))).await.map_err(|refusal| status_of(&refusal))?
    }

    /// A stream whose messages `produce` sends.
    fn stream<T, F>(&self, admission: Admission, produce: impl FnOnce(Arc<Node>, Sender<T>) -> F) -> Response<Stream<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), StreamError>> + Send + 'static,
    {
        let (messages, receiver) = mpsc::channel(STREAM_AHEAD);
        let sender = Sender { messages: messages.clone(), shutdown: self.shutdown.clone() };
        let produced = produce(Arc::clone(&self.node), sender);
        tokio::spawn(async move {
            let ended = admission.during(produced).await.unwrap_or_else(|refusal| Err(refusal.into()));
            if let Err(StreamError::Refused(refusal)) = ended {
                // A reader that went away does not need the reason.
                let _gone = messages.send(Err(status_of(&refusal))).await;
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

fn answer<T>(outcome: Result<T, Refusal>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|refusal| status_of(&refusal))
}

#[tonic::async_trait]
impl DocumentService for Documents {
    async fn send_document(
        &self,
        request: Request<Streaming<pb::SendDocumentRequest>>,
    ) -> Result<Response<pb::SendDocumentResponse>, Status> {
        self.node.meters.check_disk().map_err(|refusal| status_of(&refusal))?;
        let sent = self.taken(request, |stream, turn| send::send_document(&self.node, stream, turn)).await?;
        answer(sent.map(|message_id| pb::SendDocumentResponse { message_id: message_id.to_string() }))
    }

    async fn get_send_progress(
        &self,
        request: Request<pb::GetSendProgressRequest>,
    ) -> Result<Response<pb::GetSendProgressResponse>, Status> {
        let progress = send::progress(&self.node, request.into_inner()).await;
        answer(progress.map(|progress| pb::GetSendProgressResponse { progress: Some(progress) }))
    }

    async fn send_edxml(&self, request: Request<Streaming<pb::SendEdxmlRequest>>) -> Result<Response<pb::SendEdxmlResponse>, Status> {
        self.node.meters.check_disk().map_err(|refusal| status_of(&refusal))?;
        self.taken(request, |stream, _| edxml::send_edxml(&self.node, stream)).await.map(Response::new)
    }

    async fn check_edxml(&self, request: Request<Streaming<pb::CheckEdxmlRequest>>) -> Result<Response<pb::CheckEdxmlResponse>, Status> {
        self.taken(request, |stream, _| edxml::check_edxml(stream)).await.map(Response::new)
    }

    type ReceiveEdxmlStream = Stream<pb::ReceiveEdxmlResponse>;

    async fn receive_edxml(&self, request: Request<pb::ReceiveEdxmlRequest>) -> Result<Response<Self::ReceiveEdxmlStream>, Status> {
        let (admission, request) = (Admission::of(&request), request.into_inner());
        let cursor = receive::start(&self.node, request.after_cursor).await.map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| receive_edxml::documents(node, sender, cursor, request.no_wait)))
    }

    type ReceiveDocumentsStream = Stream<pb::ReceiveDocumentsResponse>;

    async fn receive_documents(
        &self,
        request: Request<pb::ReceiveDocumentsRequest>,
    ) -> Result<Response<Self::ReceiveDocumentsStream>, Status> {
        let (admission, request) = (Admission::of(&request), request.into_inner());
        let cursor = receive::start(&self.node, request.after_cursor).await.map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| receive::documents(node, sender, cursor, request.no_wait)))
    }

    async fn confirm_documents(
        &self,
        request: Request<pb::ConfirmDocumentsRequest>,
    ) -> Result<Response<pb::ConfirmDocumentsResponse>, Status> {
        answer(receive::confirm(&self.node, request.into_inner().cursor).await.map(|()| pb::ConfirmDocumentsResponse {}))
    }

    type DownloadAttachmentStream = Stream<pb::DownloadAttachmentResponse>;

    async fn download_attachment(
        &self,
        request: Request<pb::DownloadAttachmentRequest>,
    ) -> Result<Response<Self::DownloadAttachmentStream>, Status> {
        let (admission, request) = (Admission::of(&request), request.into_inner());
        let digest = receive::attachment(&self.node, &request).await.map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| async move {
            let chunk = |data| pb::DownloadAttachmentResponse { data };
            receive::stream_blob(&node, &sender, digest, request.offset, chunk).await
        }))
    }

    async fn acknowledge(&self, request: Request<pb::AcknowledgeRequest>) -> Result<Response<pb::AcknowledgeResponse>, Status> {
        answer(answer::acknowledge(&self.node, request.into_inner()).await.map(|()| pb::AcknowledgeResponse {}))
    }

    async fn refuse(&self, request: Request<pb::RefuseRequest>) -> Result<Response<pb::RefuseResponse>, Status> {
        answer(answer::refuse(&self.node, request.into_inner()).await.map(|()| pb::RefuseResponse {}))
    }

    async fn get_document(&self, request: Request<pb::GetDocumentRequest>) -> Result<Response<pb::GetDocumentResponse>, Status> {
        let found = catalogue::get(&self.node, request.into_inner()).await;
        answer(found.map(|document| pb::GetDocumentResponse { document: Some(document) }))
    }

    async fn list_documents(&self, request: Request<pb::ListDocumentsRequest>) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        answer(catalogue::list(&self.node, request.into_inner()).await)
    }

    async fn get_thread(&self, request: Request<pb::GetThreadRequest>) -> Result<Response<pb::GetThreadResponse>, Status> {
        answer(catalogue::thread(&self.node, request.into_inner()).await)
    }

    async fn get_edge_info(&self, _request: Request<pb::GetEdgeInfoRequest>) -> Result<Response<pb::GetEdgeInfoResponse>, Status> {
        answer(info::info(&self.node).await)
    }

    type WatchEventsStream = Stream<pb::WatchEventsResponse>;
    async fn watch_events(&self, request: Request<pb::WatchEventsRequest>) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (admission, request) = (Admission::of(&request), request.into_inner());
        let cursor = events::start(&self.node, request.after_cursor).await.map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| events::events(node, sender, cursor, request.no_wait)))
    }

    async fn get_status(&self, request: Request<pb::GetStatusRequest>) -> Result<Response<pb::GetStatusResponse>, Status> {
        let found = status::status(&self.node, request.into_inner()).await;
        answer(found.map(|status| pb::GetStatusResponse { status: Some(status) }))
    }

    type WatchStatusStream = Stream<pb::WatchStatusResponse>;

    async fn watch_status(&self, request: Request<pb::WatchStatusRequest>) -> Result<Response<Self::WatchStatusStream>, Status> {
        let admission = Admission::of(&request);
        let message_id = message_id(&request.into_inner().message_id).map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| status::watch(node, sender, message_id)))
    }

    type GetEvidenceStream = Stream<pb::GetEvidenceResponse>;

    async fn get_evidence(&self, request: Request<pb::GetEvidenceRequest>) -> Result<Response<Self::GetEvidenceStream>, Status> {
        let (admission, request) = (Admission::of(&request), request.into_inner());
        let parsed = message_id(&request.message_id).and_then(|id| Ok((id, organisation("recipient", &request.recipient)?)));
        let (message_id, recipient) = parsed.map_err(|refusal| status_of(&refusal))?;
        Ok(self.stream(admission, move |node, sender| evidence::folder(node, sender, message_id, recipient)))
    }
}

/// A message id of a request.
fn message_id(text: &str) -> Result<MessageId, Refusal> {
    text.parse().map_err(|cause| invalid("message_id", format!("message_id: {cause}")))
}

/// A code of a request.
fn organisation(field: &str, text: &str) -> Result<OrganisationCode, Refusal> {
    text.parse().map_err(|cause| invalid(field, format!("{field}: {cause}")))
}

/// A field of a request that is wrong.
fn invalid(field: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::RequestInvalid, message).with("field", field)
}

/// Nothing with this id is known here.
fn unknown(message_id: &MessageId) -> Refusal {
    Refusal::new(Reason::MessageUnknown, format!("{message_id} is not known here")).with("message_id", message_id)
}
