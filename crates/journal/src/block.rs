//! A block: the entries of one group commit and what its header says of them.
//!
//! Not its bytes on disk (each engine has its own) and not the meaning of an entry: entries are opaque bytes here.

use std::sync::Arc;

use truc_ledger::EMPTY_ROOT;
use truc_types::limits::{BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, ENTRY_BYTES_MAX, ORIGIN_BYTES_MAX};
use truc_types::{BlockNumber, Digest, LeafIndex, Position, Term, Timestamp};

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockKind {
    /// Carries 1 to [`BLOCK_ENTRIES_MAX`] entries.
    Entries,
    /// Settles an unknown append: whatever was in flight for its number can no longer land. Usually without entries.
    Fence,
    /// A sequencer opens its term. Usually without entries.
    Term,
    /// Begins a log shard: only here the origin may change, and the leaves start at 0 again.
    Shard,
}

/// What stands before the entries of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// What the block is for.
    pub kind: BlockKind,
    /// Number of the block, without gaps.
    pub number: BlockNumber,
    /// Position of the first entry; of the next one where the block has none.
    pub position: Position,
    /// Leaf of the first entry in its shard: the tree size before the block.
    pub leaf: LeafIndex,
    /// Log origin of the shard, 1 to [`ORIGIN_BYTES_MAX`] bytes.
    pub origin: String,
    /// Term of the sequencer that wrote the block; never falls.
    pub term: Term,
    /// Block time; never falls.
    pub time: Timestamp,
    /// Leaves of the shard after the block: `leaf` + entries.
    pub tree_size: u64,
    /// Root of the shard's tree after the block, as the caller computed it. Engines store it; only the scrub recomputes it.
    pub root: Digest,
}

/// The entries of one group commit, with their header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands before the entries.
    pub header: BlockHeader,
    /// The entries, 1 to [`ENTRY_BYTES_MAX`] bytes each, [`BLOCK_BYTES_MAX`] together.
    pub entries: Vec<Arc<[u8]>>,
}

/// A block that breaks a limit or contradicts itself or its predecessor: a defect of the caller, never of the disk or of a rival.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockRefusal {
    /// A block of kind [`BlockKind::Entries`] without any.
    #[error("a block of entries has none")]
    NoEntries,
    /// More than [`BLOCK_ENTRIES_MAX`].
    #[error("a block has {found} entries, at most {BLOCK_ENTRIES_MAX} are allowed")]
    TooManyEntries {
        /// Entries of the block.
        found: usize,
    },
    /// An entry without bytes, or with more than [`ENTRY_BYTES_MAX`].
    #[error("entry {index} of a block has {bytes} bytes, 1 to {ENTRY_BYTES_MAX} are allowed")]
    EntryLength {
        /// Which entry of the block, from 0.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// Entries of more than [`BLOCK_BYTES_MAX`] together.
    #[error("the entries of a block have {bytes} bytes, at most {BLOCK_BYTES_MAX} are allowed")]
    TooLong {
        /// Bytes of all entries.
        bytes: usize,
    },
    /// An origin that is empty or too long.
    #[error("a log origin has {bytes} bytes, 1 to {ORIGIN_BYTES_MAX} are allowed")]
    OriginLength {
        /// Its length.
        bytes: usize,
    },
    /// Another origin than that of the block before, without being a shard block.
    #[error("the log origin changes from {before:?} to {found:?} outside a shard block")]
    OriginChanged {
        /// Origin of the block before.
        before: String,
        /// Origin of this one.
        found: String,
    },
    /// The first leaf is not the tree size before the block (0 in a shard block).
    #[error("a block begins at leaf {found}, the tree has {expected} leaves")]
    Leaf {
        /// Tree size before the block.
        expected: u64,
        /// What the header says.
        found: LeafIndex,
    },
    /// The tree size is not the first leaf + entries.
    #[error("a block ends at tree size {found}, its entries make it {expected}")]
    TreeSize {
        /// First leaf + entries.
        expected: u64,
        /// What the header says.
        found: u64,
    },
    /// The block time is before that of the block before.
    #[error("a block has the time {found}, before {before} of its predecessor")]
    TimeFalls {
        /// Time of the block before.
        before: Timestamp,
        /// Time of this one.
        found: Timestamp,
    },
}

