//! Everything that can be wrong with the bytes of a statement, each with its path, what was found and the limit.
//!
//! Not about seals: those are in `seal.rs`.

use truc_types::{CodeError, HexError, IdError, Reason, Refusal, TimeError};

/// Why bytes are not a statement (or not a DSSE file).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Over the byte limit; nothing was parsed.
    #[error("the bytes are {found}, at most {limit} are allowed")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("the bytes stop being UTF-8 at offset {at}")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// Not one JSON value.
    #[error("the JSON breaks at line {line} column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Nested too deeply.
    #[error("{path:?} is nested deeper than {limit} levels")]
    TooDeep {
        /// Where.
        path: String,
        /// Levels allowed.
        limit: usize,
    },
    /// An object with more keys than any statement has.
    #[error("{path:?} has more than {limit} keys")]
    TooManyKeys {
        /// Where.
        path: String,
        /// Keys allowed.
        limit: usize,
    },
    /// The same key twice in one object.
    #[error("{path:?} stands there twice")]
    DuplicateKey {
        /// Where.
        path: String,
    },
    /// A field this version does not know.
    #[error("{path:?} is not a field of this statement")]
    UnknownField {
        /// Where.
        path: String,
    },
    /// A mandatory field is absent.
    #[error("{path:?} is missing")]
    MissingField {
        /// Where.
        path: String,
    },
    /// A mandatory field is absent because of another field.
    #[error("{path:?} is missing: it is mandatory {because}")]
    RequiredHere {
        /// Where.
        path: String,
        /// The rule.
        because: &'static str,
    },
    /// A field that another field excludes.
    #[error("{path:?} must not be there: {because}")]
    ForbiddenHere {
        /// Where.
        path: String,
        /// The rule.
        because: &'static str,
    },
    /// Another JSON type.
    #[error("{path:?} is {found}, expected {expected}")]
    WrongType {
        /// Where.
        path: String,
        /// What the layout asks for.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// An integer above its limit.
    #[error("{path:?} is {found}, at most {limit} is allowed")]
    IntegerTooLarge {
        /// Where.
        path: String,
        /// The value.
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// An integer below its limit.
    #[error("{path:?} is {found}, at least {limit} is asked for")]
    IntegerTooSmall {
        /// Where.
        path: String,
        /// The value.
        found: u64,
        /// The smallest allowed.
        limit: u64,
    },
    /// A negative integer; no field has one.
    #[error("{path:?} is {found}, negative numbers do not occur")]
    IntegerNegative {
        /// Where.
        path: String,
        /// The value.
        found: i64,
    },
    /// An empty text; optional fields are left out instead.
    #[error("{path:?} is empty")]
    TextEmpty {
        /// Where.
        path: String,
    },
    /// A text, or the texts of one list together, over the limit.
    #[error("{path:?} has {found} bytes, at most {limit} are allowed")]
    TextTooLong {
        /// Where.
        path: String,
        /// Bytes as written in JSON.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A control character other than line feed and tab.
    #[error("{path:?} has the control character U+{found:04X}")]
    TextControl {
        /// Where.
        path: String,
        /// The code point.
        found: u32,
    },
    /// Too many items.
    #[error("{path:?} has {found} items, at most {limit} are allowed")]
    ListTooLong {
        /// Where.
        path: String,
        /// Items found.
        found: usize,
        /// Items allowed.
        limit: usize,
    },
    /// An empty list; it is left out instead.
    #[error("{path:?} is an empty list")]
    ListEmpty {
        /// Where.
        path: String,
    },
    /// One item twice in a list of distinct ones.
    #[error("{path:?} repeats {found:?}")]
    Repeated {
        /// Where.
        path: String,
        /// The repeated value.
        found: String,
    },
    /// A recipient twice.
    #[error("{path:?} names the recipient {found:?} twice")]
    RecipientTwice {
        /// Where.
        path: String,
        /// The code.
        found: String,
    },
    /// A text that is none of the values of its field.
    #[error("{path:?} is {found:?}, which is none of its values")]
    UnknownValue {
        /// Where.
        path: String,
        /// The text, cut to 60 characters.
        found: String,
    },
    /// Not a code.
    #[error("{path:?}: {error}")]
    BadCode {
        /// Where.
        path: String,
        /// Why.
        error: CodeError,
    },
    /// Not a ULID.
    #[error("{path:?}: {error}")]
    BadId {
        /// Where.
        path: String,
        /// Why.
        error: IdError,
    },
    /// Not a SHA-256 digest.
    #[error("{path:?}: {error}")]
    BadDigest {
        /// Where.
        path: String,
        /// Why.
        error: HexError,
    },
    /// Not an instant or a date.
    #[error("{path:?}: {error}")]
    BadTime {
        /// Where.
        path: String,
        /// Why.
        error: TimeError,
    },
    /// Not canonical standard base64 with padding, or of another length than the field has.
    #[error("{path:?} is not standard base64 with padding of the right length")]
    BadBase64 {
        /// Where.
        path: String,
    },
    /// Not an object identifier in dotted decimals.
    #[error("{path:?} names the encoding {found:?}, expected identity, age-v1 or opaque:<oid>")]
    BadEncoding {
        /// Where.
        path: String,
        /// The text, cut to 60 characters.
        found: String,
    },
    /// Not a media type of RFC 6838.
    #[error("{path:?} is {found:?}, which is not a media type")]
    BadMediaType {
        /// Where.
        path: String,
        /// The text, cut to 60 characters.
        found: String,
    },
    /// `payloadType` of the DSSE file is another one.
    #[error("payloadType is {found:?}")]
    PayloadType {
        /// The text, cut to 60 characters.
        found: String,
    },
    /// `_type` is not in-toto Statement v1.
    #[error("_type is {found:?}")]
    StatementType {
        /// The text, cut to 60 characters.
        found: String,
    },
    /// A predicate type this release does not read, or another one than was asked for.
    #[error("predicateType is {found:?}")]
    PredicateType {
        /// The text, cut to 60 characters.
        found: String,
    },
    /// `subject` does not list what the predicate says.
    #[error("{path:?} is {found:?}, expected {expected:?}")]
    SubjectMismatch {
        /// Where.
        path: String,
        /// What the predicate asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A document that is, or may be, a state secret.
    #[error("{path:?} is {found:?}: only documents without a secrecy mark travel here")]
    DocumentSecret {
        /// Where.
        path: String,
        /// The text, cut to 60 characters.
        found: String,
    },
    /// An attachment over the size limit.
    #[error("{path:?} is {found} bytes, at most {limit} are allowed")]
    AttachmentTooLarge {
        /// Where.
        path: String,
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Too many attachments.
    #[error("{path:?} has {found} attachments, at most {limit} are allowed")]
    AttachmentsTooMany {
        /// Where.
        path: String,
        /// Attachments found.
        found: usize,
        /// Attachments allowed.
        limit: usize,
    },
    /// More signatures than a file may carry.
    #[error("{path:?} has {found} signatures, at most {limit} are allowed")]
    SignaturesTooMany {
        /// Where.
        path: String,
        /// Signatures found.
        found: usize,
        /// Signatures allowed.
        limit: usize,
    },
}

impl StatementError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::StatementTooLarge,
            Self::NotUtf8 { .. } => Reason::StatementNotUtf8,
            Self::Malformed { .. } | Self::TooDeep { .. } | Self::TooManyKeys { .. } | Self::BadBase64 { .. } => Reason::StatementMalformed,
            Self::DuplicateKey { .. } => Reason::StatementDuplicateKey,
            Self::UnknownField { .. } | Self::ForbiddenHere { .. } => Reason::StatementUnknownField,
            Self::MissingField { .. } | Self::RequiredHere { .. } => Reason::StatementMissingField,
            Self::WrongType { .. } => Reason::StatementWrongType,
            Self::TextTooLong { .. } | Self::ListTooLong { .. } | Self::SignaturesTooMany { .. } => Reason::StatementTooLong,
            Self::IntegerTooLarge { .. }
            | Self::IntegerTooSmall { .. }
            | Self::IntegerNegative { .. }
            | Self::TextEmpty { .. }
            | Self::TextControl { .. }
            | Self::ListEmpty { .. }
            | Self::Repeated { .. }
            | Self::UnknownValue { .. }
            | Self::BadCode { .. }
            | Self::BadId { .. }
            | Self::BadDigest { .. }
            | Self::BadTime { .. }
            | Self::BadEncoding { .. }
            | Self::BadMediaType { .. }
            | Self::SubjectMismatch { .. } => Reason::StatementOutOfRange,
            Self::RecipientTwice { .. } => Reason::RecipientTwice,
            Self::PayloadType { .. } | Self::StatementType { .. } | Self::PredicateType { .. } => Reason::StatementUnsupported,
            Self::DocumentSecret { .. } => Reason::DocumentSecret,
            Self::AttachmentTooLarge { .. } => Reason::AttachmentTooLarge,
            Self::AttachmentsTooMany { .. } => Reason::AttachmentTooMany,
        }
    }

    /// Where the fault is: `predicate.doc.urgency`; empty when it concerns all the bytes.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::TooLarge { .. } | Self::NotUtf8 { .. } | Self::Malformed { .. } => "",
            Self::PayloadType { .. } => "payloadType",
            Self::StatementType { .. } => "_type",
            Self::PredicateType { .. } => "predicateType",
            Self::TooDeep { path, .. }
            | Self::TooManyKeys { path, .. }
            | Self::DuplicateKey { path }
            | Self::UnknownField { path }
            | Self::MissingField { path }
            | Self::RequiredHere { path, .. }
            | Self::ForbiddenHere { path, .. }
            | Self::WrongType { path, .. }
            | Self::IntegerTooLarge { path, .. }
            | Self::IntegerTooSmall { path, .. }
            | Self::IntegerNegative { path, .. }
            | Self::TextEmpty { path }
            | Self::TextTooLong { path, .. }
            | Self::TextControl { path, .. }
            | Self::ListTooLong { path, .. }
            | Self::ListEmpty { path }
            | Self::Repeated { path, .. }
            | Self::RecipientTwice { path, .. }
            | Self::UnknownValue { path, .. }
            | Self::BadCode { path, .. }
            | Self::BadId { path, .. }
            | Self::BadDigest { path, .. }
            | Self::BadTime { path, .. }
            | Self::BadBase64 { path }
            | Self::BadEncoding { path, .. }
            | Self::BadMediaType { path, .. }
            | Self::SubjectMismatch { path, .. }
            | Self::DocumentSecret { path, .. }
            | Self::AttachmentTooLarge { path, .. }
            | Self::AttachmentsTooMany { path, .. }
            | Self::SignaturesTooMany { path, .. } => path,
        }
    }

    /// The refusal that reaches the caller, with the path and, where there is one, the limit.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let refusal = Refusal::new(self.reason(), self.to_string()).with("path", self.path());
        match self {
            Self::TooLarge { limit, found }
            | Self::TextTooLong { limit, found, .. }
            | Self::ListTooLong { limit, found, .. }
            | Self::AttachmentsTooMany { limit, found, .. }
            | Self::SignaturesTooMany { limit, found, .. } => refusal.with("found", found).with("limit", limit),
            Self::IntegerTooLarge { limit, found, .. }
            | Self::IntegerTooSmall { limit, found, .. }
            | Self::AttachmentTooLarge { limit, found, .. } => refusal.with("found", found).with("limit", limit),
            Self::DocumentSecret { found, .. } => refusal.with("mark", found),
            Self::UnknownValue { found, .. } | Self::BadEncoding { found, .. } | Self::BadMediaType { found, .. } => {
                refusal.with("found", found)
            }
            Self::Repeated { found, .. } => refusal.with("found", found),
            Self::RecipientTwice { found, .. } => refusal.with("recipient", found),
            Self::PayloadType { found } | Self::StatementType { found } | Self::PredicateType { found } => refusal.with("found", found),
            Self::WrongType { expected, found, .. } => refusal.with("expected", expected).with("found", found),
            Self::TooDeep { limit, .. } | Self::TooManyKeys { limit, .. } => refusal.with("limit", limit),
            _ => refusal,
        }
    }
}
