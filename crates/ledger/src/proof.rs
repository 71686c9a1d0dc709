//! Inclusion and consistency proofs and their verification, step by step as RFC 9162 has it.
//!
//! A proof is only as good as the root it is checked against: roots come from [`crate::checkpoint::open`].

use crate::tree::{EMPTY_ROOT, TREE_SIZE_MAX, node_hash};
use truc_types::{Digest, LeafIndex, Reason};

/// Hashes of the longest path: the height of the largest tree, [`TREE_SIZE_MAX`] = 2^63.
pub const PATH_HASHES_MAX: usize = 63;
/// Hashes of the longest consistency proof: one level more than a path, for the shared subtree (RFC 9162 section 2.1.4.1).
pub const CONSISTENCY_HASHES_MAX: usize = PATH_HASHES_MAX + 1;

/// Proof that one leaf is in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the leaf from 0.
    pub leaf_index: LeafIndex,
    /// Leaves of the tree.
    pub tree_size: u64,
    /// Siblings from the leaf's up to the root's child; at most [`PATH_HASHES_MAX`].
    pub path: Vec<Digest>,
}

/// Proof that one tree is the beginning of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Leaves of the smaller tree.
    pub old_size: u64,
    /// Leaves of the larger tree.
    pub new_size: u64,
    /// Nodes in the order of RFC 9162 section 2.1.4.1; empty when the sizes are equal or the old one is 0.
    pub path: Vec<Digest>,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in the tree.
    #[error("leaf {leaf} is not in a tree of {size} leaves")]
    LeafOutside {
        /// Index that the proof names.
        leaf: LeafIndex,
        /// Size that the proof names.
        size: u64,
    },
    /// The old size is above the new one.
    #[error("a tree of {old_size} leaves is no beginning of one of {new_size}")]
    SizesReversed {
        /// The size that should be the smaller one.
        old_size: u64,
        /// The size that should be the larger one.
        new_size: u64,
    },
    /// Above [`TREE_SIZE_MAX`].
    #[error("a tree of {size} leaves is above the limit of {TREE_SIZE_MAX}")]
    TreeTooLarge {
        /// Size that the proof names.
        size: u64,
    },
    /// Fewer hashes than the sizes ask for.
    #[error("a path of {found} hashes is too short")]
    PathTooShort {
        /// Hashes of the path.
        found: usize,
    },
    /// More hashes than the sizes ask for, or than any proof has.
    #[error("a path of {found} hashes is too long")]
    PathTooLong {
        /// Hashes of the path.
        found: usize,
    },
    /// The path leads to another root.
    #[error("the path leads to the root {computed}, expected {expected}")]
    RootMismatch {
        /// Root that the path leads to.
        computed: Digest,
        /// Root of the (new) tree.
        expected: Digest,
    },
    /// The path leads to another root of the old tree.
    #[error("the path leads to the old root {computed}, expected {expected}")]
    OldRootMismatch {
        /// Root that the path leads to.
        computed: Digest,
        /// Root of the old tree.
        expected: Digest,
    },
    /// Two trees of one size have different roots: the log shows two histories.
    #[error("two roots for {size} leaves: {old_root} and {new_root}")]
    Fork {
        /// Leaves of both trees.
        size: u64,
        /// One root.
        old_root: Digest,
        /// The other root.
        new_root: Digest,
    },
}

impl ProofError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Fork { .. } => Reason::LogFork,
            Self::LeafOutside { .. }
            | Self::SizesReversed { .. }
            | Self::TreeTooLarge { .. }
            | Self::PathTooShort { .. }
            | Self::PathTooLong { .. }
            | Self::RootMismatch { .. }
            | Self::OldRootMismatch { .. } => Reason::LogProofInvalid,
        }
    }
}

impl InclusionProof {
    /// Checks that the leaf is at [`Self::leaf_index`] of the tree with this root (RFC 9162 section 2.1.3.2).
    ///
    /// The size has to come from the checkpoint that signs the root: the path of a left leaf leads to one root whether the tree has
    /// three leaves or four, so a wrong size beside the right root is not always noticed here.
    ///
    /// # Errors
    /// The first reason for which the proof does not hold.
    pub fn verify(&self, leaf_hash: &Digest, root: &Digest) -> Result<(), ProofError> {
        match climb(self.leaf_index, self.tree_size, &self.path, leaf_hash, |_, _| false)? {
            Some(computed) if computed != *root => Err(ProofError::RootMismatch { computed, expected: *root }),
            _ => Ok(()),
        }
    }
}

/// A node on the way from a leaf to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    /// Levels above the leaf, and the index among the nodes there.
    pub(crate) level: (u32, u64),
    /// Hashes of the path that led here.
    pub(crate) used: usize,
}

