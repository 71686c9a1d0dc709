//! Bytes that change, end or vanish: named with their place by open or scrub, never repaired in silence.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Source, contents, open, options};
use crate::block::Block;
use crate::contract::{Damage, Journal};
use crate::segment::format::{BLOCK_MAGIC, UNFINISHED_BYTES_MAX};
use crate::segment::high_water::HIGH_WATER_FILE;
use crate::segment::walk::segment_name;
use crate::segment::{Dropped, OpenError, ScrubReport, SegmentJournal, SegmentOptions, scrub};
use truc_types::BlockNumber;

struct Written {
    folder: TempDir,
    blocks: Vec<Block>,
    /// Segment files in order.
    segments: Vec<PathBuf>,
}

/// Three segments and more; the last blocks lie above the mark unless the journal was closed.
fn written(is_closed: bool) -> Written {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path()).unwrap().0;
    let mut source = Source::default();
    let blocks = [9, 8, 2, 12, 13, 1, 2, 3, 2].map(|entries| source.append(&mut journal, entries)).to_vec();
    if is_closed {
        Box::new(journal).close().unwrap()
    } else {
        drop(journal)
    }
    let names = contents(folder.path()).into_keys().filter(|name| name.ends_with(".seg"));
    let segments: Vec<_> = names.map(|name| folder.path().join(name)).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    Written { folder, blocks, segments }
}

fn full(folder: &Path) -> ScrubReport {
    scrub(folder, &mut |_| {}).unwrap()
}

/// Opening fails with damage, and nothing in the folder has changed.
fn refused(folder: &Path, case: &str) -> Damage {
    let before = contents(folder);
    let damage = match open(folder) {
        Err(OpenError::Truncated(damage) | OpenError::Corrupt(damage)) => damage,
        other => panic!("{case}: {other:?}"),
    };
    assert!(contents(folder) == before, "{case}: the folder was changed");
    damage
}

fn offsets(bytes: &[u8]) -> Vec<usize> {
    bytes.windows(8).enumerate().filter(|(_, window)| *window == BLOCK_MAGIC).map(|(at, _)| at).collect()
}

#[test]
fn a_whole_journal_has_no_findings_and_the_scrub_counts_it() {
    let written = written(true);
    let mut last = None;
    let report = scrub(written.folder.path(), &mut |progress| last = Some(progress)).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.blocks, report.entries), (9, 52));
    assert_eq!(report.end, written.blocks[8].end());
    let last = last.unwrap();
    assert_eq!((last.bytes_done, last.position), (last.bytes_total, report.end.position));
}

#[test]
fn every_flipped_byte_of_the_last_segment_below_the_mark_keeps_the_journal_closed() {
    let written = written(true);
    let last = written.segments.last().unwrap();
    let good = fs::read(last).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        fs::write(last, &bytes).unwrap();
        if at == 8 || at == 9 {
            assert!(matches!(open(written.folder.path()), Err(OpenError::Format { .. })));
            continue;
        }
        let damage = refused(written.folder.path(), &format!("byte {at}"));
        assert_eq!(&damage.file, last);
        assert!(damage.offset <= u64::try_from(at).unwrap());
        let block = written.blocks.iter().find(|block| block.header.position == damage.position && !block.entries.is_empty());
        assert!(block.is_some(), "byte {at}: {damage}");
        assert!(!full(written.folder.path()).findings.is_empty(), "byte {at}");
    }
}

#[test]
fn every_flipped_byte_of_a_sealed_segment_is_found_by_the_scrub_at_its_block_and_the_rest_is_still_checked() {
    let written = written(true);
    let first = &written.segments[0];
    let good = fs::read(first).unwrap();
    let starts = offsets(&good);
    for at in (0..good.len()).step_by(3) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x01;
        fs::write(first, &bytes).unwrap();
        let before = contents(written.folder.path());
        let report = full(written.folder.path());
        assert!(contents(written.folder.path()) == before);
        let finding = &report.findings[0];
        let expected = starts.iter().rev().find(|start| **start <= at).map_or(0, |start| u64::try_from(*start).unwrap());
        assert_eq!((&finding.file, finding.offset), (first, expected), "byte {at}: {finding}");
        assert_eq!(report.end, written.blocks[8].end(), "byte {at}: the scrub goes on to the end");
    }
}

