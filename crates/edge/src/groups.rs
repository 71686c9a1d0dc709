//! Which kinds of receipts are on their way to the axis on one connection. A kind that is not can have its receipt sealed together with what it is about: one
//! block of the journal, and one wait for the disk, instead of two. Sealing the others and bringing all of them there is `receipts`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use truc_transport::clock;
use truc_types::{AgencyCode, EdgeTerm, MessageId, Position};

use crate::node::Node;
use crate::record::{Inside, Record, Recorded};
use crate::state::{Event, ItemRow, PendingItem, ReceiptRow, State};

/// Event and sender pairs in work at once.
pub(crate) const GROUPS_MAX: usize = 64;

/// Answers of the DMS to one sender go at once, and then gather for at least so long after the receipt before: a busy agency then says in one or two receipts a
/// second what took as many as there are documents, each sealed, logged and verified by three processes. Nobody waits for them as the DMS waits for `fetched`.
const ANSWERS_PAUSE: Duration = Duration::from_millis(500);
/// By chance they gather up to so much longer: what all senders of a busy minute are owed would else go at the same moment, again and again.
const ANSWERS_SPREAD: Duration = Duration::from_millis(250);
/// Answers that do not gather any longer: sealing, logging and verifying a receipt is then little for each of them.
pub(crate) const ANSWERS_ENOUGH: usize = 32;

/// What one receipt may be about: an event, and the agency that sealed the documents.
pub(crate) type Group = (Event, AgencyCode);

/// The groups of one connection.
#[derive(Debug)]
pub(crate) struct Groups {
    term: EdgeTerm,
    inner: Mutex<Inner>,
    sealed: mpsc::Sender<SealedReceipt>,
}

#[derive(Debug, Default)]
struct Inner {
    /// A receipt of it is being sealed or brought.
    in_hand: HashSet<Group>,
    /// Something of it has to be sealed.
    waiting: HashSet<Group>,
    /// Answers of which a receipt went a moment ago, and until when the next ones gather.
    gathering: HashMap<Group, Instant>,
}

impl Inner {
    fn is_gathering(&self, group: &Group, now: Instant) -> bool {
        self.gathering.get(group).is_some_and(|until| *until > now)
    }

    fn take_in_hand(&mut self, group: &Group, now: Instant) {
        self.in_hand.insert(group.clone());
        if group.0 != Event::Fetched {
            let [random] = clock::random::<1>();
            self.gathering.insert(group.clone(), now + ANSWERS_PAUSE + ANSWERS_SPREAD * u32::from(random) / u32::from(u8::MAX));
        }
    }
}

/// A receipt that is durable and nobody brings yet.
#[derive(Debug)]
pub(crate) struct SealedReceipt {
    pub(crate) group: Group,
    pub(crate) receipt_id: MessageId,
    pub(crate) row: ReceiptRow,
    pub(crate) file: Vec<u8>,
}

/// A receipt that was sealed with what it is about, to be handed over once both are durable.
pub(crate) struct SealedAlong {
    groups: Arc<Groups>,
    receipt: SealedReceipt,
}

impl SealedAlong {
    /// Has it brought. When the connection has ended meanwhile, the next one finds it in the rows.
    pub(crate) fn hand_over(self) {
        // There is a place for every group, and of each one receipt at a time.
        let _gone = self.groups.sealed.try_send(self.receipt);
    }
}

impl Groups {
    /// Those of a connection that begins, and where receipts come that were sealed along.
    pub(crate) fn new(term: EdgeTerm) -> (Arc<Self>, mpsc::Receiver<SealedReceipt>) {
        let (sealed, receiver) = mpsc::channel(GROUPS_MAX);
        (Arc::new(Self { term, inner: Mutex::default(), sealed }), receiver)
    }

    /// Something of these groups has to be sealed.
    pub(crate) fn wait(&self, groups: impl IntoIterator<Item = Group>) {
        self.inner.lock().waiting.extend(groups);
    }

    /// Takes groups in hand of which nothing is on its way, as many as there is room for. `is_enough`: there is so much of it that it does not gather.
    pub(crate) fn begin(&self, now: Instant, is_enough: impl Fn(&Group) -> bool) -> Vec<Group> {
        let inner = &mut *self.inner.lock();
        inner.gathering.retain(|_, until| *until > now);
        let room = GROUPS_MAX.saturating_sub(inner.in_hand.len());
        let is_free = |group: &&Group| !inner.in_hand.contains(*group) && (!inner.is_gathering(group, now) || is_enough(group));
        let next: Vec<Group> = inner.waiting.iter().filter(is_free).take(room).cloned().collect();
        for group in &next {
            inner.waiting.remove(group);
            inner.take_in_hand(group, now);
        }
        next
    }

    /// When the first of those that wait has gathered enough.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        inner.waiting.iter().filter(|group| !inner.in_hand.contains(*group)).filter_map(|group| inner.gathering.get(group)).min().copied()
    }

    /// Nothing of the group is on its way any more.
    pub(crate) fn done(&self, group: &Group) {
        self.inner.lock().in_hand.remove(group);
    }

    /// Takes a group in hand if nothing of it is on its way or waits to be.
    fn claim(&self, group: &Group, state: &State, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        let is_free = inner.in_hand.len() < GROUPS_MAX && !inner.in_hand.contains(group) && !inner.waiting.contains(group);
        let is_free = is_free && !inner.is_gathering(group, now) && !state.is_group_touched(group);
        if is_free {
            inner.take_in_hand(group, now);
        }
        is_free
    }
}

