//! Uploads that are not finished: what has arrived, its running hash, and which ones are open. Not what happens to whole blobs (`publish`).

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use truc_types::limits::BLOB_CHUNK_BYTES;
use truc_types::{AgencyCode, Digest};

use crate::BlobError;
use crate::files::{metadata, remove};

/// Uploads that one agency may have open: the 30 attachments of the largest envelope, and two of the next.
pub const OPEN_UPLOADS_PER_AGENCY_MAX: usize = 32;

/// Written in steps of this size while more arrives.
const WRITE_BACK_BYTES: u64 = 4 * 1024 * 1024;

/// One upload. The part file is the truth about what has arrived; the rest is remembered to avoid reading it again.
#[derive(Debug)]
pub(crate) struct Upload {
    digest: Digest,
    part: PathBuf,
    /// `None` until the upload is begun in this process, and again after a failed write, when only the file knows its length.
    declared: Option<u64>,
    length: u64,
    /// SHA-256 over the first `length` bytes; `None` if they were not all seen by this process.
    hasher: Option<Sha256>,
    /// Finished, abandoned or swept while somebody waited for it.
    pub(crate) ended: bool,
}

impl Upload {
    pub(crate) fn new(digest: &Digest, part: PathBuf) -> Self {
        Self { digest: *digest, part, declared: None, length: 0, hasher: None, ended: false }
    }

    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Takes note of the size and answers how much is there. Creates the part file, whose time of change is the age of the upload.
    pub(crate) fn begin(&mut self, size: u64) -> Result<u64, BlobError> {
        let found = metadata(&self.part)?.map(|found| found.len());
        if found.is_none_or(|length| length > size) {
            File::create(&self.part).map_err(BlobError::storage("create", &self.part))?;
            (self.length, self.hasher) = (0, Some(Sha256::new()));
        } else if let Some(length) = found.filter(|length| self.declared.is_none() || *length != self.length) {
            (self.length, self.hasher) = (length, (length == 0).then(Sha256::new));
        }
        self.declared = Some(size);
        Ok(self.length)
    }

    pub(crate) fn append(&mut self, offset: u64, bytes: &[u8]) -> Result<u64, BlobError> {
        let digest = self.digest;
        let size = self.declared.ok_or(BlobError::NotBegun { digest })?;
        if offset != self.length {
            return Err(BlobError::WrongOffset { digest, offset, expected: self.length });
        }
        let length = u64::try_from(bytes.len()).map_or(u64::MAX, |count| offset.saturating_add(count));
        if length > size {
            return Err(BlobError::TooLong { digest, length, size });
        }
        let write = |file: File| {
            file.write_all_at(bytes, offset)?;
            write_back(&file, offset, length);
            Ok(())
        };
        let written = File::options().write(true).open(&self.part).and_then(write);
        if let Err(source) = written {
            // Some of the bytes may be there, and they are right; where they end says the file when the upload is begun again.
            self.declared = None;
            return Err(BlobError::Storage { doing: "write", path: self.part.clone(), source });
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.length = length;
        Ok(length)
    }

    /// Checks size and digest of what has arrived and returns the size. A wrong digest drops the bytes.
    pub(crate) fn verify(&mut self) -> Result<u64, BlobError> {
        let digest = self.digest;
        let size = self.declared.ok_or(BlobError::NotBegun { digest })?;
        if self.length < size {
            return Err(BlobError::Incomplete { digest, length: self.length, size });
        }
        let hasher = match &self.hasher {
            Some(running) => running.clone(),
            None => self.hash_part()?,
        };
        let found = Digest(hasher.finalize().into());
        if found != digest {
            remove(&self.part)?;
            self.ended = true;
            return Err(BlobError::DigestMismatch { declared: digest, found });
        }
        Ok(size)
    }

    /// Hashes the part file in constant memory, as the running hash did not survive the restart.
    fn hash_part(&self) -> Result<Sha256, BlobError> {
        let read = BlobError::storage("read", &self.part);
        let hash = || {
            let mut file = File::open(&self.part)?.take(self.length);
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; BLOB_CHUNK_BYTES];
            loop {
                let count = file.read(&mut buffer)?;
                match buffer.get(..count) {
                    Some(bytes) if count > 0 => hasher.update(bytes),
                    _ => return Ok(hasher),
                }
            }
        };
        hash().map_err(read)
    }

    /// Drops what has arrived.
    pub(crate) fn drop_part(&mut self) -> Result<bool, BlobError> {
        self.ended = true;
        remove(&self.part)
    }
}

/// For whoever writes a large file from `from` to `until`: lets the system begin to write a step that is full, so that the sync at the end has less to wait
/// for. Advice: without it everything is the same, but later.
pub fn write_back(file: &File, from: u64, until: u64) {
    let step = until - until % WRITE_BACK_BYTES;
    let begin = from - from % WRITE_BACK_BYTES;
    if let Some(length) = step.checked_sub(begin).and_then(NonZeroU64::new) {
        // Written pages that are not on the disk yet are what Linux starts to write for this advice, and keeps.
        if let Err(cause) = rustix::fs::fadvise(file, begin, Some(length), rustix::fs::Advice::DontNeed) {
            tracing::debug!(%cause, "the system takes no advice on this file");
        }
    }
}

type OpenUploads = HashMap<Digest, Arc<Mutex<Upload>>>;

/// Every upload that is not finished, by agency.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    by_agency: Mutex<HashMap<AgencyCode, OpenUploads>>,
}

impl Uploads {
    pub(crate) fn find(&self, agency: &AgencyCode, digest: &Digest) -> Option<Arc<Mutex<Upload>>> {
        self.by_agency.lock().get(agency)?.get(digest).cloned()
    }

    /// Finds an upload or enters it if the agency may have one more. `limit` is that of the agency.
    pub(crate) fn enter(&self, agency: &AgencyCode, digest: &Digest, part: PathBuf, limit: usize) -> Result<Arc<Mutex<Upload>>, BlobError> {
        let mut by_agency = self.by_agency.lock();
        let open = by_agency.entry(agency.clone()).or_default();
        if let Some(upload) = open.get(digest) {
            return Ok(Arc::clone(upload));
        }
        if open.len() >= limit {
            return Err(BlobError::TooManyUploads);
        }
        let upload = Arc::new(Mutex::new(Upload::new(digest, part)));
        open.insert(*digest, Arc::clone(&upload));
        Ok(upload)
    }

    /// Forgets an upload that has ended. The caller holds its lock, so nobody has entered another one in its place.
    pub(crate) fn leave(&self, agency: &AgencyCode, digest: &Digest) {
        let mut by_agency = self.by_agency.lock();
        if let Some(open) = by_agency.get_mut(agency) {
            open.remove(digest);
            if open.is_empty() {
                by_agency.remove(agency);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_agency.lock().values().map(HashMap::len).sum()
    }

    pub(crate) fn all(&self) -> Vec<(AgencyCode, Digest, Arc<Mutex<Upload>>)> {
        let by_agency = self.by_agency.lock();
        let each =
            by_agency.iter().flat_map(|(agency, open)| open.iter().map(|(digest, upload)| (agency.clone(), *digest, Arc::clone(upload))));
        each.collect()
    }
}
