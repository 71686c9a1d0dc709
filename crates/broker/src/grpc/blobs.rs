//! `BlobService`: attachments, resumable at any byte.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use truc_blobs::{BlobError, BlobReader, BlobStore, UploadState};
use truc_core::Entry;
use truc_proto::broker::v1::blob_service_server::BlobService;
use truc_proto::broker::v1::{self as pb, upload_request};
use truc_signing::Statement;
use truc_transport::metrics::number;
use truc_transport::{status, tls};
use truc_types::limits::{BLOB_CHUNK_BYTES, STALLED_MILLIS_MAX};
use truc_types::{AgencyCode, Digest, MessageId, Position, Reason, Refusal};

use super::answers::stalled;
use crate::admission::{agency_index, check_disk};
use crate::flow::{Flow, Share, Turn};
use crate::meters::Meters;
use crate::published::Published;
use crate::sequencer::Command;

/// Chunks of a download that wait for a slow connection.
const CHUNKS_WAITING_MAX: usize = 4;
const STALLED_MAX: Duration = Duration::from_millis(STALLED_MILLIS_MAX);

pub(crate) struct Blobs {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) published: Arc<Published>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) flow: Arc<Flow>,
}

#[tonic::async_trait]
impl BlobService for Blobs {
    type DownloadStream = ReceiverStream<Result<pb::DownloadResponse, Status>>;

    async fn get_upload(&self, request: Request<pb::GetUploadRequest>) -> Result<Response<pb::GetUploadResponse>, Status> {
        let agency = self.agency(&request)?;
        let share = self.flow.share(&agency);
        let request = request.into_inner();
        let digest = digest(&request.sha256)?;
        let state = blocking(&share, self.store.clone(), move |store| store.upload_progress(&agency, &digest, request.size)).await?;
        Ok(Response::new(match state {
            UploadState::Resume(offset) => pb::GetUploadResponse { offset, complete: false },
            UploadState::Complete => pb::GetUploadResponse { offset: request.size, complete: true },
        }))
    }

    async fn upload(&self, request: Request<Streaming<pb::UploadRequest>>) -> Result<Response<pb::UploadResponse>, Status> {
        let agency = self.agency(&request)?;
        check_disk(&self.meters).map_err(|refusal| status::status(&refusal))?;
        let share = self.flow.share(&agency);
        let mut requests = request.into_inner();
        let Some(upload_request::Request::Begin(begin)) = next(&mut requests).await?.and_then(|first| first.request) else {
            return Err(invalid("request", "the first request is `begin`"));
        };
        let digest = digest(&begin.sha256)?;
        let of = agency.clone();
        let state = blocking(&share, self.store.clone(), move |store| store.begin_upload(&of, &digest, begin.size)).await?;
        let UploadState::Resume(mut offset) = state else {
            return Ok(Response::new(pb::UploadResponse { offset: begin.size, complete: true }));
        };
        if begin.offset != offset {
            let refusal =
                Refusal::new(Reason::BlobOffset, format!("the upload goes on at {offset}, not at {}", begin.offset)).with("offset", offset);
            return Err(status::status(&refusal));
        }
        let mut following = next(&mut requests).await?;
        while let Some(request) = following {
            let Some(upload_request::Request::Data(data)) = request.request else {
                return Err(invalid("request", "after `begin` comes `data`"));
            };
            if data.len() > BLOB_CHUNK_BYTES {
                let message = format!("a chunk has {} bytes, at most {BLOB_CHUNK_BYTES} are allowed", data.len());
                let refusal = Refusal::new(Reason::RequestInvalid, message).with("field", "data");
                return Err(status::status(&refusal.with("found", data.len()).with("limit", BLOB_CHUNK_BYTES)));
            }
            // A long upload must not go on filling a disk that has become full.
            check_disk(&self.meters).map_err(|refusal| status::status(&refusal))?;
            self.meters.blob_received.inc_by(data.len() as u64);
            let of = agency.clone();
            let append = blocking(&share, self.store.clone(), move |store| store.append(&of, &digest, offset, &data));
            // The next chunk comes while this one is hashed and written.
            (offset, following) = tokio::try_join!(append, next(&mut requests))?;
        }
        let complete = offset == begin.size;
        if complete {
            // The next attachment of this agency is hashed and written while the disk takes this one.
            on_thread(share.sync().await, self.store.clone(), move |store| store.finish(&agency, &digest)).await?;
            // One copy of what several upload is counted several times until the next hour.
            self.meters.blob_stored.inc_by(number(begin.size));
        }
        Ok(Response::new(pb::UploadResponse { offset, complete }))
    }

