//! The full check of a journal folder: every byte of every segment, every link between blocks, every root.
//!
//! Reads only, takes no lock, and may run beside the process that writes and packs. Goes on behind what is bad and reports all of it. The index files are
//! not looked at: they are verified at every open and made anew from the segments.

use std::path::Path;

use truc_ledger::{Frontier, leaf_hash};
use truc_types::{BlockNumber, Position};

use super::disk::{Disk, RealDisk};
use super::error::{Dropped, OpenError};
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, UNFINISHED_BYTES_MAX};
use super::high_water::{HIGH_WATER_FILE, HighWater};
use super::open::{check_first, check_mark};
use super::unpack::{Bundled, UnpackError};
use super::walk::{Bad, Cursor, Depth, Seen, SegmentFile, block_behind, find_block, list_segments, read_segment_header, walk, written_end};
use crate::block::{BlockKind, JournalEnd};
use crate::contract::Damage;

/// Findings that are kept; further ones are only counted.
pub const FINDINGS_MAX: usize = 1_000;

/// How far a scrub has come; given after every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubProgress {
    /// Bytes of segment files behind the scrub.
    pub bytes_done: u64,
    /// Bytes of all segment files when it began.
    pub bytes_total: u64,
    /// Position behind the last good block.
    pub position: Position,
}

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubReport {
    /// Behind the last good block.
    pub end: JournalEnd,
    /// Good blocks.
    pub blocks: u64,
    /// Entries in them.
    pub entries: u64,
    /// Everything that is wrong, in the order of the files, at most [`FINDINGS_MAX`].
    pub findings: Vec<Damage>,
    /// Findings beyond [`FINDINGS_MAX`].
    pub findings_left_out: u64,
    /// A write at the very end that is not finished: under way, or to be dropped by the next open. Not a finding.
    pub unfinished: Option<Dropped>,
}

struct Scrub<'a> {
    mark: HighWater,
    report: ScrubReport,
    /// The tree up to the last good block; `None` behind a gap, until the next shard begins.
    frontier: Option<Frontier>,
    bytes_before: u64,
    bytes_total: u64,
    progress: &'a mut dyn FnMut(ScrubProgress),
}

/// Checks a journal folder in full and changes nothing. `progress` is called after every block.
///
/// # Errors
/// [`OpenError::Storage`] if a file cannot be read, [`OpenError::Format`] for a folder of another release. Damage is no error but a finding.
pub fn scrub(folder: &Path, progress: &mut dyn FnMut(ScrubProgress)) -> Result<ScrubReport, OpenError> {
    let disk = RealDisk;
    // The mark first: a process that writes beside the scrub only moves the segments further past it.
    let (mark, mark_damage) = match HighWater::read(&disk, folder) {
        Ok(mark) => (mark, None),
        Err(OpenError::Corrupt(damage)) => (Some(HighWater::of(&JournalEnd::empty())), Some(damage)),
        Err(error) => return Err(error),
    };
    let mut segments = list_segments(&disk, folder)?;
    let report =
        ScrubReport { end: JournalEnd::empty(), blocks: 0, entries: 0, findings: Vec::new(), findings_left_out: 0, unfinished: None };
    let mut scrub = Scrub {
        mark: mark.unwrap_or(HighWater::of(&JournalEnd::empty())),
        report,
        frontier: Some(Frontier::new()),
        bytes_before: 0,
        bytes_total: segments.iter().map(|segment| segment.length).sum(),
        progress,
    };
    if let Some(damage) = mark_damage {
        scrub.found(damage);
    } else if mark.is_none() && !segments.is_empty() {
        scrub.found_at(&folder.join(HIGH_WATER_FILE), 0, Position(0), "there are segments and no high-water mark".to_owned());
    }
    let count = segments.len();
    for (index, segment) in segments.iter_mut().enumerate() {
        let listed = segment.length;
        scrub.segment(&disk, segment, index + 1 == count)?;
        scrub.bytes_before += listed;
    }
    let end = scrub.report.end.clone();
    if end.number < scrub.mark.number {
        let cause = format!("blocks {} to {} are missing, the high-water mark covers them", end.number, scrub.mark.number.0 - 1);
        let last = segments.last();
        scrub.found_at(last.map_or(folder, |last| &last.path), last.map_or(0, |last| last.length), end.position, cause);
    }
    Ok(scrub.report)
}

