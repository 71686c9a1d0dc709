//! What an edge believes: the axis' log, the registry and the seals in it. Everything that comes from the line passes here before it is recorded.

mod acceptance;
pub(crate) mod checkpoint;
mod log;
mod registry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::RwLock;
use truc_core::registry::Registry;
use truc_signing::TrustedKey;
use truc_types::{Reason, Refusal};

pub(crate) use acceptance::{ProvenFact, VerifiedDelivery, VerifiedReceipt};
pub(crate) use checkpoint::Observed;
pub(crate) use log::Opened;
pub use log::TrustedLog;
pub(crate) use registry::VerifiedEntry;

/// Why something from the line is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// Two histories: the edge stops.
    #[error("{0}")]
    Fork(String),
    /// A proof, seal or statement that does not hold. The bytes are dropped, the line is tried again.
    #[error("{0}")]
    Invalid(Refusal),
    /// The registry that this edge has read is older than what was judged by: read on, then try again.
    #[error("version {needed} of the registry is needed, {known} is known")]
    RegistryBehind {
        /// The version by which the axis judged.
        needed: u64,
        /// The version here.
        known: u64,
    },
}

impl TrustError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(Refusal::new(Reason::LogProofInvalid, message))
    }
}

/// Keys and checkpoints in memory. The rows hold the same durably.
pub(crate) struct Trust {
    log: TrustedLog,
    operator: TrustedKey,
    /// Agencies, organisations, keys and limits, as the verified statements say.
    registry: RwLock<Arc<Registry>>,
    observed: Observed,
}

impl Trust {
    /// Nothing but the configured keys; registry statements and the last checkpoint are added from the rows.
    pub(crate) fn new(log: TrustedLog, operator: TrustedKey, observed: Observed) -> Self {
        Self { log, operator, registry: RwLock::default(), observed }
    }

    /// The checkpoints that were seen.
    pub(crate) const fn observed(&self) -> &Observed {
        &self.observed
    }

    /// The log, and its key.
    pub(crate) const fn log(&self) -> &TrustedLog {
        &self.log
    }

    /// The registry as this edge has verified it.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read())
    }
}
