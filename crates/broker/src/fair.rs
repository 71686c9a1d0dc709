//! A queue with a line for each agency, served in turn: whoever brings little waits for one turn of each other line, not for all that they hold.
//! In a line, receipts and everything else alternate: what an agency says of others' documents does not wait behind a flood of its own.
//! Deficit round robin (Shreedhar and Varghese, 1995), as routers do it. Not a bound: how much may wait at all is the business of `flow`.

use std::collections::VecDeque;

use crate::flow::CHARGE_BYTES_MIN;
use crate::kind::Kind;

/// What a line may take more at each of its turns: the smallest charge, so that a turn is as short as it can be. The largest statement waits 16 turns.
const TURN_BYTES: u32 = CHARGE_BYTES_MIN;

/// Number of a line: given out one after another, beginning with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineId(pub(crate) usize);

/// The queue. In a steady state it allocates nothing.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lines: Vec<Line<T>>,
    /// Lanes in which something waits, each once; the first has its turn.
    turns: VecDeque<usize>,
}

#[derive(Debug)]
struct Line<T> {
    receipts: VecDeque<(u32, T)>,
    others: VecDeque<(u32, T)>,
    /// Which of the two is next if both have something.
    turn: Kind,
    /// Bytes that the line has saved for its first item. Between two turns less than the largest item, or nothing: an empty line saves nothing up.
    credit: u32,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), turns: VecDeque::new() }
    }
}

impl<T> FairQueue<T> {
    /// Adds an item that counts so many bytes, at least [`TURN_BYTES`], at the end of its line.
    pub(crate) fn push(&mut self, line: LineId, kind: Kind, bytes: u32, item: T) {
        let LineId(number) = line;
        if number >= self.lines.len() {
            self.lines.resize_with(number + 1, Line::default);
        }
        if let Some(line) = self.lines.get_mut(number) {
            if line.is_empty() {
                self.turns.push_back(number);
            }
            let waiting = match kind {
                Kind::Receipt => &mut line.receipts,
                Kind::Other => &mut line.others,
            };
            waiting.push_back((bytes.max(TURN_BYTES), item));
        }
    }

    /// Takes the item whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        // Ends: every time round, each line that has something saves more for it.
        loop {
            let number = self.turns.pop_front()?;
            let line = self.lines.get_mut(number)?;
            line.credit = line.credit.saturating_add(TURN_BYTES);
            let item = line.take();
            if line.is_empty() {
                line.credit = 0;
            } else {
                self.turns.push_back(number);
            }
            if item.is_some() {
                return item;
            }
        }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { receipts: VecDeque::new(), others: VecDeque::new(), turn: Kind::Receipt, credit: 0 }
    }
}

impl<T> Line<T> {
    fn is_empty(&self) -> bool {
        self.receipts.is_empty() && self.others.is_empty()
    }

