//! A document in the words of the DMS becomes a draft: the envelope without what the sealing fills in. Recorded once per client reference.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use truc_proto::edge::v1 as pb;
use truc_signing::statement::{
    Attachment, Business, Contact, Doc, DocType, DocumentReference, Encoding, Envelope, Secrecy, Sender, Signer,
};
use truc_signing::{StatementError, sha256};
use truc_transport::clock;
use truc_types::limits::{ATTACHMENTS_MAX, CLIENT_REFERENCE_BYTES_MAX, ENVELOPE_CODES_MAX, REFERENCES_MAX};
use truc_types::{AgencyCode, Date, Digest, EdgeTerm, MessageId, OrganisationCode, Reason, Refusal, SenderSeq, Timestamp, Urgency};

use super::{invalid, organisation};
use crate::fresh::FreshDocument;
use crate::node::Node;
use crate::record::{Inside, Record, Recorded};
use crate::state::{SealedAt, State};
use crate::store::refusal_of;

/// Sealed documents without an answer of the axis, above which no more are sealed with their hand-in: four times what the outbox has in its hands. After a
/// restart each of them is submitted once under a term that is over.
const UNANSWERED_MAX: u64 = 256;

/// A client reference that can be a key.
pub(super) fn check_reference(reference: &str) -> Result<(), Refusal> {
    if reference.is_empty() || reference.len() > CLIENT_REFERENCE_BYTES_MAX {
        let message = format!("client_reference has {} bytes, 1 to {CLIENT_REFERENCE_BYTES_MAX} are allowed", reference.len());
        return Err(invalid("client_reference", message));
    }
    Ok(())
}

/// An envelope with nothing in it but who sends what to whom.
pub(crate) fn empty(agency: &AgencyCode, doc: Doc) -> Envelope {
    Envelope {
        message_id: MessageId::from_bytes([0; 16]),
        sender: Sender { organisation: agency.into(), agency: agency.clone() },
        recipients: Vec::new(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc,
        attachments: Vec::new(),
        edxml: None,
        contact: None,
        created_at: Timestamp::default(),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(1),
        nonce: [0; 16],
        observed_log: None,
        required_signers: Vec::new(),
    }
}

/// An optional text: empty means absent.
pub(super) fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A text that has a form of its own; empty means absent.
fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<Option<T>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|cause| invalid(field, format!("{field}: {cause}")))
}

/// A fault of a statement in the words of the interface: the field of the request instead of the path in the statement.
pub(super) fn fault(cause: &StatementError) -> Refusal {
    let path = cause.path();
    let inside = path.strip_prefix("predicate.doc.").or_else(|| path.strip_prefix("predicate."));
    let field =
        inside.map_or_else(|| "document".to_owned(), |inside| format!("document.{inside}").replace("sender.organisation", "sender"));
    let mut refusal = cause.to_refusal();
    if !path.is_empty() {
        refusal.message = refusal.message.replace(&format!("{path:?}"), &field);
    }
    refusal.values.retain(|(name, _)| *name != "path");
    refusal.with("field", field)
}

fn count(field: &str, found: usize, limit: usize, reason: Reason) -> Result<(), Refusal> {
    if found > limit {
        let message = format!("{field} has {found} items, at most {limit} are allowed");
        return Err(Refusal::new(reason, message).with("field", field).with("found", found).with("limit", limit));
    }
    Ok(())
}

/// State secrets do not travel here: refused before anything of the document is stored.
pub(super) fn secrecy(field: &str, mark: i32) -> Result<Secrecy, Refusal> {
    match pb::Secrecy::try_from(mark) {
        Ok(pb::Secrecy::None) => Ok(Secrecy::None),
        Ok(pb::Secrecy::Unspecified) => {
            Err(invalid(field, format!("{field} is missing: SECRECY_NONE says that a document has no secrecy mark")))
        }
        Ok(other) => {
            let message = format!("{field} is {}; only SECRECY_NONE is carried", other.as_str_name());
            Err(Refusal::new(Reason::DocumentSecret, message).with("field", field).with("mark", other.as_str_name()))
        }
        Err(_) => Err(invalid(field, format!("{field} is {mark}, which is none of its values"))),
    }
}

fn urgency(found: i32) -> Result<Urgency, Refusal> {
    let field = "document.urgency";
    match pb::Urgency::try_from(found) {
        Ok(pb::Urgency::Normal) => Ok(Urgency::Normal),
        Ok(pb::Urgency::Urgent) => Ok(Urgency::Urgent),
        Ok(pb::Urgency::VeryUrgent) => Ok(Urgency::VeryUrgent),
        Ok(pb::Urgency::Flash) => Ok(Urgency::Flash),
        Ok(pb::Urgency::FlashAtHour) => Ok(Urgency::FlashAtHour),
        Ok(pb::Urgency::Unspecified) => Err(invalid(field, format!("{field} is missing: URGENCY_NORMAL is the least"))),
        Err(_) => Err(invalid(field, format!("{field} is {found}, which is none of its values"))),
    }
}

