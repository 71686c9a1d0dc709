//! The folder of a view on disk: its lock, its generations, the mark of a broken view, and making files durable. Nothing of what is in them.
//!
//! ```text
//! <folder>/lock              held by the process that uses the view
//! <folder>/broken            a write failed: rebuild at the next start
//! <folder>/generation-<n>/   sled, and its redo file (`redo`); a rebuilt view begins generation n + 1 and only then are older ones deleted
//! ```
//!
//! A new generation gets a folder of its own because sled may still write files of the old one from its threads.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::ViewError;
use crate::contain::bounded;

const BROKEN: &str = "broken";
const LOCK: &str = "lock";
const DB: &str = "db";
const GENERATION_PREFIX: &str = "generation-";

/// The locked folder of one view.
#[derive(Debug)]
pub(crate) struct ViewFolder {
    path: PathBuf,
    _lock: File,
}

impl ViewFolder {
    pub(crate) fn lock(path: &Path) -> Result<Self, ViewError> {
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(io_error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ViewError::Locked { folder: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(ViewError::Io { doing: "lock", path: lock_path, source }),
        }
    }

    /// The numbers of the generations there are, lowest first. More than one means that a rebuild was cut off.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, ViewError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(io_error("list", &self.path))? {
            let name = entry.map_err(io_error("list", &self.path))?.file_name();
            let number: Option<u64> =
                name.to_str().and_then(|name| name.strip_prefix(GENERATION_PREFIX)).and_then(|number| number.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        self.path.join(format!("{GENERATION_PREFIX}{number:06}"))
    }

    /// Deletes every generation below this one, and the mark of a broken view, which was about one of them.
    pub(crate) fn keep_only(&self, number: u64) -> Result<(), ViewError> {
        for old in self.generations()?.into_iter().filter(|old| *old < number) {
            let path = self.generation(old);
            fs::remove_dir_all(&path).map_err(io_error("delete", &path))?;
        }
        let mark = self.path.join(BROKEN);
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("delete", &mark)(error)),
            _ => sync_folder(&self.path),
        }
    }

    /// Why the view was marked as broken, if it was.
    pub(crate) fn broken(&self) -> Option<String> {
        let mark = self.path.join(BROKEN);
        mark.exists().then(|| bounded(&String::from_utf8_lossy(&fs::read(&mark).unwrap_or_default())))
    }

    /// Marks the view as broken. If even that fails, the sum over the rows still tells a half-written view from a whole one.
    pub(crate) fn mark_broken(&self, why: &str) {
        let mark = self.path.join(BROKEN);
        if let Err(error) = fs::write(&mark, why).and_then(|()| File::open(&mark)?.sync_all()) {
            tracing::error!(path = %mark.display(), %error, "cannot mark the view as broken");
        }
    }

    /// Makes the folder's own list of generations durable.
    pub(crate) fn sync(&self) -> Result<(), ViewError> {
        sync_folder(&self.path)
    }
}

/// A generation, and which of its files need no sync any more.
///
/// sled 0.34.7 writes `conf` and snapshots while it opens, and afterwards `db` in place and nothing else: blobs are made of values larger than ours
/// (`rows`). The redo file syncs itself. So after one sync of everything a flush needs `db`, and what was not there before, should there be such.
#[derive(Debug)]
pub(crate) struct Generation {
    path: PathBuf,
    settled: BTreeSet<PathBuf>,
}

impl Generation {
    /// Syncs every file and folder of a generation that sled has opened.
    pub(crate) fn settle(path: &Path) -> Result<Self, ViewError> {
        let (none, mut settled) = (BTreeSet::new(), BTreeSet::new());
        sync_new(path, &none, &mut settled)?;
        Ok(Self { path: path.to_owned(), settled })
    }

    /// Syncs what may have changed: sled's own flush is `sync_file_range`, which is no promise.
    pub(crate) fn sync(&self) -> Result<(), ViewError> {
        let db = self.path.join(DB);
        File::open(&db).and_then(|file| file.sync_data()).map_err(io_error("sync", &db))?;
        sync_new(&self.path, &self.settled, &mut BTreeSet::new())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Syncs the files below a folder that are not settled, and the folders that have such; all of them go to `synced`.
///
/// Files that vanish meanwhile are sled's superseded snapshots.
fn sync_new(folder: &Path, settled: &BTreeSet<PathBuf>, synced: &mut BTreeSet<PathBuf>) -> Result<(), ViewError> {
    let mut any = settled.is_empty();
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let entry = entry.map_err(io_error("list", folder))?;
        let path = entry.path();
        let is_new = !settled.contains(&path);
        let done = match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                sync_new(&path, settled, synced)?;
                Ok(())
            }
            Ok(_) if is_new => File::open(&path).and_then(|file| file.sync_all()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("sync", &path)(error)),
            _ => {}
        }
        if is_new {
            any = true;
            synced.insert(path);
        }
    }
    if any { sync_folder(folder) } else { Ok(()) }
}

/// Makes the list of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ViewError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(io_error("sync", folder))
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ViewError {
    move |source| ViewError::Io { doing, path: path.to_owned(), source }
}
