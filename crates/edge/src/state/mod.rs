//! The state of an edge: rows that follow from the records of its journal, and nothing else.
//!
//! `apply` is the only way the rows change; live work and replay use the same. The rows are a view: deleting them loses nothing.

mod apply;
mod catalogue;
mod events;
mod inside;
mod queries;
mod rows;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use truc_ledger::Frontier;
use truc_types::{AgencyCode, Position};
use truc_views::{KeyRange, Overlay, Table, ViewBatch, ViewError};

pub(crate) use apply::pending_answer;
pub(crate) use catalogue::{ListKey, ListRow, list_key, listed_at};
pub(crate) use events::{EventRow, Kind};
pub(crate) use queries::{Backlog, PendingItem};
use rows::META_KEY;
pub(crate) use rows::{
    Event, InboxRow, ItemRow, META, Meta, OutboxRow, PEAKS_KEY, PendingRow, ROWS_FORMAT, ReceiptRow, RecipientRow, SealedAt,
    SeenCheckpoint, Step, Visibility, WatchRow, message_of_open_key, open_key,
};
use tail::Tail;

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The view failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A row that this release did not write, or a record that does not follow from those before.
    #[error("the state does not fit: {0}")]
    Inconsistent(String),
}

/// The rows, and how far they have come. Shared between the recorder, which changes them, and everybody, who reads them.
#[derive(Debug)]
pub(crate) struct State {
    rows: Arc<Overlay>,
    /// The position after the last record of which a reader may have seen rows.
    begun: AtomicU64,
    applied: AtomicU64,
    /// Groups to which something was added that has to stand in a receipt, since somebody asked. At most three for each agency of the registry.
    touched: Mutex<HashSet<(Event, AgencyCode)>>,
    /// How much of each group has to stand in a receipt, once somebody asked; changes with the rows, under its lock. As many as `touched`.
    pending: Mutex<Option<HashMap<(Event, AgencyCode), usize>>>,
    /// What there is one of, once it was read.
    meta: RwLock<Option<Meta>>,
    /// It differs from its row.
    meta_changed: AtomicBool,
    /// Something became visible to the DMS since somebody asked.
    shown: AtomicBool,
    /// The newest events.
    tail: Mutex<Tail>,
    /// First position of the last row of events; `u64::MAX` before anybody looked for it.
    last_events: AtomicU64,
}

impl State {
    /// The state over an open view that has reached `position`.
    pub(crate) fn new(rows: Arc<Overlay>, position: Position) -> Self {
        let (begun, applied) = (AtomicU64::new(position.0), AtomicU64::new(position.0));
        let (touched, meta, shown, last_events) = (Mutex::default(), RwLock::default(), AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let (pending, tail, meta_changed) = (Mutex::default(), Mutex::new(Tail::new(position)), AtomicBool::new(false));
        Self { rows, begun, applied, touched, pending, meta, meta_changed, shown, tail, last_events }
    }

    /// The position after the last applied record.
    pub(crate) fn applied(&self) -> Position {
        Position(self.applied.load(Ordering::Acquire))
    }

    /// The position that must be durable before anybody is told what was read until now: rows of a record can be seen before all of it is applied.
    pub(crate) fn begun(&self) -> Position {
        Position(self.begun.load(Ordering::Acquire))
    }

    /// The groups to which something was added since the last call: what can be put into a receipt, without looking through the rows.
    pub(crate) fn take_touched(&self) -> HashSet<(Event, AgencyCode)> {
        std::mem::take(&mut self.touched.lock())
    }

    /// Whether there are such groups.
    pub(crate) fn is_touched(&self) -> bool {
        !self.touched.lock().is_empty()
    }

    /// Whether something was added to a group since the last call of [`State::take_touched`] that stands in no receipt.
    pub(crate) fn is_group_touched(&self, group: &(Event, AgencyCode)) -> bool {
        self.touched.lock().contains(group)
    }

    /// Whether something became visible to the DMS since the last call.
    pub(crate) fn take_shown(&self) -> bool {
        self.shown.swap(false, Ordering::AcqRel)
    }

    /// The rows, for the recorder that hands them to the view's writer.
    pub(crate) const fn rows(&self) -> &Arc<Overlay> {
        &self.rows
    }

    /// Whether there is something that the view does not have.
    pub(crate) fn has_rows(&self) -> bool {
        self.meta_changed.load(Ordering::Acquire) || self.rows.pending_rows() > 0
    }

    /// Takes the rows that are to be written as the state after all records so far, with the peaks of the journal's tree there. Only for the thread that
    /// applies records.
    pub(crate) fn take_rows(&self, frontier: &Frontier) -> Result<ViewBatch, StateError> {
        let position = self.applied();
        if self.meta_changed.swap(false, Ordering::AcqRel) {
            self.write(META, META_KEY, &self.meta()?)?;
        }
        self.rows.put(META, PEAKS_KEY, peaks_row(position, frontier))?;
        Ok(self.rows.take_batch(position))
    }

    fn read<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StateError> {
        let bytes = self.rows.get(table, key)?;
        bytes.map(|bytes| rows::from_row(&bytes).map_err(|cause| unreadable(table, &cause))).transpose()
    }

    fn write<T: Serialize>(&self, table: Table, key: &[u8], row: &T) -> Result<(), StateError> {
        let bytes = rows::to_row(row).map_err(|cause| unreadable(table, &cause))?;
        Ok(self.rows.put(table, key, bytes)?)
    }

    fn delete(&self, table: Table, key: &[u8]) -> Result<(), StateError> {
        Ok(self.rows.delete(table, key)?)
    }

    fn scan(&self, table: Table, range: &KeyRange, limit: usize) -> Result<truc_views::Page, StateError> {
        Ok(self.rows.scan(table, range, limit)?)
    }
}

/// Position, size and peaks of the journal's tree, so that a start need not hash the whole journal.
fn peaks_row(position: Position, frontier: &Frontier) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + 32 * frontier.peaks().len());
    row.extend_from_slice(&position.0.to_be_bytes());
    row.extend_from_slice(&frontier.size().to_be_bytes());
    frontier.peaks().iter().for_each(|peak| row.extend_from_slice(&peak.0));
    row
}

fn unreadable(table: Table, cause: &str) -> StateError {
    StateError::Inconsistent(format!("a row of table {} does not read: {cause}", table.0))
}
