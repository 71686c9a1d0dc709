//! Going through a segment file block by block, checking everything that can be checked on the way.
//!
//! Not a judgement: whether a bad block is damage or an unfinished write is decided by those who walk (open and scrub).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_types::BlockNumber;

use super::disk::Disk;
use super::error::OpenError;
use super::format::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, FORMAT, FormatError, SEGMENT_HEADER_BYTES, SegmentHeader, StoredHeader};
use super::unpack::{Bundle, Bundled, UnpackError};
use crate::block::{BlockHeader, JournalEnd};
use crate::contract::Damage;

/// Ending of the names of plain segment files; before it stands the number of the first block, 20 digits.
pub(super) const SEGMENT_SUFFIX: &str = ".seg";
/// Ending of the names of bundled segment files.
pub(super) const BUNDLED_SUFFIX: &str = ".bundles";
/// Bytes of one step of a search for a header.
const SEARCH_BYTES: usize = 64 * 1024;
/// How often a folder is listed anew because a file went while it was looked at: each time a segment was packed.
const LISTINGS_MAX: u32 = 16;

/// A segment file in the folder.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    /// The number in its name.
    pub(super) number: BlockNumber,
    pub(super) length: u64,
    pub(super) is_bundled: bool,
}

/// Name of the plain segment that begins with this block.
pub(super) fn segment_name(number: BlockNumber) -> String {
    format!("{:020}{SEGMENT_SUFFIX}", number.0)
}

/// Name of the bundled segment that begins with this block.
pub(super) fn bundled_name(number: BlockNumber) -> String {
    format!("{:020}{BUNDLED_SUFFIX}", number.0)
}

/// The segment files of a folder in the order of their numbers, one for each. Where a segment is there in both forms the plain one counts: it is the
/// one that was written first, and it goes only when the other is durable.
pub(super) fn list_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<SegmentFile>, OpenError> {
    let mut listings = 1;
    loop {
        match try_list(disk, folder) {
            Err(OpenError::Storage { source, .. }) if source.kind() == io::ErrorKind::NotFound && listings < LISTINGS_MAX => listings += 1,
            listed => return listed,
        }
    }
}

fn try_list(disk: &dyn Disk, folder: &Path) -> Result<Vec<SegmentFile>, OpenError> {
    let mut segments = Vec::new();
    for name in names(disk, folder)? {
        let Some((number, is_bundled)) = parse_name(&name) else { continue };
        let path = folder.join(name);
        let length = disk.open(&path).and_then(|file| file.metadata()).map_err(OpenError::storage(&path))?.len();
        segments.push(SegmentFile { path, number, length, is_bundled });
    }
    segments.sort_by_key(|segment| (segment.number, segment.is_bundled));
    segments.dedup_by_key(|segment| segment.number);
    Ok(segments)
}

/// What the folder holds. A listing takes several calls in a large folder, and one that a segment was packed between may have neither of its names.
fn names(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, OpenError> {
    let list = || {
        let mut names = disk.list(folder).map_err(OpenError::storage(folder))?;
        names.sort_unstable();
        Ok::<_, OpenError>(names)
    };
    let mut names = list()?;
    for _ in 1..LISTINGS_MAX {
        let again = list()?;
        if again == names {
            break;
        }
        names = again;
    }
    Ok(names)
}

fn parse_name(name: &str) -> Option<(BlockNumber, bool)> {
    let (digits, is_bundled) = match name.strip_suffix(BUNDLED_SUFFIX) {
        Some(digits) => (digits, true),
        None => (name.strip_suffix(SEGMENT_SUFFIX)?, false),
    };
    let number = BlockNumber(digits.parse().ok()?);
    let expected = if is_bundled { bundled_name(number) } else { segment_name(number) };
    (expected == name).then_some((number, is_bundled))
}

impl SegmentFile {
    /// Opens the file for a reader beside the process that writes: where the segment was packed since it was listed, its other form.
    pub(super) fn open(&mut self, disk: &dyn Disk) -> Result<File, OpenError> {
        match disk.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.is_bundled => {
                let path = self.path.with_file_name(bundled_name(self.number));
                let file = disk.open(&path).map_err(OpenError::storage(&path))?;
                let length = file.metadata().map_err(OpenError::storage(&path))?.len();
                *self = Self { path, length, is_bundled: true, ..*self };
                Ok(file)
            }
            opened => opened.map_err(OpenError::storage(&self.path)),
        }
    }

    /// The name in the folder.
    pub(super) fn name(&self) -> String {
        if self.is_bundled { bundled_name(self.number) } else { segment_name(self.number) }
    }
}

