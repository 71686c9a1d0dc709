//! Every file system call fails once, in every way, with the outcome that follows.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::record::{Fault, RecordingDisk};
use super::{Source, blocks, check_index, open, options};
use crate::block::Block;
use crate::contract::{AppendError, Journal};
use crate::segment::{OpenError, SegmentJournal, SegmentOptions};

const FAULTS: [Fault; 3] = [Fault::NotDone, Fault::Short, Fault::Done];

struct Run {
    acknowledged: Vec<Block>,
    in_flight: Option<Block>,
}

/// Twelve blocks over several segments; stops at the first failure and checks what the contract says of it.
fn run(disk: &RecordingDisk, folder: &Path, room_bytes: u64) -> Result<Run, OpenError> {
    let mut journal = SegmentJournal::open_on(Arc::new(disk.clone()), folder, SegmentOptions { room_bytes, ..options(1_500) })?.0;
    let (mut source, mut acknowledged) = (Source::default(), Vec::new());
    for entries in [1, 4, 0, 12, 3, 7, 20, 1, 1, 9, 2, 5] {
        let block = source.next(&journal.end(), entries);
        match journal.append(block.clone()) {
            Ok(()) => {
                acknowledged.push(block);
                // Packing that fails costs room and nothing else.
                let _packed = journal.pack_now();
                assert_eq!(blocks(&*journal.reader()), acknowledged);
            }
            Err(AppendError::Unknown { .. }) => {
                let operations = disk.count();
                assert!(matches!(journal.append(block.clone()), Err(AppendError::Unknown { .. })), "poisoned");
                assert!(matches!(journal.settle(), Err(AppendError::Unknown { .. })), "poisoned");
                // A mark that fails comes after its block: the block is durable and may be seen, but was not acknowledged.
                let seen = blocks(&*journal.reader());
                assert!(seen == acknowledged || seen == [&acknowledged[..], std::slice::from_ref(&block)].concat());
                assert!(matches!(Box::new(journal).close(), Err(AppendError::Unknown { .. })), "poisoned");
                assert_eq!(disk.count(), operations, "after a failure nothing is written or synced again");
                return Ok(Run { acknowledged, in_flight: Some(block) });
            }
            Err(other) => panic!("{other}"),
        }
    }
    let in_flight = None;
    match Box::new(journal).close() {
        Ok(()) | Err(AppendError::Unknown { .. }) => Ok(Run { acknowledged, in_flight }),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn whatever_call_fails_however_the_acknowledged_blocks_are_found_and_nothing_but_the_one_in_flight_beside_them() {
    for room_bytes in [0, 700] {
        fail_everything(room_bytes);
    }
}

fn fail_everything(room_bytes: u64) {
    let count = {
        let (disk, folder) = (RecordingDisk::default(), TempDir::new().unwrap());
        assert_eq!(run(&disk, folder.path(), room_bytes).unwrap().acknowledged.len(), 12);
        disk.count()
    };
    assert!(count > 60, "several segments");
    for (number, fault) in (0..count).flat_map(|number| FAULTS.map(|fault| (number, fault))) {
        let (disk, folder) = (RecordingDisk::default(), TempDir::new().unwrap());
        disk.fail_at(number, fault);
        let case = format!("operation {number} {fault:?}");
        let run = match run(&disk, folder.path(), room_bytes) {
            Ok(run) => run,
            Err(OpenError::Storage { .. }) => Run { acknowledged: vec![], in_flight: None },
            Err(other) => panic!("{case}: {other}"),
        };
        let (mut journal, _) = open(folder.path()).unwrap_or_else(|error| panic!("{case}: {error}"));
        let found = blocks(&*journal.reader());
        let with_flight: Vec<_> = run.acknowledged.iter().cloned().chain(run.in_flight).collect();
        assert!(found == run.acknowledged || found == with_flight, "{case}: {} found", found.len());
        check_index(&journal);
        let next = Source::default().next(&journal.end(), 2);
        journal.append(next).unwrap();
    }
}

#[test]
fn each_step_of_an_append_inside_a_segment_has_its_outcome() {
    // Step 0 is the write, step 1 the sync. Found again: whether the block is there; dropped: whether a part of it was.
    let cases = [
        (0, Fault::NotDone, false, false),
        (0, Fault::Short, false, true),
        (0, Fault::Done, true, false),
        (1, Fault::NotDone, false, false),
        (1, Fault::Done, true, false),
    ];
    for (step, fault, is_found, is_dropped) in cases {
        let (disk, folder) = (RecordingDisk::default(), TempDir::new().unwrap());
        let mut journal = SegmentJournal::open_on(Arc::new(disk.clone()), folder.path(), options(1 << 20)).unwrap().0;
        let mut source = Source::default();
        let first = source.append(&mut journal, 3);
        disk.fail_at(disk.count() + step, fault);
        let second = source.next(&journal.end(), 3);
        assert!(matches!(journal.append(second), Err(AppendError::Unknown { .. })));
        assert_eq!(blocks(&*journal.reader()), std::slice::from_ref(&first), "readers see durable blocks only");
        drop(journal);
        let report = open(folder.path()).unwrap().1;
        assert_eq!((report.end.number.0 == 2, report.dropped.is_some()), (is_found, is_dropped), "step {step} {fault:?}");
        if let Some(dropped) = report.dropped {
            assert_eq!(dropped.position, first.end().position);
            assert!(dropped.bytes > 0);
        }
    }
}
