//! Where everything of a [`crate::FolderStore`] lies, and how files and folders become durable. Nothing of what the files mean to each other.
//!
//! ```text
//! <root>/lock                              held by the process that uses the store
//! <root>/blobs/<2 hex>/<64 hex>            whole blobs
//! <root>/owners/<agency>/<64 hex>          empty; the agency has delivered every byte of the blob
//! <root>/uploads/<agency>/<64 hex>.part    what has arrived of an upload
//! <root>/incoming/<n>.part                 blobs of local readers; deleted at the next start
//! ```
//!
//! Agency codes consist of `0-9 A-Z .` without empty groups, so they are safe as names of folders.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use truc_types::{AgencyCode, Digest};

use crate::BlobError;

/// The locked folder of a store.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    /// Folders that this process made durable in their parents.
    durable_folders: Mutex<HashSet<PathBuf>>,
    incoming_next: AtomicU64,
    _lock: File,
}

impl Files {
    pub(crate) fn open(root: &Path) -> Result<Self, BlobError> {
        fs::create_dir_all(root).map_err(BlobError::storage("create", root))?;
        let lock_path = root.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).map_err(BlobError::storage("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BlobError::Locked { folder: root.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(BlobError::Storage { doing: "lock", path: lock_path, source }),
        }
        let files = Self { root: root.to_owned(), durable_folders: Mutex::default(), incoming_next: AtomicU64::new(0), _lock: lock };
        for name in ["blobs", "owners", "uploads", "incoming"] {
            create_folder(&root.join(name))?;
        }
        sync_folder(root)?;
        // A process that ended between renaming a blob and syncing its folder left one that counts but may not survive a power cut.
        for folder in list(&root.join("blobs"))? {
            sync_folder(&folder)?;
        }
        for left_over in list(&root.join("incoming"))? {
            remove(&left_over)?;
        }
        Ok(files)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("blobs/{:02x}/{digest}", digest.0[0]))
    }

    pub(crate) fn owner(&self, agency: &AgencyCode, digest: &Digest) -> PathBuf {
        self.root.join(format!("owners/{}/{digest}", agency.as_str()))
    }

    /// The ownership files that there may be of a blob, one for each agency.
    pub(crate) fn owners(&self, digest: &Digest) -> Result<Vec<PathBuf>, BlobError> {
        Ok(list(&self.root.join("owners"))?.into_iter().map(|agency| agency.join(digest.to_hex())).collect())
    }

    pub(crate) fn part(&self, agency: &AgencyCode, digest: &Digest) -> PathBuf {
        self.root.join(format!("uploads/{}/{digest}{PART_SUFFIX}", agency.as_str()))
    }

    pub(crate) fn next_incoming(&self) -> PathBuf {
        self.root.join(format!("incoming/{}{PART_SUFFIX}", self.incoming_next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Every upload that has a part file. Files that are called otherwise are not ours and stay.
    pub(crate) fn uploads(&self) -> Result<Vec<(AgencyCode, Digest)>, BlobError> {
        let mut found = Vec::new();
        for folder in list(&self.root.join("uploads"))? {
            let Some(agency) = name(&folder).and_then(|name| name.parse::<AgencyCode>().ok()) else { continue };
            for part in list(&folder)? {
                let digest = name(&part).and_then(|name| name.strip_suffix(PART_SUFFIX)).and_then(|name| name.parse().ok());
                found.extend(digest.map(|digest| (agency.clone(), digest)));
            }
        }
        Ok(found)
    }

    /// Bytes of all blobs.
    pub(crate) fn stored_bytes(&self) -> Result<u64, BlobError> {
        let mut bytes = 0_u64;
        for folder in list(&self.root.join("blobs"))? {
            for blob in list(&folder)? {
                bytes = bytes.saturating_add(metadata(&blob)?.map_or(0, |found| found.len()));
            }
        }
        Ok(bytes)
    }

    /// Makes the folder that holds `file`, durably; once for each process.
    pub(crate) fn ensure_folder_of(&self, file: &Path) -> Result<(), BlobError> {
        let Some((folder, parent)) = file.parent().and_then(|folder| Some((folder, folder.parent()?))) else { return Ok(()) };
        if self.durable_folders.lock().contains(folder) {
            return Ok(());
        }
        create_folder(folder)?;
        sync_folder(parent)?;
        self.durable_folders.lock().insert(folder.to_owned());
        Ok(())
    }
}

/// What is in a folder; nothing if there is no such folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>())
        .or_else(|error| if is_absence(&error) { Ok(Vec::new()) } else { Err(error) })
        .map_err(BlobError::storage("list", folder))
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn create_folder(folder: &Path) -> Result<(), BlobError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(BlobError::storage("create", folder)(error)),
        _ => Ok(()),
    }
}

/// What the file system says of a file; `None` if there is none.
pub(crate) fn metadata(file: &Path) -> Result<Option<Metadata>, BlobError> {
    match fs::metadata(file) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(BlobError::storage("look at", file)(error)),
    }
}

/// Removes a file and answers whether it was there.
pub(crate) fn remove(file: &Path) -> Result<bool, BlobError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(BlobError::storage("delete", file)(error)),
    }
}

/// Makes the bytes of a file durable.
pub(crate) fn sync_file(file: &Path) -> Result<(), BlobError> {
    File::open(file).and_then(|open| open.sync_all()).map_err(BlobError::storage("sync", file))
}

/// Makes the names in the folder of a file durable.
pub(crate) fn sync_folder_of(file: &Path) -> Result<(), BlobError> {
    file.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(BlobError::storage("sync", folder))
}

fn is_absence(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

const PART_SUFFIX: &str = ".part";
