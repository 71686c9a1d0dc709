//! A ZIP archive with one deflated entry, piece by piece (APPNOTE 4.3.7 to 4.3.16): sizes and checksum follow in a data descriptor, as in the archives
//! of the national library. The time of the entry is fixed, so the same bytes give the same archive.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::limits::{EXPANSION_FREE_BYTES, EXPANSION_RATIO_MAX};

/// Bytes that are compressed at once. Each segment starts afresh, which costs less than a hundredth and lets any of them be stored instead.
const SEGMENT_BYTES: usize = 256 * 1024;
/// The largest part of a stored block (RFC 1951 section 3.2.4).
const STORED_BLOCK_BYTES: usize = 65_535;
/// How far deflate can shrink at best (1,032), with room for the ends of blocks.
const DEFLATE_RATIO_MAX: u64 = 1_100;
/// A final block without content: fixed codes, end of block.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];
/// 1 January 1980, the first day that the format has.
const TIME_AND_DATE: [u8; 4] = [0, 0, 0x21, 0];
const VERSION: [u8; 2] = 20_u16.to_le_bytes();
/// Deflated; sizes come later; the name is UTF-8.
const FLAGS_AND_METHOD: [u8; 4] = [0x08, 0x08, 8, 0];

/// An archive on its way. `O` takes its bytes.
pub(super) struct Archive<O> {
    out: O,
    name: String,
    segment: Vec<u8>,
    deflater: Compress,
    packed: Vec<u8>,
    crc: Crc,
    plain_bytes: u64,
    packed_bytes: u64,
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Sizes stay far below 4 GiB: attachments are limited, and what deflate adds is little.
fn four_bytes(value: u64) -> io::Result<[u8; 4]> {
    u32::try_from(value).map(u32::to_le_bytes).map_err(|_| io::Error::other("an archive above 4 GiB"))
}

impl<O: FnMut(&[u8]) -> io::Result<()>> Archive<O> {
    /// Begins an archive whose entry has this name (short, ASCII, chosen by us).
    pub(super) fn begin(name: String, mut out: O) -> io::Result<Self> {
        out(b"PK\x03\x04")?;
        for part in [&VERSION[..], &FLAGS_AND_METHOD, &TIME_AND_DATE, &[0; 12], &name_length(&name)?, &[0; 2], name.as_bytes()] {
            out(part)?;
        }
        Ok(Self {
            out,
            name,
            segment: Vec::with_capacity(SEGMENT_BYTES),
            deflater: Compress::new(Compression::fast(), false),
            packed: Vec::with_capacity(SEGMENT_BYTES + SEGMENT_BYTES / 8),
            crc: Crc::new(),
            plain_bytes: 0,
            packed_bytes: 0,
        })
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at_checked(SEGMENT_BYTES - self.segment.len()).unwrap_or((bytes, &[]));
            self.segment.extend_from_slice(taken);
            bytes = rest;
            if self.segment.len() == SEGMENT_BYTES {
                self.pack()?;
            }
        }
        Ok(())
    }

    /// The end of the entry, and the directory.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.segment.is_empty() {
            self.pack()?;
        }
        (self.out)(&FINAL_BLOCK)?;
        self.packed_bytes += length(&FINAL_BLOCK);
        let sums = [self.crc.sum().to_le_bytes(), four_bytes(self.packed_bytes)?, four_bytes(self.plain_bytes)?].concat();
        (self.out)(b"PK\x07\x08")?;
        (self.out)(&sums)?;
        let name_length = name_length(&self.name)?;
        let entry = [
            &b"PK\x01\x02"[..],
            &VERSION,
            &VERSION,
            &FLAGS_AND_METHOD,
            &TIME_AND_DATE,
            &sums,
            &name_length,
            // Extra field, comment, disk, internal and external attributes, and the offset of the local header: all nothing.
            &[0; 16],
            self.name.as_bytes(),
        ]
        .concat();
        (self.out)(&entry)?;
        // Local header, entry and descriptor stand before the directory.
        let offset = 30 + length(self.name.as_bytes()) + self.packed_bytes + 16;
        let end = [&b"PK\x05\x06"[..], &[0; 4], &[1, 0, 1, 0], &four_bytes(length(&entry))?, &four_bytes(offset)?, &[0; 2]].concat();
        (self.out)(&end)
    }

    /// Sends the segment on: deflated, or stored where deflating might carry the whole archive over the ratio at which readers see a bomb.
    fn pack(&mut self) -> io::Result<()> {
        self.crc.update(&self.segment);
        self.plain_bytes += length(&self.segment);
        let least = self.packed_bytes + length(&self.segment) / DEFLATE_RATIO_MAX;
        self.packed.clear();
        if self.plain_bytes > EXPANSION_FREE_BYTES && self.plain_bytes / EXPANSION_RATIO_MAX >= least {
            for block in self.segment.chunks(STORED_BLOCK_BYTES) {
                let bytes = u16::try_from(block.len()).map_err(io::Error::other)?;
                self.packed.push(0);
                self.packed.extend_from_slice(&bytes.to_le_bytes());
                self.packed.extend_from_slice(&(!bytes).to_le_bytes());
                self.packed.extend_from_slice(block);
            }
        } else {
            self.deflate()?;
        }
        self.segment.clear();
        self.packed_bytes += length(&self.packed);
        (self.out)(&self.packed)
    }

    /// Deflates the segment up to a byte boundary.
    fn deflate(&mut self) -> io::Result<()> {
        self.deflater.reset();
        loop {
            if self.packed.capacity() - self.packed.len() < 1024 {
                self.packed.reserve(SEGMENT_BYTES / 8);
            }
            let read = usize::try_from(self.deflater.total_in()).unwrap_or(usize::MAX);
            let rest = self.segment.get(read..).unwrap_or_default();
            let status = self.deflater.compress_vec(rest, &mut self.packed, FlushCompress::Sync).map_err(io::Error::other)?;
            let all_read = self.deflater.total_in() == length(&self.segment);
            // Room is left in the output: the flush is complete.
            if all_read && self.packed.len() < self.packed.capacity() {
                return Ok(());
            }
            if status == Status::StreamEnd {
                return Err(io::Error::other("the deflate stream ended by itself"));
            }
        }
    }
}

fn name_length(name: &str) -> io::Result<[u8; 2]> {
    u16::try_from(name.len()).map(u16::to_le_bytes).map_err(io::Error::other)
}
