//! A rehearsal: opens journal and view of a data folder as a start would, and connects to nobody. For copies, never for the folder of a running edge
//! (its lock says so).

use std::path::Path;

use truc_transport::clock;
use truc_types::AgencyCode;

use crate::config::Layout;
use crate::error::EdgeError;
use crate::store::Store;

/// What a rehearsal found. It is the state that an edge on this folder would start with.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Rehearsal {
    /// The agency.
    pub agency: String,
    /// Records of the journal.
    pub records: u64,
    /// The newest term that this edge asked for; the next start opens a higher one before it seals anything.
    pub edge_term: u64,
    /// Size of the newest checkpoint of the axis that it verified: an axis that shows less is refused.
    pub observed_log_size: u64,
    /// Version of the registry.
    pub registry_version: u64,
    /// Time for opening and replaying.
    pub replay_millis: u64,
}

/// Replays the journal of a data folder: every record parses, follows from those before, and leads to the root of the last block.
///
/// # Errors
/// The first thing that is wrong, with its position.
pub async fn rehearse(data: &Path, agency: &AgencyCode) -> Result<Rehearsal, EdgeError> {
    let begun = clock::now();
    let layout = Layout::of(data);
    let of = agency.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&layout.journal(), &layout.views(), &of));
    let store = opened.await.map_err(|cause| EdgeError::Serve(cause.to_string()))??;
    let read = store.read(|state| Ok((state.meta()?, state.applied()))).await;
    store.close().await;
    let (meta, applied) = read.map_err(EdgeError::Unreadable)?;
    Ok(Rehearsal {
        agency: agency.to_string(),
        records: applied.0,
        edge_term: meta.term.0,
        observed_log_size: meta.checkpoint.map_or(0, |checkpoint| checkpoint.size),
        registry_version: meta.registry_version,
        replay_millis: clock::now().millis_since(begun),
    })
}
