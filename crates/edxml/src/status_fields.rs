//! From the envelope's tree to the values of a status packet. Documents are read in `header`.

use truc_types::limits::DOC_TEXT_BYTES_MAX;

use crate::diagnostic::Findings;
use crate::header::{answered_document, sender};
use crate::message::LocalTime;
use crate::rule::Rule;
use crate::section::{Section, text_of};
use crate::status::{Status, StatusCode};
use crate::trace::{local_time, staff};

/// Reads a MessageHeader that has a StatusCode.
pub(crate) fn status(mut fields: Section<'_>, findings: &mut Findings) -> Option<Status> {
    let from = sender(&mut fields, findings);
    let answered = fields.child("ResponseFor", findings);
    if answered.is_none() {
        fields.report_missing(Rule::Missing, "ResponseFor", findings);
    }
    let response_for = answered.map(|element| {
        if !Section::new(element).has_text("OrganId") {
            findings.missing(element.place(), Rule::Missing, "OrganId");
        }
        answered_document(element, findings)
    });
    let staff = staff(&mut fields, findings);
    let code = code(&mut fields, findings);
    let description = fields.text("Description", DOC_TEXT_BYTES_MAX, findings);
    let time = time(&mut fields, findings);
    fields.finish(findings);
    Some(Status { from: from?, response_for: response_for?, staff, code: code?, description, time })
}

fn time(fields: &mut Section<'_>, findings: &mut Findings) -> Option<LocalTime> {
    let element = fields.child("Timestamp", findings);
    let Some((element, text)) = element.and_then(|element| Some((element, text_of(element, 100, findings)?))) else {
        fields.report_missing(Rule::MissingRecommended, "Timestamp", findings);
        return None;
    };
    local_time(&text, element.place(), Rule::DateAmbiguous, findings)
}

fn code(fields: &mut Section<'_>, findings: &mut Findings) -> Option<StatusCode> {
    let element = fields.child("StatusCode", findings)?;
    let text = text_of(element, 100, findings)?;
    let number = if matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let Some(code) = number.and_then(StatusCode::new) else {
        findings.add(element.place(), Rule::StatusCodeInvalid, &text, known_codes());
        return None;
    };
    if text.len() == 1 {
        findings.suggest(element.place(), Rule::StatusCodeSpelling, &text, "00 … 99", code.to_string());
    }
    if !StatusCode::KNOWN.contains(&code) {
        // 14 is what one vendor writes for 15; whether it means that is not for us to decide.
        let suggestion = if code.number() == 14 { Some(StatusCode::CHANGE_AGREED) } else { None };
        match suggestion {
            Some(suggestion) => findings.suggest(element.place(), Rule::StatusCodeUnknown, &text, &known_codes(), suggestion.to_string()),
            None => findings.add(element.place(), Rule::StatusCodeUnknown, &text, known_codes()),
        }
    }
    Some(code)
}

fn known_codes() -> String {
    StatusCode::KNOWN.map(|code| code.to_string()).join(", ")
}
