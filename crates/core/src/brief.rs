//! What `apply` reads of an entry, and nothing else: for entries that the log has packed, whose bytes were read strictly when they were admitted and
//! whose bundle is checked when it is unpacked. A rebuild takes most of its time for reading, and most of a statement means nothing to the state.
//!
//! Not a check of statements: what is in one beside that is passed over. It is read as our writer writes it; whatever looks otherwise, and every kind that
//! is rare, goes through the strict reader, which refuses what is no statement. Of a statement that the strict reader takes, both read the same.

mod read;

use std::sync::Arc;

use truc_signing::statement::{self as st, Accepted, ReceiptEvent, StatementError};
use truc_types::{AgencyCode, Digest, EdgeTerm, Lane, MessageId, OrganisationCode, SenderSeq};

use crate::entry::Entry;
use read::skim;

/// An entry in brief.
#[derive(Debug, Clone)]
pub enum Brief {
    /// A document on its way.
    Envelope(EnvelopeBrief),
    /// The fact that it was accepted, which has nothing that is not applied.
    Accepted(Accepted),
    /// What became of documents.
    Receipt(ReceiptBrief),
    /// Any other, read strictly.
    Whole(Box<Entry>),
}

/// An envelope in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeBrief {
    /// Its id.
    pub message_id: MessageId,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// The agency that sealed it.
    pub sender: AgencyCode,
    /// Term of the sender's edge.
    pub edge_term: EdgeTerm,
    /// Number in that term.
    pub seq: SenderSeq,
    /// By its urgency.
    pub lane: Lane,
    /// To whom.
    pub recipients: Vec<OrganisationCode>,
}

/// A receipt in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptBrief {
    /// What holds for all items.
    pub head: ReceiptHead,
    /// The documents.
    pub items: Vec<ItemBrief>,
}

/// What a receipt says once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptHead {
    /// Its id.
    pub receipt_id: MessageId,
    /// What happened.
    pub event: ReceiptEvent,
    /// The agency that sealed it.
    pub issuer: AgencyCode,
    /// The agency that sent the documents.
    pub original_sender: AgencyCode,
    /// Term of the issuer's edge.
    pub edge_term: EdgeTerm,
}

/// What a receipt says of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemBrief {
    /// The message.
    pub message_id: MessageId,
    /// SHA-256 of its file.
    pub envelope: Digest,
    /// The organisation it was delivered for.
    pub recipient: OrganisationCode,
}

impl Brief {
    /// Reads an entry of the log.
    ///
    /// # Errors
    /// Those of [`Entry::parse`].
    pub fn read(bytes: &Arc<[u8]>) -> Result<Self, StatementError> {
        match skim(bytes) {
            Some(brief) => Ok(brief),
            None => Entry::parse(bytes.clone()).map(|entry| Self::Whole(Box::new(entry))),
        }
    }
}

impl EnvelopeBrief {
    pub(crate) fn of(envelope: &st::Envelope, digest: Digest) -> Self {
        Self {
            message_id: envelope.message_id,
            digest,
            sender: envelope.sender.agency.clone(),
            edge_term: envelope.edge_term,
            seq: envelope.sender_seq,
            lane: envelope.doc.urgency.lane(),
            recipients: envelope.recipients.clone(),
        }
    }
}

impl ReceiptHead {
    pub(crate) fn of(receipt: &st::Receipt) -> Self {
        Self {
            receipt_id: receipt.receipt_id,
            event: receipt.event,
            issuer: receipt.issuer.clone(),
            original_sender: receipt.original_sender.clone(),
            edge_term: receipt.edge_term,
        }
    }
}
