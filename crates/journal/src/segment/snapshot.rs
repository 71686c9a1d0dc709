//! What of a journal folder makes a valid copy, while another process goes on writing in it: which files, how far, and the mark that fits them.
//!
//! Reads only and takes no lock. Copying the bytes is the caller's work: segments never change below the end that is found here. Why the copy is
//! valid: a sealed segment is immutable, and where it is packed while it is copied its plain file is gone: then the snapshot is taken anew; the growing one is taken up to the end of a block, and every prefix of blocks is a journal; the mark is
//! made for exactly that end, so it never covers what was not copied. Indexes of sealed segments come along, or the restored folder would have to
//! read all of them to make them anew.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use truc_types::{BlockNumber, Digest};

use super::disk::{Disk, RealDisk};
use super::error::OpenError;
use super::format::SEGMENT_HEADER_BYTES;
use super::high_water::{HIGH_WATER_FILE, HighWater};
use super::index::index_name;
use super::open::check_first;
use super::walk::{Cursor, Depth, find_block, list_segments, read_segment_header, walk};
use crate::block::JournalEnd;
use crate::contract::Damage;

/// How often the mark is looked at while it is behind the newest block.
const MARK_LOOK: Duration = Duration::from_millis(100);
/// Looks without any movement after which nobody writes here: a running process brings its mark up to date within a second.
const MARK_LOOKS_MAX: u32 = 30;

/// A file of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name in the folder.
    pub name: String,
    /// How many of its bytes belong to the copy, from the first on.
    pub bytes: u64,
    /// Its bytes never change any more: who has copied it before need not do it again.
    pub sealed: bool,
}

/// A consistent state of a journal folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the copy ends.
    pub end: JournalEnd,
    /// Segments and indexes, oldest first.
    pub files: Vec<SnapshotFile>,
    /// Name and bytes of the high-water mark that fits them.
    pub mark: (&'static str, Vec<u8>),
    /// Whether the block before [`SnapshotRequest::earlier`] ends with that root: the journal goes on from that copy.
    pub continues_earlier: bool,
}

/// What is known of an earlier copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct SnapshotRequest<'a> {
    /// Blocks of the earlier copy and the root behind them.
    pub earlier: Option<(BlockNumber, Digest)>,
    /// Names of sealed segments that the earlier copy has: their payloads are not read again.
    pub copied: &'a [String],
}

/// Finds out what to copy. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// [`OpenError::Corrupt`] and [`OpenError::Truncated`] where the folder is damaged: a copy of that is no backup. Storage failures.
pub fn snapshot(folder: &Path, request: SnapshotRequest<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<Snapshot, OpenError> {
    let disk = RealDisk;
    let mark = HighWater::read(&disk, folder)?;
    let mut segments = list_segments(&disk, folder)?;
    let mut taken = Snapshot { end: JournalEnd::empty(), files: Vec::new(), mark: (HIGH_WATER_FILE, Vec::new()), continues_earlier: false };
    let start = u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX);
    let total = segments.iter().map(|segment| segment.length).sum();
    let mut done = 0;
    taken.continues_earlier = request.earlier.is_some_and(|(number, _)| number == BlockNumber(0));
    let count = segments.len();
    for (index, segment) in segments.iter_mut().enumerate() {
        let is_last = index + 1 == count;
        let listed = segment.length;
        let file = segment.open(&disk)?;
        let segment = &*segment;
        let damage = |offset, cause: String| Damage { file: segment.path.clone(), offset, position: taken.end.position, cause };
        let header = match read_segment_header(&file, segment).map_err(OpenError::storage(&segment.path))? {
            Ok(header) => header,
            // It is being made: nothing stands in it yet.
            Err(_) if is_last && segment.length <= start => break,
            Err(cause) => return Err(OpenError::Corrupt(damage(0, format!("the segment header cannot be read: {cause}")))),
        };
        if (header.number, header.position) != (taken.end.number, taken.end.position) {
            return Err(OpenError::Truncated(damage(0, format!("block {} does not follow block {}", header.number, taken.end.number))));
        }
        let name = segment.name();
        let depth = if (!is_last || segment.is_bundled) && request.copied.contains(&name) { Depth::Headers } else { Depth::Full };
        let mut cursor = Cursor { end: taken.end.clone(), offset: start };
        let mut looked_again = None;
        loop {
            let bad = walk(&file, segment, &header.origin, &mut cursor, depth, &mut |seen| {
                check_first(seen, &header)?;
                let end = seen.header.end();
                if let Some((number, root)) = request.earlier
                    && number == end.number
                {
                    taken.continues_earlier = root == end.root;
                }
                progress(done + seen.offset, total);
                Ok(())
            });
            let Some(bad) = bad.map_err(OpenError::storage(&segment.path))? else { break };
            let follows = find_block(&file, segment.length, cursor.offset + 1, &header.origin, cursor.end.number);
            let follows = follows.map_err(OpenError::storage(&segment.path))?.is_some();
            // Who writes beside this had finished the one before when it wrote the one behind: what was read of it may have been half of it.
            if follows && !segment.is_bundled && looked_again.replace(cursor.offset) != Some(cursor.offset) {
                continue;
            }
            if !is_last || segment.is_bundled || follows {
                return Err(OpenError::Corrupt(bad.damage(segment, &cursor)));
            }
            break;
        }
        done += listed;
        taken.end = cursor.end;
        if cursor.offset > start {
            let index = index_name(header.number);
            let sealed = !is_last || segment.is_bundled;
            taken.files.push(SnapshotFile { name, bytes: cursor.offset, sealed });
            if sealed && let Ok(found) = std::fs::metadata(folder.join(&index)) {
                taken.files.push(SnapshotFile { name: index, bytes: found.len(), sealed: true });
            }
        }
    }
    check_covered(folder, mark, &taken.end)?;
    wait_until_durable(&disk, folder, &taken.end)?;
    taken.mark.1 = HighWater::of(&taken.end).encode();
    Ok(taken)
}

/// A block that can be read may not have been synced yet. The mark is written after the sync: once it covers the end, all of the copy is durable at
/// its source, too. A mark that does not move is one that nobody writes: then everything that can be read is what the next open answers from.
fn wait_until_durable(disk: &dyn Disk, folder: &Path, end: &JournalEnd) -> Result<(), OpenError> {
    let (mut last, mut still) = (None, 0);
    while still < MARK_LOOKS_MAX {
        let mark = HighWater::read(disk, folder)?.map(|mark| mark.number);
        if mark >= Some(end.number) {
            break;
        }
        still = if last == Some(mark) { still + 1 } else { 0 };
        last = Some(mark);
        sleep(MARK_LOOK);
    }
    Ok(())
}

/// The mark as it was before the walk: what it covers must have been found.
fn check_covered(folder: &Path, mark: Option<HighWater>, end: &JournalEnd) -> Result<(), OpenError> {
    let Some(mark) = mark.filter(|mark| mark.number > end.number) else { return Ok(()) };
    let cause = format!("blocks {} to {} are missing, the high-water mark covers them", end.number, mark.number.0 - 1);
    Err(OpenError::Truncated(Damage { file: folder.to_owned(), offset: 0, position: end.position, cause }))
}
