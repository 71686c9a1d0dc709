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
use super::format::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, FormatError, SEGMENT_HEADER_BYTES, SegmentHeader, StoredHeader};
use crate::block::JournalEnd;
use crate::contract::Damage;

/// Ending of the names of segment files; before it stands the number of the first block, 20 digits.
pub(super) const SEGMENT_SUFFIX: &str = ".seg";
/// Bytes of one step of a search for a header.
const SEARCH_BYTES: usize = 64 * 1024;

/// A segment file in the folder.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    /// The number in its name.
    pub(super) number: BlockNumber,
    pub(super) length: u64,
}

/// Name of the segment that begins with this block.
pub(super) fn segment_name(number: BlockNumber) -> String {
    format!("{:020}{SEGMENT_SUFFIX}", number.0)
}

/// The segment files of a folder in the order of their numbers.
pub(super) fn list_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<SegmentFile>, OpenError> {
    let mut segments = Vec::new();
    for name in disk.list(folder).map_err(OpenError::storage(folder))? {
        let digits = name.strip_suffix(SEGMENT_SUFFIX).filter(|digits| digits.len() == 20);
        let Some(number) = digits.and_then(|digits| digits.parse().ok()).map(BlockNumber).filter(|number| segment_name(*number) == name)
        else {
            continue;
        };
        let path = folder.join(name);
        let length = disk.open(&path).and_then(|file| file.metadata()).map_err(OpenError::storage(&path))?.len();
        segments.push(SegmentFile { path, number, length });
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
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
    pub(super) offset: u64,
    pub(super) stored: &'a StoredHeader,
    pub(super) entries: &'a [Arc<[u8]>],
}

/// Reads a segment's header and checks that the file is named for it. Inner errors are those of the bytes.
pub(super) fn read_segment_header(file: &File, segment: &SegmentFile) -> io::Result<Result<SegmentHeader, FormatError>> {
    let mut bytes = [0u8; SEGMENT_HEADER_BYTES];
    Ok(if read_at(file, &mut bytes, 0)? { SegmentHeader::decode(&bytes) } else { Err(FormatError::ShortHeader) }
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

/// Walks from `cursor`, which is moved behind the last good block, to `length`. `on_block` may find fault with a block that is good in itself.
///
/// Memory: one block, whatever the file says.
pub(super) fn walk(
    file: &File,
    length: u64,
    origin: &str,
    cursor: &mut Cursor,
    depth: Depth,
    on_block: &mut dyn FnMut(&Seen<'_>) -> Result<(), String>,
) -> io::Result<Option<Bad>> {
    let mut payload = Vec::new();
    while cursor.offset < length {
        let mut head = [0u8; BLOCK_HEADER_BYTES];
        if !read_at(file, &mut head, cursor.offset)? {
            return Ok(Some(Bad::Short));
        }
        let stored = match StoredHeader::decode(&head, origin) {
            Ok(stored) => stored,
            Err(error) => return Ok(Some(Bad::Wrong(error.to_string()))),
        };
        if let Err(cause) = check_continues(&stored, &cursor.end) {
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
        if let Err(cause) = on_block(&Seen { offset: cursor.offset, stored: &stored, entries: &entries }) {
            return Ok(Some(Bad::Wrong(cause)));
        }
        cursor.offset += stored.block_bytes();
        cursor.end = stored.header.end();
    }
    Ok(None)
}

fn check_continues(stored: &StoredHeader, end: &JournalEnd) -> Result<(), String> {
    let header = &stored.header;
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
