//! The newest events in memory: a DMS that follows closely is told from here, without rows being read again at every block. Nothing rests on it: the rows
//! ([`super::events`]) have the same.

use std::collections::VecDeque;

use truc_types::Position;

use super::EventRow;

/// Bytes of events that are kept: of common ones some 700, a second of a busy edge.
const BYTES_MAX: usize = 128 * 1024;

/// The events of all records from a position on.
#[derive(Debug)]
pub(super) struct Tail {
    from: u64,
    records: VecDeque<(u64, Vec<EventRow>)>,
    bytes: usize,
}

fn bytes(events: &[EventRow]) -> usize {
    events.iter().map(EventRow::bytes).sum()
}

impl Tail {
    /// That of a state that has reached a position.
    pub(super) const fn new(position: Position) -> Self {
        Self { from: position.0, records: VecDeque::new(), bytes: 0 }
    }

    /// Adds the events of the next record that has any.
    pub(super) fn push(&mut self, position: Position, events: Vec<EventRow>) {
        self.bytes += bytes(&events);
        self.records.push_back((position.0, events));
        while self.bytes > BYTES_MAX
            && let Some((position, events)) = self.records.pop_front()
        {
            self.bytes -= bytes(&events);
            self.from = position + 1;
        }
    }

    /// The events of records after a cursor, as [`super::State::events_after`]; `None` if some of them are not here any more.
    pub(super) fn after(&self, cursor: u64, limit: usize) -> Option<Vec<(u64, Vec<EventRow>)>> {
        let first = self.records.partition_point(|(position, _)| *position < cursor);
        let found = self.records.range(first..).take(limit).map(|(position, events)| (position + 1, events.clone()));
        (cursor >= self.from).then(|| found.collect())
    }
}

#[cfg(test)]
mod tests {
    use truc_types::Timestamp;

    use super::*;
    use crate::state::Kind;
    use crate::testing::id;

    #[test]
    fn what_is_there_is_whole_and_bounded() {
        let mut tail = Tail::new(Position(10));
        let event = |text: &str| EventRow::new(Kind::RefusedByAxis, &id(1), Timestamp::default()).reason("reason", text);
        for position in [10, 12, 15] {
            tail.push(Position(position), vec![event("")]);
        }
        let cursors =
            |tail: &Tail, cursor, limit| Some(tail.after(cursor, limit)?.into_iter().map(|(cursor, _)| cursor).collect::<Vec<_>>());
        assert_eq!(cursors(&tail, 9, 9), None, "before what is here");
        assert_eq!(cursors(&tail, 10, 9), Some(vec![11, 13, 16]));
        assert_eq!(cursors(&tail, 11, 1), Some(vec![13]));
        assert_eq!(cursors(&tail, 16, 9), Some(vec![]));
        tail.push(Position(17), vec![event(&"x".repeat(BYTES_MAX / 2))]);
        assert_eq!(cursors(&tail, 10, 9), Some(vec![11, 13, 16, 18]));
        tail.push(Position(18), vec![event(&"x".repeat(BYTES_MAX / 2))]);
        assert_eq!((cursors(&tail, 17, 9), cursors(&tail, 18, 9)), (None, Some(vec![19])));
        tail.push(Position(19), vec![event(&"x".repeat(BYTES_MAX))]);
        assert_eq!((cursors(&tail, 19, 9), cursors(&tail, 20, 9)), (None, Some(vec![])));
    }
}
