//! receipt/v1: what a recipient says became of documents. One event, up to 100 documents, all from one original sender. Sealed by the
//! recipient's edge; only this is called a receipt.
//!
//! Not here: which event may follow which, which is the core's decision.

use std::fmt;

use truc_types::limits::{
    ARRIVAL_NUMBER_BYTES_MAX, DOC_TEXT_BYTES_MAX, REASON_CODE_BYTES_MAX, RECEIPT_ITEMS_MAX, RECEIPT_REASONS_BYTES_MAX,
};
use truc_types::names::RECEIPT_V1;
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, OrganisationCode, QueuePosition, Timestamp};

use super::parts::{Contact, Nonce, ObservedLog, RequiredSigner, Subject, first_repeated, required_signers, text_enum, word};
use super::{StatementError, USUAL_BYTES, parse_as, write_statement};
use crate::json::{FromJson, Object, Path, Value, cut, written_bytes};
use crate::write::{ToJson, Writer};

/// Bytes of an item with its subject, without a reason.
const ITEM_BYTES: usize = 320;

text_enum! {
    /// What happened.
    ReceiptEvent {
        /// The edge holds all bytes and has recomputed the digests (national status 01, đã đến).
        Fetched = "fetched",
        /// Registered by the recipient (03, đã tiếp nhận).
        Acknowledged = "acknowledged",
        /// Returned by the recipient, with a reason (02, từ chối).
        Refused = "refused",
        /// A business status after that (04, 05, 06, …).
        Status = "status",
        /// The recipient agrees to a recall or update (15).
        RecallAgreed = "recall_agreed",
        /// The recipient refuses a recall or update, with a reason (16).
        RecallRefused = "recall_refused",
    }
}

impl ReceiptEvent {
    /// The event of ETSI EN 319 522-1 that this one is, by its identifier; `None` where the standard has none.
    ///
    /// | event | ETSI EN 319 522 |
    /// |---|---|
    /// | `fetched` | E.1 `ContentHandover` |
    /// | `acknowledged` | C.3 `ConsignmentAcceptance` |
    /// | `refused` | C.4 `ConsignmentRejection` |
    /// | `status`, `recall_agreed`, `recall_refused` | none |
    #[must_use]
    pub const fn etsi_event(self) -> Option<&'static str> {
        match self {
            Self::Fetched => Some("http://uri.etsi.org/19522/Event/ContentHandover"),
            Self::Acknowledged => Some("http://uri.etsi.org/19522/Event/ConsignmentAcceptance"),
            Self::Refused => Some("http://uri.etsi.org/19522/Event/ConsignmentRejection"),
            Self::Status | Self::RecallAgreed | Self::RecallRefused => None,
        }
    }

    /// Whether each item must give a reason.
    #[must_use]
    pub const fn needs_reason(self) -> bool {
        matches!(self, Self::Refused | Self::RecallRefused)
    }
}

/// A national business status, 1 to 16, written with two digits (C2 `status.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u8);

impl StatusCode {
    /// The status of a number; `None` outside 1 to 16.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 16 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// Why, in a code for programs and words for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReceiptReason {
    /// Lower-case word of the recipient's vocabulary: letters, digits, `_`, `.`, `-`.
    pub code: String,
    /// The words.
    pub text: String,
}

/// One document of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReceiptItem {
    /// The message; stands in `subject[]` as the name.
    pub message_id: MessageId,
    /// SHA-256 of its DSSE file; stands in `subject[]` as the digest.
    pub envelope: Digest,
    /// The organisation it was delivered for.
    pub recipient: OrganisationCode,
    /// When it happened, by the clock of the recipient.
    pub event_time: Timestamp,
    /// Position of the delivery in the recipient's queue.
    pub queue_position: Option<QueuePosition>,
    /// Number in the recipient's register (số đến); only in `acknowledged` and `status`.
    pub arrival_number: Option<String>,
    /// Why; mandatory in `refused` and `recall_refused`.
    pub reason: Option<ReceiptReason>,
    /// Exactly in `status`.
    pub status_code: Option<StatusCode>,
}

