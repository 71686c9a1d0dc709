//! The receipts of a light edge, batched as the real one batches them: one receipt of an event to a sender is on its way at a time, and what happens
//! meanwhile gathers in the next, up to 100 documents. A document is answered as soon as its `fetched` is in the log.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use truc_proto::broker::v1::submit_response::Outcome;
use truc_types::AgencyCode;
use truc_types::limits::RECEIPT_ITEMS_MAX;

use super::{Inner, Manner, refused};
use crate::node::LinkError;
use crate::record::GivenReason;
use crate::sealer::fitting;
use crate::state::{Event, PendingItem};

/// Receipts of one event to one sender go one after the other.
type Group = (Event, AgencyCode);

/// What is to stand in receipts.
#[derive(Default)]
pub(super) struct Pending {
    groups: HashMap<Group, Waiting>,
    /// Groups that nobody has in hand yet: each once, so that there are never more than events and agencies.
    new: Vec<Group>,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<PendingItem>,
    full: Arc<Notify>,
}

pub(super) async fn run(edge: Arc<Inner>, gathering: Duration) -> Result<Infallible, LinkError> {
    let mut work: JoinSet<Result<(), LinkError>> = JoinSet::new();
    loop {
        let new = std::mem::take(&mut edge.pending.lock().new);
        for group in new {
            let edge = Arc::clone(&edge);
            work.spawn(async move { edge.drain(&group, gathering).await });
        }
        tokio::select! {
            Some(done) = work.join_next() => done.map_err(|cause| LinkError::Away(cause.to_string()))??,
            () = edge.pending_changed.notified() => {}
        }
    }
}

impl Inner {
    /// What happened to documents is to stand in receipts.
    pub(super) fn put_down(&self, event: Event, sender: AgencyCode, items: impl IntoIterator<Item = PendingItem>) {
        let (mut pending, group) = (self.pending.lock(), (event, sender));
        if let Some(waiting) = pending.groups.get_mut(&group) {
            waiting.items.extend(items);
            if waiting.items.len() >= RECEIPT_ITEMS_MAX {
                waiting.full.notify_one();
            }
            return;
        }
        let waiting = Waiting { items: items.into_iter().collect(), ..Waiting::default() };
        pending.groups.insert(group.clone(), waiting);
        pending.new.push(group);
        drop(pending);
        self.pending_changed.notify_one();
    }

    /// Seals and brings receipts of one group until nothing is pending.
    async fn drain(&self, group: &Group, gathering: Duration) -> Result<(), LinkError> {
        let (event, sender) = group;
        while let Some(full) = self.more(group) {
            self.gathered(group, gathering, &full).await;
            let items = self.next(group);
            let count = items.len() as u64;
            let answers = (*event == Event::Fetched).then(|| self.answers(items.clone()));
            let observed = self.trust.observed().for_statements();
            let (_, file) = self.sealer.receipt(*event, sender, items, self.term, observed);
            let file = Bytes::from(file);
            match self.submitter.submit(file.clone(), false).await? {
                Outcome::Accepted(acceptance) => self.trust.check_acceptance(&file, &acceptance)?,
                Outcome::Refused(refusal) => return Err(refused(&refusal)),
            };
            self.counts.receipts_logged.fetch_add(1, Ordering::Relaxed);
            self.counts.items_logged.fetch_add(count, Ordering::Relaxed);
            if let Some((answer, items)) = answers {
                self.put_down(answer, sender.clone(), items);
            }
        }
        Ok(())
    }

    /// What tells when a receipt of the group is full. A group of which nothing is left is forgotten.
    fn more(&self, group: &Group) -> Option<Arc<Notify>> {
        let mut pending = self.pending.lock();
        let waiting = pending.groups.get(group).filter(|waiting| !waiting.items.is_empty());
        let full = waiting.map(|waiting| Arc::clone(&waiting.full));
        if full.is_none() {
            pending.groups.remove(group);
        }
        full
    }

    /// Waits until a receipt of the group is full, or the time is over in which it gathers.
    async fn gathered(&self, group: &Group, gathering: Duration, full: &Notify) {
        if gathering.is_zero() {
            return;
        }
        let end = Instant::now() + gathering;
        while self.pending.lock().groups.get(group).is_some_and(|waiting| waiting.items.len() < RECEIPT_ITEMS_MAX) {
            if timeout_at(end, full.notified()).await.is_err() {
                return;
            }
        }
    }

    /// What the DMS says of documents that were shown.
    fn answers(&self, mut items: Vec<PendingItem>) -> (Event, Vec<PendingItem>) {
        for item in &mut items {
            match self.manner {
                Manner::Registers => item.row.arrival_number = Some(item.row.queue_position.to_string()),
                Manner::Refuses => {
                    item.row.reason =
                        Some(GivenReason { code: "misdirected".to_owned(), text: "Văn bản gửi nhầm nơi nhận".to_owned() });
                }
            }
        }
        (if self.manner == Manner::Registers { Event::Acknowledged } else { Event::Refused }, items)
    }

    /// What goes into the next receipt of a group.
    fn next(&self, group: &Group) -> Vec<PendingItem> {
        let mut pending = self.pending.lock();
        let Some(Waiting { items, .. }) = pending.groups.get_mut(group) else { return Vec::new() };
        let count = fitting(items.iter().take(RECEIPT_ITEMS_MAX));
        items.drain(..count).collect()
    }
}
