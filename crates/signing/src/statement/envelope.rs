//! envelope/v1: a document from one organisation to others, or a recall, update or replacement of one. Sealed by the sender's edge.
//!
//! The fields serve the whole life of a document, so that an old edge never meets one it refuses. Not here: who may send what to whom,
//! which is the core's decision.

use truc_types::limits::{
    ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX, CODE_BYTES_MAX, DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, ENVELOPE_CODES_MAX,
    REFERENCE_CODE_BYTES_MAX, REFERENCES_MAX,
};
use truc_types::names::{EDXML_SUBJECT, ENVELOPE_V1};
use truc_types::{AgencyCode, Date, Digest, EdgeTerm, MessageId, OrganisationCode, SenderSeq, Timestamp};

use super::attachment::{Attachment, EdxmlSource};
use super::parts::{Contact, Nonce, ObservedLog, RequiredSigner, Subject, first_repeated, required_signers, text_enum};
use super::{Doc, StatementError, USUAL_BYTES, Urgency, parse_as, write_statement};
use crate::json::{FromJson, INTEGER_MAX, Object, Path, Value};
use crate::write::{ToJson, Writer};

/// Subject name of the recalled or updated envelope.
pub const ENVELOPE_SUBJECT: &str = "envelope.dsse.json";

text_enum! {
    /// What is done (`BussinessDocType` in edXML; a reply is a new document there that names what it answers).
    Business {
        /// A document.
        New = "new",
        /// A document that answers others.
        Reply = "reply",
        /// Changes the header or the recipients of an earlier message.
        Update = "update",
        /// A document that takes the place of earlier ones.
        Replace = "replace",
        /// Takes an earlier message back.
        Recall = "recall",
    }
}

/// Who sends: an organisation and the agency whose edge serves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The organisation in whose name the document goes out.
    pub organisation: OrganisationCode,
    /// The agency that seals.
    pub agency: AgencyCode,
}

/// Another document, named as well as the sender can (`ResponseFor` in edXML). At least one of message id, document id and code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DocumentReference {
    /// The message that carried it, if it came over this axis.
    pub message_id: Option<MessageId>,
    /// Who issued it.
    pub organisation: Option<OrganisationCode>,
    /// National document identifier.
    pub document_id: Option<String>,
    /// Number and notation as one text: `4127/BTC-NSNN`.
    pub code: Option<String>,
    /// Date of issue.
    pub issued_on: Option<Date>,
}

/// An earlier envelope of the same sender, by id and digest of its DSSE file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recalled {
    /// The message that is taken back.
    pub message_id: MessageId,
    /// SHA-256 of its DSSE file.
    pub envelope: Digest,
}

/// What an update changes besides the header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Update {
    /// The message that is changed.
    pub message_id: MessageId,
    /// SHA-256 of its DSSE file.
    pub envelope: Digest,
    /// Recipients that are new.
    pub added: Vec<OrganisationCode>,
    /// Recipients that are taken out.
    pub removed: Vec<OrganisationCode>,
}

/// One document that is replaced, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replacement {
    /// The document; at least one of message id, document id and code.
    pub document: DocumentReference,
    /// For whom; empty: for everyone who had it.
    pub recipients: Vec<OrganisationCode>,
}

/// A document on its way, in the words of its sender.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Correlation id, minted by the sender's edge.
    pub message_id: MessageId,
    /// Who sends.
    pub sender: Sender,
    /// To whom: 1 or more, each once.
    pub recipients: Vec<OrganisationCode>,
    /// What is done.
    pub business: Business,
    /// Why (`BussinessDocReason`).
    pub business_reason: Option<String>,
    /// Documents answered; at least one in a reply, none in a new document.
    pub in_reply_to: Vec<DocumentReference>,
    /// First message of the correspondence.
    pub thread: Option<MessageId>,
    /// Exactly in a recall.
    pub recalls: Option<Recalled>,
    /// Exactly in an update.
    pub updates: Option<Update>,
    /// One or more exactly in a replacement.
    pub replaces: Vec<Replacement>,
    /// What the document says of itself.
    pub doc: Doc,
    /// The files.
    pub attachments: Vec<Attachment>,
    /// The edXML file as it was received, if the document came as one.
    pub edxml: Option<EdxmlSource>,
    /// Who to ask.
    pub contact: Option<Contact>,
    /// When the edge sealed it, by its own clock.
    pub created_at: Timestamp,
    /// Not to be delivered after this; later than `created_at`.
    pub expires_at: Option<Timestamp>,
    /// Term of the edge.
    pub edge_term: EdgeTerm,
    /// Number within the edge term.
    pub sender_seq: SenderSeq,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Newest checkpoint the edge had verified; absent before the first.
    pub observed_log: Option<ObservedLog>,
    /// Whose signatures must be on the file.
    pub required_signers: Vec<RequiredSigner>,
}

