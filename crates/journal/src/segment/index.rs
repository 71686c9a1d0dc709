//! The index of a sealed segment: the ids of its entries, sorted, each with its position, in a file beside it.
//!
//! A view: what is missing or wrong about it is made anew from the segment. Which bytes of an entry are its id is the caller's knowledge; a
//! release that changes it has to delete the index files.
//!
//! ```text
//! 0 magic, 8   8 format, 2   10 zero, 6   16 first block, 8   24 first position, 8   32 position behind, 8   40 rows, 8   48 CRC-32 of the rows, 4
//! 52 CRC-32 of what stands before, 4   56 rows: id, 16, and position, 8; sorted, without doubles
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_types::{BlockNumber, Position};

use super::disk::{Disk, replace};
use super::filter::Filter;
use super::format::{FORMAT, Fields, FormatError, push_checksum};
use super::walk::read_at;
use crate::contract::EntryId;

const MAGIC: [u8; 8] = *b"\xffTRUCIDS";
const HEADER_BYTES: usize = 56;
const ROW_BYTES: usize = 24;
/// Rows between two ids that are kept in memory: 6 million ids take 0.8 MB, and a look-up reads 3 KiB.
const FENCE_ROWS: usize = 128;
/// Rows that are read at once when an index is verified.
const ROWS_AT_ONCE: usize = 4_096;

/// An id and the position of its entry.
pub(super) type Row = (EntryId, Position);

/// What an index covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) number: BlockNumber,
    pub(super) first: Position,
    pub(super) end: Position,
}

/// A verified index file, with the range of its ids.
#[derive(Debug, Clone)]
pub(super) struct Index {
    pub(super) path: PathBuf,
    rows: u64,
    ids: Ids,
}

/// What is kept of the ids in memory.
#[derive(Debug, Clone)]
struct Ids {
    /// The smallest and the largest; without rows there is none.
    range: Option<(EntryId, EntryId)>,
    /// The first of each [`FENCE_ROWS`] rows, so that a look-up is one read.
    fences: Arc<[EntryId]>,
    /// Says of nearly all others that they are not here: a segment with one old and one young id has a range that says nothing.
    filter: Filter,
}

/// Name of the index of the segment that begins with this block.
pub(super) fn index_name(number: BlockNumber) -> String {
    format!("{:020}.ids", number.0)
}

/// Writes an index durably, in place of one that is there. Of several entries with one id the first stays.
pub(super) fn write(disk: &dyn Disk, folder: &Path, covered: Covered, rows: &mut Vec<Row>) -> io::Result<Index> {
    rows.sort_unstable();
    rows.dedup_by_key(|(id, _)| *id);
    let mut body = Vec::with_capacity(rows.len() * ROW_BYTES);
    for (id, position) in rows.iter() {
        body.extend_from_slice(id);
        body.extend_from_slice(&position.0.to_be_bytes());
    }
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    for number in [covered.number.0, covered.first.0, covered.end.0, count] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    push_checksum(&mut bytes, 0);
    bytes.extend_from_slice(&body);
    let name = index_name(covered.number);
    replace(disk, folder, &name, &bytes)?;
    let range = rows.first().zip(rows.last()).map(|(first, last)| (first.0, last.0));
    let fences = rows.iter().step_by(FENCE_ROWS).map(|(id, _)| *id).collect();
    let mut filter = Filter::with_room(count);
    rows.iter().for_each(|(id, _)| filter.add(id));
    Ok(Index { path: folder.join(name), rows: count, ids: Ids { range, fences, filter } })
}

/// Opens an index and verifies all of it; `None` if it is missing, damaged or covers something else.
pub(super) fn load(disk: &dyn Disk, folder: &Path, covered: Covered) -> io::Result<Option<Index>> {
    let path = folder.join(index_name(covered.number));
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut head = [0u8; HEADER_BYTES];
    if !read_at(&file, &mut head, 0)? {
        return Ok(None);
    }
    let Ok((found, rows, checksum)) = decode_header(&head) else {
        return Ok(None);
    };
    let length = rows.checked_mul(24).and_then(|bytes| bytes.checked_add(56));
    if found != covered || length != Some(file.metadata()?.len()) {
        return Ok(None);
    }
    let Some(ids) = verify_rows(&file, rows, checksum, covered)? else {
        return Ok(None);
    };
    Ok(Some(Index { path, rows, ids }))
}

