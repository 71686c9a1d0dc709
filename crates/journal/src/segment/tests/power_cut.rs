//! The power goes at every moment of a recorded run, with every fate of what was not synced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::record::{Operation, RecordingDisk};
use super::{Source, blocks, check_index, open, options};
use crate::block::Block;
use crate::contract::Journal;
use crate::segment::{SegmentJournal, SegmentOptions};

/// What becomes of bytes that were written and not synced.
#[derive(Debug, Clone, Copy)]
enum Unsynced {
    Lost,
    Kept,
    FirstHalf,
    /// The file has its length, but the first half of the bytes is zeros.
    SecondHalf,
}

#[derive(Default, Clone)]
struct ModelFile {
    synced: Vec<u8>,
    unsynced: Vec<u8>,
    /// Up to here the file has zeros where nothing was appended: on the disk, and in the page cache.
    room_synced: usize,
    room: usize,
}

impl ModelFile {
    fn after_the_cut(&self, fate: Unsynced) -> Vec<u8> {
        let half = self.unsynced.len() / 2;
        let rest = match fate {
            Unsynced::Lost => vec![],
            Unsynced::Kept => self.unsynced.clone(),
            Unsynced::FirstHalf => self.unsynced[..half].to_vec(),
            Unsynced::SecondHalf => [&vec![0; half][..], &self.unsynced[half..]].concat(),
        };
        let mut bytes = [&self.synced[..], &rest].concat();
        let room = if matches!(fate, Unsynced::Kept) { self.room } else { self.room_synced };
        bytes.resize(bytes.len().max(room), 0);
        bytes
    }
}

/// A folder as a disk has it: names are durable after a sync of the folder, bytes after one of their file.
#[derive(Default)]
struct ModelDisk {
    files: BTreeMap<usize, ModelFile>,
    names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<Operation>,
    begun: usize,
    acknowledged: usize,
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, operation: &Operation) {
    match operation {
        Operation::Create { path, file } => {
            names.insert(path.clone(), *file);
        }
        Operation::Rename { from, to } => {
            let file = names.remove(from).unwrap();
            names.insert(to.clone(), file);
        }
        Operation::Remove { path } => {
            names.remove(path).unwrap();
        }
        other => panic!("{other:?} changes no name"),
    }
}

impl ModelDisk {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { file, .. } => {
                self.files.insert(*file, ModelFile::default());
                self.unsynced_names.push(operation.clone());
            }
            Operation::Rename { .. } | Operation::Remove { .. } => self.unsynced_names.push(operation.clone()),
            Operation::Append { file, bytes } => self.files.get_mut(file).unwrap().unsynced.extend(bytes),
            Operation::Room { file, length, bytes } => self.files.get_mut(file).unwrap().room = usize::try_from(length + bytes).unwrap(),
            Operation::Sync { file } => {
                let file = self.files.get_mut(file).unwrap();
                file.synced.append(&mut file.unsynced);
                file.room_synced = file.room;
            }
            Operation::SyncFolder => self.unsynced_names.drain(..).for_each(|operation| apply_name(&mut self.names, &operation)),
            Operation::Block { is_acknowledged: true } => self.acknowledged += 1,
            Operation::Block { is_acknowledged: false } => self.begun += 1,
        }
    }

    /// Lays the folder out as it is found after the cut, with the first `kept_names` of the unsynced changes of names.
    fn lay_out(&self, folder: &Path, kept_names: usize, fate: Unsynced) {
        let mut names = self.names.clone();
        self.unsynced_names[..kept_names].iter().for_each(|operation| apply_name(&mut names, operation));
        for (path, file) in names {
            fs::write(folder.join(path.file_name().unwrap()), self.files[&file].after_the_cut(fate)).unwrap();
        }
    }
}

/// Three lives of a journal: the first two end without being closed.
fn recorded_run(room_bytes: u64) -> (Vec<Operation>, Vec<Block>) {
    let (disk, folder) = (RecordingDisk::default(), TempDir::new().unwrap());
    let (mut source, mut all) = (Source::default(), Vec::new());
    for life in [&[1, 5, 0, 14, 2, 3, 11][..], &[4, 16, 1, 1], &[2, 2, 12, 1]] {
        let mut journal =
            SegmentJournal::open_on(Arc::new(disk.clone()), folder.path(), SegmentOptions { room_bytes, ..options(1_500) }).unwrap().0;
        for entries in life {
            disk.note(Operation::Block { is_acknowledged: false });
            all.push(source.append(&mut journal, *entries));
            disk.note(Operation::Block { is_acknowledged: true });
            journal.pack_now().unwrap();
        }
    }
    (disk.operations(), all)
}

#[test]
fn after_a_power_cut_at_any_moment_all_acknowledged_blocks_are_there_and_nothing_that_was_never_written() {
    cut_at_every_moment(0);
}

#[test]
fn the_same_where_blocks_find_room_behind_the_last_one() {
    cut_at_every_moment(700);
}

fn cut_at_every_moment(room_bytes: u64) {
    let (operations, all) = recorded_run(room_bytes);
    assert_eq!(operations.iter().any(|operation| matches!(operation, Operation::Room { .. })), room_bytes > 0);
    let segments = operations
        .iter()
        .filter(|operation| matches!(operation, Operation::Create { path, .. } if path.extension().is_some_and(|e| e == "seg")));
    assert!(segments.count() >= 4, "several segments");
    assert!(operations.iter().any(|operation| matches!(operation, Operation::Remove { .. })), "segments were packed");
    let (mut model, mut dropped) = (ModelDisk::default(), 0);
    for number in 0..=operations.len() {
        for kept_names in 0..=model.unsynced_names.len() {
            for fate in [Unsynced::Lost, Unsynced::Kept, Unsynced::FirstHalf, Unsynced::SecondHalf] {
                if number > 0
                    && matches!(operations[number - 1], Operation::Block { .. } | Operation::SyncFolder)
                    && !matches!(fate, Unsynced::Lost)
                {
                    continue;
                }
                let case = format!("after {number} operations, {kept_names} names, {fate:?}");
                let folder = TempDir::new().unwrap();
                model.lay_out(folder.path(), kept_names, fate);
                let (mut journal, report) = open(folder.path()).unwrap_or_else(|error| panic!("{case}: {error}"));
                dropped += usize::from(report.dropped.is_some());
                let found = blocks(&*journal.reader());
                assert!((model.acknowledged..=model.begun).contains(&found.len()), "{case}: {} blocks", found.len());
                assert_eq!(found, all[..found.len()], "{case}");
                check_index(&journal);
                let next = Source::default().next(&journal.end(), 1);
                journal.append(next).unwrap();
            }
        }
        if let Some(operation) = operations.get(number) {
            model.apply(operation);
        }
    }
    assert!(dropped > 20, "unfinished writes occurred");
}
