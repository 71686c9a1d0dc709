//! From the envelope's tree to the values of a document: MessageHeader. The trace is read in `trace`, status packets in `status_fields`.

use truc_types::limits::{
    DOC_NAME_BYTES_MAX, DOC_NOTATION_BYTES_MAX, DOC_NUMBER_BYTES_MAX, DOC_SUBJECT_BYTES_MAX, DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX,
    ENVELOPE_CODES_MAX, LIST_ITEMS_MAX, REFERENCE_CODE_BYTES_MAX,
};
use truc_types::{Date, OrganisationCode, Urgency};

use crate::business::Business;
use crate::date;
use crate::diagnostic::Findings;
use crate::message::{AnsweredDocument, Document, DocumentType, Message, Party, Signer, Task, TraceHop};
use crate::rule::Rule;
use crate::section::{Section, check_length, text_of};
use crate::status_fields;
use crate::trace;
use crate::tree::Element;

/// What TraceHeaderList says.
struct Trace {
    id: Option<String>,
    hops: Vec<TraceHop>,
    business: Business,
}

/// Reads an envelope's header. There is no message where a required field is missing: then a finding says which.
pub(crate) fn read(mut header: Section<'_>, findings: &mut Findings) -> Option<Message> {
    header.known(&["Signature", "DigitalSignature", "ErrorList"]);
    let fields = header.section("MessageHeader", findings);
    if !fields.exists() {
        header.report_missing(Rule::Missing, "MessageHeader", findings);
        return None;
    }
    if fields.has_text("StatusCode") {
        header.known(&["TraceHeaderList"]);
        header.finish(findings);
        return status_fields::status(fields, findings).map(|status| Message::Status(Box::new(status)));
    }
    let mut list = header.section("TraceHeaderList", findings);
    let trace =
        Trace { id: trace::id(&list, findings), hops: trace::hops(&mut list, findings), business: trace::business(&mut list, findings) };
    list.finish(findings);
    header.finish(findings);
    document(fields, trace, findings).map(|document| Message::Document(Box::new(document)))
}

fn document(mut fields: Section<'_>, trace: Trace, findings: &mut Findings) -> Option<Document> {
    let from = sender(&mut fields, findings);
    let to = recipients(&mut fields, findings);
    let document_id = fields.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
    if document_id.is_none() {
        fields.report_missing(Rule::MissingRecommended, "DocumentId", findings);
    }
    let mut code = fields.section("Code", findings);
    let number = code.required("CodeNumber", DOC_NUMBER_BYTES_MAX, findings);
    let notation = code.required("CodeNotation", DOC_NOTATION_BYTES_MAX, findings);
    code.finish(findings);
    let mut issue = fields.section("PromulgationInfo", findings);
    let place = issue.text("Place", DOC_NAME_BYTES_MAX, findings);
    let promulgation_date = required_date(&mut issue, findings);
    issue.finish(findings);
    let document_type = document_type(&mut fields, findings);
    let subject = fields.required("Subject", DOC_SUBJECT_BYTES_MAX, findings);
    let content = fields.text("Content", DOC_TEXT_BYTES_MAX, findings);
    let signer = signer(&mut fields, findings);
    let due_date = due_date(&mut fields, promulgation_date, findings);
    let mut other = fields.section("OtherInfo", findings);
    let priority = priority(&mut other, findings);
    let sphere = other.text("SphereOfPromulgation", DOC_NAME_BYTES_MAX, findings);
    let drafter = other.text("TyperNotation", DOC_NAME_BYTES_MAX, findings);
    let (copies, pages) = (other.number("PromulgationAmount", findings), other.number("PageAmount", findings));
    let reply_fors = other.text("ReplyFors", DOC_TEXT_BYTES_MAX, findings);
    let direction = other.boolean("Direction", findings);
    let reference_codes = other.text("ReferenceCodes", DOC_TEXT_BYTES_MAX, findings);
    let appendices = texts(&mut other, "Appendixes", "Appendix", findings);
    other.finish(findings);
    let response_for = response_for(&mut fields, findings);
    let steering_type = fields.number("SteeringType", findings);
    let task = task(&mut fields, findings);
    let to_places = texts(&mut fields, "ToPlaces", "Place", findings);
    fields.known(&["StatusCode", "StaffInfo", "Description", "Timestamp"]);
    fields.finish(findings);
    Some(Document {
        from: from?,
        to,
        document_id,
        number: number?,
        notation: notation?,
        place,
        promulgation_date: promulgation_date?,
        document_type,
        subject: subject?,
        content,
        signer,
        due_date,
        priority,
        sphere,
        drafter,
        copies,
        pages,
        reply_fors,
        direction,
        reference_codes,
        appendices,
        to_places,
        response_for,
        steering_type,
        task,
        trace_id: trace.id,
        trace: trace.hops,
        business: trace.business,
        attachments: Vec::new(),
    })
}

