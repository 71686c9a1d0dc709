//! The engine of segment files: the journal of a process that stores on its own disk.
//!
//! A folder with `<first block>.seg` (blocks, one after the other), `<first block>.ids` (index of a sealed segment), `high-water` and `lock`.
//! One write and one `fdatasync` per block. A sealed segment is packed into `<first block>.bundles` beside the commits and replaced by it. What the
//! bytes are stands in `format` and `bundle`, what is done about wrong ones in `open`, what packing leaves at a crash in `pack`.
//!
//! What a crash leaves, step by step of an append:
//! 1. *(only where a segment is full or a shard begins)* the mark, then the index, then an empty successor: each whole or not at all, except
//!    that the successor may be a file without a good header, which the next open drops;
//! 2. the write of the block: nothing, a part, or all of it, behind the good blocks; a part is dropped by the next open;
//! 3. the sync: as 2, and `Unknown` if it fails; the tail is copied and synced anew before anyone is answered from it;
//! 4. publishing to the readers: memory only;
//! 5. *(at most a second later)* the mark: the old or the new one.

mod bundle;
mod disk;
mod error;
mod export;
mod filter;
mod format;
mod high_water;
mod index;
mod lock;
mod open;
mod pack;
mod reader;
mod scrub;
mod snapshot;
#[cfg(test)]
mod tests;
mod unpack;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_types::limits::{HIGH_WATER_AGE_MILLIS_MAX, SEGMENT_BYTES_MAX};
use truc_types::{Position, Timestamp};

use crate::block::{Block, JournalEnd};
use crate::contract::{AppendError, EntryId, Journal, JournalReader, check_append};
use disk::{Disk, RealDisk, WriteFile};
pub use error::{Dropped, OpenError, OpenReport};
pub use export::export;
use format::{FORMAT, SEGMENT_HEADER_BYTES, SegmentHeader, encode_block};
use high_water::HighWater;
use index::{Covered, Row};
use lock::FolderLock;
use pack::Packer;
use reader::{SegmentInfo, SegmentReader};
pub use scrub::{FINDINGS_MAX, ScrubProgress, ScrubReport, scrub};
pub use snapshot::{Snapshot, SnapshotFile, SnapshotRequest, snapshot};
use walk::segment_name;

/// Zeros that are written behind a small block that has no room: some dozens of blocks of an edge. A block that has room is durable with one write, without the
/// length and the place of the file on the disk.
const ROOM_BYTES: u64 = 256 * 1024;
/// Bytes of a block for whose followers room is made. Larger ones come where many commands share a block: there the bytes count, not the syncs.
const ROOM_BLOCK_BYTES_MAX: usize = 16 * 1024;

/// Blocks after which the mark is written even if the block time stands still: a clock that stepped back must not keep it behind.
const HIGH_WATER_BLOCKS_MAX: u64 = 1_000;

/// The id under which an entry is found again by [`JournalReader::find`], if it has one.
pub type KeyOf = Arc<dyn Fn(&[u8]) -> Option<EntryId> + Send + Sync>;

/// How a folder is opened.
#[derive(Clone)]
pub struct SegmentOptions {
    /// The id of an entry.
    pub key_of: KeyOf,
    /// Bytes after which a segment is sealed, at most 1 GiB; the block that passes it still goes in.
    pub segment_bytes_max: u64,
    /// Bytes of room that small blocks find behind them, at most 256 KiB; 0 for none.
    pub room_bytes: u64,
    /// Whether sealed segments are packed into compressed bundles, on a thread of the journal's own. Segments that are packed are read either way.
    pub packs: bool,
}

impl SegmentOptions {
    /// Segments of [`SEGMENT_BYTES_MAX`] that are packed, and this id.
    #[must_use]
    pub fn new(key_of: KeyOf) -> Self {
        Self { key_of, segment_bytes_max: SEGMENT_BYTES_MAX, room_bytes: ROOM_BYTES, packs: true }
    }
}

/// The segment that grows.
struct Tail {
    file: Box<dyn WriteFile>,
    header: SegmentHeader,
    length: u64,
    /// Up to here the file has its bytes.
    room: u64,
    ids: Vec<Row>,
}

impl Tail {
    fn is_empty(&self) -> bool {
        u64::try_from(SEGMENT_HEADER_BYTES) == Ok(self.length)
    }

