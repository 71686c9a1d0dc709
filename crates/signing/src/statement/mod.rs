//! Statements: in-toto Statement v1 JSON with one of five predicates, as plain structs with a strict reader and a deterministic writer.
//!
//! `docs/spec/statements.md` is this module in words. Not seals: a statement says whose signatures it needs, `seal.rs` checks them.

mod attachment;
mod document;
mod envelope;
mod error;
mod fact;
mod parts;
mod receipt;
mod registry;
mod sender_head;
mod written_fact;

use truc_types::limits::{ENVELOPE_CODES_MAX, PAYLOAD_BYTES_MAX};
use truc_types::names::{ENVELOPE_V1, FACT_V1, RECEIPT_V1, REGISTRY_V1, SENDER_HEAD_V1, STATEMENT_TYPE};
pub use truc_types::{MessageId, Urgency};

pub use attachment::{Attachment, EdxmlSource, Encoding};
pub use document::{Doc, DocType, Secrecy, Signer};
pub use envelope::{Business, DocumentReference, ENVELOPE_SUBJECT, Envelope, Recalled, Replacement, Sender, Update, attachment_subject};
pub use error::StatementError;
pub use fact::{Accepted, Fact, FactEvent, Forwarded, QueueEntry, RecipientFact, Rejected};
pub use parts::{Contact, Nonce, ObservedLog, RequiredSigner, SignerRole};
pub use receipt::{Receipt, ReceiptEvent, ReceiptItem, ReceiptReason, StatusCode};
pub use registry::{
    AgencyJoined, CertificateAdded, CertificateRevoked, Genesis, Organisation, PublishedLimits, Registry, RegistryEvent, RegistryEventName,
};
pub use sender_head::{SenderHead, SenderHeadEvent, SenderHeadEventName};

use crate::json::{Object, Path, Tape, Value, cut};
use crate::write::Writer;
use parts::Subject;

/// Bytes that a value takes in a statement with its key, mostly somewhat more.
const BYTES_A_VALUE: usize = 20;

/// Any statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Statement {
    /// A document on its way.
    Envelope(Box<Envelope>),
    /// What a recipient says became of documents.
    Receipt(Receipt),
    /// What the axis did.
    Fact(Fact),
    /// A change of the registry.
    Registry(Registry),
    /// What an edge says of its terms and numbers.
    SenderHead(SenderHead),
}

impl Statement {
    /// Reads a payload of any of the five predicate types.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let tape = Tape::parse(payload, PAYLOAD_BYTES_MAX, payload.len() / BYTES_A_VALUE + 1)?;
        let (subjects, predicate_type, predicate) = open(&tape)?;
        let path = Path::ROOT.key("predicate");
        match predicate_type {
            ENVELOPE_V1 => Envelope::read(subjects, predicate, &path).map(|envelope| Self::Envelope(Box::new(envelope))),
            RECEIPT_V1 => Receipt::read(subjects, predicate, &path).map(Self::Receipt),
            FACT_V1 => Fact::read(subjects, predicate, &path).map(Self::Fact),
            REGISTRY_V1 => Registry::read(subjects, predicate, &path).map(Self::Registry),
            SENDER_HEAD_V1 => SenderHead::read(subjects, predicate, &path).map(Self::SenderHead),
            other => Err(StatementError::PredicateType { found: cut(other) }),
        }
    }

    /// The payload bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::Envelope(envelope) => envelope.to_json(),
            Self::Receipt(receipt) => receipt.to_json(),
            Self::Fact(fact) => fact.to_json(),
            Self::Registry(registry) => registry.to_json(),
            Self::SenderHead(head) => head.to_json(),
        }
    }

    /// Frozen name of the predicate type.
    #[must_use]
    pub const fn predicate_type(&self) -> &'static str {
        match self {
            Self::Envelope(_) => ENVELOPE_V1,
            Self::Receipt(_) => RECEIPT_V1,
            Self::Fact(_) => FACT_V1,
            Self::Registry(_) => REGISTRY_V1,
            Self::SenderHead(_) => SENDER_HEAD_V1,
        }
    }

    /// Whose signatures must be on the DSSE file; none for facts, which are not sealed.
    #[must_use]
    pub fn required_signers(&self) -> &[RequiredSigner] {
        match self {
            Self::Envelope(envelope) => &envelope.required_signers,
            Self::Receipt(receipt) => &receipt.required_signers,
            Self::Fact(_) => &[],
            Self::Registry(registry) => &registry.required_signers,
            Self::SenderHead(head) => &head.required_signers,
        }
    }
}

