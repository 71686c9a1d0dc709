//! A store in a scratch folder that can be opened again, and two agencies.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use truc_blobs::{BlobStore, FolderStore};
use truc_types::{AgencyCode, Digest};

pub(crate) struct Scratch {
    folder: tempfile::TempDir,
    store: Option<FolderStore>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(FolderStore::open(folder.path()).unwrap());
        Self { folder, store }
    }

    pub(crate) fn store(&self) -> &FolderStore {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What a new process finds.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(FolderStore::open(self.folder.path()).unwrap());
    }

    pub(crate) fn part(&self, agency: &AgencyCode, digest: &Digest) -> PathBuf {
        self.path().join(format!("uploads/{}/{digest}.part", agency.as_str()))
    }

    pub(crate) fn owner(&self, agency: &AgencyCode, digest: &Digest) -> PathBuf {
        self.path().join(format!("owners/{}/{digest}", agency.as_str()))
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.path().join(format!("blobs/{}/{digest}", &digest.to_hex()[..2]))
    }

    pub(crate) fn upload(&self, agency: &AgencyCode, bytes: &[u8]) -> Digest {
        let digest = digest_of(bytes);
        let store = self.store();
        store.begin_upload(agency, &digest, bytes.len() as u64).unwrap();
        store.append(agency, &digest, 0, bytes).unwrap();
        assert_eq!(store.finish(agency, &digest).unwrap(), bytes.len() as u64);
        digest
    }

    pub(crate) fn read(&self, digest: &Digest, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.store().open_range(digest, offset).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

pub(crate) fn ministry() -> AgencyCode {
    "G09".parse().unwrap()
}

pub(crate) fn province() -> AgencyCode {
    "000.00.00.H53".parse().unwrap()
}
