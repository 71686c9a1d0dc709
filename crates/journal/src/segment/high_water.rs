//! The high-water mark: up to where the journal is known to be durable, in a file of its own.
//!
//! Every prefix of a log looks valid; the mark is what makes a lost tail visible. It is written strictly after the blocks it covers, and
//! replaced by rename, so that it is never torn. It never lies in the blocks' future; it may lag by a second.
//!
//! ```text
//! 0 magic, 8   8 format, 2   10 zero, 6   16 blocks, 8   24 position behind them, 8   32 tree size, 8   40 term, 8   48 root, 32   80 CRC-32, 4
//! ```

use std::io::{self, Read};
use std::path::Path;

use truc_types::{BlockNumber, Digest, Position, Term};

use super::disk::{Disk, replace};
use super::error::OpenError;
use super::format::{FORMAT, Fields, FormatError, push_checksum};
use crate::block::JournalEnd;
use crate::contract::Damage;

/// Name of the file.
pub(super) const HIGH_WATER_FILE: &str = "high-water";
const MAGIC: [u8; 8] = *b"\xffTRUCHWM";
const BYTES: usize = 84;

/// The end of what is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HighWater {
    /// Number of the next block.
    pub(super) number: BlockNumber,
    pub(super) position: Position,
    pub(super) tree_size: u64,
    pub(super) term: Term,
    pub(super) root: Digest,
}

impl HighWater {
    pub(super) const fn of(end: &JournalEnd) -> Self {
        Self { number: end.number, position: end.position, tree_size: end.tree_size, term: end.term, root: end.root }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&[0; 6]);
        for number in [self.number.0, self.position.0, self.tree_size, self.term.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.root.0);
        push_checksum(&mut bytes, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut head = Fields(bytes);
        if head.take()? != MAGIC {
            return Err(FormatError::Magic);
        }
        let found = head.u16()?;
        if found != FORMAT {
            return Err(FormatError::Format { found });
        }
        if bytes.len() != BYTES {
            return Err(FormatError::Field);
        }
        let mut fields = Fields::checked(bytes)?;
        fields.take::<16>()?;
        Ok(Self {
            number: BlockNumber(fields.u64()?),
            position: Position(fields.u64()?),
            tree_size: fields.u64()?,
            term: Term(fields.u64()?),
            root: Digest(fields.take()?),
        })
    }

    /// Writes the mark durably. A crash inside leaves the one before.
    pub(super) fn write(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        replace(disk, folder, HIGH_WATER_FILE, &self.encode())
    }

    /// Reads the mark; `None` if there is no such file.
    pub(super) fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<Self>, OpenError> {
        let path = folder.join(HIGH_WATER_FILE);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(OpenError::Storage { path, source }),
        };
        let mut bytes = Vec::new();
        file.take(4096).read_to_end(&mut bytes).map_err(OpenError::storage(&path))?;
        match Self::decode(&bytes) {
            Ok(mark) => Ok(Some(mark)),
            Err(FormatError::Format { found }) => Err(OpenError::Format { file: path, found }),
            Err(error) => {
                let cause = format!("the high-water mark cannot be read: {error}");
                Err(OpenError::Corrupt(Damage { file: path, offset: 0, position: Position(0), cause }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_round_trip_and_every_flipped_bit_is_seen(
            number in any::<u64>(), position in any::<u64>(), tree_size in any::<u64>(), term in any::<u64>(), root in any::<[u8; 32]>(), bit in 0..BYTES * 8,
        ) {
            let mark = HighWater { number: BlockNumber(number), position: Position(position), tree_size, term: Term(term), root: Digest(root) };
            let mut bytes = mark.encode();
            prop_assert_eq!(HighWater::decode(&bytes), Ok(mark));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(HighWater::decode(&bytes).is_err());
        }
    }
}
