//! The envelope of a document: MessageHeader, TraceHeaderList and manifest in the order of the national library.

use truc_types::limits::{
    CONTACT_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX, DOC_NOTATION_BYTES_MAX, DOC_NUMBER_BYTES_MAX, DOC_SUBJECT_BYTES_MAX, DOC_TEXT_BYTES_MAX,
    DOCUMENT_ID_BYTES_MAX, ENVELOPE_CODES_MAX, LIST_ITEMS_MAX, REFERENCE_CODE_BYTES_MAX,
};

use super::WriteError;
use super::attachments;
use super::fields::{Fields, escaped};
use crate::business::Business;
use crate::limits::{TRACE_HOPS_MAX, TRACE_ID_BYTES_MAX};
use crate::message::{AnsweredDocument, Document, Party, Staff};
use crate::xml::NAMESPACE;

/// The declaration and the start tags down to the header, with both declarations of the namespace where the national library has them.
pub(super) fn open_envelope(fields: &mut Fields) {
    fields.line("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    fields.line(&format!("<edXML xmlns=\"{NAMESPACE}\">"));
    fields.deeper();
    fields.start("edXMLEnvelope", &format!(" xmlns:edXML=\"{NAMESPACE}\""));
    fields.start("edXMLHeader", "");
}

pub(super) fn envelope(document: &Document, fields: &mut Fields) -> Result<(), WriteError> {
    open_envelope(fields);
    fields.element("MessageHeader", |fields| message_header(document, fields))?;
    trace_header_list(document, fields)?;
    fields.end("edXMLHeader");
    fields.start("edXMLBody", "");
    attachments::manifest(&document.attachments, fields)?;
    fields.end("edXMLBody");
    fields.end("edXMLEnvelope");
    Ok(())
}

fn message_header(document: &Document, fields: &mut Fields) -> Result<(), WriteError> {
    fields.element("From", |fields| party(&document.from, fields))?;
    recipients(document, fields)?;
    fields.text("DocumentId", document.document_id.as_deref(), DOCUMENT_ID_BYTES_MAX)?;
    fields.element("Code", |fields| {
        fields.required("CodeNumber", &document.number, DOC_NUMBER_BYTES_MAX)?;
        fields.required("CodeNotation", &document.notation, DOC_NOTATION_BYTES_MAX)
    })?;
    fields.element("PromulgationInfo", |fields| {
        fields.text("Place", document.place.as_deref(), DOC_NAME_BYTES_MAX)?;
        fields.date("PromulgationDate", Some(document.promulgation_date));
        Ok(())
    })?;
    fields.element("DocumentType", |fields| {
        fields.number("Type", document.document_type.code)?;
        fields.number("TypeDetail", document.document_type.detail)?;
        fields.text("TypeName", document.document_type.name.as_deref(), DOC_NAME_BYTES_MAX)
    })?;
    fields.required("Subject", &document.subject, DOC_SUBJECT_BYTES_MAX)?;
    fields.text("Content", document.content.as_deref(), DOC_TEXT_BYTES_MAX)?;
    fields.element("SignerInfo", |fields| {
        fields.text("Competence", document.signer.competence.as_deref(), DOC_NAME_BYTES_MAX)?;
        fields.text("Position", document.signer.position.as_deref(), DOC_NAME_BYTES_MAX)?;
        fields.text("FullName", document.signer.full_name.as_deref(), DOC_NAME_BYTES_MAX)
    })?;
    fields.date("DueDate", document.due_date);
    fields.element("OtherInfo", |fields| other_info(document, fields))?;
    fields.check_items("ResponseFor", document.response_for.len(), LIST_ITEMS_MAX)?;
    for (index, answered) in document.response_for.iter().enumerate() {
        fields.numbered("ResponseFor", index, |fields| answered_document(answered, fields))?;
    }
    fields.number("SteeringType", document.steering_type)?;
    fields.element("ResponseForTask", |fields| {
        fields.text("TaskCode", document.task.code.as_deref(), DOC_NAME_BYTES_MAX)?;
        fields.text("ApplicationType", document.task.application_type.as_deref(), DOC_NAME_BYTES_MAX)
    })?;
    list("ToPlaces", "Place", &document.to_places, fields)
}

fn recipients(document: &Document, fields: &mut Fields) -> Result<(), WriteError> {
    if document.to.is_empty() {
        return Err(WriteError::Missing { field: fields.path("To") });
    }
    fields.check_items("To", document.to.len(), ENVELOPE_CODES_MAX)?;
    for (index, receiver) in document.to.iter().enumerate() {
        fields.numbered("To", index, |fields| {
            if document.to.iter().take(index).any(|earlier| earlier.code == receiver.code) {
                return Err(WriteError::Repeated { field: fields.path("OrganId") });
            }
            party(receiver, fields)
        })?;
    }
    Ok(())
}

/// An organisation: sender or receiver.
pub(super) fn party(party: &Party, fields: &mut Fields) -> Result<(), WriteError> {
    fields.value("OrganId", party.code.as_str());
    for (name, text) in [
        ("OrganizationInCharge", &party.in_charge),
        ("OrganName", &party.name),
        ("OrganAdd", &party.address),
        ("Email", &party.email),
        ("Telephone", &party.telephone),
        ("Fax", &party.fax),
        ("Website", &party.website),
    ] {
        fields.text(name, text.as_deref(), DOC_TEXT_BYTES_MAX)?;
    }
    Ok(())
}

