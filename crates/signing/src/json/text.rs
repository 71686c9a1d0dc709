//! JSON texts: what is between two quotes (RFC 8259 section 7), borrowed where nothing is escaped.

use std::borrow::Cow;

/// A text, and where what comes after its closing quote stands.
pub(super) struct Text<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) end: usize,
}

/// Reads the text whose first byte, after the quote, is at `start`.
///
/// # Errors
/// The position of the byte that does not fit.
pub(super) fn read_text(input: &str, start: usize) -> Result<Text<'_>, usize> {
    let bytes = input.as_bytes();
    let (mut at, mut from, mut unescaped) = (start, start, None::<String>);
    loop {
        at += plain(bytes.get(at..).unwrap_or_default());
        let piece = input.get(from..at).ok_or(at)?;
        match bytes.get(at) {
            Some(b'"') => {
                let text = match unescaped {
                    None => Cow::Borrowed(piece),
                    Some(text) => Cow::Owned(text + piece),
                };
                return Ok(Text { text, end: at + 1 });
            }
            Some(b'\\') => {
                let text = unescaped.get_or_insert_default();
                text.push_str(piece);
                let (found, end) = escaped(bytes, at + 1).ok_or(at + 1)?;
                text.push(found);
                (at, from) = (end, end);
            }
            _ => return Err(at),
        }
    }
}

/// How many bytes come before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The highest bit of each byte that is a quote, a backslash or a control character; above the first of them there may be more.
const fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    // A byte borrows from its highest bit when it is smaller than what is taken from it; those that had the bit are no ASCII.
    (word.wrapping_sub(ONES * 0x20) & !word | quote.wrapping_sub(ONES) & !quote | backslash.wrapping_sub(ONES) & !backslash) & HIGH
}

/// The character that the escape behind a backslash stands for, and where the next byte stands.
fn escaped(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let found = match bytes.get(at)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes, at + 1),
        _ => return None,
    };
    Some((found, at + 1))
}

/// The character of four hexadecimal digits, or of two surrogates one after the other.
fn unicode(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = four_digits(bytes, at)?;
    if !(0xd800..0xdc00).contains(&first) {
        // Half a pair is no character.
        return Some((char::from_u32(first)?, at + 4));
    }
    let second = four_digits(bytes, at + 6).filter(|_| bytes.get(at + 4..at + 6) == Some(b"\\u"))?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?, at + 10))
}

fn four_digits(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}
