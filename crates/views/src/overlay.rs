//! Rows that are decided but not yet in a view's store, readable as if they were. Not durable: the journal is.

use std::collections::{BTreeMap, VecDeque, btree_map};
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use smallvec::SmallVec;
use truc_types::Position;

use crate::ViewError;
use crate::batch::{Table, ViewBatch, check};
use crate::range::{KeyRange, Page, PageFill};
use crate::store::ViewStore;

/// Rows that may wait to be written: two for each entry of `limits::VIEW_LAG_ENTRIES_MAX`, where admission slows anyway.
pub const OVERLAY_ROWS_MAX: usize = 200_000;
/// Keys and values that may wait, in bytes.
pub const OVERLAY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Pending rows over a store. Reads see them first; [`Overlay::take_batch`] hands them to the writer and they stay readable until
/// [`Overlay::written`]. Share it in an `Arc`.
#[derive(Debug)]
pub struct Overlay {
    store: Arc<ViewStore>,
    pending: RwLock<Pending>,
}

/// A key in its place in the tree, if it has 40 bytes at most, as nearly all have: an id and a code of up to 24. A look compares a dozen of them, and each
/// that lies elsewhere is a miss of the cache.
type RowKey = SmallVec<[u8; 40]>;

/// Rows by table and key; `None` deletes.
type PendingRows = BTreeMap<Table, BTreeMap<RowKey, Option<Vec<u8>>>>;

#[derive(Debug, Default)]
struct Pending {
    /// Not yet taken.
    current: PendingRows,
    /// Taken and not yet written, oldest first.
    taken: VecDeque<Taken>,
    rows: usize,
    bytes: usize,
}

/// Rows on their way to the store.
#[derive(Debug)]
struct Taken {
    at: Position,
    /// Shared with whoever copies them for the writer, so that nobody waits for that.
    rows: Arc<PendingRows>,
    count: usize,
    bytes: usize,
}

impl Overlay {
    /// An overlay without pending rows.
    #[must_use]
    pub fn new(store: Arc<ViewStore>) -> Self {
        Self { store, pending: RwLock::default() }
    }

    /// The store below.
    #[must_use]
    pub const fn store(&self) -> &Arc<ViewStore> {
        &self.store
    }

    /// The value of a key: the pending one if there is one, else the stored one.
    ///
    /// # Errors
    /// As [`ViewStore::get`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        // The store is looked at afterwards and without the lock: a row that was not pending is there as it was, or, if it came meanwhile, newer.
        let pending = self.pending.read().newest(table, key).cloned();
        pending.map_or_else(|| self.store.get(table, key), Ok)
    }

    /// The first rows of a range, pending and stored ones merged; limits as [`ViewStore::scan`].
    ///
    /// # Errors
    /// As [`ViewStore::scan`].
    pub fn scan(&self, table: Table, range: &KeyRange, limit: usize) -> Result<Page, ViewError> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        // Held until the end: a batch must not leave the overlay while the two are merged.
        let pending = self.pending.read();
        let mut waiting = pending.merged(table, range).peekable();
        let mut fill = PageFill::new(limit);
        self.store.visit(table, range, |key, stored| {
            while let Some((earlier, value)) = waiting.next_if(|(waiting_key, _)| *waiting_key < key) {
                if value.is_some_and(|value| !fill.push(earlier, value)) {
                    return false;
                }
            }
            match waiting.next_if(|(waiting_key, _)| *waiting_key == key) {
                Some((_, value)) => value.is_none_or(|value| fill.push(key, value)),
                None => fill.push(key, stored),
            }
        })?;
        for (key, value) in waiting {
            if value.is_some_and(|value| !fill.push(key, value)) {
                break;
            }
        }
        Ok(fill.finish())
    }

    /// Sets a row.
    ///
    /// # Errors
    /// [`ViewError::OverlayFull`] at [`OVERLAY_ROWS_MAX`] or [`OVERLAY_BYTES_MAX`] (ask [`Overlay::has_room`] before deciding what must then be set), and
    /// the limits of keys and values.
    pub fn put(&self, table: Table, key: &[u8], value: Vec<u8>) -> Result<(), ViewError> {
        self.set(table, key, Some(value))
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// As [`Overlay::put`]: a deletion waits like a row.
    pub fn delete(&self, table: Table, key: &[u8]) -> Result<(), ViewError> {
        self.set(table, key, None)
    }

    fn set(&self, table: Table, key: &[u8], value: Option<Vec<u8>>) -> Result<(), ViewError> {
        check(key, value.as_deref())?;
        let mut pending = self.pending.write();
        // A row that came and went between two batches is never written.
        if value.is_none() && !pending.is_taken(table, key) && !self.store.may_have(table, key) {
            pending.forget(table, key);
            return Ok(());
        }
        let new_bytes = row_bytes(key, value.as_deref());
        if !pending.has_room(1, new_bytes) {
            return Err(ViewError::OverlayFull { rows: pending.rows, bytes: pending.bytes });
        }
        pending.rows += 1;
        pending.bytes += new_bytes;
        if let Some(replaced) = pending.current.entry(table).or_default().insert(RowKey::from_slice(key), value) {
            pending.rows -= 1;
            pending.bytes -= row_bytes(key, replaced.as_deref());
        }
        Ok(())
    }

    /// Takes the pending rows that were not taken yet, to be written as the state of the view at `position`. They stay readable here until
    /// [`Overlay::written`]. Batches have to be written in the order in which they were taken, and none may be dropped while later ones are written.
    #[must_use]
    pub fn take_batch(&self, position: Position) -> ViewBatch {
        let rows = self.pending.write().take(position);
        let pairs = rows.iter().flat_map(|rows| rows.iter()).flat_map(|(table, rows)| rows.iter().map(|(key, value)| (*table, key, value)));
        ViewBatch { position, ops: pairs.map(|(table, key, value)| (table, key.to_vec(), value.clone())).collect() }
    }

    /// Forgets the taken rows that the store holds now: every batch up to `position`.
    pub fn written(&self, position: Position) {
        let mut pending = self.pending.write();
        let mut written = Vec::new();
        while let Some(taken) = pending.taken.pop_front_if(|taken| taken.at <= position) {
            pending.rows -= taken.count;
            pending.bytes -= taken.bytes;
            written.push(taken);
        }
        // Freeing thousands of rows takes its time, and nobody waits for it.
        drop(pending);
        drop(written);
    }

    /// Rows that wait to be written, taken ones included.
    #[must_use]
    pub fn pending_rows(&self) -> usize {
        self.pending.read().rows
    }

    /// Whether so many more rows, with so many bytes of keys and values, may wait.
    #[must_use]
    pub fn has_room(&self, rows: usize, bytes: usize) -> bool {
        self.pending.read().has_room(rows, bytes)
    }
}

