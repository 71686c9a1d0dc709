//! The nodes of a growing tree, kept so that any leaf can be proved against any size, old or new.
//!
//! Nodes over 256 and more leaves stay in memory for ever; lower ones only for the newest leaves. What lies deeper is computed from
//! one or two chunks of 256 leaf hashes that the caller reads from the journal: reading is not done here.
//!
//! Memory: 250 kB per million leaves for ever (3,906 nodes of level 8 and as many above, 32 bytes each; vectors that grow may hold
//! up to twice that), and 64 bytes for each recent leaf: 4.2 MB with the default of 65,536.

use crate::plan::{ConsistencyPlan, InclusionPlan, NodeId, PlanError, root_nodes};
use crate::proof::{ConsistencyProof, InclusionProof};
use crate::tree::{Frontier, join, node_hash};
use std::collections::VecDeque;
use truc_types::{Digest, LeafIndex};

/// Leaves of a chunk: 2^8, as many as a C2SP tile is wide.
pub const CHUNK_LEAVES: u64 = 1 << CHUNK_LEVEL;
/// Leaves whose lower nodes stay in memory by default: proofs of the last 128 full blocks of 512 entries read nothing.
pub const RECENT_LEAVES_DEFAULT: u64 = 65_536;

/// Level of the node over one chunk.
const CHUNK_LEVEL: u8 = 8;

/// What the store knows of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Its hash.
    Hash(Digest),
    /// Forgotten: read the 256 leaf hashes of the chunk with this number, then ask [`chunk_node`].
    NeedChunk(u64),
    /// Not all its leaves are in the tree yet.
    Incomplete,
}

/// Why a proof could not be made. `E` is the error of the caller's reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// There is no such proof.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The tree has not grown so far.
    #[error("a proof for {size} leaves was asked of a tree of {stored}")]
    SizeAhead {
        /// Size asked for.
        size: u64,
        /// Leaves pushed so far.
        stored: u64,
    },
    /// The chunk could not be read.
    #[error("chunk {chunk} could not be read")]
    Read {
        /// Number of the chunk.
        chunk: u64,
        /// What the reader said.
        source: E,
    },
    /// Not [`CHUNK_LEAVES`] hashes.
    #[error("chunk {chunk} was read with {found} leaves instead of 256")]
    ChunkLength {
        /// Number of the chunk.
        chunk: u64,
        /// Leaf hashes found.
        found: usize,
    },
    /// The leaves are not the ones that were pushed: the journal was altered or damaged.
    #[error("chunk {chunk} hashes to {computed}, but was {pushed} when it was logged")]
    ChunkAltered {
        /// Number of the chunk.
        chunk: u64,
        /// Node over the leaves that were read.
        computed: Digest,
        /// Node over the leaves that were pushed.
        pushed: Digest,
    },
}

/// The store. One writer pushes; proofs need only a shared reference.
#[derive(Debug, Clone)]
pub struct TreeStore {
    size: u64,
    /// Nodes of level 8 and above.
    upper: Levels,
    /// Nodes below level 8 of the newest complete chunks, oldest first.
    recent: VecDeque<Levels>,
    recent_chunks_max: usize,
    /// The incomplete last chunk.
    open: Levels,
}

impl Default for TreeStore {
    fn default() -> Self {
        Self::new(RECENT_LEAVES_DEFAULT)
    }
}

impl TreeStore {
    /// An empty tree that remembers the lower nodes of the newest `recent_leaves` leaves, rounded up to whole chunks.
    #[must_use]
    pub fn new(recent_leaves: u64) -> Self {
        let recent_chunks_max = usize::try_from(recent_leaves.div_ceil(CHUNK_LEAVES)).unwrap_or(usize::MAX);
        Self { size: 0, upper: Levels::default(), recent: VecDeque::new(), recent_chunks_max, open: Levels::default() }
    }

    /// The tree over whole chunks of 256 leaves, of which only the roots are known: what the journal keeps of leaves that it has packed. Whether they
    /// are the roots of the leaves that were logged shows [`Self::root_at`].
    #[must_use]
    pub fn from_chunks(roots: impl IntoIterator<Item = Digest>) -> Self {
        let mut tree = Self::default();
        for root in roots {
            tree.upper.push(root);
            tree.size += CHUNK_LEAVES;
        }
        tree
    }

