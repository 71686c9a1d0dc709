//! The receipts of a light edge, batched as the real one batches them: one receipt of an event to a sender is on its way at a time, and what happens
//! meanwhile gathers in the next, up to 100 documents. A document is answered as soon as its `fetched` is in the log.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_types::AgencyCode;
use truc_types::limits::RECEIPT_ITEMS_MAX;

use super::{Group, Inner, Manner, refused};
use crate::node::LinkError;
use crate::record::GivenReason;
use crate::sealer::fitting;
use crate::state::{Event, PendingItem};

/// How often a receipt that gathers is looked at.
const LOOKS: u32 = 4;

pub(super) async fn run(edge: Arc<Inner>, gathering: Duration) -> Result<Infallible, LinkError> {
    let mut in_hand: HashSet<Group> = HashSet::new();
    let mut work: JoinSet<(Group, Result<(), LinkError>)> = JoinSet::new();
    loop {
        // Before the look: what is put down after it wakes the wait below.
        let changed = edge.pending_changed.notified();
        let groups: Vec<Group> = edge.pending.lock().keys().filter(|group| !in_hand.contains(*group)).cloned().collect();
        for group in groups {
            in_hand.insert(group.clone());
            let edge = Arc::clone(&edge);
            work.spawn(async move {
                let drained = edge.drain(&group, gathering).await;
                (group, drained)
            });
        }
        tokio::select! {
            Some(done) = work.join_next() => {
                let (group, drained) = done.map_err(|cause| LinkError::Away(cause.to_string()))?;
                drained?;
                in_hand.remove(&group);
            }
            () = changed => {}
        }
    }
}

impl Inner {
    /// What happened to documents is to stand in receipts.
    pub(super) fn put_down(&self, event: Event, sender: AgencyCode, items: impl IntoIterator<Item = PendingItem>) {
        self.pending.lock().entry((event, sender)).or_default().extend(items);
        self.pending_changed.notify_one();
    }

    /// Seals and brings receipts of one group until nothing is pending.
    async fn drain(&self, group: &Group, gathering: Duration) -> Result<(), LinkError> {
        let (event, sender) = group;
        loop {
            self.gathered(group, gathering).await;
            let items = self.next(group);
            if items.is_empty() {
                return Ok(());
            }
            let observed = self.trust.observed().for_statements();
            let (_, file) = self.sealer.receipt(*event, sender, items.clone(), self.term, observed);
            match self.submitter.submit(file.clone(), false).await? {
                Outcome::Accepted(acceptance) => self.trust.check_acceptance(&file, &acceptance)?,
                Outcome::Refused(refusal) => return Err(refused(&refusal)),
            };
            self.counts.receipts_logged.fetch_add(1, Ordering::Relaxed);
            self.counts.items_logged.fetch_add(items.len() as u64, Ordering::Relaxed);
            if *event == Event::Fetched {
                let (answer, items) = self.answers(items);
                self.put_down(answer, sender.clone(), items);
            }
        }
    }

    /// Waits until a receipt of the group is full, or the time is over in which it gathers.
    async fn gathered(&self, group: &Group, gathering: Duration) {
        if gathering.is_zero() {
            return;
        }
        let end = Instant::now() + gathering;
        while self.pending.lock().get(group).is_some_and(|waiting| waiting.len() < RECEIPT_ITEMS_MAX) {
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep(gathering / LOOKS).await;
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

    /// What goes into the next receipt of a group. A group of which nothing is left is forgotten.
    fn next(&self, group: &Group) -> Vec<PendingItem> {
        let mut pending = self.pending.lock();
        let Some(waiting) = pending.get_mut(group) else { return Vec::new() };
        let items = fitting(waiting.iter().take(RECEIPT_ITEMS_MAX).cloned().collect());
        waiting.drain(..items.len());
        if waiting.is_empty() {
            pending.remove(group);
        }
        items
    }
}
