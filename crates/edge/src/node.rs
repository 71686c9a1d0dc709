//! What all parts of one running edge share, and how a fault on the line is told from one that ends the edge.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;
use truc_blobs::{BlobError, BlobStore};
use truc_transport::checks::Checks;
use truc_transport::status;
use truc_types::{AgencyCode, Digest, EdgeTerm, Reason, Refusal};

use crate::config::EdgeConfig;
use crate::error::EdgeError;
use crate::fresh::Fresh;
use crate::groups::Groups;
use crate::hand_in::HandIns;
use crate::held::Held;
use crate::meters::Meters;
use crate::recent::Recent;
use crate::sealer::Sealer;
use crate::store::Store;
use crate::transfer::AtAxis;
use crate::trust::{Trust, TrustError};

/// One running edge.
pub(crate) struct Node {
    pub(crate) config: EdgeConfig,
    pub(crate) store: Store,
    pub(crate) trust: Trust,
    pub(crate) sealer: Sealer,
    pub(crate) blobs: Arc<dyn BlobStore>,
    /// What was seen of them a moment ago.
    pub(crate) held: Held,
    pub(crate) meters: Arc<Meters>,
    pub(crate) checks: Checks,
    /// Documents of which not all bytes have come.
    pub(crate) hand_ins: Arc<HandIns>,
    /// The term that this process opened.
    pub(crate) term: Mutex<Option<EdgeTerm>>,
    /// Whether the connection to the axis stands.
    pub(crate) connected: AtomicBool,
    /// Streams of the DMS at a time: each holds a thread, and a DMS that stalls must not take those that everything else here needs.
    pub(crate) streams: Arc<Semaphore>,
    /// Uploads at a time: well below what the broker allows one agency, so that broken ones can be resumed beside them.
    pub(crate) uploads: Semaphore,
    /// Places for downloads.
    pub(crate) downloads: Semaphore,
    /// What was handed in and nobody has begun to bring.
    pub(crate) fresh: Arc<Fresh>,
    /// What arrived a moment ago.
    pub(crate) recent: Arc<Recent>,
    /// The receipts that are on their way; `None` without a connection that brings any.
    pub(crate) groups: Mutex<Option<Arc<Groups>>>,
    /// What the axis has of this agency's attachments.
    pub(crate) at_axis: AtAxis,
    /// One writer per content at a time.
    pub(crate) writing: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    /// One reader of the registry at a time.
    pub(crate) registry: tokio::sync::Mutex<()>,
}

impl Node {
    /// The agency that this edge serves.
    pub(crate) const fn agency(&self) -> &AgencyCode {
        &self.config.agency
    }

    /// Whether this edge is seen to hold an attachment, without waiting for anything; `false` says nothing.
    pub(crate) fn holds(&self, digest: &Digest, size: u64) -> bool {
        self.held.has(self.blobs.as_ref(), self.agency(), (digest, size), Instant::now())
    }

    /// Does blocking work with the attachments' folder.
    pub(crate) async fn with_blobs<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BlobStore) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let blobs = Arc::clone(&self.blobs);
        let done = tokio::task::spawn_blocking(move || work(blobs.as_ref())).await;
        let done = done.map_err(|cause| Refusal::new(Reason::BlobStorage, format!("a worker of the edge ended: {cause}")))?;
        done.map_err(|cause| cause.to_refusal())
    }
}

/// Why work on a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The line or the broker: try again.
    #[error("the axis is away: {0}")]
    Away(String),
    /// The broker answered with a refusal where none is final: try again.
    #[error("{0}")]
    Refused(Refusal),
    /// A proof or seal does not hold: try again, say so loudly.
    #[error("what the axis sent does not hold: {0}")]
    Untrusted(TrustError),
    /// The edge's own journal or disk refused.
    #[error("the edge could not store: {0}")]
    Local(Refusal),
    /// The edge ends.
    #[error(transparent)]
    Fatal(#[from] EdgeError),
}

impl LinkError {
    /// The same as a refusal, for those who have one kind of error.
    pub(crate) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Local(refusal) | Self::Untrusted(TrustError::Invalid(refusal)) => refusal,
            Self::Away(cause) => Refusal::new(Reason::BrokerAway, cause),
            Self::Untrusted(cause) => Refusal::new(Reason::LogProofInvalid, cause.to_string()),
            Self::Fatal(cause) => cause.to_refusal(),
        }
    }
}

impl From<TrustError> for LinkError {
    fn from(cause: TrustError) -> Self {
        match cause {
            TrustError::Fork(what) => Self::Fatal(EdgeError::Fork(what)),
            other => Self::Untrusted(other),
        }
    }
}

impl From<Refusal> for LinkError {
    fn from(refusal: Refusal) -> Self {
        Self::Local(refusal)
    }
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        match status::refusal(&status) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Away(format!("{}: {}", status.code(), status.message())),
        }
    }
}
