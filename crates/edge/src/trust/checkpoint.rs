//! Checkpoints: signature, and that each extends the ones before. Every edge is a witness of the axis' log.
//!
//! The check between two sizes needs a consistency proof from the axis; who fetches it is not decided here.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use truc_ledger::proof::{CONSISTENCY_HASHES_MAX, PATH_HASHES_MAX};
use truc_ledger::{Checkpoint, CheckpointError, ConsistencyProof, Note};
use truc_signing::statement::ObservedLog;
use truc_types::Digest;

use super::{Opened, Trust, TrustError};
use crate::state::SeenCheckpoint;

/// Checkpoints of the last moments that are remembered, to see two roots of one size among those that no consistency proof was asked for.
const RECENT_MAX: usize = 256;

/// Checkpoints that this edge need not look at again: those of the answers, the deliveries and the feed of a few blocks.
const LAST_MAX: usize = 16;

/// The checkpoints that were seen.
#[derive(Debug)]
pub(crate) struct Observed {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The newest one that is proved to extend all before, and recorded.
    proved: Option<SeenCheckpoint>,
    /// The largest one with a good signature.
    largest: Option<Arc<Opened>>,
    /// The last ones with a good signature.
    recent: VecDeque<(u64, Digest)>,
    /// The last ones that this edge saw: one checkpoint covers many deliveries, and several streams come along at their own pace.
    last: VecDeque<Arc<Opened>>,
}

impl Observed {
    /// From what was recorded.
    pub(crate) fn new(proved: Option<SeenCheckpoint>) -> Self {
        Self { inner: Mutex::new(Inner { proved, ..Inner::default() }) }
    }

    /// What goes into statements: only what was proved and recorded.
    pub(crate) fn for_statements(&self) -> Option<ObservedLog> {
        let proved = self.inner.lock().proved.clone()?;
        Some(ObservedLog { origin: proved.origin, size: proved.size, root: proved.root })
    }

    /// The size of the largest one that was seen with a good signature, in this process or before.
    pub(crate) fn largest_size(&self) -> u64 {
        let inner = self.inner.lock();
        let largest = inner.largest.as_ref().map_or(0, |largest| largest.checkpoint.size);
        inner.proved.as_ref().map_or(0, |proved| proved.size).max(largest)
    }

    /// The newest one that is proved and recorded.
    pub(crate) fn proved(&self) -> Option<SeenCheckpoint> {
        self.inner.lock().proved.clone()
    }

    /// The largest one, if it is larger than the proved one: a proof between the two should be asked for.
    pub(crate) fn to_prove(&self) -> Option<Arc<Opened>> {
        let inner = self.inner.lock();
        let proved = inner.proved.as_ref().map_or(0, |proved| proved.size);
        inner.largest.clone().filter(|largest| largest.checkpoint.size > proved)
    }

    /// The checkpoint was proved and recorded.
    pub(crate) fn recorded(&self, checkpoint: &Checkpoint) {
        let seen = SeenCheckpoint { origin: checkpoint.origin.clone(), size: checkpoint.size, root: checkpoint.root };
        self.inner.lock().proved = Some(seen);
    }

    /// Remembers a checkpoint with a good signature.
    fn see(&self, opened: &Arc<Opened>) -> Result<(), TrustError> {
        let checkpoint = &opened.checkpoint;
        let mut inner = self.inner.lock();
        let proved = inner.proved.iter().map(|proved| (proved.size, proved.root));
        let other = inner.recent.iter().copied().chain(proved).find(|(size, root)| *size == checkpoint.size && *root != checkpoint.root);
        if let Some((size, root)) = other {
            return Err(TrustError::Fork(format!("two roots for {size} leaves: {root} and {}", checkpoint.root)));
        }
        if inner.recent.len() == RECENT_MAX {
            inner.recent.pop_front();
        }
        inner.recent.push_back((checkpoint.size, checkpoint.root));
        if inner.largest.as_ref().is_none_or(|largest| largest.checkpoint.size < checkpoint.size) {
            inner.largest = Some(Arc::clone(opened));
        }
        inner.last.truncate(LAST_MAX - 1);
        inner.last.push_front(Arc::clone(opened));
        Ok(())
    }

    fn seen(&self, text: &str) -> Option<Arc<Opened>> {
        self.inner.lock().last.iter().find(|opened| opened.text == text).cloned()
    }
}

impl Trust {
    /// Opens a checkpoint from the line: size, signature of the log, and that it contradicts none of the last ones.
    pub(crate) fn open_checkpoint(&self, text: &str) -> Result<Arc<Opened>, TrustError> {
        if let Some(seen) = self.observed.seen(text) {
            return Ok(seen);
        }
        let opened = self.log.open(text)?;
        self.observed.see(&opened)?;
        Ok(opened)
    }

    /// The axis' answer to "what is newest": one that is smaller than what had been shown before the question takes something back.
    pub(crate) fn check_newest(newest: &Checkpoint, shown_before: u64) -> Result<(), TrustError> {
        if newest.size < shown_before {
            let message = format!("the newest checkpoint has {} leaves, one of {shown_before} was shown before", newest.size);
            return Err(TrustError::Fork(message));
        }
        Ok(())
    }

    /// Checks a consistency proof from the proved checkpoint to a larger one.
    pub(crate) fn check_extension(&self, old: &SeenCheckpoint, new: &Checkpoint, path: &[u8]) -> Result<(), TrustError> {
        let path = hashes(path, CONSISTENCY_HASHES_MAX)?;
        let proof = ConsistencyProof { old_size: old.size, new_size: new.size, path };
        // Both checkpoints bear the log's signature: if no proof leads from one to the other, the log signed two histories.
        proof.verify(&old.root, &new.root).map_err(|cause| TrustError::Fork(format!("{} → {} leaves: {cause}", old.size, new.size)))
    }
}

/// The body of a checkpoint whose signature was verified before it was recorded.
pub(crate) fn read_unverified(text: &str) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::parse_body(Note::parse(text.as_bytes())?.text())
}

/// 32-byte hashes one after another.
pub(super) fn hashes(bytes: &[u8], limit: usize) -> Result<Vec<Digest>, TrustError> {
    let (chunks, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || chunks.len() > limit {
        return Err(TrustError::invalid(format!("a proof path of {} bytes", bytes.len())));
    }
    Ok(chunks.iter().map(|hash| Digest(*hash)).collect())
}

/// The siblings of an inclusion proof.
pub(crate) fn path(bytes: &[u8]) -> Result<Vec<Digest>, TrustError> {
    hashes(bytes, PATH_HASHES_MAX)
}
