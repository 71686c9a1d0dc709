//! The open messages: a table that grows without copying what it holds, and shrinks when they close. Not what they mean: that is the state's.
//!
//! A million open messages must cost what they are and little more. A hash map of them would: it doubles, copies while it doubles, and never gets
//! smaller. Here messages lie in chunks of [`CHUNK_MESSAGES`], a new one takes the lowest free place, a chunk that empties is given back, and only the
//! index of 4 bytes a message is a hash table.
//!
//! The views keep the table by its places: [`GROUP_PLACES`] neighbours share a row, because a row costs far more to write than its bytes do. What has many
//! recipients stands in a row of its own, or each receipt for it would write all its neighbours.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use truc_types::MessageId;

use crate::state::OpenMessage;

/// Messages of one chunk: about 120 kB, so that no allocation is large and few chunks are half empty.
const CHUNK_MESSAGES: usize = 1_024;
/// Places that share a row of the views: with one recipient each about 1.3 kB.
pub(crate) const GROUP_PLACES: u32 = 16;
/// Recipients up to which a message shares a row: 16 such messages take at most 8 kB.
pub(crate) const SHARED_RECIPIENTS_MAX: usize = 8;
/// Places there may be at most: past what memory holds of messages. Bounds what a damaged view can ask for.
const PLACES_MAX: u32 = 1 << 28;

/// A message in its place.
#[derive(Debug)]
struct Slot {
    id: MessageId,
    message: OpenMessage,
}

/// A chunk; without places while it has no message. The sets of places outlive the messages: the views still have their rows.
#[derive(Debug, Default)]
struct Chunk {
    slots: Vec<Option<Slot>>,
    /// Places without a message.
    vacant: Vec<u16>,
    /// Places that stand in the list of changes: none stands there twice.
    listed: Places,
    /// Places whose message is in the row of its group.
    shared: Places,
    /// Places whose message has a row of its own.
    apart: Places,
}

/// A set of places of one chunk, one bit each.
#[derive(Debug, Default)]
struct Places(Box<[u64]>);

/// What is to be written to the views.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Groups whose row changed, in order.
    pub(crate) groups: Vec<u32>,
    /// Places whose own row changed, in order.
    pub(crate) apart: Vec<u32>,
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
    /// Places that changed since rows were taken.
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
        if chunk.listed.add(place) {
            self.changed.push(at);
        }
        chunk.slots.get_mut(place)?.as_mut().map(|slot| &mut slot.message)
    }

    /// Adds a message whose id is not there.
    pub(crate) fn insert(&mut self, id: MessageId, message: OpenMessage) {
        debug_assert!(!self.contains(&id), "an id is opened once");
        self.deliveries += message.recipients.len() as u64;
        let number = self.free.first().copied().unwrap_or(self.chunks.len());
        if number == self.chunks.len() {
            self.chunks.push(Chunk::default());
            self.free.insert(number);
        }
        let Some(chunk) = self.chunks.get_mut(number) else { return };
        let place = chunk.fill(Slot { id, message });
        if chunk.vacant.is_empty() {
            self.free.remove(&number);
        }
        let at = u32::try_from(number * CHUNK_MESSAGES + place).unwrap_or(u32::MAX);
        if chunk.listed.add(place) {
            self.changed.push(at);
        }
        let Self { hasher, index, chunks, .. } = self;
        index.insert_unique(hasher.hash_one(id), at, |at| hash_at(hasher, chunks, *at));
    }

    /// Puts a message back into the place where the views have it; false if it cannot be there. [`OpenMessages::settle`] comes after the last of them.
    pub(crate) fn restore(&mut self, at: u32, id: MessageId, message: OpenMessage) -> bool {
        let (number, place) = place_of(at);
        if at >= PLACES_MAX || self.contains(&id) || slot(&self.chunks, at).is_some() {
            return false;
        }
        if number >= self.chunks.len() {
            self.chunks.resize_with(number + 1, Chunk::default);
        }
        let Some(chunk) = self.chunks.get_mut(number) else { return false };
        if is_shared(&message) {
            chunk.shared.add(place)
        } else {
            chunk.apart.add(place)
        };
        self.deliveries += message.recipients.len() as u64;
        chunk.make_places();
        if let Some(to) = chunk.slots.get_mut(place) {
            *to = Some(Slot { id, message });
        }
        let Self { hasher, index, chunks, .. } = self;
        index.insert_unique(hasher.hash_one(id), at, |at| hash_at(hasher, chunks, *at));
        true
    }

    /// Finds the free places among those that were put back.
    pub(crate) fn settle(&mut self) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            chunk.vacant = (0u16..).zip(&chunk.slots).filter(|(_, slot)| slot.is_none()).map(|(place, _)| place).collect();
            chunk.vacant.reverse();
            if chunk.slots.is_empty() || !chunk.vacant.is_empty() {
                self.free.insert(number);
            }
        }
    }

    /// Takes a message out.
    pub(crate) fn remove(&mut self, id: &MessageId) -> Option<OpenMessage> {
        let Self { hasher, index, chunks, free, deliveries, changed } = self;
        let found = index.find_entry(hasher.hash_one(id), |at| id_at(chunks, *at) == Some(*id)).ok()?;
        let (at, _) = found.remove();
        let (number, place) = place_of(at);
        let chunk = chunks.get_mut(number)?;
        let slot = chunk.empty(place)?;
        if chunk.listed.add(place) {
            changed.push(at);
        }
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

    /// The rows that changed since this was called last. A message that came and went in between is in none.
    pub(crate) fn take_changed(&mut self) -> Changed {
        let mut changed = Changed::default();
        for at in std::mem::take(&mut self.changed) {
            let (chunk, place) = place_of(at);
            let Some(chunk) = self.chunks.get_mut(chunk) else { continue };
            chunk.listed.remove(place);
            let is_shared = chunk.slots.get(place).and_then(Option::as_ref).map(|slot| is_shared(&slot.message));
            let (in_group, alone) = (is_shared == Some(true), is_shared == Some(false));
            // What is there now is written; what was there and is not, too.
            if chunk.shared.set(place, in_group) || in_group {
                changed.groups.push(at / GROUP_PLACES);
            }
            if chunk.apart.set(place, alone) || alone {
                changed.apart.push(at);
            }
        }
        changed.groups.sort_unstable();
        changed.groups.dedup();
        changed.apart.sort_unstable();
        changed
    }

    /// The messages that share the row of a group, with their places in it.
    pub(crate) fn group(&self, group: u32) -> impl Iterator<Item = (u8, &MessageId, &OpenMessage)> {
        let (chunk, first) = place_of(group.saturating_mul(GROUP_PLACES));
        let slots = self.chunks.get(chunk).and_then(|chunk| chunk.slots.get(first..)).unwrap_or_default();
        let places = (0u8..).take_while(|place| u32::from(*place) < GROUP_PLACES);
        let shared = places.zip(slots).filter_map(|(place, slot)| slot.as_ref().map(|slot| (place, &slot.id, &slot.message)));
        shared.filter(|(_, _, message)| is_shared(message))
    }

    /// The message in a place, if it has a row of its own.
    pub(crate) fn apart(&self, at: u32) -> Option<(&MessageId, &OpenMessage)> {
        slot(&self.chunks, at).filter(|slot| !is_shared(&slot.message)).map(|slot| (&slot.id, &slot.message))
    }

    /// Messages that came, changed or went since rows were taken.
    pub(crate) fn changed_len(&self) -> usize {
        self.changed.len()
    }

    fn find(&self, id: &MessageId) -> Option<u32> {
        self.index.find(self.hasher.hash_one(id), |at| id_at(&self.chunks, *at) == Some(*id)).copied()
    }
}

