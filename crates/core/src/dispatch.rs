//! Which delivery of an agency goes out next, and which are leased: urgency lane, then age.
//!
//! Not facts: nothing here is in the journal. Losing it costs a redelivery, which recipients recognise. Time comes from the caller.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use truc_types::limits::{LEASE_MILLIS, REDELIVERY_PAUSE_MILLIS_MAX, REDELIVERY_PAUSE_MILLIS_MIN};
use truc_types::{Lane, MessageId, QueuePosition, Timestamp};

use crate::lane::ReadyLane;

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

/// A delivery that was granted before: it is in nobody's hands only between a grant that ended and the next one.
#[derive(Debug)]
struct Granted {
    delivery: Delivery,
    attempts: u32,
    place: Place,
}

/// What a queue holds, for those who watch it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueStanding {
    /// By [`Lane::index`].
    pub lanes: [LaneStanding; Lane::COUNT],
    /// In the hands of the edge.
    pub leased: usize,
    /// Waiting for their pause to end.
    pub paused: usize,
    /// Granted more than once.
    pub redelivered: usize,
}

/// What one lane of a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneStanding {
    /// Deliveries, granted ones included.
    pub waiting: usize,
    /// The oldest one and its message.
    pub oldest: Option<(QueuePosition, MessageId)>,
}

/// How it stands with one delivery that nobody has fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryStanding {
    /// How often it was granted.
    pub attempts: u32,
    /// Whether it is leased now.
    pub leased: bool,
    /// When lease or pause end; `None` while it is ready.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready,
    Leased { lease: LeaseId, until: Timestamp },
    Paused { until: Timestamp },
}

/// The open deliveries of one agency. Most of them wait for their first grant when there are many: those take a row of `ready` and nothing else.
#[derive(Debug, Default)]
pub struct AgencyQueue {
    /// What can be granted.
    ready: [ReadyLane; Lane::COUNT],
    /// What was granted before and is not fetched.
    granted: HashMap<QueuePosition, Granted>,
    /// Leases and pauses by the time they end.
    timed: BTreeSet<(Timestamp, QueuePosition)>,
    leases: HashMap<LeaseId, QueuePosition>,
    /// What is leased or paused, by lane and age.
    away: [BTreeMap<QueuePosition, MessageId>; Lane::COUNT],
    waiting: usize,
}

/// What waits in one lane of a queue, whoever has it leased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneLoad {
    /// Deliveries that nobody has fetched.
    pub waiting: usize,
    /// The message of the oldest of them.
    pub oldest: Option<MessageId>,
}

impl AgencyQueue {
    /// Adds a delivery that nobody has fetched yet.
    pub fn push(&mut self, position: QueuePosition, delivery: Delivery) {
        self.lane(delivery.lane).push(position, delivery.message_id, delivery.recipient);
        self.waiting += 1;
    }

    /// Removes a delivery: its `fetched` receipt is in the log, or it was withdrawn.
    pub fn remove(&mut self, position: QueuePosition) {
        let granted = self.granted.remove(&position);
        let was_there = match &granted {
            Some(granted) => {
                self.leave(position, granted.delivery.lane, granted.place);
                self.away(granted.delivery.lane).remove(&position);
                true
            }
            None => self.ready.iter_mut().any(|lane| lane.remove(position)),
        };
        self.waiting -= usize::from(was_there);
    }

    /// Leases the next delivery that is ready: highest lane first, oldest first in it.
    pub fn grant(&mut self, now: Timestamp, lease: LeaseId) -> Option<Grant> {
        let mut lanes = Lane::DRAIN_ORDER.into_iter();
        let (lane, (position, (message_id, recipient))) = lanes.find_map(|lane| self.lane(lane).pop_first().map(|first| (lane, first)))?;
        let delivery = Delivery { message_id, recipient, lane };
        let until = now.plus_millis(LEASE_MILLIS);
        let granted = self.granted.entry(position).or_insert(Granted { delivery, attempts: 0, place: Place::Ready });
        granted.attempts = granted.attempts.saturating_add(1);
        granted.place = Place::Leased { lease, until };
        let attempt = granted.attempts;
        self.timed.insert((until, position));
        self.leases.insert(lease, position);
        self.away(lane).insert(position, message_id);
        Some(Grant { lease, position, delivery, attempt })
    }

