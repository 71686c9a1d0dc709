//! The contract of a journal: what every engine promises, in the two traits [`Journal`] and [`JournalReader`].
//!
//! Not an engine; `conformance` is this page as tests.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use truc_types::{BlockNumber, Digest, Position, Reason, Term};

use crate::block::{Block, BlockRefusal, JournalEnd};

/// The id under which an entry is found again by [`JournalReader::find`].
pub type EntryId = [u8; 16];

/// What a block must agree with to be the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the block.
    pub number: BlockNumber,
    /// Position of its first entry.
    pub position: Position,
    /// Its term.
    pub term: Term,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} at position {} in term {}", self.number, self.position, self.term)
    }
}

/// Why an append is not done.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another sequencer wrote, or has opened a higher term. Nothing of this block was or will be written. Drop the tentative state, catch up
    /// from a reader, decide again.
    #[error("the journal continues with {expected} (or a higher term), the block is {found}")]
    Conflict {
        /// What the journal continues with; a higher term is allowed too.
        expected: Place,
        /// What the block said.
        found: Place,
    },
    /// A write or sync failed, or the network broke: whether the block is durable is not known. The journal is poisoned: every later call
    /// returns this again. The process must stop trusting its memory and the page cache; with an embedded engine, exit.
    #[error("it is not known whether the block is durable: {source}")]
    Unknown {
        /// The first failure.
        #[source]
        source: Arc<io::Error>,
    },
    /// The block breaks a limit or contradicts itself: a defect of the caller. Nothing was written; the journal is as before.
    #[error(transparent)]
    Refused(#[from] BlockRefusal),
}

impl AppendError {
    /// What submitters in flight are told: whichever it is, the same bytes may come again and are accepted once.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Conflict { .. } | Self::Unknown { .. } | Self::Refused(_) => Reason::OutcomeUnknown,
        }
    }

    /// What the operator is told when the process ends because of it: the fault to mend.
    #[must_use]
    pub fn end_reason(&self) -> Reason {
        match self {
            Self::Unknown { source } => Reason::of_system(source, Reason::JournalStorage),
            Self::Conflict { .. } | Self::Refused(_) => Reason::OutcomeUnknown,
        }
    }
}

/// What every engine asks of a block before it writes anything.
pub(crate) fn check_append(end: &JournalEnd, block: &Block) -> Result<(), AppendError> {
    block.check_limits()?;
    let header = &block.header;
    let found = Place { number: header.number, position: header.position, term: header.term };
    let expected = Place { number: end.number, position: end.position, term: end.term };
    if found.number != expected.number || found.position != expected.position || found.term < expected.term {
        return Err(AppendError::Conflict { expected, found });
    }
    Ok(header.check_continues(end)?)
}

/// Index of the block from which an iteration at `position` starts; `first_position(i)` is that of block `i` of `count`.
pub(crate) fn first_block_from(count: usize, first_position: impl Fn(usize) -> Position, end: Position, position: Position) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if first_position(middle) < position { low = middle + 1 } else { high = middle }
    }
    // The block before reaches past the position where its successor begins after it.
    let end_of_previous = if low < count { first_position(low) } else { end };
    if low > 0 && end_of_previous > position { low - 1 } else { low }
}

/// Bytes that are not what was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Byte offset in it.
    pub offset: u64,
    /// Position of the first entry that is affected, as far as it can be told.
    pub position: Position,
    /// What is wrong there.
    pub cause: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}, position {}: {}", self.file.display(), self.offset, self.position, self.cause)
    }
}

/// Why a read gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No durable entry has this position yet.
    #[error("position {position} is not durable, the journal ends at {end}")]
    NotDurable {
        /// The position that was asked for.
        position: Position,
        /// The position of the next entry.
        end: Position,
    },
    /// What is stored is not what was written.
    #[error("the journal is damaged: {0}")]
    Corrupt(Damage),
    /// The storage failed.
    #[error("reading {path} failed: {source}", path = .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
}

impl ReadError {
    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotDurable { .. } => Reason::RequestInvalid,
            Self::Corrupt(_) => Reason::JournalCorrupt,
            Self::Storage { source, .. } => Reason::of_system(source, Reason::JournalStorage),
        }
    }
}

