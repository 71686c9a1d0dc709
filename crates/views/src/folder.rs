//! Opening a view: take it as it is, or delete it and begin anew, or refuse because the journal lost its tail. Not reading or writing it.

use std::path::Path;
use std::thread;
use std::time::Duration;

use truc_types::Position;

use crate::ViewError;
use crate::contain::{bounded, contained, panic_text};
use crate::disk::{Generation, ViewFolder, io_error};
use crate::extent::Extents;
use crate::redo::{Record, Redo};
use crate::rows::{POSITION_KEY, Reached};

/// Longest wait for sled to let go of its own lock, and the pause between two looks.
const SLED_LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
const SLED_LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What a view is and how much memory it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewFormat {
    /// What the view is called, for logs and to tell two folders apart.
    pub name: &'static str,
    /// Number of the layout of its keys and values: another number means another layout, and the view is rebuilt.
    pub format: u32,
    /// Bytes of sled's page cache. sled can pass it when much is deleted.
    pub cache_bytes: u64,
}

/// In which state a view was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There was nothing: replay the journal from its beginning.
    Fresh,
    /// Every entry below the position is in the view: replay from there.
    CaughtUpTo(Position),
    /// What was there could not be used and was deleted: replay the journal from its beginning.
    Rebuilt {
        /// What was wrong with it.
        why: String,
    },
}

impl Opened {
    /// The first entry to replay.
    #[must_use]
    pub const fn replay_from(&self) -> Position {
        match self {
            Self::CaughtUpTo(position) => *position,
            Self::Fresh | Self::Rebuilt { .. } => Position(0),
        }
    }
}

/// An opened sled and where it stands.
pub(crate) struct Loaded {
    pub(crate) db: sled::Db,
    pub(crate) generation: Generation,
    pub(crate) redo: Redo,
    pub(crate) reached: Reached,
    pub(crate) extents: Extents,
}

/// Opens the newest generation, or begins the next one.
pub(crate) fn open(folder: &ViewFolder, format: &ViewFormat, journal_end: Position) -> Result<(Loaded, Opened), ViewError> {
    let generations = folder.generations()?;
    let Some(newest) = generations.last().copied() else {
        return Ok((begin(folder, format, 0)?, Opened::Fresh));
    };
    let data = folder.generation(newest);
    let found = match folder.broken() {
        Some(why) => Err(format!("an earlier write failed: {why}")),
        None => load_contained(&data, format),
    };
    match found {
        Ok(loaded) if loaded.reached.position > journal_end => {
            Err(ViewError::ViewAhead { view_position: loaded.reached.position, journal_end })
        }
        Ok(loaded) => {
            folder.keep_only(newest)?;
            let opened = Opened::CaughtUpTo(loaded.reached.position);
            Ok((loaded, opened))
        }
        Err(why) => {
            tracing::warn!(view = format.name, path = %data.display(), why, "the view cannot be used: deleting and rebuilding it");
            Ok((begin(folder, format, newest.saturating_add(1))?, Opened::Rebuilt { why }))
        }
    }
}

/// Begins an empty generation and deletes what was there before. A crash in between leaves a generation without a position row (rebuilt again) or two
/// generations of which the newer one counts.
fn begin(folder: &ViewFolder, format: &ViewFormat, number: u64) -> Result<Loaded, ViewError> {
    let data = folder.generation(number);
    let reached = Reached::default();
    let row = reached.to_row(format.name, format.format);
    let db = contained(|| {
        let db = config(&data, format).open()?;
        db.insert(POSITION_KEY, row)?;
        db.flush()?;
        Ok(db)
    })
    .map_err(|why| ViewError::Storage { doing: "begin", why })?;
    let redo = Redo::open(&data)?;
    let generation = Generation::settle(&data)?;
    folder.sync()?;
    folder.keep_only(number)?;
    Ok(Loaded { db, generation, redo, reached, extents: Extents::default() })
}

