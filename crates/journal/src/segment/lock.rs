//! The lock of a journal folder: one process writes, whoever comes second learns who.
//!
//! Held through `flock` on a file that is never removed; the kernel frees it when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;

/// Name of the lock file.
pub(super) const LOCK_FILE: &str = "lock";

/// The lock, as long as it lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

/// Takes the lock or says who has it.
pub(super) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let path = folder.join(LOCK_FILE);
    let storage = |source| OpenError::Storage { path: path.clone(), source };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(storage)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // The pid is a courtesy: a file that cannot be read leaves it out.
            let pid = file.take(20).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(OpenError::Locked { folder: folder.to_owned(), pid });
        }
        Err(error) => return Err(storage(error.into())),
    }
    file.set_len(0).map_err(storage)?;
    file.seek(SeekFrom::Start(0)).map_err(storage)?;
    file.write_all(std::process::id().to_string().as_bytes()).map_err(storage)?;
    Ok(FolderLock { _file: file })
}
