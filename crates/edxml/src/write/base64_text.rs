//! Base64 (RFC 4648 section 4) piece by piece, on one line: bytes go in, text goes to the output. It holds at most one chunk.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes encoded at once: a multiple of 3.
const GROUPS_BYTES: usize = 12 * 1024;

/// An encoder in front of an output.
pub(super) struct Base64Text<'a> {
    out: &'a mut dyn Write,
    pending: Vec<u8>,
    text: String,
}

impl<'a> Base64Text<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, pending: Vec::with_capacity(GROUPS_BYTES), text: String::with_capacity(GROUPS_BYTES / 3 * 4) }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = GROUPS_BYTES - self.pending.len();
            let (taken, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.pending.extend_from_slice(taken);
            bytes = rest;
            if self.pending.len() == GROUPS_BYTES {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// The last group, padded.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.encode()
    }

    fn encode(&mut self) -> io::Result<()> {
        self.text.clear();
        STANDARD.encode_string(&self.pending, &mut self.text);
        self.pending.clear();
        self.out.write_all(self.text.as_bytes())
    }
}
