//! The sealed documents of a replay in a file: written before the clock runs, read one after the other while it does.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use truc_edge::light::SealedDocument;
use truc_types::limits::{ENVELOPE_CODES_MAX, STATEMENT_FILE_BYTES_MAX};
use truc_types::{MessageId, OrganisationCode};

use crate::failure::Failure;

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that is being written.
pub(super) struct Writer<'a> {
    path: &'a Path,
    to: BufWriter<File>,
}

/// A file that is being read.
pub(super) struct Reader<'a> {
    path: &'a Path,
    from: BufReader<File>,
    left: u64,
}

/// A document that was sealed before.
pub(super) struct Presealed {
    /// Index of the agency.
    pub(super) sender: usize,
    pub(super) deliveries: u64,
    pub(super) document: SealedDocument,
}

impl<'a> Writer<'a> {
    pub(super) fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|cause| Failure::file(path, cause))?;
        Ok(Self { path, to: BufWriter::with_capacity(BUFFER_BYTES, file) })
    }

    /// Adds a document of the agency with this index.
    pub(super) fn add(&mut self, sender: usize, document: SealedDocument) -> Result<(), Failure> {
        self.write(sender, document).map_err(|cause| Failure::file(self.path, cause))
    }

    fn write(&mut self, sender: usize, document: SealedDocument) -> io::Result<()> {
        let (message_id, recipients, file) = document.into_parts();
        let codes: Vec<_> = recipients.iter().map(ToString::to_string).collect();
        let codes = codes.join(" ");
        for length in [sender, codes.len(), file.len()] {
            self.to.write_all(&u32::try_from(length).map_err(io::Error::other)?.to_be_bytes())?;
        }
        self.to.write_all(&message_id.to_bytes())?;
        self.to.write_all(codes.as_bytes())?;
        self.to.write_all(&file)
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|cause| Failure::file(self.path, cause))
    }
}

impl<'a> Reader<'a> {
    /// A file with so many documents.
    pub(super) fn open(path: &'a Path, documents: u64) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|cause| Failure::file(path, cause))?;
        Ok(Self { path, from: BufReader::with_capacity(BUFFER_BYTES, file), left: documents })
    }

    /// The next document.
    pub(super) fn next(&mut self) -> Result<Option<Presealed>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.read().map(Some).map_err(|cause| Failure::file(self.path, cause))
    }

    fn read(&mut self) -> io::Result<Presealed> {
        let sender = self.length(usize::MAX)?;
        let (codes, file) = (self.length(ENVELOPE_CODES_MAX * 40)?, self.length(STATEMENT_FILE_BYTES_MAX)?);
        let mut id = [0; 16];
        self.from.read_exact(&mut id)?;
        let codes = String::from_utf8(self.bytes(codes)?).map_err(io::Error::other)?;
        let recipients = codes.split(' ').map(str::parse).collect::<Result<Vec<OrganisationCode>, _>>().map_err(io::Error::other)?;
        let deliveries = recipients.len() as u64;
        let document = SealedDocument::from_parts(MessageId::from_bytes(id), recipients, self.bytes(file)?);
        Ok(Presealed { sender, deliveries, document })
    }

    fn length(&mut self, max: usize) -> io::Result<usize> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes)?;
        let length = usize::try_from(u32::from_be_bytes(bytes)).map_err(io::Error::other)?;
        if length > max { Err(io::Error::other(format!("a length of {length}, at most {max} is possible"))) } else { Ok(length) }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_as_they_were_and_a_cut_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let codes = |codes: &[&str]| codes.iter().map(|code| code.parse().unwrap()).collect::<Vec<OrganisationCode>>();
        let parts = |n: u8| (MessageId::from_bytes([n; 16]), codes(&["H53", "000.00.13.H37"]), vec![n; 300]);
        let mut writer = Writer::create(&path).unwrap();
        for n in [1, 2] {
            let (id, recipients, file) = parts(n);
            writer.add(usize::from(n) + 80, SealedDocument::from_parts(id, recipients, file)).unwrap();
        }
        writer.finish().unwrap();
        let mut reader = Reader::open(&path, 2).unwrap();
        for n in [1, 2] {
            let Presealed { sender, deliveries, document } = reader.next().unwrap().unwrap();
            assert_eq!((sender, deliveries, document.into_parts()), (usize::from(n) + 80, 2, parts(n)));
        }
        assert!(reader.next().unwrap().is_none());
        assert!(Reader::open(&path, 3).is_ok_and(|mut reader| reader.next().is_ok() && reader.next().is_ok() && reader.next().is_err()));
    }
}
