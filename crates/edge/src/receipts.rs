//! The receipts loop: what happened to documents here is sealed, batched and brought into the log.
//!
//! One receipt per event and original sender is in flight at a time; what happens meanwhile gathers in the next one, up to 100 items. Many senders go
//! in parallel, and a few answers to one of them at most twice a second. A receipt that was sealed before a crash is submitted as it is first.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_transport::status;
use truc_types::{EdgeTerm, MessageId, Position, Reason, Refusal};

use crate::backoff::Backoff;
use crate::groups::{ANSWERS_ENOUGH, GROUPS_MAX, Group, Groups, SealedReceipt};
use crate::node::{LinkError, Node};
use crate::record::{Fate, Inside, Record, Recorded};
use crate::sealer::fitting;
use crate::state::{Event, ItemRow, ReceiptRow, State};
use crate::store::refusal_of;
use crate::submit::Submitter;
use crate::term::superseded;

/// Pairs that a connection begins with: three events of more agencies than there are.
const GROUPS_KNOWN_MAX: usize = 3 * 1_000;
/// Longest pause of one pair after refusals that may pass.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Takes the groups away when the connection ends, whatever ends it.
struct Opened<'a>(&'a Node);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        *self.0.groups.lock() = None;
    }
}

/// Runs until the connection ends.
pub(crate) async fn run(node: Arc<Node>, submitter: Submitter, term: EdgeTerm) -> Result<Infallible, LinkError> {
    settle_earlier(&node, &submitter, term).await?;
    let mut pending = node.store.signals().receipts.subscribe();
    let mut work: JoinSet<(Group, Result<(), LinkError>)> = JoinSet::new();
    // Not before those of earlier connections are settled: what is sealed along from here on is handed over, and found by nobody else.
    let (groups, mut along) = Groups::new(term);
    *node.groups.lock() = Some(Arc::clone(&groups));
    let _opened = Opened(&node);
    // What was added before this connection; the rest is told.
    groups.wait(node.store.search(|state| state.pending_groups(GROUPS_KNOWN_MAX)).await?);
    loop {
        groups.wait(node.store.take_touched());
        let is_enough = |group: &Group| node.store.peek(|state| state.pending_count(group)).is_ok_and(|count| count >= ANSWERS_ENOUGH);
        for group in groups.begin(Instant::now(), is_enough) {
            let (node, submitter) = (Arc::clone(&node), submitter.clone());
            work.spawn(async move {
                let drained = drain(&node, &submitter, term, &group).await;
                (group, drained)
            });
        }
        tokio::select! {
            Some(done) = work.join_next() => {
                let (group, drained) = done.map_err(|cause| LinkError::Away(cause.to_string()))?;
                drained?;
                groups.done(&group);
            }
            Some(sealed) = along.recv() => {
                let (node, submitter) = (Arc::clone(&node), submitter.clone());
                work.spawn(async move {
                    let SealedReceipt { group, receipt_id, row, file } = sealed;
                    let brought = bring(&node, &submitter, term, receipt_id, &row, file, &mut Backoff::up_to(PAUSE_MAX)).await;
                    (group, brought)
                });
            }
            () = gathered(groups.next_due()) => {}
            changed = pending.changed() => changed.map_err(|_| LinkError::Away("the recorder has gone".to_owned()))?,
        }
    }
}

