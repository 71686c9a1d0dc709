//! Hashes of the RFC 9162 Merkle tree and the frontier: the least state from which the tree can grow.
//!
//! Not the place of proofs: a frontier has forgotten every leaf but knows the root.

use sha2::{Digest as _, Sha256};
use truc_types::Digest;

/// Leaves of the largest tree that is verified: an inclusion path then has at most 63 hashes.
pub const TREE_SIZE_MAX: u64 = 1 << 63;

/// Leaves of the largest frontier that is read back: what memory can append to it stays below [`TREE_SIZE_MAX`].
pub const FRONTIER_SIZE_MAX: u64 = 1 << 62;

/// Root of the tree without leaves: SHA-256 of nothing (RFC 9162 section 2.1.1).
pub const EMPTY_ROOT: Digest = Digest([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
    0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// Hash of a leaf: SHA-256 of 0x00 and the exact bytes of the entry (RFC 9162 section 2.1.1).
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into())
}

/// Hash of an inner node: SHA-256 of 0x01 and both children (RFC 9162 section 2.1.1).
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut preimage = [0x01; 65];
    let (_, children) = preimage.split_at_mut(1);
    let (first, second) = children.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    Digest(Sha256::digest(preimage).into())
}

/// Hash over neighbouring complete subtrees of falling size, left to right; [`EMPTY_ROOT`] for none.
pub(crate) fn join(subtrees: &[Digest]) -> Digest {
    subtrees.iter().copied().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
}

/// The right edge of a tree: its size and the roots of its complete subtrees, largest (leftmost) first. At most 63 digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

/// Why stored numbers are no frontier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    /// One peak for every 1 in the binary form of the size.
    #[error("a tree of {size} leaves has {expected} peaks, found {found}")]
    PeakCount {
        /// Leaves of the tree.
        size: u64,
        /// Peaks that the size asks for.
        expected: usize,
        /// Peaks found.
        found: usize,
    },
    /// Above [`FRONTIER_SIZE_MAX`].
    #[error("a frontier of {size} leaves is above the limit of {FRONTIER_SIZE_MAX}")]
    TooLarge {
        /// Leaves of the tree.
        size: u64,
    },
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The frontier with these peaks, as [`Self::peaks`] gave them.
    ///
    /// # Errors
    /// When the number of peaks does not fit the size, or the size is above [`FRONTIER_SIZE_MAX`].
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Result<Self, FrontierError> {
        if size > FRONTIER_SIZE_MAX {
            return Err(FrontierError::TooLarge { size });
        }
        let expected = ones(size);
        if peaks.len() != expected {
            return Err(FrontierError::PeakCount { size, expected, found: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// The frontier of a tree whose peaks were computed here, so that they fit.
    pub(crate) fn of_complete(size: u64, peaks: Vec<Digest>) -> Self {
        debug_assert_eq!(peaks.len(), ones(size), "one peak for every 1 in the binary form of the size");
        Self { size, peaks }
    }

    /// Adds one leaf on the right.
    pub fn append(&mut self, leaf_hash: Digest) {
        let mut node = leaf_hash;
        // Each trailing 1 of the old size is a complete subtree that the new leaf completes to the next larger one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// Leaves of the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Digest {
        join(&self.peaks)
    }

    /// Roots of the complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// The peak over 2^level leaves, when the size has one.
    pub(crate) fn peak(&self, level: u8) -> Option<Digest> {
        let larger = self.size.checked_shr(u32::from(level))?;
        if larger & 1 == 0 {
            return None;
        }
        self.peaks.get(ones(larger >> 1)).copied()
    }
}

/// Number of 1 bits.
fn ones(size: u64) -> usize {
    // At most 64, so the fallback is never taken.
    usize::try_from(size.count_ones()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontier_survives_a_round_trip_and_refuses_peaks_that_do_not_fit() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), EMPTY_ROOT);
        for i in 0..70u8 {
            frontier.append(leaf_hash(&[i]));
            let peaks = frontier.peaks().to_vec();
            assert_eq!(Frontier::from_peaks(frontier.size(), peaks.clone()), Ok(frontier.clone()));
            let short = peaks[1..].to_vec();
            assert!(matches!(Frontier::from_peaks(frontier.size(), short), Err(FrontierError::PeakCount { .. })));
        }
        assert_eq!(Frontier::from_peaks(u64::MAX, vec![]), Err(FrontierError::TooLarge { size: u64::MAX }));
    }

    #[test]
    fn the_hashes_of_rfc_6962_test_vectors_come_out() {
        assert_eq!(leaf_hash(b"").to_hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(EMPTY_ROOT.to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        // Root of the leaves "", 0x00, 0x10 in the test data of the certificate-transparency project.
        let root = node_hash(&node_hash(&leaf_hash(b""), &leaf_hash(&[0])), &leaf_hash(&[0x10]));
        assert_eq!(root.to_hex(), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    }
}
