//! SHA-256 digests as values; computing them is the business of the crates above.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest. Written as 64 lower-case hexadecimal digits, as `sha256sum` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Not exactly 64 characters.
    #[error("a SHA-256 digest has 64 hexadecimal digits, found {found} characters")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// A character outside `0-9a-f`.
    #[error("a SHA-256 digest is written in lower-case hexadecimal digits")]
    Digit,
}

impl Digest {
    /// Lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.to_string()
    }

    /// The same, as ASCII bytes.
    #[must_use]
    pub fn hex_digits(&self) -> [u8; 64] {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        digits
    }
}

/// What is no digit in [`NIBBLES`].
const NO_DIGIT: u8 = 0xff;

/// The value of each byte that is a digit: statements have many digests.
#[expect(clippy::indexing_slicing, reason = "there is a row for each byte, and a constant that panics does not compile")]
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut nibble = 0;
    while nibble < 16 {
        table[digit(nibble) as usize] = nibble;
        nibble += 1;
    }
    table
};

/// The digit of a number below 16.
const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[expect(clippy::indexing_slicing, reason = "there is a row for each byte")]
fn nibble(digit: u8) -> u8 {
    NIBBLES[usize::from(digit)]
}

impl FromStr for Digest {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| HexError::Length { found: text.chars().count() })?;
        let (mut bytes, mut seen) = ([0u8; 32], 0);
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let (high, low) = (nibble(*high), nibble(*low));
            seen |= high | low;
            *byte = (high << 4) | low;
        }
        // All bits of one that is none are set, and a digit has the lower four at most.
        if seen > 15 { Err(HexError::Digit) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex_digits()).unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip_and_refuse_other_spellings() {
        let digest = Digest(std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        assert_eq!(digest.to_hex().parse::<Digest>(), Ok(digest));
        assert_eq!(digest.to_hex().to_uppercase().parse::<Digest>(), Err(HexError::Digit));
        assert_eq!("00".parse::<Digest>(), Err(HexError::Length { found: 2 }));
        assert_eq!("ăâêôơưđă".repeat(4).parse::<Digest>(), Err(HexError::Digit), "64 bytes, and none of them a digit");
        for byte in (0..=0x7f_u8).filter(|byte| !byte.is_ascii_digit() && !(b'a'..=b'f').contains(byte)) {
            let text = format!("{}{}", "0".repeat(63), char::from(byte));
            assert_eq!(text.parse::<Digest>(), Err(HexError::Digit), "{byte}");
        }
    }
}
