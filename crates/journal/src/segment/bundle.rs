//! The bytes of a bundled segment: what a sealed segment becomes once it is packed. Format 2.
//!
//! Not how it is made (`pack`) nor how it is read (`unpack`). All numbers are big-endian; rows have their own checksums, so that one row can be
//! believed without reading the others.
//!
//! ```text
//!   0  header, 176: that of a plain segment, with format 2
//! 176  bundles: one zstd frame each. A frame holds per entry its length, 2, and its bytes (a C2SP entry bundle): the entries of one chunk
//!      of 256 leaves, fewer only in the first and the last bundle of a segment
//!      bundle rows, 68 each                       block rows, 64 each
//!        0  offset in the file, 8                   0  kind, 1: as in a block header
//!        8  bytes of the frame, 4                   1  zero, 1
//!       12  bytes that it unpacks to, 4             2  entries, 2
//!       16  position of its first entry, 8          4  position, 8
//!       24  entries, 2                             12  term, 8
//!       26  zero, 2                                20  time, 8
//!       28  root over its entries, 32              28  root after the block, 32
//!       60  CRC-32 of the frame, 4                 60  CRC-32 of what stands before, 4
//!       64  CRC-32 of what stands before, 4
//!      footer, 108
//!        0  magic, 8     8  format, 2    10  zero, 6
//!       16  bundles, 4  20  blocks, 4    24  offset of the bundle rows, 8
//!       32  position behind the last entry, 8   40  tree size, 8   48  term, 8   56  time, 8   64  root, 32
//!       96  bytes of all entries, 8     104  CRC-32 of what stands before, 4
//! ```

use truc_ledger::store::CHUNK_LEAVES;
use truc_types::limits::{BLOCK_ENTRIES_MAX, ENTRY_BYTES_MAX};
use truc_types::{BlockNumber, Digest, LeafIndex, Position, Term, Timestamp};

use super::format::{Fields, FormatError, SEGMENT_HEADER_BYTES, SegmentHeader, kind_number, kind_of, push_checksum};
use super::open::SEGMENT_FILE_BYTES_MAX;
use crate::block::{BlockHeader, BlockKind, JournalEnd};

/// The format of bundled segments.
pub(super) const BUNDLED_FORMAT: u16 = 2;
/// Entries of a bundle: a chunk of the tree, so that a proof of an old leaf unpacks one.
pub(super) const BUNDLE_ENTRIES_MAX: usize = 256;
const _: () = assert!(BUNDLE_ENTRIES_MAX as u64 == CHUNK_LEAVES, "a bundle is a chunk of the tree");
/// What the largest bundle unpacks to.
pub(super) const BUNDLE_BYTES_MAX: usize = BUNDLE_ENTRIES_MAX * (ENTRY_BYTES_MAX + 2);

pub(super) const FOOTER_BYTES: usize = 108;
pub(super) const BUNDLE_ROW_BYTES: usize = 68;
pub(super) const BLOCK_ROW_BYTES: usize = 64;
/// Last part of a bundled segment.
const FOOTER_MAGIC: [u8; 8] = *b"\xffTRUCEND";

/// Where a bundle is and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BundleRow {
    pub(super) offset: u64,
    pub(super) bytes: usize,
    pub(super) unpacked: usize,
    pub(super) position: Position,
    pub(super) entries: u16,
    /// Root of the tree over its entries alone: the tree's node of level 8 if there are 256.
    pub(super) root: Digest,
    pub(super) checksum: u32,
}

impl BundleRow {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.bytes).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.unpacked).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&self.position.0.to_be_bytes());
        bytes.extend_from_slice(&self.entries.to_be_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.root.0);
        bytes.extend_from_slice(&self.checksum.to_be_bytes());
        push_checksum(bytes, start);
    }

    /// Reads a row. Lengths are within their limits and the frame lies before the rows afterwards.
    pub(super) fn decode(bytes: &[u8], rows_offset: u64) -> Result<Self, FormatError> {
        let mut fields = Fields::checked(bytes)?;
        let (offset, packed, unpacked) = (fields.u64()?, fields.u32()?, fields.u32()?);
        let (position, entries, zero) = (Position(fields.u64()?), fields.u16()?, fields.u16()?);
        let (root, checksum) = (Digest(fields.take()?), fields.u32()?);
        let end = offset.checked_add(u64::from(packed)).ok_or(FormatError::Field)?;
        let (bytes, unpacked) = (usize::try_from(packed).map_err(too_large)?, usize::try_from(unpacked).map_err(too_large)?);
        let is_small = bytes <= packed_bytes_max(unpacked) && unpacked <= BUNDLE_BYTES_MAX;
        let counts = (1..=BUNDLE_ENTRIES_MAX).contains(&usize::from(entries));
        if zero != 0 || end > rows_offset || !is_small || !counts || position.0.checked_add(u64::from(entries)).is_none() {
            return Err(FormatError::Field);
        }
        Ok(Self { offset, bytes, unpacked, position, entries, root, checksum })
    }

    /// Position behind its last entry.
    pub(super) fn end(&self) -> Position {
        self.position.plus(u64::from(self.entries))
    }
}

