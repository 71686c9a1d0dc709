//! Which nodes a proof is made of, and how they become the proof.
//!
//! A plan reads nothing: it names complete subtrees, the caller fetches their hashes from wherever they are, and the plan puts them
//! together. Incomplete subtrees of the right edge are composed from complete ones here.

use crate::proof::{ConsistencyProof, InclusionProof};
use crate::tree::{TREE_SIZE_MAX, join};
use truc_types::{Digest, LeafIndex};

/// A complete subtree: the 2^`level` leaves from leaf `index` · 2^`level` on. Level 0 are the leaf hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height above the leaves, 0 to 63.
    pub level: u8,
    /// Place among the nodes of that level, from 0.
    pub index: u64,
}

impl NodeId {
    /// Whether all leaves under the node are in a tree of `size` leaves, so that its hash never changes again.
    #[must_use]
    pub fn is_complete_in(self, size: u64) -> bool {
        self.level < 64 && (u128::from(self.index) + 1) << self.level <= u128::from(size)
    }
}

/// Why there is no such proof, or why the hashes do not make it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The leaf is not in the tree.
    #[error("leaf {leaf} is not in a tree of {size} leaves")]
    LeafOutside {
        /// The leaf asked for.
        leaf: LeafIndex,
        /// Leaves of the tree.
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
        /// Leaves of the tree.
        size: u64,
    },
    /// Not one hash for each node of the plan.
    #[error("the plan names {expected} nodes, found {found} hashes")]
    HashCount {
        /// Nodes of the plan.
        expected: usize,
        /// Hashes given.
        found: usize,
    },
}

/// The nodes of an inclusion proof (RFC 9162 section 2.1.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionPlan {
    leaf: LeafIndex,
    size: u64,
    recipe: Recipe,
}

impl InclusionPlan {
    /// Plans the proof that `leaf` is in the tree of `size` leaves.
    ///
    /// # Errors
    /// When the leaf is outside the tree, or the tree is above [`TREE_SIZE_MAX`].
    pub fn new(leaf: LeafIndex, size: u64) -> Result<Self, PlanError> {
        check_size(size)?;
        if leaf.0 >= size {
            return Err(PlanError::LeafOutside { leaf, size });
        }
        let (mut low, mut high) = (0, size);
        let mut siblings = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if leaf.0 < middle {
                siblings.push((middle, high));
                high = middle;
            } else {
                siblings.push((low, middle));
                low = middle;
            }
        }
        Ok(Self { leaf, size, recipe: Recipe::from_root(&siblings) })
    }

    /// The nodes to read, in the order in which [`Self::assemble`] takes their hashes. All are complete in the tree.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.recipe.nodes
    }

    /// Makes the proof of the hashes of [`Self::nodes`].
    ///
    /// # Errors
    /// When the number of hashes is not the number of nodes.
    pub fn assemble(&self, hashes: &[Digest]) -> Result<InclusionProof, PlanError> {
        Ok(InclusionProof { leaf_index: self.leaf, tree_size: self.size, path: self.recipe.path(hashes)? })
    }
}

/// The nodes of a consistency proof (RFC 9162 section 2.1.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyPlan {
    old_size: u64,
    new_size: u64,
    recipe: Recipe,
}

impl ConsistencyPlan {
    /// Plans the proof that the tree of `old_size` leaves is the beginning of the tree of `new_size`.
    /// It has no nodes when the sizes are equal or the old tree is empty.
    ///
    /// # Errors
    /// When the old size is above the new one, or the new one above [`TREE_SIZE_MAX`].
    pub fn new(old_size: u64, new_size: u64) -> Result<Self, PlanError> {
        check_size(new_size)?;
        if old_size > new_size {
            return Err(PlanError::SizesReversed { old_size, new_size });
        }
        let (mut low, mut high) = (0, new_size);
        let mut parts = Vec::new();
        while old_size > 0 && old_size != high {
            let middle = low + split(high - low);
            if old_size <= middle {
                parts.push((middle, high));
                high = middle;
            } else {
                parts.push((low, middle));
                low = middle;
            }
        }
        // The last subtree that both trees share. When it is the whole old tree the verifier has its hash already.
        if old_size > 0 && low > 0 {
            parts.push((low, high));
        }
        Ok(Self { old_size, new_size, recipe: Recipe::from_root(&parts) })
    }

    /// The nodes to read, in the order in which [`Self::assemble`] takes their hashes. All are complete in the new tree.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.recipe.nodes
    }

    /// Makes the proof of the hashes of [`Self::nodes`].
    ///
    /// # Errors
    /// When the number of hashes is not the number of nodes.
    pub fn assemble(&self, hashes: &[Digest]) -> Result<ConsistencyProof, PlanError> {
        Ok(ConsistencyProof { old_size: self.old_size, new_size: self.new_size, path: self.recipe.path(hashes)? })
    }
}

/// The nodes whose hashes, joined from the right, make the root of a tree of `size` leaves: the peaks of its frontier.
#[must_use]
pub fn root_nodes(size: u64) -> Vec<NodeId> {
    let mut nodes = Vec::new();
    cover(0, size, &mut nodes);
    nodes
}

/// Nodes in path order, and how many of them make each element of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recipe {
    nodes: Vec<NodeId>,
    counts: Vec<usize>,
}

impl Recipe {
    /// From the leaf ranges of the path elements, the one next to the root first; paths run the other way.
    fn from_root(ranges: &[(u64, u64)]) -> Self {
        let mut recipe = Self { nodes: Vec::with_capacity(ranges.len()), counts: Vec::with_capacity(ranges.len()) };
        for &(low, high) in ranges.iter().rev() {
            let before = recipe.nodes.len();
            cover(low, high, &mut recipe.nodes);
            recipe.counts.push(recipe.nodes.len() - before);
        }
        recipe
    }

    fn path(&self, hashes: &[Digest]) -> Result<Vec<Digest>, PlanError> {
        let mismatch = PlanError::HashCount { expected: self.nodes.len(), found: hashes.len() };
        if hashes.len() != self.nodes.len() {
            return Err(mismatch);
        }
        let mut path = Vec::with_capacity(self.counts.len());
        let mut rest = hashes;
        for &count in &self.counts {
            let Some((element, tail)) = rest.split_at_checked(count) else { return Err(mismatch) };
            path.push(join(element));
            rest = tail;
        }
        Ok(path)
    }
}

/// Covers the leaves `low..high` with complete subtrees of falling size. `low` is aligned to the largest of them:
/// it is 0 or came out of [`split`].
fn cover(mut low: u64, high: u64, nodes: &mut Vec<NodeId>) {
    while low < high {
        let level = (high - low).ilog2();
        // ilog2 of a u64 is at most 63.
        nodes.push(NodeId { level: u8::try_from(level).unwrap_or(63), index: low >> level });
        low += 1 << level;
    }
}

/// Leaves of the left child of a tree of `size` ≥ 2: the largest power of two below `size` (RFC 9162 section 2.1.1).
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

const fn check_size(size: u64) -> Result<(), PlanError> {
    if size > TREE_SIZE_MAX { Err(PlanError::TreeTooLarge { size }) } else { Ok(()) }
}