    /// The first item if the credit covers it. What was saved for a document may pay for a receipt that has come since.
    fn take(&mut self) -> Option<T> {
        let (waiting, after) = match self.turn {
            Kind::Receipt if !self.receipts.is_empty() => (&mut self.receipts, Kind::Other),
            Kind::Other if self.others.is_empty() => (&mut self.receipts, Kind::Other),
            Kind::Receipt | Kind::Other => (&mut self.others, Kind::Receipt),
        };
        let (bytes, _) = waiting.front()?;
        self.credit = self.credit.checked_sub(*bytes)?;
        self.turn = after;
        waiting.pop_front().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn popped<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn one_statement_waits_for_one_of_a_thousand() {
        let mut queue = FairQueue::default();
        (0..1_000).for_each(|_| queue.push(LineId(0), Kind::Other, 1, "flood"));
        assert_eq!(queue.pop(), Some("flood"));
        queue.push(LineId(7), Kind::Other, 1, "honest");
        assert_eq!([queue.pop(), queue.pop()], [Some("flood"), Some("honest")]);
        assert_eq!(popped(&mut queue).len(), 998);
    }

    #[test]
    fn a_large_statement_takes_as_many_turns_as_small_ones_of_its_size() {
        let mut queue = FairQueue::default();
        queue.push(LineId(0), Kind::Other, 10 * TURN_BYTES, 0);
        (1..=20).for_each(|number| queue.push(LineId(1), Kind::Other, TURN_BYTES, number));
        let expected: Vec<_> = (1..=9).chain([0]).chain(10..=20).collect();
        assert_eq!(popped(&mut queue), expected);
    }

    #[test]
    fn a_receipt_waits_for_one_document_of_its_own_agency_and_documents_for_one_receipt() {
        let mut queue = FairQueue::default();
        (1..=4).for_each(|number| queue.push(LineId(0), Kind::Other, TURN_BYTES, number));
        assert_eq!(queue.pop(), Some(1));
        (11..=13).for_each(|number| queue.push(LineId(0), Kind::Receipt, TURN_BYTES, number));
        // One that takes several turns keeps the place that it saves for.
        queue.push(LineId(0), Kind::Other, 3 * TURN_BYTES, 5);
        queue.push(LineId(0), Kind::Receipt, 2 * TURN_BYTES, 14);
        assert_eq!(popped(&mut queue), [11, 2, 12, 3, 13, 4, 14, 5]);
    }

    proptest! {
        /// Whatever comes and goes: nothing is lost or doubled, each line keeps its order, and no item waits for more of another line than its own
        /// line's bytes up to and with it, and a turn and a largest item more.
        #[test]
        fn every_lane_keeps_its_order_and_none_waits_for_more_than_its_share(
            kind in prop_oneof![Just(Kind::Receipt), Just(Kind::Other)],
            steps in prop::collection::vec((0..5_usize, prop_oneof![Just(TURN_BYTES), TURN_BYTES..=16 * TURN_BYTES], any::<bool>()), 1..300)
        ) {
            let mut queue = FairQueue::default();
            let (mut pushed, mut taken) = (BTreeMap::<usize, Vec<u32>>::new(), BTreeMap::<usize, Vec<u32>>::new());
            // Of each item that waits: what each line had been served when it came, and what its own line must be served until it has left.
            let mut waiting: BTreeMap<(usize, usize), (BTreeMap<usize, u64>, u64)> = BTreeMap::new();
            let served = |taken: &BTreeMap<usize, Vec<u32>>, line: usize| taken.get(&line).map_or(0, |items| items.iter().copied().map(u64::from).sum::<u64>());
            let take = |queue: &mut FairQueue<(usize, usize, u32)>, taken: &mut BTreeMap<usize, Vec<u32>>, waiting: &mut BTreeMap<_, (BTreeMap<usize, u64>, u64)>| {
                let Some((line, number, bytes)) = queue.pop() else { return false };
                assert_eq!(taken.entry(line).or_default().len(), number, "line {line} lost its order");
                let (before, own) = waiting.remove(&(line, number)).expect("it waits");
                for other in (0..5).filter(|other| *other != line) {
                    let passed = served(taken, other) - before.get(&other).copied().unwrap_or(0);
                    assert!(passed <= own + u64::from(17 * TURN_BYTES), "line {other} took {passed} bytes before {own} of line {line}");
                }
                taken.entry(line).or_default().push(bytes);
                true
            };
            for (line, bytes, pops) in steps {
                let own = pushed.entry(line).or_default();
                let number = own.len();
                own.push(bytes);
                let ahead = own.iter().copied().map(u64::from).sum::<u64>() - served(&taken, line);
                waiting.insert((line, number), ((0..5).map(|line| (line, served(&taken, line))).collect(), ahead));
                queue.push(LineId(line), kind, bytes, (line, number, bytes));
                if pops {
                    take(&mut queue, &mut taken, &mut waiting);
                }
            }
            while take(&mut queue, &mut taken, &mut waiting) {}
            prop_assert_eq!(pushed, taken);
        }
    }
}
