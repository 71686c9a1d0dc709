//! The bytes of a message to look at: a file, or standard input, which is spooled because it is read twice. Nothing of them is kept in memory.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use truc_edxml::limits::MESSAGE_BYTES_MAX;

use crate::failure::Failure;

/// A message file, open.
#[derive(Debug)]
pub(super) struct Input {
    /// As it is called in the output: the path as given, or `-`.
    pub(super) name: String,
    path: PathBuf,
    file: File,
}

impl Input {
    /// Opens a file; `-` takes standard input to its end, or to where the reader would stop.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failure = |cause| Failure::file(path, cause);
        let name = path.display().to_string();
        let file = if path == Path::new("-") {
            let mut spool = tempfile::tempfile().map_err(failure)?;
            io::copy(&mut io::stdin().lock().take(MESSAGE_BYTES_MAX + 1), &mut spool).map_err(failure)?;
            spool
        } else {
            // A folder opens, and is read later with a stranger error.
            if path.is_dir() {
                return Err(Failure::Usage(format!("{name} is a folder, not a file")));
            }
            File::open(path).map_err(failure)?
        };
        Ok(Self { name, path: path.to_owned(), file })
    }

    /// The bytes from their start.
    pub(super) fn bytes(&mut self) -> Result<BufReader<&File>, Failure> {
        self.file.rewind().map_err(|cause| Failure::file(&self.path, cause))?;
        Ok(BufReader::with_capacity(64 * 1024, &self.file))
    }

    /// What went wrong while they were read.
    pub(super) fn failure(&self, cause: io::Error) -> Failure {
        Failure::file(&self.path, cause)
    }
}