#[test]
fn a_root_that_its_entries_do_not_give_is_found_though_every_checksum_fits() {
    let folder = TempDir::new().unwrap();
    let mut journal = open(folder.path()).unwrap().0;
    let mut source = Source::default();
    source.append(&mut journal, 3);
    let mut wrong = source.next(&journal.end(), 2);
    wrong.header.root.0[0] ^= 1;
    journal.append(wrong.clone()).unwrap();
    source.append(&mut journal, 1);
    Box::new(journal).close().unwrap();
    let report = full(folder.path());
    assert_eq!(report.findings.iter().map(|finding| finding.position).collect::<Vec<_>>(), [wrong.header.position]);
    assert_eq!(report.blocks, 3);
}

#[test]
fn a_lost_tail_below_the_mark_is_truncated_wherever_it_ends() {
    let written = written(true);
    let last = written.segments.last().unwrap();
    let good = fs::read(last).unwrap();
    for length in (0..good.len()).step_by(5) {
        fs::write(last, &good[..length]).unwrap();
        let damage = refused(written.folder.path(), &format!("{length} bytes"));
        assert!(damage.position < written.blocks[8].end().position);
        let mut zeroed = good.clone();
        zeroed[length..].fill(0);
        fs::write(last, &zeroed).unwrap();
        refused(written.folder.path(), &format!("zeros from {length}"));
        assert!(!full(written.folder.path()).findings.is_empty());
    }
}

#[test]
fn above_the_mark_the_last_block_is_dropped_and_a_bad_one_before_a_good_one_is_damage() {
    let written = written(false);
    let last = written.segments.last().unwrap();
    let good = fs::read(last).unwrap();
    let starts = offsets(&good);
    let (before_last, last_start) = (starts[starts.len() - 2], starts[starts.len() - 1]);
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x80;
        fs::write(last, bytes).unwrap();
    };
    flip(before_last + 120);
    let damage = refused(written.folder.path(), "a good block follows");
    assert_eq!((damage.offset, damage.position), (u64::try_from(before_last).unwrap(), written.blocks[7].header.position));
    flip(last_start + 20);
    let report = full(written.folder.path());
    assert_eq!(
        (report.findings, report.unfinished.map(|unfinished| unfinished.position)),
        (vec![], Some(written.blocks[8].header.position))
    );
    let (journal, report) = open(written.folder.path()).unwrap();
    let dropped = report.dropped.unwrap();
    assert_eq!((&dropped.file, dropped.position), (last, written.blocks[8].header.position));
    assert_eq!(dropped.bytes, u64::try_from(good.len() - last_start).unwrap());
    assert_eq!(journal.end(), written.blocks[7].end());
}

#[test]
fn missing_swapped_and_foreign_files_are_named() {
    type Change = fn(&Written);
    let cases: [(&str, Change); 7] = [
        ("first segment deleted", |written| fs::remove_file(&written.segments[0]).unwrap()),
        ("middle segment deleted", |written| fs::remove_file(&written.segments[1]).unwrap()),
        ("last segment deleted", |written| fs::remove_file(written.segments.last().unwrap()).unwrap()),
        ("all segments deleted", |written| written.segments.iter().for_each(|segment| fs::remove_file(segment).unwrap())),
        ("segments swapped", |written| {
            let between = written.folder.path().join("between");
            fs::rename(&written.segments[0], &between).unwrap();
            fs::rename(&written.segments[1], &written.segments[0]).unwrap();
            fs::rename(&between, &written.segments[1]).unwrap();
        }),
        ("mark deleted", |written| fs::remove_file(written.folder.path().join(HIGH_WATER_FILE)).unwrap()),
        ("mark of another journal", |written| {
            let other = TempDir::new().unwrap();
            let mut journal = open(other.path()).unwrap().0;
            Source::default().append(&mut journal, 4);
            Box::new(journal).close().unwrap();
            fs::copy(other.path().join(HIGH_WATER_FILE), written.folder.path().join(HIGH_WATER_FILE)).unwrap();
        }),
    ];
    for (case, change) in cases {
        let written = written(true);
        change(&written);
        refused(written.folder.path(), case);
        assert!(!full(written.folder.path()).findings.is_empty(), "{case}");
    }
}