/// Takes the four fields of an in-toto Statement apart.
fn open<'t>(tape: &'t Tape<'_>) -> Result<(Vec<Subject>, &'t str, Value<'t>), StatementError> {
    let mut object = Object::new(tape.root(), &Path::ROOT)?;
    let statement_type = object.value("_type")?.into_text(&Path::ROOT.key("_type"))?;
    if statement_type != STATEMENT_TYPE {
        return Err(StatementError::StatementType { found: cut(statement_type) });
    }
    let predicate_type = object.value("predicateType")?.into_text(&Path::ROOT.key("predicateType"))?;
    // No statement has more subjects than an envelope may have codes; each predicate says exactly how many.
    let subjects = object.required_list("subject", ENVELOPE_CODES_MAX)?;
    let predicate = object.value("predicate")?;
    object.finish()?;
    Ok((subjects, predicate_type, predicate))
}

fn parse_as<T>(
    payload: &[u8],
    predicate: &'static str,
    read: impl FnOnce(Vec<Subject>, Value<'_>, &Path<'_>) -> Result<T, StatementError>,
) -> Result<T, StatementError> {
    let tape = Tape::parse(payload, PAYLOAD_BYTES_MAX, payload.len() / BYTES_A_VALUE + 1)?;
    match open(&tape)? {
        (subjects, found, value) if found == predicate => read(subjects, value, &Path::ROOT.key("predicate")),
        (_, found, _) => Err(StatementError::PredicateType { found: cut(found) }),
    }
}

/// Bytes of most statements that name one thing.
const USUAL_BYTES: usize = 2_048;

/// Writes a statement for which room is made for so many bytes.
fn write_statement(predicate_type: &str, bytes: usize, subjects: &[Subject], predicate: impl FnOnce(&mut Writer)) -> Vec<u8> {
    Writer::document(bytes, |w| {
        w.field("_type", STATEMENT_TYPE);
        w.list("subject", subjects);
        w.field("predicateType", predicate_type);
        w.nested("predicate", predicate);
    })
}

/// The subject of a statement about a thing that has a name but no bytes: its digest is that of the name.
fn named_subject(name: String) -> Subject {
    let digest = crate::sha256(name.as_bytes());
    Subject { name, digest }
}

fn only_subject(subjects: Vec<Subject>) -> Result<Subject, StatementError> {
    let found = subjects.len();
    match (subjects.into_iter().next(), found) {
        (Some(subject), 1) => Ok(subject),
        _ => Err(StatementError::SubjectMismatch {
            path: "subject".into(),
            expected: "1 subject".into(),
            found: format!("{found} subjects"),
        }),
    }
}

fn expect_subject(subjects: Vec<Subject>, name: &str) -> Result<(), StatementError> {
    let found = only_subject(subjects)?;
    let expected = named_subject(name.to_owned());
    if found.name != expected.name {
        return Err(StatementError::SubjectMismatch { path: "subject[0].name".into(), expected: expected.name, found: found.name });
    }
    if found.digest != expected.digest {
        return Err(StatementError::SubjectMismatch {
            path: "subject[0].digest.sha256".into(),
            expected: expected.digest.to_hex(),
            found: found.digest.to_hex(),
        });
    }
    Ok(())
}