/// The envelope of a header; digests of attachments are still to come, those that the DMS declares stand in it.
pub(super) fn from_header(node: &Node, header: pb::DocumentHeader) -> Result<Envelope, Refusal> {
    let mut document = header.document.ok_or_else(|| invalid("document", "document is missing"))?;
    // First, so that a secret document is refused as such whatever else is wrong with it.
    let secrecy = secrecy("document.secrecy", document.secrecy)?;
    count("document.recipients", document.recipients.len(), ENVELOPE_CODES_MAX, Reason::StatementTooLong)?;
    count("document.in_reply_to", document.in_reply_to.len(), REFERENCES_MAX, Reason::StatementTooLong)?;
    count("document.attachments", document.attachments.len(), ATTACHMENTS_MAX, Reason::AttachmentTooMany)?;
    let (sender, recipients) = (std::mem::take(&mut document.sender), std::mem::take(&mut document.recipients));
    let (answers, attachments) = (std::mem::take(&mut document.in_reply_to), std::mem::take(&mut document.attachments));
    let thread = parsed("document.thread", &document.thread)?;
    let business_reason = text(std::mem::take(&mut document.business_reason));
    let contact = document.contact.take().map(contact);
    let mut envelope = empty(node.agency(), doc(document, secrecy)?);
    if !sender.is_empty() {
        envelope.sender.organisation = organisation("document.sender", &sender)?;
    }
    let recipient = |(index, code): (usize, &String)| organisation(&format!("document.recipients[{index}]"), code);
    envelope.recipients = recipients.iter().enumerate().map(recipient).collect::<Result<_, _>>()?;
    envelope.in_reply_to = answers.into_iter().enumerate().map(|(index, answer)| reference(index, answer)).collect::<Result<_, _>>()?;
    if !envelope.in_reply_to.is_empty() {
        envelope.business = Business::Reply;
    }
    (envelope.thread, envelope.business_reason, envelope.contact) = (thread, business_reason, contact);
    let attachments = attachments.into_iter().enumerate().map(|(index, file)| attachment(index, file));
    envelope.attachments = attachments.collect::<Result<_, _>>()?;
    // Everything but the digests is known: a document that could never be sealed is refused before its bytes are taken.
    node.sealer.draft(envelope.clone()).map_err(|cause| fault(&cause))?;
    Ok(envelope)
}

fn doc(document: pb::Document, secrecy: Secrecy) -> Result<Doc, Refusal> {
    let kind = document.r#type.unwrap_or_default();
    let signer = document.signer.unwrap_or_default();
    let signer = Signer { competence: text(signer.competence), position: text(signer.position), full_name: text(signer.full_name) };
    let urgency = urgency(document.urgency)?;
    // Statements allow it, because edXML has no element for the hour.
    if urgency == Urgency::FlashAtHour && document.urgent_at.is_empty() {
        return Err(invalid("document.urgent_at", "document.urgent_at is missing: URGENCY_FLASH_AT_HOUR is about that hour"));
    }
    Ok(Doc {
        document_id: text(document.document_id),
        number: text(document.number),
        notation: text(document.notation),
        subject: text(document.subject),
        doc_type: DocType { code: kind.code, detail: kind.detail, name: text(kind.name) },
        content: text(document.content),
        place: text(document.place),
        issued_on: parsed::<Date>("document.issued_on", &document.issued_on)?,
        signer: Some(signer).filter(|signer| *signer != Signer::default()),
        due_on: parsed::<Date>("document.due_on", &document.due_on)?,
        urgency,
        urgent_at: parsed::<Timestamp>("document.urgent_at", &document.urgent_at)?,
        secrecy,
        sphere: text(document.sphere),
        drafter: text(document.drafter),
        copies: document.copies,
        pages: document.pages,
        appendices: document.appendices,
        paper: document.paper,
        language: text(document.language),
        to_places: document.to_places,
        steering_type: document.steering_type,
        task_code: text(document.task_code),
        task_application: text(document.task_application),
    })
}

fn contact(contact: pb::Contact) -> Contact {
    Contact {
        department: text(contact.department),
        department_id: text(contact.department_id),
        staff: text(contact.staff),
        staff_id: text(contact.staff_id),
        email: text(contact.email),
        phone: text(contact.phone),
    }
}

fn reference(index: usize, reference: pb::DocumentReference) -> Result<DocumentReference, Refusal> {
    let field = |name: &str| format!("document.in_reply_to[{index}].{name}");
    Ok(DocumentReference {
        message_id: parsed(&field("message_id"), &reference.message_id)?,
        organisation: parsed::<OrganisationCode>(&field("organisation"), &reference.organisation)?,
        document_id: text(reference.document_id),
        code: text(reference.code),
        issued_on: parsed(&field("issued_on"), &reference.issued_on)?,
    })
}