impl Scrub<'_> {
    fn found(&mut self, damage: Damage) {
        if self.report.findings.len() < FINDINGS_MAX { self.report.findings.push(damage) } else { self.report.findings_left_out += 1 }
    }

    fn found_at(&mut self, file: &Path, offset: u64, position: Position, cause: String) {
        self.found(Damage { file: file.to_owned(), offset, position, cause });
    }

    fn segment(&mut self, disk: &dyn Disk, segment: &mut SegmentFile, is_last: bool) -> Result<(), OpenError> {
        let file = segment.open(disk)?;
        let header = read_segment_header(&file, segment).map_err(OpenError::storage(&segment.path))?;
        let start = u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX);
        let (header, mut cursor) = match header {
            Ok(header) => {
                let expected = self.report.end.clone();
                let place = (header.number, header.position);
                if place == (expected.number, expected.position) {
                    (Some(header), Cursor { end: expected, offset: start })
                } else {
                    let cause = format!(
                        "the segment begins with block {} at position {}, block {} at position {} belongs here",
                        header.number, header.position, expected.number, expected.position
                    );
                    self.found_at(&segment.path, 0, expected.position, cause);
                    self.frontier = None;
                    let end = header.start();
                    (Some(header), Cursor { end, offset: start })
                }
            }
            Err(error) if segment.is_bundled => {
                self.found_at(&segment.path, 0, self.report.end.position, format!("the bundled segment cannot be read: {error}"));
                self.frontier = None;
                return Ok(());
            }
            Err(error) => {
                let end = self.report.end.clone();
                let follows = find_block(&file, segment.length, 0, "", BlockNumber(0)).map_err(OpenError::storage(&segment.path))?;
                let Some((offset, found)) = follows else {
                    self.bad_end(
                        segment,
                        is_last,
                        &Cursor { end, offset: 0 },
                        segment.length,
                        &format!("the segment header cannot be read: {error}"),
                    );
                    return Ok(());
                };
                self.found_at(&segment.path, 0, end.position, format!("the segment header cannot be read: {error}"));
                (None, Cursor { end: self.resume(&found.header, &end.origin), offset })
            }
        };
        let origin = header.as_ref().map_or_else(|| cursor.end.origin.clone(), |header| header.origin.clone());
        let (mut sound, mut looked_again) = (true, None);
        while let Some(bad) = self.walk(&file, segment, &origin, header.as_ref(), &mut cursor)? {
            sound = false;
            if segment.is_bundled {
                self.found(bad.damage(segment, &cursor));
                let follows = block_behind(&file, segment, &cursor).map_err(OpenError::storage(&segment.path))?;
                let Some(found) = follows else { break };
                cursor = Cursor { end: self.resume(&found, &origin), offset: start };
                continue;
            }
            let number = cursor.end.number;
            let follows =
                find_block(&file, segment.length, cursor.offset + 1, &origin, number).map_err(OpenError::storage(&segment.path))?;
            let damage = bad.damage(segment, &cursor);
            let Some((offset, found)) = follows else {
                let written = written_end(&file, cursor.offset, segment.length).map_err(OpenError::storage(&segment.path))?;
                self.bad_end(segment, is_last, &cursor, written, &damage.cause);
                break;
            };
            // Who writes beside this had finished the one before when it wrote the one behind: what was read of it may have been half of it.
            if looked_again.replace(cursor.offset) != Some(cursor.offset) {
                continue;
            }
            self.found(damage);
            cursor = Cursor { end: self.resume(&found.header, &origin), offset };
        }
        if sound && segment.is_bundled { self.check_chunks(&file, segment, cursor.end.position) } else { Ok(()) }
    }

    /// The roots of the chunks in a bundled segment, which a start believes.
    fn check_chunks(&mut self, file: &std::fs::File, segment: &SegmentFile, end: Position) -> Result<(), OpenError> {
        match Bundled::open(file, segment.length).and_then(|bundled| bundled.check_roots(file)) {
            Ok(()) => Ok(()),
            Err(UnpackError::Storage(error)) => Err(OpenError::storage(&segment.path)(error)),
            Err(UnpackError::Wrong { offset, .. }) => {
                self.found_at(&segment.path, offset, end, "the root of a bundle is not that of its entries".to_owned());
                Ok(())
            }
        }
    }

    /// The end before a block behind a gap, taken from the block itself.
    fn resume(&mut self, header: &crate::block::BlockHeader, origin: &str) -> JournalEnd {
        self.frontier = None;
        JournalEnd {
            number: header.number,
            position: header.position,
            term: header.term,
            time: header.time,
            origin: origin.to_owned(),
            tree_size: header.leaf.0,
            root: truc_ledger::EMPTY_ROOT,
        }
    }

    /// Bad bytes with nothing good behind them in their file: unfinished at the end of the journal above the mark, a finding elsewhere.
    fn bad_end(&mut self, segment: &SegmentFile, is_last: bool, at: &Cursor, written: u64, cause: &str) {
        let bytes = written.saturating_sub(at.offset);
        if is_last && at.end.number >= self.mark.number && bytes <= u64::try_from(UNFINISHED_BYTES_MAX).unwrap_or(0) {
            self.report.unfinished = Some(Dropped { file: segment.path.clone(), position: at.end.position, bytes });
        } else {
            self.found_at(&segment.path, at.offset, at.end.position, cause.to_owned());
        }
    }

    fn walk(
        &mut self,
        file: &std::fs::File,
        segment: &SegmentFile,
        origin: &str,
        header: Option<&SegmentHeader>,
        cursor: &mut Cursor,
    ) -> Result<Option<Bad>, OpenError> {
        let mut wrong_roots = Vec::new();
        let walked = walk(file, segment, origin, cursor, Depth::Full, &mut |seen| {
            header.map_or(Ok(()), |header| check_first(seen, header))?;
            check_mark(seen.header, &self.mark)?;
            if let Err(cause) = self.check_root(seen) {
                // The block is what was written; the journal goes on behind it.
                wrong_roots.push(Damage { file: segment.path.clone(), offset: seen.offset, position: seen.header.position, cause });
                wrong_roots.truncate(FINDINGS_MAX);
            }
            self.report.blocks += 1;
            self.report.entries += u64::try_from(seen.entries.len()).unwrap_or(u64::MAX);
            self.report.end = seen.header.end();
            let bytes_done = self.bytes_before + seen.behind;
            (self.progress)(ScrubProgress { bytes_done, bytes_total: self.bytes_total, position: self.report.end.position });
            Ok(())
        });
        for damage in wrong_roots {
            self.found(damage);
        }
        walked.map_err(OpenError::storage(&segment.path))
    }

    fn check_root(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let header = seen.header;
        if header.kind == BlockKind::Shard {
            self.frontier = Some(Frontier::new());
        }
        let Some(frontier) = &mut self.frontier else {
            return Ok(());
        };
        for entry in seen.entries {
            frontier.append(leaf_hash(entry));
        }
        let (root, size) = (frontier.root(), frontier.size());
        if (root, size) != (header.root, header.tree_size) {
            self.frontier = None;
            return Err(format!(
                "block {} says root {} of {} leaves, its entries give {root} of {size}",
                header.number, header.root, header.tree_size
            ));
        }
        Ok(())
    }
}
