//! AppendRegistryStatement: what can be checked is checked here, on the calling task; what the registry says to it is the sequencer's to decide.

use std::sync::Arc;

use tokio::sync::oneshot;
use truc_core::{Entry, admit_registry};
use truc_proto::admin::v1 as pb;
use truc_signing::Statement;
use truc_transport::clock;
use truc_types::{Position, Reason, Refusal};

use super::Admin;
use crate::admission::check_disk;
use crate::grpc::{ending, logged};
use crate::published::Published;
use crate::sequencer::Command;

impl Admin {
    pub(super) async fn append_registry(&self, file: Arc<[u8]>) -> Result<pb::AppendRegistryStatementResponse, Refusal> {
        let entry = admit_registry(clock::now(), &self.published.registry(), file)?;
        let version = if let Statement::Registry(statement) = &entry.statement { statement.version } else { 0 };
        let known = known(&self.published, version, &entry)?;
        let (position, repeated) = match known {
            Some(position) => (position, true),
            None => (self.append(entry).await?, false),
        };
        let published = self.published.clone();
        let proven = tokio::task::spawn_blocking(move || published.prove([position])).await.map_err(|_| ending())?;
        let (proven, checkpoint) = proven?;
        Ok(pb::AppendRegistryStatementResponse {
            statement: proven.first().map(|proven| logged(bytes::Bytes::new(), &proven.proof)),
            checkpoint: checkpoint.note.to_string(),
            registry_version: version,
            repeated,
        })
    }

    async fn append(&self, entry: Entry) -> Result<Position, Refusal> {
        check_disk(&self.meters)?;
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::AppendRegistry { entry: Box::new(entry), reply }).await.map_err(|_| ending())?;
        // Dropped unanswered when the journal fails: whether the block is durable is not known then.
        answer.await.map_err(|_| Refusal::new(Reason::OutcomeUnknown, "this process ends: the journal failed"))?
    }
}

/// Where the log has these bytes already.
fn known(published: &Published, version: u64, entry: &Entry) -> Result<Option<Position>, Refusal> {
    let registry = published.registry();
    let at = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
    let Some(position) = at.and_then(|at| registry.entries().get(at)).copied() else { return Ok(None) };
    Ok((published.entry(position)? == entry.bytes).then_some(position))
}
