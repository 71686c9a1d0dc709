//! Rows, pages, the overlay and the writer against a plain map. Not damaged folders (`damage`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;

use crate::model::{FORMAT, Model, TABLES, fill, stored};
use proptest::prelude::*;
use truc_types::Position;
use truc_views::{
    KeyRange, OVERLAY_ROWS_MAX, Opened, Overlay, Page, Table, VALUE_BYTES_MAX, VIEW_KEY_BYTES_MAX, ViewBatch, ViewError, ViewStore, Writer,
};

const END: Position = Position(u64::MAX);

fn store() -> (tempfile::TempDir, Arc<ViewStore>) {
    let scratch = tempfile::tempdir().unwrap();
    let store = ViewStore::open(scratch.path(), FORMAT, END).unwrap().0;
    (scratch, Arc::new(store))
}

fn batch(position: u64, ops: Vec<truc_views::Op>) -> ViewBatch {
    ViewBatch { position: Position(position), ops }
}

#[test]
fn rows_read_back_and_nothing_of_deleted_ones_stays() {
    let (_scratch, store) = store();
    let states = fill(&store, 6);
    let last = states.last().unwrap();
    assert_eq!(stored(&store), *last);
    for ((table, key), value) in last {
        assert_eq!(store.get(*table, key).unwrap().as_ref(), Some(value));
    }
    let deletes = last.keys().map(|(table, key)| (*table, key.clone(), None)).collect();
    store.write(batch(7, deletes)).unwrap();
    assert_eq!((store.rows(), store.position()), (0, Position(7)));
}

#[test]
fn the_last_change_of_a_key_counts_and_limits_leave_the_view_as_it_was() {
    let (_scratch, store) = store();
    let table = Table(3);
    let largest = vec![9; VALUE_BYTES_MAX];
    store.write(batch(4, vec![(table, b"k".to_vec(), Some(b"1".to_vec())), (table, b"k".to_vec(), Some(largest.clone()))])).unwrap();
    assert_eq!(store.get(table, b"k").unwrap(), Some(largest));
    let over = vec![(table, b"n".to_vec(), Some(vec![])), (table, b"k".to_vec(), Some(vec![0; VALUE_BYTES_MAX + 1]))];
    assert!(matches!(store.write(batch(5, over)), Err(ViewError::ValueTooLarge { .. })));
    let over = vec![(table, vec![0; VIEW_KEY_BYTES_MAX + 1], None)];
    assert!(matches!(store.write(batch(5, over)), Err(ViewError::KeyTooLong { .. })));
    assert!(matches!(store.write(batch(3, vec![])), Err(ViewError::PositionBackwards { .. })));
    assert_eq!((store.position(), store.get(table, b"n").unwrap()), (Position(4), None));
    store.write(batch(5, vec![(table, b"k".to_vec(), Some(b"short".to_vec()))])).unwrap();
    assert_eq!((store.rows(), store.get(table, b"k").unwrap()), (1, Some(b"short".to_vec())));
}

#[test]
fn an_overlay_is_bounded_and_written_rows_make_room() {
    let (_scratch, store) = store();
    let overlay = Overlay::new(Arc::clone(&store));
    for n in 0..OVERLAY_ROWS_MAX {
        overlay.put(Table(0), &n.to_be_bytes(), vec![]).unwrap();
    }
    assert!(!overlay.has_room(1, 0));
    assert!(matches!(overlay.put(Table(0), b"one more", vec![]), Err(ViewError::OverlayFull { .. })));
    overlay.delete(Table(0), b"nowhere").unwrap();
    let taken = overlay.take_batch(Position(1));
    assert_eq!((taken.ops.len(), overlay.pending_rows()), (OVERLAY_ROWS_MAX, OVERLAY_ROWS_MAX));
    overlay.written(Position(0));
    assert!(!overlay.has_room(1, 0));
    overlay.written(Position(1));
    assert_eq!(overlay.pending_rows(), 0);
    overlay.delete(Table(0), b"one more").unwrap();
}