/// Where a journal ends: everything the next block must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEnd {
    /// Number of the next block.
    pub number: BlockNumber,
    /// Position of the next entry.
    pub position: Position,
    /// Term of the last block; 0 in an empty journal.
    pub term: Term,
    /// Time of the last block; the epoch in an empty journal.
    pub time: Timestamp,
    /// Log origin of the last block; empty in an empty journal.
    pub origin: String,
    /// Leaves of the current shard.
    pub tree_size: u64,
    /// Root of the current shard; [`EMPTY_ROOT`] in an empty journal.
    pub root: Digest,
}

impl JournalEnd {
    /// The end of a journal without blocks.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            number: BlockNumber(0),
            position: Position(0),
            term: Term(0),
            time: Timestamp::from_millis(0),
            origin: String::new(),
            tree_size: 0,
            root: EMPTY_ROOT,
        }
    }
}

impl BlockHeader {
    /// The end of a journal whose last block is this one.
    #[must_use]
    pub fn end(&self) -> JournalEnd {
        JournalEnd {
            number: self.number.next(),
            position: self.position.plus(self.tree_size.saturating_sub(self.leaf.0)),
            term: self.term,
            time: self.time,
            origin: self.origin.clone(),
            tree_size: self.tree_size,
            root: self.root,
        }
    }

    /// Checks what continues from the block before, except number, position and term: those are a rival's business, not a defect.
    pub(crate) fn check_continues(&self, end: &JournalEnd) -> Result<(), BlockRefusal> {
        let is_first = end.number.0 == 0;
        let is_shard = self.kind == BlockKind::Shard;
        if !is_first && !is_shard && self.origin != end.origin {
            return Err(BlockRefusal::OriginChanged { before: end.origin.clone(), found: self.origin.clone() });
        }
        let expected = if is_shard { 0 } else { end.tree_size };
        if self.leaf.0 != expected {
            return Err(BlockRefusal::Leaf { expected, found: self.leaf });
        }
        if self.time < end.time {
            return Err(BlockRefusal::TimeFalls { before: end.time, found: self.time });
        }
        Ok(())
    }
}

impl Block {
    /// The end of a journal whose last block is this one.
    #[must_use]
    pub fn end(&self) -> JournalEnd {
        self.header.end()
    }

    /// Each entry with its position.
    pub fn positioned(&self) -> impl Iterator<Item = (Position, &Arc<[u8]>)> {
        (self.header.position.0..).map(Position).zip(&self.entries)
    }

    /// Checks the limits of a block on its own.
    pub(crate) fn check_limits(&self) -> Result<(), BlockRefusal> {
        let count = self.entries.len();
        if count == 0 && self.header.kind == BlockKind::Entries {
            return Err(BlockRefusal::NoEntries);
        }
        if count > BLOCK_ENTRIES_MAX {
            return Err(BlockRefusal::TooManyEntries { found: count });
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.is_empty() || entry.len() > ENTRY_BYTES_MAX {
                return Err(BlockRefusal::EntryLength { index, bytes: entry.len() });
            }
        }
        let bytes = self.entries.iter().map(|entry| entry.len()).sum();
        if bytes > BLOCK_BYTES_MAX {
            return Err(BlockRefusal::TooLong { bytes });
        }
        let bytes = self.header.origin.len();
        if bytes == 0 || bytes > ORIGIN_BYTES_MAX {
            return Err(BlockRefusal::OriginLength { bytes });
        }
        let expected = self.header.leaf.0.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if self.header.tree_size != expected {
            return Err(BlockRefusal::TreeSize { expected, found: self.header.tree_size });
        }
        Ok(())
    }
}