impl Pending {
    fn has_room(&self, rows: usize, bytes: usize) -> bool {
        self.rows.saturating_add(rows) <= OVERLAY_ROWS_MAX && self.bytes.saturating_add(bytes) <= OVERLAY_BYTES_MAX
    }

    /// Moves the rows that were not taken yet to those that were.
    fn take(&mut self, position: Position) -> Option<Arc<PendingRows>> {
        // `written` tells batches apart by their positions: rows of a position that was taken before wait for the next one.
        if self.current.is_empty() || self.taken.back().is_some_and(|taken| taken.at >= position) {
            return None;
        }
        let rows = Arc::new(std::mem::take(&mut self.current));
        let (count, bytes) =
            self.taken.iter().fold((self.rows, self.bytes), |(rows, bytes), taken| (rows - taken.count, bytes - taken.bytes));
        self.taken.push_back(Taken { at: position, rows: Arc::clone(&rows), count, bytes });
        Some(rows)
    }

    fn newest_first(&self) -> impl Iterator<Item = &PendingRows> {
        std::iter::once(&self.current).chain(self.taken.iter().rev().map(|taken| taken.rows.as_ref()))
    }

    /// The newest pending value of a key.
    fn newest(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.newest_first().find_map(|rows| rows.get(&table)?.get(key))
    }

    /// Whether a batch that is on its way to the store changes the key.
    fn is_taken(&self, table: Table, key: &[u8]) -> bool {
        self.taken.iter().any(|taken| taken.rows.get(&table).is_some_and(|rows| rows.contains_key(key)))
    }

    /// Forgets a row that was not taken yet.
    fn forget(&mut self, table: Table, key: &[u8]) {
        if let Some(value) = self.current.get_mut(&table).and_then(|rows| rows.remove(key)) {
            self.rows -= 1;
            self.bytes -= row_bytes(key, value.as_deref());
        }
    }

    /// The pending rows of a range, for each key only the newest.
    fn merged(&self, table: Table, range: &KeyRange) -> Merged<'_> {
        let from = Bound::Included(range.from.as_slice());
        let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let layers = self.newest_first().filter_map(|rows| rows.get(&table));
        Merged { layers: layers.map(|rows| rows.range::<[u8], _>((from, to)).peekable()).collect() }
    }
}

/// The rows of one layer that are not walked yet.
type Layer<'a> = Peekable<btree_map::Range<'a, RowKey, Option<Vec<u8>>>>;

/// Walks several layers of rows at once, newest first in `layers`.
struct Merged<'a> {
    layers: Vec<Layer<'a>>,
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| key.as_slice())).min()?;
        let mut newest = None;
        for layer in &mut self.layers {
            if let Some((_, value)) = layer.next_if(|(layer_key, _)| layer_key.as_slice() == key) {
                newest.get_or_insert(value);
            }
        }
        newest.map(|value| (key, value.as_deref()))
    }
}

fn row_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    key.len() + value.map_or(0, <[u8]>::len)
}
