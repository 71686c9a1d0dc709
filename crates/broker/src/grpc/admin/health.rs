//! GetBrokerHealth: what readiness and alarms rest on. Not a judgement: `truc admin check` and readiness make theirs from it.

use std::sync::atomic::Ordering;

use truc_proto::admin::v1 as pb;
use truc_transport::checks::{self, Values};
use truc_transport::{clock, last_backup};
use truc_types::Refusal;

use super::{Admin, text};
use crate::grpc::ending;

impl Admin {
    pub(super) async fn health(&self) -> Result<pb::GetBrokerHealthResponse, Refusal> {
        let inspection = self.inspect().await?;
        let data = self.data.clone();
        let last_backup_at = tokio::task::spawn_blocking(move || last_backup::last_backup(&data)).await.map_err(|_| ending())?;
        let Values { space, ends } = self.checks.values();
        // The file, not what the listener began with: a renewed one is shown from the next handshake on.
        let tls = ends.into_iter().find(|(role, _)| *role == "tls").map(|(_, ends)| ends);
        let clock_stepped_back = self.clock_stepped_back.load(Ordering::Relaxed);
        Ok(pb::GetBrokerHealthResponse {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            now: clock::now().to_string(),
            started_at: self.started_at.to_string(),
            ready: self.checks.is_ready(),
            clock_stepped_back,
            decided_position: inspection.decided.0,
            durable_position: self.published.reader().durable_end().position.0,
            views_position: self.views.position().0,
            views_broken: inspection.views_broken,
            checkpoint: self.published.checkpoint().note.to_string(),
            disk_free_bytes: space.map_or(0, |space| space.free_bytes),
            disk_bytes: space.map_or(0, |space| space.total_bytes),
            tls_not_after: text(tls),
            last_backup_at,
            open_messages: inspection.open_messages as u64,
            checks: checks::shown(&self.checks),
        })
    }
}
