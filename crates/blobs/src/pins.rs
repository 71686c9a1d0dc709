//! Pins: blobs that must not be deleted while somebody decides about them. In memory only.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use truc_types::Digest;

/// How often each blob is pinned.
#[derive(Debug, Default)]
pub(crate) struct PinTable {
    counts: Mutex<HashMap<Digest, usize>>,
}

/// Keeps one blob from being deleted until it is dropped.
#[derive(Debug)]
pub struct BlobPin {
    digest: Digest,
    table: Arc<PinTable>,
}

impl PinTable {
    /// Pins a blob. The caller holds the blob's lock, so that it is not just being deleted.
    pub(crate) fn pin(self: &Arc<Self>, digest: &Digest) -> BlobPin {
        *self.counts.lock().entry(*digest).or_default() += 1;
        BlobPin { digest: *digest, table: Arc::clone(self) }
    }

    pub(crate) fn count(&self) -> usize {
        self.counts.lock().len()
    }

    pub(crate) fn is_pinned(&self, digest: &Digest) -> bool {
        self.counts.lock().contains_key(digest)
    }
}

impl BlobPin {
    /// The blob that is pinned.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Drop for BlobPin {
    fn drop(&mut self) {
        let mut counts = self.table.counts.lock();
        if let Some(count) = counts.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.digest);
            }
        }
    }
}
