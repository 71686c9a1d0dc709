//! TraceHeaderList: the hops of the way and the business block. The header of the document is read in `header`.

use truc_types::OrganisationCode;
use truc_types::limits::{
    CONTACT_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX, DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, ENVELOPE_CODES_MAX, LIST_ITEMS_MAX,
};

use crate::business::{Business, BusinessKind, ReceiverChange, Replacement, Update};
use crate::date::{self, TimeFault};
use crate::diagnostic::{Findings, Place};
use crate::limits::{TRACE_HOPS_MAX, TRACE_ID_BYTES_MAX};
use crate::message::{LocalTime, Staff, TraceHop};
use crate::rule::Rule;
use crate::section::{Section, check_length, text_of};
use crate::tree::Element;

/// `TraceHeaderList/@id`, if it says anything.
pub(crate) fn id(list: &Section<'_>, findings: &mut Findings) -> Option<String> {
    let id = list.id().filter(|id| !id.is_empty())?;
    if id.len() > TRACE_ID_BYTES_MAX {
        findings.add(list.place(), Rule::TextTooLong, id, format!("≤ {TRACE_ID_BYTES_MAX} bytes"));
    }
    // A parser makes a space of white space in an attribute (XML 1.0 section 3.3.3).
    Some(id.replace(['\t', '\n', '\r'], " "))
}

/// The hops, without those that say nothing.
pub(crate) fn hops(list: &mut Section<'_>, findings: &mut Findings) -> Vec<TraceHop> {
    let elements = list.children("TraceHeader", findings);
    check_length(&elements, TRACE_HOPS_MAX, findings);
    let hop = |element: &&Element| {
        let mut section = Section::new(element);
        let organisation = section.text("OrganId", DOC_NAME_BYTES_MAX, findings);
        let time = section.child("Timestamp", findings).and_then(|element| {
            let text = text_of(element, 100, findings)?;
            // Nobody acts on a hop: one that cannot be read is left out, not a reason to refuse the document.
            local_time(&text, element.place(), Rule::TimeInvalid, findings)
        });
        section.finish(findings);
        TraceHop { organisation, time }
    };
    elements.iter().take(TRACE_HOPS_MAX).map(hop).filter(|hop| *hop != TraceHop::default()).collect()
}

/// A time; one with two meanings is reported under `ambiguous`.
pub(crate) fn local_time(text: &str, place: Place<'_>, ambiguous: Rule, findings: &mut Findings) -> Option<LocalTime> {
    match date::parse_time(text) {
        Ok((time, canonical)) => {
            if !canonical {
                findings.suggest(place, Rule::DateSpelling, text, "yyyy/MM/dd HH:mm:ss", time.to_string());
            }
            Some(time)
        }
        Err(TimeFault::Ambiguous(readings)) => {
            findings.suggest(place, ambiguous, text, "yyyy/MM/dd HH:mm:ss", readings);
            None
        }
        Err(TimeFault::Invalid) => {
            findings.suggest(
                place,
                Rule::TimeInvalid,
                text,
                "yyyy/MM/dd HH:mm:ss",
                "<edXML:Timestamp>yyyy/MM/dd HH:mm:ss</edXML:Timestamp>".to_owned(),
            );
            None
        }
    }
}

/// The business block. A document without one is new; a kind that is none is an error and reads as new.
pub(crate) fn business(list: &mut Section<'_>, findings: &mut Findings) -> Business {
    let mut section = list.section("Bussiness", findings);
    let kind = kind(&mut section, findings);
    let document_id = section.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
    let reason = section.text("BussinessDocReason", DOC_TEXT_BYTES_MAX, findings);
    let paper = section.number("Paper", findings);
    let update = update(section.section("BussinessDocumentInfo", findings), findings);
    let replacements = replacements(section.section("ReplacementInfoList", findings), findings);
    let staff = staff(&mut section, findings);
    section.finish(findings);
    Business { kind, document_id, reason, paper, update, replacements, staff }
}

