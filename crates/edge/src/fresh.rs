//! Documents that were just handed in, with their bytes: the outbox brings them to the axis without reading rows and journal again. Nothing rests on what is
//! here: it is durable before it comes, the rows name every open document, and what finds no room is found in them.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use truc_types::{Digest, MessageId};

use crate::state::{SealedAt, open_key};

/// Documents that wait here, with their bytes: the outbox has 64 in its hands, and four times as many are a burst that has to be read from the rows.
const DOCUMENTS_MAX: usize = 256;
/// Bytes of their drafts and seals: of common documents all of them, of the longest a few.
const BYTES_MAX: usize = 1024 * 1024;
/// Documents that may wait here when another one is sealed: numbers are used in the order of the seals, so that what waits longer is sealed when its turn
/// comes.
const SEALED_MAX: usize = 64;

/// A document that nobody has begun to bring.
#[derive(Debug)]
pub(crate) struct FreshDocument {
    pub(crate) message_id: MessageId,
    pub(crate) lane: u8,
    pub(crate) draft: Vec<u8>,
    /// What has to be at the axis before it: digests and sizes.
    pub(crate) carried: Vec<(Digest, u64)>,
    /// Its seal, if it was made with the hand-in. The rows say whether it is still the one that counts.
    pub(crate) sealed: Option<(SealedAt, Vec<u8>)>,
}

/// What was handed in since the outbox last read the rows.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order in which the rows have them: urgent ones first.
    documents: BTreeMap<Vec<u8>, FreshDocument>,
    bytes: usize,
    /// Something found no room: only the rows know all.
    missed: bool,
    /// The outbox has nothing to bring but what is here, and little that waits.
    is_in_step: bool,
}

impl FreshDocument {
    fn bytes(&self) -> usize {
        self.draft.len() + self.sealed.as_ref().map_or(0, |(_, file)| file.len())
    }
}

impl Fresh {
    /// A document that is durable.
    pub(crate) fn put(&self, document: FreshDocument) {
        let mut inner = self.inner.lock();
        let bytes = document.bytes();
        inner.bytes += bytes;
        inner.documents.insert(open_key(document.lane, &document.message_id), document);
        while inner.documents.len() > DOCUMENTS_MAX || inner.bytes > BYTES_MAX {
            inner.missed = true;
            // The least urgent and newest one.
            let Some((_, last)) = inner.documents.pop_last() else { return };
            inner.bytes -= last.bytes();
        }
    }

    /// Whether a document may be sealed with its hand-in: only if it is brought soon.
    pub(crate) fn may_seal(&self) -> bool {
        let inner = self.inner.lock();
        inner.is_in_step && !inner.missed && inner.documents.len() < SEALED_MAX
    }

    /// The outbox says whether it has nothing to bring but what is here, and little that waits.
    pub(crate) fn in_step(&self, is_in_step: bool) {
        self.inner.lock().is_in_step = is_in_step;
    }

    /// The key of the next one, the most urgent first.
    pub(crate) fn first_key(&self) -> Option<Vec<u8>> {
        self.inner.lock().documents.first_key_value().map(|(key, _)| key.clone())
    }

    /// The document with this key.
    pub(crate) fn take(&self, key: &[u8]) -> Option<FreshDocument> {
        let mut inner = self.inner.lock();
        let document = inner.documents.remove(key)?;
        inner.bytes -= document.bytes();
        Some(document)
    }

    /// Whether documents are missing here, and the rows have to be read.
    pub(crate) fn missed(&self) -> bool {
        self.inner.lock().missed
    }

    /// Forgets everything: whoever calls this reads the rows afterwards.
    pub(crate) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::id;

    fn document(number: u8, lane: u8, bytes: usize) -> FreshDocument {
        FreshDocument { message_id: id(number), lane, draft: vec![0; bytes], carried: Vec::new(), sealed: None }
    }

    #[test]
    fn urgent_ones_come_first_and_what_finds_no_room_is_told() {
        let fresh = Fresh::default();
        for (number, lane) in [(1, 0), (2, 3), (3, 0)] {
            fresh.put(document(number, lane, 10));
        }
        let next = || fresh.take(&fresh.first_key()?);
        let order: Vec<_> = std::iter::from_fn(next).map(|document| document.message_id).collect();
        assert_eq!(order, [id(2), id(1), id(3)]);
        assert!(!fresh.missed() && !fresh.may_seal());
        fresh.in_step(true);
        assert!(fresh.may_seal());
        fresh.put(document(1, 0, BYTES_MAX));
        fresh.put(document(2, 0, 1));
        assert!(fresh.missed() && !fresh.may_seal());
        fresh.clear();
        assert!(!fresh.may_seal(), "the rows are not read yet");
        fresh.in_step(true);
        assert!(!fresh.missed() && next().is_none());
        (0..=u8::MAX).for_each(|number| fresh.put(document(number, 0, 1)));
        assert!(!fresh.missed() && !fresh.may_seal());
        // The one without room is the least urgent, not the newest.
        fresh.put(document(0, 1, 1));
        assert!(fresh.missed());
        assert_eq!(next().map(|document| document.lane), Some(1));
    }
}
