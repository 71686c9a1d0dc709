//! GetEvidence: streams the files of the evidence folder, one after another.

use std::sync::Arc;

use bytes::Bytes;
use truc_proto::edge::v1 as pb;
use truc_types::limits::BLOB_CHUNK_BYTES;
use truc_types::{MessageId, OrganisationCode};

use super::receive::stream_blob;
use super::{Sender, StreamError};
use crate::evidence::{Content, files};
use crate::node::Node;

/// Sends the folder.
pub(super) async fn folder(
    node: Arc<Node>,
    sender: Sender<pb::GetEvidenceResponse>,
    message_id: MessageId,
    recipient: OrganisationCode,
) -> Result<(), StreamError> {
    for file in files(&node, message_id, &recipient).await? {
        let path = file.path;
        let piece = |data: Bytes| pb::GetEvidenceResponse { path: path.clone(), data };
        match file.content {
            // An empty file has one empty piece, or nobody would know of it.
            Content::Bytes(bytes) if bytes.is_empty() => sender.send(piece(Bytes::new())).await?,
            Content::Bytes(bytes) => {
                for chunk in bytes.chunks(BLOB_CHUNK_BYTES) {
                    sender.send(piece(Bytes::copy_from_slice(chunk))).await?;
                }
            }
            Content::Blob { size: 0, .. } => sender.send(piece(Bytes::new())).await?,
            Content::Blob { digest, .. } => stream_blob(&node, &sender, digest, 0, piece).await?,
        }
    }
    Ok(())
}
