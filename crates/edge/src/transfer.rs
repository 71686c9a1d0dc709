//! Attachments on the line: uploads to the broker and downloads from it, each resumed at the byte where the last one broke off.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use truc_blobs::{BlobStore, UploadState};
use truc_proto::broker::v1 as pb;
use truc_transport::metrics::Counter;
use truc_types::{Digest, MessageId, Reason, Refusal};

use crate::node::{LinkError, Node};
use crate::session::Link;

/// Chunks that are read ahead of the line.
const READ_AHEAD: usize = 4;
/// Uploads of one edge at a time: they fill the line, and leave the broker's places for resumed ones.
pub(crate) const UPLOADS_MAX: usize = 8;
/// Downloads of one edge at a time: as with uploads.
pub(crate) const DOWNLOADS_MAX: usize = 8;
/// Attachments of one document on the line at a time: while one waits for the disk or an answer the other fills the line, and most of the places are left to
/// other documents. Each takes some 5 MiB of memory on its way; a third one made nothing faster.
const ATTACHMENTS_AT_ONCE_MAX: usize = 2;
/// Contents that are remembered as uploaded: 40 bytes each.
const AT_AXIS_MAX: usize = 4_096;
/// Tries at one upload on one connection.
const UPLOAD_TRIES: u32 = 3;

/// Contents of which the axis said on this connection that it has them whole from this agency: letterheads, forms and annexes that many documents carry are
/// asked for once. A content that it dropped since is asked back for by the refusal of the document that names it.
#[derive(Debug, Default)]
pub(crate) struct AtAxis {
    known: Mutex<HashMap<Digest, u64>>,
}

impl AtAxis {
    fn has(&self, digest: &Digest, size: u64) -> bool {
        self.known.lock().get(digest) == Some(&size)
    }

    fn add(&self, digest: Digest, size: u64) {
        let mut known = self.known.lock();
        if known.len() >= AT_AXIS_MAX {
            known.clear();
        }
        known.insert(digest, size);
    }

    /// The axis does not have it after all.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.known.lock().remove(digest);
    }

    /// Another connection: perhaps another axis, restored from a backup.
    pub(crate) fn clear(&self) {
        self.known.lock().clear();
    }
}

/// Moves the attachments of one document, [`ATTACHMENTS_AT_ONCE_MAX`] at a time. The first one that fails ends the others.
pub(crate) async fn each<T, F>(attachments: impl IntoIterator<Item = T>, transfer: impl Fn(T) -> F) -> Result<(), LinkError>
where
    F: Future<Output = Result<(), LinkError>> + Send + 'static,
{
    let (mut waiting, mut moving) = (attachments.into_iter(), JoinSet::new());
    loop {
        for attachment in waiting.by_ref().take(ATTACHMENTS_AT_ONCE_MAX - moving.len()) {
            moving.spawn(transfer(attachment));
        }
        match moving.join_next().await {
            Some(moved) => moved.map_err(|cause| LinkError::Away(cause.to_string()))??,
            None => return Ok(()),
        }
    }
}

/// Uploads the attachments of a document, unless the axis has said that it has them.
pub(crate) async fn upload_all(node: &Arc<Node>, link: &Link, carried: &[(Digest, u64)]) -> Result<(), LinkError> {
    let missing: BTreeSet<_> = carried.iter().filter(|(digest, size)| !node.at_axis.has(digest, *size)).copied().collect();
    let upload = |(digest, size)| {
        let (node, link) = (Arc::clone(node), link.clone());
        async move { upload(&node, &link, digest, size).await }
    };
    each(missing, upload).await
}

/// Downloads the attachments of a document, unless this edge holds them.
pub(crate) async fn download_all(node: &Arc<Node>, link: &Link, message_id: MessageId, carried: &[(Digest, u64)]) -> Result<(), LinkError> {
    let download = |(digest, size)| {
        let (node, link) = (Arc::clone(node), link.clone());
        async move { download(&node, &link, message_id, digest, size).await }
    };
    // Forms and letterheads: many documents carry the same.
    let missing: Vec<_> = carried.iter().filter(|(digest, size)| !node.holds(digest, *size)).copied().collect();
    each(missing, download).await
}

/// Uploads content that this edge holds; content that the broker has already costs one question.
async fn upload(node: &Node, link: &Link, digest: Digest, size: u64) -> Result<(), LinkError> {
    if node.at_axis.has(&digest, size) {
        return Ok(());
    }
    upload_now(node, link, digest, size).await?;
    node.at_axis.add(digest, size);
    Ok(())
}

async fn upload_now(node: &Node, link: &Link, digest: Digest, size: u64) -> Result<(), LinkError> {
    let sha256 = Bytes::copy_from_slice(&digest.0);
    let _place = node.uploads.acquire().await.map_err(|cause| LinkError::Away(cause.to_string()))?;
    for _ in 0..UPLOAD_TRIES {
        let progress = link.blobs().get_upload(pb::GetUploadRequest { sha256: sha256.clone(), size }).await?.into_inner();
        if progress.complete {
            return Ok(());
        }
        let (chunks, receiver) = mpsc::channel(READ_AHEAD);
        let begin = pb::upload_request::Begin { sha256: sha256.clone(), size, offset: progress.offset };
        let (blobs, uploaded) = (Arc::clone(&node.blobs), node.meters.uploaded.clone());
        let reading = tokio::task::spawn_blocking(move || read_ahead(blobs.as_ref(), digest, begin, &chunks, &uploaded));
        let answer = link.blobs().upload(ReceiverStream::new(receiver)).await;
        // Its error is the cause, the line's only the effect.
        reading.await.map_err(|cause| LinkError::Away(cause.to_string()))??;
        match answer.map(tonic::Response::into_inner).map_err(LinkError::from) {
            Ok(answer) if answer.complete => return Ok(()),
            Ok(_) => {}
            Err(LinkError::Refused(refusal)) if refusal.reason == Reason::BlobOffset => {}
            Err(cause) => return Err(cause),
        }
    }
    Err(LinkError::Away(format!("the upload of {digest} did not complete")))
}

