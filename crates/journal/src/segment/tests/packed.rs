//! Segments that were packed: the same blocks, entries, ids and roots as before, from inside and from outside, whole or not at all.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use truc_ledger::{TreeStore, leaf_hash};
use truc_types::{BlockNumber, Position};

use super::record::RecordingDisk;
use super::{Source, blocks, check_index, contents, open, options};
use crate::block::Block;
use crate::contract::{Journal, ReadError};
use crate::segment::bundle::FOOTER_BYTES;
use crate::segment::format::SEGMENT_HEADER_BYTES;
use crate::segment::walk::{bundled_name, segment_name};
use crate::segment::{OpenError, SegmentJournal, SegmentOptions, SnapshotRequest, export, scrub, snapshot};

/// A journal with so many blocks of 40 entries in segments of 20 kB, none packed yet.
fn grown(folder: &Path, count: usize) -> (SegmentJournal, Vec<Block>, Source) {
    let mut journal = SegmentJournal::open_on(Arc::new(RecordingDisk::default()), folder, options(20_000)).unwrap().0;
    let mut source = Source::default();
    let blocks = (0..count).map(|number| source.append(&mut journal, if number % 9 == 4 { 0 } else { 40 })).collect();
    journal.settle().unwrap();
    (journal, blocks, source)
}

fn bundled(folder: &Path) -> Vec<PathBuf> {
    contents(folder).into_keys().filter(|name| name.ends_with(".bundles")).map(|name| folder.join(name)).collect()
}

fn exported(folder: &Path, from: Position) -> Vec<Block> {
    let mut found = Vec::new();
    export(folder, from, &mut |block| {
        found.push(block);
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn packed_segments_hold_the_same_and_take_less_room() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, mut source) = grown(folder.path(), 40);
    let before: usize = contents(folder.path()).values().map(Vec::len).sum();
    journal.pack_now().unwrap();
    assert!(bundled(folder.path()).len() >= 3);
    let after: usize = contents(folder.path()).values().map(Vec::len).sum();
    assert!(after * 2 < before, "{after} of {before}");
    let check = |journal: &SegmentJournal, expected: &[Block]| {
        let reader = journal.reader();
        assert_eq!(blocks(&*reader), expected);
        check_index(journal);
        for (position, entry) in expected.iter().flat_map(Block::positioned) {
            assert_eq!(reader.entry(position).unwrap(), entry.to_vec());
            assert!(reader.block_at(position).unwrap().positioned().any(|(at, _)| at == position));
        }
        for from in [0, 1, 39, 40, 255, 256, 600, 1_000].map(Position) {
            let expected: Vec<_> = expected.iter().filter(|block| block.header.position >= from || block.end().position > from).collect();
            assert!(reader.blocks_from(from).map(Result::unwrap).eq(expected.into_iter().cloned()), "from {from}");
        }
        let end = journal.end().position;
        assert!(matches!(reader.entry(end), Err(ReadError::NotDurable { .. })));
    };
    check(&journal, &expected);
    drop(journal);
    // From outside, and after a restart; then it goes on.
    assert_eq!(scrub(folder.path(), &mut |_| {}).unwrap().findings, []);
    assert_eq!(exported(folder.path(), Position(0)), expected);
    assert!(exported(folder.path(), Position(700)).len() < expected.len());
    let (mut journal, report) = open(folder.path()).unwrap();
    assert_eq!((report.indexes_rebuilt, report.dropped), (0, None));
    let next = source.append(&mut journal, 7);
    check(&journal, &[&expected[..], &[next]].concat());
}

#[test]
fn chunk_roots_make_the_tree_that_all_leaves_make() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, _) = grown(folder.path(), 60);
    assert_eq!(journal.reader().chunk_roots().unwrap(), []);
    journal.pack_now().unwrap();
    let roots = journal.reader().chunk_roots().unwrap();
    assert!(roots.len() >= 5, "{}", roots.len());
    let (mut whole, mut quick) = (TreeStore::default(), TreeStore::from_chunks(roots.iter().copied()));
    for (position, entry) in expected.iter().flat_map(Block::positioned) {
        whole.push(leaf_hash(entry));
        if position.0 >= quick.size() {
            quick.push(leaf_hash(entry));
        }
    }
    let end = journal.end();
    assert_eq!((quick.size(), quick.root_at(quick.size())), (end.tree_size, Some(end.root)));
    assert_eq!(whole.root_at(whole.size()), Some(end.root));
}