impl Envelope {
    /// The payload bytes. The order of fields is fixed and optional fields are left out; nothing is checked: parse before sealing.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write_statement(ENVELOPE_V1, USUAL_BYTES + CODE_BYTES_MAX * self.recipients.len(), &self.subjects(), |w| self.write_predicate(w))
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        parse_as(payload, ENVELOPE_V1, Self::read)
    }

    /// Whether number, notation and subject may be absent: some attachment is encrypted, or this recalls or updates a message without
    /// files of its own (the earlier one may be encrypted, and its id names the document).
    #[must_use]
    pub fn may_hide_title(&self) -> bool {
        let refers = matches!(self.business, Business::Recall | Business::Update) && self.attachments.is_empty() && self.edxml.is_none();
        refers || self.attachments.iter().any(|attachment| attachment.encoding.is_encrypted())
    }

    /// Urgency of the document.
    #[must_use]
    pub const fn urgency(&self) -> Urgency {
        self.doc.urgency
    }

    /// Digest and length of every blob that travels. A document that came as edXML travels as that one file; what was decoded from it is
    /// listed in the envelope and derived again at the recipient.
    #[must_use]
    pub fn carried(&self) -> Vec<(Digest, u64)> {
        match &self.edxml {
            Some(source) => vec![(source.sha256, source.size)],
            None => self.attachments.iter().map(|attachment| (attachment.sha256, attachment.size)).collect(),
        }
    }

    fn subjects(&self) -> Vec<Subject> {
        let files =
            self.attachments.iter().enumerate().map(|(index, file)| Subject { name: attachment_subject(index), digest: file.sha256 });
        let edxml = self.edxml.iter().map(|source| Subject { name: EDXML_SUBJECT.to_owned(), digest: source.sha256 });
        let earlier = self.recalls.map(|recalled| recalled.envelope).or_else(|| self.updates.as_ref().map(|update| update.envelope));
        files.chain(edxml).chain(earlier.map(|digest| Subject { name: ENVELOPE_SUBJECT.to_owned(), digest })).collect()
    }

    pub(super) fn read(subjects: Vec<Subject>, value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut subjects = Subjects { rest: subjects.into_iter(), index: 0 };
        let mut object = Object::new(value, path)?;
        let attachments = read_attachments(&mut object, path, &mut subjects)?;
        let edxml =
            object.take("edxml").map(|value| EdxmlSource::read(value, &path.key("edxml"), || subjects.next(EDXML_SUBJECT))).transpose()?;
        let recalls = object
            .optional("recalls")?
            .map(|message_id| subjects.next(ENVELOPE_SUBJECT).map(|envelope| Recalled { message_id, envelope }))
            .transpose()?;
        let updates = object.take("updates").map(|value| read_update(value, &path.key("updates"), &mut subjects)).transpose()?;
        let envelope = Self {
            message_id: object.required("message_id")?,
            sender: object.required("sender")?,
            recipients: object.required_list("recipients", ENVELOPE_CODES_MAX)?,
            business: object.required("business")?,
            business_reason: object.optional_text("business_reason", DOC_TEXT_BYTES_MAX)?,
            in_reply_to: object.list("in_reply_to", REFERENCES_MAX)?,
            thread: object.optional("thread")?,
            recalls,
            updates,
            replaces: object.list("replaces", REFERENCES_MAX)?,
            doc: object.required("doc")?,
            attachments,
            edxml,
            contact: object.optional("contact")?,
            created_at: object.required("created_at")?,
            expires_at: object.optional("expires_at")?,
            edge_term: object.required("edge_term")?,
            sender_seq: object.required("sender_seq")?,
            nonce: object.required("nonce")?,
            observed_log: object.optional("observed_log")?,
            required_signers: required_signers(&mut object)?,
        };
        object.finish()?;
        subjects.finish()?;
        envelope.check()?;
        Ok(envelope)
    }

    /// The rules between fields.
    fn check(&self) -> Result<(), StatementError> {
        self.check_business()?;
        self.check_lists()?;
        if self.attachments.is_empty() && self.edxml.is_none() && self.recalls.is_none() && self.updates.is_none() {
            let because = "in everything but recalls and updates";
            return Err(StatementError::RequiredHere { path: "predicate.attachments".into(), because });
        }
        if !self.may_hide_title() {
            for (field, path) in [
                (&self.doc.number, "predicate.doc.number"),
                (&self.doc.notation, "predicate.doc.notation"),
                (&self.doc.subject, "predicate.doc.subject"),
            ] {
                if field.is_none() {
                    return Err(StatementError::RequiredHere { path: path.into(), because: "unless an attachment is encrypted" });
                }
            }
        }
        match self.expires_at {
            Some(expires_at) if expires_at <= self.created_at => Err(StatementError::IntegerTooSmall {
                path: "predicate.expires_at".into(),
                found: expires_at.as_millis(),
                limit: self.created_at.as_millis() + 1,
            }),
            _ => Ok(()),
        }
    }

    fn check_business(&self) -> Result<(), StatementError> {
        let rules = [
            (self.recalls.is_some(), self.business == Business::Recall, "predicate.recalls", "exactly in a recall"),
            (self.updates.is_some(), self.business == Business::Update, "predicate.updates", "exactly in an update"),
            (!self.replaces.is_empty(), self.business == Business::Replace, "predicate.replaces", "exactly in a replacement"),
        ];
        for (there, asked, path, because) in rules {
            match (there, asked) {
                (true, false) => return Err(StatementError::ForbiddenHere { path: path.into(), because }),
                (false, true) => return Err(StatementError::RequiredHere { path: path.into(), because }),
                _ => {}
            }
        }
        let path = || "predicate.in_reply_to".to_owned();
        match self.business {
            Business::Reply if self.in_reply_to.is_empty() => Err(StatementError::RequiredHere { path: path(), because: "in a reply" }),
            Business::New if !self.in_reply_to.is_empty() => {
                Err(StatementError::ForbiddenHere { path: path(), because: "what answers another document is a reply" })
            }
            _ => Ok(()),
        }
    }

    fn check_lists(&self) -> Result<(), StatementError> {
        let references = self.in_reply_to.len() + self.replaces.len();
        if references > REFERENCES_MAX {
            return Err(StatementError::ListTooLong { path: "predicate.replaces".into(), found: references, limit: REFERENCES_MAX });
        }
        let none: &[OrganisationCode] = &[];
        let (added, removed) = self.updates.as_ref().map_or((none, none), |update| (&update.added, &update.removed));
        let replaced = self.replaces.iter().map(|replacement| replacement.recipients.len()).sum::<usize>();
        let codes = self.recipients.len() + added.len() + removed.len() + replaced;
        if codes > ENVELOPE_CODES_MAX {
            return Err(StatementError::ListTooLong { path: "predicate.recipients".into(), found: codes, limit: ENVELOPE_CODES_MAX });
        }
        let twice = |path: &dyn Fn() -> String, found: Option<&OrganisationCode>| match found {
            Some(code) => Err(StatementError::RecipientTwice { path: path(), found: code.to_string() }),
            None => Ok(()),
        };
        twice(&|| "predicate.recipients".into(), first_repeated(self.recipients.iter()))?;
        twice(&|| "predicate.updates".into(), first_repeated(added.iter().chain(removed)))?;
        for (index, replacement) in self.replaces.iter().enumerate() {
            twice(&|| format!("predicate.replaces[{index}].recipients"), first_repeated(replacement.recipients.iter()))?;
        }
        let found = self.attachments.iter().map(|attachment| attachment.size).sum::<u64>();
        if found > ATTACHMENTS_BYTES_MAX {
            return Err(StatementError::AttachmentTooLarge { path: "predicate.attachments".into(), found, limit: ATTACHMENTS_BYTES_MAX });
        }
        Ok(())
    }

    fn write_predicate(&self, w: &mut Writer) {
        w.field("message_id", &self.message_id);
        w.nested("sender", |w| {
            w.field("organisation", &self.sender.organisation);
            w.field("agency", &self.sender.agency);
        });
        w.list("recipients", &self.recipients);
        w.field("business", &self.business);
        w.optional("business_reason", self.business_reason.as_ref());
        w.list_if_any("in_reply_to", &self.in_reply_to);
        w.optional("thread", self.thread.as_ref());
        w.optional("recalls", self.recalls.as_ref().map(|recalled| &recalled.message_id));
        if let Some(update) = &self.updates {
            w.nested("updates", |w| {
                w.field("message_id", &update.message_id);
                w.list_if_any("added", &update.added);
                w.list_if_any("removed", &update.removed);
            });
        }
        w.list_if_any("replaces", &self.replaces);
        w.field("doc", &self.doc);
        w.list_if_any("attachments", &self.attachments);
        if let Some(edxml) = &self.edxml {
            w.nested("edxml", |w| w.field("size", &edxml.size));
        }
        w.optional("contact", self.contact.as_ref());
        w.field("created_at", &self.created_at);
        w.optional("expires_at", self.expires_at.as_ref());
        w.field("edge_term", &self.edge_term);
        w.field("sender_seq", &self.sender_seq);
        w.field("nonce", &self.nonce);
        w.optional("observed_log", self.observed_log.as_ref());
        w.list("required_signers", &self.required_signers);
    }
}

