//! An edXML message in the words of an envelope. Pure: the file and its attachments are somewhere else.
//!
//! What the envelope has no field for (names and addresses of the parties, the trace) stays in the file, which travels as it is.

use truc_edxml::{AttachmentInfo, BusinessKind, Document, Message};
use truc_signing::statement::{Attachment, Business, Contact, Doc, DocType, DocumentReference, Encoding, Envelope, Signer};
use truc_types::{AgencyCode, Reason, Refusal};

use crate::grpc::draft;

/// New documents and replies are handed in as documents; everything else is refused by name, with what to use instead.
pub(crate) fn supported(message: Message) -> Result<Document, Refusal> {
    let kind = message.kind();
    let (element, found, instead) = match message {
        Message::Document(document) => match document.business.kind {
            BusinessKind::New => return Ok(*document),
            other => ("BussinessDocType", other.digit().to_string(), "send a new document that names the one before in ResponseFor"),
        },
        Message::Status(status) => ("StatusCode", status.code.to_string(), "Acknowledge (03) or Refuse (02) of the edge"),
    };
    let message = format!("the edXML message is of the kind: {kind} ({element} {found}); use instead: {instead}");
    let refusal = Refusal::new(Reason::EdxmlUnsupportedType, message);
    Err(refusal.with("kind", kind).with("element", element).with("found", found).with("instead", instead))
}

/// The envelope of a message that an agency sends, without what only the edge knows: the file, the id, and what the sealing fills in.
pub(super) fn envelope_of(agency: &AgencyCode, message: &Document) -> Envelope {
    let mut envelope = draft::empty(agency, doc(message));
    envelope.sender.organisation = message.from.code.clone();
    envelope.recipients = message.to.iter().map(|party| party.code.clone()).collect();
    let answered = message.response_for.iter().map(|answered| DocumentReference {
        message_id: None,
        organisation: answered.organisation.clone(),
        document_id: text(answered.document_id.as_deref()),
        code: text(answered.code.as_deref()),
        issued_on: answered.promulgation_date,
    });
    // One that names neither id nor code names nothing.
    envelope.in_reply_to = answered.filter(|answered| answered.document_id.is_some() || answered.code.is_some()).collect();
    if !envelope.in_reply_to.is_empty() {
        envelope.business = Business::Reply;
    }
    envelope.business_reason = text(message.business.reason.as_deref());
    let contact = message.business.staff.as_ref().map(|staff| Contact {
        department: text(staff.department.as_deref()),
        department_id: text(staff.department_id.as_deref()),
        staff: text(staff.name.as_deref()),
        staff_id: text(staff.id.as_deref()),
        email: text(staff.email.as_deref()),
        phone: text(staff.mobile.as_deref()),
    });
    envelope.contact = contact.filter(|contact| *contact != Contact::default());
    envelope.attachments = message.attachments.iter().map(attachment).collect();
    envelope
}

fn doc(message: &Document) -> Doc {
    let signer = Signer {
        competence: text(message.signer.competence.as_deref()),
        position: text(message.signer.position.as_deref()),
        full_name: text(message.signer.full_name.as_deref()),
    };
    Doc {
        document_id: text(message.document_id.as_deref()),
        doc_type: DocType {
            code: message.document_type.code,
            detail: message.document_type.detail,
            name: text(message.document_type.name.as_deref()),
        },
        content: text(message.content.as_deref()),
        place: text(message.place.as_deref()),
        issued_on: Some(message.promulgation_date),
        signer: Some(signer).filter(|signer| *signer != Signer::default()),
        due_on: message.due_date,
        urgency: message.priority,
        sphere: text(message.sphere.as_deref()),
        drafter: text(message.drafter.as_deref()),
        copies: message.copies,
        pages: message.pages,
        appendices: message.appendices.iter().filter(|name| !name.is_empty()).cloned().collect(),
        paper: message.business.paper == Some(1),
        to_places: message.to_places.iter().filter(|place| !place.is_empty()).cloned().collect(),
        steering_type: message.steering_type,
        task_code: text(message.task.code.as_deref()),
        task_application: text(message.task.application_type.as_deref()),
        ..Doc::new(&message.number, &message.notation, &message.subject)
    }
}

/// An empty text is none.
fn text(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn attachment(info: &AttachmentInfo) -> Attachment {
    // Statements write media types in lower case without parameters; what is none becomes the type of anything.
    let media_type = info.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
    let is_type = media_type.split_once('/').is_some_and(|(kind, subtype)| part(kind) && part(subtype));
    Attachment {
        name: info.name.clone(),
        media_type: if is_type { media_type } else { "application/octet-stream".to_owned() },
        size: info.size,
        sha256: info.sha256,
        encoding: Encoding::Identity,
        commit: None,
    }
}
