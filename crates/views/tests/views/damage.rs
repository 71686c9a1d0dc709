//! Views found in every state a crash or a bad disk can leave: each opens with exactly its rows, is rebuilt, or is refused. Not the happy path (`rows`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{FORMAT, Model, TABLES, copy_folder, fill, fill_from, stored};
use truc_types::Position;
use truc_views::{Opened, ViewBatch, ViewError, ViewFormat, ViewStore};

const END: Position = Position(u64::MAX);

fn open(folder: &Path) -> (ViewStore, Opened) {
    ViewStore::open(folder, FORMAT, END).unwrap()
}

/// Files of the view's data, and how many bytes they have.
fn files(folder: &Path) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap().len()));
        }
    }
    found
}

/// Opens a view that may be damaged and returns whether it was rebuilt; whatever it says, its rows are the right ones.
fn check(folder: &Path, states: &[Model]) -> bool {
    let (store, opened) = open(folder);
    let position = usize::try_from(opened.replay_from().0).unwrap();
    assert_eq!(store.position(), opened.replay_from());
    assert_eq!(stored(&store), states[position], "opened as {opened:?}");
    matches!(opened, Opened::Rebuilt { .. })
}

#[test]
fn nothing_there_is_fresh_and_what_was_written_is_found_again() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("a/b");
    let (store, opened) = open(&folder);
    assert_eq!(opened, Opened::Fresh);
    let states = fill(&store, 3);
    drop(store);
    assert_eq!(open(&folder).1, Opened::CaughtUpTo(Position(3)));
    assert!(!check(&folder, &states));
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(open(&folder).1, Opened::Fresh);
}

#[test]
fn a_view_newer_than_the_journal_is_refused_and_untouched() {
    let scratch = tempfile::tempdir().unwrap();
    let states = fill(&open(scratch.path()).0, 5);
    let refused = ViewStore::open(scratch.path(), FORMAT, Position(4)).unwrap_err();
    assert!(matches!(refused, ViewError::ViewAhead { view_position: Position(5), journal_end: Position(4) }), "{refused}");
    assert_eq!(refused.reason(), truc_types::Reason::ViewAhead);
    assert_eq!(ViewStore::open(scratch.path(), FORMAT, Position(5)).unwrap().1, Opened::CaughtUpTo(Position(5)));
    assert!(!check(scratch.path(), &states));
}

#[test]
fn another_format_or_name_is_rebuilt() {
    for other in [ViewFormat { format: FORMAT.format + 1, ..FORMAT }, ViewFormat { name: "other", ..FORMAT }] {
        let scratch = tempfile::tempdir().unwrap();
        fill(&open(scratch.path()).0, 2);
        let (store, opened) = ViewStore::open(scratch.path(), other, END).unwrap();
        assert!(matches!(opened, Opened::Rebuilt { .. }), "{opened:?}");
        assert_eq!(stored(&store), Model::new());
        drop(store);
        assert_eq!(ViewStore::open(scratch.path(), other, END).unwrap().1, Opened::CaughtUpTo(Position(0)));
    }
}

#[test]
fn a_folder_in_use_is_refused_and_not_rebuilt() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, _) = open(scratch.path());
    let states = fill(&store, 2);
    assert!(matches!(ViewStore::open(scratch.path(), FORMAT, END), Err(ViewError::Locked { .. })));
    drop(store);
    assert!(!check(scratch.path(), &states));
}

#[test]
fn a_process_that_dies_without_closing_leaves_every_written_batch() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, _) = open(&scratch.path().join("alive"));
    let mut states = Vec::new();
    for batches in 1..=6 {
        states = fill_from(&store, states, batches);
        // The files as they are while sled is still open are what a kill leaves.
        let copy = scratch.path().join(format!("killed-{batches}"));
        copy_folder(&scratch.path().join("alive"), &copy);
        let (found, opened) = open(&copy);
        assert_eq!(opened, Opened::CaughtUpTo(Position(batches)));
        assert_eq!(stored(&found), states[usize::try_from(batches).unwrap()]);
    }
}

