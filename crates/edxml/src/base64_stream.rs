//! Base64 (RFC 4648 section 4) piece by piece: white space is skipped, everything else is strict. It holds at most one chunk.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Characters decoded at once: a multiple of 4.
const GROUPS_BYTES: usize = 16 * 1024;

/// Why a text is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base64Fault {
    Character(char),
    Padding,
    Truncated,
}

/// The 64 letters, as a table: one look a byte.
const LETTERS: [bool; 256] = {
    let mut letters = [false; 256];
    let mut index = 0;
    while index < ALPHABET.len() {
        #[expect(clippy::indexing_slicing, reason = "both arrays are constant and so is the index; a fault would stop the compiler")]
        {
            letters[ALPHABET[index] as usize] = true;
        }
        index += 1;
    }
    letters
};
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn is_letter(byte: u8) -> bool {
    LETTERS.get(usize::from(byte)).is_some_and(|letter| *letter)
}

/// A decoder that is fed text and gives bytes.
#[derive(Debug)]
pub(crate) struct Base64Stream {
    pending: Vec<u8>,
    decoded: Vec<u8>,
    padding: usize,
}

impl Base64Stream {
    pub(crate) fn new() -> Self {
        Self { pending: Vec::with_capacity(GROUPS_BYTES), decoded: vec![0; GROUPS_BYTES / 4 * 3], padding: 0 }
    }

    /// Takes text; whole chunks go to `out` as bytes.
    pub(crate) fn push<E: From<Base64Fault>>(&mut self, text: &[u8], mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = text;
        while let Some(first) = rest.first() {
            if self.padding == 0 && is_letter(*first) {
                // Long runs of letters are taken at once: they are nearly everything there is.
                let room = GROUPS_BYTES - self.pending.len();
                let (part, _) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                let run = part.iter().position(|byte| !is_letter(*byte)).unwrap_or(part.len());
                let (letters, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
                self.pending.extend_from_slice(letters);
                rest = behind;
            } else {
                rest = rest.get(1..).unwrap_or_default();
                match first {
                    b' ' | b'\t' | b'\r' | b'\n' => continue,
                    b'=' => self.padding += 1,
                    letter if is_letter(*letter) => return Err(Base64Fault::Padding.into()),
                    other => return Err(Base64Fault::Character(char::from(*other)).into()),
                }
                if self.padding > 2 {
                    return Err(Base64Fault::Padding.into());
                }
                self.pending.push(*first);
            }
            if self.pending.len() == GROUPS_BYTES {
                self.flush(&mut out)?;
            }
        }
        Ok(())
    }

    /// The text has ended.
    pub(crate) fn finish<E: From<Base64Fault>>(&mut self, mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.pending.len().is_multiple_of(4) {
            return Err(if self.padding > 0 { Base64Fault::Padding } else { Base64Fault::Truncated }.into());
        }
        self.flush(&mut out)
    }

    fn flush<E: From<Base64Fault>>(&mut self, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Only padding can be wrong here: the alphabet was checked, and the engine refuses bits that are left over.
        let count = STANDARD.decode_slice(&self.pending, &mut self.decoded).map_err(|_| Base64Fault::Padding)?;
        self.pending.clear();
        out(self.decoded.get(..count).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &[u8], piece: usize) -> Result<Vec<u8>, Base64Fault> {
        let mut bytes = Vec::new();
        let mut stream = Base64Stream::new();
        let mut out = |part: &[u8]| -> Result<(), Base64Fault> {
            bytes.extend_from_slice(part);
            Ok(())
        };
        for part in text.chunks(piece) {
            stream.push(part, &mut out)?;
        }
        stream.finish(&mut out)?;
        Ok(bytes)
    }

    #[test]
    fn white_space_is_skipped_and_faults_are_told_apart() {
        assert_eq!(decode(b" aGVs\r\nbG8=\t", 3).unwrap(), b"hello");
        assert_eq!(decode(b"", 1).unwrap(), b"");
        assert_eq!(decode(b"aGVsbG8", 7), Err(Base64Fault::Truncated));
        assert_eq!(decode(b"aGVs-G8=", 7), Err(Base64Fault::Character('-')));
        assert_eq!(decode(b"aGVsbG9=", 7), Err(Base64Fault::Padding), "bits are left over");
        assert_eq!(decode(b"aGVsbA=", 7), Err(Base64Fault::Padding));
        assert_eq!(decode(b"aGVsbA===", 7), Err(Base64Fault::Padding));
        assert_eq!(decode(b"aGVsbA==aGVs", 7), Err(Base64Fault::Padding));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_whatever_the_pieces(bytes in proptest::collection::vec(any::<u8>(), 0..40_000), piece in 1usize..5_000) {
            prop_assert_eq!(decode(STANDARD.encode(&bytes).as_bytes(), piece).unwrap(), bytes);
        }
    }
}
