//! The deliveries of one lane of a queue that can be granted, oldest first. Not which lane is next, nor what is leased.
//!
//! Almost all come in the order of their positions and leave from the front: those are rows of a ring. What comes back after a pause lies in a tree.

use std::collections::{BTreeMap, VecDeque};

use truc_types::{MessageId, QueuePosition};

/// Rows of a ring that is not worth making smaller.
const ROWS_MIN: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Row {
    position: QueuePosition,
    message_id: MessageId,
    recipient: u16,
    /// Removed from the middle: a row that waits until it is the first.
    gone: bool,
}

/// What can be granted in one lane.
#[derive(Debug, Default)]
pub(crate) struct ReadyLane {
    /// In the order of their positions; the first is never gone.
    rows: VecDeque<Row>,
    gone: usize,
    /// What came out of order.
    back: BTreeMap<QueuePosition, (MessageId, u16)>,
}

impl ReadyLane {
    pub(crate) fn push(&mut self, position: QueuePosition, message_id: MessageId, recipient: u16) {
        if self.rows.back().is_none_or(|last| last.position < position) {
            self.rows.push_back(Row { position, message_id, recipient, gone: false });
        } else {
            let earlier = self.back.insert(position, (message_id, recipient));
            debug_assert!(earlier.is_none(), "queue positions are used once");
        }
    }

    pub(crate) fn pop_first(&mut self) -> Option<(QueuePosition, (MessageId, u16))> {
        let from_rows = match (self.rows.front(), self.back.first_key_value()) {
            (Some(row), Some((back, _))) => row.position < *back,
            (row, _) => row.is_some(),
        };
        if !from_rows {
            return self.back.pop_first();
        }
        let row = self.rows.pop_front()?;
        self.tidy();
        Some((row.position, (row.message_id, row.recipient)))
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, position: QueuePosition) -> bool {
        if self.back.remove(&position).is_some() {
            return true;
        }
        let Ok(at) = self.rows.binary_search_by_key(&position, |row| row.position) else { return false };
        let Some(row) = self.rows.get_mut(at).filter(|row| !row.gone) else { return false };
        row.gone = true;
        self.gone += 1;
        self.tidy();
        true
    }

    /// The oldest.
    pub(crate) fn first(&self) -> Option<(QueuePosition, MessageId)> {
        let row = self.rows.front().map(|row| (row.position, row.message_id));
        let back = self.back.first_key_value().map(|(position, (message_id, _))| (*position, *message_id));
        row.into_iter().chain(back).min_by_key(|(position, _)| *position)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len() - self.gone + self.back.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All positions, in no order.
    #[cfg(test)]
    pub(crate) fn positions(&self) -> impl Iterator<Item = &QueuePosition> {
        self.rows.iter().filter(|row| !row.gone).map(|row| &row.position).chain(self.back.keys())
    }

    /// Rows that are gone leave from the front, or all at once when they are the most; a ring that emptied gives its memory back.
    fn tidy(&mut self) {
        while self.rows.front().is_some_and(|row| row.gone) {
            self.rows.pop_front();
            self.gone -= 1;
        }
        if self.gone > ROWS_MIN && self.gone > self.rows.len() / 2 {
            self.rows.retain(|row| !row.gone);
            self.gone = 0;
        }
        if self.rows.capacity() > 4 * (self.rows.len() + ROWS_MIN) {
            self.rows.shrink_to(2 * self.rows.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use truc_types::Timestamp;

    proptest! {
        #[test]
        fn it_gives_what_a_tree_gives(steps in proptest::collection::vec((0u8..5, 0u64..400), 1..2_000)) {
            let (mut lane, mut tree, mut next) = (ReadyLane::default(), BTreeMap::new(), 0);
            for (step, n) in steps {
                match step {
                    0 | 1 => {
                        next += 1 + n % 3;
                        lane.push(QueuePosition(next), MessageId::mint(Timestamp::from_millis(next), [0; 10]), 7);
                        tree.insert(QueuePosition(next), ());
                    }
                    2 => {
                        let position = QueuePosition(next.saturating_sub(n));
                        prop_assert_eq!(lane.remove(position), tree.remove(&position).is_some());
                    }
                    3 => prop_assert_eq!(lane.pop_first().map(|(position, _)| position), tree.pop_first().map(|(position, ())| position)),
                    _ => if let Some((position, (id, recipient))) = lane.pop_first() {
                        // Granted, and ready again.
                        lane.push(position, id, recipient);
                    },
                }
                prop_assert_eq!((lane.len(), lane.is_empty()), (tree.len(), tree.is_empty()));
                prop_assert_eq!(lane.first().map(|(position, _)| position), tree.first_key_value().map(|(position, ())| *position));
                prop_assert!(lane.rows.front().is_none_or(|row| !row.gone));
            }
        }
    }
}
