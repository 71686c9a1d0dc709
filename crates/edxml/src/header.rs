//! From the envelope's tree to the values of a message: MessageHeader, TraceHeaderList and the manifest. Attachments are not read here.

use truc_types::limits::{
    DOC_NAME_BYTES_MAX, DOC_NOTATION_BYTES_MAX, DOC_NUMBER_BYTES_MAX, DOC_SUBJECT_BYTES_MAX, DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX,
    ENVELOPE_CODES_MAX, LIST_ITEMS_MAX,
};
use truc_types::{Date, OrganisationCode, Urgency};

use crate::date;
use crate::diagnostic::{Findings, Place};
use crate::error::Packet;
use crate::message::{AnsweredDocument, Business, BusinessKind, DocumentType, LocalTime, Message, Party, Signer, Staff, TraceHop};
use crate::rule::Rule;
use crate::section::{Section, text_of};
use crate::tree::Element;

/// Hops of a trace: far more than there are systems on any way.
const TRACE_MAX: usize = 200;

/// What the envelope says besides the manifest. `message` is absent where a required field is: then a finding says which.
pub(crate) type Header = Result<Option<Message>, Packet>;

/// Reads the values of an envelope's header.
pub(crate) fn read(mut header: Section<'_>, findings: &mut Findings) -> Header {
    header.known(&["Signature", "DigitalSignature", "ErrorList"]);
    let mut fields = header.section("MessageHeader", findings);
    if let Some(code) = fields.text("StatusCode", 100, findings) {
        return Err(Packet::Status { code: code.chars().take(10).collect() });
    }
    if !fields.exists() {
        header.report_missing(Rule::Missing, "MessageHeader", findings);
        return Ok(None);
    }
    let mut trace_list = header.section("TraceHeaderList", findings);
    let trace = trace(&mut trace_list, findings);
    let business = business(&mut trace_list, findings)?;
    trace_list.finish(findings);
    header.finish(findings);
    let message = document(fields, findings);
    Ok(message.map(|message| Message { trace, business, ..message }))
}

fn document(mut fields: Section<'_>, findings: &mut Findings) -> Option<Message> {
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
    let copies = other.number("PromulgationAmount", findings);
    let pages = other.number("PageAmount", findings);
    let appendices = texts(&mut other, "Appendixes", "Appendix", findings);
    other.known(&["ReplyFors", "Direction", "ReferenceCodes"]);
    other.finish(findings);
    let response_for = response_for(&mut fields, findings);
    let steering_type = fields.number("SteeringType", findings);
    let to_places = texts(&mut fields, "ToPlaces", "Place", findings);
    fields.known(&["ResponseForTask", "StaffInfo", "Description", "Timestamp"]);
    fields.finish(findings);
    Some(Message {
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
        appendices,
        to_places,
        response_for,
        steering_type,
        trace: Vec::new(),
        business: None,
        attachments: Vec::new(),
        warnings: Vec::new(),
    })
}

fn sender(fields: &mut Section<'_>, findings: &mut Findings) -> Option<Party> {
    let Some(from) = fields.child("From", findings) else {
        fields.report_missing(Rule::Missing, "From", findings);
        return None;
    };
    party(from, findings)
}

fn party(element: &Element, findings: &mut Findings) -> Option<Party> {
    let mut fields = Section::new(element);
    let before = fields.children("OrganId", findings).first().is_some_and(|element| !element.text.is_empty());
    let code = fields.code("OrganId", findings);
    if !before {
        fields.report_missing(Rule::Missing, "OrganId", findings);
    }
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
    if let Some(first_over) = elements.get(ENVELOPE_CODES_MAX) {
        findings.add(first_over.place(), Rule::ListTooLong, &elements.len().to_string(), format!("≤ {ENVELOPE_CODES_MAX}"));
    }
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
    let given = issue.children("PromulgationDate", findings).first().is_some_and(|element| !element.text.is_empty());
    if !given {
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
        findings.add(element.place(), Rule::PriorityInvalid, &text, "0, 1, 2, 3, 4");
        Urgency::Normal
    })
}

fn texts(fields: &mut Section<'_>, list: &'static str, item: &'static str, findings: &mut Findings) -> Vec<String> {
    let mut section = fields.section(list, findings);
    let elements = section.children(item, findings);
    check_length(&elements, LIST_ITEMS_MAX, findings);
    let texts = elements.iter().take(LIST_ITEMS_MAX).filter_map(|element| text_of(element, DOC_NAME_BYTES_MAX, findings)).collect();
    section.finish(findings);
    texts
}

