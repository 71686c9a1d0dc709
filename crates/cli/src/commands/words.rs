//! Documents as verbs write them: one line for people, one JSON object for programs.

use truc_proto::edge::v1 as pb;

use super::stages::{stage, stage_word, step, step_word};
use crate::language::Language;

/// A received document for programs.
#[derive(serde::Serialize)]
pub(super) struct Received<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<u64>,
    message_id: &'a str,
    recipient: &'a str,
    sender_agency: &'a str,
    created_at: &'a str,
    accepted_at: &'a str,
    arrived_at: &'a str,
    queue_position: u64,
    step: &'static str,
    possible_duplicate_of: &'a [String],
    #[serde(flatten)]
    document: Option<Document<'a>>,
}

/// What a document says of itself, for programs. Fields that the sender left out are empty.
#[derive(serde::Serialize)]
struct Document<'a> {
    sender: &'a str,
    recipients: &'a [String],
    number: &'a str,
    notation: &'a str,
    subject: &'a str,
    type_code: Option<u32>,
    type_detail: Option<u32>,
    type_name: &'a str,
    document_id: &'a str,
    issued_on: &'a str,
    place: &'a str,
    signer_competence: &'a str,
    signer_position: &'a str,
    signer_name: &'a str,
    urgency: u32,
    urgent_at: &'a str,
    due_on: &'a str,
    content: &'a str,
    sphere: &'a str,
    drafter: &'a str,
    copies: Option<u32>,
    pages: Option<u32>,
    appendices: &'a [String],
    paper: bool,
    language: &'a str,
    to_places: &'a [String],
    steering_type: Option<u32>,
    task_code: &'a str,
    task_application: &'a str,
    in_reply_to: Vec<Reference<'a>>,
    thread: &'a str,
    business_reason: &'a str,
    contact_department: &'a str,
    contact_department_id: &'a str,
    contact_staff: &'a str,
    contact_staff_id: &'a str,
    contact_email: &'a str,
    contact_phone: &'a str,
    attachments: Vec<File<'a>>,
}

#[derive(serde::Serialize)]
struct Reference<'a> {
    message_id: &'a str,
    organisation: &'a str,
    document_id: &'a str,
    code: &'a str,
    issued_on: &'a str,
}

#[derive(serde::Serialize)]
struct File<'a> {
    name: &'a str,
    media_type: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> Received<'a> {
    pub(super) fn of(cursor: Option<u64>, received: &'a pb::ReceivedDocument) -> Self {
        Self {
            cursor,
            message_id: &received.message_id,
            recipient: &received.recipient,
            sender_agency: &received.sender_agency,
            created_at: &received.created_at,
            accepted_at: &received.accepted_at,
            arrived_at: &received.arrived_at,
            queue_position: received.queue_position,
            step: step(received.step()),
            possible_duplicate_of: &received.possible_duplicate_of,
            document: received.document.as_ref().map(Document::of),
        }
    }
}