    /// Gives a lease back: the delivery is offered again after a pause that doubles with each attempt. Unknown leases have ended already.
    pub fn release(&mut self, now: Timestamp, lease: LeaseId) {
        if let Some(position) = self.leases.get(&lease).copied() {
            self.pause(now, position);
        }
    }

    /// The stream to the edge has ended: what it held and what was paused for it is ready at once, for the next stream. An edge that went away is
    /// not at fault, and the one that comes back is not the one that gave deliveries back: it may have been repaired meanwhile.
    pub fn release_all(&mut self) {
        self.leases.clear();
        for (_, position) in std::mem::take(&mut self.timed) {
            self.make_ready(position);
        }
    }

    /// Ends the leases and pauses whose time has come.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((until, position)) = self.timed.first().copied() {
            if until > now {
                break;
            }
            match self.granted.get(&position).map(|granted| granted.place) {
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
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Deliveries that are leased now.
    #[must_use]
    pub fn leased(&self) -> usize {
        self.leases.len()
    }

    /// What the queue holds. Takes as long as there are deliveries that were granted before.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "there is one standing per lane")]
    pub fn standing(&self) -> QueueStanding {
        let mut standing = QueueStanding::default();
        for (lane, ready) in standing.lanes.iter_mut().zip(&self.ready) {
            lane.waiting = ready.len();
            lane.oldest = ready.first();
        }
        for (position, granted) in &self.granted {
            standing.redelivered += usize::from(granted.attempts > 1);
            match granted.place {
                Place::Ready => continue,
                Place::Leased { .. } => standing.leased += 1,
                Place::Paused { .. } => standing.paused += 1,
            }
            let lane = &mut standing.lanes[granted.delivery.lane.index()];
            lane.waiting += 1;
            if lane.oldest.is_none_or(|(oldest, _)| *position < oldest) {
                lane.oldest = Some((*position, granted.delivery.message_id));
            }
        }
        standing
    }

    /// How it stands with one delivery that is in the queue.
    #[must_use]
    pub fn delivery(&self, position: QueuePosition) -> DeliveryStanding {
        let Some(granted) = self.granted.get(&position) else {
            return DeliveryStanding { attempts: 0, leased: false, until: None };
        };
        let (leased, until) = match granted.place {
            Place::Ready => (false, None),
            Place::Leased { until, .. } => (true, Some(until)),
            Place::Paused { until } => (false, Some(until)),
        };
        DeliveryStanding { attempts: granted.attempts, leased, until }
    }

    /// Whether a grant would find something.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.iter().any(|lane| !lane.is_empty())
    }

    /// What waits in each lane, by [`Lane::index`].
    #[must_use]
    pub fn load(&self) -> [LaneLoad; Lane::COUNT] {
        let mut load = [LaneLoad::default(); Lane::COUNT];
        for (load, (ready, away)) in load.iter_mut().zip(self.ready.iter().zip(&self.away)) {
            let away_first = away.first_key_value().map(|(position, message_id)| (*position, *message_id));
            let oldest = ready.first().into_iter().chain(away_first).min_by_key(|(position, _)| *position);
            *load = LaneLoad { waiting: ready.len() + away.len(), oldest: oldest.map(|(_, message_id)| message_id) };
        }
        load
    }

    fn pause(&mut self, now: Timestamp, position: QueuePosition) {
        let Some(granted) = self.granted.get_mut(&position) else { return };
        let doubled = REDELIVERY_PAUSE_MILLIS_MIN << granted.attempts.saturating_sub(1).min(20);
        let until = now.plus_millis(doubled.min(REDELIVERY_PAUSE_MILLIS_MAX));
        let (place, lane) = (granted.place, granted.delivery.lane);
        granted.place = Place::Paused { until };
        self.leave(position, lane, place);
        self.timed.insert((until, position));
    }

    fn make_ready(&mut self, position: QueuePosition) {
        let Some(granted) = self.granted.get_mut(&position) else { return };
        let (place, delivery) = (granted.place, granted.delivery);
        granted.place = Place::Ready;
        self.leave(position, delivery.lane, place);
        self.away(delivery.lane).remove(&position);
        self.lane(delivery.lane).push(position, delivery.message_id, delivery.recipient);
    }