/// What a recipient says became of documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// Id of this receipt.
    pub receipt_id: MessageId,
    /// What happened.
    pub event: ReceiptEvent,
    /// The agency that seals.
    pub issuer: AgencyCode,
    /// The agency that sent all the documents.
    pub original_sender: AgencyCode,
    /// 1 to 100 documents; each (message, recipient) once.
    pub items: Vec<ReceiptItem>,
    /// The recipient's copies are destroyed; only in `recall_agreed`.
    pub copy_destroyed: bool,
    /// Who to ask.
    pub contact: Option<Contact>,
    /// When the edge sealed it, by its own clock.
    pub created_at: Timestamp,
    /// Term of the edge.
    pub edge_term: EdgeTerm,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Newest checkpoint the edge had verified.
    pub observed_log: Option<ObservedLog>,
    /// Everything in the recipient's queue up to here has reached the edge.
    pub queue_contiguous: Option<QueuePosition>,
    /// Whose signatures must be on the file.
    pub required_signers: Vec<RequiredSigner>,
}

impl Receipt {
    /// The payload bytes; nothing is checked: parse before sealing.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let subjects: Vec<_> = self.items.iter().map(|item| Subject { name: item.message_id.to_string(), digest: item.envelope }).collect();
        write_statement(RECEIPT_V1, USUAL_BYTES + ITEM_BYTES * subjects.len(), &subjects, |w| {
            w.field("receipt_id", &self.receipt_id);
            w.field("event", &self.event);
            w.field("issuer", &self.issuer);
            w.field("original_sender", &self.original_sender);
            w.list("items", &self.items);
            w.optional("copy_destroyed", self.copy_destroyed.then_some(&true));
            w.optional("contact", self.contact.as_ref());
            w.field("created_at", &self.created_at);
            w.field("edge_term", &self.edge_term);
            w.field("nonce", &self.nonce);
            w.optional("observed_log", self.observed_log.as_ref());
            w.optional("queue_contiguous", self.queue_contiguous.as_ref());
            w.list("required_signers", &self.required_signers);
        })
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        parse_as(payload, RECEIPT_V1, Self::read)
    }

    pub(super) fn read(subjects: Vec<Subject>, value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let event = object.required("event")?;
        let receipt = Self {
            receipt_id: object.required("receipt_id")?,
            event,
            issuer: object.required("issuer")?,
            original_sender: object.required("original_sender")?,
            items: read_items(&mut object, path, &subjects, event)?,
            copy_destroyed: object.optional("copy_destroyed")?.unwrap_or(false),
            contact: object.optional("contact")?,
            created_at: object.required("created_at")?,
            edge_term: object.required("edge_term")?,
            nonce: object.required("nonce")?,
            observed_log: object.optional("observed_log")?,
            queue_contiguous: object.optional("queue_contiguous")?,
            required_signers: required_signers(&mut object)?,
        };
        object.finish()?;
        receipt.check()?;
        Ok(receipt)
    }

    fn check(&self) -> Result<(), StatementError> {
        if let Some((message, recipient)) = first_repeated(self.items.iter().map(|item| (item.message_id, &item.recipient))) {
            return Err(StatementError::Repeated { path: "predicate.items".into(), found: format!("{message} for {recipient}") });
        }
        if self.copy_destroyed && self.event != ReceiptEvent::RecallAgreed {
            return Err(StatementError::ForbiddenHere { path: "predicate.copy_destroyed".into(), because: "only recall_agreed says so" });
        }
        let reasons = self.items.iter().filter_map(|item| item.reason.as_ref());
        let found = reasons.map(|reason| reason.code.len() + written_bytes(&reason.text)).sum();
        if found > RECEIPT_REASONS_BYTES_MAX {
            return Err(StatementError::TextTooLong { path: "predicate.items".into(), found, limit: RECEIPT_REASONS_BYTES_MAX });
        }
        Ok(())
    }
}