    async fn download(&self, request: Request<pb::DownloadRequest>) -> Result<Response<Self::DownloadStream>, Status> {
        let agency = self.agency(&request)?;
        let request = request.into_inner();
        let digest = digest(&request.sha256)?;
        let message_id: MessageId = request.message_id.parse().map_err(|cause| invalid("message_id", &format!("message_id: {cause}")))?;
        let share = self.flow.share(&agency);
        let place = share.download().await;
        let located = super::locate(&self.commands, &self.published, message_id).await;
        let position = located.map_err(|refusal| status::status(&refusal))?;
        let (published, turn) = (self.published.clone(), share.work().await);
        let allowed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            may_download(&published, &agency, position, &digest)
        });
        let allowed = allowed.await;
        let allowed = allowed.map_err(|cause| Status::internal(cause.to_string()))?;
        if !allowed.map_err(|refusal| status::status(&refusal))? {
            let refusal = Refusal::new(Reason::BlobUnknown, format!("{message_id} gives this agency no attachment {digest}"));
            return Err(status::status(&refusal.with("message_id", message_id).with("sha256", digest)));
        }
        let reader = blocking(&share, self.store.clone(), move |store| store.open_range(&digest, request.offset)).await?;
        let (chunks, waiting) = mpsc::channel(CHUNKS_WAITING_MAX + 1);
        let meters = self.meters.clone();
        tokio::spawn(async move {
            let _place = place;
            send_chunks(reader, chunks, &share, &meters).await;
        });
        Ok(Response::new(ReceiverStream::new(waiting)))
    }
}

impl Blobs {
    fn agency<T>(&self, request: &Request<T>) -> Result<AgencyCode, Status> {
        let agency = tls::peer_agency(request).map_err(|refusal| status::status(&refusal))?;
        agency_index(&self.published, &agency).map_err(|refusal| status::status(&refusal))?;
        Ok(agency)
    }
}

/// Only a recipient of an accepted envelope that carries the digest may have it; everybody else is told the same as if it did not exist. What an
/// envelope lists as derived from its edXML file was never uploaded for it: such a digest may name a blob of strangers.
fn may_download(published: &Published, agency: &AgencyCode, position: Option<Position>, digest: &Digest) -> Result<bool, Refusal> {
    let Some(position) = position else { return Ok(false) };
    let entry = Entry::parse(published.entry(position)?).map_err(|cause| Refusal::new(Reason::JournalCorrupt, cause.to_string()))?;
    let Statement::Envelope(envelope) = &entry.statement else { return Ok(false) };
    let carried = envelope.carried().iter().any(|(carried, _)| carried == digest);
    let registry = published.registry();
    let own = registry.agency_index(agency);
    let received = envelope
        .recipients
        .iter()
        .filter_map(|code| registry.organisation(code))
        .any(|(_, organisation)| Some(organisation.served_by) == own);
    Ok(carried && received)
}

/// A thread is taken for each chunk, never for the time that the other side takes: slow readers must not use the threads up that everybody shares.
async fn send_chunks(
    mut reader: BlobReader,
    chunks: mpsc::Sender<Result<pb::DownloadResponse, Status>>,
    share: &Arc<Share>,
    meters: &Meters,
) {
    // For the reason of the end, however full it is.
    let Ok(closing) = chunks.clone().reserve_owned().await else { return };
    while reader.remaining() > 0 {
        // First the room for it: who reads nothing takes no turn.
        let room = match tokio::time::timeout(STALLED_MAX, chunks.reserve()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return,
            Err(_) => {
                closing.send(Err(status::status(&stalled("nothing of the download was read"))));
                return;
            }
        };
        let turn = share.work().await;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let chunk = reader.chunk().map(|data| pb::DownloadResponse { data: data.into() });
            (reader, chunk)
        });
        let Ok((rest, chunk)) = read.await else { return };
        reader = rest;
        let failed = chunk.is_err();
        meters.blob_sent.inc_by(chunk.as_ref().map_or(0, |chunk| chunk.data.len() as u64));
        let chunk = chunk.map_err(|cause| status::status(&Refusal::new(Reason::of_system(&cause, Reason::BlobStorage), cause.to_string())));
        room.send(chunk);
        if failed {
            return;
        }
    }
}

/// The next request of an upload, if it comes in time.
async fn next(requests: &mut Streaming<pb::UploadRequest>) -> Result<Option<pb::UploadRequest>, Status> {
    let next = tokio::time::timeout(STALLED_MAX, requests.message()).await;
    next.unwrap_or_else(|_| Err(status::status(&stalled("nothing of the upload came"))))
}

fn digest(bytes: &[u8]) -> Result<Digest, Status> {
    bytes.try_into().map(Digest).map_err(|_| {
        let refusal = Refusal::new(Reason::RequestInvalid, format!("sha256 has {} bytes instead of 32", bytes.len()));
        status::status(&refusal.with("field", "sha256").with("found", bytes.len()))
    })
}

fn invalid(field: &str, message: &str) -> Status {
    status::status(&Refusal::new(Reason::RequestInvalid, message).with("field", field))
}

/// Work on a thread of its own, when it is the agency's turn. The turn is held by the work: who gives a call up has no thread more.
async fn blocking<T: Send + 'static>(
    share: &Arc<Share>,
    store: Arc<dyn BlobStore>,
    work: impl FnOnce(&dyn BlobStore) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Status> {
    on_thread(share.work().await, store, work).await
}

async fn on_thread<T: Send + 'static>(
    turn: Turn,
    store: Arc<dyn BlobStore>,
    work: impl FnOnce(&dyn BlobStore) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work(store.as_ref())
    });
    let done = done.await.map_err(|_| status::status(&Refusal::new(Reason::ShuttingDown, "the broker ends")))?;
    done.map_err(|cause| status::status(&cause.to_refusal()))
}
