//! What is durable and may be shown: the checkpoint, the tree behind it, the newest entries, the registry. Written by the committer, read by everybody.
//!
//! Nothing tentative is here: a reader of this module can never say more than the journal holds.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;
use truc_core::registry::Registry;
use truc_journal::{Block, JournalReader, ReadError};
use truc_ledger::{InclusionProof, ProveError, TreeStore};
use truc_types::{Digest, LeafIndex, Position, Reason, Refusal};

use crate::backlog::Backlog;

/// Bytes of entries that are kept in memory for deliveries; older ones are read from the journal.
const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The durable side of the axis.
pub(crate) struct Published {
    reader: Arc<dyn JournalReader>,
    /// First position of the log shard: leaf = position − this.
    shard_start: Position,
    log: RwLock<Log>,
    recent: RwLock<Recent>,
    backlog: Backlog,
    registry: watch::Sender<Arc<Registry>>,
}

struct Log {
    tree: TreeStore,
    checkpoint: Checkpointed,
}

/// A signed checkpoint and its size.
#[derive(Debug, Clone)]
pub(crate) struct Checkpointed {
    /// C2SP note text.
    pub note: Arc<str>,
    /// Leaves that it covers.
    pub size: u64,
}

#[derive(Default)]
struct Recent {
    blocks: VecDeque<Block>,
    bytes: usize,
}

/// An entry with its proof against a checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    /// The exact bytes.
    pub entry: Arc<[u8]>,
    /// The proof.
    pub proof: InclusionProof,
}

impl Published {
    /// The durable side after start: the tree of everything in the journal, and the checkpoint that signs it.
    pub(crate) fn new(
        reader: Arc<dyn JournalReader>,
        shard_start: Position,
        tree: TreeStore,
        checkpoint: Checkpointed,
        registry: Arc<Registry>,
    ) -> Self {
        let log = RwLock::new(Log { tree, checkpoint });
        Self { reader, shard_start, log, recent: RwLock::default(), backlog: Backlog::default(), registry: watch::Sender::new(registry) }
    }

    /// First position of the log shard.
    pub(crate) const fn shard_start(&self) -> Position {
        self.shard_start
    }

    /// The journal behind it.
    pub(crate) fn reader(&self) -> &Arc<dyn JournalReader> {
        &self.reader
    }

