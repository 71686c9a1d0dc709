//! Which delivery of an agency goes out next, and which are leased: urgency lane, then age.
//!
//! Not facts: nothing here is in the journal. Losing it costs a redelivery, which recipients recognise. Time comes from the caller.

use std::collections::{BTreeSet, HashMap};

use truc_types::limits::{LEASE_MILLIS, REDELIVERY_PAUSE_MILLIS_MAX, REDELIVERY_PAUSE_MILLIS_MIN};
use truc_types::{Lane, MessageId, QueuePosition, Timestamp};

/// Names one lease of this process. Never reused while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// What waits in a queue: a message for one of its recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub message_id: MessageId,
    /// Index of the recipient in the envelope's list.
    pub recipient: u16,
    /// Its lane.
    pub lane: Lane,
}

/// A delivery that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease: LeaseId,
    /// Position in the queue.
    pub position: QueuePosition,
    /// What to deliver.
    pub delivery: Delivery,
    /// How often it has been granted, this time included.
    pub attempt: u32,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    attempts: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready,
    Leased { lease: LeaseId, until: Timestamp },
    Paused { until: Timestamp },
}

/// The open deliveries of one agency.
#[derive(Debug, Default)]
pub struct AgencyQueue {
    waiting: HashMap<QueuePosition, Waiting>,
    ready: [BTreeSet<QueuePosition>; Lane::COUNT],
    /// Leases and pauses by the time they end.
    timed: BTreeSet<(Timestamp, QueuePosition)>,
    leases: HashMap<LeaseId, QueuePosition>,
}

impl AgencyQueue {
    /// Adds a delivery that nobody has fetched yet.
    pub fn push(&mut self, position: QueuePosition, delivery: Delivery) {
        let earlier = self.waiting.insert(position, Waiting { delivery, attempts: 0, place: Place::Ready });
        debug_assert!(earlier.is_none(), "queue positions are used once");
        self.lane(delivery.lane).insert(position);
    }

    /// Removes a delivery: its `fetched` receipt is in the log, or it was withdrawn.
    pub fn remove(&mut self, position: QueuePosition) {
        if let Some(waiting) = self.waiting.remove(&position) {
            self.leave(position, waiting.delivery.lane, waiting.place);
        }
    }

    /// Leases the next delivery that is ready: highest lane first, oldest first in it.
    pub fn grant(&mut self, now: Timestamp, lease: LeaseId) -> Option<Grant> {
        let position = Lane::DRAIN_ORDER.iter().find_map(|lane| self.lane(*lane).first().copied())?;
        let until = now.plus_millis(LEASE_MILLIS);
        let waiting = self.waiting.get_mut(&position)?;
        waiting.attempts = waiting.attempts.saturating_add(1);
        waiting.place = Place::Leased { lease, until };
        let (delivery, attempt) = (waiting.delivery, waiting.attempts);
        self.lane(delivery.lane).remove(&position);
        self.timed.insert((until, position));
        self.leases.insert(lease, position);
        Some(Grant { lease, position, delivery, attempt })
    }

    /// Gives a lease back: the delivery is offered again after a pause that doubles with each attempt. Unknown leases have ended already.
    pub fn release(&mut self, now: Timestamp, lease: LeaseId) {
        if let Some(position) = self.leases.get(&lease).copied() {
            self.pause(now, position);
        }
    }

    /// The stream to the edge has ended: its deliveries are ready at once, for the next stream. An edge that went away is not at fault.
    pub fn release_all(&mut self) {
        for position in std::mem::take(&mut self.leases).into_values() {
            let Some(waiting) = self.waiting.get_mut(&position) else { continue };
            if let Place::Leased { until, .. } = waiting.place {
                self.timed.remove(&(until, position));
            }
            waiting.place = Place::Ready;
            let lane = waiting.delivery.lane;
            self.lane(lane).insert(position);
        }
    }