/// How much of each block is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The header; the payload's length, not its bytes.
    Headers,
    /// Header and payload.
    Full,
}

/// A place in a segment file and the journal's end there.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) end: JournalEnd,
    pub(super) offset: u64,
}

/// Why a walk stopped before the end of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bad {
    /// The file ends inside a header or block.
    Short,
    /// The bytes are no block, or not the one that continues.
    Wrong(String),
}

impl Bad {
    pub(super) fn damage(&self, file: &SegmentFile, at: &Cursor) -> Damage {
        let cause = match self {
            Self::Short => format!("the file ends inside block {}", at.end.number),
            Self::Wrong(cause) => format!("block {}: {cause}", at.end.number),
        };
        Damage { file: file.path.clone(), offset: at.offset, position: at.end.position, cause }
    }
}

/// A block that a walk has verified; no entries at [`Depth::Headers`].
pub(super) struct Seen<'a> {
    /// Where the block begins; in a bundled segment, the bundle with its first entry.
    pub(super) offset: u64,
    /// Bytes that are done once the block is; a bundled segment counts by the block.
    pub(super) behind: u64,
    pub(super) header: &'a BlockHeader,
    pub(super) entries: &'a [Arc<[u8]>],
}

/// Reads a segment's header and checks that the file is named for it. Inner errors are those of the bytes.
pub(super) fn read_segment_header(file: &File, segment: &SegmentFile) -> io::Result<Result<SegmentHeader, FormatError>> {
    if segment.is_bundled {
        return match Bundled::open(file, segment.length) {
            Ok(found) if found.header.number != segment.number => Ok(Err(FormatError::Misnamed { found: found.header.number })),
            Ok(found) => Ok(Ok(found.header)),
            Err(UnpackError::Storage(error)) => Err(error),
            Err(UnpackError::Wrong { cause, .. }) => Ok(Err(cause)),
        };
    }
    let mut bytes = [0u8; SEGMENT_HEADER_BYTES];
    Ok(if read_at(file, &mut bytes, 0)? { SegmentHeader::decode(&bytes, FORMAT) } else { Err(FormatError::ShortHeader) }
        .and_then(|header| if header.number == segment.number { Ok(header) } else { Err(FormatError::Misnamed { found: header.number }) }))
}

