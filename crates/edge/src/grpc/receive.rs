//! ReceiveDocuments, ConfirmDocuments and DownloadAttachment: what arrived, shown once its `fetched` receipt is in the log.

use std::sync::Arc;

use bytes::Bytes;
use truc_proto::edge::v1 as pb;
use truc_signing::open_sealed;
use truc_signing::statement::{Envelope, Fact, Statement};
use truc_types::{Digest, MessageId, OrganisationCode, Reason, Refusal};

use super::{Sender, StreamError, document, invalid, message_id, unknown};
use crate::node::Node;
use crate::recent::RecentArrival;
use crate::record::{Answer, GivenReason, Record};
use crate::state::{InboxRow, OutboxRow, Visibility};
use crate::store::refusal_of;

/// Documents read from the rows at once.
const PAGE: usize = 64;

/// Where a stream begins.
pub(super) async fn start(node: &Node, after: Option<u64>) -> Result<u64, Refusal> {
    let meta = node.store.read(|state| state.meta()).await?;
    match after {
        Some(after) if after > meta.arrival_cursor => Err(unknown_cursor("after_cursor", after, meta.arrival_cursor)),
        Some(after) => Ok(after),
        None => Ok(meta.confirmed),
    }
}

fn unknown_cursor(field: &'static str, found: u64, last: u64) -> Refusal {
    Refusal::new(Reason::CursorUnknown, format!("cursor {found} was never handed out, the last one is {last}"))
        .with("field", field)
        .with("found", found)
        .with("last", last)
}

/// Sends what was shown after the cursor, then waits for more.
pub(super) async fn documents(
    node: Arc<Node>,
    sender: Sender<pb::ReceiveDocumentsResponse>,
    mut cursor: u64,
    no_wait: bool,
) -> Result<(), StreamError> {
    let mut arrivals = node.store.signals().arrivals.subscribe();
    loop {
        let shown = node.store.read(move |state| state.shown_after(cursor, PAGE)).await?;
        // What is shown behind these is told, unless there is more already.
        let is_last = shown.len() < PAGE;
        for (at, message_id, recipient) in shown {
            let document = received(&node, message_id, recipient).await?;
            sender.send(pb::ReceiveDocumentsResponse { cursor: at, document: Some(document) }).await?;
            cursor = at;
        }
        if is_last && no_wait {
            return Ok(());
        }
        if is_last && sender.wait(arrivals.changed()).await?.is_err() {
            return Ok(());
        }
    }
}

/// The DMS has stored all documents up to the cursor.
pub(super) async fn confirm(node: &Node, cursor: u64) -> Result<(), Refusal> {
    let confirmed = node.store.record(move |state| {
        let meta = state.meta().map_err(refusal_of)?;
        if cursor > meta.arrival_cursor {
            return Err(unknown_cursor("cursor", cursor, meta.arrival_cursor));
        }
        let record = (cursor > meta.confirmed).then_some(Record::Confirmed { cursor });
        Ok((record.into_iter().collect(), ()))
    });
    confirmed.await
}

/// A document that arrived, with all that is known of it, once it was shown.
pub(super) async fn received(node: &Node, message_id: MessageId, recipient: OrganisationCode) -> Result<pb::ReceivedDocument, Refusal> {
    let wanted = recipient.clone();
    let found = node.store.read(move |state| state.inbox_with_duplicates(&message_id, &wanted)).await?;
    let found = found.filter(|(row, _)| matches!(row.visibility, Visibility::Shown(_)));
    let (row, duplicates) = found.ok_or_else(|| unknown(&message_id))?;
    let (envelope, accepted_at, at) = match node.recent.take(&message_id, &recipient) {
        Some(RecentArrival { envelope, accepted_at, at, .. }) => (*envelope, accepted_at, at),
        None => {
            let envelope = envelope_of(node, &row).await?;
            let Record::Arrived { fact, at, .. } = node.store.record_at(row.arrived_at).await? else { return Err(misplaced(&message_id)) };
            let Ok(Fact::Accepted(fact)) = Fact::parse(&fact) else { return Err(misplaced(&message_id)) };
            (envelope, fact.block_time, at)
        }
    };
    Ok(pb::ReceivedDocument {
        message_id: message_id.to_string(),
        recipient: recipient.to_string(),
        sender_agency: envelope.sender.agency.to_string(),
        business: document::business(envelope.business).into(),
        created_at: envelope.created_at.to_string(),
        accepted_at: accepted_at.to_string(),
        arrived_at: at.to_string(),
        queue_position: row.queue_position.0,
        step: step(&row).into(),
        answer: row.answer.as_ref().map(|answer| answered(answer, &row)),
        possible_duplicate_of: duplicates.iter().map(ToString::to_string).collect(),
        document: Some(document::document(envelope)),
    })
}

