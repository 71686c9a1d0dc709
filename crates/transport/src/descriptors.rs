//! File descriptors: as many as the system allows, and a share of them that connections cannot take.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use truc_types::limits::CONNECTIONS_MAX;

/// Connections that there are whatever the limit is: fewer are of no use to anybody.
const CONNECTIONS_MIN: usize = 8;

/// Raises the soft limit to the hard one, once at the start, and logs what there is.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(cause) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%cause, "the limit of file descriptors cannot be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    tracing::info!(files, connections = connections(), "file descriptors");
}

/// Connections that this process takes: half of the descriptors. The other half is for the journal, views and attachments, which must never fail
/// because somebody connects too often.
#[must_use]
pub fn connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    (files / 2).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX)
}
