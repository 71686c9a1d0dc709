//! Attachments that this edge was seen to hold a moment ago: forms and letterheads that many documents carry cost one look at the disk a second, not one for
//! each document. What is not here is looked up; whether it is whole and whose it is says the folder of attachments (`truc_blobs`).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use truc_blobs::BlobStore;
use truc_types::{AgencyCode, Digest};

/// How long a look counts. An edge deletes no attachment; somebody else who does in its folder is noticed so much later.
const LOOK_COUNTS: Duration = Duration::from_secs(1);
/// Contents that are remembered: 64 bytes each.
const HELD_MAX: usize = 1_024;

/// Size of contents, and when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Held {
    seen: Mutex<HashMap<Digest, (u64, Instant)>>,
}

impl Held {
    /// Whether the edge holds a content of this size, from memory and at most one look at the length of the file. `false` says nothing.
    pub(crate) fn has(&self, blobs: &dyn BlobStore, agency: &AgencyCode, (digest, size): (&Digest, u64), now: Instant) -> bool {
        if self.seen.lock().get(digest).is_some_and(|(seen, at)| *seen == size && now.duration_since(*at) < LOOK_COUNTS) {
            return true;
        }
        if blobs.owns_seen(agency, digest) != Some(size) {
            return false;
        }
        let mut seen = self.seen.lock();
        if seen.len() >= HELD_MAX {
            seen.clear();
        }
        seen.insert(*digest, (size, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use truc_blobs::FolderStore;

    use super::*;

    #[test]
    fn what_went_is_noticed_after_a_moment_and_another_size_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderStore::open(folder.path()).unwrap();
        let agency = "H53".parse().unwrap();
        let stored = blobs.put_from_reader(&agency, &mut &b"a form"[..]).unwrap();
        assert_eq!(blobs.owns(&agency, &stored.digest).unwrap(), Some(6));
        let (held, now) = (Held::default(), Instant::now());
        let has = |size| held.has(&blobs, &agency, (&stored.digest, size), now);
        assert!(!has(7) && has(6) && !has(7));
        assert!(!held.has(&blobs, &agency, (&Digest([1; 32]), 6), now));
        assert!(blobs.delete(&stored.digest).unwrap());
        assert!(has(6), "it was looked at");
        assert!(!held.has(&blobs, &agency, (&stored.digest, 6), now + LOOK_COUNTS));
    }
}