/// Waits until then, or for ever.
async fn gathered(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Receipts that an earlier connection or life left behind: at most one per pair.
async fn settle_earlier(node: &Arc<Node>, submitter: &Submitter, term: EdgeTerm) -> Result<(), LinkError> {
    loop {
        let waiting = node.store.search(|state| state.waiting_receipts(GROUPS_MAX)).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut work = JoinSet::new();
        for (receipt_id, row) in waiting {
            let (node, submitter) = (Arc::clone(node), submitter.clone());
            work.spawn(async move {
                let file = sealed_file(&node, row.position).await?;
                bring(&node, &submitter, term, receipt_id, &row, file, &mut Backoff::up_to(PAUSE_MAX)).await
            });
        }
        while let Some(brought) = work.join_next().await {
            brought.map_err(|cause| LinkError::Away(cause.to_string()))??;
        }
    }
}

/// Seals and brings receipts of one pair until nothing is pending; of answers, until what is left can gather.
async fn drain(node: &Arc<Node>, submitter: &Submitter, term: EdgeTerm, group: &Group) -> Result<(), LinkError> {
    let mut backoff = Backoff::up_to(PAUSE_MAX);
    // What is pending is looked for again where the receipt is sealed.
    while node.store.peek(|state| state.is_pending(group))?
        && let Some((SealedReceipt { receipt_id, row, file, .. }, is_all)) = seal_next(node, term, group).await?
    {
        bring(node, submitter, term, receipt_id, &row, file, &mut backoff).await?;
        // What came meanwhile was told, and waits its time. What did not fit was not.
        if group.0 != Event::Fetched && is_all {
            break;
        }
    }
    Ok(())
}

/// Records something about receipts. The DMS waits for `fetched`, its own answers travel as they can.
async fn keep<R: Into<Recorded>, T: Send + 'static>(
    node: &Node,
    event: Event,
    decide: impl FnOnce(&State) -> Result<(Vec<R>, T), Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if event == Event::Fetched {
        node.store.record_paced(decide, std::convert::identity).await
    } else {
        node.store.record_later(decide).await
    }
}

/// Seals the next receipt of a pair, and says whether that is all that was pending; `None` when nothing is.
async fn seal_next(node: &Arc<Node>, term: EdgeTerm, group: &Group) -> Result<Option<(SealedReceipt, bool)>, LinkError> {
    let (sealer, group) = (node.sealer.clone(), group.clone());
    let event = group.0;
    let observed = node.trust.observed().for_statements();
    let seal = move |state: &State| {
        let mut items = state.pending_items(event, &group.1).map_err(refusal_of)?;
        items.truncate(fitting(&items));
        if items.is_empty() {
            return Ok((Vec::new(), None));
        }
        let is_all = state.pending_count(&group).map_err(refusal_of)? <= items.len();
        let rows =
            items.iter().map(|item| ItemRow { message_id: item.message_id, recipient: item.recipient.clone(), pending: item.row.clone() });
        let row = ReceiptRow { position: state.applied(), term, event, sender: group.1.clone(), items: rows.collect() };
        let (receipt, file) = sealer.receipt(event, &group.1, items, term, observed);
        let receipt_id = receipt.receipt_id;
        let record = Record::ReceiptSealed { receipt_id, file: file.clone() };
        let record = Recorded { record, inside: Some(Inside::Receipt(Box::new(receipt))) };
        Ok((vec![record], Some((SealedReceipt { group, receipt_id, row, file }, is_all))))
    };
    Ok(keep(node, event, seal).await?)
}

/// Submits a sealed receipt until it is in the log or given back.
async fn bring(
    node: &Arc<Node>,
    submitter: &Submitter,
    term: EdgeTerm,
    receipt_id: MessageId,
    row: &ReceiptRow,
    file: Vec<u8>,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    loop {
        let refusal = match submitter.submit(file.clone(), false).await? {
            Outcome::Accepted(acceptance) => {
                let accepted = node.trust.check_acceptance(&file, &acceptance)?;
                let record = Record::ReceiptLogged { receipt_id, leaf: accepted.leaf, checkpoint: accepted.checkpoint };
                let logged = move |_: &State| Ok((vec![record], ()));
                keep(node, row.event, logged).await?;
                for item in &row.items {
                    tracing::debug!(message_id = %item.message_id, recipient = %item.recipient, event = ?row.event, "receipt is in the log");
                }
                backoff.reset();
                return Ok(());
            }
            Outcome::Refused(refusal) => refusal,
        };
        match judge(row, &refusal) {
            Judgement::Superseded => superseded(row.term, term, &refusal)?,
            Judgement::Wait => {
                tracing::warn!(%receipt_id, reason = %refusal.reason, message = %refusal.message, "the receipt has to wait");
                backoff.wait().await;
                continue;
            }
            Judgement::SealAnew => {
                tracing::warn!(%receipt_id, reason = %refusal.reason, message = %refusal.message, "the receipt is sealed anew");
                backoff.wait().await;
            }
            Judgement::Item(culprit, fate) => return give_back(node, receipt_id, row, &refusal, Some((culprit, fate)), false).await,
            Judgement::SomeItem => return give_back(node, receipt_id, row, &refusal, None, true).await,
        }
        return give_back(node, receipt_id, row, &refusal, None, false).await;
    }
}

