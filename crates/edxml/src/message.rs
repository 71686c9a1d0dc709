//! A message as it stands in edXML: the values, checked, without any XML. What they mean for delivery is decided elsewhere.
//!
//! Reading, writing and reading again gives an equal message: what the format cannot tell apart (0 and absent, empty and absent) is one value here.

use std::fmt;

use truc_types::{Date, Digest, OrganisationCode, Urgency};

use crate::business::{Business, BusinessKind};
use crate::status::{Status, StatusCode};

/// Everything that is edXML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A document: new, a reply, a recall, an update or a replacement.
    Document(Box<Document>),
    /// A status packet: what became of a document.
    Status(Box<Status>),
}

/// What a message is; displayed as callers name it when they refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A document, by its `BussinessDocType`.
    Document(BusinessKind),
    /// A status packet, by its `StatusCode`.
    Status(StatusCode),
}

impl Message {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Document(document) => MessageKind::Document(document.business.kind),
            Self::Status(status) => MessageKind::Status(status.code),
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(kind) => kind.fmt(f),
            Self::Status(code) => write!(f, "status packet {code}"),
        }
    }
}

/// A document with its header, its trace and what is known of its attachments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
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
    /// Copies on paper (`PromulgationAmount`); the wire's 0 is "not said".
    pub copies: Option<u32>,
    /// Pages; the wire's 0 is "not said".
    pub pages: Option<u32>,
    /// `ReplyFors`, a vendor's extension.
    pub reply_fors: Option<String>,
    /// `Direction`, a vendor's extension; the national library writes `false` where nobody set it.
    pub direction: bool,
    /// `ReferenceCodes`, a vendor's extension.
    pub reference_codes: Option<String>,
    /// Names of appendices.
    pub appendices: Vec<String>,
    /// "Nơi nhận" lines: display only, never addresses.
    pub to_places: Vec<String>,
    /// Documents that this one answers.
    pub response_for: Vec<AnsweredDocument>,
    /// Steering; sources contradict each other on its values: display only. The wire's 0 is "none".
    pub steering_type: Option<u32>,
    /// The task that this document belongs to, a vendor's extension (`ResponseForTask`).
    pub task: Task,
    /// `TraceHeaderList/@id`.
    pub trace_id: Option<String>,
    /// Hops so far, as they say of themselves.
    pub trace: Vec<TraceHop>,
    /// The business block; a document without one is new.
    pub business: Business,
    /// Attachments in the order in which the sink received them.
    pub attachments: Vec<AttachmentInfo>,
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
    /// `Type`; writers that have none put 0 or -1.
    pub code: Option<u32>,
    /// `TypeDetail`; writers that have none put 0 or -1.
    pub detail: Option<u32>,
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

/// A document that is answered, recalled or reported on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl fmt::Display for LocalTime {
    /// As the wire has it: `2025/11/17 16:42:10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second) = self.time_of_day;
        write!(f, "{} {hour:02}:{minute:02}:{second:02}", crate::date::canonical(self.date))
    }
}

/// A task, as the vendors that track them write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// `TaskCode`.
    pub code: Option<String>,
    /// `ApplicationType`.
    pub application_type: Option<String>,
}

/// A contact person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staff {
    /// Department.
    pub department: Option<String>,
    /// `DepartmentId`.
    pub department_id: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// `StaffId`.
    pub id: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Mobile telephone.
    pub mobile: Option<String>,
}

/// An attachment: everything but its bytes, which pass through sinks and sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentInfo {
    /// Display name, at most 255 bytes. Never a path: it may hold separators.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Media type of the bytes, in lower case: `MimeType`, or what was declared, or by the name's extension where that says nothing (archives,
    /// `application/docx`).
    pub media_type: String,
    /// ContentId without `cid:`.
    pub content_id: String,
    /// Bytes, decoded and unpacked.
    pub size: u64,
    /// Digest of these bytes.
    pub sha256: Digest,
}
