//! `predicate.doc` of an envelope: what the document says of itself, in clear and sealed.
//!
//! Field by field the header of edXML (QCVN 102:2016; lengths of Decree 30/2020 annex VI part II). Not the files: those are attachments.

use truc_types::limits::{
    APPENDICES_BYTES_MAX, DOC_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX, DOC_NOTATION_BYTES_MAX, DOC_NUMBER_BYTES_MAX, DOC_SUBJECT_BYTES_MAX,
    DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, LIST_ITEMS_MAX, PLACE_BYTES_MAX, PLACES_BYTES_MAX,
};
use truc_types::{Date, Timestamp, Urgency};

use super::StatementError;
use crate::json::{FromJson, Object, Path, Value, cut};
use crate::write::{ToJson, Writer};

/// The secrecy mark. State secrets do not travel on this axis (Decision 28/2018 art. 1.2), so only one value is ever carried; every other
/// text is [`StatementError::DocumentSecret`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Secrecy {
    /// No secrecy mark.
    #[default]
    None,
}

/// Type of a document: traffic uses the three parts differently, so all of them are carried as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DocType {
    /// `DocumentType/Type`.
    pub code: Option<u32>,
    /// `DocumentType/TypeDetail`.
    pub detail: Option<u32>,
    /// `DocumentType/TypeName`, the part that receivers can rely on.
    pub name: Option<String>,
}

/// Who signed the document on paper or in the PDF. Not who sealed the statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Signer {
    /// Authority prefix: TM., KT., TL., …
    pub competence: Option<String>,
    /// Post.
    pub position: Option<String>,
    /// Name.
    pub full_name: Option<String>,
}

/// What the document says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Doc {
    /// National document identifier, opaque.
    pub document_id: Option<String>,
    /// Number; absent only when [`super::Envelope::may_hide_title`].
    pub number: Option<String>,
    /// Notation; absent only when [`super::Envelope::may_hide_title`].
    pub notation: Option<String>,
    /// Abstract (trích yếu); absent only when [`super::Envelope::may_hide_title`].
    pub subject: Option<String>,
    /// Type (loại văn bản); left out when all its parts are.
    pub doc_type: DocType,
    /// Summary.
    pub content: Option<String>,
    /// Place of issue.
    pub place: Option<String>,
    /// Date of issue.
    pub issued_on: Option<Date>,
    /// Who signed the document.
    pub signer: Option<Signer>,
    /// Answer deadline.
    pub due_on: Option<Date>,
    /// Urgency.
    pub urgency: Urgency,
    /// The set hour; only with [`Urgency::FlashAtHour`].
    pub urgent_at: Option<Timestamp>,
    /// Secrecy mark; mandatory, always in clear.
    pub secrecy: Secrecy,
    /// Circulation (`SphereOfPromulgation`).
    pub sphere: Option<String>,
    /// Drafter's initials (`TyperNotation`).
    pub drafter: Option<String>,
    /// Copies (`PromulgationAmount`).
    pub copies: Option<u32>,
    /// Pages (`PageAmount`).
    pub pages: Option<u32>,
    /// Names of appendices.
    pub appendices: Vec<String>,
    /// A paper copy is sent as well.
    pub paper: bool,
    /// Language.
    pub language: Option<String>,
    /// "Nơi nhận" lines, for display only.
    pub to_places: Vec<String>,
    /// `SteeringType`; sources conflict on its meaning, nothing acts on it.
    pub steering_type: Option<u32>,
    /// Task answered (`ResponseForTask/TaskCode`).
    pub task_code: Option<String>,
    /// Kind of application of the task (`ResponseForTask/ApplicationType`).
    pub task_application: Option<String>,
}

impl Doc {
    /// A document with number, notation and subject, of normal urgency and without a secrecy mark; everything else is left out.
    #[must_use]
    pub fn new(number: impl Into<String>, notation: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            document_id: None,
            number: Some(number.into()),
            notation: Some(notation.into()),
            subject: Some(subject.into()),
            doc_type: DocType::default(),
            content: None,
            place: None,
            issued_on: None,
            signer: None,
            due_on: None,
            urgency: Urgency::Normal,
            urgent_at: None,
            secrecy: Secrecy::None,
            sphere: None,
            drafter: None,
            copies: None,
            pages: None,
            appendices: Vec::new(),
            paper: false,
            language: None,
            to_places: Vec::new(),
            steering_type: None,
            task_code: None,
            task_application: None,
        }
    }
}