impl<'a> Document<'a> {
    fn of(document: &'a pb::Document) -> Self {
        let (signer, kind, contact) = (document.signer.as_ref(), document.r#type.as_ref(), document.contact.as_ref());
        let asked = |field: fn(&'a pb::Contact) -> &'a str| contact.map_or("", field);
        Self {
            sender: &document.sender,
            recipients: &document.recipients,
            number: &document.number,
            notation: &document.notation,
            subject: &document.subject,
            type_code: kind.and_then(|kind| kind.code),
            type_detail: kind.and_then(|kind| kind.detail),
            type_name: kind.map_or("", |kind| kind.name.as_str()),
            document_id: &document.document_id,
            issued_on: &document.issued_on,
            place: &document.place,
            signer_competence: signer.map_or("", |signer| signer.competence.as_str()),
            signer_position: signer.map_or("", |signer| signer.position.as_str()),
            signer_name: signer.map_or("", |signer| signer.full_name.as_str()),
            urgency: urgency(document.urgency()),
            urgent_at: &document.urgent_at,
            due_on: &document.due_on,
            content: &document.content,
            sphere: &document.sphere,
            drafter: &document.drafter,
            copies: document.copies,
            pages: document.pages,
            appendices: &document.appendices,
            paper: document.paper,
            language: &document.language,
            to_places: &document.to_places,
            steering_type: document.steering_type,
            task_code: &document.task_code,
            task_application: &document.task_application,
            in_reply_to: document.in_reply_to.iter().map(Reference::of).collect(),
            thread: &document.thread,
            business_reason: &document.business_reason,
            contact_department: asked(|contact| &contact.department),
            contact_department_id: asked(|contact| &contact.department_id),
            contact_staff: asked(|contact| &contact.staff),
            contact_staff_id: asked(|contact| &contact.staff_id),
            contact_email: asked(|contact| &contact.email),
            contact_phone: asked(|contact| &contact.phone),
            attachments: document.attachments.iter().map(File::of).collect(),
        }
    }
}

impl<'a> Reference<'a> {
    fn of(reference: &'a pb::DocumentReference) -> Self {
        let pb::DocumentReference { message_id, organisation, document_id, code, issued_on } = reference;
        Self { message_id, organisation, document_id, code, issued_on }
    }
}

impl<'a> File<'a> {
    fn of(file: &'a pb::Attachment) -> Self {
        let pb::Attachment { name, media_type, size, sha256 } = file;
        Self { name, media_type, size: *size, sha256 }
    }
}

/// The national digit.
fn urgency(urgency: pb::Urgency) -> u32 {
    u32::try_from(i32::from(urgency)).unwrap_or_default().saturating_sub(1)
}

/// A received document for people.
pub(super) fn line(received: &pb::ReceivedDocument, language: Language) -> String {
    let nothing = pb::Document::default();
    let document = received.document.as_ref().unwrap_or(&nothing);
    let pb::ReceivedDocument { message_id, recipient, accepted_at, .. } = received;
    let pb::Document { sender, number, notation, subject, attachments, .. } = document;
    let files = language.count(u64::try_from(attachments.len()).unwrap_or(u64::MAX), "file", "files", "tệp");
    let twice = match received.possible_duplicate_of.first() {
        Some(earlier) => format!(" ({} {earlier})", language.choose("possibly the same as", "có thể trùng với")),
        None => String::new(),
    };
    let (from, to) = (language.choose("from", "từ"), language.choose("for", "gửi"));
    format!("{message_id} {accepted_at} {from} {sender} {to} {recipient}: {number}/{notation} {subject} ({files}){twice}")
}

/// A line of a list for programs.
#[derive(serde::Serialize)]
pub(super) struct Summary<'a> {
    direction: &'static str,
    message_id: &'a str,
    recipient: &'a str,
    client_reference: &'a str,
    sender: &'a str,
    recipients: u32,
    number: &'a str,
    notation: &'a str,
    subject: &'a str,
    type_name: &'a str,
    issued_on: &'a str,
    due_on: &'a str,
    urgency: u32,
    known_at: &'a str,
    stage: &'static str,
    step: &'static str,
    possible_duplicate: bool,
}

/// A line of a list.
pub(super) fn summary(summary: &pb::DocumentSummary, language: Language) -> (String, Summary<'_>) {
    let pb::DocumentSummary { message_id, recipient, sender, number, notation, subject, known_at, recipient_count, .. } = summary;
    let (direction, stage, whom) = if summary.direction() == pb::Direction::Sent {
        let recipients = language.count(*recipient_count, "recipient", "recipients", "nơi nhận");
        let (sent, stage_word) = (language.choose("sent to", "gửi đến"), stage_word(summary.stage(), language));
        ("sent", stage(summary.stage()), format!("{sent} {recipients}, {stage_word}"))
    } else {
        let (from, to) = (language.choose("received from", "đến từ"), language.choose("for", "gửi"));
        ("received", "", format!("{from} {sender} {to} {recipient}"))
    };
    let twice = if summary.possible_duplicate { language.choose(" (possible duplicate)", " (có thể trùng)") } else { "" };
    let step_word = step_word(summary.step(), language);
    let text = format!("{message_id} {known_at} {whom}, {step_word}: {number}/{notation} {subject}{twice}");
    let row = Summary {
        direction,
        message_id,
        recipient,
        client_reference: &summary.client_reference,
        sender,
        recipients: *recipient_count,
        number,
        notation,
        subject,
        type_name: &summary.type_name,
        issued_on: &summary.issued_on,
        due_on: &summary.due_on,
        urgency: urgency(summary.urgency()),
        known_at,
        stage,
        step: step(summary.step()),
        possible_duplicate: summary.possible_duplicate,
    };
    (text, row)
}
