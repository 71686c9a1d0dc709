//! The files of a backup by their digest: written under a temporary name, synced, renamed; read with the digest checked. Not what they mean.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use truc_types::Digest;

use super::damaged;
use super::manifest::Kept;
use crate::failure::Failure;
use crate::hashing;

/// Folder of the files.
pub(super) const FILES_FOLDER: &str = "files";
const INCOMING: &str = "incoming";

/// The files of one backup folder.
pub(super) struct Store {
    folder: PathBuf,
    /// Folders with new names in them, to be synced before the manifest names those.
    touched: BTreeSet<PathBuf>,
}

/// A file that was written.
pub(super) struct Written {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
    /// It was not here before.
    pub(super) new: bool,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let files = folder.join(FILES_FOLDER);
        make_folder(&files)?;
        let touched = BTreeSet::from([folder.to_owned(), files.clone()]);
        Ok(Self { folder: files, touched })
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(digest.get(..2).unwrap_or_default()).join(digest)
    }

    /// Whether a file is here in its full length; its bytes are not read.
    pub(super) fn has(&self, digest: &str, bytes: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|found| found.is_file() && found.len() == bytes)
    }

    /// Whether a file is here with all its bytes, read again.
    pub(super) fn holds(&self, kept: &Kept) -> bool {
        // What cannot be read is as lost as what changed.
        let read = hashing::of_file(&self.path(&kept.sha256), kept.bytes);
        read.is_ok_and(|(hash, bytes)| bytes == kept.bytes && hashing::digest(&hash).to_hex() == kept.sha256)
    }

    /// Takes a file away that is not what its name says, so that it is copied again. What is missing already stays so.
    pub(super) fn discard(&self, kept: &Kept) -> Result<(), Failure> {
        let path = self.path(&kept.sha256);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::file(&path, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Copies at most `limit` bytes of a reader in, durably under their digest.
    pub(super) fn put(&mut self, reader: &mut dyn Read, limit: u64, from: &Path) -> Result<Written, Failure> {
        let incoming = self.folder.join(INCOMING);
        let fault = |source| Failure::file(&incoming, source);
        let mut file = open_new(&incoming, true).map_err(fault)?;
        let (hash, bytes) = hashing::copy(&mut reader.take(limit), &mut file).map_err(|source| Failure::file(from, source))?;
        let digest = hashing::digest(&hash);
        let name = digest.to_hex();
        let path = self.path(&name);
        if self.has(&name, bytes) {
            fs::remove_file(&incoming).map_err(fault)?;
            return Ok(Written { digest, bytes, new: false });
        }
        file.sync_all().map_err(fault)?;
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
            self.touched.insert(parent.to_owned());
        }
        fs::rename(&incoming, &path).map_err(|source| Failure::file(&path, source))?;
        Ok(Written { digest, bytes, new: true })
    }

    /// Makes all new names durable.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        std::mem::take(&mut self.touched).iter().try_for_each(|folder| sync_folder(folder))
    }

    /// Removes what no manifest names any more; how many files.
    pub(super) fn prune(&self, kept: &[Kept]) -> Result<u64, Failure> {
        let kept: std::collections::HashSet<&str> = kept.iter().map(|kept| kept.sha256.as_str()).collect();
        let mut removed = 0;
        for folder in list(&self.folder)?.into_iter().filter(|path| path.is_dir()) {
            for file in list(&folder)? {
                if !file.file_name().and_then(|name| name.to_str()).is_some_and(|name| kept.contains(name)) {
                    fs::remove_file(&file).map_err(|source| Failure::file(&file, source))?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Copies a file of the backup to its place, durably, and checks every byte of it.
    pub(super) fn take_out(folder: &Path, kept: &Kept, to: &Path) -> Result<(), Failure> {
        let path = folder.join(FILES_FOLDER).join(kept.sha256.get(..2).unwrap_or_default()).join(&kept.sha256);
        let wrong = |cause: String| damaged(format!("{} ({}): {cause}", path.display(), kept.path));
        let mut from = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(wrong("it is missing".to_owned())),
            Err(source) => return Err(Failure::file(&path, source)),
        };
        let mut file = open_new(to, false).map_err(|source| Failure::file(to, source))?;
        let limited = &mut (&mut from).take(kept.bytes.saturating_add(1));
        let (hash, bytes) = hashing::copy(limited, &mut file).map_err(|source| Failure::file(&path, source))?;
        if bytes != kept.bytes {
            return Err(wrong(format!("it has another length than the {} bytes of the manifest", kept.bytes)));
        }
        let digest = hashing::digest(&hash);
        if digest.to_hex() != kept.sha256 {
            return Err(wrong(format!("its SHA-256 is {digest}, the manifest says {}", kept.sha256)));
        }
        file.sync_all().map_err(|source| Failure::file(to, source))
    }
}

fn open_new(path: &Path, replace: bool) -> std::io::Result<File> {
    let mut options = File::options();
    // Keys and documents are among them: nobody else reads them.
    options.write(true).mode(0o600).create(true).truncate(replace).create_new(!replace).open(path)
}

/// Makes a folder for the owner alone, with those above it.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| Failure::file(folder, source))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Failure> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|source| Failure::file(folder, source))
}

/// What is in a folder, by name; nothing if there is no such folder.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let found = fs::read_dir(folder).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut found: Vec<PathBuf> = match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        found => found.map_err(|source| Failure::file(folder, source))?,
    };
    found.sort();
    Ok(found)
}

/// Writes a whole file durably: under a temporary name first.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let (temporary, path) = (folder.join(format!("{name}.new")), folder.join(name));
    let write = || -> std::io::Result<()> {
        let mut file = open_new(&temporary, true)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().map_err(|source| Failure::file(&path, source))?;
    sync_folder(folder)
}
