//! The open messages: a table that grows without copying what it holds, and shrinks when they close. Not what they mean: that is the state's.
//!
//! A million open messages must cost what they are and little more. A hash map of them would: it doubles, copies while it doubles, and never gets
//! smaller. Here messages lie in chunks of [`CHUNK_MESSAGES`], a new one takes the lowest free place, a chunk that empties is given back, and only the
//! index of 4 bytes a message is a hash table.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use truc_types::MessageId;

use crate::state::OpenMessage;

/// Messages of one chunk: about 120 kB, so that no allocation is large and few chunks are half empty.
const CHUNK_MESSAGES: usize = 1_024;

/// A message and whether it changed since its row was taken.
#[derive(Debug)]
struct Slot {
    id: MessageId,
    changed: bool,
    message: OpenMessage,
}

/// A chunk; without places while it has no message.
#[derive(Debug, Default)]
struct Chunk {
    slots: Vec<Option<Slot>>,
    /// Places without a message.
    vacant: Vec<u16>,
    /// Places that stand in the list of changes, one bit each, whether or not they still have a message: none stands there twice.
    listed: Box<[u64]>,
}

/// The open messages by id.
#[derive(Debug, Default)]
pub(crate) struct OpenMessages {
    hasher: RandomState,
    index: HashTable<u32>,
    chunks: Vec<Chunk>,
    /// Chunks with a free place.
    free: BTreeSet<usize>,
    deliveries: u64,
    /// Places whose message has changed, unless it has closed since.
    changed: Vec<u32>,
}

impl OpenMessages {
    /// Number of messages.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Recipients of all of them.
    pub(crate) const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&OpenMessage> {
        let at = self.find(id)?;
        slot(&self.chunks, at).map(|slot| &slot.message)
    }

    pub(crate) fn contains(&self, id: &MessageId) -> bool {
        self.find(id).is_some()
    }

    /// A message to change; it counts as changed from here on.
    pub(crate) fn get_mut(&mut self, id: &MessageId) -> Option<&mut OpenMessage> {
        let at = self.find(id)?;
        let (chunk, place) = place_of(at);
        let chunk = self.chunks.get_mut(chunk)?;
        if chunk.list(place) {
            self.changed.push(at);
        }
        let slot = chunk.slots.get_mut(place)?.as_mut()?;
        slot.changed = true;
        Some(&mut slot.message)
    }

    /// Adds a message whose id is not there. `changed` says whether its row is still to be written.
    pub(crate) fn insert(&mut self, id: MessageId, message: OpenMessage, changed: bool) {
        debug_assert!(!self.contains(&id), "an id is opened once");
        self.deliveries += message.recipients.len() as u64;
        let number = self.free.first().copied().unwrap_or(self.chunks.len());
        if number == self.chunks.len() {
            self.chunks.push(Chunk::default());
            self.free.insert(number);
        }
        let Some(chunk) = self.chunks.get_mut(number) else { return };
        let place = chunk.fill(Slot { id, changed, message });
        if chunk.vacant.is_empty() {
            self.free.remove(&number);
        }
        let at = u32::try_from(number * CHUNK_MESSAGES + place).unwrap_or(u32::MAX);
        if changed && chunk.list(place) {
            self.changed.push(at);
        }
        let Self { hasher, index, chunks, .. } = self;
        index.insert_unique(hasher.hash_one(id), at, |at| hash_at(hasher, chunks, *at));
    }

    /// Takes a message out.
    pub(crate) fn remove(&mut self, id: &MessageId) -> Option<OpenMessage> {
        let Self { hasher, index, chunks, free, deliveries, .. } = self;
        let found = index.find_entry(hasher.hash_one(id), |at| id_at(chunks, *at) == Some(*id)).ok()?;
        let (at, _) = found.remove();
        let (number, place) = place_of(at);
        let slot = chunks.get_mut(number)?.empty(place)?;
        free.insert(number);
        *deliveries -= slot.message.recipients.len() as u64;
        if index.capacity() > 8 * (index.len() + CHUNK_MESSAGES) {
            index.shrink_to(2 * index.len(), |at| hash_at(hasher, chunks, *at));
        }
        Some(slot.message)
    }

    /// All messages, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&MessageId, &OpenMessage)> {
        self.chunks.iter().flat_map(|chunk| chunk.slots.iter().flatten()).map(|slot| (&slot.id, &slot.message))
    }

    /// The messages that changed since this was called last and are open now, by id.
    pub(crate) fn take_changed(&mut self) -> Vec<MessageId> {
        let mut ids = Vec::with_capacity(self.changed.len());
        for at in std::mem::take(&mut self.changed) {
            let (chunk, place) = place_of(at);
            let Some(chunk) = self.chunks.get_mut(chunk) else { continue };
            chunk.unlist(place);
            // The place may have no message any more, or one that came with its row.
            if let Some(Some(slot)) = chunk.slots.get_mut(place)
                && std::mem::take(&mut slot.changed)
            {
                ids.push(slot.id);
            }
        }
        ids.sort_unstable();
        ids
    }

    fn find(&self, id: &MessageId) -> Option<u32> {
        self.index.find(self.hasher.hash_one(id), |at| id_at(&self.chunks, *at) == Some(*id)).copied()
    }
}

