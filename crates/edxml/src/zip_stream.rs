//! The first entry of a ZIP archive, piece by piece, from its local header on (APPNOTE 4.3.7 to 4.3.9). Names in the archive are never used.
//!
//! It does not read the central directory: that stands at the end, and a stream has no end to look at first. Size and CRC-32 of the entry are
//! checked against its header, or against the data descriptor behind it.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::limits::{CHUNK_BYTES_MAX, EXPANSION_FREE_BYTES, EXPANSION_RATIO_MAX};

/// First bytes of an archive with an entry.
pub(crate) const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
/// First bytes of an archive without entries.
pub(crate) const END_OF_DIRECTORY: [u8; 4] = *b"PK\x05\x06";
const DATA_DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
const HEADER_BYTES: usize = 30;

/// Why an archive cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZipFault {
    /// A feature that is refused, by name.
    Unsupported(&'static str),
    Corrupt(&'static str),
    Truncated,
    Checksum,
    Expansion,
}

/// What the local header says.
#[derive(Debug, Clone, Copy, Default)]
struct Header {
    described_later: bool,
    deflated: bool,
    crc: u32,
    packed_bytes: u64,
    plain_bytes: u64,
    name_bytes: usize,
    extra_bytes: usize,
}

#[derive(Debug)]
enum Stage {
    Header,
    Name,
    Extra,
    Stored,
    Deflated,
    Descriptor,
    /// The four bytes behind the entry: central directory, or another entry.
    Next,
    Rest,
}

/// An unpacker that is fed bytes of an archive and gives bytes of its first entry.
#[derive(Debug)]
pub(crate) struct ZipStream {
    stage: Stage,
    header: Header,
    held: Vec<u8>,
    inflater: Decompress,
    plain: Vec<u8>,
    crc: Crc,
    packed_bytes: u64,
    plain_bytes: u64,
    /// Display only, for diagnostics.
    pub(crate) entry_name: String,
    /// Another entry follows.
    pub(crate) second_entry: bool,
}

fn little_endian_16(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |pair| usize::from(u16::from_le_bytes(*pair)))
}

fn little_endian_32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, ZipFault> {
        if !bytes.starts_with(&LOCAL_HEADER) {
            return Err(ZipFault::Corrupt("local header"));
        }
        let flags = little_endian_16(bytes, 6);
        if flags & 0b1 != 0 {
            return Err(ZipFault::Unsupported("encryption"));
        }
        let deflated = match little_endian_16(bytes, 8) {
            0 => false,
            8 => true,
            _ => return Err(ZipFault::Unsupported("compression method")),
        };
        let described_later = flags & 0b1000 != 0;
        if described_later && !deflated {
            return Err(ZipFault::Unsupported("stored entry with data descriptor"));
        }
        let (packed, plain) = (little_endian_32(bytes, 18), little_endian_32(bytes, 22));
        if packed == u32::MAX || plain == u32::MAX {
            return Err(ZipFault::Unsupported("ZIP64"));
        }
        if !deflated && packed != plain {
            return Err(ZipFault::Corrupt("sizes of a stored entry"));
        }
        Ok(Self {
            described_later,
            deflated,
            crc: little_endian_32(bytes, 14),
            packed_bytes: packed.into(),
            plain_bytes: plain.into(),
            name_bytes: little_endian_16(bytes, 26),
            extra_bytes: little_endian_16(bytes, 28),
        })
    }
}

