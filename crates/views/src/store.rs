//! One view on disk: reading rows, and writing batches that become durable whole. Not opening it (`folder`) nor rows that wait (`overlay`).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use truc_types::Position;

use crate::ViewError;
use crate::batch::{Op, Table, ViewBatch, check};
use crate::contain::contained;
use crate::disk::{ViewFolder, sync_tree};
use crate::extent::Extents;
use crate::folder::{self, Opened, ViewFormat};
use crate::range::{KeyRange, Page, PageFill};
use crate::rows::{self, Head, POSITION_KEY, Reached};

/// A view in sled. All calls block on the disk; share it in an `Arc`.
pub struct ViewStore {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    data: PathBuf,
    format: ViewFormat,
    /// What the rows in sled must add up to; held for the whole of a write.
    reached: Mutex<Reached>,
    /// Where tables may have rows; held shared by readers and alone while a batch is applied: a split value is read in several steps.
    extents: RwLock<Extents>,
    durable: AtomicU64,
    broken: AtomicBool,
    /// Last, so that the lock outlives sled.
    folder: ViewFolder,
}

/// Rows of a batch as sled will hold them, in the order of their keys; `None` deletes.
type PhysicalRows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows as sled holds them now; `None` where there is none.
type KnownRows = HashMap<Vec<u8>, Option<sled::IVec>>;

impl ViewStore {
    /// Opens the view in `folder` and says from where the journal has to be replayed. `journal_end` is the position of the next entry to be appended.
    ///
    /// A view that is damaged, marked broken, called otherwise or of another format is deleted and begun anew, with a warning in the log.
    ///
    /// # Errors
    /// [`ViewError::ViewAhead`] if the view is newer than the journal: nothing is deleted. [`ViewError::Locked`], [`ViewError::Io`], and
    /// [`ViewError::Storage`] if not even an empty view can be made.
    pub fn open(folder: &Path, format: ViewFormat, journal_end: Position) -> Result<(Self, Opened), ViewError> {
        let folder = ViewFolder::lock(folder)?;
        let (loaded, opened) = folder::open(&folder, &format, journal_end)?;
        tracing::info!(view = format.name, position = %loaded.reached.position, rows = loaded.reached.rows, "view opened");
        let store = Self {
            db: Some(loaded.db),
            data: loaded.data,
            format,
            reached: Mutex::new(loaded.reached),
            extents: RwLock::new(loaded.extents),
            durable: AtomicU64::new(loaded.reached.position.0),
            broken: AtomicBool::new(false),
            folder,
        };
        Ok((store, opened))
    }