    /// Full, or of another shard; or without a block and begun for one that was never written, by a sequencer that is gone.
    fn must_end_before(&self, block: &Block, segment_bytes_max: u64) -> bool {
        if self.is_empty() {
            return self.header != SegmentHeader::beginning_with(&block.header);
        }
        self.length >= segment_bytes_max || self.header.origin != block.header.origin
    }
}

/// A journal in a folder of segment files.
pub struct SegmentJournal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: SegmentOptions,
    reader: Arc<SegmentReader>,
    /// `None` before the first block and after an unfinished creation: the next append makes a segment.
    tail: Option<Tail>,
    end: JournalEnd,
    mark: HighWater,
    mark_time: Timestamp,
    buffer: Vec<u8>,
    poison: Option<Arc<io::Error>>,
    packer: Packer,
    /// Last: nobody else may have the folder before the packer has ended.
    _lock: FolderLock,
}

impl std::fmt::Debug for SegmentJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentJournal")
            .field("folder", &self.folder)
            .field("end", &self.end)
            .field("poison", &self.poison)
            .finish_non_exhaustive()
    }
}

impl SegmentJournal {
    /// Opens the journal in a folder, which is made if it is not there, and verifies it: every block header; every byte of the last segment and
    /// of what lies above the high-water mark. An unfinished write at the end is dropped and reported. The unsealed tail is copied to a new file
    /// and synced before this returns: after a failed sync the page cache may show what the disk does not have.
    ///
    /// # Errors
    /// [`OpenError`]. Nothing in the folder was changed then, except that the lock file is there.
    pub fn open(folder: &Path, options: SegmentOptions) -> Result<(Self, OpenReport), OpenError> {
        Self::open_on(Arc::new(RealDisk), folder, options)
    }

    /// The first failure poisons for good: no later call touches a file.
    fn poisoned<T>(&mut self, outcome: io::Result<T>) -> Result<T, AppendError> {
        outcome.map_err(|error| {
            tracing::error!(folder = %self.folder.display(), end = %self.end.position, %error, "the journal failed and takes nothing more");
            let source = Arc::new(error);
            self.poison = Some(source.clone());
            AppendError::Unknown { source }
        })
    }

    fn check_poison(&self) -> Result<(), AppendError> {
        self.poison.as_ref().map_or(Ok(()), |source| Err(AppendError::Unknown { source: source.clone() }))
    }

