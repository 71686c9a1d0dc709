//! Blobs that were looked up on the disk a moment ago, and who owns them: an envelope costs no file system call for an attachment that was just uploaded or
//! that many envelopes name. In memory only; whoever deletes a blob forgets it first.

use std::collections::HashMap;

use truc_types::{AgencyCode, Digest};

/// Blobs remembered under one lock, of 256: 16,384 in all, about 3 MiB.
const SEEN_MAX: usize = 64;

/// What is known of the blobs under one lock.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    blobs: HashMap<Digest, (u64, Vec<AgencyCode>)>,
}

impl Seen {
    /// The size of a blob that the agency was seen to own.
    pub(crate) fn owned(&self, agency: &AgencyCode, digest: &Digest) -> Option<u64> {
        self.blobs.get(digest).filter(|(_, owners)| owners.contains(agency)).map(|(size, _)| *size)
    }

    /// Remembers that the agency owns a blob; answers its size. When there are too many, all are looked up again.
    pub(crate) fn see(&mut self, agency: &AgencyCode, digest: Digest, size: u64) -> u64 {
        if self.blobs.len() >= SEEN_MAX && !self.blobs.contains_key(&digest) {
            self.blobs.clear();
        }
        self.blobs.entry(digest).or_insert_with(|| (size, Vec::new())).1.push(agency.clone());
        size
    }

    /// The blob is about to go.
    pub(crate) fn forget(&mut self, digest: &Digest) {
        self.blobs.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_is_remembered_for_each_agency_bounded_and_forgotten() {
        let (mut seen, [one, other]) = (Seen::default(), ["H1", "H2"].map(|code| code.parse::<AgencyCode>().unwrap()));
        let digest = |n: u8| Digest([n; 32]);
        assert_eq!((seen.see(&one, digest(0), 7), seen.owned(&one, &digest(0)), seen.owned(&other, &digest(0))), (7, Some(7), None));
        seen.see(&other, digest(0), 7);
        assert_eq!(seen.owned(&other, &digest(0)), Some(7));
        seen.forget(&digest(0));
        assert_eq!(seen.owned(&one, &digest(0)), None);
        for n in 0..=u8::MAX {
            seen.see(&one, digest(n), 1);
            assert!(seen.blobs.len() <= SEEN_MAX);
            assert_eq!(seen.owned(&one, &digest(n)), Some(1));
        }
    }
}
