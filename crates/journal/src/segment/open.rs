//! Opening a folder of segment files: verify, judge, and only then bring the tail into a state that can be answered from.
//!
//! The judgement. Below the high-water mark everything must be there and good. Above it a bad block is an unfinished write if nothing good
//! follows it and it is no longer than a block, and damage otherwise: a write that never returned can only be the last one. Whatever is judged to be damage leaves the
//! folder as it was found. The full check of payloads in sealed segments is the scrub's.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use truc_types::{BlockNumber, Position};

use super::disk::Disk;
use super::error::{Dropped, OpenError, OpenReport};
use super::format::{FormatError, SEGMENT_HEADER_BYTES, SegmentHeader, UNFINISHED_BYTES_MAX};
use super::high_water::HighWater;
use super::index::{self, Covered, Index, Row};
use super::lock::lock;
use super::pack::Packer;
use super::reader::{Form, Published, SegmentInfo, SegmentReader};
use super::unpack::{Bundled, UnpackError};
use super::walk::{Bad, Cursor, Depth, Seen, SegmentFile, find_block, list_segments, read_segment_header, segment_name, walk, written_end};
use super::{KeyOf, ROOM_BYTES, SegmentJournal, SegmentOptions, Tail, ids_of};
use crate::block::{BlockHeader, JournalEnd};
use crate::contract::Damage;

/// Longest segment file: offsets of blocks are kept in 32 bits.
pub(super) const SEGMENT_FILE_BYTES_MAX: u64 = u32::MAX as u64;
/// Bytes of one step when the tail is copied.
const COPY_BYTES: usize = 1024 * 1024;

/// What has been verified so far.
struct Verified {
    published: Published,
    /// Headers of the good segments, in order.
    headers: Vec<SegmentHeader>,
    /// Length of the good part of the last segment.
    good_bytes: u64,
    /// Ids of the last segment.
    ids: Vec<Row>,
    dropped: Option<Dropped>,
}

impl SegmentJournal {
    pub(super) fn open_on(disk: Arc<dyn Disk>, folder: &Path, options: SegmentOptions) -> Result<(Self, OpenReport), OpenError> {
        disk.create_folder(folder).map_err(OpenError::storage(folder))?;
        let lock = lock(folder)?;
        let segments = list_segments(&*disk, folder)?;
        let mark = read_mark(&*disk, folder, &segments)?;
        let mut verified = verify(&*disk, folder, &segments, &mark, &options.key_of)?;
        if let Some(dropped) = &verified.dropped {
            let (file, position, bytes) = (dropped.file.display(), dropped.position, dropped.bytes);
            tracing::warn!(%file, %position, bytes, "an unfinished write at the end of the journal is dropped");
        }
        let unusable = segments.get(verified.headers.len());
        let file = take_tail(&*disk, folder, &verified, unusable).map_err(OpenError::storage(folder))?;
        let end = verified.published.end.clone();
        let mut written = mark;
        if mark.is_none_or(|mark| mark != HighWater::of(&end)) {
            let mark = HighWater::of(&end);
            mark.write(&*disk, folder).map_err(OpenError::storage(folder))?;
            written = Some(mark);
        }
        let indexes_rebuilt = index_sealed(&*disk, folder, &mut verified, file.is_some(), &options.key_of)?;
        let report = OpenReport { end: end.clone(), segments: verified.headers.len(), dropped: verified.dropped, indexes_rebuilt };
        let header = verified.headers.pop();
        let tail = file.zip(header).map(|(file, header)| {
            let length = verified.good_bytes;
            Tail { file, header, length, room: length, ids: verified.ids }
        });
        let mut journal = Self {
            reader: Arc::new(SegmentReader::new(disk.clone(), verified.published)),
            disk,
            folder: folder.to_owned(),
            options: SegmentOptions {
                segment_bytes_max: options.segment_bytes_max.min(1 << 30),
                room_bytes: options.room_bytes.min(ROOM_BYTES),
                ..options
            },
            tail,
            mark: written.unwrap_or(HighWater::of(&end)),
            mark_time: end.time,
            end,
            buffer: Vec::new(),
            poison: None,
            packer: Packer::default(),
            _lock: lock,
        };
        journal.pack();
        Ok((journal, report))
    }
}

/// The mark; only a folder that never had a block may be without. The first open writes it before there can be a segment.
fn read_mark(disk: &dyn Disk, folder: &Path, segments: &[SegmentFile]) -> Result<Option<HighWater>, OpenError> {
    let mark = HighWater::read(disk, folder)?;
    match segments.first() {
        Some(_) if mark.is_none() => {
            let file = folder.join(super::high_water::HIGH_WATER_FILE);
            let cause = "there are segments and no high-water mark".to_owned();
            Err(OpenError::Truncated(Damage { file, offset: 0, position: Position(0), cause }))
        }
        _ => Ok(mark),
    }
}