#[test]
fn what_a_kill_leaves_beside_the_data_is_survived() {
    let scratch = tempfile::tempdir().unwrap();
    let states = fill(&open(scratch.path()).0, 2);
    let generation = scratch.path().join("generation-000000");
    fs::write(generation.join("snap.0000000000000000.generating"), b"").unwrap();
    check(scratch.path(), &states);
    fs::create_dir_all(scratch.path().join("generation-000009")).unwrap();
    check(scratch.path(), &states);
    assert!(!generation.exists());
    fs::write(scratch.path().join("broken"), "the disk was full").unwrap();
    let (_, opened) = open(scratch.path());
    assert!(matches!(&opened, Opened::Rebuilt { why } if why.contains("disk was full")), "{opened:?}");
    assert!(matches!(open(scratch.path()).1, Opened::CaughtUpTo(_)));
}

#[test]
fn a_write_that_cannot_be_made_durable_breaks_the_view_until_it_is_rebuilt() {
    let scratch = tempfile::tempdir().unwrap();
    let (store, _) = open(scratch.path());
    fill(&store, 2);
    let (generation, away) = (scratch.path().join("generation-000000"), scratch.path().join("away"));
    // sled still has its files open, but they cannot be found to be synced.
    fs::rename(&generation, &away).unwrap();
    let batch = ViewBatch { position: Position(3), ops: vec![(TABLES[0], b"k".to_vec(), Some(b"v".to_vec()))] };
    assert!(matches!(store.write(batch.clone()), Err(ViewError::Io { .. })));
    fs::rename(&away, &generation).unwrap();
    assert!(store.is_broken());
    assert!(matches!(store.write(batch), Err(ViewError::Broken)));
    assert_eq!(store.position(), Position(2));
    drop(store);
    let (store, opened) = open(scratch.path());
    assert!(matches!(&opened, Opened::Rebuilt { why } if why.contains("earlier write failed")), "{opened:?}");
    assert_eq!(stored(&store), Model::new());
}

#[test]
fn flipped_bytes_and_cut_files_open_exactly_right_or_are_rebuilt() {
    let scratch = tempfile::tempdir().unwrap();
    let good = scratch.path().join("good");
    let states = fill(&open(&good).0, 8);
    // Opened and closed once more, so that there is a snapshot too.
    assert!(!check(&good, &states));
    // A longer run than every build can afford: TRUC_DAMAGES_PER_FILE=2000 takes three minutes.
    let per_file = std::env::var("TRUC_DAMAGES_PER_FILE").ok().and_then(|count| count.parse().ok()).unwrap_or(24);
    let mut rebuilt = 0;
    let mut case = 0;
    let bad = scratch.path().join("bad");
    for (file, _) in files(&good.join("generation-000000")) {
        let bytes = fs::read(&file).unwrap();
        let written: Vec<usize> = (0..bytes.len()).filter(|offset| bytes[*offset] != 0).collect();
        let damaged_file = bad.join(file.strip_prefix(&good).unwrap());
        for step in 0..per_file {
            let Some(offset) = written.get(step * written.len() / per_file) else { break };
            for cut in [false, true] {
                copy_folder(&good, &bad);
                let mut damaged = bytes.clone();
                if cut {
                    damaged.truncate(*offset)
                } else {
                    damaged[*offset] ^= 1 << (step % 8)
                }
                fs::write(&damaged_file, damaged).unwrap();
                rebuilt += u32::from(check(&bad, &states));
                case += 1;
                // Whatever it was, it stays usable.
                let (store, opened) = open(&bad);
                assert!(matches!(opened, Opened::CaughtUpTo(_)));
                drop(store);
                fs::remove_dir_all(&bad).unwrap();
            }
        }
    }
    assert!(0 < rebuilt && rebuilt < case, "{rebuilt} of {case} were rebuilt");
}

#[test]
fn every_file_that_vanishes_is_noticed() {
    let scratch = tempfile::tempdir().unwrap();
    let good = scratch.path().join("good");
    let states = fill(&open(&good).0, 4);
    for (file, _) in files(&good.join("generation-000000")) {
        let bad = scratch.path().join("bad");
        copy_folder(&good, &bad);
        fs::remove_file(bad.join(file.strip_prefix(&good).unwrap())).unwrap();
        check(&bad, &states);
        fs::remove_dir_all(&bad).unwrap();
    }
}
