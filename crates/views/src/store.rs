//! One view on disk: reading rows, and writing batches that become durable whole. Not opening it (`folder`) nor rows that wait (`overlay`).

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use truc_types::Position;

use crate::ViewError;
use crate::batch::{Table, ViewBatch, check};
use crate::changes::Changes;
use crate::contain::contained;
use crate::disk::{Generation, ViewFolder};
use crate::extent::Extents;
use crate::folder::{self, Opened, ViewFormat};
use crate::range::{KeyRange, Page, PageFill};
use crate::redo::{Change, Redo};
use crate::rows::{self, Head, POSITION_KEY, Reached};

/// A view in sled. All calls block on the disk; share it in an `Arc`.
///
/// A batch is whole on disk, whatever happens. Who reads here *while* it is written may find some of its rows and not others, each as it was or as it
/// will be, and [`ViewStore::position`] of before; rows at the end of a table may seem gone some moments before they go. An [`crate::Overlay`] shows none
/// of that: it has the batch until it is written.
pub struct ViewStore {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    format: ViewFormat,
    /// Held for the whole of a write.
    writing: Mutex<Writing>,
    /// Where tables may have rows; held for a look or an exchange only, because the thread that writes may be one that waits long for its turn.
    extents: RwLock<Extents>,
    /// Held shared by readers, and alone while a split value changes: a reader takes several steps for it.
    splits: RwLock<()>,
    durable: AtomicU64,
    broken: AtomicBool,
    generation: Generation,
    /// Last, so that the lock outlives sled.
    folder: ViewFolder,
}

/// What belongs to whoever writes.
struct Writing {
    /// What the rows in sled must add up to.
    reached: Reached,
    redo: Redo,
}

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
            format,
            writing: Mutex::new(Writing { reached: loaded.reached, redo: loaded.redo }),
            extents: RwLock::new(loaded.extents),
            splits: RwLock::new(()),
            durable: AtomicU64::new(loaded.reached.position.0),
            broken: AtomicBool::new(false),
            generation: loaded.generation,
            folder,
        };
        Ok((store, opened))
    }

    /// Writes a batch: a redo record that is synced, the rows, the position row, and sled's files synced. When it returns, a power cut keeps it; a crash
    /// before leaves it whole or not at all (`redo.rs` has the table).
    ///
    /// # Errors
    /// Limits and [`ViewError::PositionBackwards`] leave the view as it was. Any failure of the disk or of sled breaks it: the next start rebuilds it, and
    /// until then writes are refused with [`ViewError::Broken`]. A failed sync is never retried.
    pub fn write(&self, batch: ViewBatch) -> Result<(), ViewError> {
        let mut writing = self.writing.lock();
        if self.broken.load(Ordering::Acquire) {
            return Err(ViewError::Broken);
        }
        if batch.position < writing.reached.position {
            return Err(ViewError::PositionBackwards { view: writing.reached.position, batch: batch.position });
        }
        for (_, key, value) in &batch.ops {
            check(key, value.as_deref())?;
        }
        match self.make_durable(&batch, &mut writing) {
            Ok(after) => {
                writing.reached = after;
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

    /// Redo record, rows, sync; returns what the rows add up to now.
    fn make_durable(&self, batch: &ViewBatch, writing: &mut Writing) -> Result<Reached, ViewError> {
        let refused = |why| ViewError::Storage { doing: "write", why };
        let before = writing.reached;
        let extents = self.extents.read().clone();
        let changes = contained(|| Changes::of(self.db()?, &batch.ops, extents, Reached { position: batch.position, ..before }));
        let changes = changes.map_err(refused)?;
        let after = changes.reached;
        let row = after.to_row(self.format.name, self.format.format);
        // A position row alone is one row of sled, which is there or not.
        if changes.rows().next().is_some() {
            writing.redo.write(&before.to_row(self.format.name, self.format.format), &row, changes.rows())?;
        }
        contained(|| self.apply(changes, row)).map_err(refused)?;
        self.generation.sync()?;
        Ok(after)
    }

    /// Changes the rows, the position row last, and flushes sled's buffers.
    fn apply(&self, changes: Changes, position_row: Vec<u8>) -> Result<(), sled::Error> {
        let db = self.db()?;
        *self.extents.write() = changes.extents;
        if !changes.split.is_empty() {
            let mut alone = self.splits.write();
            for value in changes.split {
                value.into_iter().try_for_each(|row| set(db, row))?;
                // Readers wait for one value, not for all of them.
                RwLockWriteGuard::bump(&mut alone);
            }
        }
        changes.whole.into_iter().try_for_each(|row| set(db, row))?;
        db.insert(POSITION_KEY, position_row)?;
        db.flush()?;
        Ok(())
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ViewError::Storage`] if sled cannot read it.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        if !self.may_have(table, key) {
            return Ok(None);
        }
        let _whole = self.splits.read();
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
        if !self.may_have(table, &range.from) {
            return Ok(());
        }
        let _whole = self.splits.read();
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
        self.writing.lock().reached.rows
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
        f.debug_struct("ViewStore").field("data", &self.generation.path()).field("position", &self.position()).finish_non_exhaustive()
    }
}

/// Sets or deletes one row. sled's batches and transactions stop every other read of the process, whatever view it is of (`redo`).
fn set(db: &sled::Db, (key, value): Change) -> Result<(), sled::Error> {
    match value {
        Some(value) => db.insert(key, value)?,
        None => db.remove(key)?,
    };
    Ok(())
}

fn damaged(what: &str) -> sled::Error {
    sled::Error::ReportableBug(what.into())
}