impl Chunk {
    /// Whether it had none.
    fn make_places(&mut self) -> bool {
        let had_none = self.slots.is_empty();
        if had_none {
            self.slots.reserve_exact(CHUNK_MESSAGES);
            self.slots.resize_with(CHUNK_MESSAGES, || None);
        }
        had_none
    }

    /// Puts a message into a place; which.
    fn fill(&mut self, slot: Slot) -> usize {
        if self.make_places() {
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
}

impl Places {
    /// Whether it was not there before.
    fn add(&mut self, place: usize) -> bool {
        if self.0.is_empty() {
            self.0 = vec![0; CHUNK_MESSAGES / 64].into_boxed_slice();
        }
        let Some(word) = self.0.get_mut(place / 64) else { return false };
        let before = *word;
        *word |= 1 << (place % 64);
        *word != before
    }

    /// Whether that changed anything.
    fn set(&mut self, place: usize, is_there: bool) -> bool {
        if is_there { self.add(place) } else { self.remove(place) }
    }

    /// Whether it was there before.
    fn remove(&mut self, place: usize) -> bool {
        let Some(word) = self.0.get_mut(place / 64) else { return false };
        let before = *word;
        *word &= !(1 << (place % 64));
        *word != before
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

fn is_shared(message: &OpenMessage) -> bool {
    message.recipients.len() <= SHARED_RECIPIENTS_MAX
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
    use crate::state::{DeliveryStep, RecipientState, Recipients};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use truc_types::{Digest, Lane, Position, QueuePosition, Timestamp};

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

    fn wide(position: u64) -> OpenMessage {
        let one = RecipientState {
            organisation: "H53".parse().unwrap(),
            agency: AgencyIndex(0),
            queue_position: QueuePosition(1),
            step: DeliveryStep::Waiting,
        };
        OpenMessage { recipients: Recipients::from(vec![one; SHARED_RECIPIENTS_MAX + 1]), ..message(position) }
    }

    /// What views make of the rows that are taken.
    #[derive(Default)]
    struct Views {
        groups: BTreeMap<u32, Vec<(u32, MessageId, OpenMessage)>>,
        apart: BTreeMap<u32, (MessageId, OpenMessage)>,
    }

    impl Views {
        /// Writes what changed; returns how many rows that were.
        fn write(&mut self, open: &mut OpenMessages) -> usize {
            let changed = open.take_changed();
            assert!(changed.groups.is_sorted() && changed.apart.is_sorted());
            for group in &changed.groups {
                let row: Vec<_> = open.group(*group).map(|(at, id, message)| (u32::from(at), *id, message.clone())).collect();
                let before = self.groups.remove(group);
                assert!(before.is_some() || !row.is_empty(), "a row that is not there is not deleted");
                self.groups.extend((!row.is_empty()).then_some((*group, row)));
            }
            for at in &changed.apart {
                let row = open.apart(*at).map(|(id, message)| (*id, message.clone()));
                let before = self.apart.remove(at);
                assert!(before.is_some() || row.is_some(), "a row that is not there is not deleted");
                self.apart.extend(row.map(|row| (*at, row)));
            }
            changed.groups.len() + changed.apart.len()
        }

        fn restore(&self) -> OpenMessages {
            let mut open = OpenMessages::default();
            for (group, row) in &self.groups {
                row.iter().for_each(|(at, id, message)| assert!(open.restore(group * GROUP_PLACES + at, *id, message.clone())));
            }
            self.apart.iter().for_each(|(at, (id, message))| assert!(open.restore(*at, *id, message.clone())));
            open.settle();
            open
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds_and_its_rows_give_it_back(
            steps in proptest::collection::vec((0u8..8, 0u64..3_000, any::<bool>()), 1..4_000)
        ) {
            let (mut open, mut map, mut views) = (OpenMessages::default(), BTreeMap::new(), Views::default());
            for (step, key, is_wide) in steps {
                match step {
                    0..=2 if !map.contains_key(&key) => {
                        open.insert(id(key), if is_wide { wide(key) } else { message(key) });
                        map.insert(key, key);
                    }
                    0..=2 => {
                        open.get_mut(&id(key)).unwrap().position = Position(key + 1);
                        map.insert(key, key + 1);
                    }
                    3..=5 => prop_assert_eq!(open.remove(&id(key)).is_some(), map.remove(&key).is_some()),
                    6 => _ = views.write(&mut open),
                    _ if key < 30 => {
                        views.write(&mut open);
                        let restored = views.restore();
                        prop_assert!(restored == open && restored.deliveries() == open.deliveries());
                        open = restored;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(open.len(), map.len());
            prop_assert!(map.iter().all(|(key, position)| open.get(&id(*key)).map(|message| message.position.0) == Some(*position)));
            prop_assert_eq!(open.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), map.keys().map(|key| id(*key)).collect());
            views.write(&mut open);
            prop_assert!(views.restore() == open);
            prop_assert_eq!(views.write(&mut open), 0, "nothing has changed since");
        }
    }

    #[test]
    fn neighbours_share_a_row_and_what_has_many_recipients_has_one_of_its_own() {
        let (mut open, mut views) = (OpenMessages::default(), Views::default());
        (0..64).for_each(|n| open.insert(id(n), message(n)));
        open.insert(id(64), wide(64));
        assert_eq!(views.write(&mut open), 64 / usize::try_from(GROUP_PLACES).unwrap() + 1);
        open.get_mut(&id(64)).unwrap().position = Position(9);
        assert_eq!((views.write(&mut open), views.apart.len()), (1, 1));
        open.insert(id(65), message(65));
        open.remove(&id(65));
        assert_eq!(views.write(&mut open), 0, "it came and went");
    }

    #[test]
    fn a_place_is_given_back_once_and_only_where_messages_can_be() {
        let mut open = OpenMessages::default();
        assert!(open.restore(1_500, id(1), message(1)));
        for (at, id, why) in [(1_500, id(2), "taken"), (7, id(1), "the same id"), (PLACES_MAX, id(2), "too far")] {
            assert!(!open.restore(at, id, message(1)), "{why}");
        }
        open.settle();
        (2..2_050).for_each(|n| open.insert(id(n), message(n)));
        assert_eq!((open.len(), open.chunks.len()), (2_049, 3));
        assert_eq!(slot(&open.chunks, 1_500).unwrap().id, id(1));
    }

    #[test]
    fn what_has_closed_is_given_back() {
        let mut open = OpenMessages::default();
        (0..50_000).for_each(|n| open.insert(id(n), message(n)));
        (10..50_000).for_each(|n| drop(open.remove(&id(n))));
        let chunks = open.chunks.iter().filter(|chunk| chunk.slots.capacity() > 0).count();
        assert!(chunks == 1 && open.index.capacity() < 20_000, "{chunks} chunks, an index for {}", open.index.capacity());
        open.insert(id(99_999), message(9));
        let changed = open.take_changed();
        assert_eq!((open.len(), changed.apart), (11, vec![]));
        assert!(changed.groups.iter().all(|group| *group < 64), "only what is left has rows: {:?}", changed.groups);
    }
}