fn read_items(
    object: &mut Object<'_, '_>,
    path: &Path<'_>,
    subjects: &[Subject],
    event: ReceiptEvent,
) -> Result<Vec<ReceiptItem>, StatementError> {
    let values = object.value("items")?;
    let path = path.key("items");
    let values = values.into_list(&path, RECEIPT_ITEMS_MAX)?;
    if values.len() == 0 {
        return Err(StatementError::ListEmpty { path: path.to_string() });
    }
    if values.len() != subjects.len() {
        return Err(StatementError::SubjectMismatch {
            path: "subject".into(),
            expected: format!("{} subjects", values.len()),
            found: format!("{} subjects", subjects.len()),
        });
    }
    let read = |(index, (value, subject)): (usize, (Value<'_>, &Subject))| {
        let message_id = subject.name.parse().map_err(|error| StatementError::BadId { path: format!("subject[{index}].name"), error })?;
        read_item(value, &path.index(index), event, message_id, subject.digest)
    };
    values.zip(subjects).enumerate().map(read).collect()
}

fn read_item(
    value: Value<'_>,
    path: &Path<'_>,
    event: ReceiptEvent,
    message_id: MessageId,
    envelope: Digest,
) -> Result<ReceiptItem, StatementError> {
    let mut object = Object::new(value, path)?;
    let item = ReceiptItem {
        message_id,
        envelope,
        recipient: object.required("recipient")?,
        event_time: object.required("event_time")?,
        queue_position: object.optional("queue_position")?,
        arrival_number: object.optional_text("arrival_number", ARRIVAL_NUMBER_BYTES_MAX)?,
        reason: object.optional("reason")?,
        status_code: object.optional("status_code")?,
    };
    object.finish()?;
    let at = |key| path.key(key).to_string();
    if item.reason.is_none() && event.needs_reason() {
        return Err(StatementError::RequiredHere { path: at("reason"), because: "in refused and recall_refused" });
    }
    match (item.status_code.is_some(), event == ReceiptEvent::Status) {
        (false, true) => return Err(StatementError::RequiredHere { path: at("status_code"), because: "in status" }),
        (true, false) => return Err(StatementError::ForbiddenHere { path: at("status_code"), because: "only status has a code" }),
        _ => {}
    }
    if item.arrival_number.is_some() && !matches!(event, ReceiptEvent::Acknowledged | ReceiptEvent::Status) {
        let because = "only what was registered has an arrival number";
        return Err(StatementError::ForbiddenHere { path: at("arrival_number"), because });
    }
    Ok(item)
}

impl FromJson for StatusCode {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let text = value.into_text(path)?;
        let two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let code = text.parse().ok().filter(|_| two_digits).and_then(Self::new);
        code.ok_or_else(|| StatementError::UnknownValue { path: path.to_string(), found: cut(text) })
    }
}

impl ToJson for StatusCode {
    fn write(&self, writer: &mut Writer) {
        self.to_string().write(writer);
    }
}

impl FromJson for ReceiptReason {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let reason = Self { code: word(&mut object, "code", path, REASON_CODE_BYTES_MAX)?, text: object.text("text", DOC_TEXT_BYTES_MAX)? };
        object.finish()?;
        Ok(reason)
    }
}

impl ToJson for ReceiptReason {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("code", &self.code);
            w.field("text", &self.text);
        });
    }
}

impl ToJson for ReceiptItem {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("recipient", &self.recipient);
            w.field("event_time", &self.event_time);
            w.optional("queue_position", self.queue_position.as_ref());
            w.optional("arrival_number", self.arrival_number.as_ref());
            w.optional("reason", self.reason.as_ref());
            w.optional("status_code", self.status_code.as_ref());
        });
    }
}
