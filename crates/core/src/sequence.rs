//! The window in which an agency may use its sequence numbers in any order. Not the sequence itself: the edge assigns that.

use serde::{Deserialize, Serialize};
use truc_types::SenderSeq;
use truc_types::limits::SEQUENCE_WINDOW;

const WORDS: usize = 64;
const _: () = assert!(WORDS as u64 * 64 == SEQUENCE_WINDOW, "one bit per number of the window");

/// Which of the newest [`SEQUENCE_WINDOW`] numbers of one edge term have been used: one bit each, 512 bytes per agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceWindow {
    /// The highest number used; 0 before the first.
    highest: u64,
    /// Bit `n % SEQUENCE_WINDOW` stands for number n, for the numbers above `highest - SEQUENCE_WINDOW`.
    used: Vec<u64>,
}

/// What is to be said of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// Not used yet: it may be.
    Free,
    /// Used by another statement.
    Used,
    /// Too far below or above the highest number used to know, or 0.
    Outside,
}

impl Default for SequenceWindow {
    fn default() -> Self {
        Self { highest: 0, used: vec![0; WORDS] }
    }
}

impl SequenceWindow {
    /// What is to be said of `seq`.
    #[must_use]
    pub fn look(&self, seq: SenderSeq) -> Numbered {
        let SenderSeq(seq) = seq;
        if seq == 0 || self.highest.saturating_sub(seq) >= SEQUENCE_WINDOW || seq.saturating_sub(self.highest) > SEQUENCE_WINDOW {
            return Numbered::Outside;
        }
        if seq > self.highest {
            return Numbered::Free;
        }
        let (word, bit) = place(seq);
        if self.used.get(word).is_some_and(|word| word & bit != 0) { Numbered::Used } else { Numbered::Free }
    }

    /// Whether it has one bit per number: one that was read back may not.
    pub(crate) const fn is_whole(&self) -> bool {
        self.used.len() == WORDS
    }

    /// The highest number used; 0 before the first.
    #[must_use]
    pub const fn highest(&self) -> SenderSeq {
        SenderSeq(self.highest)
    }

    /// Marks `seq` as used. Numbers that leave the window are forgotten.
    pub fn mark(&mut self, seq: SenderSeq) {
        let SenderSeq(seq) = seq;
        if seq > self.highest {
            // The places of the numbers that enter the window stood for numbers that leave it.
            for entering in self.highest.saturating_add(1)..=seq.min(self.highest.saturating_add(SEQUENCE_WINDOW)) {
                let (word, bit) = place(entering);
                if let Some(word) = self.used.get_mut(word) {
                    *word &= !bit;
                }
            }
            self.highest = seq;
        }
        let (word, bit) = place(seq);
        if let Some(word) = self.used.get_mut(word) {
            *word |= bit;
        }
    }
}

fn place(seq: u64) -> (usize, u64) {
    let place = seq % SEQUENCE_WINDOW;
    (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_window_knows_what_a_set_of_all_numbers_would_know(steps in proptest::collection::vec(1u64..6_000, 1..200)) {
            let mut window = SequenceWindow::default();
            let mut used = BTreeSet::new();
            for seq in steps {
                let highest = used.last().copied().unwrap_or(0);
                let expected = if seq > highest + SEQUENCE_WINDOW || seq + SEQUENCE_WINDOW <= highest {
                    Numbered::Outside
                } else if used.contains(&seq) {
                    Numbered::Used
                } else {
                    Numbered::Free
                };
                prop_assert_eq!(window.look(SenderSeq(seq)), expected);
                if expected == Numbered::Free {
                    window.mark(SenderSeq(seq));
                    used.insert(seq);
                }
            }
        }
    }

    #[test]
    fn the_last_numbers_there_are_do_not_overflow() {
        let mut window = SequenceWindow::default();
        for seq in [u64::MAX - 9, u64::MAX] {
            window.mark(SenderSeq(seq));
            assert_eq!(window.look(SenderSeq(seq)), Numbered::Used);
        }
        assert_eq!(window.look(SenderSeq(u64::MAX - 1)), Numbered::Free);
        assert_eq!(window.look(SenderSeq(1)), Numbered::Outside);
    }

    #[test]
    fn a_window_that_was_cut_short_is_not_whole() {
        let mut window = SequenceWindow::default();
        assert!(window.is_whole());
        window.used.pop();
        assert!(!window.is_whole());
    }

    #[test]
    fn zero_is_no_number() {
        assert_eq!(SequenceWindow::default().look(SenderSeq(0)), Numbered::Outside);
    }
}
