//! The bytes of a segment file: its header, the block headers and the payload. Format 1.
//!
//! Not the order in which they are written, and not what is done about wrong ones. All numbers are big-endian.
//!
//! ```text
//! segment header, 176 bytes                      block header, 108 bytes
//!   0  magic, 8                                    0  magic, 8
//!   8  format, 2                                   8  format, 2
//!  10  origin length, 2                           10  codec, 1: 0 plain
//!  12  number of the first block, 8               11  kind, 1: 0 entries, 1 fence, 2 term, 3 shard
//!  20  position of the first block, 8             12  entries, 2
//!  28  first leaf, 8                              14  zero, 2
//!  36  term, 8                                    16  payload length, 4
//!  44  origin, 128, padded with zeros             20  number, 8    28  position, 8    36  leaf, 8
//! 172  CRC-32 of what stands before, 4            44  term, 8      52  time, 8        60  tree size, 8
//!                                                 68  root, 32
//! payload: per entry length, 2, and its bytes    100  CRC-32 of the payload, 4
//! (a C2SP entry bundle)                          104  CRC-32 of what stands before, 4
//! ```

use std::sync::Arc;

use truc_types::limits::{BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, ORIGIN_BYTES_MAX};
use truc_types::{BlockNumber, Digest, LeafIndex, Position, Term, Timestamp};

use crate::block::{Block, BlockHeader, BlockKind, JournalEnd};

/// The format of plain segments, marks and indexes.
pub(super) const FORMAT: u16 = 1;
/// First bytes of a segment file.
const SEGMENT_MAGIC: [u8; 8] = *b"\xffTRUCSEG";
/// First bytes of a block. 0xff occurs nowhere in UTF-8, so that no entry of text can pass for a block when a damaged file is searched.
pub(super) const BLOCK_MAGIC: [u8; 8] = *b"\xffTRUCBLK";
/// Bytes of the segment header.
pub(super) const SEGMENT_HEADER_BYTES: usize = 176;
/// Bytes of a block header.
pub(super) const BLOCK_HEADER_BYTES: usize = 108;
/// Payload of the largest block: its entries and their lengths.
pub(super) const PAYLOAD_BYTES_MAX: usize = BLOCK_BYTES_MAX + 2 * BLOCK_ENTRIES_MAX;

/// Longest part of a block that an interrupted write leaves behind.
pub(super) const UNFINISHED_BYTES_MAX: usize = BLOCK_HEADER_BYTES + PAYLOAD_BYTES_MAX;

/// What is wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("the file ends inside a header")]
    ShortHeader,
    #[error("no header begins here")]
    Magic,
    #[error("the format is {found}, which this release does not read here")]
    Format { found: u16 },
    #[error("the checksum of the header does not fit")]
    HeaderChecksum,
    #[error("the header is that of block {found}, the file is named for another")]
    Misnamed { found: BlockNumber },
    #[error("the header has a value outside its range")]
    Field,
    #[error("the checksum of the payload does not fit")]
    PayloadChecksum,
    #[error("the payload is no list of entries")]
    Payload,
}

/// Reads fields of fixed size one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(FormatError::ShortHeader)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn u16(&mut self) -> Result<u16, FormatError> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.take().map(u64::from_be_bytes)
    }

    /// The bytes up to a CRC-32 at their end, if it fits.
    pub(super) fn checked(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (covered, sum) = bytes.split_last_chunk().ok_or(FormatError::ShortHeader)?;
        if crc32fast::hash(covered) == u32::from_be_bytes(*sum) { Ok(Self(covered)) } else { Err(FormatError::HeaderChecksum) }
    }
}

/// Appends the CRC-32 of everything from `start` on.
pub(super) fn push_checksum(bytes: &mut Vec<u8>, start: usize) {
    let sum = crc32fast::hash(bytes.get(start..).unwrap_or_default());
    bytes.extend_from_slice(&sum.to_be_bytes());
}

/// What a segment file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) origin: String,
    pub(super) number: BlockNumber,
    pub(super) position: Position,
    pub(super) leaf: LeafIndex,
    pub(super) term: Term,
}

impl SegmentHeader {
    /// The header of the segment that begins with this block.
    pub(super) fn beginning_with(block: &BlockHeader) -> Self {
        Self { origin: block.origin.clone(), number: block.number, position: block.position, leaf: block.leaf, term: block.term }
    }

    /// The end of the journal before the segment, as far as the segment knows it: time and root are not in it.
    pub(super) fn start(&self) -> JournalEnd {
        JournalEnd {
            number: self.number,
            position: self.position,
            term: self.term,
            origin: self.origin.clone(),
            tree_size: self.leaf.0,
            ..JournalEnd::empty()
        }
    }

    /// The bytes; an origin beyond the limit cannot come here, a block with one is refused.
    pub(super) fn encode(&self, format: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&format.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(self.origin.len()).unwrap_or(u16::MAX).to_be_bytes());
        for number in [self.number.0, self.position.0, self.leaf.0, self.term.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(self.origin.as_bytes());
        bytes.resize(SEGMENT_HEADER_BYTES - 4, 0);
        push_checksum(&mut bytes, 0);
        bytes
    }

