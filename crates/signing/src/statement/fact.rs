//! fact/v1: what the axis did. Plain statement JSON, not sealed: the log key signs it through the checkpoint.
//!
//! `accepted` is what a sender may rely on together with its inclusion proof. The other events are reserved here with their fields.

use truc_types::limits::{DOC_TEXT_BYTES_MAX, ENVELOPE_CODES_MAX};
use truc_types::names::FACT_V1;
use truc_types::{AgencyCode, Digest, LeafIndex, MessageId, OrganisationCode, QueuePosition, Reason, Timestamp};

use super::parts::{Subject, text_enum};
use super::{StatementError, parse_as, write_statement, written_fact};
use crate::json::{FromJson, Object, Path, Value, cut};
use crate::write::{ToJson, Writer};

/// Subject name of bytes that were refused and may have no message id.
const REJECTED_SUBJECT: &str = "rejected";

/// Bytes of a fact without its queue entries, and of one of these with short codes: what is longer makes room for itself.
const FACT_BYTES: usize = 448;
const QUEUE_ENTRY_BYTES: usize = 64;

text_enum! {
    /// Spelling of the events.
    FactEvent {
        /// [`Accepted`].
        Accepted = "accepted",
        /// [`Rejected`].
        Rejected = "rejected",
        /// [`RecipientFact`]: `expires_at` passed before the recipient had it.
        Expired = "expired",
        /// [`RecipientFact`]: delivery attempts are used up; an operator decides.
        Parked = "parked",
        /// [`Forwarded`].
        Forwarded = "forwarded",
    }
}

/// Where an accepted message stands in the queue of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QueueEntry {
    /// The recipient.
    pub recipient: OrganisationCode,
    /// The agency whose edge serves it.
    pub agency: AgencyCode,
    /// Position in the agency's queue.
    pub position: QueuePosition,
}

/// An envelope is in the log and in the queues of its recipients: it is available to them from `block_time` on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// The message.
    pub message_id: MessageId,
    /// SHA-256 of its DSSE file.
    pub envelope: Digest,
    /// Leaf of the envelope in the same shard.
    pub leaf: LeafIndex,
    /// Time of the block.
    pub block_time: Timestamp,
    /// Registry version by which key, agency and recipients were judged.
    pub registry_version: u64,
    /// One entry per recipient, in the order of the envelope.
    pub queue: Vec<QueueEntry>,
}

/// Well-sealed bytes that were refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// SHA-256 of the refused file.
    pub digest: Digest,
    /// Whose seal it bears.
    pub agency: AgencyCode,
    /// Its message id, if it has one.
    pub message_id: Option<MessageId>,
    /// Why.
    pub reason: Reason,
    /// Time of the block.
    pub block_time: Timestamp,
}

/// What happened to a message on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecipientFact {
    /// The message.
    pub message_id: MessageId,
    /// SHA-256 of its DSSE file.
    pub envelope: Digest,
    /// The recipient.
    pub recipient: OrganisationCode,
    /// Time of the block.
    pub block_time: Timestamp,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A message for a code that ended went on to its successor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forwarded {
    /// Message, envelope, the code that ended, time, reason.
    pub from: RecipientFact,
    /// The successor's place in its queue.
    pub to: QueueEntry,
    /// Registry version that names the successor.
    pub registry_version: u64,
}

/// What the axis did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// An envelope was accepted.
    Accepted(Accepted),
    /// Well-sealed bytes were refused.
    Rejected(Rejected),
    /// A message expired before a recipient had it.
    Expired(RecipientFact),
    /// Delivery to a recipient was given up until an operator decides.
    Parked(RecipientFact),
    /// A message went on to a successor.
    Forwarded(Forwarded),
}

impl Fact {
    /// Which event it is.
    #[must_use]
    pub const fn event(&self) -> FactEvent {
        match self {
            Self::Accepted(_) => FactEvent::Accepted,
            Self::Rejected(_) => FactEvent::Rejected,
            Self::Expired(_) => FactEvent::Expired,
            Self::Parked(_) => FactEvent::Parked,
            Self::Forwarded(_) => FactEvent::Forwarded,
        }
    }

