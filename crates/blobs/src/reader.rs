//! Reading a blob from an offset. Not finding or checking it.

use std::fmt;
use std::io::{self, Read};

use truc_types::limits::BLOB_CHUNK_BYTES;

/// The bytes of a blob from an offset to its end.
pub struct BlobReader {
    bytes: Box<dyn Read + Send>,
    size: u64,
    remaining: u64,
}

impl BlobReader {
    /// `bytes` has to stand at the offset already.
    pub(crate) fn new(bytes: impl Read + Send + 'static, size: u64, remaining: u64) -> Self {
        Self { bytes: Box::new(bytes), size, remaining }
    }

    /// Bytes of the whole blob.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are not read yet.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next piece as it goes over the line, in one read; empty at the end.
    ///
    /// # Errors
    /// What the file says, or that it ends early.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.remaining).map_or(BLOB_CHUNK_BYTES, |remaining| remaining.min(BLOB_CHUNK_BYTES));
        let mut chunk = vec![0; length];
        self.read_exact(&mut chunk)?;
        Ok(chunk)
    }
}

impl Read for BlobReader {
    /// A file that ends early is an error, not the end of the blob.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(buffer.len());
        let Some(window) = buffer.get_mut(..wanted).filter(|window| !window.is_empty()) else { return Ok(0) };
        let count = self.bytes.read(window)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.remaining -= u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader").field("size", &self.size).field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