/// How far a received document is.
pub(super) const fn step(row: &InboxRow) -> pb::Step {
    match &row.answer {
        None => pb::Step::Fetched,
        Some(Answer::Acknowledged { .. }) => pb::Step::Acknowledged,
        Some(Answer::Refused(_)) => pb::Step::Refused,
    }
}

fn answered(answer: &Answer, row: &InboxRow) -> pb::ReceivedAnswer {
    let at = row.answered_at.to_string();
    match answer {
        Answer::Acknowledged { arrival_number } => {
            pb::ReceivedAnswer { at, arrival_number: arrival_number.clone().unwrap_or_default(), ..Default::default() }
        }
        Answer::Refused(GivenReason { code, text }) => {
            pb::ReceivedAnswer { at, reason_code: code.clone(), reason_text: text.clone(), ..Default::default() }
        }
    }
}

/// The envelope of a document that arrived.
pub(crate) async fn arrived(node: &Node, message_id: MessageId, recipient: OrganisationCode) -> Result<Envelope, Refusal> {
    let row = node.store.read(move |state| state.inbox(&message_id, &recipient)).await?.ok_or_else(|| unknown(&message_id))?;
    envelope_of(node, &row).await
}

pub(super) fn misplaced(message_id: &MessageId) -> Refusal {
    Refusal::new(Reason::JournalCorrupt, format!("the records of {message_id} are not where the rows say"))
}

/// The envelope of a document that arrived.
pub(super) async fn envelope_of(node: &Node, row: &InboxRow) -> Result<Envelope, Refusal> {
    let corrupt = || Refusal::new(Reason::JournalCorrupt, format!("no envelope at position {}", row.envelope_at));
    let Record::ArrivedEnvelope { file, .. } = node.store.record_at(row.envelope_at).await? else { return Err(corrupt()) };
    match open_sealed(&file).map(|sealed| sealed.statement) {
        Ok(Statement::Envelope(envelope)) => Ok(*envelope),
        _ => Err(corrupt()),
    }
}

/// The envelope of a document that was sent, as the DMS handed it in.
pub(super) async fn draft_of(node: &Node, message_id: &MessageId, row: &OutboxRow) -> Result<Envelope, Refusal> {
    match node.store.record_at(row.drafted).await? {
        Record::Drafted { draft, .. } => Envelope::parse(&draft).map_err(|cause| cause.to_refusal()),
        _ => Err(misplaced(message_id)),
    }
}

/// The attachment of a document that arrived and was shown, or was sent.
pub(super) async fn attachment(node: &Node, request: &pb::DownloadAttachmentRequest) -> Result<Digest, Refusal> {
    let message_id = message_id(&request.message_id)?;
    let rows = node.store.search(move |state| Ok((state.arrivals_of(&message_id)?, state.outbox(&message_id)?))).await?;
    let shown = rows.0.iter().find(|(_, row)| matches!(row.visibility, Visibility::Shown(_)));
    let envelope = match (shown, rows.1) {
        (Some((_, row)), _) => envelope_of(node, row).await?,
        (None, Some(row)) => draft_of(node, &message_id, &row).await?,
        (None, None) => return Err(unknown(&message_id)),
    };
    let index = usize::try_from(request.index).unwrap_or(usize::MAX);
    let found = envelope.attachments.get(index);
    let count = envelope.attachments.len();
    found.map(|found| found.sha256).ok_or_else(|| invalid("index", format!("index is {index}, the document has {count} attachments")))
}

/// Sends content from an offset on, in pieces that `message` wraps.
pub(super) async fn stream_blob<T: Send + 'static>(
    node: &Node,
    sender: &Sender<T>,
    digest: Digest,
    offset: u64,
    message: impl Fn(Bytes) -> T,
) -> Result<(), StreamError> {
    let blobs = Arc::clone(&node.blobs);
    let worker = |cause: tokio::task::JoinError| Refusal::new(Reason::BlobStorage, cause.to_string());
    let opening = tokio::task::spawn_blocking(move || blobs.open_range(&digest, offset).map_err(|cause| cause.to_refusal()));
    let mut reader = opening.await.map_err(worker)??;
    loop {
        // A thread for one piece, not for the stream: a reader that stalls holds none.
        let reading = tokio::task::spawn_blocking(move || {
            let chunk = reader.chunk();
            chunk.map(|chunk| (reader, chunk)).map_err(|cause| Refusal::new(Reason::BlobStorage, cause.to_string()))
        });
        let (rest, chunk) = reading.await.map_err(worker)??;
        if chunk.is_empty() {
            return Ok(());
        }
        reader = rest;
        sender.send(message(chunk.into())).await?;
    }
}