/// The sender; required.
pub(crate) fn sender(fields: &mut Section<'_>, findings: &mut Findings) -> Option<Party> {
    let Some(from) = fields.child("From", findings) else {
        fields.report_missing(Rule::Missing, "From", findings);
        return None;
    };
    party(from, findings)
}

fn party(element: &Element, findings: &mut Findings) -> Option<Party> {
    let mut fields = Section::new(element);
    if !fields.has_text("OrganId") {
        fields.report_missing(Rule::Missing, "OrganId", findings);
    }
    let code = fields.code("OrganId", findings);
    let mut text = |name| fields.text(name, DOC_TEXT_BYTES_MAX, findings);
    let in_charge = text("OrganizationInCharge");
    let name = text("OrganName");
    let address = text("OrganAdd");
    let email = text("Email");
    let telephone = text("Telephone");
    let fax = text("Fax");
    let website = text("Website");
    fields.finish(findings);
    Some(Party { code: code?, name, in_charge, address, email, telephone, fax, website })
}

fn recipients(fields: &mut Section<'_>, findings: &mut Findings) -> Vec<Party> {
    let elements = fields.children("To", findings);
    if elements.is_empty() {
        fields.report_missing(Rule::Missing, "To", findings);
    }
    check_length(&elements, ENVELOPE_CODES_MAX, findings);
    let mut to: Vec<Party> = Vec::new();
    for element in elements.into_iter().take(ENVELOPE_CODES_MAX) {
        let Some(party) = party(element, findings) else { continue };
        if to.iter().any(|earlier| earlier.code == party.code) {
            findings.add(element.place(), Rule::RecipientTwice, party.code.as_str(), "");
        } else {
            to.push(party);
        }
    }
    to
}

fn required_date(issue: &mut Section<'_>, findings: &mut Findings) -> Option<Date> {
    if !issue.has_text("PromulgationDate") {
        issue.report_missing(Rule::Missing, "PromulgationDate", findings);
    }
    issue.date("PromulgationDate", findings)
}

fn due_date(fields: &mut Section<'_>, promulgation_date: Option<Date>, findings: &mut Findings) -> Option<Date> {
    let place = fields.children("DueDate", findings).first().map(|element| element.place());
    let due_date = fields.date("DueDate", findings)?;
    if let (Some(place), Some(issued)) = (place, promulgation_date)
        && due_date < issued
    {
        findings.add(place, Rule::DateImplausible, &date::canonical(due_date), format!("≥ {}", date::canonical(issued)));
    }
    Some(due_date)
}

fn document_type(fields: &mut Section<'_>, findings: &mut Findings) -> DocumentType {
    let mut section = fields.section("DocumentType", findings);
    let code = section.number("Type", findings);
    let detail = section.number("TypeDetail", findings);
    let name = section.text("TypeName", DOC_NAME_BYTES_MAX, findings);
    if code.is_none() && name.is_none() {
        section.report_missing(Rule::MissingRecommended, "DocumentType", findings);
    }
    section.finish(findings);
    DocumentType { code, detail, name }
}

fn signer(fields: &mut Section<'_>, findings: &mut Findings) -> Signer {
    let mut section = fields.section("SignerInfo", findings);
    let competence = section.text("Competence", DOC_NAME_BYTES_MAX, findings);
    let position = section.text("Position", DOC_NAME_BYTES_MAX, findings);
    let full_name = section.text("FullName", DOC_NAME_BYTES_MAX, findings);
    section.finish(findings);
    Signer { competence, position, full_name }
}

