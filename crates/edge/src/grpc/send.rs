//! SendDocument and GetSendProgress: a header, then the attachments' bytes in order. A stream that breaks leaves its bytes for the next one.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use truc_blobs::{BlobStore, Stored};
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::get_send_progress_response::Progress;
use truc_proto::edge::v1::send_document_request::Request;
use truc_signing::sha256;
use truc_signing::statement::{Attachment, Envelope};
use truc_types::limits::BLOB_CHUNK_BYTES;
use truc_types::{Digest, MessageId, Reason, Refusal};

use super::small::Small;
use super::{draft, invalid, next};
use crate::hand_in::{HandIn, Takeover, Turn, superseded};
use crate::node::Node;

/// Attachments of a document that are taken in memory, all together: as much as one piece of a stream, of which every stream may have some in memory anyway.
const SMALL_BYTES_MAX: u64 = BLOB_CHUNK_BYTES as u64;
/// Chunks that wait for the disk.
const CHUNKS_WAITING: usize = 4;

/// Takes a document.
pub(super) async fn send_document(
    node: &Arc<Node>,
    mut stream: Streaming<pb::SendDocumentRequest>,
    turn: Turn,
) -> Result<Result<MessageId, Refusal>, Status> {
    let Some(pb::SendDocumentRequest { request: Some(Request::Header(header)), resume_from }) = next(&mut stream).await? else {
        return Ok(Err(invalid("request", "the first request must be the header")));
    };
    match begin(node, header, resume_from, turn).await {
        // On the heap: ten kilobytes of future would be moved again by each of the layers above.
        Ok(begun) if begun.is_small => Box::pin(take_small(node, begun, stream)).await,
        Ok(begun) => Box::pin(take(node, begun, stream)).await,
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// A hand-in whose header is checked.
struct Begun {
    reference: String,
    envelope: Envelope,
    hand_in: HandIn,
    takeover: Takeover,
    from: u64,
    /// Taken in memory.
    is_small: bool,
}

async fn begin(node: &Arc<Node>, header: pb::DocumentHeader, resume_from: Option<u64>, turn: Turn) -> Result<Begun, Refusal> {
    let reference = header.client_reference.clone();
    draft::check_reference(&reference)?;
    let envelope = draft::from_header(node, header)?;
    draft::check_sendable(node, &reference, &envelope).await?;
    let (hand_in, takeover) = node.hand_ins.enter(&reference, turn).await?;
    // What is kept of another document under this reference is overwritten or gone on with: nobody must be told of it when this one breaks off.
    if resume_from.is_none_or(|from| from == 0) && sizes(&envelope).iter().sum::<u64>() <= SMALL_BYTES_MAX && !hand_in.is_kept() {
        return Ok(Begun { reference, envelope, hand_in, takeover, from: 0, is_small: true });
    }
    let digest = sha256(&envelope.to_json());
    let begun = tokio::task::spawn_blocking(move || hand_in.begin(digest, resume_from).map(|from| (hand_in, from)));
    let (hand_in, from) = begun.await.map_err(|cause| Refusal::new(Reason::BlobStorage, cause.to_string()))??;
    Ok(Begun { reference, envelope, hand_in, takeover, from, is_small: false })
}

/// The bytes of a message after the header.
fn data_of(message: pb::SendDocumentRequest) -> Result<Bytes, Refusal> {
    match message {
        pb::SendDocumentRequest { request: Some(Request::Data(data)), resume_from: None } => check_chunk(&data).map(|()| data),
        _ => Err(invalid("request", "after the header only data may come")),
    }
}

/// Takes a document whose attachments stay in memory until they are published. Durable before the answer like every other: the attachments first, then the
/// record that names them.
async fn take_small(
    node: &Arc<Node>,
    begun: Begun,
    mut stream: Streaming<pb::SendDocumentRequest>,
) -> Result<Result<MessageId, Refusal>, Status> {
    let Begun { reference, envelope, hand_in, mut takeover, .. } = begun;
    let sizes = sizes(&envelope);
    let total = sizes.iter().sum::<u64>();
    let mut small = Small::new(hand_in, envelope);
    loop {
        let message = tokio::select! {
            message = next(&mut stream) => message,
            () = takeover.happened() => return Ok(Err(superseded())),
        };
        let data = match message {
            Ok(Some(message)) => data_of(message),
            Ok(None) => break,
            Err(status) => {
                small.keep().await;
                return Err(status);
            }
        };
        match data.map(|data| small.extend(data)) {
            Ok(found) if found > total => return refused(small, too_many(total)),
            Ok(_) => {}
            Err(refusal) => return refused(small, refusal),
        }
    }
    let found = small.len();
    if found < total {
        small.keep().await;
        return Ok(Err(too_few(found, total)));
    }
    let Some((hand_in, mut envelope, mut bytes)) = small.take() else { return Ok(Err(superseded())) };
    let pieces: Vec<Bytes> =
        sizes.iter().map(|size| bytes.split_to(usize::try_from(*size).unwrap_or(usize::MAX).min(bytes.len()))).collect();
    let known = match put_digests(&mut envelope, pieces.iter().map(|piece| sha256(piece)).collect()) {
        Ok(()) if envelope.attachments.iter().all(|attachment| node.holds(&attachment.sha256, attachment.size)) => {
            // Nothing is kept of it but the record, and who makes that asks the same.
            let recorded = draft::record(node, reference, envelope).await;
            drop(hand_in);
            return Ok(recorded);
        }
        Ok(()) => draft::recorded_before(node, &reference, &envelope).await,
        Err(refusal) => Err(refusal),
    };
    match known {
        Ok(None) => match publish(node, hand_in, &envelope, pieces).await {
            Ok(_alone) => Ok(draft::record(node, reference, envelope).await),
            Err(refusal) => Ok(Err(refusal)),
        },
        Ok(Some(message_id)) => Ok(Ok(message_id)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// A document that is refused leaves nothing behind.
fn refused(small: Small, refusal: Refusal) -> Result<Result<MessageId, Refusal>, Status> {
    drop(small.take());
    Ok(Err(refusal))
}

/// Keeps attachments of which this edge does not have the bytes yet, or no longer all of them. A call that is given up meanwhile still writes alone.
async fn publish(node: &Node, hand_in: HandIn, envelope: &Envelope, pieces: Vec<Bytes>) -> Result<HandIn, Refusal> {
    let agency = node.agency().clone();
    let pieces: Vec<_> = envelope.attachments.iter().map(|attachment| attachment.sha256).zip(pieces).collect();
    let put = move |blobs: &dyn BlobStore| {
        for (digest, piece) in &pieces {
            if blobs.owns(&agency, digest)? != Some(piece.len() as u64) {
                blobs.put_from_reader(&agency, &mut &**piece)?;
            }
        }
        Ok(hand_in)
    };
    node.with_blobs(put).await
}

/// Whatever a refusal says, these bytes under this header get no other answer; an unknown outcome does.
async fn forget(hand_in: HandIn, recorded: &Result<MessageId, Refusal>) -> Result<(), Status> {
    if recorded.as_ref().map_or_else(|refusal| refusal.reason != Reason::OutcomeUnknown, |_| true) {
        tokio::task::spawn_blocking(move || hand_in.forget()).await.map_err(|cause| Status::internal(cause.to_string()))?;
    }
    Ok(())
}

async fn take(
    node: &Arc<Node>,
    begun: Begun,
    mut stream: Streaming<pb::SendDocumentRequest>,
) -> Result<Result<MessageId, Refusal>, Status> {
    let Begun { reference, mut envelope, hand_in, mut takeover, from, .. } = begun;
    let (chunks, intake) = Intake::new();
    let sizes = sizes(&envelope);
    // It goes on when this call is dropped because the line broke: what has come is kept.
    let storing = tokio::task::spawn_blocking(move || {
        let taken = take_bytes(&sizes, from, &hand_in, intake);
        (hand_in, taken)
    });
    let mut refused = None;
    loop {
        let message = tokio::select! {
            message = next(&mut stream) => message?,
            () = takeover.happened() => return Ok(Err(superseded())),
        };
        let Some(message) = message else { break };
        match data_of(message) {
            Ok(data) => {
                // The storing side has ended early: it says why.
                if chunks.send(data).await.is_err() {
                    break;
                }
            }
            Err(refusal) => {
                refused = Some(refusal);
                break;
            }
        }
    }
    drop(chunks);
    let (hand_in, taken) = storing.await.map_err(|cause| Status::internal(cause.to_string()))?;
    if let Some(refusal) = refused {
        let refused = Err(refusal);
        forget(hand_in, &refused).await?;
        return Ok(refused);
    }
    let digests = match taken {
        Ok(digests) => digests,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let known = match put_digests(&mut envelope, digests) {
        Ok(()) => draft::recorded_before(node, &reference, &envelope).await,
        Err(refusal) => Err(refusal),
    };
    let (hand_in, recorded) = match known {
        Ok(None) => {
            let blobs = Arc::clone(&node.blobs);
            let storing = tokio::task::spawn_blocking(move || {
                let stored = store_attachments(blobs.as_ref(), &envelope, &hand_in);
                (hand_in, envelope, stored)
            });
            let (hand_in, envelope, stored) = storing.await.map_err(|cause| Status::internal(cause.to_string()))?;
            if let Err(refusal) = stored {
                return Ok(Err(refusal));
            }
            (hand_in, draft::record(node, reference, envelope).await)
        }
        Ok(Some(message_id)) => (hand_in, Ok(message_id)),
        Err(refusal) => (hand_in, Err(refusal)),
    };
    forget(hand_in, &recorded).await?;
    Ok(recorded)
}

/// How far a hand-in has come.
pub(super) async fn progress(node: &Arc<Node>, request: pb::GetSendProgressRequest) -> Result<Progress, Refusal> {
    let reference = request.client_reference;
    draft::check_reference(&reference)?;
    let asked = reference.clone();
    if let Some(known) = node.store.read(move |state| state.reference(&asked)).await? {
        return Ok(Progress::MessageId(known.message_id.to_string()));
    }
    let ins = Arc::clone(&node.hand_ins);
    let kept = tokio::task::spawn_blocking(move || ins.kept(&reference)).await;
    let kept = kept.map_err(|cause| Refusal::new(Reason::BlobStorage, cause.to_string()))??;
    let bytes = kept.ok_or_else(|| Refusal::new(Reason::MessageUnknown, "nothing is kept under this client reference: begin anew"))?;
    Ok(Progress::BytesKept(bytes))
}

pub(super) fn sizes(envelope: &Envelope) -> Vec<u64> {
    envelope.attachments.iter().map(|attachment| attachment.size).collect()
}

/// The digests that were found, unless the DMS declared others.
fn put_digests(envelope: &mut Envelope, digests: Vec<Digest>) -> Result<(), Refusal> {
    for (index, (attachment, found)) in envelope.attachments.iter_mut().zip(digests).enumerate() {
        if attachment.sha256 != Digest([0; 32]) && attachment.sha256 != found {
            let field = format!("document.attachments[{index}].sha256");
            let message = format!("{field} is {}, the bytes that came have {found}", attachment.sha256);
            return Err(Refusal::new(Reason::AttachmentDigestMismatch, message).with("field", field).with("index", index));
        }
        attachment.sha256 = found;
    }
    Ok(())
}

/// A piece of a stream is within the limit of the interface.
pub(super) fn check_chunk(data: &Bytes) -> Result<(), Refusal> {
    if data.len() > BLOB_CHUNK_BYTES {
        let refusal = invalid("data", format!("a piece of {} bytes, at most {BLOB_CHUNK_BYTES} are allowed", data.len()));
        return Err(refusal.with("found", data.len()).with("limit", BLOB_CHUNK_BYTES));
    }
    Ok(())
}

fn too_few(found: u64, declared: u64) -> Refusal {
    let message = format!("{found} bytes of the attachments have come, {declared} were declared; GetSendProgress says where to go on");
    Refusal::new(Reason::AttachmentSizeMismatch, message).with("found", found).with("declared", declared)
}

fn too_many(declared: u64) -> Refusal {
    let message = format!("more bytes came than the {declared} that the attachments' sizes say");
    Refusal::new(Reason::AttachmentSizeMismatch, message).with("declared", declared)
}

/// Takes the bytes that are still to come; the digests of all attachments.
fn take_bytes(sizes: &[u64], from: u64, hand_in: &HandIn, mut intake: Intake) -> Result<Vec<Digest>, Refusal> {
    let total = sizes.iter().sum::<u64>();
    let taken = hand_in.take(sizes, from, &mut intake)?;
    if taken.bytes < total {
        hand_in.cut();
        return Err(too_few(taken.bytes, total));
    }
    if intake.has_more() {
        hand_in.forget();
        return Err(too_many(total));
    }
    Ok(taken.digests)
}

/// Keeps the attachments of a document that is about to be recorded.
fn store_attachments(blobs: &dyn BlobStore, envelope: &Envelope, hand_in: &HandIn) -> Result<(), Refusal> {
    for (index, Attachment { sha256: digest, size, .. }) in envelope.attachments.iter().enumerate() {
        let stored = Stored { digest: *digest, size: *size };
        blobs.put_file(&envelope.sender.agency, &hand_in.piece(index), &stored).map_err(|cause| cause.to_refusal())?;
    }
    Ok(())
}

/// The bytes of a stream, for a reader on a blocking thread.
pub(super) struct Intake {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Intake {
    pub(super) fn new() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
        (sender, Self { chunks, current: Bytes::new() })
    }

    /// Whether there are bytes left, waiting for them.
    pub(super) fn has_more(&mut self) -> bool {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return false,
            }
        }
        true
    }
}

impl Read for Intake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Intake {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.has_more();
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}
