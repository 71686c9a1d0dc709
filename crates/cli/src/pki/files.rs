//! Files of the PKI: made new or not at all, private keys readable by their owner only. Nothing of certificates.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::PkiError;

/// Makes a folder for its owner only, with those above it; one that exists is fine.
pub(super) fn make_folder(path: &Path) -> Result<(), PkiError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| error(path, source))
}

/// Makes a folder that must not exist.
pub(super) fn make_new_folder(path: &Path) -> Result<(), PkiError> {
    DirBuilder::new().mode(0o700).create(path).map_err(|source| error(path, source))
}

pub(super) fn write_public(path: &Path, text: &str) -> Result<(), PkiError> {
    write(path, text, 0o644)
}

pub(super) fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    write(path, text, 0o600)
}

/// Reads a text file of at most `bytes_max` bytes.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, PkiError> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= bytes_max) { Ok(text) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    };
    read().map_err(|source| error(path, source))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| error(path, source))
}

fn error(path: &Path, source: io::Error) -> PkiError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => PkiError::Exists(path.to_owned()),
        _ => PkiError::File { path: path.to_owned(), source },
    }
}
