//! The note that each backup leaves in the data folder: when it was taken. Not the backup itself.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use truc_types::Timestamp;

/// Written into a data folder by each backup of it.
pub const LAST_BACKUP_FILE: &str = "last-backup.json";
/// That file: a time, a position, a path.
const LAST_BACKUP_BYTES_MAX: u64 = 16 * 1024;

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
    fn a_note_that_is_no_time_is_none() {
        let folder = tempfile::tempdir().unwrap();
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