    /// The statement bytes, which are the leaf.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let recipients = if let Self::Accepted(fact) = self { fact.queue.len() } else { 1 };
        write_statement(FACT_V1, FACT_BYTES + QUEUE_ENTRY_BYTES * recipients, &[self.subject()], |w| {
            w.field("event", &self.event());
            match self {
                Self::Accepted(fact) => fact.write_fields(w),
                Self::Rejected(fact) => fact.write_fields(w),
                Self::Expired(fact) | Self::Parked(fact) => fact.write_fields(w),
                Self::Forwarded(fact) => {
                    fact.from.write_fields(w);
                    w.field("to", &fact.to);
                    w.field("registry_version", &fact.registry_version);
                }
            }
        })
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        match written_fact::read(payload) {
            Some(accepted) => Ok(Self::Accepted(accepted)),
            None => parse_as(payload, FACT_V1, Self::read),
        }
    }

    fn subject(&self) -> Subject {
        let (name, digest) = match self {
            Self::Accepted(fact) => (fact.message_id.to_string(), fact.envelope),
            Self::Rejected(fact) => (fact.message_id.map_or_else(|| REJECTED_SUBJECT.to_owned(), |id| id.to_string()), fact.digest),
            Self::Expired(fact) | Self::Parked(fact) => (fact.message_id.to_string(), fact.envelope),
            Self::Forwarded(fact) => (fact.from.message_id.to_string(), fact.from.envelope),
        };
        Subject { name, digest }
    }

    pub(super) fn read(subjects: Vec<Subject>, value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let subject = super::only_subject(subjects)?;
        let message_id =
            || subject.name.parse::<MessageId>().map_err(|error| StatementError::BadId { path: "subject[0].name".into(), error });
        let mut object = Object::new(value, path)?;
        let fact = match object.required("event")? {
            FactEvent::Accepted => Self::Accepted(Accepted {
                message_id: message_id()?,
                envelope: subject.digest,
                leaf: object.required("leaf")?,
                block_time: object.required("block_time")?,
                registry_version: object.required("registry_version")?,
                queue: object.required_list("queue", ENVELOPE_CODES_MAX)?,
            }),
            FactEvent::Rejected => Self::Rejected(Rejected {
                digest: subject.digest,
                agency: object.required("agency")?,
                message_id: if subject.name == REJECTED_SUBJECT { None } else { Some(message_id()?) },
                reason: object.required("reason")?,
                block_time: object.required("block_time")?,
            }),
            FactEvent::Expired => Self::Expired(RecipientFact::read(&mut object, message_id()?, subject.digest)?),
            FactEvent::Parked => Self::Parked(RecipientFact::read(&mut object, message_id()?, subject.digest)?),
            FactEvent::Forwarded => Self::Forwarded(Forwarded {
                from: RecipientFact::read(&mut object, message_id()?, subject.digest)?,
                to: object.required("to")?,
                registry_version: object.required("registry_version")?,
            }),
        };
        object.finish()?;
        Ok(fact)
    }
}

impl Accepted {
    fn write_fields(&self, w: &mut Writer) {
        w.field("leaf", &self.leaf);
        w.field("block_time", &self.block_time);
        w.field("registry_version", &self.registry_version);
        w.list("queue", &self.queue);
    }
}

impl Rejected {
    fn write_fields(&self, w: &mut Writer) {
        w.field("agency", &self.agency);
        w.field("reason", self.reason.code());
        w.field("block_time", &self.block_time);
    }
}

impl RecipientFact {
    fn read(object: &mut Object<'_, '_>, message_id: MessageId, envelope: Digest) -> Result<Self, StatementError> {
        Ok(Self {
            message_id,
            envelope,
            recipient: object.required("recipient")?,
            block_time: object.required("block_time")?,
            reason: object.optional_text("reason", DOC_TEXT_BYTES_MAX)?,
        })
    }

    fn write_fields(&self, w: &mut Writer) {
        w.field("recipient", &self.recipient);
        w.field("block_time", &self.block_time);
        w.optional("reason", self.reason.as_ref());
    }
}

impl FromJson for QueueEntry {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let entry =
            Self { recipient: object.required("recipient")?, agency: object.required("agency")?, position: object.required("position")? };
        object.finish()?;
        Ok(entry)
    }
}

impl ToJson for QueueEntry {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("recipient", &self.recipient);
            w.field("agency", &self.agency);
            w.field("position", &self.position);
        });
    }
}

impl FromJson for Reason {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let text = value.into_text(path)?;
        let known = Self::ALL.iter().copied().find(|reason| reason.code() == text);
        known.ok_or_else(|| StatementError::UnknownValue { path: path.to_string(), found: cut(text) })
    }
}
