//! A write that is cut off at every point where a process or a machine can stop: the view opens as it was before or as it should be. Not bad disks (`damage`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::{FORMAT, Model, TABLES, copy_folder, fill, fill_from, stored};
use proptest::prelude::*;
use truc_types::Position;
use truc_views::{Op, Opened, ViewBatch, ViewStore};

const END: Position = Position(u64::MAX);
const GENERATION: &str = "generation-000000";
const POSITION_KEY: [u8; 1] = [0];

type Change = (Vec<u8>, Option<Vec<u8>>);

/// The files of a view before and after its last write.
struct Written {
    scratch: tempfile::TempDir,
    /// What sled's rows differ in, the position row last.
    changes: Vec<Change>,
    redo: Vec<u8>,
    older_redo: Vec<u8>,
    before: (Position, Model),
    after: (Position, Model),
}

fn sled(view: &Path) -> sled::Db {
    sled::Config::new().path(view.join(GENERATION)).flush_every_ms(None).open().unwrap()
}

fn redo_of(view: &Path) -> PathBuf {
    view.join(GENERATION).join("redo")
}

fn set(db: &sled::Db, (key, value): &Change) {
    match value {
        Some(value) => db.insert(key, value.as_slice()).unwrap(),
        None => db.remove(key).unwrap(),
    };
}

impl Written {
    /// `begin` fills a store, `write` makes the write that is to be cut off; both say where it stands then.
    fn new(begin: impl FnOnce(&ViewStore) -> Model, write: impl FnOnce(&ViewStore) -> Model) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let [view, before_folder, after_folder, compared] = ["view", "before", "after", "compared"].map(|name| scratch.path().join(name));
        let (store, _) = ViewStore::open(&view, FORMAT, END).unwrap();
        let rows = begin(&store);
        let before = (store.position(), rows);
        copy_folder(&view, &before_folder);
        let rows = write(&store);
        let after = (store.position(), rows);
        copy_folder(&view, &after_folder);
        // Looked at in copies: sled writes when it opens.
        copy_folder(&before_folder, &compared.join("before"));
        copy_folder(&after_folder, &compared.join("after"));
        let [old, new] = ["before", "after"].map(|name| sled(&compared.join(name)));
        let mut changes: Vec<Change> = Vec::new();
        changes
            .extend(old.iter().map(Result::unwrap).filter(|(key, _)| !new.contains_key(key).unwrap()).map(|(key, _)| (key.to_vec(), None)));
        let set = new.iter().map(Result::unwrap).filter(|(key, value)| old.get(key).unwrap().as_ref() != Some(value));
        changes.extend(set.map(|(key, value)| (key.to_vec(), Some(value.to_vec()))));
        changes.sort_by_key(|(key, _)| *key == POSITION_KEY);
        let [older_redo, redo] = [&before_folder, &after_folder].map(|folder| fs::read(redo_of(folder)).unwrap());
        Self { scratch, changes, redo, older_redo, before, after }
    }

    /// A view whose last write was cut off when these rows were there.
    fn cut_off<'a>(&self, rows: impl Iterator<Item = &'a Change>, redo: &[u8]) -> PathBuf {
        let view = self.scratch.path().join("cut-off");
        if view.exists() {
            fs::remove_dir_all(&view).unwrap();
        }
        copy_folder(&self.scratch.path().join("before"), &view);
        fs::write(redo_of(&view), redo).unwrap();
        let db = sled(&view);
        rows.for_each(|row| set(&db, row));
        db.flush().unwrap();
        view
    }
}

/// Opens a view, expects these rows, and that it takes more and opens again.
fn expect((position, rows): &(Position, Model), view: &Path, context: &str) {
    let (store, opened) = ViewStore::open(view, FORMAT, END).unwrap();
    assert_eq!(opened, Opened::CaughtUpTo(*position), "{context}");
    assert_eq!(stored(&store), *rows, "{context}");
    let mut rows = rows.clone();
    rows.insert((TABLES[0], b"one more".to_vec()), vec![1; 5_000]);
    let ops = vec![(TABLES[0], b"one more".to_vec(), Some(vec![1; 5_000]))];
    store.write(ViewBatch { position: Position(position.0 + 1), ops }).unwrap();
    drop(store);
    let (store, opened) = ViewStore::open(view, FORMAT, END).unwrap();
    assert_eq!((opened, stored(&store)), (Opened::CaughtUpTo(Position(position.0 + 1)), rows), "{context}");
}

fn expect_rebuilt(view: &Path, context: &str) {
    let (store, opened) = ViewStore::open(view, FORMAT, END).unwrap();
    assert!(matches!(opened, Opened::Rebuilt { .. }), "{context}: {opened:?}");
    assert_eq!(stored(&store), Model::new());
}

/// A view of four batches, the last one cut off: rows that come, change, go, and split values that do.
fn fourth_of_four() -> Written {
    let states = std::cell::RefCell::new(Vec::new());
    let to = |store: &ViewStore, end| {
        let filled = fill_from(store, states.take(), end);
        let last = filled.last().cloned().unwrap();
        states.replace(filled);
        last
    };
    Written::new(|store| to(store, 3), |store| to(store, 4))
}

