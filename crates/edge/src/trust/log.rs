//! The axis' log as a process trusts it: its key, and the checkpoints that were opened last. Not what a single edge has seen of it (`checkpoint`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use truc_ledger::{Checkpoint, LogVerifier, ProofError, ProvenTree, checkpoint};
use truc_types::{Digest, LeafIndex};

use super::TrustError;
use crate::record::CHECKPOINT_BYTES_MAX;

/// Checkpoints that are remembered: those of the answers, the deliveries and the feeds of the last moments, for all edges of the process.
const OPENED_MAX: usize = 64;

/// The log's key, and what was verified with it. Clones share what they know.
#[derive(Clone)]
pub struct TrustedLog {
    key: LogVerifier,
    /// The newest first.
    opened: Arc<Mutex<VecDeque<Arc<Opened>>>>,
}

impl TrustedLog {
    /// Nothing but the key.
    #[must_use]
    pub fn new(key: LogVerifier) -> Self {
        Self { key, opened: Arc::default() }
    }

    /// The same log, with what `other` knows of it if it trusts the same key: for edges of one process, to which the axis shows the same checkpoints.
    #[must_use]
    pub fn beside(self, other: &Self) -> Self {
        if self.key == other.key { other.clone() } else { self }
    }

    /// The log's key.
    pub(crate) const fn key(&self) -> &LogVerifier {
        &self.key
    }

    /// Opens a checkpoint from the line: size and signature of the log.
    pub(super) fn open(&self, text: &str) -> Result<Arc<Opened>, TrustError> {
        if text.len() > CHECKPOINT_BYTES_MAX {
            return Err(TrustError::invalid(format!("a checkpoint of {} bytes, at most {CHECKPOINT_BYTES_MAX} are taken", text.len())));
        }
        let known = self.opened.lock().iter().find(|opened| opened.text == text).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let checkpoint = checkpoint::open(text.as_bytes(), &self.key).map_err(|cause| TrustError::invalid(cause.to_string()))?;
        let proven = Mutex::new(ProvenTree::new(&checkpoint));
        let opened = Arc::new(Opened { text: text.to_owned(), checkpoint, proven });
        let mut all = self.opened.lock();
        // Two at once may have verified it.
        if let Some(known) = all.iter().find(|known| known.text == text) {
            return Ok(Arc::clone(known));
        }
        all.truncate(OPENED_MAX - 1);
        all.push_front(Arc::clone(&opened));
        Ok(opened)
    }
}

impl fmt::Debug for TrustedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedLog").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A checkpoint with a good signature.
#[derive(Debug)]
pub(crate) struct Opened {
    /// As it came.
    pub(crate) text: String,
    /// What it says.
    pub(crate) checkpoint: Checkpoint,
    proven: Mutex<ProvenTree>,
}

impl Opened {
    /// Checks that a leaf is in the tree.
    pub(super) fn prove(&self, leaf: LeafIndex, path: Vec<Digest>, leaf_hash: &Digest) -> Result<(), ProofError> {
        self.proven.lock().verify(leaf, path, leaf_hash)
    }
}