async fn sealed_file(node: &Node, position: Position) -> Result<Vec<u8>, LinkError> {
    match node.store.record_at(position).await? {
        Record::ReceiptSealed { file, .. } => Ok(file),
        _ => Err(LinkError::Local(Refusal::new(Reason::JournalCorrupt, format!("no receipt at position {position}")))),
    }
}

/// Records that a receipt is not in the log.
async fn give_back(
    node: &Node,
    receipt_id: MessageId,
    row: &ReceiptRow,
    refusal: &pb::Refusal,
    culprit: Option<(u32, Fate)>,
    apart: bool,
) -> Result<(), LinkError> {
    let item = culprit.and_then(|(index, fate)| row.items.get(usize::try_from(index).ok()?).map(|item| (item, fate)));
    match item {
        Some((item, Fate::Dropped)) => tracing::error!(
            message_id = %item.message_id, recipient = %item.recipient, event = ?row.event, reason = %refusal.reason, message = %refusal.message,
            "the axis refuses this receipt for good; a document that was only fetched is discarded and never shown"
        ),
        Some((item, Fate::LoggedBefore)) => {
            tracing::info!(message_id = %item.message_id, recipient = %item.recipient, event = ?row.event, "the receipt was in the log before");
        }
        None => {}
    }
    let record = Record::ReceiptReturned { receipt_id, reason: refusal.reason.clone(), culprit, apart };
    Ok(node.store.record_all(vec![record]).await?)
}

/// What a refusal asks for.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    /// Sealed in another term.
    Superseded,
    /// The same bytes again after a pause.
    Wait,
    /// New bytes after a pause.
    SealAnew,
    /// One item is wrong.
    Item(u32, Fate),
    /// Some item is wrong, and the axis does not say which.
    SomeItem,
}

fn judge(row: &ReceiptRow, refusal: &pb::Refusal) -> Judgement {
    let Some(reason) = status::from_proto(refusal).map(|refusal| refusal.reason) else { return Judgement::Wait };
    let fate = match reason {
        Reason::TermSuperseded => return Judgement::Superseded,
        Reason::ReceiptRepeated => Fate::LoggedBefore,
        Reason::ReceiptNotRecipient
        | Reason::ReceiptOutOfOrder
        | Reason::ReceiptDigestMismatch
        | Reason::ReceiptMixedSenders
        | Reason::MessageUnknown => Fate::Dropped,
        Reason::SealExpiredReseal | Reason::MessageFromFuture | Reason::MessageIdConflict => return Judgement::SealAnew,
        // The seal, the identity or the axis is at fault, not an item: nothing is given up, the operator sees the log line.
        _ => return Judgement::Wait,
    };
    let named = |item: &&ItemRow| {
        refusal.values.get("message_id").is_some_and(|id| *id == item.message_id.to_string())
            && refusal.values.get("recipient").is_some_and(|recipient| recipient == item.recipient.as_str())
    };
    let culprit = match row.items.as_slice() {
        [_] => Some(0),
        items => items.iter().position(|item| named(&item)),
    };
    match culprit.and_then(|index| u32::try_from(index).ok()) {
        Some(index) => Judgement::Item(index, fate),
        None => Judgement::SomeItem,
    }
}
