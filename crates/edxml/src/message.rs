//! A new document as it stands in edXML: the values, checked, without any XML. What they mean for delivery is decided elsewhere.

use truc_types::{Date, Digest, OrganisationCode, Urgency};

use crate::diagnostic::Diagnostic;

/// A new document or a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Sender.
    pub from: Party,
    /// Receivers in their order; at least one, no code twice.
    pub to: Vec<Party>,
    /// National document identifier, opaque; the law asks for it, the field sometimes leaves it out.
    pub document_id: Option<String>,
    /// Number, `4127`.
    pub number: String,
    /// Notation, `BTC-NSNN`.
    pub notation: String,
    /// Place of issue.
    pub place: Option<String>,
    /// Date of issue.
    pub promulgation_date: Date,
    /// Type of document; the three values disagree between writers, receivers map by name.
    pub document_type: DocumentType,
    /// Trích yếu, the abstract: at most [`DOC_SUBJECT_BYTES_MAX`](truc_types::limits::DOC_SUBJECT_BYTES_MAX) bytes.
    pub subject: String,
    /// Summary.
    pub content: Option<String>,
    /// Who signed.
    pub signer: Signer,
    /// Deadline of the answer.
    pub due_date: Option<Date>,
    /// Urgency; normal where none is given.
    pub priority: Urgency,
    /// Circulation.
    pub sphere: Option<String>,
    /// Drafter's initials (`TyperNotation`).
    pub drafter: Option<String>,
    /// Copies on paper (`PromulgationAmount`).
    pub copies: Option<i32>,
    /// Pages.
    pub pages: Option<i32>,
    /// Names of appendices.
    pub appendices: Vec<String>,
    /// "Nơi nhận" lines: display only, never addresses.
    pub to_places: Vec<String>,
    /// Documents that this one answers.
    pub response_for: Vec<AnsweredDocument>,
    /// Steering; sources contradict each other on its values: display only.
    pub steering_type: Option<i32>,
    /// Hops so far, as they say of themselves.
    pub trace: Vec<TraceHop>,
    /// The business block, if there is one.
    pub business: Option<Business>,
    /// Attachments in the order in which the sink received them.
    pub attachments: Vec<AttachmentInfo>,
    /// What was read although it is not as the format has it.
    pub warnings: Vec<Diagnostic>,
}

/// An organisation as sender or receiver. Texts are display only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its code.
    pub code: OrganisationCode,
    /// Name.
    pub name: Option<String>,
    /// Parent body: its name or its code.
    pub in_charge: Option<String>,
    /// Address.
    pub address: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Telephone.
    pub telephone: Option<String>,
    /// Fax.
    pub fax: Option<String>,
    /// Web site.
    pub website: Option<String>,
}

/// Type of a document, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentType {
    /// `Type`.
    pub code: Option<i32>,
    /// `TypeDetail`; writers that have none put 0 or -1.
    pub detail: Option<i32>,
    /// `TypeName`, "Công văn".
    pub name: Option<String>,
}

/// Who signed the document on paper or in the PDF.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// Authority prefix, "KT. BỘ TRƯỞNG".
    pub competence: Option<String>,
    /// Post.
    pub position: Option<String>,
    /// Name.
    pub full_name: Option<String>,
}

/// A document that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredDocument {
    /// The organisation that sent it.
    pub organisation: Option<OrganisationCode>,
    /// Number and notation, `4127/BTC-NSNN`.
    pub code: Option<String>,
    /// Its date of issue.
    pub promulgation_date: Option<Date>,
    /// Its national identifier.
    pub document_id: Option<String>,
}

/// One hop of the way, unproved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHop {
    /// Organisation, as written.
    pub organisation: Option<String>,
    /// When; the wire has no zone.
    pub time: Option<LocalTime>,
}

/// A time without a zone (in practice UTC+7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    /// Day.
    pub date: Date,
    /// Hour, minute and second.
    pub time_of_day: (u8, u8, u8),
}

/// What is to be done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusinessKind {
    /// 0: a new document. The others are refused by name for now, see [`Packet`](crate::Packet).
    New,
}

/// The business block (`Bussiness` on the wire).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// What is to be done.
    pub kind: BusinessKind,
    /// Why, as text.
    pub reason: Option<String>,
    /// `Paper`, as written: samples use 0/1 for "also sent on paper", others a number of pages.
    pub paper: Option<String>,
    /// Document it refers to; writers fill it for new documents too, without meaning.
    pub document_id: Option<String>,
    /// Person to ask.
    pub staff: Option<Staff>,
}

/// A contact person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staff {
    /// Department.
    pub department: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Mobile telephone.
    pub mobile: Option<String>,
}

/// An attachment that the sink received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentInfo {
    /// Display name, at most 255 bytes. Never a path: it may hold separators.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Media type of the bytes in the sink: as declared, or by the name's extension where they were unpacked.
    pub media_type: String,
    /// ContentId without `cid:`.
    pub content_id: Option<String>,
    /// Bytes, decoded and unpacked.
    pub size: u64,
    /// Digest of these bytes.
    pub sha256: Digest,
    /// They were unpacked from an archive of one entry.
    pub was_zipped: bool,
}
