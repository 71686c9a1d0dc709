//! A large content that is made while it is read: as many bytes as wanted from one chunk in memory. Not random enough for anything but a bench.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use truc_types::Digest;
use truc_types::limits::BLOB_CHUNK_BYTES;

/// A content that differs from those of other numbers in every chunk.
#[derive(Debug, Clone)]
pub(super) struct Content {
    number: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl Content {
    /// Makes it once, for its digest.
    pub(super) fn new(number: u64, size: u64) -> Self {
        let mut hasher = Sha256::new();
        chunks(number, size).for_each(|chunk| hasher.update(&chunk));
        Self { number, size, digest: Digest(hasher.finalize().into()) }
    }

    /// Its bytes, in pieces as they go over the line.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        chunks(self.number, self.size)
    }
}

fn chunks(number: u64, size: u64) -> impl Iterator<Item = Bytes> + Send + use<> {
    let step = u64::try_from(BLOB_CHUNK_BYTES).unwrap_or(u64::MAX);
    let text = format!("{number:016x}");
    let filled: Vec<u8> = text.bytes().cycle().take(BLOB_CHUNK_BYTES).collect();
    (0..size.div_ceil(step)).map(move |place| {
        let mut chunk = filled.clone();
        chunk.truncate(usize::try_from((size - place * step).min(step)).unwrap_or_default());
        for (byte, mark) in chunk.iter_mut().zip(place.to_be_bytes()) {
            *byte = mark;
        }
        chunk.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_its_size_and_no_two_pieces_are_alike() {
        let content = Content::new(1, 2 * 256 * 1024 + 5);
        let chunks: Vec<_> = content.chunks().collect();
        assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>() as u64, content.size);
        assert!(chunks[0] != chunks[1] && chunks[2].len() == 5);
        assert_ne!(content.digest, Content::new(2, content.size).digest);
        assert_eq!(content.digest, Digest(Sha256::digest(chunks.concat()).into()));
    }
}
