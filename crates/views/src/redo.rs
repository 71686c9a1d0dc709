//! The redo file of a generation: what the write under way changes, so that a crash in the middle of it is made good. Not the write itself (`store`).
//!
//! sled has batches that are atomic, but while one is written no read in the whole process goes on, and after the first one every read takes a lock
//! (`concurrency_control.rs` of sled 0.34.7). So rows are written one by one, and this file makes them one: it is synced before the first row changes.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `TRUCRED1` |
//! | 4 | length of the body |
//! | 2, then so many | the position row before |
//! | 2, then so many | the position row after |
//! | 1; 2, then so many | a row that goes: `0`, its key. As often as there are such |
//! | 1; 2, then so many; 2, then so many | a row that is set: `1`, its key, its value |
//! | 8 | FNV-1a over all before |
//!
//! Numbers are big-endian. The file is written in place; what lies behind the record is of older ones. When a view is opened, a record that is whole and
//! begins at the position row that sled has is applied; every other one is of another moment and passed over.
//!
//! | a crash | leaves in sled | and here | the start |
//! |---|---|---|---|
//! | before the record is synced | the rows of before, durable since the last write | the last record, or one that is torn | passes it over, unless it is whole: row below |
//! | after it, before the first row | the same | the record | applies it |
//! | among the rows | rows of before and some of after, as far as sled wrote its log; the position row of before, because it is the last one | the record | applies it; those that are there stay |
//! | after the rows, before the position row | the rows of after, or a part of them | the record | the same |
//! | after the position row, before sled's flush | a part of its log: without the position row as before, with it the rows of after | the record | applies it, or passes it over |
//! | after the flush, before `db` is synced | the same; after a power cut perhaps a log with a hole | the record | the same; where the hole took rows, the sum says so and the view is rebuilt |
//! | after that | the rows of after | the record, which begins at an older position row | passes it over |
//! | while the start applies it | as among the rows: it was synced again before | the record | applies it once more |
//!
//! Nothing of this is believed: whatever was applied or not, the rows and the sum in the position row are compared afterwards (`folder`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::ViewError;
use crate::disk::{io_error, sync_folder};
use crate::overlay::OVERLAY_BYTES_MAX;
use crate::rows::{FNV_BASIS, PHYSICAL_KEY_BYTES_MAX, PHYSICAL_VALUE_BYTES_MAX, fnv1a, is_row_key};

/// Body of a record: what an overlay can hold twice over. In parts of 4 KiB, keys and lengths add at most a seventh to the values; the rest is for keys of
/// parts that go. A larger batch is written without a record, and a crash in the middle of it costs a rebuild.
const REDO_BYTES_MAX: usize = 2 * OVERLAY_BYTES_MAX;
/// What the file keeps when a large record is followed by a small one: more than the 4,000 rows that an edge gathers take, so that the common write
/// neither lengthens nor shortens it.
const REDO_KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The name of the file in its generation.
const REDO: &str = "redo";
const MAGIC: &[u8; 8] = b"TRUCRED1";
const HEADER_BYTES: usize = 12;
const HASH_BYTES: usize = 8;
const GOES: u8 = 0;
const IS_SET: u8 = 1;

/// A row of sled by its key; `None` deletes it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// The open redo file of a generation.
#[derive(Debug)]
pub(crate) struct Redo {
    file: File,
    path: PathBuf,
    length: u64,
}

/// A whole record, still as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The position row that the changes begin at.
    pub(crate) before: &'a [u8],
    /// The position row that they lead to.
    pub(crate) after: &'a [u8],
    rows: &'a [u8],
}

