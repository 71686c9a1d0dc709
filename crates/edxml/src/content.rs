//! The way of one attachment's bytes: base64, perhaps an archive, digest, sink. At no point more than a chunk is held.

use std::io;

use sha2::{Digest as _, Sha256};
use truc_types::Digest;
use truc_types::limits::ATTACHMENT_BYTES_MAX;

use crate::base64_stream::{Base64Fault, Base64Stream};
use crate::limits::{CHUNK_BYTES_MAX, ENCODED_BYTES_MAX};
use crate::zip_stream::{END_OF_DIRECTORY, LOCAL_HEADER, ZipFault, ZipStream};

/// Where decoded and unpacked attachments go, in the order in which they stand in the message.
///
/// Calls come as `begin`, any number of `write`, `end`. A fault of an attachment or of the message leaves out `end`. What a sink received belongs to
/// a message only once [`read_message`](crate::read_message) returned it; until then, and after an error, it is to be thrown away.
pub trait AttachmentSink {
    /// The attachment with this index (from 0) begins; its name may not be known yet.
    ///
    /// # Errors
    /// Any error ends the reading with [`ReadError::Sink`](crate::ReadError::Sink).
    fn begin(&mut self, index: usize) -> io::Result<()>;
    /// Its next bytes, at most [`CHUNK_BYTES_MAX`](crate::limits::CHUNK_BYTES_MAX).
    ///
    /// # Errors
    /// As for `begin`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// It is complete.
    ///
    /// # Errors
    /// As for `begin`.
    fn end(&mut self, size: u64, sha256: &Digest) -> io::Result<()>;
}

/// Whether the elements before the content say that it is to be unpacked (domain rule: declared `application/zip` and not named `.zip`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpack {
    Yes,
    No,
    /// They have not come yet.
    Unknown,
}

/// Why an attachment's content was not taken.
#[derive(Debug)]
pub(crate) enum ContentFault {
    Base64(Base64Fault),
    Zip(ZipFault),
    TooLarge,
    Undecided,
    EmptyArchive,
    Sink(io::Error),
}

impl From<Base64Fault> for ContentFault {
    fn from(fault: Base64Fault) -> Self {
        Self::Base64(fault)
    }
}

impl From<ZipFault> for ContentFault {
    fn from(fault: ZipFault) -> Self {
        Self::Zip(fault)
    }
}

/// What is known of a content once it has ended.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) was_zipped: bool,
    /// The first bytes are those of an archive.
    pub(crate) looks_like_archive: bool,
    /// It was declared as an archive to unpack and was none.
    pub(crate) not_zip: bool,
    pub(crate) second_entry: bool,
    pub(crate) entry_name: String,
}

#[derive(Debug)]
enum Form {
    /// The first four bytes decide.
    Undecided(Vec<u8>),
    Plain,
    Zipped(Box<ZipStream>),
}

/// Digest, size and sink.
struct Output<'a> {
    sink: &'a mut dyn AttachmentSink,
    hasher: Sha256,
    size: u64,
}

impl Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ContentFault> {
        for chunk in bytes.chunks(CHUNK_BYTES_MAX) {
            self.size = self.size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if self.size > ATTACHMENT_BYTES_MAX {
                return Err(ContentFault::TooLarge);
            }
            self.hasher.update(chunk);
            self.sink.write(chunk).map_err(ContentFault::Sink)?;
        }
        Ok(())
    }
}

/// Everything behind the base64.
struct Decoded<'a> {
    form: Form,
    unpack: Unpack,
    encoded_bytes: u64,
    looks_like_archive: bool,
    output: Output<'a>,
}

impl Decoded<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), ContentFault> {
        self.encoded_bytes = self.encoded_bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.encoded_bytes > ENCODED_BYTES_MAX {
            return Err(ContentFault::TooLarge);
        }
        match &mut self.form {
            Form::Plain => self.output.write(bytes),
            Form::Zipped(zip) => zip.push(bytes, |plain| self.output.write(plain)),
            Form::Undecided(held) => {
                held.extend_from_slice(bytes);
                if held.len() < LOCAL_HEADER.len() {
                    return Ok(());
                }
                self.decide()
            }
        }
    }

    fn decide(&mut self) -> Result<(), ContentFault> {
        let Form::Undecided(held) = &mut self.form else { return Ok(()) };
        let held = std::mem::take(held);
        let is_archive = held.starts_with(&LOCAL_HEADER) || held.starts_with(&END_OF_DIRECTORY);
        self.looks_like_archive = is_archive;
        match (is_archive, self.unpack) {
            (true, Unpack::Unknown) => Err(ContentFault::Undecided),
            (true, Unpack::Yes) if held.starts_with(&END_OF_DIRECTORY) => Err(ContentFault::EmptyArchive),
            (true, Unpack::Yes) => {
                let mut zip = Box::new(ZipStream::new());
                zip.push(&held, |plain| self.output.write(plain))?;
                self.form = Form::Zipped(zip);
                Ok(())
            }
            (true, Unpack::No) | (false, _) => {
                self.form = Form::Plain;
                self.output.write(&held)
            }
        }
    }
}

/// A content on its way.
pub(crate) struct Content<'a> {
    base64: Base64Stream,
    decoded: Decoded<'a>,
}

impl<'a> Content<'a> {
    pub(crate) fn begin(index: usize, unpack: Unpack, sink: &'a mut dyn AttachmentSink) -> Result<Self, ContentFault> {
        sink.begin(index).map_err(ContentFault::Sink)?;
        let output = Output { sink, hasher: Sha256::new(), size: 0 };
        Ok(Self {
            base64: Base64Stream::new(),
            decoded: Decoded { form: Form::Undecided(Vec::new()), unpack, encoded_bytes: 0, looks_like_archive: false, output },
        })
    }

    pub(crate) fn push(&mut self, text: &[u8]) -> Result<(), ContentFault> {
        self.base64.push(text, |bytes| self.decoded.push(bytes))
    }

    pub(crate) fn finish(mut self) -> Result<Received, ContentFault> {
        self.base64.finish(|bytes| self.decoded.push(bytes))?;
        self.decoded.decide()?;
        let Decoded { form, unpack, output, looks_like_archive, .. } = self.decoded;
        let zip = match form {
            Form::Zipped(zip) => Some(zip),
            Form::Plain | Form::Undecided(_) => None,
        };
        if let Some(zip) = &zip {
            zip.finish()?;
        }
        let sha256 = Digest(output.hasher.finalize().into());
        output.sink.end(output.size, &sha256).map_err(ContentFault::Sink)?;
        let was_zipped = zip.is_some();
        Ok(Received {
            size: output.size,
            sha256,
            was_zipped,
            looks_like_archive,
            not_zip: unpack == Unpack::Yes && !was_zipped,
            second_entry: zip.as_ref().is_some_and(|zip| zip.second_entry),
            entry_name: zip.map(|zip| zip.entry_name).unwrap_or_default(),
        })
    }
}