/// [`load`] in a thread of its own, where a panic of sled ends the thread and nothing else.
fn load_contained(data: &Path, format: &ViewFormat) -> Result<Loaded, String> {
    let (path, format) = (data.to_owned(), *format);
    let loading = thread::Builder::new()
        .name(format!("open-{}", format.name))
        .spawn(move || load(&path, &format))
        .map_err(io_error("start a thread for", data))
        .map_err(|error| error.to_string())?;
    match loading.join() {
        Ok(loaded) => loaded,
        Err(panic) => Err(bounded(&format!("sled panicked: {}", panic_text(panic.as_ref())))),
    }
}

/// Opens sled, finishes a write that a crash cut off, and compares all rows with the position row. Reads everything once: views are small, and sled
/// reads its log at this moment anyway.
fn load(data: &Path, format: &ViewFormat) -> Result<Loaded, String> {
    let said = |error: sled::Error| bounded(&error.to_string());
    let refused = |error: ViewError| bounded(&error.to_string());
    let db = open_released(data, format).map_err(said)?;
    let redo = Redo::open(data).map_err(refused)?;
    // A view of another name or format is not looked at further.
    let row = position_row(&db)?;
    Reached::from_row(&row, format.name, format.format)?;
    if let Some(body) = redo.read().map_err(refused)?
        && let Some(record) = Record::parse(&body).filter(|record| record.before == &*row)
    {
        redo.sync().map_err(refused)?;
        finish(&db, record).map_err(said)?;
        tracing::info!(view = format.name, path = %data.display(), "a write that was cut off is finished");
    }
    let claimed = Reached::from_row(&position_row(&db)?, format.name, format.format)?;
    let mut found = Reached { position: claimed.position, ..Reached::default() };
    let mut extents = Extents::default();
    for row in db.iter() {
        let (key, value) = row.map_err(said)?;
        if key != POSITION_KEY {
            found.add(&key, &value);
            extents.change(&key, false, true);
        }
    }
    if found != claimed {
        return Err(format!(
            "it should hold {} rows with sum {:016x}, found {} with {:016x}",
            claimed.rows, claimed.sum, found.rows, found.sum
        ));
    }
    let generation = Generation::settle(data).map_err(refused)?;
    Ok(Loaded { db, generation, redo, reached: claimed, extents })
}

fn position_row(db: &sled::Db) -> Result<sled::IVec, String> {
    db.get(POSITION_KEY).map_err(|error| bounded(&error.to_string()))?.ok_or_else(|| "the position row is missing".into())
}

/// Makes the changes of a record, those that were made before included: they are the same.
fn finish(db: &sled::Db, record: Record<'_>) -> Result<(), sled::Error> {
    for (key, value) in record.rows() {
        match value {
            Some(value) => db.insert(key, value)?,
            None => db.remove(key)?,
        };
    }
    db.insert(POSITION_KEY, record.after)?;
    db.flush()?;
    Ok(())
}

/// sled keeps its own lock a moment longer than its last handle lives. The folder's lock says that nobody else uses the view, so that moment is waited
/// for; taken for damage, it would cost a rebuild.
fn open_released(data: &Path, format: &ViewFormat) -> Result<sled::Db, sled::Error> {
    let mut waited = Duration::ZERO;
    loop {
        match config(data, format).open() {
            Err(sled::Error::Io(cause)) if waited < SLED_LOCK_WAIT_MAX && cause.to_string().contains("could not acquire lock") => {
                thread::sleep(SLED_LOCK_PAUSE);
                waited += SLED_LOCK_PAUSE;
            }
            opened => return opened,
        }
    }
}

fn config(data: &Path, format: &ViewFormat) -> sled::Config {
    // We flush after each batch ourselves: without a timer sled needs no thread for it.
    sled::Config::new().path(data).cache_capacity(format.cache_bytes).flush_every_ms(None)
}