/// Bytes of the largest frame that unpacks to so many: what does not compress is stored, with a few bytes around it.
pub(super) fn packed_bytes_max(unpacked: usize) -> usize {
    zstd::zstd_safe::compress_bound(unpacked)
}

/// A block header without what follows from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockRow {
    pub(super) kind: u8,
    pub(super) entries: u16,
    pub(super) position: Position,
    pub(super) term: Term,
    pub(super) time: Timestamp,
    pub(super) root: Digest,
}

impl BlockRow {
    pub(super) fn of(header: &BlockHeader, entries: u16) -> Self {
        let BlockHeader { kind, position, term, time, root, .. } = header;
        Self { kind: kind_number(*kind), entries, position: *position, term: *term, time: *time, root: *root }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&[self.kind, 0]);
        bytes.extend_from_slice(&self.entries.to_be_bytes());
        for number in [self.position.0, self.term.0, self.time.as_millis()] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.root.0);
        push_checksum(bytes, start);
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::checked(bytes)?;
        let [kind, zero] = fields.take()?;
        let (entries, position, term, time) = (fields.u16()?, Position(fields.u64()?), Term(fields.u64()?), fields.u64()?);
        let root = Digest(fields.take()?);
        let time = Some(Timestamp::from_millis(time)).filter(|read| read.as_millis() == time).ok_or(FormatError::Field)?;
        let counts = usize::from(entries) <= BLOCK_ENTRIES_MAX && (entries > 0 || kind_of(kind)? != BlockKind::Entries);
        if zero != 0 || !counts || position.0.checked_add(u64::from(entries)).is_none() {
            return Err(FormatError::Field);
        }
        Ok(Self { kind, entries, position, term, time, root })
    }

    /// The header of the block with this number in the segment.
    pub(super) fn header(&self, number: BlockNumber, segment: &SegmentHeader) -> Result<BlockHeader, FormatError> {
        let before = self.position.0.checked_sub(segment.position.0).ok_or(FormatError::Field)?;
        let leaf = segment.leaf.0.checked_add(before).ok_or(FormatError::Field)?;
        let tree_size = leaf.checked_add(u64::from(self.entries)).ok_or(FormatError::Field)?;
        Ok(BlockHeader {
            kind: kind_of(self.kind)?,
            number,
            position: self.position,
            leaf: LeafIndex(leaf),
            origin: segment.origin.clone(),
            term: self.term,
            time: self.time,
            tree_size,
            root: self.root,
        })
    }
}

/// What stands at the end of a bundled segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) bundles: u32,
    pub(super) blocks: u32,
    pub(super) rows_offset: u64,
    /// The journal's end behind the segment.
    pub(super) end: JournalEnd,
    /// Bytes of all entries.
    pub(super) entry_bytes: u64,
}

