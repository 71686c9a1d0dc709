//! An edXML file that came and is not taken yet. It has no name: it is gone with a refusal, with a line that broke, and with the process. Not an attachment:
//! what is in the folder of attachments belongs to a document, or is on its way to one.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use truc_blobs::{BlobError, Stored};
use truc_transport::clock;
use truc_types::Digest;
use truc_types::limits::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};

use crate::hand_in::DROPPED_PREFIX;

/// A file with digest and length.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    pub(crate) stored: Stored,
}

impl Staged {
    /// Copies what a reader has into a file in the folder of unfinished hand-ins. Blocking.
    ///
    /// # Errors
    /// As of [`truc_blobs::BlobStore::put_from_reader`].
    pub(crate) fn copy(folder: &Path, reader: &mut dyn Read) -> Result<Self, BlobError> {
        let path = folder.join(format!("{DROPPED_PREFIX}{}", clock::mint()));
        let failed = |doing| {
            let path = path.clone();
            move |source: io::Error| BlobError::Storage { doing, path, source }
        };
        let mut file = File::options().read(true).write(true).create_new(true).open(&path).map_err(failed("create"))?;
        match fs::remove_file(&path) {
            // A sweep found the name first.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(failed("remove the name of"))?,
        }
        let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0u64, vec![0; BLOB_CHUNK_BYTES]);
        loop {
            let count = match reader.read(&mut buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|source| BlobError::Reader { source })?,
            };
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            size = size.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if size > BLOB_BYTES_MAX {
                return Err(BlobError::TooLarge { size });
            }
            hasher.update(bytes);
            file.write_all(bytes).map_err(failed("write"))?;
        }
        Ok(Self { file, stored: Stored { digest: Digest(hasher.finalize().into()), size } })
    }

    /// All of it, from the start.
    pub(crate) fn reader(&self) -> io::Result<&File> {
        (&self.file).seek(SeekFrom::Start(0))?;
        Ok(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_signing::sha256;

    #[test]
    fn a_staged_file_has_its_bytes_and_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::copy(folder.path(), &mut b"<edXML/>".as_slice()).unwrap();
        assert_eq!((staged.stored.digest, staged.stored.size), (sha256(b"<edXML/>"), 8));
        for _ in 0..2 {
            let mut read = Vec::new();
            staged.reader().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, b"<edXML/>");
        }
        let too_large = Staged::copy(folder.path(), &mut io::repeat(b' ')).unwrap_err();
        assert!(matches!(too_large, BlobError::TooLarge { .. }), "{too_large}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
