//! What the tests share: the samples, a sink that keeps everything, a small message to change, archives.

use std::io;

use truc_edxml::{
    AttachmentSink, AttachmentSource, Document, Message, ReadError, Reading, Status, WriteError, read_message, write_message,
};
use truc_types::Digest;

/// Keeps what it gets.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Kept {
    pub(crate) attachments: Vec<Vec<u8>>,
    pub(crate) ended: usize,
}

impl AttachmentSink for Kept {
    fn begin(&mut self, index: usize) -> io::Result<()> {
        // An attachment without content, for which the message is refused, leaves a gap.
        assert!(index >= self.attachments.len());
        self.attachments.resize(index + 1, Vec::new());
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= truc_edxml::limits::CHUNK_BYTES_MAX);
        self.attachments.last_mut().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self, size: u64, _sha256: &Digest) -> io::Result<()> {
        assert_eq!(size, self.attachments.last().unwrap().len() as u64);
        self.ended += 1;
        Ok(())
    }
}

pub(crate) fn sample(name: &str) -> String {
    let path = format!("{}/../../testdata/edxml/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn new_document() -> String {
    sample("made/01-new-document.edxml")
}

pub(crate) fn read(bytes: impl AsRef<[u8]>) -> (Result<Reading, ReadError>, Kept) {
    let mut kept = Kept::default();
    // A small buffer, so that every token is met in pieces somewhere.
    let result = read_message(io::BufReader::with_capacity(37, bytes.as_ref()), &mut kept);
    (result, kept)
}

/// The document of a message that is one.
pub(crate) fn document(bytes: impl AsRef<[u8]>) -> Document {
    match read(bytes).0.unwrap().message {
        Message::Document(document) => *document,
        Message::Status(status) => panic!("{status:?}"),
    }
}

/// The status of a message that is one.
pub(crate) fn status(bytes: impl AsRef<[u8]>) -> Status {
    match read(bytes).0.unwrap().message {
        Message::Status(status) => *status,
        Message::Document(document) => panic!("{document:?}"),
    }
}

/// Gives out what a sink kept.
impl AttachmentSource for Kept {
    fn open(&mut self, index: usize) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(Box::new(self.attachments[index].as_slice()))
    }
}

pub(crate) fn write(message: &Message, attachments: &mut Kept) -> Result<String, WriteError> {
    let mut out = Vec::new();
    write_message(message, attachments, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// The diagnostics as text, with the verdict in front.
pub(crate) fn report(bytes: impl AsRef<[u8]>) -> String {
    let (verdict, diagnostics) = match read(bytes).0 {
        Ok(reading) => ("read".to_owned(), reading.warnings),
        Err(ReadError::Refused { diagnostics, .. }) => ("refused".to_owned(), diagnostics),
        Err(other) => (other.to_string(), Vec::new()),
    };
    let lines = diagnostics.iter().map(|diagnostic| format!("\n{diagnostic}"));
    std::iter::once(verdict).chain(lines).collect::<String>() + "\n"
}

/// The codes of all diagnostics.
pub(crate) fn codes(bytes: impl AsRef<[u8]>) -> Vec<&'static str> {
    match read(bytes).0 {
        Ok(reading) => reading.warnings.iter().map(|diagnostic| diagnostic.rule.code()).collect(),
        Err(ReadError::Refused { diagnostics, .. }) => diagnostics.iter().map(|diagnostic| diagnostic.rule.code()).collect(),
        Err(other) => panic!("{other}"),
    }
}

/// Replaces exactly one occurrence.
pub(crate) fn change(message: &str, from: &str, to: &str) -> String {
    assert_eq!(message.matches(from).count(), 1, "{from}");
    message.replace(from, to)
}

/// A message with one attachment of this name, type and base64 text.
pub(crate) fn with_attachment(name: &str, media_type: &str, content: &str) -> String {
    let message = sample("made/04-reply.edxml").replace("905-UBND-KT.pdf", name).replace("application/pdf", media_type);
    let start = message.find("<ContentTransferEncoded>").unwrap() + "<ContentTransferEncoded>".len();
    let end = message.find("</ContentTransferEncoded>").unwrap();
    format!("{}{content}{}", &message[..start], &message[end..])
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// How an entry is written.
#[derive(Clone, Copy)]
pub(crate) enum Packing {
    Stored,
    Deflated,
    Described { signature: bool },
}

/// A local entry with its data, without a directory.
pub(crate) fn zip_entry(name: &str, plain: &[u8], packing: Packing) -> Vec<u8> {
    use std::io::Write as _;
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let data = match packing {
        Packing::Stored => plain.to_vec(),
        Packing::Deflated | Packing::Described { .. } => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
    };
    let sums: Vec<u8> = [crc.sum(), u32::try_from(data.len()).unwrap(), u32::try_from(plain.len()).unwrap()]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let described = matches!(packing, Packing::Described { .. });
    let mut entry = b"PK\x03\x04\x14\x00".to_vec();
    entry.extend([if described { 8 } else { 0 }, 0, if matches!(packing, Packing::Stored) { 0 } else { 8 }, 0, 0, 0, 0, 0]);
    entry.extend(if described { vec![0; 12] } else { sums.clone() });
    entry.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    entry.extend([0, 0]);
    entry.extend(name.as_bytes());
    entry.extend(data);
    if let Packing::Described { signature } = packing {
        entry.extend(if signature { &b"PK\x07\x08"[..] } else { &[] });
        entry.extend(sums);
    }
    entry
}

/// Entries, and something that looks like the start of a directory.
pub(crate) fn zip(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.extend(b"PK\x01\x02\x14\x00 the rest of a directory");
    archive
}
