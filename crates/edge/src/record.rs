//! The records of an edge's private journal: everything that happened to it, in the order in which it happened.
//!
//! A record is one format byte and postcard. The journal is the truth, all rows follow from it (`state`). Not the statements themselves: those are
//! exact bytes inside records and are parsed where they are used.

use serde::{Deserialize, Serialize};
use truc_signing::statement::{Accepted, Envelope, Receipt};
use truc_types::limits::ENTRY_BYTES_MAX;
use truc_types::{AgencyCode, Digest, EdgeTerm, LeafIndex, MessageId, OrganisationCode, Position, QueuePosition, SenderSeq, Timestamp};

use crate::wire;

/// Format of the records; a journal with another one belongs to another release.
const FORMAT: u8 = 1;

/// Bytes of a checkpoint that an edge takes: a body and 16 signature lines of 180 bytes. With it, a receipt of the largest size and its proof fit
/// one record ([`ENTRY_BYTES_MAX`]).
pub(crate) const CHECKPOINT_BYTES_MAX: usize = 3_072;
/// Bytes of an axis fact that an edge takes: 200 recipients of at most 140 bytes each and 1,000 for the rest, rounded up.
pub(crate) const FACT_BYTES_MAX: usize = 32 * 1024;

/// Bytes of nearly all records: what is longer makes room as it is written.
const COMMON_BYTES: usize = 4 * 1024;

/// Records of one command: so many of the largest fit one block of 512 KiB.
pub(crate) const COMMAND_RECORDS_MAX: usize = 7;
const _: () = assert!(COMMAND_RECORDS_MAX * ENTRY_BYTES_MAX < truc_types::limits::BLOCK_BYTES_MAX);

/// Where bytes stand in the log: index and the siblings of the inclusion proof, lowest first, 32 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaf {
    /// Index of the leaf.
    #[serde(with = "wire::leaf_index")]
    pub(crate) index: LeafIndex,
    /// The siblings.
    #[serde(with = "wire::bytes")]
    pub(crate) path: Vec<u8>,
}

/// The code and words of a reason that a person gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenReason {
    /// Code.
    pub(crate) code: String,
    /// Words.
    pub(crate) text: String,
}

/// What the DMS decided about a document that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Registered (03).
    Acknowledged {
        /// Number in the register.
        arrival_number: Option<String>,
    },
    /// Returned (02).
    Refused(GivenReason),
}

