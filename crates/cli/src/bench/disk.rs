//! What a broker has on its disk: bytes of the log and of what is made of it. Not attachments, which are what agencies store.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::axis::Axis;
use crate::failure::Failure;

/// Where the journal of an axis' broker lies.
pub(super) fn journal(axis: &Axis) -> PathBuf {
    axis.layout.broker.join("journal")
}

/// Where its views lie.
pub(super) fn views(axis: &Axis) -> PathBuf {
    axis.layout.broker.join("views")
}

/// Bytes of both.
pub(super) fn bytes(axis: &Axis) -> Result<u64, Failure> {
    Ok(bytes_below(&journal(axis))? + bytes_below(&views(axis))?)
}

/// Bytes of all files below a folder. What goes away while it is looked at is not there.
fn bytes_below(folder: &Path) -> Result<u64, Failure> {
    let failed = |cause| Failure::file(folder, cause);
    let mut bytes = 0;
    let entries = match std::fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(0),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path())?,
            Ok(found) => found.len(),
            Err(cause) if cause.kind() == ErrorKind::NotFound => 0,
            Err(cause) => return Err(failed(cause)),
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_folders_count_and_what_is_gone_does_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 5]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 15);
        assert_eq!(bytes_below(&folder.path().join("gone")).unwrap(), 0);
    }
}
