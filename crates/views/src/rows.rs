//! How rows lie in sled: keys, split values, the position row and the sum over all rows. Not when they are written.
//!
//! | key | value |
//! |---|---|
//! | `0` | the position row: format, position, rows, sum, name, hash (below) |
//! | `1` table key | `0` value, or `1` length (u32) when the value is split |
//! | `2` table key-length (u16) key part (u16) | up to 4 KiB of a split value |
//!
//! Numbers are big-endian. Values are split because sled moves a *page* of up to 16 values out to `blobs/` once it passes 128 KiB, and those files
//! are never synced: 16 parts with their keys stay below it.
//!
//! The sum adds a 64-bit hash of every row in `1` and `2`. It is kept in the position row and so tells when sled opens "fine" with rows missing,
//! changed or of another moment. It guards against accidents, not against somebody who writes to the folder.

use truc_types::Position;

use crate::batch::{Table, VIEW_KEY_BYTES_MAX};
use crate::range::{KeyRange, successor};

/// Bytes of a value above which it is split, and of each part.
pub(crate) const PART_BYTES_MAX: usize = 4 * 1024;
/// The longest key of a row in sled: that of a part.
pub(crate) const PHYSICAL_KEY_BYTES_MAX: usize = 6 + VIEW_KEY_BYTES_MAX;
/// The largest value of a row in sled: one that is just not split, with its kind.
pub(crate) const PHYSICAL_VALUE_BYTES_MAX: usize = 1 + PART_BYTES_MAX;
/// The key of the position row.
pub(crate) const POSITION_KEY: [u8; 1] = [0];

const ROWS: u8 = 1;
const PARTS: u8 = 2;
const WHOLE: u8 = 0;
const SPLIT: u8 = 1;

/// Where a view stands and what it must contain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The next entry to replay.
    pub(crate) position: Position,
    /// Rows in sled, parts included, the position row not.
    pub(crate) rows: u64,
    /// Sum over their hashes.
    pub(crate) sum: u64,
}

impl Reached {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(row_hash(key, value));
    }

    pub(crate) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(row_hash(key, value));
    }

    /// The value of the position row.
    pub(crate) fn to_row(self, name: &str, format: u32) -> Vec<u8> {
        let mut row = Vec::with_capacity(36 + name.len());
        row.extend_from_slice(&format.to_be_bytes());
        for number in [self.position.0, self.rows, self.sum] {
            row.extend_from_slice(&number.to_be_bytes());
        }
        row.extend_from_slice(name.as_bytes());
        let hash = fnv1a(FNV_BASIS, &row);
        row.extend_from_slice(&hash.to_be_bytes());
        row
    }

    /// Reads the position row back; the error says what is wrong with it.
    pub(crate) fn from_row(row: &[u8], name: &str, format: u32) -> Result<Self, String> {
        let (body, hash) = row.split_last_chunk::<8>().ok_or("the position row is too short")?;
        if fnv1a(FNV_BASIS, body) != u64::from_be_bytes(*hash) {
            return Err("the position row is damaged".into());
        }
        let (found_format, rest) = body.split_first_chunk::<4>().ok_or("the position row is too short")?;
        let (position, rest) = rest.split_first_chunk::<8>().ok_or("the position row is too short")?;
        let (rows, rest) = rest.split_first_chunk::<8>().ok_or("the position row is too short")?;
        let (sum, found_name) = rest.split_first_chunk::<8>().ok_or("the position row is too short")?;
        if found_name != name.as_bytes() {
            return Err(format!("it is the view {:?}, not {name:?}", String::from_utf8_lossy(found_name)));
        }
        let found_format = u32::from_be_bytes(*found_format);
        if found_format != format {
            return Err(format!("it has format {found_format}, this release writes {format}"));
        }
        Ok(Self { position: Position(u64::from_be_bytes(*position)), rows: u64::from_be_bytes(*rows), sum: u64::from_be_bytes(*sum) })
    }
}

/// What the row of a key says about its value.
pub(crate) enum Head<'a> {
    /// The value itself.
    Whole(&'a [u8]),
    /// The value lies in parts and has this length.
    Split(usize),
}

/// The sled key of a row.
pub(crate) fn row_key(table: Table, key: &[u8]) -> Vec<u8> {
    let mut physical = Vec::with_capacity(2 + key.len());
    physical.extend_from_slice(&[ROWS, table.0]);
    physical.extend_from_slice(key);
    physical
}

