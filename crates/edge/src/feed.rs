//! The feed: what recipients say of documents that this agency sent. Checked, recorded in order, then confirmed to the broker.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::deliver_request::{Confirm, Request};
use truc_signing::statement::ReceiptItem;
use truc_transport::clock;
use truc_types::MessageId;

use crate::node::{LinkError, Node};
use crate::record::{COMMAND_RECORDS_MAX, Inside, Record, Recorded};
use crate::session::Link;
use crate::state::{OutboxRow, State};
use crate::store::refusal_of;
use crate::trust::{TrustError, VerifiedReceipt};
use crate::witness;

/// How long a receipt waits for the acceptance of its document, which the axis sends on the other stream.
const ACCEPTANCE_WAIT: Duration = Duration::from_secs(30);

/// Receipts after which the axis is told what is stored, an eighth of what it sends unconfirmed; or [`CONFIRM_PAUSE`] after the last one. It keeps them in
/// memory so much longer, and asks nobody to have them sent again: a connection begins with what is stored.
pub(crate) const CONFIRM_STEP: u64 = 32;
/// Pause of the feed after which the axis is told.
const CONFIRM_PAUSE: Duration = Duration::from_millis(100);

/// Runs until the connection ends.
pub(crate) async fn run(
    node: Arc<Node>,
    link: Link,
    mut cursor: u64,
    mut items: mpsc::Receiver<pb::FeedItem>,
    requests: mpsc::Sender<pb::DeliverRequest>,
) -> Result<Infallible, LinkError> {
    let gone = || LinkError::Away("the delivery stream ended".to_owned());
    let confirm = async |feed_cursor| {
        let confirm = Request::Confirm(Confirm { feed_cursor });
        requests.send(pb::DeliverRequest { request: Some(confirm) }).await.map_err(|_| gone())
    };
    let mut confirmed = cursor;
    loop {
        let first = tokio::select! {
            item = items.recv() => item.ok_or_else(gone)?,
            () = tokio::time::sleep(CONFIRM_PAUSE), if confirmed < cursor => {
                confirm(cursor).await?;
                confirmed = cursor;
                continue;
            }
        };
        let mut batch = vec![first];
        while batch.len() < COMMAND_RECORDS_MAX
            && let Ok(item) = items.try_recv()
        {
            batch.push(item);
        }
        let mut records = Vec::with_capacity(batch.len());
        for item in batch {
            if item.cursor <= cursor {
                continue;
            }
            if item.cursor != cursor + 1 {
                return Err(LinkError::Away(format!("receipt {} of the feed after {cursor}", item.cursor)));
            }
            cursor = item.cursor;
            let VerifiedReceipt { receipt, file, leaf, checkpoint } = check(&node, &link, &item).await?;
            let record = Record::FeedReceipt { cursor, file: file.to_vec(), leaf, checkpoint };
            records.push(Recorded { record, inside: Some(Inside::Receipt(Box::new(receipt))) });
        }
        // Neither the axis nor anybody here waits for it: it shares a block; while more of them wait, theirs comes at once. What a connection before had on
        // its way is recorded once.
        let decide = |state: &State| {
            let known = state.meta().map_err(refusal_of)?.feed_cursor;
            let is_new = |recorded: &Recorded| !matches!(recorded.record, Record::FeedReceipt { cursor, .. } if cursor <= known);
            Ok((records.into_iter().filter(is_new).collect::<Vec<_>>(), ()))
        };
        if items.is_empty() {
            node.store.record_later(decide).await?
        } else {
            node.store.record(decide).await?
        }
        if cursor >= confirmed.saturating_add(CONFIRM_STEP) {
            confirm(cursor).await?;
            confirmed = cursor;
        }
    }
}

async fn check(node: &Arc<Node>, link: &Link, item: &pb::FeedItem) -> Result<VerifiedReceipt, LinkError> {
    let check = || node.trust.check_receipt(node.agency(), clock::now(), item);
    let verified = match check() {
        Err(TrustError::RegistryBehind { .. }) => {
            witness::read_registry(node, link).await?;
            check()
        }
        other => other,
    }?;
    for item in &verified.receipt.items {
        let message_id = item.message_id;
        // A folder made anew has no rows of an earlier life; nothing can be compared then, and nobody is shown anything.
        let Some(row) = accepted_row(node, message_id).await? else { continue };
        check_item(&row, item, verified.receipt.issuer.as_str())?;
        tracing::debug!(%message_id, recipient = %item.recipient, event = verified.receipt.event.as_str(), "receipt arrived");
    }
    Ok(verified)
}

/// The row of a document once its acceptance is recorded: a receipt can overtake the answer to a submission.
async fn accepted_row(node: &Node, message_id: MessageId) -> Result<Option<OutboxRow>, LinkError> {
    let mut statuses = node.store.signals().statuses.subscribe();
    let wait = async {
        loop {
            // What is checked against it is recorded behind it.
            match node.store.peek(|state| state.outbox(&message_id))? {
                Some(row) if row.accepted.is_none() => {}
                row => return Ok(row),
            }
            statuses.changed().await.map_err(|_| LinkError::Away("the recorder has gone".to_owned()))?;
        }
    };
    let late = || LinkError::Away(format!("a receipt about {message_id} came, but not its acceptance"));
    tokio::time::timeout(ACCEPTANCE_WAIT, wait).await.map_err(|_| late())?
}

/// The receipt speaks of the bytes that were accepted, for a recipient that its issuer serves.
fn check_item(row: &OutboxRow, item: &ReceiptItem, issuer: &str) -> Result<(), TrustError> {
    let recipient = row.recipients.iter().find(|recipient| recipient.code == item.recipient);
    match recipient {
        None => Err(TrustError::invalid(format!("{} was not sent to {}", item.message_id, item.recipient))),
        Some(_) if row.accepted.is_none_or(|accepted| accepted.envelope != item.envelope) => {
            Err(TrustError::invalid(format!("a receipt about {} names other bytes", item.message_id)))
        }
        Some(recipient) if recipient.agency != issuer => {
            Err(TrustError::invalid(format!("{} of {} is receipted by {issuer}", item.message_id, recipient.code)))
        }
        Some(_) => Ok(()),
    }
}