    /// Adds a leaf on the right.
    pub fn push(&mut self, leaf_hash: Digest) {
        self.open.push(leaf_hash);
        self.size += 1;
        if let Some(root) = self.open.node(CHUNK_LEVEL, 0) {
            self.upper.push(root);
            self.recent.push_back(std::mem::take(&mut self.open));
            while self.recent.len() > self.recent_chunks_max {
                self.recent.pop_front();
            }
        }
    }

    /// Leaves of the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The frontier now; every peak is in memory.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        Frontier::of_complete(self.size, self.remembered(self.size).unwrap_or_default())
    }

    /// The root at a size, now or earlier, as far as memory reaches: `None` above [`Self::size`], and for old sizes that end inside a
    /// forgotten chunk. [`Self::read_root_at`] reads that chunk.
    #[must_use]
    pub fn root_at(&self, size: u64) -> Option<Digest> {
        self.remembered(size).map(|peaks| join(&peaks))
    }

    /// What the store knows of a node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Lookup {
        if !node.is_complete_in(self.size) {
            return Lookup::Incomplete;
        }
        let found = match node.level.checked_sub(CHUNK_LEVEL) {
            Some(level) => self.upper.node(level, node.index),
            None => {
                let Some((chunk, within)) = place_in_chunk(node) else { return Lookup::Incomplete };
                let Some(levels) = self.chunk(chunk) else { return Lookup::NeedChunk(chunk) };
                levels.node(node.level, within)
            }
        };
        found.map_or(Lookup::Incomplete, Lookup::Hash)
    }

    /// Whether a proof of this leaf against the present size reads nothing.
    #[must_use]
    pub fn remembers(&self, leaf: LeafIndex) -> bool {
        leaf.0 < self.size && self.chunk(leaf.0 / CHUNK_LEAVES).is_some()
    }

    /// Proves that `leaf` is in the tree of `size` leaves, which may be any size up to the present one. `read_chunk` gets the number of a
    /// complete chunk and returns its 256 leaf hashes; it is called at most twice.
    ///
    /// # Errors
    /// When there is no such proof, a chunk cannot be read, or its leaves are not the ones that were pushed.
    pub fn prove_inclusion<E>(
        &self,
        leaf: LeafIndex,
        size: u64,
        read_chunk: impl FnMut(u64) -> Result<Vec<Digest>, E>,
    ) -> Result<InclusionProof, ProveError<E>> {
        let plan = InclusionPlan::new(leaf, size)?;
        Ok(plan.assemble(&self.hashes(size, plan.nodes(), read_chunk)?)?)
    }

    /// Proves that the tree of `old_size` leaves is the beginning of the one of `new_size`, which may be any sizes up to the present
    /// one. `read_chunk` as in [`Self::prove_inclusion`].
    ///
    /// # Errors
    /// As [`Self::prove_inclusion`].
    pub fn prove_consistency<E>(
        &self,
        old_size: u64,
        new_size: u64,
        read_chunk: impl FnMut(u64) -> Result<Vec<Digest>, E>,
    ) -> Result<ConsistencyProof, ProveError<E>> {
        let plan = ConsistencyPlan::new(old_size, new_size)?;
        Ok(plan.assemble(&self.hashes(new_size, plan.nodes(), read_chunk)?)?)
    }

    /// The root at any size up to the present one. `read_chunk` as in [`Self::prove_inclusion`], called at most once.
    ///
    /// # Errors
    /// As [`Self::prove_inclusion`].
    pub fn read_root_at<E>(&self, size: u64, read_chunk: impl FnMut(u64) -> Result<Vec<Digest>, E>) -> Result<Digest, ProveError<E>> {
        Ok(join(&self.hashes(size, &root_nodes(size), read_chunk)?))
    }

    fn hashes<E>(
        &self,
        size: u64,
        nodes: &[NodeId],
        mut read_chunk: impl FnMut(u64) -> Result<Vec<Digest>, E>,
    ) -> Result<Vec<Digest>, ProveError<E>> {
        let ahead = ProveError::SizeAhead { size, stored: self.size };
        if size > self.size {
            return Err(ahead);
        }
        let mut read: Vec<(u64, Levels)> = Vec::new();
        let mut hashes = Vec::with_capacity(nodes.len());
        for &node in nodes {
            let hash = match self.node(node) {
                Lookup::Hash(hash) => Some(hash),
                Lookup::Incomplete => None,
                Lookup::NeedChunk(chunk) => {
                    if !read.iter().any(|(number, _)| *number == chunk) {
                        let leaves = read_chunk(chunk).map_err(|source| ProveError::Read { chunk, source })?;
                        read.push((chunk, self.check_chunk(chunk, &leaves)?));
                    }
                    let within = place_in_chunk(node).map(|(_, within)| within);
                    read.iter().find(|(number, _)| *number == chunk).zip(within).and_then(|((_, levels), i)| levels.node(node.level, i))
                }
            };
            let Some(hash) = hash else { return Err(ahead) };
            hashes.push(hash);
        }
        Ok(hashes)
    }

    /// The nodes over leaves that were read back, when they are the leaves that were pushed.
    fn check_chunk<E>(&self, chunk: u64, leaves: &[Digest]) -> Result<Levels, ProveError<E>> {
        let found = leaves.len();
        if u64::try_from(found) != Ok(CHUNK_LEAVES) {
            return Err(ProveError::ChunkLength { chunk, found });
        }
        let mut levels = Levels::default();
        for &leaf in leaves {
            levels.push(leaf);
        }
        match (levels.node(CHUNK_LEVEL, 0), self.upper.node(0, chunk)) {
            (Some(computed), Some(pushed)) if computed != pushed => Err(ProveError::ChunkAltered { chunk, computed, pushed }),
            _ => Ok(levels),
        }
    }

    /// The peaks of the tree at a size, when all are in memory.
    fn remembered(&self, size: u64) -> Option<Vec<Digest>> {
        let hash = |node| if let Lookup::Hash(hash) = self.node(node) { Some(hash) } else { None };
        root_nodes(size).into_iter().map(hash).collect()
    }

    /// The lower nodes of a chunk, when they are in memory.
    fn chunk(&self, chunk: u64) -> Option<&Levels> {
        // Chunks counted back from the open one, which is 0.
        let age = usize::try_from((self.size / CHUNK_LEAVES).checked_sub(chunk)?).ok()?;
        if age == 0 { Some(&self.open) } else { self.recent.get(self.recent.len().checked_sub(age)?) }
    }
}