    /// Ends the leases and pauses whose time has come.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((until, position)) = self.timed.first().copied() {
            if until > now {
                break;
            }
            match self.waiting.get(&position).map(|waiting| waiting.place) {
                Some(Place::Leased { .. }) => self.pause(now, position),
                Some(Place::Paused { .. }) => self.make_ready(position),
                Some(Place::Ready) | None => {
                    self.timed.remove(&(until, position));
                }
            }
        }
    }

    /// When [`AgencyQueue::tick`] has something to do next.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.timed.first().map(|(until, _)| *until)
    }

    /// Deliveries that nobody has fetched yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Deliveries that are leased now.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// Whether a grant would find something.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.iter().any(|lane| !lane.is_empty())
    }

    fn pause(&mut self, now: Timestamp, position: QueuePosition) {
        let Some(waiting) = self.waiting.get_mut(&position) else { return };
        let doubled = REDELIVERY_PAUSE_MILLIS_MIN << waiting.attempts.saturating_sub(1).min(20);
        let until = now.plus_millis(doubled.min(REDELIVERY_PAUSE_MILLIS_MAX));
        let (place, lane) = (waiting.place, waiting.delivery.lane);
        waiting.place = Place::Paused { until };
        self.leave(position, lane, place);
        self.timed.insert((until, position));
    }

    fn make_ready(&mut self, position: QueuePosition) {
        let Some(waiting) = self.waiting.get_mut(&position) else { return };
        let (place, lane) = (waiting.place, waiting.delivery.lane);
        waiting.place = Place::Ready;
        self.leave(position, lane, place);
        self.lane(lane).insert(position);
    }

    fn leave(&mut self, position: QueuePosition, lane: Lane, place: Place) {
        match place {
            Place::Ready => {
                self.lane(lane).remove(&position);
            }
            Place::Leased { lease, until } => {
                self.leases.remove(&lease);
                self.timed.remove(&(until, position));
            }
            Place::Paused { until } => {
                self.timed.remove(&(until, position));
            }
        }
    }

    #[expect(clippy::indexing_slicing, reason = "there is one set per lane")]
    fn lane(&mut self, lane: Lane) -> &mut BTreeSet<QueuePosition> {
        &mut self.ready[lane.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn delivery(n: u64, lane: Lane) -> Delivery {
        Delivery { message_id: MessageId::mint(Timestamp::from_millis(n), [0; 10]), recipient: 0, lane }
    }

    #[test]
    fn urgent_overtakes_bulk_and_age_decides_within_a_lane() {
        let mut queue = AgencyQueue::default();
        for (n, lane) in [(1, Lane::Normal), (2, Lane::Urgent), (3, Lane::Flash), (4, Lane::Urgent), (5, Lane::Normal)] {
            queue.push(QueuePosition(n), delivery(n, lane));
        }
        let order: Vec<u64> = (0..5).map(|n| queue.grant(Timestamp::default(), LeaseId(n)).unwrap().position.0).collect();
        assert_eq!(order, [3, 2, 4, 1, 5]);
        assert_eq!(queue.grant(Timestamp::default(), LeaseId(9)), None);
    }

    #[test]
    fn a_lease_that_runs_out_is_offered_again_after_growing_pauses() {
        let mut queue = AgencyQueue::default();
        queue.push(QueuePosition(1), delivery(1, Lane::Normal));
        let mut now = Timestamp::default();
        let mut pauses = Vec::new();
        for attempt in 1..=12 {
            let grant = queue.grant(now, LeaseId(attempt)).unwrap();
            assert_eq!(u64::from(grant.attempt), attempt);
            now = now.plus_millis(LEASE_MILLIS);
            queue.tick(now);
            assert!(!queue.is_ready());
            let ready_at = queue.next_tick().unwrap();
            pauses.push(ready_at.millis_since(now));
            now = ready_at;
            queue.tick(now);
        }
        assert_eq!(pauses[..4], [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pauses[11], REDELIVERY_PAUSE_MILLIS_MAX);
    }

    #[test]
    fn an_edge_that_comes_back_gets_its_deliveries_at_once() {
        let mut queue = AgencyQueue::default();
        queue.push(QueuePosition(1), delivery(1, Lane::Normal));
        let first = queue.grant(Timestamp::default(), LeaseId(1)).unwrap();
        queue.release_all();
        let second = queue.grant(Timestamp::default(), LeaseId(2)).unwrap();
        assert_eq!((second.position, second.attempt), (first.position, 2));
        queue.release(Timestamp::default(), LeaseId(1));
        assert_eq!(queue.leased(), 1, "a lease that has ended releases nothing");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Grant,
        Release(u8),
        Remove(u8),
        Tick(u32),
        Reconnect,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..4).prop_map(Step::Push),
            Just(Step::Grant),
            any::<u8>().prop_map(Step::Release),
            any::<u8>().prop_map(Step::Remove),
            (0u32..200_000).prop_map(Step::Tick),
            Just(Step::Reconnect),
        ]
    }

    proptest! {
        #[test]
        fn at_most_one_live_lease_per_delivery_and_nothing_is_lost(steps in proptest::collection::vec(step(), 1..120)) {
            let mut queue = AgencyQueue::default();
            let (mut now, mut pushed, mut leases) = (Timestamp::default(), 0u64, Vec::new());
            let mut open = HashSet::new();
            for step in steps {
                match step {
                    Step::Push(lane) => {
                        pushed += 1;
                        queue.push(QueuePosition(pushed), delivery(pushed, Lane::DRAIN_ORDER[usize::from(lane)]));
                        open.insert(pushed);
                    }
                    Step::Grant => {
                        let lease = LeaseId(leases.len() as u64);
                        if let Some(grant) = queue.grant(now, lease) {
                            prop_assert!(open.contains(&grant.position.0));
                            leases.push(grant);
                        }
                    }
                    Step::Release(which) => if let Some(grant) = leases.get(usize::from(which)) {
                        queue.release(now, grant.lease);
                    },
                    Step::Remove(which) => {
                        queue.remove(QueuePosition(u64::from(which)));
                        open.remove(&u64::from(which));
                    }
                    Step::Tick(millis) => {
                        now = now.plus_millis(u64::from(millis));
                        queue.tick(now);
                    }
                    Step::Reconnect => queue.release_all(),
                }
                let leased: HashSet<_> = queue.leases.values().collect();
                prop_assert_eq!(leased.len(), queue.leases.len(), "two leases on one delivery");
                prop_assert_eq!(queue.waiting(), open.len());
                let (mut ready, mut held, mut paused) = (0, 0, 0);
                for waiting in queue.waiting.values() {
                    match waiting.place {
                        Place::Ready => ready += 1,
                        Place::Leased { .. } => held += 1,
                        Place::Paused { .. } => paused += 1,
                    }
                }
                prop_assert_eq!(ready, queue.ready.iter().map(BTreeSet::len).sum::<usize>());
                prop_assert_eq!(held, queue.leases.len());
                prop_assert_eq!(held + paused, queue.timed.len());
            }
        }
    }
}