#[test]
fn a_row_that_comes_and_goes_between_two_batches_is_never_written() {
    let (_scratch, store) = store();
    let overlay = Overlay::new(Arc::clone(&store));
    let table = Table(7);
    overlay.put(table, b"k", b"1".to_vec()).unwrap();
    overlay.delete(table, b"k").unwrap();
    assert_eq!((overlay.pending_rows(), overlay.get(table, b"k").unwrap()), (0, None));
    overlay.put(table, b"k", b"2".to_vec()).unwrap();
    let first = overlay.take_batch(Position(1));
    overlay.delete(table, b"k").unwrap();
    assert_eq!(overlay.pending_rows(), 2, "it is on its way to the store");
    store.write(first).unwrap();
    overlay.written(Position(1));
    assert_eq!(overlay.get(table, b"k").unwrap(), None);
    let second = overlay.take_batch(Position(2));
    assert_eq!(second.ops, [(table, b"k".to_vec(), None)]);
    store.write(second).unwrap();
    overlay.written(Position(2));
    assert_eq!((store.rows(), overlay.get(table, b"k").unwrap()), (0, None));
}

#[test]
fn rows_that_come_after_their_position_was_taken_wait_for_the_next_one() {
    let (_scratch, store) = store();
    let overlay = Overlay::new(Arc::clone(&store));
    overlay.put(Table(0), b"k", b"first".to_vec()).unwrap();
    let first = overlay.take_batch(Position(5));
    overlay.put(Table(0), b"k", b"second".to_vec()).unwrap();
    assert_eq!(overlay.take_batch(Position(5)), batch(5, vec![]));
    store.write(first).unwrap();
    overlay.written(Position(5));
    assert_eq!((overlay.get(Table(0), b"k").unwrap(), overlay.pending_rows()), (Some(b"second".to_vec()), 1));
    assert_eq!(overlay.take_batch(Position(6)).ops.len(), 1);
}

#[test]
fn the_writer_writes_in_order_reports_and_finishes_its_queue() {
    let (scratch, store) = store();
    let (sender, receiver) = mpsc::channel();
    let overlay = Arc::new(Overlay::new(Arc::clone(&store)));
    let written_overlay = Arc::clone(&overlay);
    let writer = Writer::start(Arc::clone(&store), 0, move |position| {
        written_overlay.written(position);
        sender.send(position).unwrap();
    })
    .unwrap();
    for n in 1..=20_u64 {
        overlay.put(Table(0), b"k", n.to_be_bytes().to_vec()).unwrap();
        writer.write(overlay.take_batch(Position(n))).unwrap();
        assert_eq!(overlay.get(Table(0), b"k").unwrap(), Some(n.to_be_bytes().to_vec()));
    }
    writer.close();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), (1..=20).map(Position).collect::<Vec<_>>());
    assert_eq!((overlay.pending_rows(), store.position()), (0, Position(20)));
    drop((overlay, store));
    let (store, opened) = ViewStore::open(scratch.path(), FORMAT, END).unwrap();
    assert_eq!(opened, Opened::CaughtUpTo(Position(20)));
    assert_eq!(store.get(Table(0), b"k").unwrap(), Some(20_u64.to_be_bytes().to_vec()));
}

#[test]
fn batches_wait_in_line_and_a_failed_write_stops_only_the_view() {
    let (_scratch, store) = store();
    let (go, wait) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let writer = Writer::start(Arc::clone(&store), 0, move |_| {
        started.send(()).unwrap();
        wait.recv().unwrap_or_default();
    })
    .unwrap();
    writer.write(batch(10, vec![])).unwrap();
    running.recv().unwrap();
    for n in 0..truc_views::WRITER_QUEUE_MAX as u64 {
        writer.write(batch(11 + n, vec![])).unwrap();
    }
    assert_eq!((writer.reached(), writer.broken()), (Position(10), None));
    drop(go);
    writer.write(batch(20, vec![])).unwrap();
    // A position that goes back is a write that fails.
    writer.write(batch(1, vec![])).unwrap();
    while writer.write(batch(30, vec![])).is_ok() {}
    assert!(matches!(writer.write(batch(30, vec![])), Err(ViewError::Broken)));
    assert!(writer.broken().unwrap().contains("position 1"));
    assert_eq!(writer.reached(), Position(20));
}