    /// Writes a batch: one atomic sled batch with the position row, flushed, and sled's files synced. When it returns, a power cut keeps it.
    ///
    /// # Errors
    /// Limits and [`ViewError::PositionBackwards`] leave the view as it was. Any failure of the disk or of sled breaks it: the next start rebuilds it, and
    /// until then writes are refused with [`ViewError::Broken`]. A failed sync is never retried.
    pub fn write(&self, batch: ViewBatch) -> Result<(), ViewError> {
        let mut reached = self.reached.lock();
        if self.broken.load(Ordering::Acquire) {
            return Err(ViewError::Broken);
        }
        if batch.position < reached.position {
            return Err(ViewError::PositionBackwards { view: reached.position, batch: batch.position });
        }
        for (_, key, value) in &batch.ops {
            check(key, value.as_deref())?;
        }
        let written = self.apply(&batch.ops, Reached { position: batch.position, ..*reached });
        match written.and_then(|after| sync_tree(&self.data).map(|()| after)) {
            Ok(after) => {
                *reached = after;
                self.durable.store(after.position.0, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.broken.store(true, Ordering::Release);
                self.folder.mark_broken(&error.to_string());
                tracing::error!(view = self.format.name, %error, "cannot write the view: it will be rebuilt at the next start");
                Err(error)
            }
        }
    }

    /// Applies the changes and flushes sled's buffers; returns what the rows add up to now.
    fn apply(&self, ops: &[Op], mut reached: Reached) -> Result<Reached, ViewError> {
        let applied = contained(|| {
            let db = self.db()?;
            let mut batch = sled::Batch::default();
            let (physical, mut known) = self.physical(ops)?;
            let mut changed = self.extents.read().clone();
            for (key, value) in physical {
                let old = match known.remove(&key) {
                    Some(old) => old,
                    None => db.get(&key)?,
                };
                if old.as_deref() == value.as_deref() {
                    continue;
                }
                changed.change(&key, old.is_some(), value.is_some());
                if let Some(old) = old {
                    reached.remove(&key, &old);
                }
                match value {
                    Some(value) => {
                        reached.add(&key, &value);
                        batch.insert(key, value);
                    }
                    None => batch.remove(key),
                }
            }
            batch.insert(&POSITION_KEY, reached.to_row(self.format.name, self.format.format));
            let mut alone = self.extents.write();
            db.apply_batch(batch)?;
            *alone = changed;
            drop(alone);
            db.flush()?;
            Ok(reached)
        });
        applied.map_err(|why| ViewError::Storage { doing: "write", why })
    }

    /// The rows that the changes set and delete in sled, a value that was split loses its old parts; and what stood in those that were looked at for it.
    fn physical(&self, ops: &[Op]) -> Result<(PhysicalRows, KnownRows), sled::Error> {
        let last: BTreeMap<_, _> = ops.iter().map(|(table, key, value)| ((*table, key.as_slice()), value.as_deref())).collect();
        let (mut physical, mut known) = (PhysicalRows::new(), KnownRows::with_capacity(last.len()));
        for ((table, key), value) in last {
            let head_key = rows::row_key(table, key);
            let old = if self.extents.read().may_have(table, key) { self.db()?.get(&head_key)? } else { None };
            if let Some(Head::Split(length)) = old.as_deref().and_then(rows::head) {
                physical.extend(rows::part_keys(table, key, length).map(|part| (part, None)));
            }
            known.insert(head_key.clone(), old);
            physical.insert(head_key, None);
            if let Some(value) = value {
                physical.extend(rows::physical_rows(table, key, value).into_iter().map(|(key, value)| (key, Some(value))));
            }
        }
        Ok((physical, known))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ViewError::Storage`] if sled cannot read it.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        let shared = self.extents.read();
        if !shared.may_have(table, key) {
            return Ok(None);
        }
        let value = contained(|| {
            let row = self.db()?.get(rows::row_key(table, key))?;
            row.map(|row| self.value(table, key, &row)).transpose()
        });
        value.map_err(|why| self.unreadable(why))
    }

    /// The first rows of a range: at most `limit`, [`truc_types::limits::PAGE_ITEMS_MAX`] and [`crate::PAGE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`ViewError::Storage`] if sled cannot read them.
    pub fn scan(&self, table: Table, range: &KeyRange, limit: usize) -> Result<Page, ViewError> {
        let mut fill = PageFill::new(limit);
        self.visit(table, range, |key, value| fill.push(key, value))?;
        Ok(fill.finish())
    }

    /// Shows the rows of a range in order until `row` answers no.
    pub(crate) fn visit(&self, table: Table, range: &KeyRange, mut row: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), ViewError> {
        if range.is_empty() {
            return Ok(());
        }
        let shared = self.extents.read();
        if !shared.may_have(table, &range.from) {
            return Ok(());
        }
        let (from, to) = rows::row_range(table, range);
        let visited = contained(|| {
            for found in self.db()?.range(from..to) {
                let (physical, head) = found?;
                let key = rows::owner_key(&physical);
                if !row(key, &self.value(table, key, &head)?) {
                    break;
                }
            }
            Ok(())
        });
        visited.map_err(|why| self.unreadable(why))
    }

    /// Whether a row with this key, or behind it in the table, may be there: without a look at the rows. "No" is certain.
    pub(crate) fn may_have(&self, table: Table, key: &[u8]) -> bool {
        self.extents.read().may_have(table, key)
    }

    /// The value behind the row of a key, put together from its parts if it was split.
    fn value(&self, table: Table, key: &[u8], row: &[u8]) -> Result<Vec<u8>, sled::Error> {
        let length = match rows::head(row) {
            Some(Head::Whole(value)) => return Ok(value.to_vec()),
            Some(Head::Split(length)) => length,
            None => return Err(damaged("a row has no known kind")),
        };
        let mut value = Vec::with_capacity(length);
        for part_key in rows::part_keys(table, key, length) {
            value.extend_from_slice(&self.db()?.get(part_key)?.ok_or_else(|| damaged("a part of a value is missing"))?);
        }
        if value.len() == length { Ok(value) } else { Err(damaged("a split value has another length than its row says")) }
    }

    /// The next entry to replay: everything below it is durably in the view.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// Rows in sled; a split value counts once more for each part.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.reached.lock().rows
    }

    /// Whether a write failed, so that the view takes no more and is rebuilt at the next start.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// A row that cannot be read now was read when the view was opened: the disk lost it since. Rebuild at the next start.
    fn unreadable(&self, why: String) -> ViewError {
        if !self.broken.swap(true, Ordering::AcqRel) {
            tracing::error!(view = self.format.name, why, "cannot read the view: it will be rebuilt at the next start");
            self.folder.mark_broken(&why);
        }
        ViewError::Storage { doing: "read", why }
    }

    fn db(&self) -> Result<&sled::Db, sled::Error> {
        self.db.as_ref().ok_or_else(|| damaged("the view is closed"))
    }
}

impl Drop for ViewStore {
    fn drop(&mut self) {
        let db = self.db.take();
        if let Err(why) = contained(|| {
            drop(db);
            Ok(())
        }) {
            tracing::error!(view = self.format.name, why, "cannot close the view");
        }
    }
}

impl std::fmt::Debug for ViewStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewStore").field("data", &self.data).field("position", &self.position()).finish_non_exhaustive()
    }
}

fn damaged(what: &str) -> sled::Error {
    sled::Error::ReportableBug(what.into())
}