fn other_info(document: &Document, fields: &mut Fields) -> Result<(), WriteError> {
    fields.number("Priority", Some(document.priority.digit().into()))?;
    fields.text("SphereOfPromulgation", document.sphere.as_deref(), DOC_NAME_BYTES_MAX)?;
    fields.text("TyperNotation", document.drafter.as_deref(), DOC_NAME_BYTES_MAX)?;
    fields.number("PromulgationAmount", document.copies)?;
    fields.number("PageAmount", document.pages)?;
    fields.text("ReplyFors", document.reply_fors.as_deref(), DOC_TEXT_BYTES_MAX)?;
    fields.value("Direction", if document.direction { "true" } else { "false" });
    fields.text("ReferenceCodes", document.reference_codes.as_deref(), DOC_TEXT_BYTES_MAX)?;
    list("Appendixes", "Appendix", &document.appendices, fields)
}

fn list(name: &str, item: &str, texts: &[String], fields: &mut Fields) -> Result<(), WriteError> {
    fields.check_items(name, texts.len(), LIST_ITEMS_MAX)?;
    fields.element(name, |fields| texts.iter().try_for_each(|text| fields.text(item, Some(text), DOC_NAME_BYTES_MAX)))
}

/// A document that is answered, recalled or reported on.
pub(super) fn answered_document(answered: &AnsweredDocument, fields: &mut Fields) -> Result<(), WriteError> {
    if let Some(organisation) = &answered.organisation {
        fields.value("OrganId", organisation.as_str());
    }
    fields.text("Code", answered.code.as_deref(), REFERENCE_CODE_BYTES_MAX)?;
    fields.date("PromulgationDate", answered.promulgation_date);
    fields.text("DocumentId", answered.document_id.as_deref(), DOCUMENT_ID_BYTES_MAX)
}

fn trace_header_list(document: &Document, fields: &mut Fields) -> Result<(), WriteError> {
    let mut attributes = String::new();
    fields.enter("TraceHeaderList");
    if let Some(id) = document.trace_id.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        fields.check("@id", id, TRACE_ID_BYTES_MAX)?;
        // A parser makes a space of a line feed or a tab in an attribute.
        if let Some(character) = id.chars().find(|character| matches!(character, '\t' | '\n' | '\r')) {
            return Err(WriteError::Character { field: fields.path("@id"), character });
        }
        attributes = format!(" id=\"{}\"", escaped(id));
    }
    fields.start("TraceHeaderList", &(attributes + " version=\"1.0\""));
    fields.element("Bussiness", |fields| business(&document.business, fields))?;
    fields.check_items("TraceHeader", document.trace.len(), TRACE_HOPS_MAX)?;
    for (index, hop) in document.trace.iter().enumerate() {
        fields.numbered("TraceHeader", index, |fields| {
            fields.text("OrganId", hop.organisation.as_deref(), DOC_NAME_BYTES_MAX)?;
            fields.time("Timestamp", hop.time)
        })?;
    }
    fields.end("TraceHeaderList");
    fields.leave();
    Ok(())
}

fn business(business: &Business, fields: &mut Fields) -> Result<(), WriteError> {
    fields.text("DocumentId", business.document_id.as_deref(), DOCUMENT_ID_BYTES_MAX)?;
    fields.number("BussinessDocType", Some(business.kind.digit().into()))?;
    fields.text("BussinessDocReason", business.reason.as_deref(), DOC_TEXT_BYTES_MAX)?;
    fields.number("Paper", business.paper)?;
    let update = &business.update;
    if *update != crate::business::Update::default() {
        fields.element("BussinessDocumentInfo", |fields| {
            fields.number("DocumentInfo", update.document_info)?;
            fields.number("DocumentReceiver", update.document_receiver)?;
            fields.check_items("ReceiverList", update.receivers.len(), ENVELOPE_CODES_MAX)?;
            fields.element("ReceiverList", |fields| {
                for (index, receiver) in update.receivers.iter().enumerate() {
                    fields.numbered("Receiver", index, |fields| {
                        fields.value("OrganId", receiver.organisation.as_str());
                        fields.number("ReceiverType", Some(receiver.added.into()))
                    })?;
                }
                Ok(())
            })
        })?;
    }
    fields.check_items("ReplacementInfoList", business.replacements.len(), LIST_ITEMS_MAX)?;
    fields.element("ReplacementInfoList", |fields| replacements(business, fields))?;
    fields.element("StaffInfo", |fields| staff(business.staff.as_ref(), fields))
}

fn replacements(business: &Business, fields: &mut Fields) -> Result<(), WriteError> {
    for (index, replacement) in business.replacements.iter().enumerate() {
        fields.numbered("ReplacementInfo", index, |fields| {
            fields.text("DocumentId", replacement.document_id.as_deref(), DOCUMENT_ID_BYTES_MAX)?;
            fields.check_items("OrganIdList", replacement.organisations.len(), ENVELOPE_CODES_MAX)?;
            fields.element("OrganIdList", |fields| {
                replacement.organisations.iter().for_each(|organisation| fields.value("OrganId", organisation.as_str()));
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// A contact person.
pub(super) fn staff(staff: Option<&Staff>, fields: &mut Fields) -> Result<(), WriteError> {
    let Some(staff) = staff else { return Ok(()) };
    for (name, text, limit) in [
        ("Department", &staff.department, DOC_NAME_BYTES_MAX),
        ("DepartmentId", &staff.department_id, CONTACT_CODE_BYTES_MAX),
        ("Staff", &staff.name, DOC_NAME_BYTES_MAX),
        ("StaffId", &staff.id, CONTACT_CODE_BYTES_MAX),
        ("Email", &staff.email, CONTACT_CODE_BYTES_MAX),
        ("Mobile", &staff.mobile, CONTACT_CODE_BYTES_MAX),
    ] {
        fields.text(name, text.as_deref(), limit)?;
    }
    Ok(())
}