/// Goes from a leaf towards the root of a tree of `size` leaves; the root that the path leads to, or none when `knows` the node and the way from it.
pub(crate) fn climb(
    leaf: LeafIndex,
    size: u64,
    path: &[Digest],
    leaf_hash: &Digest,
    mut knows: impl FnMut(Step, &Digest) -> bool,
) -> Result<Option<Digest>, ProofError> {
    let found = path.len();
    check_size(size)?;
    if leaf.0 >= size {
        return Err(ProofError::LeafOutside { leaf, size });
    }
    if found > PATH_HASHES_MAX {
        return Err(ProofError::PathTooLong { found });
    }
    // fn, sn and r of the RFC.
    let (mut node, mut last, mut computed, mut height) = (leaf.0, size - 1, *leaf_hash, 0);
    for (used, sibling) in path.iter().enumerate() {
        if last == 0 {
            return Err(ProofError::PathTooLong { found });
        }
        if knows(Step { level: (height, node), used }, &computed) {
            return Ok(None);
        }
        if node & 1 == 1 || node == last {
            computed = node_hash(sibling, &computed);
            height += skip_levels_without_sibling(&mut node, &mut last);
        } else {
            computed = node_hash(&computed, sibling);
        }
        node >>= 1;
        last >>= 1;
        height += 1;
    }
    if last == 0 { Ok(Some(computed)) } else { Err(ProofError::PathTooShort { found }) }
}

impl ConsistencyProof {
    /// Checks that the tree with `old_root` is the beginning of the one with `new_root` (RFC 9162 section 2.1.4.2).
    /// Beyond the RFC: equal sizes hold with an empty path and equal roots, and the empty tree is the beginning of every tree.
    ///
    /// # Errors
    /// The first reason for which the proof does not hold.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofError> {
        let (old_size, new_size, found) = (self.old_size, self.new_size, self.path.len());
        check_size(new_size)?;
        if old_size > new_size {
            return Err(ProofError::SizesReversed { old_size, new_size });
        }
        if old_size == 0 && *old_root != EMPTY_ROOT {
            return Err(ProofError::OldRootMismatch { computed: EMPTY_ROOT, expected: *old_root });
        }
        if old_size == new_size && old_root != new_root {
            return Err(ProofError::Fork { size: new_size, old_root: *old_root, new_root: *new_root });
        }
        if old_size == 0 || old_size == new_size {
            return if found == 0 { Ok(()) } else { Err(ProofError::PathTooLong { found }) };
        }
        if found > CONSISTENCY_HASHES_MAX {
            return Err(ProofError::PathTooLong { found });
        }
        let (computed_old, computed_new) = self.roots(old_root)?;
        if computed_old != *old_root {
            return Err(ProofError::OldRootMismatch { computed: computed_old, expected: *old_root });
        }
        if computed_new != *new_root {
            return Err(ProofError::RootMismatch { computed: computed_new, expected: *new_root });
        }
        Ok(())
    }

    /// Both roots that the path leads to, for 0 < old size < new size.
    fn roots(&self, old_root: &Digest) -> Result<(Digest, Digest), ProofError> {
        let found = self.path.len();
        // The RFC refuses the empty path before it prepends the old root.
        let Some((first, rest)) = self.path.split_first() else { return Err(ProofError::PathTooShort { found }) };
        let (seed, path) = if self.old_size.is_power_of_two() { (old_root, self.path.as_slice()) } else { (first, rest) };
        // fn and sn, then fr and sr of the RFC.
        let (mut node, mut last) = (self.old_size - 1, self.new_size - 1);
        let complete = node.trailing_ones();
        node >>= complete;
        last >>= complete;
        let (mut old, mut new) = (*seed, *seed);
        for part in path {
            if last == 0 {
                return Err(ProofError::PathTooLong { found });
            }
            if node & 1 == 1 || node == last {
                old = node_hash(part, &old);
                new = node_hash(part, &new);
                skip_levels_without_sibling(&mut node, &mut last);
            } else {
                new = node_hash(&new, part);
            }
            node >>= 1;
            last >>= 1;
        }
        if last == 0 { Ok((old, new)) } else { Err(ProofError::PathTooShort { found }) }
    }
}

/// At the right edge a node rises through the levels on which it has no sibling, until it is a right child or the root; how many.
fn skip_levels_without_sibling(node: &mut u64, last: &mut u64) -> u32 {
    let mut levels = 0;
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
        levels += 1;
    }
    levels
}

const fn check_size(size: u64) -> Result<(), ProofError> {
    if size > TREE_SIZE_MAX { Err(ProofError::TreeTooLarge { size }) } else { Ok(()) }
}