impl Footer {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend_from_slice(&FOOTER_MAGIC);
        bytes.extend_from_slice(&BUNDLED_FORMAT.to_be_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.bundles.to_be_bytes());
        bytes.extend_from_slice(&self.blocks.to_be_bytes());
        let end = &self.end;
        for number in [self.rows_offset, end.position.0, end.tree_size, end.term.0, end.time.as_millis()] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&end.root.0);
        bytes.extend_from_slice(&self.entry_bytes.to_be_bytes());
        push_checksum(bytes, start);
    }

    /// Reads the last [`FOOTER_BYTES`] of a file of this length. The rows fill exactly what lies between the bundles and the footer afterwards.
    pub(super) fn decode(bytes: &[u8], header: &SegmentHeader, length: u64) -> Result<Self, FormatError> {
        let mut fields = Fields::checked(bytes)?;
        if fields.take()? != FOOTER_MAGIC {
            return Err(FormatError::Magic);
        }
        let found = fields.u16()?;
        if found != BUNDLED_FORMAT {
            return Err(FormatError::Format { found });
        }
        fields.take::<6>()?;
        let (bundles, blocks, rows_offset) = (fields.u32()?, fields.u32()?, fields.u64()?);
        let (position, tree_size, term, time) = (Position(fields.u64()?), fields.u64()?, Term(fields.u64()?), fields.u64()?);
        let (root, entry_bytes) = (Digest(fields.take()?), fields.u64()?);
        let time = Some(Timestamp::from_millis(time)).filter(|read| read.as_millis() == time).ok_or(FormatError::Field)?;
        let number = BlockNumber(header.number.0.checked_add(u64::from(blocks)).ok_or(FormatError::Field)?);
        let rows = u64::from(bundles) * wide(BUNDLE_ROW_BYTES) + u64::from(blocks) * wide(BLOCK_ROW_BYTES);
        let fills = rows_offset.checked_add(rows).and_then(|end| end.checked_add(wide(FOOTER_BYTES))) == Some(length);
        let entries = position.0.checked_sub(header.position.0);
        let leaves = tree_size.checked_sub(header.leaf.0);
        if !fills || rows_offset < wide(SEGMENT_HEADER_BYTES) || length > SEGMENT_FILE_BYTES_MAX || blocks == 0 || entries != leaves {
            return Err(FormatError::Field);
        }
        let end = JournalEnd { number, position, term, time, origin: header.origin.clone(), tree_size, root };
        Ok(Self { bundles, blocks, rows_offset, end, entry_bytes })
    }

    /// Where the row of a bundle stands.
    pub(super) fn bundle_row(&self, index: u32) -> u64 {
        self.rows_offset + u64::from(index) * wide(BUNDLE_ROW_BYTES)
    }

    /// Where the row of a block stands, counted from the first of the segment.
    pub(super) fn block_row(&self, index: u32) -> u64 {
        self.bundle_row(self.bundles) + u64::from(index) * wide(BLOCK_ROW_BYTES)
    }
}

pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn too_large(_: std::num::TryFromIntError) -> FormatError {
    FormatError::Field
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> SegmentHeader {
        SegmentHeader { origin: "o".to_owned(), number: BlockNumber(7), position: Position(40), leaf: LeafIndex(30), term: Term(2) }
    }

    #[test]
    fn rows_and_footer_have_their_exact_sizes_and_round_trip() {
        let mut bytes = Vec::new();
        let row =
            BundleRow { offset: 176, bytes: 9, unpacked: 12, position: Position(40), entries: 3, root: Digest([5; 32]), checksum: 77 };
        row.encode(&mut bytes);
        assert_eq!((bytes.len(), BundleRow::decode(&bytes, 185)), (BUNDLE_ROW_BYTES, Ok(row)));
        assert_eq!(BundleRow::decode(&bytes, 184), Err(FormatError::Field), "a frame that reaches into the rows");
        let block =
            BlockRow { kind: 0, entries: 3, position: Position(40), term: Term(2), time: Timestamp::from_millis(5), root: Digest([6; 32]) };
        bytes.clear();
        block.encode(&mut bytes);
        assert_eq!((bytes.len(), BlockRow::decode(&bytes)), (BLOCK_ROW_BYTES, Ok(block)));
        let end = block.header(BlockNumber(7), &header()).unwrap().end();
        let footer = Footer { bundles: 1, blocks: 1, rows_offset: 185, end, entry_bytes: 6 };
        bytes.clear();
        footer.encode(&mut bytes);
        let length = wide(185 + BUNDLE_ROW_BYTES + BLOCK_ROW_BYTES + FOOTER_BYTES);
        assert_eq!((bytes.len(), Footer::decode(&bytes, &header(), length)), (FOOTER_BYTES, Ok(footer)));
        assert_eq!(Footer::decode(&bytes, &header(), length + 1), Err(FormatError::Field), "rows that do not fill the file");
    }

    proptest! {
        #[test]
        fn hostile_rows_never_panic_and_never_ask_for_more_than_a_bundle(mut bytes in proptest::collection::vec(any::<u8>(), 64..120)) {
            let end = bytes.len() - 4;
            let sum = crc32fast::hash(&bytes[..end]).to_be_bytes();
            bytes[end..].copy_from_slice(&sum);
            if let Ok(row) = BundleRow::decode(&bytes, u64::MAX) {
                prop_assert!(row.unpacked <= BUNDLE_BYTES_MAX && row.bytes <= packed_bytes_max(BUNDLE_BYTES_MAX));
            }
            let _row = BlockRow::decode(&bytes).and_then(|row| row.header(BlockNumber(7), &header()));
            let _footer = Footer::decode(&bytes, &header(), 1_000);
        }
    }
}