#[test]
fn a_missing_segment_is_no_end_of_an_export_and_no_beginning() {
    for pack in [false, true] {
        let folder = TempDir::new().unwrap();
        let (journal, expected, _) = grown(folder.path(), 30);
        if pack {
            journal.pack_now().unwrap();
        }
        drop(journal);
        assert_eq!(exported(folder.path(), Position(0)), expected);
        let is_segment = |name: &String| [".seg", ".bundles"].iter().any(|suffix| name.ends_with(suffix));
        let all = contents(folder.path());
        let segments: Vec<_> = all.keys().filter(|name| is_segment(name)).collect();
        assert!(segments.len() >= 4);
        for gone in [segments[0], segments[1], segments[segments.len() - 1]] {
            fs::remove_file(folder.path().join(gone)).unwrap();
            let told = export(folder.path(), Position(0), &mut |_| ControlFlow::Continue(()));
            assert!(matches!(told, Err(OpenError::Truncated(_))), "without {gone}: {told:?}");
            fs::write(folder.path().join(gone), &all[gone]).unwrap();
        }
    }
}

#[test]
fn a_bundle_whose_root_is_not_that_of_its_entries_is_a_finding() {
    let folder = TempDir::new().unwrap();
    let (journal, ..) = grown(folder.path(), 30);
    journal.pack_now().unwrap();
    drop(journal);
    let path = bundled(folder.path()).remove(1);
    let mut bytes = fs::read(&path).unwrap();
    let foot = bytes.len() - FOOTER_BYTES;
    let rows = usize::try_from(u64::from_be_bytes(bytes[foot + 24..foot + 32].try_into().unwrap())).unwrap();
    // A root that was wrong when the row was written: its checksum is right.
    bytes[rows + 28] ^= 1;
    let checksum = crc32fast::hash(&bytes[rows..rows + 64]);
    bytes[rows + 64..rows + 68].copy_from_slice(&checksum.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let findings = scrub(folder.path(), &mut |_| {}).unwrap().findings;
    assert_eq!(findings.iter().map(|found| &found.file).collect::<Vec<_>>(), [&path]);
    assert!(findings[0].cause.contains("root of a bundle"), "{findings:?}");
}

#[test]
fn a_missing_index_is_made_anew_from_bundles() {
    let folder = TempDir::new().unwrap();
    let (journal, _, _) = grown(folder.path(), 30);
    journal.pack_now().unwrap();
    drop(journal);
    let indexes: Vec<_> = contents(folder.path()).into_keys().filter(|name| name.ends_with(".ids")).collect();
    indexes.iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
    let (journal, report) = open(folder.path()).unwrap();
    assert_eq!(report.indexes_rebuilt, indexes.len());
    check_index(&journal);
}

#[test]
fn where_both_forms_are_there_the_plain_one_counts_and_is_packed_again() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, _) = grown(folder.path(), 20);
    let plain = contents(folder.path());
    journal.pack_now().unwrap();
    drop(journal);
    // The power went between the rename and the removal; and the other form is not even whole.
    let first = segment_name(BlockNumber(0));
    fs::write(folder.path().join(&first), &plain[&first]).unwrap();
    fs::write(folder.path().join(bundled_name(BlockNumber(0))), b"half").unwrap();
    assert_eq!(scrub(folder.path(), &mut |_| {}).unwrap().findings, []);
    let (journal, _) = open(folder.path()).unwrap();
    assert_eq!(blocks(&*journal.reader()), expected);
    journal.pack_now().unwrap();
    assert!(!folder.path().join(first).exists());
    assert_eq!(blocks(&*journal.reader()), expected);
}

