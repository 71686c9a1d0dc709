//! Tests of the segment engine: the contract, faults of each call, power cuts at each moment, damage of each kind.

mod damage;
mod faults;
mod hostile;
mod packed;
mod power_cut;
mod record;
mod snapshots;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use truc_ledger::{Frontier, leaf_hash};
use truc_types::Position;

use super::lock::LOCK_FILE;
use super::{KeyOf, OpenError, OpenReport, SegmentJournal, SegmentOptions};
use crate::block::{Block, BlockKind, JournalEnd};
use crate::conformance::{self, sample_block};
use crate::contract::{Journal, JournalReader};
use record::RecordingDisk;

/// An id made of the bytes of the entry.
fn key_of() -> KeyOf {
    Arc::new(|entry| {
        let mut id = [0u8; 16];
        id[..4].copy_from_slice(&crc32fast::hash(entry).to_be_bytes());
        id[4..8].copy_from_slice(&crc32fast::hash(&entry[entry.len() / 2..]).to_be_bytes());
        Some(id)
    })
}

fn options(segment_bytes_max: u64) -> SegmentOptions {
    SegmentOptions { key_of: key_of(), segment_bytes_max, room_bytes: 0, packs: false }
}

/// Opens without real syncs: the tests of this module cut the power in a model of the disk.
fn open(folder: &Path) -> Result<(SegmentJournal, OpenReport), OpenError> {
    SegmentJournal::open_on(Arc::new(RecordingDisk::default()), folder, options(1_500))
}

fn blocks(reader: &dyn JournalReader) -> Vec<Block> {
    reader.blocks_from(Position(0)).collect::<Result<_, _>>().unwrap()
}

/// Makes blocks with true roots, 100 ms apart.
#[derive(Default)]
struct Source(Frontier);

impl Source {
    fn next(&mut self, end: &JournalEnd, entries: usize) -> Block {
        let mut block = sample_block(end, entries, 1);
        block.entries.iter().for_each(|entry| self.0.append(leaf_hash(entry)));
        block.header.root = self.0.root();
        block
    }

    fn append(&mut self, journal: &mut dyn Journal, entries: usize) -> Block {
        let block = self.next(&journal.end(), entries);
        journal.append(block.clone()).unwrap();
        block
    }
}

/// Every file of a folder but the lock.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    named.filter(|(name, _)| name != LOCK_FILE).collect()
}

/// Every entry below `indexed_through` is found by its id, and nothing else is.
fn check_index(journal: &SegmentJournal) {
    let reader = journal.reader();
    let key_of = key_of();
    for block in blocks(&*reader) {
        for (position, entry) in block.positioned() {
            let expected = (position < reader.indexed_through()).then_some(position);
            assert_eq!(reader.find(&key_of(entry).unwrap()).unwrap(), expected);
        }
    }
    assert_eq!(reader.find(&[0xff; 16]).unwrap(), None);
}

