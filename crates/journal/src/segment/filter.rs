//! A Bloom filter over the ids of a sealed segment: what it denies is not there, what it affirms may be.
//!
//! Ids are chosen by senders. One who chooses them with care makes no more of the bits true than others do; what he gains is that look-ups of his own
//! ids read a file for nothing.

use std::sync::Arc;

use crate::contract::EntryId;

/// Bits for each id: with [`PROBES`] one of a hundred ids that are not there is affirmed. 6 million ids take 8 MB.
const BITS_AN_ID: u64 = 10;
/// Bits that an id makes true: 0.7 times the bits that it has are best.
const PROBES: u64 = 7;

/// The bits. Cheap to clone once it is filled.
#[derive(Debug, Clone)]
pub(super) struct Filter(Arc<[u64]>);

impl Filter {
    /// For so many ids.
    pub(super) fn with_room(ids: u64) -> Self {
        let words = usize::try_from(ids.saturating_mul(BITS_AN_ID).div_ceil(u64::from(u64::BITS))).unwrap_or(usize::MAX);
        Self(vec![0; words.max(1)].into())
    }

    pub(super) fn add(&mut self, id: &EntryId) {
        let places = self.places(id);
        let words = Arc::make_mut(&mut self.0);
        for (word, bit) in places {
            if let Some(word) = words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    pub(super) fn may_hold(&self, id: &EntryId) -> bool {
        self.places(id).all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    /// The words and the bits in them that belong to an id.
    fn places(&self, id: &EntryId) -> impl Iterator<Item = (usize, u64)> + use<> {
        let bits = self.0.len() as u64 * u64::from(u64::BITS);
        let id = u128::from_be_bytes(*id);
        // Double hashing (Kirsch and Mitzenmacher, 2006) with two mixtures of both halves.
        let (high, low) = (u64::try_from(id >> 64).unwrap_or_default(), u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default());
        let first = mix(high ^ mix(low));
        let step = mix(first) | 1;
        (0..PROBES).map(move |probe| {
            let bit = first.wrapping_add(step.wrapping_mul(probe)) % bits;
            (usize::try_from(bit / u64::from(u64::BITS)).unwrap_or(usize::MAX), 1 << (bit % u64::from(u64::BITS)))
        })
    }
}

/// The finaliser of splitmix64: every bit of the input changes half of the output.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_affirmed_and_of_the_others_one_in_a_hundred() {
        let id = |number: u32| (u128::from(number) << 80 | u128::from(number / 3)).to_be_bytes();
        let mut filter = Filter::with_room(10_000);
        (0..10_000).for_each(|number| filter.add(&id(number)));
        assert!((0..10_000).all(|number| filter.may_hold(&id(number))));
        let affirmed = (10_000..110_000).filter(|number| filter.may_hold(&id(*number))).count();
        assert!((300..2_000).contains(&affirmed), "{affirmed} of 100,000");
        assert!(!Filter::with_room(0).may_hold(&id(1)));
    }
}