fn read_ahead(
    blobs: &dyn BlobStore,
    digest: Digest,
    begin: pb::upload_request::Begin,
    chunks: &mpsc::Sender<pb::UploadRequest>,
    uploaded: &Counter,
) -> Result<(), LinkError> {
    use pb::upload_request::Request;
    let storage = |cause: String| LinkError::Local(Refusal::new(Reason::BlobStorage, cause));
    let mut reader = blobs.open_range(&digest, begin.offset).map_err(|cause| storage(cause.to_string()))?;
    let send = |request| chunks.blocking_send(pb::UploadRequest { request: Some(request) }).is_ok();
    let mut open = send(Request::Begin(begin));
    while open {
        let chunk = reader.chunk().map_err(|cause| storage(cause.to_string()))?;
        if chunk.is_empty() {
            break;
        }
        uploaded.inc_by(chunk.len() as u64);
        // A closed channel means that the call ended; its answer says why.
        open = send(Request::Data(chunk.into()));
    }
    Ok(())
}

/// Contents that one task alone writes: uploads into the folder of attachments must not mix.
pub(crate) struct Alone {
    node: Arc<Node>,
    guards: Vec<OwnedMutexGuard<()>>,
}

impl Alone {
    /// Waits for each content, in the order of the digests, so that two tasks never wait for each other.
    pub(crate) async fn new(node: &Arc<Node>, digests: impl IntoIterator<Item = Digest>) -> Self {
        let mut alone = Self { node: Arc::clone(node), guards: Vec::new() };
        for digest in digests.into_iter().collect::<BTreeSet<_>>() {
            let lock = Arc::clone(node.writing.lock().entry(digest).or_default());
            alone.guards.push(lock.lock_owned().await);
        }
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.guards.clear();
        self.node.writing.lock().retain(|_, lock| Arc::strong_count(lock) > 1);
    }
}

/// Downloads content of a message, unless this edge holds it. Durable, of the right length and digest when this returns.
async fn download(node: &Arc<Node>, link: &Link, message_id: MessageId, digest: Digest, size: u64) -> Result<(), LinkError> {
    let _alone = Alone::new(node, [digest]).await;
    download_alone(node, link, message_id, digest, size).await
}

async fn download_alone(node: &Node, link: &Link, message_id: MessageId, digest: Digest, size: u64) -> Result<(), LinkError> {
    let agency = node.agency().clone();
    let begun = node.with_blobs(move |blobs| match blobs.owns(&agency, &digest)? {
        Some(found) if found == size => Ok(None),
        // One of another size is damaged: it is refused, never taken for what the axis sent.
        _ => blobs.begin_upload(&agency, &digest, size).map(Some),
    });
    let mut offset = match begun.await? {
        None => return Ok(()),
        Some(UploadState::Complete) => size,
        Some(UploadState::Resume(offset)) => offset,
    };
    if offset < size {
        let _place = node.downloads.acquire().await.map_err(|cause| LinkError::Away(cause.to_string()))?;
        let request = pb::DownloadRequest { message_id: message_id.to_string(), sha256: Bytes::copy_from_slice(&digest.0), offset };
        let mut chunks = link.blobs().download(request).await?.into_inner();
        let mut following = chunks.message().await?;
        while let Some(chunk) = following {
            node.meters.downloaded.inc_by(chunk.data.len() as u64);
            let agency = node.agency().clone();
            let append = node.with_blobs(move |blobs| blobs.append(&agency, &digest, offset, &chunk.data));
            // The next chunk comes while this one is hashed and written; what was begun is waited for, whatever became of the line.
            let (appended, next) = tokio::join!(append, chunks.message());
            (offset, following) = (appended?, next?);
        }
    }
    let agency = node.agency().clone();
    let finished = node.with_blobs(move |blobs| {
        let finished = blobs.finish(&agency, &digest);
        if let Err(truc_blobs::BlobError::DigestMismatch { .. }) = &finished {
            // Wrong bytes are of no use to the next try.
            blobs.abandon(&agency, &digest)?;
        }
        finished
    });
    Ok(finished.await.map(|_| ())?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn attachments_go_a_few_at_a_time_and_all_of_them_go() {
        let (moving, moved) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = each(0..30, |_| {
            let (moving, moved) = (Arc::clone(&moving), Arc::clone(&moved));
            async move {
                assert!(moving.fetch_add(1, Ordering::Relaxed) < ATTACHMENTS_AT_ONCE_MAX);
                tokio::task::yield_now().await;
                moving.fetch_sub(1, Ordering::Relaxed);
                moved.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        });
        all.await.unwrap();
        assert_eq!(moved.load(Ordering::Relaxed), 30);
    }

    #[tokio::test]
    async fn the_first_that_fails_ends_the_others() {
        let alive = Arc::new(Notify::new());
        let failed = each([false, true], |fails| {
            let alive = Arc::clone(&alive);
            async move {
                if fails {
                    return Err(LinkError::Away("the line broke".to_owned()));
                }
                alive.notified().await;
                Ok(())
            }
        });
        assert!(matches!(failed.await, Err(LinkError::Away(cause)) if cause == "the line broke"));
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
