//! A [`BlobStore`] in one local folder. The layout is in `files`, the order of durable steps in `publish`.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::{Mutex, MutexGuard};
use sha2::{Digest as _, Sha256};
use truc_types::limits::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};
use truc_types::{AgencyCode, Digest, Timestamp};

use crate::contract::{BlobStore, Stored, UploadState};
use crate::files::{Files, metadata, remove};
use crate::pins::{BlobPin, PinTable};
use crate::publish::{make_durable, publish, unpublish};
use crate::seen::Seen;
use crate::upload::{OPEN_UPLOADS_PER_AGENCY_MAX, Upload, Uploads, write_back};
use crate::{BlobError, BlobReader, Usage, usage};

/// Attachments in a folder of the local file system: one durable copy.
#[derive(Debug)]
pub struct FolderStore {
    files: Files,
    uploads: Uploads,
    pins: Arc<PinTable>,
    /// A blob is published, pinned and deleted under the lock that its first byte selects. Taken after the lock of an upload, never before.
    blob_locks: Vec<Mutex<Seen>>,
}

impl FolderStore {
    /// Opens the store in `folder`, creating it if there is none. Unfinished uploads are found again.
    ///
    /// # Errors
    /// [`BlobError::Locked`], [`BlobError::Storage`].
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        let files = Files::open(folder)?;
        let uploads = Uploads::default();
        for (agency, digest) in files.uploads()? {
            // All of them, even if the limit was larger once: they are on the disk.
            uploads.enter(&agency, &digest, files.part(&agency, &digest), usize::MAX)?;
        }
        let blob_locks = (0..=u8::MAX).map(|_| Mutex::default()).collect();
        Ok(Self { files, uploads, pins: Arc::default(), blob_locks })
    }

    #[expect(clippy::indexing_slicing, reason = "there is a lock for every byte")]
    fn lock_blob(&self, digest: &Digest) -> MutexGuard<'_, Seen> {
        self.blob_locks[usize::from(digest.0[0])].lock()
    }

    fn publish(&self, part: &Path, agency: &AgencyCode, digest: &Digest) -> Result<(), BlobError> {
        let mut blob = self.lock_blob(digest);
        // It may replace one that was cut off.
        blob.forget(digest);
        publish(&self.files, part, agency, digest)
    }

    /// The size of a blob that the agency owns. The caller holds its lock.
    fn has_names(&self, agency: &AgencyCode, digest: &Digest) -> Result<Option<u64>, BlobError> {
        match metadata(&self.files.owner(agency, digest))? {
            Some(_) => self.size(digest),
            None => Ok(None),
        }
    }

    /// Runs `work` on an open upload; an upload that ended while this waited for it is not open. Forgets it if `work` ended it.
    fn with_upload<T>(
        &self,
        agency: &AgencyCode,
        digest: &Digest,
        work: impl FnOnce(&mut Upload) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let upload = self.uploads.find(agency, digest).ok_or(BlobError::NotBegun { digest: *digest })?;
        let mut upload = upload.lock();
        if upload.ended {
            return Err(BlobError::NotBegun { digest: *digest });
        }
        let done = work(&mut upload);
        if upload.ended {
            self.uploads.leave(agency, digest);
        }
        done
    }

    /// Copies a reader into a file in constant memory and returns its digest and length.
    fn copy_in(reader: &mut dyn Read, path: &Path) -> Result<Stored, BlobError> {
        let mut file = File::create_new(path).map_err(BlobError::storage("create", path))?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BLOB_CHUNK_BYTES];
        let mut size = 0_u64;
        loop {
            let count = match reader.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(|source| BlobError::Reader { source })?,
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            size = size.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if size > BLOB_BYTES_MAX {
                return Err(BlobError::TooLarge { size });
            }
            hasher.update(bytes);
            file.write_all(bytes).map_err(BlobError::storage("write", path))?;
            write_back(&file, size - bytes.len() as u64, size);
        }
        Ok(Stored { digest: Digest(hasher.finalize().into()), size })
    }

    /// Whether nothing was added to the upload for `age`.
    fn is_abandoned(upload: &Upload, now: Timestamp, age: Duration) -> Result<bool, BlobError> {
        let Some(found) = metadata(upload.part())? else { return Ok(true) };
        let changed = found.modified().map_err(BlobError::storage("look at", upload.part()))?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(u128::from(now.as_millis()).saturating_sub(changed) >= age.as_millis())
    }
}