fn verify(
    disk: &dyn Disk,
    folder: &Path,
    segments: &[SegmentFile],
    mark: &Option<HighWater>,
    key_of: &KeyOf,
) -> Result<Verified, OpenError> {
    let mark = mark.unwrap_or(HighWater::of(&JournalEnd::empty()));
    let published = Published { segments: Vec::new(), end: JournalEnd::empty() };
    let mut verified = Verified { published, headers: Vec::new(), good_bytes: 0, ids: Vec::new(), dropped: None };
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        let file = disk.open(&segment.path).map_err(OpenError::storage(&segment.path))?;
        check_place(segment, &verified.published.end)?;
        if segment.is_bundled {
            let header = verify_bundled(&file, segment, &mark, &mut verified.published)?;
            verified.headers.push(header);
            // No tail to go on with, unless a plain segment follows.
            verified.good_bytes = 0;
            continue;
        }
        let read = read_segment_header(&file, segment).map_err(OpenError::storage(&segment.path))?;
        let header = match read {
            Ok(header) => header,
            Err(error) => {
                let origin = verified.published.end.origin.clone();
                drop_unfinished_creation(&file, segment, next.is_none(), &mark, error, &mut verified, &origin)?;
                break;
            }
        };
        // Sealed segments lie below the mark; were one not to, it would be read in full like the tail.
        let depth = if next.is_some_and(|next| next.number <= mark.number) { Depth::Headers } else { Depth::Full };
        verify_segment(&file, segment, &header, next.is_none(), depth, &mark, key_of, &mut verified)?;
        verified.headers.push(header);
    }
    let end = &verified.published.end;
    if end.number < mark.number {
        let (file, offset) = segments.last().map_or_else(|| (folder.to_owned(), 0), |last| (last.path.clone(), last.length));
        let cause = format!("blocks {} to {} are missing, the high-water mark covers them", end.number, mark.number.0 - 1);
        return Err(OpenError::Truncated(Damage { file, offset, position: end.position, cause }));
    }
    Ok(verified)
}

/// The segment must begin where the one before ends.
fn check_place(segment: &SegmentFile, end: &JournalEnd) -> Result<(), OpenError> {
    let damage = |cause| Damage { file: segment.path.clone(), offset: 0, position: end.position, cause };
    if segment.number > end.number {
        let cause = format!("blocks {} to {} are missing before this segment", end.number, segment.number.0 - 1);
        return Err(OpenError::Truncated(damage(cause)));
    }
    if segment.number < end.number {
        return Err(OpenError::Corrupt(damage(format!(
            "the segment begins with block {}, block {} belongs here",
            segment.number, end.number
        ))));
    }
    if segment.length > SEGMENT_FILE_BYTES_MAX {
        return Err(OpenError::Corrupt(damage(format!("the segment has {} bytes, more than any release writes", segment.length))));
    }
    Ok(())
}

/// Header and footer of a bundled segment: that it begins where the one before ends, and ends as the mark says. The full check is the scrub's.
fn verify_bundled(file: &File, segment: &SegmentFile, mark: &HighWater, published: &mut Published) -> Result<SegmentHeader, OpenError> {
    let corrupt =
        |offset, cause| OpenError::Corrupt(Damage { file: segment.path.clone(), offset, position: published.end.position, cause });
    let bundled = match Bundled::open(file, segment.length) {
        Ok(bundled) => bundled,
        Err(UnpackError::Storage(error)) => return Err(OpenError::storage(&segment.path)(error)),
        Err(UnpackError::Wrong { cause: FormatError::Format { found }, .. }) => {
            return Err(OpenError::Format { file: segment.path.clone(), found });
        }
        Err(UnpackError::Wrong { offset, cause }) => return Err(corrupt(offset, format!("the bundled segment cannot be read: {cause}"))),
    };
    let (header, end) = (&bundled.header, &bundled.footer.end);
    let before = &published.end;
    if (header.number, header.position) != (before.number, before.position) || segment.number != header.number {
        let cause =
            format!("the segment is that of block {} at position {}, it stands where another belongs", header.number, header.position);
        return Err(corrupt(0, cause));
    }
    let continues = header.leaf.0 == 0 || (header.leaf.0 == before.tree_size && header.origin == before.origin);
    if !continues || end.term < before.term || end.time < before.time {
        return Err(corrupt(0, "the segment does not continue the one before".to_owned()));
    }
    if end.number == mark.number && HighWater::of(end) != *mark {
        let cause = format!("it ends at root {}, the high-water mark says {}", end.root, mark.root);
        return Err(corrupt(segment.length, cause));
    }
    let header = header.clone();
    published.end = end.clone();
    let info = SegmentInfo::plain(segment.path.clone(), header.clone());
    published.segments.push(SegmentInfo { form: Form::Bundled(Arc::new(bundled)), ..info });
    Ok(header)
}

