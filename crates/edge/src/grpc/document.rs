//! Documents in the words of the interface: what an envelope says becomes a `Document`. The other direction is `draft`.

use truc_proto::edge::v1 as pb;
use truc_signing::statement::{Attachment, Business, Contact, Doc, DocumentReference, Envelope};
use truc_types::Urgency;

/// The document of an envelope.
pub(super) fn document(envelope: Envelope) -> pb::Document {
    let doc = doc(envelope.doc);
    pb::Document {
        sender: envelope.sender.organisation.to_string(),
        recipients: envelope.recipients.iter().map(ToString::to_string).collect(),
        in_reply_to: envelope.in_reply_to.into_iter().map(reference).collect(),
        thread: envelope.thread.map(|id| id.to_string()).unwrap_or_default(),
        business_reason: envelope.business_reason.unwrap_or_default(),
        contact: envelope.contact.map(contact),
        attachments: envelope.attachments.into_iter().map(attachment).collect(),
        ..doc
    }
}

fn doc(doc: Doc) -> pb::Document {
    let kind = pb::DocumentType { code: doc.doc_type.code, detail: doc.doc_type.detail, name: doc.doc_type.name.unwrap_or_default() };
    let signer = doc.signer.map(|signer| pb::Signer {
        competence: signer.competence.unwrap_or_default(),
        position: signer.position.unwrap_or_default(),
        full_name: signer.full_name.unwrap_or_default(),
    });
    let date = |date: Option<truc_types::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    pb::Document {
        number: doc.number.unwrap_or_default(),
        notation: doc.notation.unwrap_or_default(),
        subject: doc.subject.unwrap_or_default(),
        r#type: Some(kind).filter(|kind| *kind != pb::DocumentType::default()),
        document_id: doc.document_id.unwrap_or_default(),
        issued_on: date(doc.issued_on),
        place: doc.place.unwrap_or_default(),
        signer,
        urgency: urgency(doc.urgency).into(),
        urgent_at: doc.urgent_at.map(|at| at.to_string()).unwrap_or_default(),
        secrecy: pb::Secrecy::None.into(),
        due_on: date(doc.due_on),
        content: doc.content.unwrap_or_default(),
        sphere: doc.sphere.unwrap_or_default(),
        drafter: doc.drafter.unwrap_or_default(),
        copies: doc.copies,
        pages: doc.pages,
        appendices: doc.appendices,
        paper: doc.paper,
        language: doc.language.unwrap_or_default(),
        to_places: doc.to_places,
        steering_type: doc.steering_type,
        task_code: doc.task_code.unwrap_or_default(),
        task_application: doc.task_application.unwrap_or_default(),
        ..pb::Document::default()
    }
}

fn reference(reference: DocumentReference) -> pb::DocumentReference {
    pb::DocumentReference {
        message_id: reference.message_id.map(|id| id.to_string()).unwrap_or_default(),
        organisation: reference.organisation.map(|code| code.to_string()).unwrap_or_default(),
        document_id: reference.document_id.unwrap_or_default(),
        code: reference.code.unwrap_or_default(),
        issued_on: reference.issued_on.map(|date| date.to_string()).unwrap_or_default(),
    }
}

fn contact(contact: Contact) -> pb::Contact {
    pb::Contact {
        department: contact.department.unwrap_or_default(),
        department_id: contact.department_id.unwrap_or_default(),
        staff: contact.staff.unwrap_or_default(),
        staff_id: contact.staff_id.unwrap_or_default(),
        email: contact.email.unwrap_or_default(),
        phone: contact.phone.unwrap_or_default(),
    }
}

fn attachment(attachment: Attachment) -> pb::Attachment {
    pb::Attachment { name: attachment.name, media_type: attachment.media_type, size: attachment.size, sha256: attachment.sha256.to_hex() }
}

/// The urgency of the interface.
pub(super) const fn urgency(urgency: Urgency) -> pb::Urgency {
    match urgency {
        Urgency::Normal => pb::Urgency::Normal,
        Urgency::Urgent => pb::Urgency::Urgent,
        Urgency::VeryUrgent => pb::Urgency::VeryUrgent,
        Urgency::Flash => pb::Urgency::Flash,
        Urgency::FlashAtHour => pb::Urgency::FlashAtHour,
    }
}

/// What is done with a document.
pub(super) const fn business(business: Business) -> pb::Business {
    match business {
        Business::New => pb::Business::New,
        Business::Reply => pb::Business::Reply,
        Business::Update => pb::Business::Update,
        Business::Replace => pb::Business::Replace,
        Business::Recall => pb::Business::Recall,
    }
}
