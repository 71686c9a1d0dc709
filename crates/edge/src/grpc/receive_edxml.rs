//! ReceiveEdxml: what arrived, as national files. The original bytes where there are some, else written while they are sent.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::receive_edxml_response::Part;
use truc_signing::statement::Envelope;
use truc_types::limits::BLOB_CHUNK_BYTES;
use truc_types::{Blame, Reason, Refusal};

use super::receive::{arrived, stream_blob};
use super::{Sender, StreamError};
use crate::edxml::write_document;
use crate::node::Node;

/// Documents read from the rows at once.
const PAGE: usize = 64;
/// Pieces that are written ahead of the reader.
const WRITTEN_AHEAD: usize = 2;

type Parts = Sender<pb::ReceiveEdxmlResponse>;

fn part(part: Part) -> pb::ReceiveEdxmlResponse {
    pb::ReceiveEdxmlResponse { part: Some(part) }
}

/// Sends what was shown after the cursor, then waits for more.
pub(super) async fn documents(node: Arc<Node>, sender: Parts, mut cursor: u64, no_wait: bool) -> Result<(), StreamError> {
    let mut arrivals = node.store.signals().arrivals.subscribe();
    loop {
        let shown = node.store.read(move |state| state.shown_after(cursor, PAGE)).await?;
        let nothing = shown.is_empty();
        for (at, message_id, recipient) in shown {
            let envelope = arrived(&node, message_id, recipient.clone()).await?;
            let document = pb::EdxmlDocument {
                cursor: at,
                message_id: message_id.to_string(),
                recipient: recipient.to_string(),
                original: envelope.edxml.is_some(),
                size: envelope.edxml.map(|source| source.size),
                ..pb::EdxmlDocument::default()
            };
            one(&node, &sender, document, envelope).await?;
            cursor = at;
        }
        if nothing && no_wait {
            return Ok(());
        }
        if nothing && sender.wait(arrivals.changed()).await?.is_err() {
            return Ok(());
        }
    }
}

async fn one(node: &Arc<Node>, sender: &Parts, document: pb::EdxmlDocument, envelope: Envelope) -> Result<(), StreamError> {
    let size = match envelope.edxml {
        Some(source) => {
            sender.send(part(Part::Document(document))).await?;
            stream_blob(node, sender, source.sha256, 0, |data| part(Part::Data(data))).await?;
            source.size
        }
        None => written(node, sender, document, envelope).await?,
    };
    Ok(sender.send(part(Part::End(pb::EdxmlEnd { size }))).await?)
}

/// Writes a document while it is sent. One that edXML cannot carry is told as such and holds nothing up.
async fn written(node: &Arc<Node>, sender: &Parts, document: pb::EdxmlDocument, envelope: Envelope) -> Result<u64, StreamError> {
    let gone = |_| Refusal::new(Reason::ShuttingDown, "the edge ends");
    let _turn = sender.wait(node.streams.acquire()).await?.map_err(gone)?;
    let (pieces, mut receiver) = mpsc::channel::<Bytes>(WRITTEN_AHEAD);
    let blobs = Arc::clone(&node.blobs);
    let writing = tokio::task::spawn_blocking(move || {
        let mut out = Pieces { pieces, piece: BytesMut::new() };
        write_document(&envelope, blobs.as_ref(), &mut out)
    });
    let mut begin = Some(document);
    let mut size = 0u64;
    while let Some(data) = receiver.recv().await {
        if let Some(document) = begin.take() {
            sender.send(part(Part::Document(document))).await?;
        }
        size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        sender.send(part(Part::Data(data))).await?;
    }
    let written = writing.await.map_err(|cause| Refusal::new(Reason::BlobStorage, format!("a worker of the edge ended: {cause}")))?;
    match (written, begin) {
        (Ok(()), _) => Ok(size),
        (Err(refusal), Some(document)) if matches!(refusal.reason.blame(), Blame::Caller | Blame::Peer) => {
            let (unwritable_reason, unwritable_message) = (refusal.reason.error_info(), refusal.message);
            sender.send(part(Part::Document(pb::EdxmlDocument { unwritable_reason, unwritable_message, ..document }))).await?;
            Ok(0)
        }
        (Err(refusal), _) => Err(refusal.into()),
    }
}

/// Gathers what is written into pieces of the interface's size.
struct Pieces {
    pieces: mpsc::Sender<Bytes>,
    piece: BytesMut,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOB_CHUNK_BYTES - self.piece.len());
        self.piece.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.piece.len() == BLOB_CHUNK_BYTES {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader went away");
        self.pieces.blocking_send(self.piece.split().freeze()).map_err(gone)
    }
}
