//! Registry statements of the operator: decided and appended like all others, then announced to the connected edges.

use tokio::sync::oneshot;
use truc_core::{Entry, Outcome, decide_registry};
use truc_types::{Position, Refusal};

use super::Sequencer;
use crate::committer::Output;
use crate::stream::StreamItem;

impl Sequencer {
    pub(super) fn append_registry(&mut self, entry: Entry, reply: oneshot::Sender<Result<Position, Refusal>>) {
        let time = self.block_time();
        let decision = decide_registry(time, &self.state, entry);
        self.append(decision.entries);
        let answer = match decision.outcome {
            Outcome::Accepted { statement, .. } | Outcome::Repeated { statement, .. } => {
                tracing::info!(position = statement.0, version = self.state.registry().version(), "registry statement appended");
                Ok(statement)
            }
            Outcome::Refused(refusal) => {
                tracing::warn!(reason = %refusal.reason, cause = refusal.message, "registry statement refused");
                Err(refusal)
            }
        };
        let tell = move || {
            if reply.send(answer).is_err() {
                tracing::debug!("the operator left before the answer to a registry statement");
            }
        };
        self.filling.output(Output::Told(Box::new(tell)));
    }

    /// Tells the connected edges that there is something to read. One that has no place for it asks by itself within half a minute.
    pub(super) fn announce_registry(&mut self) {
        let version = self.state.registry().version();
        for stream in self.streams.iter().flatten() {
            if let Some(place) = stream.place() {
                self.filling.output(Output::Stream { place, item: StreamItem::Registry { version } });
            }
        }
    }
}