    /// Reads the first [`SEGMENT_HEADER_BYTES`] of a file. Another format is named before the checksum: its layout is not known.
    pub(super) fn decode(bytes: &[u8], format: u16) -> Result<Self, FormatError> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES).ok_or(FormatError::ShortHeader)?;
        let mut fields = Fields(bytes);
        if fields.take()? != SEGMENT_MAGIC {
            return Err(FormatError::Magic);
        }
        let found = fields.u16()?;
        if found != format {
            return Err(FormatError::Format { found });
        }
        Fields::checked(bytes)?;
        let length = usize::from(fields.u16()?);
        let (number, position, leaf, term) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        let origin: [u8; ORIGIN_BYTES_MAX] = fields.take()?;
        let (origin, padding) = origin.split_at_checked(length).ok_or(FormatError::Field)?;
        let origin = std::str::from_utf8(origin).map_err(|_| FormatError::Field)?.to_owned();
        if origin.is_empty() || padding.iter().any(|byte| *byte != 0) {
            return Err(FormatError::Field);
        }
        Ok(Self { origin, number: BlockNumber(number), position: Position(position), leaf: LeafIndex(leaf), term: Term(term) })
    }
}

/// A block header and what only its bytes need to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredHeader {
    pub(super) header: BlockHeader,
    pub(super) payload_bytes: usize,
    payload_checksum: u32,
}

pub(super) const fn kind_number(kind: BlockKind) -> u8 {
    match kind {
        BlockKind::Entries => 0,
        BlockKind::Fence => 1,
        BlockKind::Term => 2,
        BlockKind::Shard => 3,
    }
}

pub(super) const fn kind_of(number: u8) -> Result<BlockKind, FormatError> {
    match number {
        0 => Ok(BlockKind::Entries),
        1 => Ok(BlockKind::Fence),
        2 => Ok(BlockKind::Term),
        3 => Ok(BlockKind::Shard),
        _ => Err(FormatError::Field),
    }
}

/// Writes a block into `bytes`, which is emptied first. The block has passed the limits: counts and lengths fit their fields.
pub(super) fn encode_block(block: &Block, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(BLOCK_HEADER_BYTES, 0);
    for entry in &block.entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    let payload = bytes.get(BLOCK_HEADER_BYTES..).unwrap_or_default();
    let header = &block.header;
    let mut head = Vec::with_capacity(BLOCK_HEADER_BYTES);
    head.extend_from_slice(&BLOCK_MAGIC);
    head.extend_from_slice(&FORMAT.to_be_bytes());
    head.extend_from_slice(&[0, kind_number(header.kind)]);
    head.extend_from_slice(&u16::try_from(block.entries.len()).unwrap_or(u16::MAX).to_be_bytes());
    head.extend_from_slice(&[0, 0]);
    head.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    for number in [header.number.0, header.position.0, header.leaf.0, header.term.0, header.time.as_millis(), header.tree_size] {
        head.extend_from_slice(&number.to_be_bytes());
    }
    head.extend_from_slice(&header.root.0);
    head.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    push_checksum(&mut head, 0);
    if let Some(place) = bytes.get_mut(..BLOCK_HEADER_BYTES) {
        place.copy_from_slice(&head);
    }
}

impl StoredHeader {
    /// Reads the first [`BLOCK_HEADER_BYTES`]; the origin is that of the segment. Lengths are within their limits afterwards.
    pub(super) fn decode(bytes: &[u8], origin: &str) -> Result<Self, FormatError> {
        let bytes = bytes.get(..BLOCK_HEADER_BYTES).ok_or(FormatError::ShortHeader)?;
        if !bytes.starts_with(&BLOCK_MAGIC) {
            return Err(FormatError::Magic);
        }
        let mut fields = Fields::checked(bytes)?;
        fields.take::<8>()?;
        let found = fields.u16()?;
        if found != FORMAT {
            return Err(FormatError::Format { found });
        }
        let [codec, kind] = fields.take()?;
        let kind = kind_of(kind)?;
        let (entries, zero) = (fields.u16()?, fields.u16()?);
        let payload_bytes = usize::try_from(fields.u32()?).map_err(|_| FormatError::Field)?;
        let (number, position, leaf) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (term, time, tree_size) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let root = Digest(fields.take()?);
        let payload_checksum = fields.u32()?;
        let time = Some(Timestamp::from_millis(time)).filter(|read| read.as_millis() == time).ok_or(FormatError::Field)?;
        let counts_fit = leaf.checked_add(u64::from(entries)) == Some(tree_size) && position.checked_add(u64::from(entries)).is_some();
        if codec != 0 || zero != 0 || payload_bytes > PAYLOAD_BYTES_MAX || usize::from(entries) > BLOCK_ENTRIES_MAX || !counts_fit {
            return Err(FormatError::Field);
        }
        if number == u64::MAX || (kind == BlockKind::Entries && entries == 0) {
            return Err(FormatError::Field);
        }
        let header = BlockHeader {
            kind,
            number: BlockNumber(number),
            position: Position(position),
            leaf: LeafIndex(leaf),
            origin: origin.to_owned(),
            term: Term(term),
            time,
            tree_size,
            root,
        };
        Ok(Self { header, payload_bytes, payload_checksum })
    }

