//! SHA-256 of what a reader has, in constant memory, copied on the way. What a digest means is decided by who asks.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use truc_types::Digest;

/// Bytes of one step.
const STEP_BYTES: usize = 1024 * 1024;

/// Copies everything; the hash so far and the number of bytes.
pub(crate) fn copy(reader: &mut dyn Read, to: &mut dyn Write) -> io::Result<(Sha256, u64)> {
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; STEP_BYTES], 0u64);
    loop {
        let count = match reader.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(step) = buffer.get(..count).filter(|step| !step.is_empty()) else { return Ok((hash, bytes)) };
        hash.update(step);
        to.write_all(step)?;
        bytes += u64::try_from(count).unwrap_or(u64::MAX);
    }
}

/// The hash of a file and its length; of one that is longer than `most`, only that it is.
pub(crate) fn of_file(path: &Path, most: u64) -> io::Result<(Sha256, u64)> {
    copy(&mut File::open(path)?.take(most.saturating_add(1)), &mut io::sink())
}

/// The digest that a hash has come to.
pub(crate) fn digest(hash: &Sha256) -> Digest {
    Digest(hash.clone().finalize().into())
}