/// The hash of a node of level 8 or below from the leaf hashes of its chunk; `None` when the node is higher, or the leaves end before
/// it does. The chunk is `index >> (8 − level)` of the node.
#[must_use]
pub fn chunk_node(leaf_hashes: &[Digest], node: NodeId) -> Option<Digest> {
    let (_, within) = place_in_chunk(node)?;
    let width = 1usize.checked_shl(u32::from(node.level))?;
    let start = usize::try_from(within).ok()?.checked_mul(width)?;
    let mut row = leaf_hashes.get(start..start.checked_add(width)?)?.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied()
}

/// Number of the chunk that holds the node, and the node's index among the nodes of its level in it.
fn place_in_chunk(node: NodeId) -> Option<(u64, u64)> {
    let above = u32::from(CHUNK_LEVEL.checked_sub(node.level)?);
    Some((node.index >> above, node.index & ((1 << above) - 1)))
}

/// Complete nodes by level above some ground level, completed as the ground grows.
#[derive(Debug, Clone, Default)]
struct Levels(Vec<Vec<Digest>>);

impl Levels {
    fn push(&mut self, ground: Digest) {
        let mut node = ground;
        for row in &mut self.0 {
            let left = if row.len() % 2 == 1 { row.last().copied() } else { None };
            row.push(node);
            let Some(left) = left else { return };
            node = node_hash(&left, &node);
        }
        self.0.push(vec![node]);
    }

    fn node(&self, level: u8, index: u64) -> Option<Digest> {
        self.0.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}