/// Fills `bytes` from `offset` on; `false` if the file ends before.
pub(super) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Walks from `cursor`, which is moved behind the last good block, to the end of the file or to the room in it that has nothing but zeros. `on_block` may
/// find fault with a block that is good in itself.
///
/// Memory: one block and one bundle, whatever the file says.
pub(super) fn walk(
    file: &File,
    segment: &SegmentFile,
    origin: &str,
    cursor: &mut Cursor,
    depth: Depth,
    on_block: &mut dyn FnMut(&Seen<'_>) -> Result<(), String>,
) -> io::Result<Option<Bad>> {
    if segment.is_bundled {
        return match walk_bundled(file, segment.length, cursor, depth, on_block) {
            Ok(bad) => Ok(bad),
            Err(UnpackError::Storage(error)) => Err(error),
            Err(UnpackError::Wrong { offset, cause }) => {
                cursor.offset = offset;
                Ok(Some(Bad::Wrong(cause.to_string())))
            }
        };
    }
    let length = segment.length;
    let mut payload = Vec::new();
    while cursor.offset < length {
        let mut head = [0u8; BLOCK_HEADER_BYTES];
        let is_whole = read_at(file, &mut head, cursor.offset)?;
        // Room for blocks to come, which is only made behind the last one.
        if (!is_whole || head.iter().all(|byte| *byte == 0)) && written_end(file, cursor.offset, length)? == cursor.offset {
            return Ok(None);
        }
        if !is_whole {
            return Ok(Some(Bad::Short));
        }
        let stored = match StoredHeader::decode(&head, origin) {
            Ok(stored) => stored,
            Err(error) => return Ok(Some(Bad::Wrong(error.to_string()))),
        };
        if let Err(cause) = check_continues(&stored.header, &cursor.end) {
            return Ok(Some(Bad::Wrong(cause)));
        }
        if stored.block_bytes() > length - cursor.offset {
            return Ok(Some(Bad::Short));
        }
        let mut entries = Vec::new();
        if depth == Depth::Full {
            payload.resize(stored.payload_bytes, 0);
            if !read_at(file, &mut payload, cursor.offset + u64::try_from(BLOCK_HEADER_BYTES).unwrap_or(u64::MAX))? {
                return Ok(Some(Bad::Short));
            }
            match stored.decode_payload(&payload) {
                Ok(found) => entries = found,
                Err(error) => return Ok(Some(Bad::Wrong(error.to_string()))),
            }
        }
        if let Err(cause) = on_block(&Seen {
            offset: cursor.offset,
            behind: cursor.offset + stored.block_bytes(),
            header: &stored.header,
            entries: &entries,
        }) {
            return Ok(Some(Bad::Wrong(cause)));
        }
        cursor.offset += stored.block_bytes();
        cursor.end = stored.header.end();
    }
    Ok(None)
}

/// The same over bundles. The cursor's offset is that of the bundle in hand, for those who name damage.
fn walk_bundled(
    file: &File,
    length: u64,
    cursor: &mut Cursor,
    depth: Depth,
    on_block: &mut dyn FnMut(&Seen<'_>) -> Result<(), String>,
) -> Result<Option<Bad>, UnpackError> {
    let bundled = Bundled::open(file, length)?;
    let mut bundle: Option<Arc<Bundle>> = None;
    let mut offset = cursor.offset;
    while cursor.end.number < bundled.footer.end.number {
        let number = cursor.end.number;
        let header = bundled.header_of(file, number)?;
        if let Err(cause) = check_continues(&header, &cursor.end) {
            return Ok(Some(Bad::Wrong(cause)));
        }
        let mut entries = Vec::new();
        if depth == Depth::Full {
            let mut first = true;
            let block = bundled.block(file, number, |position| {
                let held = bundle.as_ref().filter(|bundle| bundle.entry(position).is_some());
                let held = match held {
                    Some(held) => Arc::clone(held),
                    None => {
                        let (_, row) = bundled.bundle_of(file, position)?;
                        if std::mem::take(&mut first) {
                            offset = row.offset;
                        }
                        Arc::new(Bundled::unpack(file, &row)?)
                    }
                };
                bundle = Some(Arc::clone(&held));
                Ok(held)
            })?;
            entries = block.entries;
        }
        if let Err(cause) = on_block(&Seen { offset, behind: done_of(&bundled, number, length), header: &header, entries: &entries }) {
            return Ok(Some(Bad::Wrong(cause)));
        }
        cursor.end = header.end();
        cursor.offset = offset;
    }
    if cursor.end != bundled.footer.end {
        return Ok(Some(Bad::Wrong("the footer names another end than the blocks have".to_owned())));
    }
    cursor.offset = length;
    Ok(None)
}

/// How much of a bundled file counts as done behind a block.
fn done_of(bundled: &Bundled, number: BlockNumber, length: u64) -> u64 {
    let (done, all) = (number.next().0.saturating_sub(bundled.header.number.0), u64::from(bundled.footer.blocks.max(1)));
    // Lengths and counts have 32 bits.
    length.saturating_mul(done) / all
}

/// The next block of a bundled segment behind the bundle that holds what is bad at `cursor`: its header, or `None` if there is none that can be read.
pub(super) fn block_behind(file: &File, segment: &SegmentFile, cursor: &Cursor) -> io::Result<Option<BlockHeader>> {
    let found = || -> Result<Option<BlockHeader>, UnpackError> {
        let bundled = Bundled::open(file, segment.length)?;
        let behind = match bundled.bundle_of(file, cursor.end.position) {
            Ok((_, row)) => row.end(),
            Err(UnpackError::Storage(error)) => return Err(UnpackError::Storage(error)),
            Err(UnpackError::Wrong { .. }) => cursor.end.position.next(),
        };
        let number = bundled.first_block_at(file, behind)?.max(cursor.end.number.next());
        if number >= bundled.footer.end.number { Ok(None) } else { bundled.header_of(file, number).map(Some) }
    };
    match found() {
        Ok(header) => Ok(header),
        Err(UnpackError::Storage(error)) => Err(error),
        Err(UnpackError::Wrong { .. }) => Ok(None),
    }
}

fn check_continues(header: &BlockHeader, end: &JournalEnd) -> Result<(), String> {
    if header.number != end.number || header.position != end.position {
        return Err(format!(
            "block {} at position {} stands where block {} at position {} belongs",
            header.number, header.position, end.number, end.position
        ));
    }
    if header.term < end.term {
        return Err(format!("its term {} is below {} of the block before", header.term, end.term));
    }
    header.check_continues(end).map_err(|refusal| refusal.to_string())
}

/// Behind the last byte from `from` on that is not zero; `from` if all of them are.
pub(super) fn written_end(file: &File, from: u64, length: u64) -> io::Result<u64> {
    let (mut end, mut offset) = (from, from);
    let mut chunk = vec![0u8; SEARCH_BYTES];
    while offset < length {
        let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX).min(SEARCH_BYTES);
        let read = file.read_at(chunk.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            break;
        }
        let last = chunk.get(..read).unwrap_or_default().iter().rposition(|byte| *byte != 0);
        if let Some(last) = last {
            end = offset + u64::try_from(last).unwrap_or(u64::MAX) + 1;
        }
        offset += u64::try_from(read).unwrap_or(u64::MAX);
    }
    Ok(end)
}

/// Looks in a file from `from` on for the header of a block with at least this number: a good block behind a bad one.
pub(super) fn find_block(
    file: &File,
    length: u64,
    from: u64,
    origin: &str,
    number: BlockNumber,
) -> io::Result<Option<(u64, StoredHeader)>> {
    let mut offset = from;
    let mut chunk = vec![0u8; SEARCH_BYTES];
    while offset < length {
        let wanted = usize::try_from(length - offset).unwrap_or(usize::MAX).min(SEARCH_BYTES);
        let bytes = chunk.get_mut(..wanted).unwrap_or_default();
        if !read_at(file, bytes, offset)? {
            return Ok(None);
        }
        for (index, _) in bytes.windows(BLOCK_HEADER_BYTES).enumerate().filter(|(_, window)| window.starts_with(&BLOCK_MAGIC)) {
            let found = bytes.get(index..).and_then(|bytes| StoredHeader::decode(bytes, origin).ok());
            if let Some(found) = found.filter(|found| found.header.number >= number) {
                return Ok(Some((offset + u64::try_from(index).unwrap_or(u64::MAX), found)));
            }
        }
        // The next step overlaps by a header less one byte, so that none is cut in two.
        let step = wanted.saturating_sub(BLOCK_HEADER_BYTES - 1).max(1);
        offset += if wanted < SEARCH_BYTES { length - offset } else { u64::try_from(step).unwrap_or(u64::MAX) };
    }
    Ok(None)
}