impl ZipStream {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Header,
            header: Header::default(),
            held: Vec::new(),
            inflater: Decompress::new(false),
            plain: vec![0; CHUNK_BYTES_MAX],
            crc: Crc::new(),
            packed_bytes: 0,
            plain_bytes: 0,
            entry_name: String::new(),
            second_entry: false,
        }
    }

    /// Takes bytes of the archive; bytes of the entry go to `out`.
    pub(crate) fn push<E: From<ZipFault>>(&mut self, mut bytes: &[u8], mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        loop {
            let before = std::mem::discriminant(&self.stage);
            bytes = match self.stage {
                Stage::Header => {
                    let Some(rest) = self.hold(HEADER_BYTES, bytes) else { return Ok(()) };
                    self.header = Header::parse(&self.held)?;
                    self.enter(Stage::Name);
                    rest
                }
                Stage::Name => {
                    let Some(rest) = self.hold(self.header.name_bytes, bytes) else { return Ok(()) };
                    self.entry_name = String::from_utf8_lossy(&self.held).into_owned();
                    self.enter(Stage::Extra);
                    rest
                }
                Stage::Extra => {
                    let Some(rest) = self.hold(self.header.extra_bytes, bytes) else { return Ok(()) };
                    self.enter(if self.header.deflated { Stage::Deflated } else { Stage::Stored });
                    rest
                }
                Stage::Stored => self.stored(bytes, &mut out)?,
                Stage::Deflated => self.inflate(bytes, &mut out)?,
                Stage::Descriptor => {
                    let Some(rest) = self.hold(4, bytes) else { return Ok(()) };
                    let wanted = if self.held.starts_with(&DATA_DESCRIPTOR) { 16 } else { 12 };
                    let Some(rest) = self.hold(wanted, rest) else { return Ok(()) };
                    self.check_descriptor()?;
                    self.enter(Stage::Next);
                    rest
                }
                Stage::Next => {
                    let Some(rest) = self.hold(4, bytes) else { return Ok(()) };
                    self.second_entry = self.held == LOCAL_HEADER;
                    self.enter(Stage::Rest);
                    rest
                }
                Stage::Rest => return Ok(()),
            };
            // A new stage may need no bytes at all (an empty name, an empty stored entry): it is tried once more.
            if bytes.is_empty() && before == std::mem::discriminant(&self.stage) {
                return Ok(());
            }
        }
    }

    /// The archive has ended.
    pub(crate) fn finish(&self) -> Result<(), ZipFault> {
        match self.stage {
            Stage::Next | Stage::Rest => Ok(()),
            _ => Err(ZipFault::Truncated),
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.held.clear();
        self.stage = stage;
    }

    /// Moves bytes into `held` until it has `wanted`; then gives the rest.
    fn hold<'a>(&mut self, wanted: usize, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let missing = wanted.saturating_sub(self.held.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(taken);
        (self.held.len() >= wanted).then_some(rest)
    }

    fn stored<'a, E: From<ZipFault>>(&mut self, bytes: &'a [u8], out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<&'a [u8], E> {
        let left = usize::try_from(self.header.packed_bytes - self.packed_bytes).unwrap_or(usize::MAX);
        let (taken, rest) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        for chunk in taken.chunks(CHUNK_BYTES_MAX) {
            self.crc.update(chunk);
            out(chunk)?;
        }
        self.packed_bytes += length(taken);
        self.plain_bytes += length(taken);
        if self.packed_bytes == self.header.packed_bytes {
            self.check_entry(self.header.crc, self.header.packed_bytes, self.header.plain_bytes)?;
            self.enter(Stage::Next);
        }
        Ok(rest)
    }

    fn inflate<'a, E: From<ZipFault>>(&mut self, bytes: &'a [u8], out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<&'a [u8], E> {
        let mut rest = bytes;
        loop {
            let (read_before, written_before) = (self.inflater.total_in(), self.inflater.total_out());
            let status =
                self.inflater.decompress(rest, &mut self.plain, FlushDecompress::None).map_err(|_| ZipFault::Corrupt("deflate stream"))?;
            let read = usize::try_from(self.inflater.total_in() - read_before).unwrap_or(0);
            let written = usize::try_from(self.inflater.total_out() - written_before).unwrap_or(0);
            rest = rest.get(read..).unwrap_or_default();
            (self.packed_bytes, self.plain_bytes) = (self.inflater.total_in(), self.inflater.total_out());
            if self.plain_bytes > EXPANSION_FREE_BYTES && self.plain_bytes / EXPANSION_RATIO_MAX > self.packed_bytes {
                return Err(ZipFault::Expansion.into());
            }
            let chunk = self.plain.get(..written).unwrap_or_default();
            self.crc.update(chunk);
            if !chunk.is_empty() {
                out(chunk)?;
            }
            if status == Status::StreamEnd {
                if self.header.described_later {
                    self.enter(Stage::Descriptor);
                } else {
                    self.check_entry(self.header.crc, self.header.packed_bytes, self.header.plain_bytes)?;
                    self.enter(Stage::Next);
                }
                return Ok(rest);
            }
            // There was room for more output: everything that can be had from these bytes is out.
            if written < self.plain.len() && rest.is_empty() {
                return Ok(rest);
            }
            if read == 0 && written == 0 {
                return Err(ZipFault::Corrupt("deflate stream").into());
            }
        }
    }

    fn check_descriptor(&self) -> Result<(), ZipFault> {
        // The signature is optional (APPNOTE 4.3.9.3).
        let start = if self.held.starts_with(&DATA_DESCRIPTOR) { 4 } else { 0 };
        let value = |at: usize| little_endian_32(&self.held, start + at);
        self.check_entry(value(0), value(4).into(), value(8).into())
    }

    fn check_entry(&self, crc: u32, packed_bytes: u64, plain_bytes: u64) -> Result<(), ZipFault> {
        let same = self.crc.sum() == crc && self.packed_bytes == packed_bytes && self.plain_bytes == plain_bytes;
        if same { Ok(()) } else { Err(ZipFault::Checksum) }
    }
}
