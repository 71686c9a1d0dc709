//! What is sent in a replay: who writes to whom, how urgently, with which contents. The same for the same numbers, so that two runs compare.

use truc_types::Urgency;

/// Contents that documents name, as few as a form letter has versions: they are uploaded once per agency.
pub(super) const CONTENTS: usize = 8;

/// A document to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) sender: usize,
    /// Not the sender, none twice.
    pub(super) recipients: Vec<usize>,
    pub(super) urgency: Urgency,
    /// Which of the [`CONTENTS`].
    pub(super) content: usize,
}

/// Documents until there are so many deliveries. A few agencies send most (the n-th a 1/n part); four of five documents have one recipient, one in fifty
/// goes to everybody, the others to two to ten; eight of ten are not urgent.
pub(super) struct Plan {
    agencies: usize,
    left: u64,
    random: u64,
    /// Sum of the parts of all agencies, in thousandths.
    parts: u64,
}

impl Plan {
    pub(super) fn new(agencies: usize, deliveries: u64) -> Self {
        Self { agencies, left: deliveries, random: 2019, parts: (1..=agencies as u64).map(|rank| 1_000_000 / rank).sum() }
    }

    /// Below `end`, by splitmix64.
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    fn sender(&mut self) -> usize {
        let mut at = self.below(self.parts);
        for rank in 1..=self.agencies {
            let part = 1_000_000 / rank as u64;
            if at < part {
                return rank - 1;
            }
            at -= part;
        }
        0
    }
}

impl Iterator for Plan {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        if self.left == 0 {
            return None;
        }
        let others = self.agencies - 1;
        let count = match self.below(100) {
            0..80 => 1,
            80..98 => 2 + self.index(9),
            _ => others,
        };
        let count = count.min(others).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let sender = self.sender();
        let first = self.index(others);
        // Neighbours in a circle without the sender: none twice.
        let recipients = (0..count).map(|turn| (sender + 1 + (first + turn) % others) % self.agencies).collect();
        let urgency = match self.below(100) {
            0..80 => Urgency::Normal,
            80..93 => Urgency::Urgent,
            93..98 => Urgency::VeryUrgent,
            _ => Urgency::Flash,
        };
        self.left -= count as u64;
        Some(Document { sender, recipients, urgency, content: self.index(CONTENTS) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_plan_is_the_same_again_and_has_what_a_national_axis_has() {
        let documents: Vec<_> = Plan::new(94, 100_000).collect();
        assert!(documents.iter().eq(&Plan::new(94, 100_000).collect::<Vec<_>>()));
        assert_eq!(documents.iter().map(|document| document.recipients.len()).sum::<usize>(), 100_000);
        for Document { sender, recipients, .. } in &documents {
            let unique: HashSet<_> = recipients.iter().collect();
            assert!(unique.len() == recipients.len() && !recipients.contains(sender) && recipients.iter().all(|agency| *agency < 94));
        }
        let count = |of: &dyn Fn(&Document) -> bool| documents.iter().filter(|document| of(document)).count() * 100 / documents.len();
        assert!((15..25).contains(&count(&|document| document.sender == 0)), "a fifth is of the largest sender");
        assert!(count(&|document| document.recipients.len() == 1) >= 78);
        assert!(documents.iter().any(|document| document.recipients.len() == 93));
        let (urgencies, contents): (HashSet<_>, HashSet<_>) = documents.iter().map(|document| (document.urgency, document.content)).unzip();
        assert_eq!((urgencies.len(), contents.len()), (4, CONTENTS));
    }

    #[test]
    fn two_agencies_write_to_each_other() {
        assert!(Plan::new(2, 500).all(|document| document.recipients == [1 - document.sender]));
    }
}
