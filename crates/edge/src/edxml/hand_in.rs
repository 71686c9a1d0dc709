//! A staged edXML file becomes a document of the outbox: read once to know it, stored and read again to take its attachments out, then recorded. A file that
//! is refused leaves nothing behind.

use std::sync::Arc;

use truc_edxml::{Diagnostic, ReadError};
use truc_signing::statement::EdxmlSource;
use truc_types::{MessageId, Reason, Refusal};

use super::read::envelope_of;
use super::staged::Staged;
use super::unpack::{UnpackError, look, unpack};
use crate::grpc::draft;
use crate::node::Node;
use crate::transfer::Alone;

/// Why a file was not taken, with everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) refusal: Refusal,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, diagnostics: Vec::new() }
    }
}

impl From<UnpackError> for Rejected {
    fn from(cause: UnpackError) -> Self {
        match cause {
            UnpackError::Storage(refusal) => refusal.into(),
            // The bytes of one digest read differently twice: memory or disk is at fault.
            UnpackError::Differs { index, .. } => {
                Refusal::new(Reason::BlobStorage, format!("attachment {index} changed between two readings of one file")).into()
            }
            UnpackError::Kind(refusal) => refusal.into(),
            UnpackError::Read(cause) => {
                let refusal = cause.refusal().unwrap_or_else(|| Refusal::new(Reason::BlobStorage, cause.to_string()));
                let diagnostics = match cause {
                    ReadError::Refused { diagnostics, .. } => diagnostics,
                    _ => Vec::new(),
                };
                Self { refusal, diagnostics }
            }
        }
    }
}

/// Takes a file. Durable when answered; with what the reader tolerated.
///
/// # Errors
/// What is wrong with the file, or with this edge.
pub(crate) async fn hand_in(node: &Arc<Node>, reference: String, staged: Staged) -> Result<(MessageId, Vec<Diagnostic>), Rejected> {
    let source = staged.stored;
    let (staged, message, warnings) = blocking(node, move |_, _| {
        let (message, warnings) = look(staged.reader().map_err(unread)?)?;
        Ok((staged, message, warnings))
    })
    .await?;
    let expected: Vec<_> = message.attachments.iter().map(|attachment| (attachment.sha256, attachment.size)).collect();
    let mut envelope = envelope_of(node.agency(), &message);
    envelope.edxml = Some(EdxmlSource { sha256: source.digest, size: source.size });
    // A document that could never be sealed is refused before its attachments are kept.
    node.sealer.draft(envelope.clone()).map_err(|cause| cause.to_refusal())?;
    draft::check_sendable(node, &reference, &envelope).await?;
    let alone = Alone::new(node, expected.iter().map(|(digest, _)| *digest)).await;
    blocking(node, move |blobs, agency| {
        let _alone = alone;
        let kept = blobs
            .put_from_reader(agency, &mut staged.reader().map_err(unread)?)
            .map_err(|cause| UnpackError::Storage(cause.to_refusal()))?;
        if kept.digest != source.digest {
            return Err(unread(std::io::Error::other("the file changed between two readings")));
        }
        unpack(blobs, agency, &source.digest, expected)
    })
    .await?;
    let message_id = draft::record(node, reference, envelope).await?;
    Ok((message_id, warnings))
}

fn unread(cause: std::io::Error) -> UnpackError {
    UnpackError::Storage(Refusal::new(Reason::of_system(&cause, Reason::BlobStorage), format!("a file that was handed in: {cause}")))
}

async fn blocking<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce(&dyn truc_blobs::BlobStore, &truc_types::AgencyCode) -> Result<T, UnpackError> + Send + 'static,
) -> Result<T, Rejected> {
    let (blobs, agency) = (Arc::clone(&node.blobs), node.agency().clone());
    let done = tokio::task::spawn_blocking(move || work(blobs.as_ref(), &agency)).await;
    let ended = |cause| Refusal::new(Reason::BlobStorage, format!("a worker of the edge ended: {cause}"));
    Ok(done.map_err(ended)??)
}