impl BlobStore for FolderStore {
    fn upload_progress(&self, agency: &AgencyCode, digest: &Digest, size: u64) -> Result<UploadState, BlobError> {
        if size > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge { size });
        }
        match self.owns(agency, digest)? {
            Some(owned) if owned == size => return Ok(UploadState::Complete),
            Some(owned) => return Err(BlobError::SizeMismatch { digest: *digest, declared: size, size: owned }),
            None => {}
        }
        // More than was declared is dropped when the upload begins: then it starts over.
        let arrived = metadata(&self.files.part(agency, digest))?.map_or(0, |found| found.len());
        Ok(UploadState::Resume(if arrived > size { 0 } else { arrived }))
    }

    fn begin_upload(&self, agency: &AgencyCode, digest: &Digest, size: u64) -> Result<UploadState, BlobError> {
        if size > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge { size });
        }
        loop {
            match self.owns(agency, digest)? {
                Some(owned) if owned == size => return Ok(UploadState::Complete),
                Some(owned) => return Err(BlobError::SizeMismatch { digest: *digest, declared: size, size: owned }),
                None => {}
            }
            let part = self.files.part(agency, digest);
            self.files.ensure_folder_of(&part)?;
            let upload = self.uploads.enter(agency, digest, part, OPEN_UPLOADS_PER_AGENCY_MAX)?;
            let mut upload = upload.lock();
            // It was finished, abandoned or swept between the two lines above: look again.
            if !upload.ended {
                let begun = upload.begin(size);
                if begun.is_err() && metadata(upload.part()).is_ok_and(|part| part.is_none()) {
                    // Nothing has arrived of it, so it must not take a place of the agency until it is swept.
                    upload.ended = true;
                    self.uploads.leave(agency, digest);
                }
                return begun.map(UploadState::Resume);
            }
        }
    }

    fn append(&self, agency: &AgencyCode, digest: &Digest, offset: u64, bytes: &[u8]) -> Result<u64, BlobError> {
        self.with_upload(agency, digest, |upload| upload.append(offset, bytes))
    }

    fn finish(&self, agency: &AgencyCode, digest: &Digest) -> Result<u64, BlobError> {
        let finished = self.with_upload(agency, digest, |upload| {
            let size = upload.verify()?;
            let published = make_durable(upload.part()).and_then(|()| self.publish(upload.part(), agency, digest));
            // Whatever happened to the file, this upload is over; after a failure beginning again finds what is there.
            upload.ended = true;
            published.map(|()| size)
        });
        match finished {
            Err(BlobError::NotBegun { digest: not_begun }) => self.owns(agency, digest)?.ok_or(BlobError::NotBegun { digest: not_begun }),
            other => other,
        }
    }

    fn abandon(&self, agency: &AgencyCode, digest: &Digest) -> Result<(), BlobError> {
        match self.with_upload(agency, digest, Upload::drop_part) {
            Err(BlobError::NotBegun { .. }) => Ok(()),
            dropped => dropped.map(|_| ()),
        }
    }

    fn put_from_reader(&self, agency: &AgencyCode, reader: &mut dyn Read) -> Result<Stored, BlobError> {
        let path = self.files.next_incoming();
        let stored = Self::copy_in(reader, &path).and_then(|stored| {
            make_durable(&path)?;
            self.publish(&path, agency, &stored.digest).map(|()| stored)
        });
        if stored.is_err()
            && let Err(error) = remove(&path)
        {
            tracing::warn!(%error, "a file that could not be stored stays until the next start");
        }
        stored
    }

    fn put_file(&self, agency: &AgencyCode, file: &Path, stored: &Stored) -> Result<(), BlobError> {
        let Stored { digest, size } = *stored;
        if size > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge { size });
        }
        let found = fs::metadata(file).map_err(BlobError::storage("look at", file))?.len();
        if found != size {
            return Err(BlobError::SizeMismatch { digest, declared: size, size: found });
        }
        make_durable(file)?;
        match self.publish(file, agency, &digest) {
            Err(BlobError::Storage { source, .. }) if source.kind() == ErrorKind::CrossesDevices => {
                let mut reader = File::open(file).map_err(BlobError::storage("open", file))?;
                let found = self.put_from_reader(agency, &mut reader)?.digest;
                if found != digest {
                    return Err(BlobError::DigestMismatch { declared: digest, found });
                }
                remove(file).map(drop)
            }
            published => published,
        }
    }

    fn owns(&self, agency: &AgencyCode, digest: &Digest) -> Result<Option<u64>, BlobError> {
        // While it is published its names are there, but not durable.
        let mut blob = self.lock_blob(digest);
        let found = self.has_names(agency, digest)?;
        match found {
            Some(size) if blob.owned(agency, digest) != Some(size) => {
                blob.forget(digest);
                blob.see(agency, *digest, size);
            }
            Some(_) => {}
            // Somebody has been in the folder.
            None => blob.forget(digest),
        }
        Ok(found)
    }

    #[expect(clippy::indexing_slicing, reason = "there is a lock for every byte")]
    fn owns_seen(&self, agency: &AgencyCode, digest: &Digest) -> Option<u64> {
        let seen = self.blob_locks[usize::from(digest.0[0])].try_lock()?.owned(agency, digest)?;
        self.size(digest).ok().flatten().filter(|size| *size == seen)
    }

    fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        Ok(metadata(&self.files.blob(digest))?.map(|found| found.len()))
    }

    fn pin(&self, agency: &AgencyCode, digest: &Digest) -> Result<Option<(BlobPin, u64)>, BlobError> {
        let mut blob = self.lock_blob(digest);
        let size = match blob.owned(agency, digest) {
            Some(size) => size,
            None => match self.has_names(agency, digest)? {
                Some(size) => blob.see(agency, *digest, size),
                None => return Ok(None),
            },
        };
        Ok(Some((self.pins.pin(digest), size)))
    }

    fn open_range(&self, digest: &Digest, offset: u64) -> Result<BlobReader, BlobError> {
        let path = self.files.blob(digest);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BlobError::Unknown { digest: *digest }),
            opened => opened.map_err(BlobError::storage("open", &path))?,
        };
        let size = file.metadata().map_err(BlobError::storage("look at", &path))?.len();
        let remaining = size.checked_sub(offset).ok_or(BlobError::OffsetOutside { digest: *digest, offset, size })?;
        file.seek(SeekFrom::Start(offset)).map_err(BlobError::storage("read", &path))?;
        Ok(BlobReader::new(file, size, remaining))
    }

    fn delete(&self, digest: &Digest) -> Result<bool, BlobError> {
        let mut blob = self.lock_blob(digest);
        if self.pins.is_pinned(digest) {
            return Err(BlobError::Pinned { digest: *digest });
        }
        blob.forget(digest);
        unpublish(&self.files, digest)
    }

    fn sweep(&self, now: Timestamp, age: Duration) -> Result<u64, BlobError> {
        let mut swept = 0;
        for (agency, digest, upload) in self.uploads.all() {
            let mut upload = upload.lock();
            if !upload.ended && Self::is_abandoned(&upload, now, age)? {
                upload.drop_part()?;
                self.uploads.leave(&agency, &digest);
                swept += 1;
            }
        }
        if swept > 0 {
            tracing::info!(swept, "abandoned uploads dropped");
        }
        Ok(swept)
    }

    fn usage(&self, files_max: u64) -> Result<Usage, BlobError> {
        let usage = usage::count(&self.files, self.files.root(), files_max)?;
        Ok(Usage { pinned: u64::try_from(self.pins.count()).unwrap_or(u64::MAX), ..usage })
    }

    fn owner_count(&self, digest: &Digest) -> Result<u64, BlobError> {
        let mut owners = 0;
        for owner in self.files.owners(digest)? {
            owners += u64::from(metadata(&owner)?.is_some());
        }
        Ok(owners)
    }

    fn uploads_open(&self) -> usize {
        self.uploads.len()
    }

    fn stored_bytes(&self) -> Result<u64, BlobError> {
        self.files.stored_bytes()
    }

    fn durable_copies(&self) -> usize {
        1
    }
}
