//! What the edge writes beside a file: for programs as JSON, for people as text in Vietnamese and English. Values of the file may stand in both: they are for
//! the sender, not for logs.

use std::ffi::OsStr;

use serde::Serialize;
use truc_edxml::{Diagnostic, Severity};
use truc_types::{Digest, MessageId, Reason, Refusal};

/// `NAME.json` in `done/`.
#[derive(Serialize)]
struct HandedIn<'a> {
    message_id: String,
    client_reference: &'a str,
    name: String,
    sha256: String,
    warnings: Vec<Finding<'a>>,
}

/// `NAME.diagnostics.json` in `failed/`.
#[derive(Serialize)]
struct Failed<'a> {
    reason: &'static str,
    message: &'a str,
    advice: &'static str,
    name: String,
    sha256: Option<String>,
    diagnostics: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    rule: &'static str,
    severity: &'static str,
    path: &'a str,
    line: u64,
    column: u64,
    found: &'a str,
    expected: &'a str,
    suggestion: Option<&'a str>,
    message_vi: String,
    message_en: String,
}

/// `MESSAGE.refused-by-axis.json` in `out/`.
#[derive(Serialize)]
struct RefusedByAxis<'a> {
    message_id: String,
    reason: &'a str,
    message: &'a str,
    meaning_vi: Option<&'static str>,
    advice_vi: Option<&'static str>,
    advice: Option<&'static str>,
}

/// `STEM.unwritable.json` in `out/`.
#[derive(Serialize)]
struct Unwritable<'a> {
    document: &'a str,
    reason: &'static str,
    message: &'a str,
}

fn findings(diagnostics: &[Diagnostic]) -> Vec<Finding<'_>> {
    diagnostics.iter().map(finding).collect()
}

fn finding(diagnostic: &Diagnostic) -> Finding<'_> {
    Finding {
        rule: diagnostic.rule.code(),
        severity: severity_word(diagnostic.severity),
        path: &diagnostic.path,
        line: diagnostic.line,
        column: diagnostic.column,
        found: &diagnostic.found,
        expected: &diagnostic.expected,
        suggestion: diagnostic.suggestion.as_deref(),
        message_vi: diagnostic.message_vi(),
        message_en: diagnostic.message_en(),
    }
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Texts and numbers: nothing in these structures can fail to become JSON.
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The note beside a file that was handed in.
pub(super) fn handed_in(name: &OsStr, sha256: &Digest, reference: &str, message_id: MessageId, warnings: &[Diagnostic]) -> Vec<u8> {
    json(&HandedIn {
        message_id: message_id.to_string(),
        client_reference: reference,
        name: name.to_string_lossy().into_owned(),
        sha256: sha256.to_hex(),
        warnings: findings(warnings),
    })
}

/// The note about a dropped document that the axis refused after it was handed in.
pub(super) fn refused_by_axis(message_id: MessageId, reason: &str, message: &str) -> Vec<u8> {
    let known: Option<Reason> = reason.parse().ok();
    json(&RefusedByAxis {
        message_id: message_id.to_string(),
        reason: known.map_or(reason, |known| known.code()),
        message,
        meaning_vi: known.map(Reason::meaning_vi),
        advice_vi: known.map(Reason::advice_vi),
        advice: known.map(Reason::advice),
    })
}

/// The note about a document that edXML cannot carry.
pub(super) fn unwritable(document: &str, refusal: &Refusal) -> Vec<u8> {
    json(&Unwritable { document, reason: refusal.reason.code(), message: &refusal.message })
}

/// The note for programs beside a file that was refused.
pub(super) fn failed_json(name: &OsStr, sha256: Option<&Digest>, refusal: &Refusal, diagnostics: &[Diagnostic]) -> Vec<u8> {
    json(&Failed {
        reason: refusal.reason.code(),
        message: &refusal.message,
        advice: refusal.reason.advice(),
        name: name.to_string_lossy().into_owned(),
        sha256: sha256.map(Digest::to_hex),
        diagnostics: findings(diagnostics),
    })
}

/// The note for people beside a file that was refused.
pub(super) fn failed_text(name: &OsStr, refusal: &Refusal, diagnostics: &[Diagnostic]) -> Vec<u8> {
    let (name, reason) = (name.to_string_lossy(), refusal.reason);
    let mut lines = vec![
        name.into_owned(),
        String::new(),
        "Văn bản KHÔNG được gửi đi. Hãy sửa các lỗi dưới đây rồi đặt lại tệp vào thư mục in.".to_owned(),
        format!("Lý do: {} ({})", reason.meaning_vi(), reason.code()),
        format!("Cách xử lý: {}", reason.advice_vi()),
    ];
    lines.extend((1..).zip(diagnostics).map(|(number, found)| format!("{number:3}. [{}] {}", word_vi(found.severity), found.message_vi())));
    lines.extend([
        String::new(),
        "The document was NOT sent. Correct what follows, then put the file into the folder in again.".to_owned(),
        format!("Reason: {}: {}", reason.code(), refusal.message),
        format!("Advice: {}", reason.advice()),
    ]);
    let english = |(number, found): (u32, &Diagnostic)| {
        format!("{number:3}. [{} {}] {}", severity_word(found.severity), found.rule.code(), found.message_en())
    };
    lines.extend((1..).zip(diagnostics).map(english));
    lines.push(String::new());
    lines.join("\n").into_bytes()
}

const fn word_vi(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "lỗi",
        Severity::Warning => "cảnh báo",
    }
}
