//! Which kinds of receipts are on their way to the axis on one connection. A kind that is not can have its receipt sealed together with what it is about: one
//! block of the journal, and one wait for the disk, instead of two. Sealing the others and bringing all of them there is `receipts`.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use truc_types::{AgencyCode, EdgeTerm, MessageId, Position};

use crate::node::Node;
use crate::record::{Inside, Record, Recorded};
use crate::state::{Event, ItemRow, PendingItem, ReceiptRow, State};

/// Event and sender pairs in work at once.
pub(crate) const GROUPS_MAX: usize = 64;

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

    /// Takes groups in hand of which nothing is on its way, as many as there is room for.
    pub(crate) fn begin(&self) -> Vec<Group> {
        let inner = &mut *self.inner.lock();
        let room = GROUPS_MAX.saturating_sub(inner.in_hand.len());
        let next: Vec<Group> = inner.waiting.iter().filter(|group| !inner.in_hand.contains(*group)).take(room).cloned().collect();
        for group in &next {
            inner.waiting.remove(group);
            inner.in_hand.insert(group.clone());
        }
        next
    }

    /// Nothing of the group is on its way any more.
    pub(crate) fn done(&self, group: &Group) {
        self.inner.lock().in_hand.remove(group);
    }

    /// Takes a group in hand if nothing of it is on its way or waits to be.
    fn claim(&self, group: &Group, state: &State) -> bool {
        let mut inner = self.inner.lock();
        let is_free = inner.in_hand.len() < GROUPS_MAX && !inner.in_hand.contains(group) && !inner.waiting.contains(group);
        is_free && !state.is_group_touched(group) && inner.in_hand.insert(group.clone())
    }
}

/// Seals the receipt about one event that is about to be recorded, `before` records further on, unless others of its kind are on their way: those it joins.
/// Only for the recorder's thread. A connection that ends takes its groups away before the next one asks the recorder what there is, so that a receipt
/// is either found by that one or was handed to this one.
pub(crate) fn seal_along(node: &Node, state: &State, group: Group, item: PendingItem, before: u64) -> Option<(Recorded, SealedAlong)> {
    let groups = node.groups.lock().clone()?;
    if !groups.claim(&group, state) {
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

    #[test]
    fn a_group_is_claimed_only_while_nothing_of_it_is_on_its_way_or_waits() {
        let folder = tempfile::tempdir().unwrap();
        let format = ViewFormat { name: "edge", format: 1, cache_bytes: 1 << 20 };
        let (store, _) = ViewStore::open(folder.path(), format, Position(0)).unwrap();
        let state = State::new(Arc::new(Overlay::new(Arc::new(store))), Position(0));
        let (groups, _along) = Groups::new(EdgeTerm(1));
        let group = |event| (event, agency("A80"));
        assert!(groups.claim(&group(Event::Fetched), &state));
        assert!(!groups.claim(&group(Event::Fetched), &state), "one is on its way");
        assert!(groups.claim(&group(Event::Refused), &state), "another event is another receipt");
        groups.wait([group(Event::Fetched), group(Event::Acknowledged)]);
        assert!(!groups.claim(&group(Event::Acknowledged), &state), "others wait to be sealed with it");
        assert_eq!(groups.begin(), [group(Event::Acknowledged)], "one of a kind at a time");
        groups.done(&group(Event::Fetched));
        assert!(!groups.claim(&group(Event::Fetched), &state));
        assert_eq!(groups.begin(), [group(Event::Fetched)]);
        groups.done(&group(Event::Fetched));
        assert!(groups.claim(&group(Event::Fetched), &state));
    }
}
