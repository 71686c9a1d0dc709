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
        hex(&self.0)
    }
}

/// Lower-case hexadecimal digits of any bytes.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            #[expect(clippy::indexing_slicing, reason = "a nibble is below 16")]
            text.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
    text
}

impl FromStr for Digest {
    type Err = HexError;
    fn from_str(text: &str) -> Result<Self, HexError> {
        if text.len() != 64 {
            return Err(HexError::Length { found: text.chars().count() });
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let mut value = 0u8;
            for digit in pair {
                let nibble = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return Err(HexError::Digit),
                };
                value = (value << 4) | nibble;
            }
            *byte = value;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
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
    }
}