fn decode_header(head: &[u8]) -> Result<(Covered, u64, u32), FormatError> {
    let mut fields = Fields::checked(head)?;
    if fields.take()? != MAGIC || fields.u16()? != FORMAT {
        return Err(FormatError::Magic);
    }
    fields.take::<6>()?;
    let covered = Covered { number: BlockNumber(fields.u64()?), first: Position(fields.u64()?), end: Position(fields.u64()?) };
    Ok((covered, fields.u64()?, fields.u32()?))
}

fn decode_row(bytes: &[u8]) -> Option<Row> {
    let (id, rest) = bytes.split_first_chunk()?;
    Some((*id, Position(u64::from_be_bytes(*rest.first_chunk()?))))
}

/// The range of the ids, if the rows are sorted, within the segment and of the right checksum. `None` is an index that is not good.
fn verify_rows(file: &File, rows: u64, checksum: u32, covered: Covered) -> io::Result<Option<Ids>> {
    let mut hasher = crc32fast::Hasher::new();
    let mut range: Option<(EntryId, EntryId)> = None;
    let (mut fences, mut filter, mut seen) = (Vec::new(), Filter::with_room(rows), 0_usize);
    let mut chunk = vec![0u8; ROWS_AT_ONCE * ROW_BYTES];
    let (mut offset, end) = (56, 56 + rows * 24);
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX).min(chunk.len());
        let bytes = chunk.get_mut(..wanted).unwrap_or_default();
        if !read_at(file, bytes, offset)? {
            return Ok(None);
        }
        hasher.update(bytes);
        for (id, position) in bytes.chunks_exact(ROW_BYTES).filter_map(decode_row) {
            if position < covered.first || position >= covered.end || range.is_some_and(|(_, last)| last >= id) {
                return Ok(None);
            }
            range = Some((range.map_or(id, |(first, _)| first), id));
            if seen.is_multiple_of(FENCE_ROWS) {
                fences.push(id);
            }
            filter.add(&id);
            seen += 1;
        }
        offset += u64::try_from(wanted).unwrap_or(u64::MAX);
    }
    Ok(if hasher.finalize() == checksum { Some(Ids { range, fences: fences.into(), filter }) } else { None })
}

impl Index {
    /// Whether the id may be here: one outside the range costs no read, and of a hundred others that are not here one does.
    pub(super) fn may_hold(&self, id: &EntryId) -> bool {
        self.ids.range.is_some_and(|(first, last)| first <= *id && *id <= last) && self.ids.filter.may_hold(id)
    }

    /// Binary search, first among the ids in memory, then in the rows behind one of them.
    pub(super) fn find(&self, file: &File, id: &EntryId) -> io::Result<Option<Position>> {
        let Some(fence) = self.ids.fences.partition_point(|first| first <= id).checked_sub(1) else { return Ok(None) };
        let first = u64::try_from(fence * FENCE_ROWS).map_err(io::Error::other)?;
        let count = usize::try_from(self.rows.saturating_sub(first)).unwrap_or(FENCE_ROWS).min(FENCE_ROWS);
        let mut bytes = [0u8; FENCE_ROWS * ROW_BYTES];
        let wanted = bytes.get_mut(..count * ROW_BYTES).unwrap_or_default();
        if !read_at(file, wanted, 56 + first * 24)? {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the index became shorter while it was open"));
        }
        let (rows, _) = wanted.as_chunks::<ROW_BYTES>();
        let found = rows.binary_search_by(|row| row[..16].cmp(id));
        Ok(found.ok().and_then(|at| rows.get(at)).and_then(|row| decode_row(row)).map(|(_, position)| position))
    }
}
