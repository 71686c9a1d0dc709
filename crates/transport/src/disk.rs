//! What a daemon knows of the disk under its data folder: free space, and when the folder was last backed up. Not the writing of either.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use truc_types::Timestamp;

/// Written into a data folder by each backup of it.
pub const LAST_BACKUP_FILE: &str = "last-backup.json";
/// That file: a time, a position, a path.
const LAST_BACKUP_BYTES_MAX: u64 = 16 * 1024;

/// Space of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write; 0 if nobody knows.
    pub free: u64,
    /// All bytes; 0 if nobody knows.
    pub all: u64,
}

/// The space of the disk that holds a folder.
#[must_use]
pub fn space(folder: &Path) -> Space {
    match rustix::fs::statvfs(folder) {
        Ok(found) => Space { free: found.f_bavail.saturating_mul(found.f_frsize), all: found.f_blocks.saturating_mul(found.f_frsize) },
        Err(cause) => {
            tracing::warn!(folder = %folder.display(), %cause, "the space of the disk cannot be told");
            Space::default()
        }
    }
}

/// When the last backup of a data folder began, RFC 3339; empty if none is known or the note about it is unreadable.
#[must_use]
pub fn last_backup(data: &Path) -> String {
    let mut text = String::new();
    let read = File::open(data.join(LAST_BACKUP_FILE)).and_then(|file| file.take(LAST_BACKUP_BYTES_MAX).read_to_string(&mut text));
    // The one field that is wanted, without a JSON reader for it: a time has no escapes.
    let at = read.ok().and_then(|_| text.split_once("\"at\":\"")).and_then(|(_, rest)| rest.split_once('"')).map(|(at, _)| at);
    at.filter(|at| at.parse::<Timestamp>().is_ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_space_and_a_note_that_is_no_time_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let space = space(folder.path());
        assert!(space.all > 0 && space.free <= space.all);
        assert_eq!(last_backup(folder.path()), "");
        for (note, at) in [
            (r#"{"at":"2026-01-02T03:04:05.000Z","position":7}"#, "2026-01-02T03:04:05.000Z"),
            (r#"{"at":"yesterday"}"#, ""),
            ("\"at\":\"", ""),
        ] {
            std::fs::write(folder.path().join(LAST_BACKUP_FILE), note).unwrap();
            assert_eq!(last_backup(folder.path()), at);
        }
    }
}
