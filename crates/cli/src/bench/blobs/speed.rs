//! How fast this machine hashes, and how fast its disk takes files: what the legs are held against. Not the legs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, BLOB_CHUNK_BYTES};

use super::content::Content;
use crate::failure::Failure;

/// What is hashed, best of so many.
const HASHED_BYTES: usize = 64 * 1024 * 1024;
const HASHED_TIMES: usize = 5;
/// Files of the largest attachment that are written, best of so many: what else is on the disk makes it slower, nothing makes it faster.
const WRITTEN_TIMES: u64 = 5;

/// How fast one core hashes, in pieces as they go over the line.
pub(super) fn sha256_mib_per_second() -> f64 {
    let chunk = vec![7; BLOB_CHUNK_BYTES];
    let once = || {
        let begun = Instant::now();
        let mut hasher = Sha256::new();
        (0..HASHED_BYTES / BLOB_CHUNK_BYTES).for_each(|_| hasher.update(&chunk));
        std::hint::black_box(hasher.finalize());
        mib_per_second(HASHED_BYTES as u64, begun)
    };
    (0..HASHED_TIMES).map(|_| once()).fold(0.0, f64::max)
}

/// How fast the disk of a folder takes the largest attachment, written and synced as the store of attachments does it, and nothing else.
pub(super) fn disk_mib_per_second(folder: &Path) -> Result<f64, Failure> {
    let path = folder.join("disk-speed");
    let mut best = 0.0_f64;
    for number in 0..WRITTEN_TIMES {
        // Its bytes are those that the legs write.
        let content = Content::new(number, ATTACHMENT_BYTES_MAX);
        let begun = Instant::now();
        let write = || {
            let (mut file, mut written) = (File::create(&path)?, 0);
            for chunk in content.chunks() {
                file.write_all(&chunk)?;
                let until = written + chunk.len() as u64;
                truc_blobs::write_back(&file, written, until);
                written = until;
            }
            file.sync_data()
        };
        write().map_err(|source| Failure::file(&path, source))?;
        best = best.max(mib_per_second(ATTACHMENT_BYTES_MAX, begun));
    }
    std::fs::remove_file(&path).map_err(|source| Failure::file(&path, source))?;
    Ok(best)
}

#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn mib_per_second(bytes: u64, begun: Instant) -> f64 {
    bytes as f64 / (1024.0 * 1024.0) / begun.elapsed().as_secs_f64()
}