    /// The registry as of the newest durable entry.
    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.borrow().clone()
    }

    /// The newest checkpoint.
    pub(crate) fn checkpoint(&self) -> Checkpointed {
        self.log.read().checkpoint.clone()
    }

    /// A block is durable and its checkpoint is signed.
    pub(crate) fn publish_block(&self, block: Block, leaves: &[Digest], checkpoint: Checkpointed) {
        {
            let mut log = self.log.write();
            for leaf in leaves {
                log.tree.push(*leaf);
            }
            log.checkpoint = checkpoint;
        }
        let mut recent = self.recent.write();
        recent.bytes += block_bytes(&block);
        recent.blocks.push_back(block);
        while recent.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = recent.blocks.pop_front() else { break };
            recent.bytes -= block_bytes(&oldest);
        }
    }

    /// A registry is durable.
    pub(crate) fn publish_registry(&self, registry: Arc<Registry>) {
        self.registry.send_replace(registry);
    }

    /// The bytes of a durable entry.
    ///
    /// # Errors
    /// When the journal does not have it or cannot be read.
    pub(crate) fn entry(&self, position: Position) -> Result<Arc<[u8]>, Refusal> {
        if let Some(entry) = self.recent.read().entry(position) {
            return Ok(entry);
        }
        self.backlog.entry(self.reader.as_ref(), position).map_err(|cause| storage(&cause))
    }

    /// Whether an entry and its proof are in memory: then showing it touches no disk. An entry that leaves memory just then is read from the journal.
    pub(crate) fn remembers(&self, position: Position) -> bool {
        let is_recent = self.recent.read().blocks.front().is_some_and(|first| first.header.position <= position);
        is_recent && position.0.checked_sub(self.shard_start.0).is_some_and(|leaf| self.log.read().tree.remembers(LeafIndex(leaf)))
    }

    /// Durable entries with their proofs, all against one checkpoint.
    ///
    /// # Errors
    /// As [`Published::entry`], and when the journal does not give the leaves back that the tree was built from.
    pub(crate) fn prove(&self, positions: impl IntoIterator<Item = Position>) -> Result<(Vec<Proven>, Checkpointed), Refusal> {
        let checkpoint = self.checkpoint();
        let mut proven = Vec::new();
        for position in positions {
            let leaf = LeafIndex(position.0 - self.shard_start.0);
            let proof = self.with_chunks(|tree, chunks| tree.prove_inclusion(leaf, checkpoint.size, |chunk| chunks.get(chunk)))?;
            proven.push(Proven { entry: self.entry(position)?, proof });
        }
        Ok((proven, checkpoint))
    }

    /// Proof that the tree of one size is the beginning of a later one.
    ///
    /// # Errors
    /// When the sizes are not 0 < old ≤ new ≤ published size.
    pub(crate) fn prove_consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<Digest>, Refusal> {
        let size = self.checkpoint().size;
        if old_size == 0 || old_size > new_size || new_size > size {
            let message = format!("sizes {old_size} and {new_size} are not in order up to {size}");
            return Err(Refusal::new(Reason::RequestInvalid, message).with("size", size));
        }
        self.with_chunks(|tree, chunks| tree.prove_consistency(old_size, new_size, |chunk| chunks.get(chunk))).map(|proof| proof.path)
    }

    /// Runs a proof over the tree. Chunks of old leaves are read from the journal without holding the lock, or a slow disk would hold up commits.
    fn with_chunks<T>(&self, mut attempt: impl FnMut(&TreeStore, &Chunks) -> Result<T, ProveError<NeedChunk>>) -> Result<T, Refusal> {
        let mut chunks = Chunks::default();
        // A proof reads at most two chunks.
        for _ in 0..3 {
            let need = match attempt(&self.log.read().tree, &chunks) {
                Ok(proof) => return Ok(proof),
                Err(ProveError::Read { source: NeedChunk(chunk), .. }) => chunk,
                Err(cause @ ProveError::ChunkAltered { .. }) => return Err(Refusal::new(Reason::JournalCorrupt, cause.to_string())),
                Err(cause) => return Err(Refusal::new(Reason::RequestInvalid, cause.to_string())),
            };
            let leaves = self.backlog.chunk(self.reader.as_ref(), self.shard_start, need).map_err(|cause| storage(&cause))?;
            chunks.0.push((need, leaves));
        }
        Err(Refusal::new(Reason::JournalCorrupt, "a proof needs more chunks than there are in one"))
    }
}

#[derive(Default)]
struct Chunks(Vec<(u64, Arc<[Digest]>)>);

#[derive(Debug, thiserror::Error)]
#[error("chunk {0} is not in memory")]
struct NeedChunk(u64);

impl Chunks {
    fn get(&self, chunk: u64) -> Result<Vec<Digest>, NeedChunk> {
        self.0.iter().find(|(number, _)| *number == chunk).map(|(_, leaves)| leaves.to_vec()).ok_or(NeedChunk(chunk))
    }
}

impl Recent {
    fn entry(&self, position: Position) -> Option<Arc<[u8]>> {
        let after = self.blocks.partition_point(|block| block.header.position <= position);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        let index = usize::try_from(position.0 - block.header.position.0).ok()?;
        block.entries.get(index).cloned()
    }
}

pub(crate) fn block_bytes(block: &Block) -> usize {
    block.entries.iter().map(|entry| entry.len() + size_of::<Arc<[u8]>>()).sum()
}

/// What a reader of the journal is told when it fails.
pub(crate) fn storage(cause: &ReadError) -> Refusal {
    Refusal::new(cause.reason(), cause.to_string())
}