    /// Writes a block; `ids` are those of its entries where the caller has read them.
    fn write_block(&mut self, block: &Block, ids: Option<&[Option<EntryId>]>) -> io::Result<()> {
        if self.tail.as_ref().is_none_or(|tail| tail.must_end_before(block, self.options.segment_bytes_max)) {
            self.seal()?;
            self.begin_segment(SegmentHeader::beginning_with(&block.header))?;
        }
        let tail = self.tail.as_mut().ok_or_else(|| io::Error::other("there is no segment to write to"))?;
        encode_block(block, &mut self.buffer);
        let offset = tail.length;
        let behind = offset + u64::try_from(self.buffer.len()).map_err(io::Error::other)?;
        tail.file.append(&self.buffer)?;
        if behind > tail.room && self.options.room_bytes > 0 && self.buffer.len() <= ROOM_BLOCK_BYTES_MAX {
            tail.room = match tail.file.make_room(behind, self.options.room_bytes) {
                Ok(()) => behind + self.options.room_bytes,
                // Blocks may still fit where room does not: this segment goes on without, and leaves what there is to them and to the mark.
                Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                    tail.file.cut_room(behind)?;
                    u64::MAX
                }
                Err(error) => return Err(error),
            };
        }
        tail.file.sync()?;
        // Durable from here on.
        tail.length = behind;
        match ids {
            Some(ids) => tail.ids.extend(block.positioned().zip(ids).filter_map(|((position, _), id)| id.map(|id| (id, position)))),
            None => tail.ids.extend(ids_of(&self.options.key_of, block.positioned().map(|(position, entry)| (position, &**entry)))),
        }
        self.end = block.end();
        let mut published = self.reader.published.write();
        let segment = published.segments.last_mut().ok_or_else(|| io::Error::other("there is no segment to write to"))?;
        segment.push(block.header.position, offset)?;
        published.end = self.end.clone();
        Ok(())
    }

    /// Ends the growing segment: first the mark, so that sealed segments always lie below it, then the index.
    fn seal(&mut self) -> io::Result<()> {
        self.write_mark()?;
        let Some(mut tail) = self.tail.take() else {
            return Ok(());
        };
        if tail.is_empty() {
            // The new segment takes its name and place.
            self.reader.published.write().segments.pop();
            return Ok(());
        }
        if tail.room > tail.length {
            // A sealed segment ends with its last block.
            tail.file.cut_room(tail.length)?;
            tail.file.sync()?;
        }
        let covered = Covered { number: tail.header.number, first: tail.header.position, end: self.end.position };
        let index = index::write(&*self.disk, &self.folder, covered, &mut tail.ids)?;
        if let Some(segment) = self.reader.published.write().segments.last_mut() {
            segment.sealed = Some((covered.end, index));
        }
        self.pack();
        Ok(())
    }

    /// Has sealed segments packed, beside everything else.
    fn pack(&mut self) {
        if self.options.packs {
            self.packer.wake(&self.disk, &self.folder, &self.reader);
        }
    }

    /// Packs every sealed segment on this thread.
    #[cfg(test)]
    fn pack_now(&self) -> Result<(), pack::PackError> {
        while let Some((number, path)) = pack::next_plain(&self.reader, &[]) {
            pack::pack_one(&*self.disk, &self.folder, &self.reader, number, &path, &std::sync::atomic::AtomicBool::new(false))?;
        }
        Ok(())
    }

    fn take(&mut self, block: &Block, ids: Option<&[Option<EntryId>]>) -> Result<(), AppendError> {
        self.check_poison()?;
        check_append(&self.end, block)?;
        let written = self.write_block(block, ids);
        self.poisoned(written)?;
        if self.mark_is_due() {
            let written = self.write_mark();
            self.poisoned(written)?;
        }
        Ok(())
    }

    fn begin_segment(&mut self, header: SegmentHeader) -> io::Result<()> {
        let path = self.folder.join(segment_name(header.number));
        let mut file = self.disk.create(&path)?;
        file.append(&header.encode(FORMAT))?;
        file.sync()?;
        self.disk.sync_folder(&self.folder)?;
        self.reader.published.write().segments.push(SegmentInfo::plain(path, header.clone()));
        let length = u64::try_from(SEGMENT_HEADER_BYTES).map_err(io::Error::other)?;
        self.tail = Some(Tail { file, header, length, room: length, ids: Vec::new() });
        Ok(())
    }

    fn write_mark(&mut self) -> io::Result<()> {
        let mark = HighWater::of(&self.end);
        if mark != self.mark {
            mark.write(&*self.disk, &self.folder)?;
            (self.mark, self.mark_time) = (mark, self.end.time);
        }
        Ok(())
    }

    fn mark_is_due(&self) -> bool {
        self.end.time.millis_since(self.mark_time) >= HIGH_WATER_AGE_MILLIS_MAX
            || self.end.number.0.saturating_sub(self.mark.number.0) >= HIGH_WATER_BLOCKS_MAX
    }
}

/// The rows of those entries that have an id.
fn ids_of<'a>(key_of: &KeyOf, entries: impl Iterator<Item = (Position, &'a [u8])>) -> impl Iterator<Item = Row> {
    entries.filter_map(move |(position, entry)| key_of(entry).map(|id| (id, position)))
}

impl Journal for SegmentJournal {
    fn append(&mut self, block: Block) -> Result<(), AppendError> {
        self.take(&block, None)
    }

    fn append_read(&mut self, block: Block, ids: &[Option<EntryId>]) -> Result<(), AppendError> {
        debug_assert!(
            block.entries.iter().map(|entry| (self.options.key_of)(entry)).eq(ids.iter().copied()),
            "the ids are those that a rebuilt index would have"
        );
        // An entry that is missing in the index would be accepted a second time.
        let ids = Some(ids).filter(|ids| ids.len() == block.entries.len());
        self.take(&block, ids)
    }

    fn end(&self) -> JournalEnd {
        self.end.clone()
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        self.reader.clone()
    }

    fn settle(&mut self) -> Result<(), AppendError> {
        self.check_poison()?;
        let written = self.write_mark();
        self.poisoned(written)
    }

    fn close(mut self: Box<Self>) -> Result<(), AppendError> {
        self.settle()?;
        let room = self.tail.as_mut().filter(|tail| tail.room > tail.length);
        let cut = room.map_or(Ok(()), |tail| tail.file.cut_room(tail.length));
        self.poisoned(cut)
    }
}