impl FromJson for Doc {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let doc = Self {
            // First, so that a secret document is refused as such whatever else is wrong with it.
            secrecy: object.required("secrecy")?,
            document_id: object.optional_text("document_id", DOCUMENT_ID_BYTES_MAX)?,
            number: object.optional_text("number", DOC_NUMBER_BYTES_MAX)?,
            notation: object.optional_text("notation", DOC_NOTATION_BYTES_MAX)?,
            subject: object.optional_text("subject", DOC_SUBJECT_BYTES_MAX)?,
            doc_type: object.optional("type")?.unwrap_or_default(),
            content: object.optional_text("content", DOC_TEXT_BYTES_MAX)?,
            place: object.optional_text("place", DOC_NAME_BYTES_MAX)?,
            issued_on: object.optional("issued_on")?,
            signer: object.optional("signer")?,
            due_on: object.optional("due_on")?,
            urgency: object.required("urgency")?,
            urgent_at: object.optional("urgent_at")?,
            sphere: object.optional_text("sphere", DOC_NAME_BYTES_MAX)?,
            drafter: object.optional_text("drafter", DOC_CODE_BYTES_MAX)?,
            copies: object.optional("copies")?,
            pages: object.optional("pages")?,
            appendices: object.texts("appendices", LIST_ITEMS_MAX, DOC_NAME_BYTES_MAX, APPENDICES_BYTES_MAX)?,
            paper: object.required("paper")?,
            language: object.optional_text("language", DOC_CODE_BYTES_MAX)?,
            to_places: object.texts("to_places", LIST_ITEMS_MAX, PLACE_BYTES_MAX, PLACES_BYTES_MAX)?,
            steering_type: object.optional("steering_type")?,
            task_code: object.optional_text("task_code", DOC_CODE_BYTES_MAX)?,
            task_application: object.optional_text("task_application", DOC_CODE_BYTES_MAX)?,
        };
        object.finish()?;
        if doc.urgent_at.is_some() && doc.urgency != Urgency::FlashAtHour {
            return Err(StatementError::ForbiddenHere {
                path: path.key("urgent_at").to_string(),
                because: "only urgency 4 has a set hour",
            });
        }
        Ok(doc)
    }
}

impl ToJson for Doc {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.optional("document_id", self.document_id.as_ref());
            w.optional("number", self.number.as_ref());
            w.optional("notation", self.notation.as_ref());
            w.optional("subject", self.subject.as_ref());
            w.optional("type", Some(&self.doc_type).filter(|kind| **kind != DocType::default()));
            w.optional("content", self.content.as_ref());
            w.optional("place", self.place.as_ref());
            w.optional("issued_on", self.issued_on.as_ref());
            w.optional("signer", self.signer.as_ref());
            w.optional("due_on", self.due_on.as_ref());
            w.field("urgency", &self.urgency);
            w.optional("urgent_at", self.urgent_at.as_ref());
            w.field("secrecy", &self.secrecy);
            w.optional("sphere", self.sphere.as_ref());
            w.optional("drafter", self.drafter.as_ref());
            w.optional("copies", self.copies.as_ref());
            w.optional("pages", self.pages.as_ref());
            w.list_if_any("appendices", &self.appendices);
            w.field("paper", &self.paper);
            w.optional("language", self.language.as_ref());
            w.list_if_any("to_places", &self.to_places);
            w.optional("steering_type", self.steering_type.as_ref());
            w.optional("task_code", self.task_code.as_ref());
            w.optional("task_application", self.task_application.as_ref());
        });
    }
}

impl FromJson for Secrecy {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        match value.into_text(path)? {
            "none" => Ok(Self::None),
            other => Err(StatementError::DocumentSecret { path: path.to_string(), found: cut(other) }),
        }
    }
}

impl ToJson for Secrecy {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::None => "none".write(writer),
        }
    }
}

impl FromJson for DocType {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let kind = Self {
            code: object.optional("code")?,
            detail: object.optional("detail")?,
            name: object.optional_text("name", DOC_NAME_BYTES_MAX)?,
        };
        object.finish()?;
        Ok(kind)
    }
}

impl ToJson for DocType {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.optional("code", self.code.as_ref());
            w.optional("detail", self.detail.as_ref());
            w.optional("name", self.name.as_ref());
        });
    }
}

impl FromJson for Signer {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let signer = Self {
            competence: object.optional_text("competence", DOC_CODE_BYTES_MAX)?,
            position: object.optional_text("position", DOC_NAME_BYTES_MAX)?,
            full_name: object.optional_text("full_name", DOC_NAME_BYTES_MAX)?,
        };
        object.finish()?;
        Ok(signer)
    }
}

impl ToJson for Signer {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.optional("competence", self.competence.as_ref());
            w.optional("position", self.position.as_ref());
            w.optional("full_name", self.full_name.as_ref());
        });
    }
}
