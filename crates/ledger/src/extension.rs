//! A block of new leaves on top of a frontier: the new root, the proof of every new leaf and the consistency proof.
//!
//! Everything a group commit answers with comes from the frontier's peaks and the block itself; nothing is read from storage.
//! Proofs of older leaves come from [`crate::store`].

use crate::plan::{ConsistencyPlan, NodeId, PlanError, root_nodes};
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
    /// `edge[l]` is the hash over the leaves behind the last complete node of level `l`, if there are any: what a proof has where its sibling is
    /// incomplete. Made once for all proofs of the block.
    edge: Vec<Option<Digest>>,
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
        let mut extension = Self { old: frontier.clone(), new: frontier.clone(), levels, edge: Vec::new() };
        // A block lies in memory, so its length fits.
        let size = frontier.size() + u64::try_from(leaf_hashes.len()).unwrap_or(0);
        extension.new = extension.frontier_at(size);
        extension.edge = edge(&extension.new);
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
        let path = self.path(leaf).expect("the old peaks and the block hold every sibling of a new leaf");
        Some(InclusionProof { leaf_index: leaf, tree_size: self.size(), path })
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

    /// The siblings from the leaf to the root (RFC 9162 section 2.1.3.1), without a plan: a block proves hundreds of leaves.
    fn path(&self, leaf: LeafIndex) -> Option<Vec<Digest>> {
        let last = self.size().checked_sub(1)?;
        let levels = u8::try_from(u64::BITS - last.leading_zeros()).ok()?;
        let mut path = Vec::with_capacity(levels.into());
        for level in 0..levels {
            let sibling = leaf.0 >> level ^ 1;
            if sibling < self.size() >> level {
                path.push(self.node(NodeId { level, index: sibling })?);
            } else if sibling == last >> level {
                path.push((*self.edge.get(usize::from(level))?)?);
            }
        }
        Some(path)
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

/// The hashes over the leaves behind the last complete node of each level, up to the root.
fn edge(frontier: &Frontier) -> Vec<Option<Digest>> {
    let levels = u64::BITS - frontier.size().saturating_sub(1).leading_zeros();
    let mut edge = Vec::with_capacity(usize::try_from(levels).unwrap_or_default());
    let mut behind = None;
    for level in (0u8..).take_while(|level| u32::from(*level) < levels) {
        edge.push(behind);
        if let Some(peak) = frontier.peak(level) {
            behind = Some(behind.map_or(peak, |right| node_hash(&peak, &right)));
        }
    }
    edge
}