fn priority(other: &mut Section<'_>, findings: &mut Findings) -> Urgency {
    let Some(element) = other.child("Priority", findings) else { return Urgency::Normal };
    let Some(text) = text_of(element, 100, findings) else { return Urgency::Normal };
    let urgency = if text.len() == 1 { text.parse().ok().and_then(Urgency::from_digit) } else { None };
    urgency.unwrap_or_else(|| {
        match priority_of_words(&text) {
            Some(digit) => findings.suggest(element.place(), Rule::PriorityInvalid, &text, "0, 1, 2, 3, 4", digit.to_owned()),
            None => findings.add(element.place(), Rule::PriorityInvalid, &text, "0, 1, 2, 3, 4"),
        }
        Urgency::Normal
    })
}

/// The digit of the law's own words: a suggestion, not a reading.
fn priority_of_words(text: &str) -> Option<&'static str> {
    match text.to_lowercase().as_str() {
        "thường" => Some("0"),
        "khẩn" => Some("1"),
        "thượng khẩn" => Some("2"),
        "hỏa tốc" | "hoả tốc" => Some("3"),
        "hỏa tốc hẹn giờ" | "hoả tốc hẹn giờ" => Some("4"),
        _ => None,
    }
}

fn task(fields: &mut Section<'_>, findings: &mut Findings) -> Task {
    let mut section = fields.section("ResponseForTask", findings);
    let code = section.text("TaskCode", DOC_NAME_BYTES_MAX, findings);
    let application_type = section.text("ApplicationType", DOC_NAME_BYTES_MAX, findings);
    section.finish(findings);
    Task { code, application_type }
}

fn texts(fields: &mut Section<'_>, list: &'static str, item: &'static str, findings: &mut Findings) -> Vec<String> {
    let mut section = fields.section(list, findings);
    let elements = section.children(item, findings);
    check_length(&elements, LIST_ITEMS_MAX, findings);
    let texts = elements.iter().take(LIST_ITEMS_MAX).filter_map(|element| text_of(element, DOC_NAME_BYTES_MAX, findings)).collect();
    section.finish(findings);
    texts
}

fn response_for(fields: &mut Section<'_>, findings: &mut Findings) -> Vec<AnsweredDocument> {
    let elements = fields.children("ResponseFor", findings);
    check_length(&elements, LIST_ITEMS_MAX, findings);
    let answered = elements.into_iter().take(LIST_ITEMS_MAX).map(|element| answered_document(element, findings));
    // One that says nothing is no element for those who drop empty ones.
    answered.filter(|answered| *answered != AnsweredDocument::default()).collect()
}

/// The document that a reply, a recall or a status speaks of.
pub(crate) fn answered_document(element: &Element, findings: &mut Findings) -> AnsweredDocument {
    let mut section = Section::new(element);
    let (organisation, code) = match swapped(&section) {
        Some((organisation, code)) => {
            let suggestion = format!("<edXML:OrganId>{organisation}</edXML:OrganId>");
            findings.suggest(section.place(), Rule::AnswerSwapped, &code, "OrganId, Code", suggestion);
            section.known(&["OrganId", "Code"]);
            (Some(organisation), Some(code))
        }
        None => (section.code("OrganId", findings), section.text("Code", REFERENCE_CODE_BYTES_MAX, findings)),
    };
    let document_id = section.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
    let promulgation_date = section.date("PromulgationDate", findings);
    if code.is_none() && document_id.is_none() {
        section.report_missing(Rule::MissingRecommended, "DocumentId", findings);
    }
    section.finish(findings);
    AnsweredDocument { organisation, code, promulgation_date, document_id }
}

/// "Take back" samples of one vendor hold the number in OrganId and the organisation in Code: the slash tells them apart beyond doubt.
fn swapped(section: &Section<'_>) -> Option<(OrganisationCode, String)> {
    let (organisation, code) = (section.only("OrganId")?, section.only("Code")?);
    let is_number = organisation.text.contains('/') && organisation.text.len() <= REFERENCE_CODE_BYTES_MAX;
    let is_leaf = organisation.children.is_empty() && code.children.is_empty();
    if is_number && is_leaf { Some((code.text.parse().ok()?, organisation.text.clone())) } else { None }
}