fn attachment(index: usize, file: pb::Attachment) -> Result<Attachment, Refusal> {
    let field = |name: &str| format!("document.attachments[{index}].{name}");
    if file.size == 0 {
        let message = format!("{} is 0: the file is empty", field("size"));
        return Err(Refusal::new(Reason::AttachmentEmpty, message).with("field", field("size")).with("index", index));
    }
    let sha256 = parsed::<Digest>(&field("sha256"), &file.sha256)?.unwrap_or(Digest([0; 32]));
    Ok(Attachment { name: file.name, media_type: file.media_type, size: file.size, sha256, encoding: Encoding::Identity, commit: None })
}

/// Checks a document against the directory and the published limits before anything of it is taken or sent on, so that the DMS hears at once what the axis
/// would say. The codes stay as the sender wrote them: the broker routes either scheme, and the seal is over what was said.
pub(crate) async fn check_sendable(node: &Node, reference: &str, envelope: &Envelope) -> Result<(), Refusal> {
    let Err(refusal) = truc_directory::check_sendable(&node.trust.registry(), envelope) else { return Ok(()) };
    let refusal = pointed(refusal, envelope);
    // What was taken under this reference before the directory changed (or was known) keeps its answer.
    let reference = reference.to_owned();
    if node.store.read(move |state| state.reference(&reference)).await?.is_some() { Ok(()) } else { Err(refusal) }
}

/// Adds the field that a refusal of the directory is about.
fn pointed(refusal: Refusal, envelope: &Envelope) -> Refusal {
    let index = refusal.value("recipient").and_then(|found| envelope.recipients.iter().position(|code| code.as_str() == found));
    match (index, refusal.reason) {
        (Some(index), _) => refusal.with("field", format!("document.recipients[{index}]")),
        (None, Reason::SenderUnknown) => refusal.with("field", "document.sender"),
        (None, _) => refusal,
    }
}

/// What is recorded under a reference: the message, if this is what was handed in.
fn known(state: &State, reference: &str, request: &Digest) -> Result<Option<MessageId>, Refusal> {
    match state.reference(reference).map_err(refusal_of)? {
        None => Ok(None),
        Some(known) if known.request == *request => Ok(Some(known.message_id)),
        Some(known) => {
            let message = format!("the client reference belongs to another document, {}", known.message_id);
            Err(Refusal::new(Reason::ReferenceConflict, message).with("message_id", known.message_id))
        }
    }
}

/// Everything that the DMS said: the same reference with another digest is refused.
fn request_of(envelope: &Envelope) -> Digest {
    // Without id, keys and times.
    sha256(&envelope.to_json())
}

/// The message that was recorded before under a reference. Asked before attachments are kept: those of a document that is refused belong to nobody.
///
/// # Errors
/// [`Reason::ReferenceConflict`].
pub(super) async fn recorded_before(node: &Node, reference: &str, envelope: &Envelope) -> Result<Option<MessageId>, Refusal> {
    let request = request_of(envelope);
    node.store.read(|state| Ok(known(state, reference, &request))).await?
}

/// Records a document once per client reference; with its seal if it can be brought at once. It was checked that it can be sealed ([`Sealer::draft`]): no more
/// than digests and its id have changed since.
///
/// [`Sealer::draft`]: crate::sealer::Sealer::draft
pub(crate) async fn record(node: &Node, reference: String, mut envelope: Envelope) -> Result<MessageId, Refusal> {
    let request = request_of(&envelope);
    let minted = clock::mint();
    envelope.message_id = minted;
    let drafted = node.sealer.drafted(envelope.clone());
    let draft = drafted.to_json();
    let term = node.term.lock().filter(|_| node.connected.load(Ordering::Relaxed) && node.fresh.may_seal());
    let (sealer, observed, fresh) = (node.sealer.clone(), node.trust.observed().for_statements(), Arc::clone(&node.fresh));
    let (lane, carried) = (envelope.urgency().lane() as u8, envelope.carried());
    let decide = move |state: &State| {
        if let Some(message_id) = known(state, &reference, &request)? {
            return Ok((Vec::new(), (message_id, None)));
        }
        let meta = state.meta().map_err(refusal_of)?;
        let term = term.filter(|term| meta.term == *term && meta.term_open && meta.unanswered < UNANSWERED_MAX);
        let sealed = term.map(|term| sealer.record(envelope, term, meta.seq.next(), observed));
        let file = match &sealed {
            // Behind the draft.
            Some(Record::Sealed { term, file, .. }) => Some((SealedAt { position: state.applied().next(), term: *term }, file.clone())),
            _ => None,
        };
        let document = FreshDocument { message_id: minted, lane, draft: draft.clone(), carried, sealed: file };
        let record = Record::Drafted { message_id: minted, reference, request, draft };
        let drafted = Recorded { record, inside: Some(Inside::Envelope(Box::new(drafted))) };
        Ok((std::iter::once(drafted).chain(sealed.map(Recorded::from)).collect(), (minted, Some(document))))
    };
    // By the recorder itself, so that a caller who goes away leaves no document behind that only a restart would find.
    let recorded = node.store.record_then(decide, move |(message_id, document)| {
        if let Some(document) = document {
            fresh.put(document);
        }
        message_id
    });
    let message_id = recorded.await?;
    tracing::debug!(%message_id, repeated = message_id != minted, "document handed in");
    Ok(message_id)
}
