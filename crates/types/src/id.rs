//! Message ids: ULIDs minted by the sender's edge, the correlation id everywhere.
//!
//! Our own 60 lines because the id must have exactly one spelling: 26 upper-case Crockford digits, no lower case, no I/L/O/U aliases.
//! Format: <https://github.com/ulid/spec>: 48 bits of milliseconds, then 80 random bits.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// A ULID: names a message, a receipt or any other sealed statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u128);

/// Why a text is not a message id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not exactly 26 characters.
    #[error("a message id has 26 characters, found {found}")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// A character outside the upper-case Crockford alphabet.
    #[error("a message id has the character {found:?}, only 0-9 and A-Z without I, L, O, U are allowed")]
    BadCharacter {
        /// The first offending character.
        found: char,
    },
    /// More than 128 bits: the first digit is above 7.
    #[error("a message id is larger than 128 bits")]
    Overflow,
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What is no digit in [`VALUES`].
const NO_DIGIT: u8 = 0xff;

/// The value of each byte that is a digit: every statement has ids, and a receipt a hundred.
#[expect(clippy::indexing_slicing, reason = "there is a row for each byte, and a constant that panics does not compile")]
const VALUES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 32 {
        table[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[expect(clippy::indexing_slicing, reason = "there is a row for each byte")]
fn value(digit: u8) -> u8 {
    VALUES[usize::from(digit)]
}

impl MessageId {
    /// Mints an id from the time and 10 random bytes of the caller.
    #[must_use]
    pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
        let mut low = [0u8; 16];
        for (to, from) in low.iter_mut().skip(6).zip(random) {
            *to = from;
        }
        Self((u128::from(now.as_millis() & 0xffff_ffff_ffff) << 80) | u128::from_be_bytes(low))
    }

    /// The time part: when the edge minted the id, by its own clock.
    #[must_use]
    pub fn minted_at(&self) -> Timestamp {
        Timestamp::from_millis(u64::try_from(self.0 >> 80).unwrap_or(u64::MAX))
    }

    /// The 16 bytes, big-endian: their order is the order of the texts.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The id of 16 big-endian bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl FromStr for MessageId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = <&[u8; 26]>::try_from(text.as_bytes()).map_err(|_| fault(text))?;
        let (mut id, mut seen) = (0u128, 0);
        for digit in digits {
            let value = value(*digit);
            seen |= value;
            id = (id << 5) | u128::from(value & 31);
        }
        // All bits of what is no digit are set, and a digit has the lower five at most.
        if seen > 31 || value(digits[0]) > 7 { Err(fault(text)) } else { Ok(Self(id)) }
    }
}

/// What is wrong with a text that is no id.
fn fault(text: &str) -> IdError {
    let found = text.chars().count();
    if found != 26 {
        return IdError::Length { found };
    }
    let foreign = text.chars().find(|found| !ALPHABET.iter().any(|digit| char::from(*digit) == *found));
    foreign.map_or(IdError::Overflow, |found| IdError::BadCharacter { found })
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        for (i, to) in text.iter_mut().rev().enumerate() {
            let digit = usize::try_from((self.0 >> (5 * i)) & 31).unwrap_or(0);
            *to = ALPHABET.get(digit).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_round_trip_and_order_like_their_texts(a: u128, b: u128) {
            let (a, b) = (MessageId(a), MessageId(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(MessageId::from_bytes(a.to_bytes()), a);
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }

    #[test]
    fn the_example_of_the_specification_parses() {
        let id: MessageId = "01ARYZ6S41TSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(id.minted_at().as_millis(), 1_469_918_176_385);
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!("01aryz6s41tsv4rrffq69g5fav".parse::<MessageId>(), Err(IdError::BadCharacter { found: 'a' }));
        assert_eq!("8ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<MessageId>(), Err(IdError::Overflow));
        assert_eq!("01ARYZ6S41TSV4RRFFQ69G5FAU".parse::<MessageId>(), Err(IdError::BadCharacter { found: 'U' }));
        assert_eq!("01".parse::<MessageId>(), Err(IdError::Length { found: 2 }));
        assert_eq!("Đ1ARYZ6S41TSV4RRFFQ69G5FAV".parse::<MessageId>(), Err(IdError::BadCharacter { found: 'Đ' }));
        assert_eq!("ĐĐĐĐĐĐĐĐĐĐĐĐĐ".parse::<MessageId>(), Err(IdError::Length { found: 13 }));
    }
}
