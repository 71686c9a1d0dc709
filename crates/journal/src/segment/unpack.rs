//! Reading a bundled segment: rows one by one with positioned reads, bundles unpacked when they are needed.
//!
//! Not a cache and not a judgement: it says what is wrong with the bytes, others say what follows from it. Memory: one bundle.

use std::fs::File;
use std::io;
use std::sync::Arc;

use truc_ledger::{Frontier, leaf_hash};
use truc_types::{BlockNumber, Digest, Position};

use super::bundle::{
    BLOCK_ROW_BYTES, BUNDLE_ENTRIES_MAX, BUNDLE_ROW_BYTES, BUNDLED_FORMAT, BlockRow, BundleRow, FOOTER_BYTES, Footer, wide,
};
use super::format::{FormatError, PAYLOAD_BYTES_MAX, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::walk::read_at;
use crate::block::{Block, BlockHeader};

/// Header and footer of a bundled segment: all that opening it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bundled {
    pub(super) header: SegmentHeader,
    pub(super) footer: Footer,
}

/// The entries of a bundle.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Position of the first.
    pub(super) position: Position,
    bytes: Vec<u8>,
    /// Where each begins, behind its length.
    starts: Vec<u32>,
}

/// Bytes that cannot be read: the file system's fault, or that of the bytes, and where.
#[derive(Debug)]
pub(super) enum UnpackError {
    Storage(io::Error),
    Wrong { offset: u64, cause: FormatError },
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> Self {
        Self::Storage(error)
    }
}

impl Bundle {
    /// The entry at a position of the bundle.
    pub(super) fn entry(&self, position: Position) -> Option<&[u8]> {
        let index = usize::try_from(position.0.checked_sub(self.position.0)?).ok()?;
        let start = usize::try_from(*self.starts.get(index)?).ok()?;
        let end = match self.starts.get(index + 1) {
            Some(next) => usize::try_from(*next).ok()?.checked_sub(2)?,
            None => self.bytes.len(),
        };
        self.bytes.get(start..end)
    }

    /// All entries in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        (self.position.0..).map(Position).map_while(|position| self.entry(position))
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.starts.len() * 4
    }

    fn split(position: Position, bytes: Vec<u8>, count: u16) -> Result<Self, FormatError> {
        let mut starts = Vec::with_capacity(BUNDLE_ENTRIES_MAX.min(usize::from(count)));
        let mut at = 0;
        while let Some((length, rest)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk()) {
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > rest.len() || starts.len() == usize::from(count) {
                return Err(FormatError::Payload);
            }
            starts.push(u32::try_from(at + 2).map_err(|_| FormatError::Payload)?);
            at += 2 + length;
        }
        if at == bytes.len() && starts.len() == usize::from(count) {
            Ok(Self { position, bytes, starts })
        } else {
            Err(FormatError::Payload)
        }
    }
}

impl Bundled {
    /// Reads header and footer of a file of this length.
    pub(super) fn open(file: &File, length: u64) -> Result<Self, UnpackError> {
        let wrong = |offset| move |cause| UnpackError::Wrong { offset, cause };
        let mut head = [0u8; SEGMENT_HEADER_BYTES];
        if !read_at(file, &mut head, 0)? {
            return Err(wrong(0)(FormatError::ShortHeader));
        }
        let header = SegmentHeader::decode(&head, BUNDLED_FORMAT).map_err(wrong(0))?;
        let offset = length.saturating_sub(wide(FOOTER_BYTES));
        let mut foot = [0u8; FOOTER_BYTES];
        if !read_at(file, &mut foot, offset)? {
            return Err(wrong(offset)(FormatError::ShortHeader));
        }
        let footer = Footer::decode(&foot, &header, length).map_err(wrong(offset))?;
        Ok(Self { header, footer })
    }

    pub(super) fn bundle_row(&self, file: &File, index: u32) -> Result<BundleRow, UnpackError> {
        let offset = self.footer.bundle_row(index);
        let wrong = |cause| UnpackError::Wrong { offset, cause };
        let mut bytes = [0u8; BUNDLE_ROW_BYTES];
        if index >= self.footer.bundles || !read_at(file, &mut bytes, offset)? {
            return Err(wrong(FormatError::ShortHeader));
        }
        BundleRow::decode(&bytes, self.footer.rows_offset).map_err(wrong)
    }

    fn block_row(&self, file: &File, index: u32) -> Result<BlockRow, UnpackError> {
        let offset = self.footer.block_row(index);
        let wrong = |cause| UnpackError::Wrong { offset, cause };
        let mut bytes = [0u8; BLOCK_ROW_BYTES];
        if index >= self.footer.blocks || !read_at(file, &mut bytes, offset)? {
            return Err(wrong(FormatError::ShortHeader));
        }
        BlockRow::decode(&bytes).map_err(wrong)
    }

