//! A view as a plain map, and batches to fill both. Shared by the other files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use truc_types::Position;
use truc_views::{KeyRange, Table, ViewBatch, ViewFormat, ViewStore};

/// What the tests open.
pub(crate) const FORMAT: ViewFormat = ViewFormat { name: "test", format: 1, cache_bytes: 2 * 1024 * 1024 };
/// Tables that the tests use: the first, the last and one between.
pub(crate) const TABLES: [Table; 3] = [Table(0), Table(7), Table(255)];

/// Rows by table and key.
pub(crate) type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Every row of a store, read page by page.
pub(crate) fn stored(store: &ViewStore) -> Model {
    let mut rows = Model::new();
    for table in TABLES {
        let mut range = KeyRange::all();
        loop {
            let page = store.scan(table, &range, 7).unwrap();
            if let Some((last, _)) = page.rows.last() {
                range = range.after(last);
            }
            rows.extend(page.rows.into_iter().map(|(key, value)| ((table, key), value)));
            if !page.more {
                break;
            }
        }
    }
    rows
}

/// Writes batches until the store stands at `end`; returns the rows at every position.
pub(crate) fn fill(store: &ViewStore, end: u64) -> Vec<Model> {
    fill_from(store, Vec::new(), end)
}

/// [`fill`] for a store that has some batches already.
pub(crate) fn fill_from(store: &ViewStore, mut states: Vec<Model>, end: u64) -> Vec<Model> {
    if states.is_empty() {
        states.push(Model::new());
    }
    for position in states.len() as u64..=end {
        let mut rows = states.last().cloned().unwrap_or_default();
        let mut ops = Vec::new();
        for n in 0..60_usize {
            let table = TABLES[n % 3];
            let key = format!("row-{:03}", (n * 7 + states.len() * 13) % 150).into_bytes();
            // Some rows go, most are small, a few are split into up to four parts.
            let value = match n % 10 {
                0 => None,
                1 => Some(vec![b'v'; 4_000 + n * 200]),
                _ => Some(format!("{position}/{n}").into_bytes()),
            };
            match &value {
                Some(value) => rows.insert((table, key.clone()), value.clone()),
                None => rows.remove(&(table, key.clone())),
            };
            ops.push((table, key, value));
        }
        store.write(ViewBatch { position: Position(position), ops }).unwrap();
        states.push(rows);
    }
    states
}

/// Copies a folder as it is at this moment.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