impl Chunk {
    /// Puts a message into a place; which.
    fn fill(&mut self, slot: Slot) -> usize {
        if self.slots.is_empty() {
            self.slots.reserve_exact(CHUNK_MESSAGES);
            self.slots.resize_with(CHUNK_MESSAGES, || None);
            self.vacant = (0..).take(CHUNK_MESSAGES).collect();
            self.vacant.reverse();
        }
        let place = usize::from(self.vacant.pop().unwrap_or(0));
        if let Some(to) = self.slots.get_mut(place) {
            *to = Some(slot);
        }
        place
    }

    /// Takes a message out of a place, and gives the places back if it was the last.
    fn empty(&mut self, place: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(place)?.take()?;
        self.vacant.push(u16::try_from(place).unwrap_or(0));
        if self.vacant.len() == CHUNK_MESSAGES {
            (self.slots, self.vacant) = (Vec::new(), Vec::new());
        }
        Some(slot)
    }

    /// Lists a place; whether it was not listed before.
    fn list(&mut self, place: usize) -> bool {
        if self.listed.is_empty() {
            self.listed = vec![0; CHUNK_MESSAGES / 64].into_boxed_slice();
        }
        let Some(word) = self.listed.get_mut(place / 64) else { return false };
        let before = *word;
        *word |= 1 << (place % 64);
        *word != before
    }

    fn unlist(&mut self, place: usize) {
        if let Some(word) = self.listed.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }
}

impl PartialEq for OpenMessages {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(id, message)| other.get(id) == Some(message))
    }
}

fn place_of(at: u32) -> (usize, usize) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    (at / CHUNK_MESSAGES, at % CHUNK_MESSAGES)
}

fn slot(chunks: &[Chunk], at: u32) -> Option<&Slot> {
    let (chunk, place) = place_of(at);
    chunks.get(chunk)?.slots.get(place)?.as_ref()
}

fn hash_at(hasher: &RandomState, chunks: &[Chunk], at: u32) -> u64 {
    id_at(chunks, at).map_or(0, |id| hasher.hash_one(id))
}

fn id_at(chunks: &[Chunk], at: u32) -> Option<MessageId> {
    slot(chunks, at).map(|slot| slot.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::AgencyIndex;
    use crate::state::Recipients;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use truc_types::{Digest, Lane, Position, Timestamp};

    fn id(n: u64) -> MessageId {
        MessageId::mint(Timestamp::from_millis(n), [0; 10])
    }

    fn message(position: u64) -> OpenMessage {
        OpenMessage {
            position: Position(position),
            digest: Digest([0; 32]),
            sender: AgencyIndex(0),
            lane: Lane::Normal,
            accepted_at: Timestamp::default(),
            recipients: Recipients::from(Vec::new()),
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds(steps in proptest::collection::vec((0u8..4, 0u64..3_000), 1..4_000)) {
            let (mut open, mut map, mut changed) = (OpenMessages::default(), BTreeMap::new(), BTreeSet::new());
            for (step, key) in steps {
                match step {
                    0 | 1 if !map.contains_key(&key) => {
                        open.insert(id(key), message(key), true);
                        map.insert(key, key);
                        changed.insert(id(key));
                    }
                    0 | 1 => {
                        open.get_mut(&id(key)).unwrap().position = Position(key + 1);
                        map.insert(key, key + 1);
                        changed.insert(id(key));
                    }
                    2 => {
                        prop_assert_eq!(open.remove(&id(key)).map(|message| message.position.0), map.remove(&key));
                        changed.remove(&id(key));
                    }
                    _ => prop_assert_eq!(open.take_changed(), std::mem::take(&mut changed).into_iter().collect::<Vec<_>>()),
                }
            }
            prop_assert_eq!(open.len(), map.len());
            prop_assert!(map.iter().all(|(key, position)| open.get(&id(*key)).map(|message| message.position.0) == Some(*position)));
            prop_assert_eq!(open.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), map.keys().map(|key| id(*key)).collect());
        }
    }

    #[test]
    fn what_has_closed_is_given_back() {
        let mut open = OpenMessages::default();
        (0..50_000).for_each(|n| open.insert(id(n), message(n), false));
        (10..50_000).for_each(|n| drop(open.remove(&id(n))));
        let chunks = open.chunks.iter().filter(|chunk| chunk.slots.capacity() > 0).count();
        assert!(chunks == 1 && open.index.capacity() < 20_000, "{chunks} chunks, an index for {}", open.index.capacity());
        open.insert(id(99_999), message(9), true);
        assert_eq!((open.len(), open.take_changed()), (11, vec![id(99_999)]));
    }
}
