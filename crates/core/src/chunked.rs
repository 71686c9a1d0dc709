//! An ordered map whose clones share what did not change. Not a general container: it has what the registry needs and nothing more.
//!
//! The sequencer changes the registry while readers hold the one before. A `BTreeMap` would be copied whole for every change; here a change copies the
//! list of chunks (one pointer for some hundred entries) and the one chunk that it touches.

use std::ops::Bound;
use std::sync::Arc;

/// Entries of one chunk before it is split: for 110,000 entries some 600 chunks, so that both copies of a change take microseconds.
const CHUNK_ENTRIES_MAX: usize = 256;

/// An ordered map in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedMap<K, V> {
    /// In order, none empty, each in order inside.
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for ChunkedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> ChunkedMap<K, V> {
    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of a key, under the key that the map holds.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<(&K, &V)> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let place = chunk.binary_search_by(|(found, _)| found.cmp(key)).ok()?;
        chunk.get(place).map(|(key, value)| (key, value))
    }

    /// Sets the value of a key; the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.chunk_of(&key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|(found, _)| found.cmp(&key)) {
            Ok(place) => chunk.get_mut(place).map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(place) => {
                chunk.insert(place, (key, value));
                self.len += 1;
                if chunk.len() > CHUNK_ENTRIES_MAX {
                    let upper = chunk.split_off(CHUNK_ENTRIES_MAX / 2);
                    self.chunks.insert(at + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Takes a key out; its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.binary_search_by(|(found, _)| found.cmp(key)).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(place);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        Some(value)
    }

    /// The entries from a bound on, in order.
    pub fn range<'a>(&'a self, from: Bound<&K>) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let (at, place) = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) | Bound::Excluded(key) => {
                let at = self.chunk_of(key);
                let is_before = |found: &K| if matches!(from, Bound::Included(_)) { found < key } else { found <= key };
                (at, self.chunks.get(at).map_or(0, |chunk| chunk.partition_point(|(found, _)| is_before(found))))
            }
        };
        self.chunks.iter().skip(at).flat_map(|chunk| chunk.iter()).skip(place).map(|(key, value)| (key, value))
    }

    /// The chunk that has the key or would: the last one that begins at or below it, or the first.
    fn chunk_of(&self, key: &K) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first <= key));
        after.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_holds(steps in proptest::collection::vec((0u16..900, any::<bool>(), any::<u8>()), 0..2_000), from in 0u16..900) {
            let (mut map, mut tree) = (ChunkedMap::default(), BTreeMap::new());
            let mut before = None;
            for (number, (key, insert, value)) in steps.iter().enumerate() {
                if number == steps.len() / 2 {
                    before = Some((map.clone(), tree.clone()));
                }
                if *insert || key % 3 == 0 {
                    prop_assert_eq!(map.insert(*key, *value), tree.insert(*key, *value));
                } else {
                    prop_assert_eq!(map.remove(key), tree.remove(key));
                }
            }
            // The clone did not see what came after it.
            for (map, tree) in before.into_iter().chain([(map, tree)]) {
                prop_assert_eq!(map.len(), tree.len());
                prop_assert!(map.range(Bound::Unbounded).eq(tree.iter()));
                prop_assert!(map.range(Bound::Excluded(&from)).eq(tree.range((Bound::Excluded(from), Bound::Unbounded))));
                prop_assert!(map.range(Bound::Included(&from)).eq(tree.range(from..)));
                prop_assert!((0..900).all(|key| map.get(&key).map(|(_, value)| value) == tree.get(&key)));
            }
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_shares_the_others() {
        let mut map = ChunkedMap::default();
        for key in 0..110_000u32 {
            map.insert(key, ());
        }
        let before = map.clone();
        map.insert(200_000, ());
        let shared = map.chunks.iter().filter(|chunk| before.chunks.iter().any(|other| Arc::ptr_eq(chunk, other))).count();
        assert_eq!(shared, before.chunks.len() - 1);
    }
}