impl Redo {
    /// Opens the file of a generation, or makes it.
    pub(crate) fn open(generation: &Path) -> Result<Self, ViewError> {
        let path = generation.join(REDO);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io_error("open", &path))?;
        let length = file.metadata().map_err(io_error("look at", &path))?.len();
        if length == 0 {
            sync_folder(generation)?;
        }
        Ok(Self { file, path, length })
    }

    /// Makes a record durable. The rows may be changed when it returns.
    pub(crate) fn write<'a>(&mut self, before: &[u8], after: &[u8], rows: impl Iterator<Item = &'a Change>) -> Result<(), ViewError> {
        let Some(record) = record(before, after, rows) else { return self.clear() };
        let length = u64::try_from(record.len()).unwrap_or(u64::MAX);
        let kept = length.max(u64::try_from(REDO_KEPT_BYTES_MAX).unwrap_or(u64::MAX));
        let shortened = self.length > kept;
        let written = self.file.write_all_at(&record, 0).and_then(|()| if shortened { self.file.set_len(kept) } else { Ok(()) });
        written.and_then(|()| self.file.sync_data()).map_err(io_error("write", &self.path))?;
        self.length = if shortened { kept } else { self.length.max(length) };
        Ok(())
    }

    /// Leaves no record: none of an older moment may be taken for one of rows that change without one.
    fn clear(&mut self) -> Result<(), ViewError> {
        self.file.set_len(0).and_then(|()| self.file.sync_all()).map_err(io_error("clear", &self.path))?;
        self.length = 0;
        Ok(())
    }

    /// The body of the record, if there is a whole one; for [`Record::parse`].
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, ViewError> {
        let framed = u64::try_from(HEADER_BYTES + HASH_BYTES).unwrap_or(u64::MAX);
        if self.length < framed {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, 0).map_err(io_error("read", &self.path))?;
        let Some(body_length) = body_length(&header).filter(|length| framed + u64::from(*length) <= self.length) else { return Ok(None) };
        let Ok(body_length) = usize::try_from(body_length) else { return Ok(None) };
        let mut bytes = vec![0; HEADER_BYTES + body_length + HASH_BYTES];
        self.file.read_exact_at(&mut bytes, 0).map_err(io_error("read", &self.path))?;
        Ok(body(bytes))
    }

    /// Makes durable what was read: the process that wrote it may have ended before it was.
    pub(crate) fn sync(&self) -> Result<(), ViewError> {
        self.file.sync_data().map_err(io_error("sync", &self.path))
    }
}

impl<'a> Record<'a> {
    /// Reads a body; `None` if anything in it is not as we write it.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Self> {
        let (before, rest) = field(body)?;
        let (after, rows) = field(rest)?;
        let mut left = rows;
        while !left.is_empty() {
            left = next_row(left)?.1;
        }
        Some(Self { before, after, rows })
    }

    /// The changes, in the order in which they were written.
    pub(crate) fn rows(self) -> impl Iterator<Item = RowChange<'a>> {
        let mut left = self.rows;
        std::iter::from_fn(move || {
            let (row, rest) = next_row(left)?;
            left = rest;
            Some(row)
        })
    }
}

/// Key and new value of a row; no value deletes it.
type RowChange<'a> = (&'a [u8], Option<&'a [u8]>);

/// The bytes of a record; `None` if it would be too large.
fn record<'a>(before: &[u8], after: &[u8], rows: impl Iterator<Item = &'a Change>) -> Option<Vec<u8>> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    put_field(&mut bytes, before)?;
    put_field(&mut bytes, after)?;
    for (key, value) in rows {
        bytes.push(if value.is_some() { IS_SET } else { GOES });
        put_field(&mut bytes, key)?;
        if let Some(value) = value {
            put_field(&mut bytes, value)?;
        }
        if bytes.len() > REDO_BYTES_MAX {
            return None;
        }
    }
    let length = u32::try_from(bytes.len().checked_sub(HEADER_BYTES)?).ok()?;
    bytes.get_mut(MAGIC.len()..HEADER_BYTES)?.copy_from_slice(&length.to_be_bytes());
    let hash = fnv1a(FNV_BASIS, &bytes);
    bytes.extend_from_slice(&hash.to_be_bytes());
    Some(bytes)
}