#[derive(Debug, Clone)]
enum Step {
    Put(Table, Vec<u8>, Vec<u8>),
    Delete(Table, Vec<u8>),
    Take,
    Write,
    Written,
}

fn step() -> impl Strategy<Value = Step> {
    let key = || proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(254), Just(255)], 0..4);
    let table = || proptest::sample::select(TABLES.to_vec());
    prop_oneof![
        6 => (table(), key(), 0..9_000_usize, any::<u8>()).prop_map(|(table, key, size, fill)| {
            Step::Put(table, key, vec![fill; if fill < 40 { size } else { size % 50 }])
        }),
        3 => (table(), key()).prop_map(|(table, key)| Step::Delete(table, key)),
        1 => Just(Step::Take),
        1 => Just(Step::Write),
        1 => Just(Step::Written),
    ]
}

fn expected(model: &Model, table: Table, limit: usize, from: &[u8], to: Option<&[u8]>) -> Page {
    let inside = |key: &[u8]| key >= from && to.is_none_or(|to| key < to);
    let mut rows: Vec<_> =
        model.iter().filter(|((t, key), _)| *t == table && inside(key)).map(|((_, key), value)| (key.clone(), value.clone())).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    Page { rows, more }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_overlay_reads_as_one_map_whatever_is_pending_taken_or_written(
        steps in proptest::collection::vec(step(), 1..60),
        from in proptest::collection::vec(any::<u8>(), 0..3),
        to in proptest::collection::vec(any::<u8>(), 0..3),
        limit in 1..10_usize,
    ) {
        let (_scratch, store) = store();
        let overlay = Overlay::new(Arc::clone(&store));
        let mut model: Model = BTreeMap::new();
        let mut taken = std::collections::VecDeque::new();
        let mut position = 0;
        for step in steps {
            match step {
                Step::Put(table, key, value) => {
                    overlay.put(table, &key, value.clone()).unwrap();
                    model.insert((table, key), value);
                }
                Step::Delete(table, key) => {
                    overlay.delete(table, &key).unwrap();
                    model.remove(&(table, key));
                }
                Step::Take => {
                    position += 1;
                    taken.push_back(overlay.take_batch(Position(position)));
                }
                Step::Write => if let Some(batch) = taken.pop_front() { store.write(batch).unwrap() },
                Step::Written => overlay.written(store.position()),
            }
        }
        for table in TABLES {
            let all = KeyRange::all();
            prop_assert_eq!(overlay.scan(table, &all, limit).unwrap(), expected(&model, table, limit, b"", None));
            let between = KeyRange::between(&from, &to);
            prop_assert_eq!(overlay.scan(table, &between, limit).unwrap(), expected(&model, table, limit, &from, Some(&to)));
            let mut pages = Vec::new();
            let mut range = KeyRange::prefix(&[255]);
            loop {
                let page = overlay.scan(table, &range, limit).unwrap();
                if let Some((last, _)) = page.rows.last() { range = range.after(last); }
                pages.extend(page.rows);
                if !page.more { break; }
            }
            prop_assert_eq!(pages, expected(&model, table, usize::MAX, &[255], None).rows);
        }
        for ((table, key), value) in &model {
            prop_assert_eq!(overlay.get(*table, key).unwrap(), Some(value.clone()));
        }
        overlay.written(store.position());
        while let Some(batch) = taken.pop_front() { store.write(batch).unwrap(); }
        store.write(overlay.take_batch(Position(position + 1))).unwrap();
        overlay.written(store.position());
        prop_assert_eq!(overlay.pending_rows(), 0);
        prop_assert_eq!(stored(&store), model);
    }
}