#[test]
fn every_flipped_byte_of_a_packed_segment_is_found_with_its_file() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, _) = grown(folder.path(), 30);
    journal.pack_now().unwrap();
    drop(journal);
    let path = bundled(folder.path()).remove(1);
    let good = fs::read(&path).unwrap();
    for at in (0..good.len()).step_by(7).chain(good.len() - 120..good.len()) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        fs::write(&path, &bytes).unwrap();
        let findings = match scrub(folder.path(), &mut |_| {}) {
            Ok(report) => report.findings,
            Err(OpenError::Format { .. }) => continue,
            Err(other) => panic!("byte {at}: {other}"),
        };
        assert!(findings.iter().any(|damage| damage.file == path), "byte {at}: {findings:?}");
        // Opened or not, nothing wrong is ever read.
        if let Ok((journal, _)) = open(folder.path()) {
            let reader = journal.reader();
            let read: Vec<_> = reader.blocks_from(Position(0)).map_while(Result::ok).collect();
            assert_eq!(read, expected[..read.len()], "byte {at}");
        }
    }
    for length in [0, SEGMENT_HEADER_BYTES, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(matches!(open(folder.path()), Err(OpenError::Corrupt(_) | OpenError::Truncated(_))), "{length} bytes");
    }
}

#[test]
fn the_scrub_goes_on_behind_a_bad_bundle() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, _) = grown(folder.path(), 60);
    journal.pack_now().unwrap();
    drop(journal);
    let path = bundled(folder.path()).remove(1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[SEGMENT_HEADER_BYTES + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let report = scrub(folder.path(), &mut |_| {}).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.end.position, expected.last().unwrap().end().position);
    assert!(report.blocks < expected.len() as u64 && report.blocks + 10 > expected.len() as u64);
}

#[test]
fn a_snapshot_of_packed_segments_opens_as_the_journal_was() {
    let folder = TempDir::new().unwrap();
    let (journal, expected, _) = grown(folder.path(), 30);
    journal.pack_now().unwrap();
    for copied in [Vec::new(), bundled(folder.path()).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()] {
        let taken = snapshot(folder.path(), SnapshotRequest { earlier: None, copied: &copied }, &mut |_, _| {}).unwrap();
        let into = TempDir::new().unwrap();
        for file in &taken.files {
            let bytes = fs::read(folder.path().join(&file.name)).unwrap();
            fs::write(into.path().join(&file.name), &bytes[..usize::try_from(file.bytes).unwrap()]).unwrap();
        }
        fs::write(into.path().join(taken.mark.0), &taken.mark.1).unwrap();
        assert_eq!(scrub(into.path(), &mut |_| {}).unwrap().findings, []);
        assert_eq!(blocks(&*open(into.path()).unwrap().0.reader()), expected);
    }
}

#[test]
fn readers_see_every_block_while_the_thread_packs() {
    let folder = TempDir::new().unwrap();
    let mut journal = SegmentJournal::open(folder.path(), SegmentOptions { packs: true, ..options(20_000) }).unwrap().0;
    let mut source = Source::default();
    let reader = journal.reader();
    let mut expected = Vec::new();
    std::thread::scope(|scope| {
        let (done, watched) = std::sync::mpsc::channel::<()>();
        let reading = scope.spawn(move || {
            let mut rounds = 0;
            while !matches!(watched.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)) || rounds == 0 {
                let end = reader.durable_end();
                let read: Vec<_> = reader.blocks_from(Position(0)).collect::<Result<_, _>>().unwrap();
                assert!(read.len() as u64 >= end.number.0);
                if let Some(position) = end.position.0.checked_sub(1) {
                    reader.entry(Position(position / 2)).unwrap();
                }
                rounds += 1;
            }
        });
        expected.extend((0..60).map(|_| source.append(&mut journal, 40)));
        drop(done);
        reading.join().unwrap();
    });
    journal.packer.finish();
    assert_eq!(blocks(&*journal.reader()), expected);
    let end = journal.end().number;
    Box::new(journal).close().unwrap();
    let plain = contents(folder.path()).into_keys().filter(|name| name.ends_with(".seg")).count();
    assert!(plain == 1 && bundled(folder.path()).len() > 3 && end.0 == 60, "{plain} plain segments");
}