    /// The header of a block of the segment.
    pub(super) fn header_of(&self, file: &File, number: BlockNumber) -> Result<BlockHeader, UnpackError> {
        let index = number.0.checked_sub(self.header.number.0).and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
        let row = self.block_row(file, index)?;
        row.header(number, &self.header).map_err(|cause| UnpackError::Wrong { offset: self.footer.block_row(index), cause })
    }

    /// Number of the first block whose position is not below this one; the number behind the last if there is none.
    pub(super) fn first_block_at(&self, file: &File, position: Position) -> Result<BlockNumber, UnpackError> {
        let below = |index| Ok(self.block_row(file, index)?.position < position);
        Ok(BlockNumber(self.header.number.0 + u64::from(partition(self.footer.blocks, below)?)))
    }

    /// Which bundle holds the entry at a position, and its row.
    pub(super) fn bundle_of(&self, file: &File, position: Position) -> Result<(u32, BundleRow), UnpackError> {
        let not_above = |index| Ok(self.bundle_row(file, index)?.position <= position);
        let index = partition(self.footer.bundles, not_above)?.saturating_sub(1);
        let row = self.bundle_row(file, index)?;
        if position < row.position || position >= row.end() {
            return Err(UnpackError::Wrong { offset: self.footer.bundle_row(index), cause: FormatError::Field });
        }
        Ok((index, row))
    }

    /// Reads, checks and unpacks a bundle. Allocates no more than its row says, which is within the limits.
    pub(super) fn unpack(file: &File, row: &BundleRow) -> Result<Bundle, UnpackError> {
        let wrong = |cause| UnpackError::Wrong { offset: row.offset, cause };
        let mut frame = vec![0u8; row.bytes];
        if !read_at(file, &mut frame, row.offset)? {
            return Err(wrong(FormatError::ShortHeader));
        }
        if crc32fast::hash(&frame) != row.checksum {
            return Err(wrong(FormatError::PayloadChecksum));
        }
        let bytes = zstd::bulk::decompress(&frame, row.unpacked).map_err(|_| wrong(FormatError::Payload))?;
        if bytes.len() != row.unpacked {
            return Err(wrong(FormatError::Payload));
        }
        Bundle::split(row.position, bytes, row.entries).map_err(wrong)
    }

    /// Whether the rows have these roots, in order.
    pub(super) fn check_rows(&self, file: &File, roots: &[Digest]) -> Result<(), UnpackError> {
        for (index, root) in (0..self.footer.bundles).zip(roots.iter().map(Some).chain(std::iter::repeat(None))) {
            if Some(&self.bundle_row(file, index)?.root) != root {
                return Err(UnpackError::Wrong { offset: self.footer.bundle_row(index), cause: FormatError::Field });
            }
        }
        Ok(())
    }

    /// Whether each bundle has the root that its row says: a start believes the rows.
    pub(super) fn check_roots(&self, file: &File) -> Result<(), UnpackError> {
        for index in 0..self.footer.bundles {
            let row = self.bundle_row(file, index)?;
            let mut tree = Frontier::new();
            Self::unpack(file, &row)?.entries().for_each(|entry| tree.append(leaf_hash(entry)));
            if tree.root() != row.root {
                return Err(UnpackError::Wrong { offset: self.footer.bundle_row(index), cause: FormatError::Field });
            }
        }
        Ok(())
    }

    /// A block, from bundles that `bundle` has or unpacks.
    pub(super) fn block(
        &self,
        file: &File,
        number: BlockNumber,
        mut bundle: impl FnMut(Position) -> Result<Arc<Bundle>, UnpackError>,
    ) -> Result<Block, UnpackError> {
        let header = self.header_of(file, number)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let (mut position, end) = (header.position, header.end().position);
        while position < end {
            let bundle = bundle(position)?;
            let before = position;
            while position < end
                && let Some(entry) = bundle.entry(position)
            {
                bytes += entry.len() + 2;
                if bytes > PAYLOAD_BYTES_MAX {
                    return Err(UnpackError::Wrong { offset: self.footer.rows_offset, cause: FormatError::Field });
                }
                entries.push(Arc::from(entry));
                position = position.next();
            }
            if position == before {
                // A bundle that does not hold what it was asked for; never seen from `bundle_of`, but a loop must end.
                return Err(UnpackError::Wrong { offset: self.footer.rows_offset, cause: FormatError::Field });
            }
        }
        Ok(Block { header, entries })
    }
}

/// Index of the first of `count` for which `holds` is false.
fn partition(count: u32, mut holds: impl FnMut(u32) -> Result<bool, UnpackError>) -> Result<u32, UnpackError> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