/// The writing side of a journal. One sequencer owns it.
///
/// - **Durable.** `append` returns `Ok` only when the block survives a power cut, a kill and a restart, whole and byte for byte.
/// - **In order, without gaps.** A block is taken only at the number and position of [`Journal::end`]; after `Ok` that is the end of the
///   block. At every moment the durable blocks are a prefix of those that were appended.
/// - **Fenced.** A block with a lower term than the last one is a conflict; a higher one is taken with any kind of block.
/// - **Three outcomes.** `Ok`; [`AppendError::Conflict`] and [`AppendError::Refused`], where nothing was written; [`AppendError::Unknown`], after
///   which every call gives `Unknown`. After `Unknown` the block is there whole or not at all once the journal has been opened anew.
/// - **Generic.** Entries are opaque. Root and time are taken as given; sizes, leaves and their continuity are checked.
///
/// Calls block the thread for the duration of the write and the sync.
pub trait Journal: Send {
    /// Appends one block and returns when it is durable.
    ///
    /// # Errors
    /// [`AppendError`]: conflict, unknown or refused.
    fn append(&mut self, block: Block) -> Result<(), AppendError>;

    /// The same for a caller that has read the entries and knows their ids already: one place for each entry, with exactly what the engine's own reader
    /// of ids would find in it. Engines that keep no index have no use for them.
    ///
    /// # Errors
    /// As [`Journal::append`].
    fn append_read(&mut self, block: Block, ids: &[Option<EntryId>]) -> Result<(), AppendError> {
        debug_assert_eq!(block.entries.len(), ids.len(), "one place for each entry");
        self.append(block)
    }

    /// Where the journal ends.
    fn end(&self) -> JournalEnd;

    /// A reader of the durable side, as many as are wanted.
    fn reader(&self) -> Arc<dyn JournalReader>;

    /// Brings what the engine keeps beside its blocks up to date (the high-water mark of segment files). Worth a call when no block came for a
    /// second; does nothing when nothing is behind.
    ///
    /// # Errors
    /// [`AppendError::Unknown`]: as for an append, the journal is poisoned.
    fn settle(&mut self) -> Result<(), AppendError>;

    /// Settles and gives up the journal. Readers stay usable. Dropping without `close` loses no block.
    ///
    /// # Errors
    /// [`AppendError::Unknown`] if the journal is poisoned or settling failed.
    fn close(self: Box<Self>) -> Result<(), AppendError>;
}

/// Blocks of a journal in order; memory is bounded by one block.
pub type Blocks<'a> = Box<dyn Iterator<Item = Result<Block, ReadError>> + Send + 'a>;

/// The reading side of a journal: shared between threads, never waits for a sync.
///
/// Readers see durable entries and nothing else: a block is visible at the latest when its `append` returns `Ok`, and never before it is durable.
pub trait JournalReader: Send + Sync {
    /// Where the durable side ends.
    fn durable_end(&self) -> JournalEnd;

    /// The block that holds the entry at `position`.
    ///
    /// # Errors
    /// [`ReadError::NotDurable`] at or after the durable end; damage and storage failures.
    fn block_at(&self, position: Position) -> Result<Block, ReadError>;

    /// The entry at `position`.
    ///
    /// # Errors
    /// As [`JournalReader::block_at`].
    fn entry(&self, position: Position) -> Result<Vec<u8>, ReadError>;

    /// The durable blocks from the first one that holds `position` or comes after it (blocks without entries count as lying at their
    /// position) up to the durable end at the time of the call to `next`. A tail continues with a new call at the end of the last block;
    /// a block without entries at that very end may then come a second time, recognisable by its number.
    ///
    /// The iterator ends after its first error.
    fn blocks_from(&self, position: Position) -> Blocks<'_>;

    /// The position of the entry with this id, among the entries below [`JournalReader::indexed_through`]. Ids of later entries are the
    /// caller's to remember; it learns them from [`JournalReader::blocks_from`] that position on. Of several entries with one id the first.
    ///
    /// # Errors
    /// Damage and storage failures.
    fn find(&self, id: &EntryId) -> Result<Option<Position>, ReadError>;

    /// The end of what [`JournalReader::find`] searches; 0 with engines that keep no index.
    fn indexed_through(&self) -> Position;

    /// Roots over the chunks of 256 leaves of the current shard, from its first leaf on, as far as the engine keeps them; none with engines that keep
    /// none. They save reading all entries at a start. What they are worth shows when the tree that is made of them has the root of the last block.
    ///
    /// # Errors
    /// Damage and storage failures.
    fn chunk_roots(&self) -> Result<Vec<Digest>, ReadError> {
        Ok(Vec::new())
    }
}
