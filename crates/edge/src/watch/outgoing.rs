//! `out/`: documents that arrived and what became of those that were dropped, as national files. In order, each whole; the cursor follows once they are durable.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use truc_blobs::BlobStore;
use truc_edxml::StatusCode;
use truc_signing::open_sealed;
use truc_signing::statement::{Envelope, Receipt, ReceiptEvent, ReceiptItem, Statement};
use truc_types::limits::WATCH_FILES_WAITING_MAX;
use truc_types::{Blame, MessageId, OrganisationCode, Position, Reason, Refusal};

use super::folders::{EXTENSION, Folders};
use super::incoming::{REFERENCE_PREFIX, fault};
use super::{WatchFolder, report};
use crate::edxml::{Event, write_document, write_status};
use crate::grpc::receive::arrived;
use crate::node::Node;
use crate::record::Record;
use crate::state::WatchRow;

/// Documents and notices between two synced cursors.
const BATCH: usize = 64;
/// Longest pause after a fault; it doubles from one poll.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Writes until the edge ends.
pub(crate) async fn run(node: Arc<Node>, settings: WatchFolder) {
    let (mut arrivals, mut statuses) = (node.store.signals().arrivals.subscribe(), node.store.signals().statuses.subscribe());
    let poll = Duration::from_millis(settings.poll_millis);
    let mut pause = poll;
    loop {
        match write_batch(&node, &settings).await {
            // There may be more.
            Ok(true) => pause = poll,
            Ok(false) => {
                pause = poll;
                // An error means that the recorder has gone, and the edge with it.
                tokio::select! {
                    Ok(()) = arrivals.changed() => {}
                    Ok(()) = statuses.changed() => {}
                    else => tokio::time::sleep(PAUSE_MAX).await,
                }
            }
            Err(refusal) => {
                tracing::error!(reason = %refusal.reason, message = %refusal.message, "the watch folder cannot be written");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Something to be written: the name of its file and what makes it.
enum Output {
    Document(String, Box<Envelope>),
    Status(String, Box<Envelope>, OrganisationCode, Box<ReceiptItem>, StatusCode),
    Note(String, Vec<u8>),
}

/// Writes what comes next; whether there was anything.
async fn write_batch(node: &Arc<Node>, settings: &WatchFolder) -> Result<bool, Refusal> {
    let before = node.store.read(|state| state.watch()).await?;
    let (outputs, after) = collect(node, before).await?;
    if after == before {
        return Ok(false);
    }
    let (path, blobs) = (settings.path.clone(), Arc::clone(&node.blobs));
    let writing = tokio::task::spawn_blocking(move || {
        let folders = Folders::open(&path).map_err(|cause| fault(&cause))?;
        let waiting = folders.waiting(WATCH_FILES_WAITING_MAX).map_err(|cause| fault(&cause))?;
        if waiting >= WATCH_FILES_WAITING_MAX {
            let message = format!("{waiting} files wait in out/: no more are written until the document-management system has taken some");
            return Err(Refusal::new(Reason::WatchFolder, message));
        }
        outputs.iter().try_for_each(|output| put(&folders, blobs.as_ref(), output))?;
        folders.settle_out().map_err(|cause| fault(&cause))
    });
    writing.await.map_err(|cause| fault(&cause))??;
    node.store.record_all(vec![Record::WatchWritten { arrivals: after.arrivals, notices: after.notices }]).await?;
    Ok(true)
}

/// What comes after a cursor, and the cursor after it.
async fn collect(node: &Node, before: WatchRow) -> Result<(Vec<Output>, WatchRow), Refusal> {
    let (mut outputs, mut after) = (Vec::new(), before);
    for (cursor, message_id, recipient) in node.store.read(move |state| state.shown_after(before.arrivals, BATCH)).await? {
        let envelope = arrived(node, message_id, recipient.clone()).await?;
        outputs.push(Output::Document(format!("{message_id}.{recipient}"), Box::new(envelope)));
        after.arrivals = cursor;
    }
    for position in node.store.read(move |state| state.notices_after(before.notices, BATCH)).await? {
        notice(node, position, &mut outputs).await?;
        after.notices = position;
    }
    Ok((outputs, after))
}

/// What one record tells the DMS about documents that it dropped.
async fn notice(node: &Node, position: Position, outputs: &mut Vec<Output>) -> Result<(), Refusal> {
    match node.store.record_at(position).await? {
        Record::FeedReceipt { file, .. } => {
            let Ok(Statement::Receipt(receipt)) = open_sealed(&file).map(|sealed| sealed.statement) else {
                return Err(misplaced(position));
            };
            let Receipt { event, items, .. } = receipt;
            let code = match event {
                ReceiptEvent::Fetched => StatusCode::ARRIVED,
                ReceiptEvent::Acknowledged => StatusCode::ACCEPTED,
                ReceiptEvent::Refused => StatusCode::REFUSED,
                ReceiptEvent::Status | ReceiptEvent::RecallAgreed | ReceiptEvent::RecallRefused => return Ok(()),
            };
            for item in items {
                if let Some(sent) = dropped(node, item.message_id).await? {
                    let name = format!("{}.{}.status-{code}", item.message_id, item.recipient);
                    outputs.push(Output::Status(name, Box::new(sent), item.recipient.clone(), Box::new(item), code));
                }
            }
            Ok(())
        }
        Record::RefusedByAxis { message_id, reason, message } => {
            if dropped(node, message_id).await?.is_some() {
                let note = report::refused_by_axis(message_id, &reason, &message);
                outputs.push(Output::Note(format!("{message_id}.refused-by-axis.json"), note));
            }
            Ok(())
        }
        _ => Err(misplaced(position)),
    }
}

fn misplaced(position: Position) -> Refusal {
    Refusal::new(Reason::JournalCorrupt, format!("the record at position {position} is not what the rows say"))
}

/// The envelope of a document that was dropped into the watch folder; `None` for others, which this DMS knows nothing of.
async fn dropped(node: &Node, message_id: MessageId) -> Result<Option<Envelope>, Refusal> {
    let row = node.store.read(move |state| state.outbox(&message_id)).await?;
    let Some(row) = row.filter(|row| row.reference.starts_with(REFERENCE_PREFIX)) else { return Ok(None) };
    let Record::Drafted { draft, .. } = node.store.record_at(row.drafted).await? else { return Err(misplaced(row.drafted)) };
    Envelope::parse(&draft).map(Some).map_err(|cause| cause.to_refusal())
}

/// Writes one file. A document that edXML cannot carry leaves a note instead, and holds up no other.
fn put(folders: &Folders, blobs: &dyn BlobStore, output: &Output) -> Result<(), Refusal> {
    let (name, written) = match output {
        Output::Document(name, envelope) => (name, put_file(folders, name, |out| whole(envelope, blobs, out))),
        Output::Status(name, sent, recipient, item, code) => {
            let description = item.reason.as_ref().map(|reason| reason.text.clone()).or_else(|| item.arrival_number.clone());
            let event = Event { code: *code, recipient, at: item.event_time, description };
            (name, put_file(folders, name, |out| write_status(sent, event, out)))
        }
        Output::Note(name, note) => return folders.put_out(name, |out| out.write_all(note)).map_err(|cause| fault(&cause)),
    };
    match written {
        Err(refusal) if matches!(refusal.reason.blame(), Blame::Caller | Blame::Peer) => {
            tracing::error!(file = %name, reason = %refusal.reason, message = %refusal.message, "edXML cannot carry this; a note is written");
            let note = report::unwritable(name, &refusal);
            folders.put_out(&format!("{name}.unwritable.json"), |out| out.write_all(&note)).map_err(|cause| fault(&cause))
        }
        written => written,
    }
}

fn put_file(folders: &Folders, stem: &str, write: impl FnOnce(&mut dyn io::Write) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let mut told = None;
    let put = folders.put_out(&format!("{stem}{EXTENSION}"), |out| {
        write(out).map_err(|refusal| {
            told = Some(refusal);
            io::Error::other("not written")
        })
    });
    match (put, told) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(cause), None) => Err(fault(&cause)),
    }
}

/// The exact bytes that the sender handed in, if the document came as edXML.
fn whole(envelope: &Envelope, blobs: &dyn BlobStore, out: &mut dyn io::Write) -> Result<(), Refusal> {
    let Some(source) = envelope.edxml else { return write_document(envelope, blobs, out) };
    let mut reader = blobs.open_range(&source.sha256, 0).map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
    io::copy(&mut reader, out).map(drop).map_err(|cause| fault(&cause))
}