#[test]
fn wherever_a_write_is_cut_off_its_redo_record_finishes_it() {
    let written = fourth_of_four();
    let all = written.changes.len();
    assert!(all > 50 && written.changes.last().unwrap().0 == POSITION_KEY);
    for count in [0, 1, all / 3, all - 2, all - 1, all] {
        let view = written.cut_off(written.changes.iter().take(count), &written.redo);
        expect(&written.after, &view, &format!("the first {count} of {all}"));
        // Rows have no order among themselves, but the position row is the last one.
        let others = all - 1;
        let view = written.cut_off(written.changes.iter().take(others).rev().take(count), &written.redo);
        expect(&written.after, &view, &format!("the last {count} of {others}"));
    }
}

#[test]
fn without_a_whole_record_nothing_was_written_or_the_view_is_rebuilt() {
    let written = fourth_of_four();
    let all = written.changes.len();
    let (redo, older) = (&written.redo, &written.older_redo);
    let torn = [0, 1, 11, 12, 300, redo.len() / 2, redo.len() - 1].map(|at| [&redo[..at], older.get(at..).unwrap_or_default()].concat());
    let cut = [0, 5, 40, redo.len() - 1].map(|at| redo[..at].to_vec());
    for record in torn.iter().chain(&cut) {
        expect(&written.before, &written.cut_off([].iter(), record), "torn before the first row");
        expect(&written.after, &written.cut_off(written.changes.iter(), record), "torn behind the last one");
    }
    for count in [1, all / 2, all - 1] {
        expect_rebuilt(&written.cut_off(written.changes.iter().take(count), older), "some rows and the record of an older moment");
    }
    // The rows of the record that is there, but of another write: it begins elsewhere.
    expect_rebuilt(&written.cut_off(written.changes.iter().take(all - 1), &torn[4]), "all rows but the position row, and a torn record");
}

#[test]
fn a_record_of_another_moment_is_passed_over() {
    let written = fourth_of_four();
    let view = written.scratch.path().join("after");
    fs::write(redo_of(&view), &written.older_redo).unwrap();
    expect(&written.after, &view, "the record of the write before");
    let other = tempfile::tempdir().unwrap();
    let (store, _) = ViewStore::open(other.path(), FORMAT, END).unwrap();
    let states = fill(&store, 2);
    drop(store);
    fs::write(redo_of(other.path()), &written.redo).unwrap();
    expect(&(Position(2), states[2].clone()), other.path(), "the record of another view");
}

#[test]
fn a_flipped_bit_in_any_byte_of_a_record_makes_it_one_that_is_passed_over() {
    let table = TABLES[1];
    let write = |position, ops: Vec<Op>| {
        move |store: &ViewStore| {
            store.write(ViewBatch { position: Position(position), ops }).unwrap();
            stored(store)
        }
    };
    let begin = write(7, vec![(table, b"a".to_vec(), Some(b"1".to_vec())), (table, b"b".to_vec(), Some(b"2".to_vec()))]);
    let mut written = Written::new(begin, write(8, vec![(table, b"a".to_vec(), Some(b"3".to_vec())), (table, b"b".to_vec(), None)]));
    // Behind the record lies what is left of the one before.
    let body = u32::from_be_bytes(written.redo[8..12].try_into().unwrap());
    written.redo.truncate(12 + usize::try_from(body).unwrap() + 8);
    assert!((100..200).contains(&written.redo.len()), "{}", written.redo.len());
    for byte in 0..written.redo.len() {
        let mut flipped = written.redo.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let view = written.cut_off([].iter(), &flipped);
        let (store, opened) = ViewStore::open(&view, FORMAT, END).unwrap();
        assert_eq!((opened, stored(&store)), (Opened::CaughtUpTo(Position(7)), written.before.1.clone()), "byte {byte}");
        drop(store);
        if byte % 8 == 0 {
            expect_rebuilt(&written.cut_off(written.changes.iter().take(1), &flipped), &format!("byte {byte}"));
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let value = prop_oneof![
        2 => Just(None),
        4 => (0..40_usize, any::<u8>()).prop_map(|(size, fill)| Some(vec![fill; size])),
        1 => (4_000..13_000_usize, any::<u8>()).prop_map(|(size, fill)| Some(vec![fill; size])),
    ];
    let key = proptest::collection::vec(0..3_u8, 0..3);
    proptest::collection::vec((proptest::sample::select(TABLES.to_vec()), key, value), 1..30)
}

fn written(store: &ViewStore, position: u64, ops: &[Op]) -> Model {
    store.write(ViewBatch { position: Position(position), ops: ops.to_vec() }).unwrap();
    stored(store)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_rows_of_whatever_batch_are_there_the_record_finishes_it(
        first in ops(),
        second in ops(),
        there in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let cut = Written::new(|store| written(store, 1, &first), |store| written(store, 2, &second));
        let rows = cut.changes.iter().filter(|(key, _)| *key != POSITION_KEY);
        let view = cut.cut_off(rows.zip(&there).filter(|(_, there)| **there).map(|(row, _)| row), &cut.redo);
        let record_is_of_it = cut.redo != cut.older_redo;
        let same_rows = cut.changes.len() == 1;
        prop_assert_eq!(record_is_of_it, !same_rows);
        expect(if same_rows { &cut.before } else { &cut.after }, &view, "random batches");
    }
}
