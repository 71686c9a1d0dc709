//! A block of new leaves on top of a frontier: the new root, the proof of every new leaf and the consistency proof.
//!
//! Everything a group commit answers with comes from the frontier's peaks and the block itself; nothing is read from storage.
//! Proofs of older leaves come from [`crate::store`].

use crate::plan::{ConsistencyPlan, InclusionPlan, NodeId, PlanError, root_nodes};
use crate::proof::{ConsistencyProof, InclusionProof};
use crate::tree::{Frontier, node_hash};
use truc_types::{Digest, LeafIndex};

/// The tree after one block. Memory: about 64 bytes per leaf of the block.
#[derive(Debug, Clone)]
pub struct Extension {
    old: Frontier,
    new: Frontier,
    /// `levels[l]` are the nodes of level `l` that the block completed; the first has index `old.size() >> l`.
    levels: Vec<Vec<Digest>>,
}

impl Extension {
    /// Extends `frontier` by the leaf hashes of one block, in order. O(block) hashes.
    #[must_use]
    pub fn new(frontier: &Frontier, leaf_hashes: &[Digest]) -> Self {
        let mut levels = Vec::new();
        let mut row = leaf_hashes.to_vec();
        let mut level = 0u8;
        while !row.is_empty() {
            // A left child that was complete before the block is a peak of the old frontier.
            let mut children: Vec<Digest> = frontier.peak(level).into_iter().collect();
            children.extend_from_slice(&row);
            levels.push(row);
            row = children.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
            level += 1;
        }
        let mut extension = Self { old: frontier.clone(), new: frontier.clone(), levels };
        // A block lies in memory, so its length fits.
        let size = frontier.size() + u64::try_from(leaf_hashes.len()).unwrap_or(0);
        extension.new = extension.frontier_at(size);
        extension
    }

    /// The frontier after the block, to build the next one on.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.new
    }

    /// The frontier after the block.
    #[must_use]
    pub fn into_frontier(self) -> Frontier {
        self.new
    }

    /// Root after the block.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.new.root()
    }

    /// Leaves after the block.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.new.size()
    }

    /// Leaves before the block: the index of its first leaf.
    #[must_use]
    pub const fn old_size(&self) -> u64 {
        self.old.size()
    }

    /// Proof of one leaf of the block against the new root, O(log n) hashes at most; `None` when the leaf is not of this block.
    #[must_use]
    pub fn inclusion_proof(&self, leaf: LeafIndex) -> Option<InclusionProof> {
        if leaf.0 < self.old_size() || leaf.0 >= self.size() {
            return None;
        }
        #[expect(clippy::expect_used, reason = "every node is a peak of the old frontier or completed by the block; see node()")]
        Some(self.try_inclusion(leaf).expect("the old peaks and the block hold every sibling of a new leaf"))
    }

    /// Proofs of all leaves of the block against the new root, in order.
    pub fn inclusion_proofs(&self) -> impl Iterator<Item = InclusionProof> {
        (self.old_size()..self.size()).filter_map(|leaf| self.inclusion_proof(LeafIndex(leaf)))
    }

    /// Proof that the tree before the block is the beginning of the tree after it.
    #[must_use]
    pub fn consistency_proof(&self) -> ConsistencyProof {
        #[expect(clippy::expect_used, reason = "every node is a peak of the old frontier or completed by the block; see node()")]
        self.try_consistency().expect("the old peaks and the block hold every node between two neighbouring sizes")
    }

    fn try_inclusion(&self, leaf: LeafIndex) -> Result<InclusionProof, PlanError> {
        let plan = InclusionPlan::new(leaf, self.size())?;
        plan.assemble(&self.hashes(plan.nodes()))
    }

    fn try_consistency(&self) -> Result<ConsistencyProof, PlanError> {
        let plan = ConsistencyPlan::new(self.old_size(), self.size())?;
        plan.assemble(&self.hashes(plan.nodes()))
    }

    fn frontier_at(&self, size: u64) -> Frontier {
        Frontier::of_complete(size, self.hashes(&root_nodes(size)))
    }

    fn hashes(&self, nodes: &[NodeId]) -> Vec<Digest> {
        nodes.iter().filter_map(|&node| self.node(node)).collect()
    }

    /// The hash of a node that the block completed, or of a peak of the old frontier. A sibling on the path of a new leaf is one of
    /// the two: were it inside a larger complete subtree of the old tree, that subtree would hold the new leaf as well.
    fn node(&self, node: NodeId) -> Option<Digest> {
        let first_new = self.old.size().checked_shr(u32::from(node.level))?;
        if let Some(offset) = node.index.checked_sub(first_new) {
            return self.levels.get(usize::from(node.level))?.get(usize::try_from(offset).ok()?).copied();
        }
        if node.index + 1 == first_new { self.old.peak(node.level) } else { None }
    }
}
