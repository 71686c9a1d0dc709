//! What a batch changes in sled, row by row, and what the rows add up to then. Not the changing (`store`).

use std::collections::BTreeMap;

use crate::batch::{Op, Table};
use crate::extent::Extents;
use crate::redo::Change;
use crate::rows::{self, Head, Reached};

/// The changes of a batch against the rows that sled has. Rows that stay as they are do not appear.
pub(crate) struct Changes {
    /// Rows that readers may find one by one, in the order of their keys.
    pub(crate) whole: Vec<Change>,
    /// Rows of values that are split or were: all of one value at once, because a reader takes several steps to read it.
    pub(crate) split: Vec<Vec<Change>>,
    /// The extents once all are made.
    pub(crate) extents: Extents,
    /// The position of the batch, and the sum once all are made.
    pub(crate) reached: Reached,
}

impl Changes {
    /// Compares a batch with the rows; `extents` and `before` are those of now.
    pub(crate) fn of(db: &sled::Db, ops: &[Op], extents: Extents, before: Reached) -> Result<Self, sled::Error> {
        let last: BTreeMap<_, _> = ops.iter().map(|(table, key, value)| ((*table, key.as_slice()), value.as_deref())).collect();
        let mut changes = Self { whole: Vec::with_capacity(last.len()), split: Vec::new(), extents, reached: before };
        for ((table, key), value) in last {
            changes.compare(db, table, key, value)?;
        }
        Ok(changes)
    }

    /// Every row that changes.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Change> {
        self.split.iter().flatten().chain(&self.whole)
    }

    /// Adds what becomes of one key; a value that was split loses the parts that the new one does not have.
    fn compare(&mut self, db: &sled::Db, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<(), sled::Error> {
        let head_key = rows::row_key(table, key);
        let head = if self.extents.may_have(table, key) { db.get(&head_key)? } else { None };
        let was_split = match head.as_deref().and_then(rows::head) {
            Some(Head::Split(length)) => length,
            _ => 0,
        };
        let mut set: Vec<Change> = match value {
            Some(value) => rows::physical_rows(table, key, value).into_iter().map(|(key, value)| (key, Some(value))).collect(),
            None => vec![(head_key, None)],
        };
        let parts = set.len().saturating_sub(1);
        set.extend(rows::part_keys(table, key, was_split).skip(parts).map(|part| (part, None)));
        let is_split = set.len() > 1;
        let mut head = Some(head);
        let mut changed = Vec::new();
        for (key, value) in set {
            // The row of the key itself comes first.
            let old = match head.take() {
                Some(head) => head,
                None => db.get(&key)?,
            };
            if old.as_deref() == value.as_deref() {
                continue;
            }
            self.extents.change(&key, old.is_some(), value.is_some());
            if let Some(old) = old {
                self.reached.remove(&key, &old);
            }
            if let Some(value) = &value {
                self.reached.add(&key, value);
            }
            if is_split {
                changed.push((key, value));
            } else {
                self.whole.push((key, value));
            }
        }
        if !changed.is_empty() {
            self.split.push(changed);
        }
        Ok(())
    }
}