    /// Bytes of the whole block.
    pub(super) fn block_bytes(&self) -> u64 {
        u64::try_from(BLOCK_HEADER_BYTES + self.payload_bytes).unwrap_or(u64::MAX)
    }

    /// Reads the entries out of the payload.
    pub(super) fn decode_payload(&self, payload: &[u8]) -> Result<Vec<Arc<[u8]>>, FormatError> {
        if crc32fast::hash(payload) != self.payload_checksum {
            return Err(FormatError::PayloadChecksum);
        }
        let count = self.header.tree_size - self.header.leaf.0;
        let mut entries = Vec::with_capacity(usize::try_from(count).map_err(|_| FormatError::Field)?);
        let mut rest = payload;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let (entry, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(FormatError::Payload)?;
            if entry.is_empty() {
                return Err(FormatError::Payload);
            }
            entries.push(Arc::from(entry));
            rest = behind;
        }
        if rest.is_empty() && u64::try_from(entries.len()) == Ok(count) { Ok(entries) } else { Err(FormatError::Payload) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{SAMPLE_ORIGIN, block_of, sample_block};
    use proptest::prelude::*;

    #[test]
    fn layouts_have_their_exact_sizes() {
        let block = sample_block(&JournalEnd::empty(), 0, 1);
        let mut bytes = Vec::new();
        encode_block(&block, &mut bytes);
        assert_eq!(bytes.len(), BLOCK_HEADER_BYTES);
        let header = SegmentHeader::beginning_with(&block.header).encode(FORMAT);
        assert_eq!(header.len(), SEGMENT_HEADER_BYTES);
        assert!(std::str::from_utf8(&BLOCK_MAGIC).is_err() && std::str::from_utf8(&SEGMENT_MAGIC).is_err());
    }

    #[test]
    fn a_segment_header_of_another_format_is_named_before_its_checksum() {
        let mut bytes = SegmentHeader::beginning_with(&sample_block(&JournalEnd::empty(), 1, 1).header).encode(FORMAT);
        bytes[9] = 2;
        assert_eq!(SegmentHeader::decode(&bytes, FORMAT), Err(FormatError::Format { found: 2 }));
    }

    proptest! {
        #[test]
        fn blocks_and_segment_headers_round_trip(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..20),
            origin in "[a-zé./]{1,60}", term in any::<u64>(), number in 0..u64::MAX, position in 0..u64::MAX / 2, leaf in 0..u64::MAX / 2,
        ) {
            let mut block = block_of(&JournalEnd::empty(), BlockKind::Entries, entries.into_iter().map(Arc::from).collect());
            let count = block.header.tree_size;
            block.header = BlockHeader { origin: origin.clone(), term: Term(term), number: BlockNumber(number), position: Position(position),
                leaf: LeafIndex(leaf), tree_size: leaf + count, ..block.header };
            let mut bytes = Vec::new();
            encode_block(&block, &mut bytes);
            let stored = StoredHeader::decode(&bytes, &origin).unwrap();
            prop_assert_eq!(&stored.header, &block.header);
            prop_assert_eq!(stored.block_bytes(), u64::try_from(bytes.len()).unwrap());
            prop_assert_eq!(stored.decode_payload(&bytes[BLOCK_HEADER_BYTES..]).unwrap(), block.entries);
            let segment = SegmentHeader::beginning_with(&block.header);
            prop_assert_eq!(SegmentHeader::decode(&segment.encode(FORMAT), FORMAT), Ok(segment));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), sum in any::<bool>()) {
            // With the right magic and checksum, so that the fields behind them are reached.
            let mut bytes = bytes;
            if sum && bytes.len() >= SEGMENT_HEADER_BYTES {
                bytes[..8].copy_from_slice(&BLOCK_MAGIC);
                bytes[8..10].copy_from_slice(&FORMAT.to_be_bytes());
                let checksum = crc32fast::hash(&bytes[..BLOCK_HEADER_BYTES - 4]).to_be_bytes();
                bytes[BLOCK_HEADER_BYTES - 4..BLOCK_HEADER_BYTES].copy_from_slice(&checksum);
            }
            let _outcome = SegmentHeader::decode(&bytes, FORMAT);
            if let Ok(stored) = StoredHeader::decode(&bytes, SAMPLE_ORIGIN) {
                prop_assert!(stored.payload_bytes <= PAYLOAD_BYTES_MAX);
                let _outcome = stored.decode_payload(&bytes[BLOCK_HEADER_BYTES..]);
            }
        }
    }
}