    fn leave(&mut self, position: QueuePosition, lane: Lane, place: Place) {
        match place {
            Place::Ready => {
                self.lane(lane).remove(position);
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

    #[expect(clippy::indexing_slicing, reason = "there is one map per lane")]
    fn lane(&mut self, lane: Lane) -> &mut ReadyLane {
        &mut self.ready[lane.index()]
    }

    #[expect(clippy::indexing_slicing, reason = "there is one map per lane")]
    fn away(&mut self, lane: Lane) -> &mut BTreeMap<QueuePosition, MessageId> {
        &mut self.away[lane.index()]
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
    fn the_standing_counts_each_delivery_once_wherever_it_is() {
        let mut queue = AgencyQueue::default();
        for (n, lane) in [(1, Lane::Normal), (2, Lane::Urgent), (3, Lane::Flash), (4, Lane::Flash), (5, Lane::Normal)] {
            queue.push(QueuePosition(n), delivery(n, lane));
        }
        let mut now = Timestamp::default();
        // Leased, given back, leased again: 3. Leased: 4. Paused: 2.
        queue.grant(now, LeaseId(1)).unwrap();
        queue.release(now, LeaseId(1));
        now = now.plus_millis(REDELIVERY_PAUSE_MILLIS_MAX);
        queue.tick(now);
        for lease in [2, 3, 4] {
            queue.grant(now, LeaseId(lease)).unwrap();
        }
        queue.release(now, LeaseId(4));
        let standing = queue.standing();
        assert_eq!((standing.leased, standing.paused, standing.redelivered), (2, 1, 1));
        let lane = |lane: Lane| (standing.lanes[lane.index()].waiting, standing.lanes[lane.index()].oldest.map(|(position, _)| position.0));
        assert_eq!(
            [Lane::Flash, Lane::Urgent, Lane::VeryUrgent, Lane::Normal].map(lane),
            [(2, Some(3)), (1, Some(2)), (0, None), (2, Some(1))]
        );
        assert_eq!(standing.lanes.iter().map(|lane| lane.waiting).sum::<usize>(), queue.waiting());
        let three = queue.delivery(QueuePosition(3));
        assert_eq!((three.attempts, three.leased, three.until), (2, true, Some(now.plus_millis(LEASE_MILLIS))));
        assert_eq!(queue.delivery(QueuePosition(1)), DeliveryStanding { attempts: 0, leased: false, until: None });
        assert!(!queue.delivery(QueuePosition(2)).leased && queue.delivery(QueuePosition(2)).until.is_some());
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

    #[test]
    fn an_edge_that_comes_back_does_not_wait_for_pauses_either() {
        let mut queue = AgencyQueue::default();
        queue.push(QueuePosition(1), delivery(1, Lane::Normal));
        for attempt in 1..=12 {
            queue.grant(Timestamp::default(), LeaseId(attempt)).unwrap();
            queue.release(Timestamp::default(), LeaseId(attempt));
            assert!(!queue.is_ready(), "paused");
            queue.release_all();
            assert_eq!(queue.next_tick(), None);
        }
        assert_eq!(queue.grant(Timestamp::default(), LeaseId(13)).unwrap().attempt, 13, "the next pause is no shorter for it");
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
                for granted in queue.granted.values() {
                    match granted.place {
                        Place::Ready => ready += 1,
                        Place::Leased { .. } => held += 1,
                        Place::Paused { .. } => paused += 1,
                    }
                }
                let never = queue.ready.iter().flat_map(ReadyLane::positions).filter(|position| !queue.granted.contains_key(position)).count();
                let in_lanes = queue.ready.iter().map(ReadyLane::len).sum::<usize>();
                prop_assert_eq!(ready + never, in_lanes);
                prop_assert_eq!(in_lanes + held + paused, open.len());
                prop_assert_eq!(held, queue.leases.len());
                prop_assert_eq!(held + paused, queue.timed.len());
                prop_assert_eq!(queue.away.iter().map(BTreeMap::len).sum::<usize>(), held + paused);
                let load = queue.load();
                prop_assert_eq!(load.iter().map(|lane| lane.waiting).sum::<usize>(), open.len());
                let oldest = load.iter().filter_map(|lane| lane.oldest).min();
                prop_assert_eq!(oldest, open.iter().min().map(|n| delivery(*n, Lane::Normal).message_id));
            }
        }
    }
}
