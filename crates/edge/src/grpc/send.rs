//! SendDocument: a header, then the attachments' bytes in order, straight into the attachments' folder.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use truc_blobs::BlobStore;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::send_document_request::Request;
use truc_types::limits::BLOB_CHUNK_BYTES;
use truc_types::{AgencyCode, Digest, MessageId, Reason, Refusal};

use super::{draft, invalid};
use crate::node::Node;

/// Chunks that wait for the disk.
const CHUNKS_WAITING: usize = 4;

/// Takes a document. A broken stream stores nothing; the DMS sends again under its reference.
pub(super) async fn send_document(
    node: &Arc<Node>,
    mut stream: Streaming<pb::SendDocumentRequest>,
) -> Result<Result<MessageId, Refusal>, Status> {
    let Some(pb::SendDocumentRequest { request: Some(Request::Header(header)) }) = stream.message().await? else {
        return Ok(Err(invalid("request", "the first request must be the header")));
    };
    let reference = header.client_reference.clone();
    let envelope = draft::check_reference(&reference).and_then(|()| draft::from_header(node, header));
    let mut envelope = match envelope {
        Ok(envelope) => envelope,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = draft::check_sendable(node, &reference, &envelope).await {
        return Ok(Err(refusal));
    }
    let sizes: Vec<u64> = envelope.attachments.iter().map(|attachment| attachment.size).collect();
    let (chunks, intake) = Intake::new();
    let (blobs, agency) = (Arc::clone(&node.blobs), node.agency().clone());
    let storing = tokio::task::spawn_blocking(move || store_attachments(blobs.as_ref(), &agency, &sizes, intake));
    loop {
        let data = match stream.message().await? {
            Some(pb::SendDocumentRequest { request: Some(Request::Data(data)) }) => data,
            Some(_) => return Ok(Err(invalid("request", "after the header only data may come"))),
            None => break,
        };
        if let Err(refusal) = check_chunk(&data) {
            return Ok(Err(refusal));
        }
        // The storing side has ended early: it says why.
        if chunks.send(data).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let stored = storing.await.map_err(|cause| Status::internal(cause.to_string()))?;
    let digests = match stored {
        Ok(digests) => digests,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for (attachment, digest) in envelope.attachments.iter_mut().zip(digests) {
        attachment.sha256 = digest;
    }
    Ok(draft::record(node, reference, envelope).await)
}

/// A piece of a stream is within the limit of the interface.
pub(super) fn check_chunk(data: &Bytes) -> Result<(), Refusal> {
    if data.len() > BLOB_CHUNK_BYTES {
        return Err(invalid("data", format!("a piece of {} bytes, at most {BLOB_CHUNK_BYTES} are allowed", data.len())));
    }
    Ok(())
}

fn store_attachments(blobs: &dyn BlobStore, agency: &AgencyCode, sizes: &[u64], mut intake: Intake) -> Result<Vec<Digest>, Refusal> {
    let mut digests = Vec::with_capacity(sizes.len());
    for (index, size) in sizes.iter().enumerate() {
        let stored = blobs.put_from_reader(agency, &mut (&mut intake).take(*size)).map_err(|cause| cause.to_refusal())?;
        if stored.size != *size {
            let message = format!("attachment {index} has {} bytes, {size} were declared", stored.size);
            return Err(Refusal::new(Reason::AttachmentSizeMismatch, message).with("index", index));
        }
        digests.push(stored.digest);
    }
    if intake.has_more() {
        return Err(Refusal::new(Reason::AttachmentSizeMismatch, "more bytes came than the attachments' sizes say"));
    }
    Ok(digests)
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
        if buffer.is_empty() || !self.has_more() {
            return Ok(0);
        }
        let count = buffer.len().min(self.current.len());
        buffer.iter_mut().zip(self.current.iter()).for_each(|(to, from)| *to = *from);
        self.current.advance(count);
        Ok(count)
    }
}
