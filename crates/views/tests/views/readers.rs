//! Readers beside a writer: every value they find was there as a whole. Not what is found after a crash (`crash`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::model::{FORMAT, TABLES};
use truc_types::Position;
use truc_views::{KeyRange, Overlay, ViewStore, Writer};

/// Keys of each table: the last ones come and go, so that the tables' ends move.
const KEYS: u64 = 24;
/// What stands behind each of these keys and never changes: sled splits and merges the pages that it lies in.
const STEADY: &[u8] = b"never changes";
/// Batches at least, and times at least that every reader looks at everything.
const BATCHES_MIN: u64 = 40;
const ROUNDS_MIN: u64 = 60;

/// The value of a key in a batch: its length tells of which it is, and a mixture is of none. It is split every second time.
fn value(key: u64, batch: u64) -> Option<Vec<u8>> {
    let bytes = |length| Some([batch.to_be_bytes().as_slice(), &vec![batch.to_le_bytes()[0]; length]].concat());
    let step = usize::try_from(batch % 97).unwrap();
    match (key + batch) % 6 {
        0 => None,
        1 => bytes(40 * step),
        2 => bytes(9_000 + 100 * step),
        3 => bytes(step),
        4 => bytes(4_100 + 10 * step),
        _ => bytes(20_000 - 100 * step),
    }
}

/// The batch that a value is of.
fn batch_of(key: u64, found: &[u8]) -> u64 {
    let batch = u64::from_be_bytes(found[..8].try_into().unwrap());
    assert_eq!(Some(found), value(key, batch).as_deref(), "key {key} in batch {batch}: a value that was never there");
    batch
}

/// The key of a row that never changes, between two that do.
fn steady_key(key: u64) -> Vec<u8> {
    [key.to_be_bytes().as_slice(), &[0]].concat()
}

fn key_number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().unwrap())
}

/// One look at everything through the overlay and below it; `newest` is what this reader saw through the overlay of each key.
fn read_all(overlay: &Overlay, newest: &mut [u64]) {
    for (table, newest) in TABLES.into_iter().zip(newest.chunks_mut(usize::try_from(KEYS).unwrap())) {
        for (key, newest) in (0..KEYS).zip(newest) {
            if let Some(found) = overlay.get(table, &key.to_be_bytes()).unwrap() {
                let batch = batch_of(key, &found);
                assert!(batch >= *newest, "key {key} went back from batch {newest} to {batch}");
                *newest = batch;
            }
            if let Some(found) = overlay.store().get(table, &key.to_be_bytes()).unwrap() {
                batch_of(key, &found);
            }
            assert_eq!(overlay.get(table, &steady_key(key)).unwrap().as_deref(), Some(STEADY));
        }
        for page in [overlay.scan(table, &KeyRange::all(), 1_000), overlay.store().scan(table, &KeyRange::all(), 1_000)] {
            let rows = page.unwrap().rows;
            assert!(rows.is_sorted_by(|(a, _), (b, _)| a < b));
            let (steady, changing): (Vec<_>, Vec<_>) = rows.iter().partition(|(key, _)| key.len() > 8);
            assert!((0..KEYS).map(steady_key).eq(steady.iter().map(|(key, _)| key.clone())) && steady.iter().all(|(_, row)| row == STEADY));
            changing.iter().for_each(|(key, found)| assert!(batch_of(key_number(key), found) > 0));
        }
    }
}

/// Ends the readers, also when the writing side panics.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn who_reads_while_batches_are_written_finds_nothing_that_was_never_there() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Arc::new(ViewStore::open(scratch.path(), FORMAT, Position(u64::MAX)).unwrap().0);
    let overlay = Overlay::new(Arc::clone(&store));
    let (ended, rounds) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; 2]);
    let overlay = Arc::new(overlay);
    let written = Arc::clone(&overlay);
    let writer = Writer::start(store, 10, move |position| written.written(position)).unwrap();
    for (table, key) in TABLES.into_iter().flat_map(|table| (0..KEYS).map(move |key| (table, key))) {
        overlay.put(table, &steady_key(key), STEADY.to_vec()).unwrap();
    }
    writer.write(overlay.take_batch(Position(1))).unwrap();
    writer.wait();
    assert_eq!((overlay.pending_rows(), writer.reached()), (0, Position(1)));
    thread::scope(|scope| {
        let _ending = Ending(&ended);
        let readers = rounds.each_ref().map(|rounds| {
            let (overlay, ended) = (&overlay, &ended);
            scope.spawn(move || {
                let mut newest = vec![0; 3 * usize::try_from(KEYS).unwrap()];
                while !ended.load(Ordering::Acquire) {
                    read_all(overlay, &mut newest);
                    rounds.fetch_add(1, Ordering::AcqRel);
                }
            })
        });
        let mut batch = 1;
        while batch < BATCHES_MIN || rounds.iter().any(|rounds| rounds.load(Ordering::Acquire) < ROUNDS_MIN) {
            if readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            batch += 1;
            for table in TABLES {
                for key in 0..KEYS {
                    match value(key, batch) {
                        Some(value) => overlay.put(table, &key.to_be_bytes(), value).unwrap(),
                        None => overlay.delete(table, &key.to_be_bytes()).unwrap(),
                    }
                }
            }
            // A reader that finds something wrong breaks the view; its own panic says more.
            if writer.write(overlay.take_batch(Position(batch))).is_err() {
                break;
            }
        }
    });
    assert_eq!(writer.broken(), None);
    writer.close();
    assert_eq!(overlay.pending_rows(), 0);
    let mut newest = vec![0; 3 * usize::try_from(KEYS).unwrap()];
    read_all(&overlay, &mut newest);
    let last = overlay.store().position().0;
    assert!(newest.iter().all(|batch| *batch == last || *batch == 0));
}