/// The key of the owner's row behind a sled key.
pub(crate) fn owner_key(physical: &[u8]) -> &[u8] {
    physical.get(2..).unwrap_or_default()
}

/// Table and key of a sled key, if it is that of a row and not of a part.
pub(crate) fn row_of(physical: &[u8]) -> Option<(Table, &[u8])> {
    match physical {
        [ROWS, table, key @ ..] => Some((Table(*table), key)),
        _ => None,
    }
}

/// Whether a sled key is one of a row or of a part.
pub(crate) fn is_row_key(physical: &[u8]) -> bool {
    matches!(physical, [ROWS | PARTS, _, ..])
}

/// The sled keys of a range: inclusive start, exclusive end.
pub(crate) fn row_range(table: Table, range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
    let end = range.to.as_ref().map_or_else(|| successor(&[ROWS, table.0]).unwrap_or_default(), |to| row_key(table, to));
    (row_key(table, &range.from), end)
}

/// Reads the row of a key; `None` if it is damaged.
pub(crate) fn head(row: &[u8]) -> Option<Head<'_>> {
    match row.split_first()? {
        (&WHOLE, value) => Some(Head::Whole(value)),
        (&SPLIT, length) => {
            let length = u32::from_be_bytes(length.try_into().ok()?);
            usize::try_from(length).ok().filter(|length| *length <= crate::batch::VALUE_BYTES_MAX).map(Head::Split)
        }
        _ => None,
    }
}

/// The sled rows of one owner's row.
pub(crate) fn physical_rows(table: Table, key: &[u8], value: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut row = Vec::with_capacity(5);
    if value.len() <= PART_BYTES_MAX {
        row.push(WHOLE);
        row.extend_from_slice(value);
        return vec![(row_key(table, key), row)];
    }
    row.push(SPLIT);
    row.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    let parts = value.chunks(PART_BYTES_MAX).zip(part_keys(table, key, value.len())).map(|(part, key)| (key, part.to_vec()));
    std::iter::once((row_key(table, key), row)).chain(parts).collect()
}

/// The sled keys of the parts of a value of this length, in order.
pub(crate) fn part_keys(table: Table, key: &[u8], value_length: usize) -> impl Iterator<Item = Vec<u8>> {
    let parts = u16::try_from(value_length.div_ceil(PART_BYTES_MAX)).unwrap_or(u16::MAX);
    let mut stem = vec![PARTS, table.0];
    stem.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    stem.extend_from_slice(key);
    (0..parts).map(move |part| [stem.as_slice(), &part.to_be_bytes()].concat())
}

/// A hash of one sled row; the length keeps (`ab`, `c`) and (`a`, `bc`) apart, the final mix keeps sums of similar rows apart.
fn row_hash(key: &[u8], value: &[u8]) -> u64 {
    let length = u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes();
    let mut hash = fnv1a(fnv1a(fnv1a(FNV_BASIS, &length), key), value);
    // The finalizer of MurmurHash3 (Appleby, public domain).
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    hash ^ (hash >> 33)
}

/// FNV-1a, 64 bits (RFC 9923).
pub(crate) fn fnv1a(basis: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(basis, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Where FNV-1a begins.
pub(crate) const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_matches_the_published_vectors() {
        assert_eq!(fnv1a(FNV_BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_BASIS, b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_position_row_reads_back_and_every_flipped_bit_is_seen() {
        let reached = Reached { position: Position(7), rows: 3, sum: u64::MAX };
        let row = reached.to_row("queues", 2);
        assert_eq!(Reached::from_row(&row, "queues", 2), Ok(reached));
        assert!(Reached::from_row(&row, "queues", 3).unwrap_err().contains("format 2"));
        assert!(Reached::from_row(&row, "outbox", 2).unwrap_err().contains("queues"));
        for bit in 0..row.len() * 8 {
            let mut damaged = row.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Reached::from_row(&damaged, "queues", 2).is_err(), "bit {bit}");
        }
        for length in 0..row.len() {
            assert!(Reached::from_row(&row[..length], "queues", 2).is_err());
        }
    }

    #[test]
    fn values_are_split_exactly_above_the_limit() {
        for (length, rows) in [(0, 1), (PART_BYTES_MAX, 1), (PART_BYTES_MAX + 1, 3), (2 * PART_BYTES_MAX, 3)] {
            assert_eq!(physical_rows(Table(1), b"k", &vec![0; length]).len(), rows, "{length}");
        }
    }
}
