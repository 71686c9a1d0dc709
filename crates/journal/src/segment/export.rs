//! Reading a journal folder from outside, beside the process that writes: the blocks that the high-water mark covers, in order, each verified.
//!
//! Reads only and takes no lock. Not the reader of an open journal: that one knows what is durable at this moment.

use std::ops::ControlFlow;
use std::path::Path;

use truc_types::{BlockNumber, Position};

use super::disk::RealDisk;
use super::error::OpenError;
use super::format::SEGMENT_HEADER_BYTES;
use super::high_water::HighWater;
use super::open::{check_first, check_mark};
use super::walk::{Cursor, Depth, list_segments, read_segment_header, walk};
use crate::block::{Block, JournalEnd};
use crate::contract::Damage;

/// Gives every durable block from the one with the entry at `from` on, until `on_block` breaks. Returns the end of the last block that was given,
/// or `None` if there was none.
///
/// # Errors
/// Damage and storage failures; what was given before is good.
pub fn export(folder: &Path, from: Position, on_block: &mut dyn FnMut(Block) -> ControlFlow<()>) -> Result<Option<JournalEnd>, OpenError> {
    let disk = RealDisk;
    let Some(mark) = HighWater::read(&disk, folder)? else { return Ok(None) };
    let mut segments = list_segments(&disk, folder)?;
    let mut last = None;
    let lost = |position: Position, cause: String| OpenError::Truncated(Damage { file: folder.to_owned(), offset: 0, position, cause });
    // Where the next segment begins, as far as the ones before it were read.
    let mut expected = Some((BlockNumber(0), Position(0)));
    let mut enough = false;
    for index in 0..segments.len() {
        let Some(segment) = segments.get_mut(index) else { break };
        let file = segment.open(&disk)?;
        let segment = segment.clone();
        let segment = &segment;
        let header = read_segment_header(&file, segment).map_err(OpenError::storage(&segment.path))?;
        let header = match header {
            Ok(header) => header,
            // Beyond the mark: it is being made.
            Err(_) if segment.number >= mark.number => break,
            Err(cause) => {
                let cause = format!("the segment header cannot be read: {cause}");
                return Err(OpenError::Corrupt(Damage { file: segment.path.clone(), offset: 0, position: from, cause }));
            }
        };
        let start = header.start();
        if let Some((number, position)) = expected.take()
            && (header.number, header.position) != (number, position)
        {
            return Err(lost(position, format!("block {} does not follow block {number}: a segment is missing", header.number)));
        }
        // The next segment begins at or before what is wanted: nothing of this one is.
        if let Some(next) = segments.get_mut(index + 1) {
            let next_file = next.open(&disk)?;
            let next = read_segment_header(&next_file, next).map_err(OpenError::storage(&next.path))?;
            if next.is_ok_and(|next| next.position <= from) {
                continue;
            }
        }
        let mut cursor = Cursor { end: start, offset: u64::try_from(SEGMENT_HEADER_BYTES).unwrap_or(u64::MAX) };
        let mut stopped = false;
        let bad = walk(&file, segment, &header.origin, &mut cursor, Depth::Full, &mut |seen| {
            check_first(seen, &header)?;
            check_mark(seen.header, &mark)?;
            let end = seen.header.end();
            if stopped || end.number > mark.number {
                // The only way out of a walk is a fault; this one is known below.
                stopped = true;
                return Err(String::new());
            }
            if end.position > from {
                let block = Block { header: seen.header.clone(), entries: seen.entries.to_vec() };
                last = Some(end);
                enough = on_block(block).is_break();
                stopped = enough;
            }
            Ok(())
        });
        match bad.map_err(OpenError::storage(&segment.path))? {
            _ if stopped => break,
            Some(_) if cursor.end.number >= mark.number => break,
            Some(bad) => return Err(OpenError::Corrupt(bad.damage(segment, &cursor))),
            None => expected = Some((cursor.end.number, cursor.end.position)),
        }
    }
    match expected {
        Some((number, position)) if !enough && number < mark.number => {
            Err(lost(position, format!("the segments end before block {number}, blocks up to {} were durable", mark.number)))
        }
        _ => Ok(last),
    }
}
