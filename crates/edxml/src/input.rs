//! The guard between the outside bytes and the XML parser: counts lines and columns, caps the message and every token, refuses control characters.
//!
//! It exists because the parser below collects a whole tag or text before it returns: without a cap one tag could fill the memory.

use std::io::{self, BufRead, Read};

use crate::limits::{FOUND_CHARACTERS_MAX, MESSAGE_BYTES_MAX, TOKEN_BYTES_MAX};

/// Bytes of the last characters: UTF-8 takes at most four for one.
const TAIL_BYTES: usize = 4 * FOUND_CHARACTERS_MAX;

/// Why the guard stopped the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuardFault {
    MessageTooLarge,
    TokenTooLong,
    ControlCharacter(u8),
}

/// A reader with limits.
#[derive(Debug)]
pub(crate) struct Guard<R> {
    inner: R,
    line: u64,
    column: u64,
    message_left: u64,
    token_left: usize,
    /// The last bytes that were read: what a file ends with tells its writer where it was cut.
    tail: Vec<u8>,
    fault: Option<GuardFault>,
}

impl<R: BufRead> Guard<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, line: 1, column: 1, message_left: MESSAGE_BYTES_MAX, token_left: TOKEN_BYTES_MAX, tail: Vec::new(), fault: None }
    }

    /// Line of the next byte, from 1.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// Column of the next byte, from 1, counted in characters.
    pub(crate) const fn column(&self) -> u64 {
        self.column
    }

    /// The last characters that were read, up to [`FOUND_CHARACTERS_MAX`], behind a sign if there were more.
    pub(crate) fn tail(&self) -> String {
        // A character that was cut at the front of the tail is none of its characters.
        let text = String::from_utf8_lossy(&self.tail);
        let text = text.trim_start_matches(char::REPLACEMENT_CHARACTER).trim_end();
        match text.char_indices().rev().nth(FOUND_CHARACTERS_MAX.saturating_sub(2)) {
            Some((start, _)) if start > 0 => format!("…{}", text.get(start..).unwrap_or_default()),
            _ => text.to_owned(),
        }
    }

    pub(crate) const fn fault(&self) -> Option<GuardFault> {
        self.fault
    }

    /// A new token begins: it may again have [`TOKEN_BYTES_MAX`].
    pub(crate) const fn new_token(&mut self) {
        self.token_left = TOKEN_BYTES_MAX;
    }

    fn stop(&mut self, fault: GuardFault) -> io::Error {
        let fault = *self.fault.get_or_insert(fault);
        io::Error::new(io::ErrorKind::InvalidData, format!("{fault:?}"))
    }
}

/// What XML 1.0 section 2.2 excludes below the space.
const fn is_excluded(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

impl<R: BufRead> BufRead for Guard<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(fault) = self.fault {
            return Err(self.stop(fault));
        }
        let exhausted = if self.message_left == 0 {
            Some(GuardFault::MessageTooLarge)
        } else if self.token_left == 0 {
            Some(GuardFault::TokenTooLong)
        } else {
            None
        };
        if let Some(fault) = exhausted {
            if self.inner.fill_buf()?.is_empty() {
                return Ok(&[]);
            }
            return Err(self.stop(fault));
        }
        let left = usize::try_from(self.message_left).unwrap_or(usize::MAX).min(self.token_left);
        let available = self.inner.fill_buf()?;
        Ok(available.get(..left).unwrap_or(available))
    }

    fn consume(&mut self, amount: usize) {
        // The bytes are still in the buffer: looking at them only when they are consumed looks at each once.
        if let Ok(available) = self.inner.fill_buf() {
            let consumed = available.get(..amount).unwrap_or(available);
            self.tail.extend_from_slice(consumed.get(consumed.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
            self.tail.drain(..self.tail.len().saturating_sub(TAIL_BYTES));
            let newlines = consumed.iter().filter(|byte| **byte == b'\n').count();
            self.line = self.line.saturating_add(u64::try_from(newlines).unwrap_or(u64::MAX));
            // Each of these passes is a plain sum, which compilers vectorise; searching stops at the first hit and is not.
            let behind_newline = if newlines > 0 { consumed.rsplit(|byte| *byte == b'\n').next().unwrap_or_default() } else { consumed };
            // Every byte of a character but its first is 10xxxxxx.
            let characters = behind_newline.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count();
            let before = if newlines > 0 { 1 } else { self.column };
            self.column = before.saturating_add(u64::try_from(characters).unwrap_or(u64::MAX));
            let excluded = consumed.iter().filter(|byte| is_excluded(**byte)).count();
            if excluded > 0 && self.fault.is_none() {
                self.fault = consumed.iter().copied().find(|byte| is_excluded(*byte)).map(GuardFault::ControlCharacter);
            }
        }
        self.message_left = self.message_left.saturating_sub(u64::try_from(amount).unwrap_or(u64::MAX));
        self.token_left = self.token_left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Guard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_at_its_limit_and_a_new_token_starts_afresh() {
        let bytes = vec![b'x'; TOKEN_BYTES_MAX * 2];
        let mut guard = Guard::new(bytes.as_slice());
        let first = guard.fill_buf().unwrap().len();
        assert_eq!(first, TOKEN_BYTES_MAX);
        guard.consume(first);
        guard.new_token();
        assert_eq!(guard.fill_buf().unwrap().len(), TOKEN_BYTES_MAX);
        guard.consume(TOKEN_BYTES_MAX - 1);
        assert_eq!(guard.fill_buf().unwrap().len(), 1);
        guard.consume(1);
        assert_eq!(guard.fill_buf().unwrap(), b"", "the end of the input is no fault");

        let mut guard = Guard::new(bytes.as_slice());
        guard.consume(TOKEN_BYTES_MAX);
        assert!(guard.fill_buf().is_err());
        assert_eq!(guard.fault(), Some(GuardFault::TokenTooLong));
    }

    #[test]
    fn the_tail_is_the_end_of_what_was_read_in_whole_characters() {
        let text = "Về việc ".repeat(40) + "  \n";
        let mut guard = Guard::new(text.as_bytes());
        for step in [1, 2, 3, 300] {
            guard.consume(step);
        }
        guard.consume(text.len() - 306);
        let tail = guard.tail();
        assert_eq!(tail.chars().count(), FOUND_CHARACTERS_MAX);
        assert!(tail.starts_with('…') && text.trim_end().ends_with(tail.trim_start_matches('…')), "{tail}");
        let mut guard = Guard::new(&b"<edXML"[..]);
        assert_eq!(guard.tail(), "");
        guard.consume(6);
        assert_eq!(guard.tail(), "<edXML");
    }

    #[test]
    fn lines_are_counted_and_control_characters_stop_the_input() {
        let mut guard = Guard::new(&b"a\r\nb\nc\0d"[..]);
        guard.consume(5);
        assert_eq!((guard.line(), guard.column(), guard.fault()), (3, 1, None));
        guard.consume(2);
        assert_eq!(guard.fault(), Some(GuardFault::ControlCharacter(0)));
        assert!(guard.fill_buf().is_err());
        let mut guard = Guard::new("Việt\nđó".as_bytes());
        guard.consume(6);
        assert_eq!((guard.line(), guard.column()), (1, 5));
        guard.consume(3);
        assert_eq!((guard.line(), guard.column()), (2, 2));
    }
}
