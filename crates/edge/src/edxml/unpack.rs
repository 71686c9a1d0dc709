//! Attachments out of an edXML file into the edge's folder of attachments, as a stream, under the digests that are expected of them.
//!
//! Not the decision what to expect: the sender's edge takes it from a first reading, the recipient's from the sealed envelope.

use std::io::{self, BufReader, Read};

use truc_blobs::{BlobError, BlobStore, UploadState};
use truc_edxml::{AttachmentSink, Diagnostic, Document, ReadError, Reading, read_message};
use truc_types::{AgencyCode, Digest, Reason, Refusal};

use super::read::supported;

/// Digest and length of one attachment.
pub(super) type Expected = (Digest, u64);

/// Why an edXML file was not taken apart.
#[derive(Debug)]
pub(super) enum UnpackError {
    /// The file does not read.
    Read(ReadError),
    /// It reads, and is of a kind that is not carried.
    Kind(Refusal),
    /// The attachment with this index is not what was expected.
    Differs { index: usize },
    /// The folder of attachments failed; the same again may work.
    Storage(Refusal),
}

/// Reads an edXML file without keeping its attachments; with what the reader tolerated.
pub(super) fn look(file: impl Read) -> Result<(Document, Vec<Diagnostic>), UnpackError> {
    read(file, &mut Discard)
}

/// Reads a stored edXML file and keeps its attachments. Durable when this returns.
pub(super) fn unpack(
    blobs: &dyn BlobStore,
    agency: &AgencyCode,
    file: &Digest,
    expected: Vec<Expected>,
) -> Result<(Document, Vec<Diagnostic>), UnpackError> {
    let mut keep = Keep { blobs, agency, expected, current: None, fault: None };
    let file = blobs.open_range(file, 0).map_err(|cause| UnpackError::Storage(storage(&cause)))?;
    let message = read(file, &mut keep);
    let unfinished = keep.current.take().filter(|_| message.is_err());
    if let Some(current) = unfinished {
        // What belongs to no message is of no use to the next try.
        blobs.abandon(agency, &current.digest).map_err(|cause| UnpackError::Storage(storage(&cause)))?;
    }
    match (message, keep.fault) {
        (Err(UnpackError::Read(ReadError::Sink(_))), Some(fault)) => Err(fault),
        (message, _) => message,
    }
}

fn read(file: impl Read, sink: &mut dyn AttachmentSink) -> Result<(Document, Vec<Diagnostic>), UnpackError> {
    let Reading { message, warnings, .. } = read_message(BufReader::new(file), sink).map_err(|cause| match cause {
        ReadError::Input(cause) => UnpackError::Storage(Refusal::new(Reason::BlobStorage, cause.to_string())),
        other => UnpackError::Read(other),
    })?;
    Ok((supported(message).map_err(UnpackError::Kind)?, warnings))
}

fn storage(cause: &BlobError) -> Refusal {
    Refusal::new(cause.reason(), cause.to_string())
}

/// Digests and sizes are all that is wanted.
struct Discard;

impl AttachmentSink for Discard {
    fn begin(&mut self, _index: usize) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
        Ok(())
    }
}

/// Attachments go to the folder under the digests that are expected.
struct Keep<'a> {
    blobs: &'a dyn BlobStore,
    agency: &'a AgencyCode,
    expected: Vec<Expected>,
    current: Option<Current>,
    /// Why this sink ended the reading: what passes through the reader is only text.
    fault: Option<UnpackError>,
}

struct Current {
    index: usize,
    digest: Digest,
    size: u64,
    /// Bytes that are in the folder, some of them from an earlier try.
    stored: u64,
    /// Bytes that came out of the file.
    seen: u64,
}

impl Keep<'_> {
    fn fail<T>(&mut self, fault: UnpackError) -> io::Result<T> {
        self.fault = Some(fault);
        Err(io::Error::other("the sink ends the reading"))
    }

    fn done<T>(&mut self, done: Result<T, BlobError>) -> io::Result<T> {
        done.or_else(|cause| self.fail(UnpackError::Storage(storage(&cause))))
    }
}

impl AttachmentSink for Keep<'_> {
    fn begin(&mut self, index: usize) -> io::Result<()> {
        let Some((digest, size)) = self.expected.get(index).copied() else {
            return self.fail(UnpackError::Differs { index });
        };
        let begun = self.blobs.begin_upload(self.agency, &digest, size);
        let stored = match self.done(begun)? {
            UploadState::Complete => size,
            UploadState::Resume(offset) => offset,
        };
        self.current = Some(Current { index, digest, size, stored, seen: 0 });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Err(io::Error::other("bytes before an attachment")) };
        let known = usize::try_from(current.stored.saturating_sub(current.seen)).unwrap_or(usize::MAX).min(bytes.len());
        current.seen = current.seen.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if current.seen > current.size {
            let index = current.index;
            return self.fail(UnpackError::Differs { index });
        }
        let new = bytes.get(known..).unwrap_or_default();
        if !new.is_empty() {
            let (digest, offset) = (current.digest, current.stored);
            let appended = self.blobs.append(self.agency, &digest, offset, new);
            let stored = self.done(appended)?;
            if let Some(current) = &mut self.current {
                current.stored = stored;
            }
        }
        Ok(())
    }

    fn end(&mut self, size: u64, sha256: &Digest) -> io::Result<()> {
        let Some(current) = &self.current else { return Err(io::Error::other("an end without a beginning")) };
        if (*sha256, size) != (current.digest, current.size) {
            let index = current.index;
            return self.fail(UnpackError::Differs { index });
        }
        let finished = self.blobs.finish(self.agency, sha256);
        self.done(finished)?;
        self.current = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_blobs::FolderStore;

    const SAMPLE: &[u8] = include_bytes!("../../../../testdata/edxml/made/04-reply.edxml");

    fn expected((message, _): &(Document, Vec<Diagnostic>)) -> Vec<Expected> {
        message.attachments.iter().map(|attachment| (attachment.sha256, attachment.size)).collect()
    }

    #[test]
    fn what_is_expected_is_kept_and_anything_else_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderStore::open(folder.path()).unwrap();
        let agency: AgencyCode = "H53".parse().unwrap();
        let file = blobs.put_from_reader(&agency, &mut &SAMPLE[..]).unwrap().digest;
        let right = expected(&look(SAMPLE).unwrap());
        assert!(!right.is_empty());
        let (digest, size) = right[0];
        let wrong: [(&str, Vec<Expected>); 4] = [
            ("another digest", vec![(Digest([1; 32]), size)]),
            ("shorter", vec![(digest, size - 1)]),
            ("longer", vec![(digest, size + 1)]),
            ("none expected", Vec::new()),
        ];
        for (what, wrong) in wrong {
            let refused = unpack(&blobs, &agency, &file, wrong.clone()).unwrap_err();
            assert!(matches!(refused, UnpackError::Differs { index: 0, .. }), "{what}: {refused:?}");
            assert_eq!(blobs.owns(&agency, &digest).unwrap(), None, "{what}");
            for (digest, size) in wrong {
                assert_eq!(blobs.upload_progress(&agency, &digest, size).unwrap(), UploadState::Resume(0), "{what}");
            }
        }
        for _ in 0..2 {
            assert_eq!(expected(&unpack(&blobs, &agency, &file, right.clone()).unwrap()), right);
            assert_eq!(blobs.owns(&agency, &digest).unwrap(), Some(size));
        }
    }
}