/// A last segment without a good header: the power went while it was created, if the mark allows it and no block stands in it.
fn drop_unfinished_creation(
    file: &File,
    segment: &SegmentFile,
    is_last: bool,
    mark: &HighWater,
    error: FormatError,
    verified: &mut Verified,
    origin: &str,
) -> Result<(), OpenError> {
    if let FormatError::Format { found } = error {
        return Err(OpenError::Format { file: segment.path.clone(), found });
    }
    let end = &verified.published.end;
    let follows = find_block(file, segment.length, 0, origin, BlockNumber(0)).map_err(OpenError::storage(&segment.path))?;
    // Blocks are written only behind a header that is durable.
    let is_short = segment.length <= u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(0);
    if !is_last || end.number < mark.number || follows.is_some() || !is_short {
        let cause = format!("the segment header cannot be read: {error}");
        return Err(OpenError::Corrupt(Damage { file: segment.path.clone(), offset: 0, position: end.position, cause }));
    }
    verified.dropped = Some(Dropped { file: segment.path.clone(), position: end.position, bytes: segment.length });
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one step of `verify`, cut out for its length")]
fn verify_segment(
    file: &File,
    segment: &SegmentFile,
    header: &SegmentHeader,
    is_last: bool,
    depth: Depth,
    mark: &HighWater,
    key_of: &KeyOf,
    verified: &mut Verified,
) -> Result<(), OpenError> {
    let Verified { published, ids, .. } = verified;
    let mut cursor = Cursor { end: published.end.clone(), offset: u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX) };
    let mut info = SegmentInfo::plain(segment.path.clone(), header.clone());
    ids.clear();
    let bad = walk(file, segment, &header.origin, &mut cursor, depth, &mut |seen: &Seen<'_>| {
        check_first(seen, header)?;
        check_mark(seen.header, mark)?;
        info.push(seen.header.position, seen.offset).map_err(|error| error.to_string())?;
        if is_last {
            let positions = (seen.header.position.0..).map(Position);
            ids.extend(ids_of(key_of, positions.zip(seen.entries.iter().map(|entry| &**entry))));
        }
        Ok(())
    })
    .map_err(OpenError::storage(&segment.path))?;
    if let Some(bad) = bad {
        verified.dropped = Some(judge(file, segment, header, is_last, mark, &cursor, &bad)?);
    }
    verified.good_bytes = cursor.offset;
    verified.published.end = cursor.end;
    verified.published.segments.push(info);
    Ok(())
}

/// The first block of a segment must be the one that its header names.
pub(super) fn check_first(seen: &Seen<'_>, header: &SegmentHeader) -> Result<(), String> {
    if seen.header.number == header.number && SegmentHeader::beginning_with(seen.header) != *header {
        return Err("it is not the block that the segment header names".to_owned());
    }
    Ok(())
}

/// The block before the mark must end as the mark says.
pub(super) fn check_mark(header: &BlockHeader, mark: &HighWater) -> Result<(), String> {
    let end = header.end();
    if end.number == mark.number && HighWater::of(&end) != *mark {
        return Err(format!(
            "it ends at root {} of {} leaves, the high-water mark says {} of {}",
            end.root, end.tree_size, mark.root, mark.tree_size
        ));
    }
    Ok(())
}

/// What a bad block is: an unfinished write, or an error.
fn judge(
    file: &File,
    segment: &SegmentFile,
    header: &SegmentHeader,
    is_last: bool,
    mark: &HighWater,
    at: &Cursor,
    bad: &Bad,
) -> Result<Dropped, OpenError> {
    let damage = bad.damage(segment, at);
    let follows =
        find_block(file, segment.length, at.offset + 1, &header.origin, at.end.number).map_err(OpenError::storage(&segment.path))?;
    if let Some((offset, found)) = follows {
        let cause = format!("{}; block {} follows at byte {offset}", damage.cause, found.header.number);
        return Err(OpenError::Corrupt(Damage { cause, ..damage }));
    }
    if at.end.number < mark.number || !is_last {
        return Err(if *bad == Bad::Short { OpenError::Truncated(damage) } else { OpenError::Corrupt(damage) });
    }
    let bytes = written_end(file, at.offset, segment.length).map_err(OpenError::storage(&segment.path))? - at.offset;
    if bytes > u64::try_from(UNFINISHED_BYTES_MAX).unwrap_or(0) {
        let cause = format!("{}; the {bytes} bytes from there on are more than one write", damage.cause);
        return Err(OpenError::Corrupt(Damage { cause, ..damage }));
    }
    Ok(Dropped { file: segment.path.clone(), position: at.end.position, bytes })
}