/// One thing that happened. New kinds go to the end: postcard numbers them in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// A statement that opens a term is about to be submitted.
    TermOpening {
        /// The term.
        #[serde(with = "wire::term")]
        term: EdgeTerm,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
    },
    /// The term is open.
    TermOpened {
        /// The term.
        #[serde(with = "wire::term")]
        term: EdgeTerm,
        /// Where the statement stands.
        leaf: Leaf,
        /// Covers it.
        checkpoint: String,
    },
    /// The DMS handed a document in.
    Drafted {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// The DMS's own name for it.
        reference: String,
        /// Digest of everything the DMS said: the same reference with another one is refused.
        #[serde(with = "wire::digest")]
        request: Digest,
        /// The envelope's payload with term, number, nonce, observed log and time still to be filled in.
        #[serde(with = "wire::bytes")]
        draft: Vec<u8>,
    },
    /// A document is sealed; it may be sealed more than once, then the last counts.
    Sealed {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// In this term.
        #[serde(with = "wire::term")]
        term: EdgeTerm,
        /// With this number.
        #[serde(with = "wire::seq")]
        seq: SenderSeq,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
    },
    /// The axis accepted a document; all proofs hold.
    Accepted {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// Where the envelope stands.
        envelope_leaf: Leaf,
        /// The axis fact.
        #[serde(with = "wire::bytes")]
        fact: Vec<u8>,
        /// Where the fact stands.
        fact_leaf: Leaf,
        /// Covers both.
        checkpoint: String,
    },
    /// The axis refused a document for good.
    RefusedByAxis {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// Stable reason.
        reason: String,
        /// One sentence.
        message: String,
    },
    /// A receipt about documents that this agency sent; seals and proof hold.
    FeedReceipt {
        /// Its number.
        cursor: u64,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
        /// Where it stands.
        leaf: Leaf,
        /// Covers it.
        checkpoint: String,
    },
    /// The envelope of a document for this agency; seals and proof hold. Once per message.
    ArrivedEnvelope {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
    },
    /// A document is here for one recipient, with all attachments.
    Arrived {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// The recipient.
        #[serde(with = "wire::organisation")]
        recipient: OrganisationCode,
        /// The agency that sealed it.
        #[serde(with = "wire::agency")]
        sender: AgencyCode,
        /// Position in the agency's queue.
        #[serde(with = "wire::queue_position")]
        queue_position: QueuePosition,
        /// When, by the clock of this edge.
        #[serde(with = "wire::time")]
        at: Timestamp,
        /// Where the envelope stands.
        envelope_leaf: Leaf,
        /// The axis fact.
        #[serde(with = "wire::bytes")]
        fact: Vec<u8>,
        /// Where the fact stands.
        fact_leaf: Leaf,
        /// Covers both.
        checkpoint: String,
    },
    /// The DMS registered or returned a document.
    Answered {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// The recipient.
        #[serde(with = "wire::organisation")]
        recipient: OrganisationCode,
        /// When, by the clock of this edge.
        #[serde(with = "wire::time")]
        at: Timestamp,
        /// What it decided.
        answer: Answer,
    },
    /// A receipt is sealed.
    ReceiptSealed {
        /// Its id.
        #[serde(with = "wire::message_id")]
        receipt_id: MessageId,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
    },
    /// A receipt is in the log; the proof holds.
    ReceiptLogged {
        /// Its id.
        #[serde(with = "wire::message_id")]
        receipt_id: MessageId,
        /// Where it stands.
        leaf: Leaf,
        /// Covers it.
        checkpoint: String,
    },
    /// A receipt is not in the log: its items go into new receipts.
    ReceiptReturned {
        /// Its id.
        #[serde(with = "wire::message_id")]
        receipt_id: MessageId,
        /// Stable reason.
        reason: String,
        /// The item that was refused, by its index; others are sealed anew.
        culprit: Option<(u32, Fate)>,
        /// Nobody said which item is wrong: each is sealed alone.
        apart: bool,
    },
    /// The DMS has stored all documents up to here.
    Confirmed {
        /// Cursor of the last one.
        cursor: u64,
    },
    /// A checkpoint that extends the one before.
    CheckpointSeen {
        /// The note.
        checkpoint: String,
    },
    /// A registry statement; seal and proof hold.
    RegistryEntry {
        /// The registry's version after it.
        version: u64,
        /// Where it stands.
        leaf: Leaf,
        /// The DSSE file.
        #[serde(with = "wire::bytes")]
        file: Vec<u8>,
    },
    /// The edge itself returns a document that just arrived: its edXML file is not what the envelope says. Sealed as `refused` once its `fetched` is in
    /// the log; never shown.
    Declined {
        /// The message.
        #[serde(with = "wire::message_id")]
        message_id: MessageId,
        /// The recipient.
        #[serde(with = "wire::organisation")]
        recipient: OrganisationCode,
        /// Why.
        reason: GivenReason,
    },
    /// Everything up to here is durable in `out/` of the watch folder.
    WatchWritten {
        /// Cursor of the last document that arrived.
        arrivals: u64,
        /// Position of the last record that the DMS was told of.
        #[serde(with = "wire::position")]
        notices: Position,
    },
}

/// A record that is about to be appended, with the statement in it where its maker has read that already: the state need not read it once more.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) record: Record,
    pub(crate) inside: Option<Inside>,
}

/// The statement in a record, exactly as its bytes read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inside {
    Envelope(Box<Envelope>),
    Accepted(Accepted),
    Receipt(Box<Receipt>),
}

