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
        let found = text.chars().count();
        if found != 26 {
            return Err(IdError::Length { found });
        }
        let mut value = 0u128;
        for (i, c) in text.chars().enumerate() {
            let digit = ALPHABET.iter().position(|a| char::from(*a) == c).ok_or(IdError::BadCharacter { found: c })?;
            if i == 0 && digit > 7 {
                return Err(IdError::Overflow);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value))
    }
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
    }
}
