//! Copies of a folder that goes on growing: each opens as the journal was, damage is refused, and another history is told apart.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Source, blocks, contents, open};
use crate::block::JournalEnd;
use crate::contract::Journal as _;
use crate::segment::{OpenError, Snapshot, SnapshotRequest, scrub, snapshot};

fn take(folder: &Path, earlier: Option<&Snapshot>) -> Snapshot {
    let copied: Vec<String> =
        earlier.iter().flat_map(|earlier| &earlier.files).filter(|file| file.sealed).map(|file| file.name.clone()).collect();
    let earlier = earlier.map(|earlier| (earlier.end.number, earlier.end.root));
    snapshot(folder, SnapshotRequest { earlier, copied: &copied }, &mut |_, _| {}).unwrap()
}

fn copy(folder: &Path, taken: &Snapshot) -> TempDir {
    let into = TempDir::new().unwrap();
    for file in &taken.files {
        let bytes = fs::read(folder.join(&file.name)).unwrap();
        fs::write(into.path().join(&file.name), &bytes[..usize::try_from(file.bytes).unwrap()]).unwrap();
    }
    fs::write(into.path().join(taken.mark.0), &taken.mark.1).unwrap();
    into
}

#[test]
fn every_copy_of_a_growing_journal_opens_as_it_was_and_is_whole() {
    let folder = TempDir::new().unwrap();
    let (mut journal, _) = open(folder.path()).unwrap();
    let mut source = Source::default();
    let mut earlier: Option<Snapshot> = None;
    for entries in [0, 3, 9, 0, 14, 5, 8, 20, 1] {
        if entries > 0 {
            source.append(&mut journal, entries);
        }
        journal.settle().unwrap();
        let taken = take(folder.path(), earlier.as_ref());
        assert_eq!(taken.end, journal.end());
        assert!(earlier.is_none() || taken.continues_earlier);
        // More comes before the bytes are copied.
        source.append(&mut journal, 2);
        let into = copy(folder.path(), &taken);
        assert_eq!(scrub(into.path(), &mut |_| {}).unwrap().findings, []);
        let (restored, report) = open(into.path()).unwrap();
        assert_eq!((restored.end(), report.dropped, report.indexes_rebuilt), (taken.end.clone(), None, 0));
        let blocks_there = blocks(&*restored.reader());
        assert_eq!(blocks_there, blocks(&*journal.reader())[..blocks_there.len()]);
        earlier = Some(taken);
    }
    assert!(earlier.unwrap().files.iter().filter(|file| file.sealed).count() >= 4, "the case has sealed segments and indexes");
}

#[test]
fn another_history_is_no_continuation() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (folder, sizes) in [(&one, [3, 4]), (&other, [2, 5])] {
        let (mut journal, _) = open(folder.path()).unwrap();
        let mut source = Source::default();
        for entries in sizes {
            source.append(&mut journal, entries);
        }
        journal.settle().unwrap();
    }
    let taken = take(one.path(), None);
    assert!(take(one.path(), Some(&taken)).continues_earlier);
    assert!(!take(other.path(), Some(&taken)).continues_earlier);
}

#[test]
fn a_damaged_or_shortened_folder_is_not_copied() {
    let folder = TempDir::new().unwrap();
    let (mut journal, _) = open(folder.path()).unwrap();
    let mut source = Source::default();
    for entries in [3, 9, 14] {
        source.append(&mut journal, entries);
    }
    journal.settle().unwrap();
    let end: JournalEnd = journal.end();
    assert_eq!(take(folder.path(), None).end, end);
    let segments: Vec<_> = contents(folder.path()).into_iter().filter(|(name, _)| name.ends_with(".seg")).collect();
    assert!(segments.len() > 1);
    for (name, bytes) in segments {
        let path = folder.path().join(&name);
        for (at, what) in [(bytes.len() / 2, "a flipped byte"), (bytes.len() - 1, "a missing byte")] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            if what == "a missing byte" {
                damaged.truncate(at);
            }
            fs::write(&path, damaged).unwrap();
            let refused = snapshot(folder.path(), SnapshotRequest::default(), &mut |_, _| {});
            assert!(matches!(refused, Err(OpenError::Corrupt(_) | OpenError::Truncated(_))), "{what} of {name}: {refused:?}");
            fs::write(&path, &bytes).unwrap();
        }
    }
}