fn put_field(bytes: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&u16::try_from(field.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(field);
    Some(())
}

/// The length that a header claims, if it may have it.
fn body_length(header: &[u8; HEADER_BYTES]) -> Option<u32> {
    let length = u32::from_be_bytes(header.strip_prefix(MAGIC)?.try_into().ok()?);
    usize::try_from(length).is_ok_and(|length| length <= REDO_BYTES_MAX).then_some(length)
}

/// The body of a record whose hash is right.
fn body(mut record: Vec<u8>) -> Option<Vec<u8>> {
    let (hashed, hash) = record.split_last_chunk::<HASH_BYTES>()?;
    if fnv1a(FNV_BASIS, hashed) != u64::from_be_bytes(*hash) {
        return None;
    }
    record.truncate(hashed.len());
    record.drain(..HEADER_BYTES.min(record.len()));
    Some(record)
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn next_row(bytes: &[u8]) -> Option<(RowChange<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (key, rest) = field(rest)?;
    if !is_row_key(key) || key.len() > PHYSICAL_KEY_BYTES_MAX {
        return None;
    }
    match *kind {
        GOES => Some(((key, None), rest)),
        IS_SET => {
            let (value, rest) = field(rest)?;
            (value.len() <= PHYSICAL_VALUE_BYTES_MAX).then_some(((key, Some(value)), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Table;
    use crate::rows;
    use proptest::prelude::*;

    fn small() -> Vec<Change> {
        vec![(rows::row_key(Table(3), b"k"), Some(b"\0value".to_vec())), (rows::row_key(Table(4), b""), None)]
    }

    fn owned(record: Record<'_>) -> Vec<Change> {
        record.rows().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect()
    }

    /// What a file with these bytes says.
    fn found(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<Change>)> {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join(REDO), bytes).unwrap();
        let body = Redo::open(scratch.path()).unwrap().read().unwrap()?;
        Record::parse(&body).map(|record| (record.before.to_vec(), record.after.to_vec(), owned(record)))
    }

    #[test]
    fn a_record_reads_back_and_every_flipped_bit_and_every_cut_is_seen() {
        let bytes = record(b"before", b"after", small().iter()).unwrap();
        assert_eq!(found(&bytes), Some((b"before".to_vec(), b"after".to_vec(), small())));
        assert_eq!(found(&[&bytes, &b"older"[..]].concat()), found(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(found(&damaged), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(found(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_claimed_length_is_looked_at_before_room_is_made_for_it() {
        for length in [u32::MAX, u32::try_from(REDO_BYTES_MAX).unwrap(), 100] {
            let header = [&MAGIC[..], &length.to_be_bytes(), &[0; 40]].concat();
            assert_eq!(found(&header), None);
        }
    }

    #[test]
    fn rows_that_a_view_cannot_have_are_no_record() {
        let key = rows::row_key(Table(0), b"k");
        let long = vec![(vec![1; PHYSICAL_KEY_BYTES_MAX + 1], None)];
        let large = vec![(key.clone(), Some(vec![0; PHYSICAL_VALUE_BYTES_MAX + 1]))];
        for rows in [vec![(rows::POSITION_KEY.to_vec(), None)], vec![(vec![], None)], vec![(vec![3, 0], None)], long, large] {
            assert_eq!(found(&record(b"b", b"a", rows.iter()).unwrap()), None);
        }
        let largest = [(vec![2; PHYSICAL_KEY_BYTES_MAX], None), (key, Some(vec![0; PHYSICAL_VALUE_BYTES_MAX]))];
        assert!(found(&record(b"b", b"a", largest.iter()).unwrap()).is_some());
    }

    #[test]
    fn a_large_record_does_not_keep_the_file_large_and_one_over_the_limit_leaves_none() {
        let scratch = tempfile::tempdir().unwrap();
        let mut redo = Redo::open(scratch.path()).unwrap();
        let length = || std::fs::metadata(scratch.path().join(REDO)).unwrap().len();
        let part = (rows::row_key(Table(0), b"k"), Some(vec![7; PHYSICAL_VALUE_BYTES_MAX]));
        let count = 2 * REDO_KEPT_BYTES_MAX / PHYSICAL_VALUE_BYTES_MAX;
        redo.write(b"b", b"a", std::iter::repeat_n(&part, count)).unwrap();
        let (body, large) = (redo.read().unwrap().unwrap(), length());
        assert_eq!(Record::parse(&body).unwrap().rows().count(), count);
        assert!(large > u64::try_from(REDO_KEPT_BYTES_MAX).unwrap());
        redo.write(b"b", b"a", small().iter()).unwrap();
        assert_eq!(length(), u64::try_from(REDO_KEPT_BYTES_MAX).unwrap());
        assert_eq!(owned(Record::parse(&redo.read().unwrap().unwrap()).unwrap()), small());
        redo.write(b"b", b"a", std::iter::repeat_n(&part, REDO_BYTES_MAX / PHYSICAL_VALUE_BYTES_MAX)).unwrap();
        assert_eq!((length(), redo.read().unwrap()), (0, None));
        redo.write(b"b", b"a", small().iter()).unwrap();
        assert!(length() < 100 && redo.read().unwrap().is_some());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic_and_what_it_takes_is_written_alike(body in proptest::collection::vec(0..4_u8, 0..60)) {
            if let Some(parsed) = Record::parse(&body) {
                let again = record(parsed.before, parsed.after, owned(parsed).iter()).unwrap();
                prop_assert_eq!(&again[HEADER_BYTES..again.len() - HASH_BYTES], body.as_slice());
            }
        }
    }
}