impl From<Record> for Recorded {
    fn from(record: Record) -> Self {
        Self { record, inside: None }
    }
}

/// What becomes of a receipt's item that the axis refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// The event is in the log already, by an earlier life of this edge: as good as logged.
    LoggedBefore,
    /// It will never be in the log: a `fetched` means that the copy is discarded.
    Dropped,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Another format.
    #[error("the record has format {found:?}, this release reads {FORMAT}")]
    Format {
        /// The first byte, if there is one.
        found: Option<u8>,
    },
    /// Not postcard of a record.
    #[error("the record does not parse: {0}")]
    Malformed(String),
    /// Over [`ENTRY_BYTES_MAX`].
    #[error("the record has {found} bytes, at most {ENTRY_BYTES_MAX} fit an entry")]
    TooLarge {
        /// Its length.
        found: usize,
    },
}

impl Record {
    /// The bytes of the journal entry.
    ///
    /// # Errors
    /// [`RecordError::TooLarge`]; the limits on what goes into records exclude it.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(COMMON_BYTES);
        bytes.push(FORMAT);
        let bytes = postcard::to_extend(self, bytes).map_err(|cause| RecordError::Malformed(cause.to_string()))?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(RecordError::TooLarge { found: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a journal entry.
    ///
    /// # Errors
    /// [`RecordError::Format`], [`RecordError::Malformed`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => match postcard::take_from_bytes(rest) {
                Ok((record, [])) => Ok(record),
                Ok((_, rest)) => Err(RecordError::Malformed(format!("{} bytes too many", rest.len()))),
                Err(cause) => Err(RecordError::Malformed(cause.to_string())),
            },
            other => Err(RecordError::Format { found: other.map(|(first, _)| *first) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use truc_types::limits::STATEMENT_FILE_BYTES_MAX;

    #[test]
    fn the_largest_receipt_with_its_proof_fits_one_entry() {
        let leaf = Leaf { index: LeafIndex(u64::MAX >> 1), path: vec![7; 63 * 32] };
        let checkpoint = "c".repeat(CHECKPOINT_BYTES_MAX);
        let file = vec![0xff; STATEMENT_FILE_BYTES_MAX];
        let record = Record::FeedReceipt { cursor: u64::MAX, file: file.clone(), leaf: leaf.clone(), checkpoint: checkpoint.clone() };
        assert_eq!(Record::parse(&record.to_bytes().unwrap()).unwrap(), record);
        let arrived = Record::Arrived {
            message_id: MessageId::from_bytes([0xff; 16]),
            recipient: "H53.13".parse().unwrap(),
            sender: "H53".parse().unwrap(),
            queue_position: QueuePosition(u64::MAX),
            at: Timestamp::MAX,
            envelope_leaf: leaf.clone(),
            fact: vec![1; FACT_BYTES_MAX],
            fact_leaf: leaf,
            checkpoint,
        };
        assert_eq!(Record::parse(&arrived.to_bytes().unwrap()).unwrap(), arrived);
        let too_large = Record::ArrivedEnvelope { message_id: MessageId::from_bytes([0; 16]), file: vec![0; ENTRY_BYTES_MAX] };
        assert!(matches!(too_large.to_bytes(), Err(RecordError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic_and_trailing_ones_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), extra in 1usize..9) {
            let parsed = Record::parse(&bytes);
            if let Ok(record) = parsed {
                prop_assert_eq!(Record::parse(&record.to_bytes().unwrap()).unwrap(), record);
            }
            let mut long = Record::Confirmed { cursor: 9 }.to_bytes().unwrap();
            long.extend(std::iter::repeat_n(0, extra));
            prop_assert!(matches!(Record::parse(&long), Err(RecordError::Malformed(_))));
        }
    }

    #[test]
    fn another_format_is_named() {
        assert_eq!(Record::parse(&[2, 0]), Err(RecordError::Format { found: Some(2) }));
        assert_eq!(Record::parse(&[]), Err(RecordError::Format { found: None }));
    }
}