/// Subject name of the attachment with this index: `attachments/00`, `attachments/01`, …
#[must_use]
pub fn attachment_subject(index: usize) -> String {
    format!("attachments/{index:02}")
}

/// `subject[]`, consumed in the order that the predicate asks for.
struct Subjects {
    rest: std::vec::IntoIter<Subject>,
    index: usize,
}

impl Subjects {
    fn next(&mut self, expected: &str) -> Result<Digest, StatementError> {
        let found = self.rest.next();
        let index = self.index;
        self.index += 1;
        match found {
            Some(subject) if subject.name == expected => Ok(subject.digest),
            other => Err(StatementError::SubjectMismatch {
                path: format!("subject[{index}].name"),
                expected: expected.to_owned(),
                found: other.map_or_else(String::new, |subject| subject.name),
            }),
        }
    }

    fn finish(mut self) -> Result<(), StatementError> {
        match self.rest.next() {
            None => Ok(()),
            Some(subject) => Err(StatementError::SubjectMismatch {
                path: format!("subject[{}].name", self.index),
                expected: String::new(),
                found: subject.name,
            }),
        }
    }
}

fn read_attachments(object: &mut Object<'_, '_>, path: &Path<'_>, subjects: &mut Subjects) -> Result<Vec<Attachment>, StatementError> {
    let Some(value) = object.take("attachments") else { return Ok(Vec::new()) };
    let path = path.key("attachments");
    // A length of its own reason, so that a DMS learns which limit it met.
    let items = value.into_list(&path, usize::try_from(INTEGER_MAX).unwrap_or(usize::MAX))?;
    match items.len() {
        0 => Err(StatementError::ListEmpty { path: path.to_string() }),
        found if found > ATTACHMENTS_MAX => {
            Err(StatementError::AttachmentsTooMany { path: path.to_string(), found, limit: ATTACHMENTS_MAX })
        }
        _ => {
            let read = |(index, item)| Attachment::read(item, &path.index(index), || subjects.next(&attachment_subject(index)));
            items.enumerate().map(read).collect()
        }
    }
}