#[test]
fn the_segment_engine_keeps_the_contract_in_large_and_in_tiny_segments() {
    for (segment_bytes_max, packs, room_bytes) in
        [(64 * 1024 * 1024, true, 0), (64 * 1024 * 1024, true, 9_000), (1_500, false, 0), (1_500, true, 700), (0, false, 300), (0, true, 0)]
    {
        let place = || TempDir::new().unwrap();
        let open = |place: &TempDir| -> Box<dyn Journal> {
            // A folder that is not there yet is made.
            Box::new(
                SegmentJournal::open(&place.path().join("a/journal"), SegmentOptions { packs, room_bytes, ..options(segment_bytes_max) })
                    .unwrap()
                    .0,
            )
        };
        conformance::check_engine(place, open, true);
    }
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path()).unwrap().0;
    match open(folder.path()) {
        Err(OpenError::Locked { folder: named, pid }) => assert_eq!((named.as_path(), pid), (folder.path(), Some(std::process::id()))),
        other => panic!("{other:?}"),
    }
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn ids_of_sealed_segments_are_found_and_missing_or_damaged_indexes_are_made_anew() {
    let folder = TempDir::new().unwrap();
    let (mut journal, _) = open(folder.path()).unwrap();
    let mut source = Source::default();
    for entries in [3, 9, 0, 14, 5, 8, 20, 1] {
        source.append(&mut journal, entries);
    }
    check_index(&journal);
    assert!(journal.reader().indexed_through() > Position(20));
    let (end, through) = (journal.end(), journal.reader().indexed_through());
    drop(journal);
    let whole = contents(folder.path());
    let indexes: Vec<_> = whole.iter().filter(|(name, _)| name.ends_with(".ids")).collect();
    assert!(indexes.len() >= 3);
    for (name, bytes) in indexes {
        let path = folder.path().join(name);
        for change in 0..=bytes.len() {
            // Each byte once, and a file that is gone.
            match bytes.get(change) {
                Some(_) if change % 7 != 0 => continue,
                Some(byte) => {
                    let mut bytes = bytes.clone();
                    bytes[change] = byte ^ 4;
                    fs::write(&path, bytes).unwrap();
                }
                None => fs::remove_file(&path).unwrap(),
            }
            let (journal, report) = open(folder.path()).unwrap();
            assert_eq!((report.indexes_rebuilt, report.end), (1, end.clone()), "byte {change} of {name}");
            assert_eq!(journal.reader().indexed_through(), through);
            assert_eq!(&fs::read(&path).unwrap(), bytes);
        }
    }
    check_index(&open(folder.path()).unwrap().0);
}

#[test]
fn of_two_entries_with_one_id_the_first_is_found() {
    let folder = TempDir::new().unwrap();
    let (mut journal, _) = SegmentJournal::open_on(
        Arc::new(RecordingDisk::default()),
        folder.path(),
        SegmentOptions { key_of: Arc::new(|_| Some([5; 16])), ..options(1) },
    )
    .unwrap();
    let mut source = Source::default();
    for _ in 0..3 {
        source.append(&mut journal, 4);
    }
    assert_eq!(journal.reader().find(&[5; 16]).unwrap(), Some(Position(0)));
    assert_eq!(journal.reader().indexed_through(), Position(8));
}

#[test]
fn a_segment_begun_for_a_block_that_was_never_written_gives_way_to_that_of_the_next_sequencer() {
    let folder = TempDir::new().unwrap();
    let disk = Arc::new(RecordingDisk::default());
    let (mut journal, _) = SegmentJournal::open_on(disk.clone(), folder.path(), options(1)).unwrap();
    let mut source = Source::default();
    source.append(&mut journal, 3);
    // Mark: 5 operations; index: 5; the segment: create, header, sync, folder; then the write of the block fails.
    disk.fail_at(disk.count() + 14, record::Fault::NotDone);
    let block = source.next(&journal.end(), 2);
    assert!(journal.append(block.clone()).is_err());
    drop(journal);
    let (mut journal, report) = open(folder.path()).unwrap();
    assert_eq!((report.segments, report.dropped), (2, None));
    let mut other = block;
    other.header.kind = BlockKind::Term;
    other.header.term = other.header.term.next();
    journal.append(other.clone()).unwrap();
    assert_eq!(blocks(&*journal.reader())[1], other);
    drop(journal);
    assert_eq!(blocks(&*open(folder.path()).unwrap().0.reader())[1], other);
}

#[test]
fn the_mark_follows_within_a_second_of_block_time_and_on_settling() {
    let folder = TempDir::new().unwrap();
    let disk = Arc::new(RecordingDisk::default());
    let (mut journal, _) = SegmentJournal::open_on(disk.clone(), folder.path(), options(1 << 20)).unwrap();
    let mut source = Source::default();
    for _ in 0..35 {
        source.append(&mut journal, 1);
        let mark = super::HighWater::read(&*disk, folder.path()).unwrap().unwrap();
        assert!(journal.end().number.0 - mark.number.0 < 10, "blocks are 100 ms apart");
    }
    journal.settle().unwrap();
    assert_eq!(super::HighWater::read(&*disk, folder.path()).unwrap(), Some(super::HighWater::of(&journal.end())));
    let before = disk.count();
    journal.settle().unwrap();
    assert_eq!(disk.count(), before, "nothing is written when nothing is behind");
}