/// Seals the receipt about one event that is about to be recorded, `before` records further on, unless others of its kind are on their way: those it joins.
/// Only for the recorder's thread. A connection that ends takes its groups away before the next one asks the recorder what there is, so that a receipt
/// is either found by that one or was handed to this one.
pub(crate) fn seal_along(node: &Node, state: &State, group: Group, item: PendingItem, before: u64) -> Option<(Recorded, SealedAlong)> {
    let groups = node.groups.lock().clone()?;
    if !groups.claim(&group, state, Instant::now()) {
        return None;
    }
    let (event, sender) = (group.0, group.1.clone());
    let items = vec![ItemRow { message_id: item.message_id, recipient: item.recipient.clone(), pending: item.row.clone() }];
    let row = ReceiptRow { position: Position(state.applied().0 + before), term: groups.term, event, sender, items };
    let (receipt, file) = node.sealer.receipt(event, &group.1, vec![item], groups.term, node.trust.observed().for_statements());
    let receipt_id = receipt.receipt_id;
    let record =
        Recorded { record: Record::ReceiptSealed { receipt_id, file: file.clone() }, inside: Some(Inside::Receipt(Box::new(receipt))) };
    Some((record, SealedAlong { groups, receipt: SealedReceipt { group, receipt_id, row, file } }))
}

#[cfg(test)]
mod tests {
    use truc_types::Position;
    use truc_views::{Overlay, ViewFormat, ViewStore};

    use super::*;
    use crate::testing::agency;

    fn state(folder: &std::path::Path) -> State {
        let format = ViewFormat { name: "edge", format: 1, cache_bytes: 1 << 20 };
        let (store, _) = ViewStore::open(folder, format, Position(0)).unwrap();
        State::new(Arc::new(Overlay::new(Arc::new(store))), Position(0))
    }

    #[test]
    fn a_group_is_claimed_only_while_nothing_of_it_is_on_its_way_or_waits() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let now = Instant::now();
        let (groups, _along) = Groups::new(EdgeTerm(1));
        let group = |event| (event, agency("A80"));
        assert!(groups.claim(&group(Event::Fetched), &state, now));
        assert!(!groups.claim(&group(Event::Fetched), &state, now), "one is on its way");
        assert!(groups.claim(&group(Event::Refused), &state, now), "another event is another receipt");
        groups.wait([group(Event::Fetched), group(Event::Acknowledged)]);
        assert!(!groups.claim(&group(Event::Acknowledged), &state, now), "others wait to be sealed with it");
        assert_eq!(groups.begin(now, |_| false), [group(Event::Acknowledged)], "one of a kind at a time");
        groups.done(&group(Event::Fetched));
        assert!(!groups.claim(&group(Event::Fetched), &state, now));
        assert_eq!(groups.begin(now, |_| false), [group(Event::Fetched)]);
        groups.done(&group(Event::Fetched));
        assert!(groups.claim(&group(Event::Fetched), &state, now));
    }

    #[test]
    fn answers_gather_after_a_receipt_and_the_first_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let (groups, _along) = Groups::new(EdgeTerm(1));
        let (group, now) = ((Event::Acknowledged, agency("A80")), Instant::now());
        assert!(groups.claim(&group, &state, now));
        groups.done(&group);
        assert!(!groups.claim(&group, &state, now), "one went a moment ago");
        groups.wait([group.clone()]);
        let due = groups.next_due().unwrap();
        assert!(due >= now + ANSWERS_PAUSE && due <= now + ANSWERS_PAUSE + ANSWERS_SPREAD);
        assert_eq!((groups.begin(now, |_| false), groups.next_due()), (vec![], Some(due)));
        assert_eq!(groups.begin(now, |_| true), std::slice::from_ref(&group), "there are many");
        groups.done(&group);
        groups.wait([group.clone()]);
        let due = groups.next_due().unwrap();
        assert_eq!(groups.begin(due, |_| false), std::slice::from_ref(&group));
        assert_eq!(groups.next_due(), None, "what is in hand is told when it is done");
        groups.done(&group);
        assert!(!groups.claim(&group, &state, due) && groups.claim(&group, &state, due + ANSWERS_PAUSE + ANSWERS_SPREAD));
    }

    #[test]
    fn answers_to_many_senders_are_not_due_at_one_moment() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let (groups, _along) = Groups::new(EdgeTerm(1));
        let now = Instant::now();
        let dues = (10..40).map(|number| {
            let group = (Event::Acknowledged, agency(&format!("H{number}")));
            assert!(groups.claim(&group, &state, now));
            groups.inner.lock().gathering[&group]
        });
        // Thirty of 256 moments: all of them the same by chance once in 256^29 runs.
        assert!(dues.collect::<HashSet<_>>().len() > 1);
    }
}