fn read_update(value: Value<'_>, path: &Path<'_>, subjects: &mut Subjects) -> Result<Update, StatementError> {
    let mut object = Object::new(value, path)?;
    let update = Update {
        message_id: object.required("message_id")?,
        envelope: subjects.next(ENVELOPE_SUBJECT)?,
        added: object.list("added", ENVELOPE_CODES_MAX)?,
        removed: object.list("removed", ENVELOPE_CODES_MAX)?,
    };
    object.finish()?;
    Ok(update)
}

impl FromJson for Sender {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let sender = Self { organisation: object.required("organisation")?, agency: object.required("agency")? };
        object.finish()?;
        Ok(sender)
    }
}

impl DocumentReference {
    fn read(object: &mut Object<'_, '_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let reference = Self {
            message_id: object.optional("message_id")?,
            organisation: object.optional("organisation")?,
            document_id: object.optional_text("document_id", DOCUMENT_ID_BYTES_MAX)?,
            code: object.optional_text("code", REFERENCE_CODE_BYTES_MAX)?,
            issued_on: object.optional("issued_on")?,
        };
        if reference.message_id.is_none() && reference.document_id.is_none() && reference.code.is_none() {
            let because = "when document_id and code are absent";
            return Err(StatementError::RequiredHere { path: path.key("message_id").to_string(), because });
        }
        Ok(reference)
    }

    fn write_fields(&self, w: &mut Writer) {
        w.optional("message_id", self.message_id.as_ref());
        w.optional("organisation", self.organisation.as_ref());
        w.optional("document_id", self.document_id.as_ref());
        w.optional("code", self.code.as_ref());
        w.optional("issued_on", self.issued_on.as_ref());
    }
}

impl FromJson for DocumentReference {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let reference = Self::read(&mut object, path)?;
        object.finish()?;
        Ok(reference)
    }
}

impl ToJson for DocumentReference {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| self.write_fields(w));
    }
}

impl FromJson for Replacement {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let document = DocumentReference::read(&mut object, path)?;
        let replacement = Self { document, recipients: object.list("recipients", ENVELOPE_CODES_MAX)? };
        object.finish()?;
        Ok(replacement)
    }
}

impl ToJson for Replacement {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            self.document.write_fields(w);
            w.list_if_any("recipients", &self.recipients);
        });
    }
}
