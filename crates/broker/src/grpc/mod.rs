//! The gRPC services: adapters between protobuf and the broker. No decision is made here.

pub(crate) mod admin;
mod answers;
pub(crate) mod blobs;
pub(crate) mod delivery;
pub(crate) mod directory;
pub(crate) mod log;
pub(crate) mod submit;

use tokio::sync::{mpsc, oneshot};
use truc_ledger::InclusionProof;
use truc_proto::broker::v1 as pb;
use truc_types::{Digest, MessageId, Position, Reason, Refusal};

use crate::committer::Acceptance;
use crate::published::{Checkpointed, Proven, Published, storage};
use crate::sequencer::Command;

fn path_bytes(path: &[Digest]) -> bytes::Bytes {
    let mut bytes = Vec::with_capacity(path.len() * 32);
    for digest in path {
        bytes.extend_from_slice(&digest.0);
    }
    bytes.into()
}

fn logged(entry: bytes::Bytes, proof: &InclusionProof) -> pb::LoggedEntry {
    pb::LoggedEntry { entry, leaf: proof.leaf_index.0, path: path_bytes(&proof.path) }
}

fn logged_proven(proven: &Proven) -> pb::LoggedEntry {
    logged(bytes::Bytes::from_owner(proven.entry.clone()), &proven.proof)
}

fn acceptance(acceptance: &Acceptance) -> pb::Acceptance {
    pb::Acceptance {
        statement: Some(logged(bytes::Bytes::new(), &acceptance.statement)),
        fact: acceptance.fact.as_ref().map(logged_proven),
        checkpoint: acceptance.checkpoint.to_string(),
    }
}

fn acceptance_of(proven: &[Proven], checkpoint: &Checkpointed) -> pb::Acceptance {
    let mut proven = proven.iter().map(logged_proven);
    pb::Acceptance { statement: proven.next(), fact: proven.next(), checkpoint: checkpoint.note.to_string() }
}

/// Where a statement stands: asked of the sequencer while it is open or recent, of the index when it is older.
async fn locate(commands: &mpsc::Sender<Command>, published: &Published, message_id: MessageId) -> Result<Option<Position>, Refusal> {
    let (reply, answer) = oneshot::channel();
    commands.send(Command::Locate { message_id, reply }).await.map_err(|_| ending())?;
    if let Some(position) = answer.await.map_err(|_| ending())? {
        return Ok(Some(position));
    }
    let reader = published.reader().clone();
    let found = tokio::task::spawn_blocking(move || reader.find(&message_id.to_bytes())).await;
    found.map_err(|_| ending())?.map_err(|cause| storage(&cause))
}

fn ending() -> Refusal {
    Refusal::new(Reason::ShuttingDown, "the broker ends")
}
