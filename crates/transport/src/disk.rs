//! The disk under a data folder: how much is free, and whether a small file can be written and synced on it. Not what to do when it is full.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use truc_types::limits::READINESS_PROBE_MILLIS_MAX;
use truc_types::{Reason, Refusal};

/// The file that is written to see whether one can be.
const PROBE_FILE: &str = "probe";

/// Bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for this user.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

/// The space of the file system that a folder is on.
///
/// # Errors
/// What the system says.
pub fn space(folder: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(Space { free_bytes: found.f_bavail.saturating_mul(found.f_frsize), total_bytes: found.f_blocks.saturating_mul(found.f_frsize) })
}

/// Whether the reserve is free.
///
/// # Errors
/// [`Reason::DiskFull`] with the numbers.
pub fn check_reserve(space: Space, reserve_bytes: u64) -> Result<(), Refusal> {
    if space.free_bytes >= reserve_bytes {
        return Ok(());
    }
    let message = format!("{} bytes are free on the disk of the data folder, {reserve_bytes} are kept in reserve", space.free_bytes);
    Err(Refusal::new(Reason::DiskFull, message).with("free_bytes", space.free_bytes).with("reserve_bytes", reserve_bytes))
}

/// Writes and syncs a small file in the folder, and removes it. Blocks as long as the disk does.
///
/// # Errors
/// [`Reason::DiskFull`] when there is no room, else [`Reason::JournalStorage`], with what the system says.
pub fn probe(folder: &Path) -> Result<(), Refusal> {
    let path = folder.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(b"truc\n")?;
        file.sync_all()
    });
    let written = written.and_then(|()| std::fs::remove_file(&path));
    written.map_err(|cause| {
        let reason = Reason::of_system(&cause, Reason::JournalStorage);
        Refusal::new(reason, format!("{} cannot be written and synced: {cause}", path.display()))
    })
}

/// Looks at a disk again and again. A look that hangs is waited for, not joined by a second one.
#[derive(Debug)]
pub struct DiskWatch {
    folder: PathBuf,
    reserve_bytes: u64,
    looking: Option<JoinHandle<Looked>>,
}

/// What one look gave.
pub type Looked = (Option<Space>, Result<(), Refusal>);

impl DiskWatch {
    /// A watch over the disk of a data folder.
    #[must_use]
    pub fn new(folder: &Path, reserve_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), reserve_bytes, looking: None }
    }

    /// Space, reserve, and a probe; at most [`READINESS_PROBE_MILLIS_MAX`].
    pub async fn look(&mut self) -> Looked {
        let (folder, reserve_bytes) = (self.folder.clone(), self.reserve_bytes);
        let looking = self.looking.get_or_insert_with(|| tokio::task::spawn_blocking(move || look(&folder, reserve_bytes)));
        let limit = Duration::from_millis(READINESS_PROBE_MILLIS_MAX);
        let storage = |message: String| (None, Err(Refusal::new(Reason::JournalStorage, message)));
        let looked = match tokio::time::timeout(limit, looking).await {
            Ok(Ok(looked)) => looked,
            Ok(Err(cause)) => storage(format!("the look at the disk broke: {cause}")),
            Err(_) => return storage(format!("a small file was not written and synced within {READINESS_PROBE_MILLIS_MAX} ms")),
        };
        self.looking = None;
        looked
    }
}

fn look(folder: &Path, reserve_bytes: u64) -> Looked {
    match space(folder) {
        Ok(space) => (Some(space), check_reserve(space, reserve_bytes).and_then(|()| probe(folder))),
        Err(cause) => (None, Err(Refusal::new(Reason::JournalStorage, format!("the disk of {}: {cause}", folder.display())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_to_the_byte_and_a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let found = space(folder.path()).unwrap();
        assert!(found.total_bytes >= found.free_bytes && found.total_bytes > 0);
        let space = Space { free_bytes: 100, total_bytes: 200 };
        assert!(check_reserve(space, 100).is_ok());
        assert_eq!(check_reserve(space, 101).unwrap_err().reason, Reason::DiskFull);
        probe(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays");
        std::fs::create_dir(folder.path().join(PROBE_FILE)).unwrap();
        assert!(probe(folder.path()).unwrap_err().message.contains("/probe cannot be written"));
    }
}