/// Makes the last segment one that can be written and answered from: a copy, synced, in place of the file. `None` if there is no segment to go
/// on with; a file whose creation was not finished is removed.
fn take_tail(
    disk: &dyn Disk,
    folder: &Path,
    verified: &Verified,
    unusable: Option<&SegmentFile>,
) -> io::Result<Option<Box<dyn super::WriteFile>>> {
    if let Some(unusable) = unusable {
        disk.remove(&unusable.path)?;
        disk.sync_folder(folder)?;
        return Ok(None);
    }
    let Some(header) = verified.headers.last().filter(|_| verified.good_bytes > 0) else {
        return Ok(None);
    };
    let path = folder.join(segment_name(header.number));
    let temporary = path.with_extension("seg.new");
    let from = disk.open(&path)?;
    let mut to = disk.create(&temporary)?;
    let mut bytes = vec![0u8; COPY_BYTES];
    let mut offset = 0;
    while offset < verified.good_bytes {
        let wanted = usize::try_from(verified.good_bytes - offset).unwrap_or(usize::MAX).min(COPY_BYTES);
        let chunk = bytes.get_mut(..wanted).unwrap_or_default();
        std::os::unix::fs::FileExt::read_exact_at(&from, chunk, offset)?;
        to.append(chunk)?;
        offset += u64::try_from(wanted).unwrap_or(u64::MAX);
    }
    to.sync()?;
    disk.rename(&temporary, &path)?;
    disk.sync_folder(folder)?;
    Ok(Some(to))
}

/// Loads the indexes of the sealed segments and makes anew what is not good.
fn index_sealed(disk: &dyn Disk, folder: &Path, verified: &mut Verified, has_tail: bool, key_of: &KeyOf) -> Result<usize, OpenError> {
    let Verified { published, headers, .. } = verified;
    let sealed = headers.len() - usize::from(has_tail);
    let mut rebuilt = 0;
    for (index, header) in headers.iter().enumerate().take(sealed) {
        let next = headers.get(index + 1).map(|next| JournalEnd { number: next.number, position: next.position, ..JournalEnd::empty() });
        let end = next.map_or(published.end.position, |next| next.position);
        let covered = Covered { number: header.number, first: header.position, end };
        let Some(segment) = published.segments.get_mut(index) else { break };
        let index_file = match index::load(disk, folder, covered).map_err(OpenError::storage(&segment.path))? {
            Some(index_file) => index_file,
            None => {
                rebuilt += 1;
                tracing::warn!(segment = %segment.path.display(), "the index of a sealed segment is made anew");
                rebuild(disk, folder, segment, covered, key_of)?
            }
        };
        segment.sealed = Some((covered.end, index_file));
    }
    Ok(rebuilt)
}

fn rebuild(disk: &dyn Disk, folder: &Path, info: &SegmentInfo, covered: Covered, key_of: &KeyOf) -> Result<Index, OpenError> {
    let (path, header) = (&info.path, &info.header);
    let file = disk.open(path).map_err(OpenError::storage(path))?;
    let length = file.metadata().map_err(OpenError::storage(path))?.len();
    let mut rows = Vec::new();
    let mut cursor = Cursor { end: header.start(), offset: u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX) };
    let is_bundled = matches!(info.form, Form::Bundled(_));
    let segment = SegmentFile { path: path.clone(), number: header.number, length, is_bundled };
    let bad = walk(&file, &segment, &header.origin, &mut cursor, Depth::Full, &mut |seen| {
        let positions = (seen.header.position.0..).map(Position);
        rows.extend(ids_of(key_of, positions.zip(seen.entries.iter().map(|entry| &**entry))));
        Ok(())
    })
    .map_err(OpenError::storage(path))?;
    let bad = bad.or_else(|| (cursor.end.position != covered.end).then(|| Bad::Wrong(format!("it belongs before {}", covered.end))));
    if let Some(bad) = bad {
        return Err(OpenError::Corrupt(bad.damage(&segment, &cursor)));
    }
    index::write(disk, folder, covered, &mut rows).map_err(OpenError::storage(path))
}