#[test]
fn bytes_behind_the_end_are_dropped_only_if_one_write_can_have_left_them() {
    let most = UNFINISHED_BYTES_MAX;
    for (length, is_dropped) in [(1, true), (107, true), (most, true), (most + 1, false)] {
        let written = written(true);
        let last = written.segments.last().unwrap();
        let mut bytes = fs::read(last).unwrap();
        bytes.resize(bytes.len() + length, 0x55);
        fs::write(last, &bytes).unwrap();
        if is_dropped {
            let report = open(written.folder.path()).unwrap().1;
            assert_eq!(report.dropped.map(|dropped| dropped.bytes), Some(u64::try_from(length).unwrap()));
            assert_eq!(report.end, written.blocks[8].end());
        } else {
            refused(written.folder.path(), "more than one write");
            assert_eq!(full(written.folder.path()).findings.len(), 1);
        }
    }
}

#[test]
fn a_last_segment_without_a_header_is_an_unfinished_creation_if_it_is_short_and_above_the_mark() {
    for (length, is_dropped) in [(0, true), (100, true), (176, true), (177, false)] {
        let written = written(true);
        let next = written.folder.path().join(segment_name(BlockNumber(9)));
        fs::write(&next, vec![0; length]).unwrap();
        if is_dropped {
            let (mut journal, report) = open(written.folder.path()).unwrap();
            let position = written.blocks[8].end().position;
            assert_eq!(report.dropped, Some(Dropped { file: next.clone(), position, bytes: u64::try_from(length).unwrap() }));
            assert!(!next.exists());
            Source::default().append(&mut journal, 2);
        } else {
            assert_eq!(refused(written.folder.path(), "more than a header").file, next);
        }
    }
    let below = written(true);
    fs::write(below.segments.last().unwrap(), []).unwrap();
    refused(below.folder.path(), "below the mark");
}

#[test]
fn room_behind_the_last_block_is_neither_damage_nor_dropped_and_blocks_that_became_zeros_are_missed() {
    let folder = TempDir::new().unwrap();
    let make = || SegmentJournal::open(folder.path(), SegmentOptions { room_bytes: 5_000, ..options(1_500) }).unwrap();
    let (mut journal, _) = make();
    let mut source = Source::default();
    let blocks = [9, 8, 2, 12, 13, 1, 2].map(|entries| source.append(&mut journal, entries)).to_vec();
    let segments = || contents(folder.path()).into_iter().filter(|(name, _)| name.ends_with(".seg")).collect::<Vec<_>>();
    let have_room = |segments: &[(String, Vec<u8>)]| segments.iter().map(|(_, bytes)| bytes.ends_with(&[0; 1_000])).collect::<Vec<_>>();
    // As a kill leaves it.
    let killed = segments();
    assert!(killed.len() >= 3);
    assert_eq!(have_room(&killed).iter().position(|has_room| *has_room), Some(killed.len() - 1), "a sealed segment has none");
    Box::new(journal).close().unwrap();
    assert!(!have_room(&segments()).contains(&true), "a journal that is closed leaves none");
    let (name, bytes) = killed.last().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let segments = killed;
    let report = full(folder.path());
    assert_eq!((report.findings, report.unfinished, report.blocks), (vec![], None, 7));
    let before = contents(folder.path());
    for (name, bytes) in &segments {
        // The last block of the segment becomes zeros: it is missed, though nothing but room seems to be there.
        let start = *offsets(bytes).last().unwrap();
        let mut zeroed = bytes.clone();
        zeroed[start..].fill(0);
        fs::write(folder.path().join(name), &zeroed).unwrap();
        refused(folder.path(), name);
        assert!(!full(folder.path()).findings.is_empty(), "{name}");
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    assert!(contents(folder.path()) == before);
    let (journal, report) = make();
    assert_eq!((report.dropped, report.end), (None, blocks[6].end()));
    journal.pack_now().unwrap();
    drop(journal);
    assert_eq!(super::blocks(&*make().0.reader()), blocks);
}