fn kind(section: &mut Section<'_>, findings: &mut Findings) -> BusinessKind {
    let element = section.child("BussinessDocType", findings);
    let Some((element, text)) = element.and_then(|element| Some((element, text_of(element, 100, findings)?))) else {
        section.report_missing(Rule::BusinessMissing, "BussinessDocType", findings);
        return BusinessKind::New;
    };
    BusinessKind::from_digit(&text).unwrap_or_else(|| {
        findings.add(element.place(), Rule::BusinessKind, &text, "0, 1, 2, 3");
        BusinessKind::New
    })
}

fn update(mut section: Section<'_>, findings: &mut Findings) -> Update {
    let document_info = section.number("DocumentInfo", findings);
    let document_receiver = section.number("DocumentReceiver", findings);
    let mut list = section.section("ReceiverList", findings);
    let elements = list.children("Receiver", findings);
    check_length(&elements, ENVELOPE_CODES_MAX, findings);
    let receivers = elements.iter().take(ENVELOPE_CODES_MAX).filter_map(|element| receiver(element, findings)).collect();
    list.finish(findings);
    section.finish(findings);
    Update { document_info, document_receiver, receivers }
}

fn receiver(element: &Element, findings: &mut Findings) -> Option<ReceiverChange> {
    let mut section = Section::new(element);
    if !section.has_text("OrganId") {
        section.report_missing(Rule::Missing, "OrganId", findings);
    }
    let organisation = section.code("OrganId", findings);
    let added = section.required("ReceiverType", 100, findings).and_then(|text| match text.as_str() {
        "0" => Some(false),
        "1" => Some(true),
        _ => {
            findings.add(section.place(), Rule::ReceiverType, &text, "0, 1");
            None
        }
    });
    section.finish(findings);
    Some(ReceiverChange { organisation: organisation?, added: added? })
}

fn replacements(mut section: Section<'_>, findings: &mut Findings) -> Vec<Replacement> {
    let elements = section.children("ReplacementInfo", findings);
    check_length(&elements, LIST_ITEMS_MAX, findings);
    let replacement = |element: &&Element| {
        let mut section = Section::new(element);
        let document_id = section.text("DocumentId", DOCUMENT_ID_BYTES_MAX, findings);
        let mut list = section.section("OrganIdList", findings);
        let organisations = codes(&mut list, findings);
        list.finish(findings);
        section.finish(findings);
        Replacement { document_id, organisations }
    };
    let replacements: Vec<Replacement> = elements.iter().take(LIST_ITEMS_MAX).map(replacement).collect();
    section.finish(findings);
    replacements.into_iter().filter(|replacement| *replacement != Replacement::default()).collect()
}

fn codes(list: &mut Section<'_>, findings: &mut Findings) -> Vec<OrganisationCode> {
    let elements = list.children("OrganId", findings);
    check_length(&elements, ENVELOPE_CODES_MAX, findings);
    elements.iter().take(ENVELOPE_CODES_MAX).filter_map(|element| crate::section::code_of(element, findings)).collect()
}

/// A contact person, if anything is said of one.
pub(crate) fn staff(section: &mut Section<'_>, findings: &mut Findings) -> Option<Staff> {
    let mut person = section.section("StaffInfo", findings);
    let mut text = |name, limit| person.text(name, limit, findings);
    let staff = Staff {
        department: text("Department", DOC_NAME_BYTES_MAX),
        department_id: text("DepartmentId", CONTACT_CODE_BYTES_MAX),
        name: text("Staff", DOC_NAME_BYTES_MAX),
        id: text("StaffId", CONTACT_CODE_BYTES_MAX),
        email: text("Email", CONTACT_CODE_BYTES_MAX),
        mobile: text("Mobile", CONTACT_CODE_BYTES_MAX),
    };
    person.finish(findings);
    Some(staff).filter(|staff| *staff != Staff::default())
}