fn check_length(elements: &[&Element], limit: usize, findings: &mut Findings) {
    if let Some(first_over) = elements.get(limit) {
        findings.add(first_over.place(), Rule::ListTooLong, &elements.len().to_string(), format!("≤ {limit}"));
    }
}

fn response_for(fields: &mut Section<'_>, findings: &mut Findings) -> Vec<AnsweredDocument> {
    let elements = fields.children("ResponseFor", findings);
    check_length(&elements, LIST_ITEMS_MAX, findings);
    elements.into_iter().take(LIST_ITEMS_MAX).map(|element| answered_document(element, findings)).collect()
}

fn answered_document(element: &Element, findings: &mut Findings) -> AnsweredDocument {
    let mut section = Section::new(element);
    let organisation: Option<OrganisationCode> = section.code("OrganId", findings);
    let code = section.text("Code", DOC_NUMBER_BYTES_MAX + 1 + DOC_NOTATION_BYTES_MAX, findings);
    let document_id = section.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
    let promulgation_date = section.date("PromulgationDate", findings);
    if code.is_none() && document_id.is_none() {
        section.report_missing(Rule::MissingRecommended, "DocumentId", findings);
    }
    section.finish(findings);
    AnsweredDocument { organisation, code, promulgation_date, document_id }
}

fn trace(list: &mut Section<'_>, findings: &mut Findings) -> Vec<TraceHop> {
    let elements = list.children("TraceHeader", findings);
    check_length(&elements, TRACE_MAX, findings);
    let hop = |element: &&Element| {
        let mut section = Section::new(element);
        let organisation = section.text("OrganId", DOC_NAME_BYTES_MAX, findings);
        let time = section.child("Timestamp", findings).and_then(|element| {
            let text = text_of(element, 100, findings)?;
            local_time(&text, element.place(), findings)
        });
        section.finish(findings);
        TraceHop { organisation, time }
    };
    elements.iter().take(TRACE_MAX).map(hop).collect()
}

fn local_time(text: &str, place: Place<'_>, findings: &mut Findings) -> Option<LocalTime> {
    let parsed = text.split_once([' ', 'T']).and_then(|(day, time)| {
        let date = date::parse(day).ok()?.date;
        let parts: Vec<u8> = time.split(':').map(|part| part.parse().ok().filter(|_| part.len() == 2)).collect::<Option<_>>()?;
        let [hour @ 0..=23, minute @ 0..=59, second @ 0..=59] = *parts.as_slice() else { return None };
        Some(LocalTime { date, time_of_day: (hour, minute, second) })
    });
    if parsed.is_none() {
        findings.add(place, Rule::TimeInvalid, text, "yyyy/MM/dd HH:mm:ss");
    }
    parsed
}

fn business(list: &mut Section<'_>, findings: &mut Findings) -> Result<Option<Business>, Packet> {
    let mut section = list.section("Bussiness", findings);
    let Some(element) = section.child("BussinessDocType", findings) else {
        section.report_missing(Rule::BusinessMissing, "BussinessDocType", findings);
        if !section.exists() {
            return Ok(None);
        }
        return Ok(Some(business_fields(section, findings)));
    };
    match text_of(element, 100, findings).as_deref() {
        Some("0") => {}
        Some("1") => return Err(Packet::Recall),
        Some("2") => return Err(Packet::Update),
        Some("3") => return Err(Packet::Replace),
        None => section.report_missing(Rule::BusinessMissing, "BussinessDocType", findings),
        Some(other) => findings.add(element.place(), Rule::BusinessKind, other, "0, 1, 2, 3"),
    }
    Ok(Some(business_fields(section, findings)))
}

fn business_fields(mut section: Section<'_>, findings: &mut Findings) -> Business {
    let document_id = section.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
    let reason = section.text("BussinessDocReason", DOC_TEXT_BYTES_MAX, findings);
    let paper = section.text("Paper", 30, findings);
    let mut person = section.section("StaffInfo", findings);
    let staff = person.exists().then(|| {
        let mut text = |name| person.text(name, DOC_NAME_BYTES_MAX, findings);
        Staff { department: text("Department"), name: text("Staff"), email: text("Email"), mobile: text("Mobile") }
    });
    person.known(&["DepartmentId", "StaffId"]);
    person.finish(findings);
    section.known(&["BussinessDocumentInfo", "ReplacementInfoList"]);
    section.finish(findings);
    Business { kind: BusinessKind::New, reason, paper, document_id, staff }
}
