//! What `truc edxml check` says of one file: the object for programs and the text for people. The judging is done in `truc-edxml`.

use std::collections::BTreeMap;

use serde::Serialize;
use truc_edxml::{AnsweredDocument, BusinessKind, Diagnostic, Message, MessageKind, ReadError, Reading, Severity};

use super::excerpt::pointed;
use super::words::Words;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Nothing to say.
    Fine,
    /// Readable; its writer should be told.
    Warned,
    /// Refused.
    Refused,
}

/// The report on one file. Field names are stable.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: String,
    pub(super) verdict: Verdict,
    errors: usize,
    warnings: usize,
    /// Diagnostics beyond the reader's limit.
    more: u64,
    diagnostics: Vec<Finding>,
    message: Option<Summary>,
    #[serde(skip)]
    source: Vec<Diagnostic>,
}

#[derive(Debug, Serialize)]
struct Finding {
    rule: &'static str,
    severity: &'static str,
    line: u64,
    column: u64,
    path: String,
    found: String,
    expected: String,
    suggestion: Option<String>,
    message_en: &'static str,
    message_vi: &'static str,
}

/// How the message was understood.
#[derive(Debug, Serialize)]
struct Summary {
    kind: String,
    from: String,
    to: Vec<String>,
    number: Option<String>,
    promulgation_date: Option<String>,
    document_id: Option<String>,
    attachments: Vec<Attachment>,
    #[serde(skip)]
    message_kind: MessageKind,
}

#[derive(Debug, Serialize)]
struct Attachment {
    name: String,
    media_type: String,
    bytes: u64,
    sha256: String,
    unpacked: bool,
}

impl Report {
    /// The report of a reading; an error of the input is given back.
    pub(super) fn new(file: String, read: Result<Reading, ReadError>, strict: bool) -> Result<Self, ReadError> {
        let (source, more, message) = match read {
            Ok(reading) => {
                let summary = Summary::new(&reading);
                (reading.warnings, reading.more_warnings, Some(summary))
            }
            Err(ReadError::Refused { diagnostics, more }) => (diagnostics, more, None),
            Err(other) => return Err(other),
        };
        let errors = source.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        let warnings = source.len() - errors;
        let verdict = match (message.is_some(), warnings) {
            (true, 0) => Verdict::Fine,
            (true, _) if !strict => Verdict::Warned,
            _ => Verdict::Refused,
        };
        let diagnostics = source.iter().map(finding).collect();
        Ok(Self { file, verdict, errors, warnings, more, diagnostics, message, source })
    }

    /// Where excerpts are wanted.
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, u64)> {
        self.source.iter().map(|diagnostic| (diagnostic.line, diagnostic.column))
    }

    /// The text for people: the verdict, then every diagnostic, or how the message was understood.
    pub(super) fn text(&self, excerpts: &BTreeMap<(u64, u64), String>, words: &Words) -> String {
        let verdict = match self.verdict {
            Verdict::Fine => words.fine.to_owned(),
            Verdict::Warned => format!("{}: {}", words.warned, words.counts(self.errors, self.warnings, self.more)),
            Verdict::Refused => format!("{}: {}", words.refused, words.counts(self.errors, self.warnings, self.more)),
        };
        let mut text = format!("{}: {verdict}", self.file);
        if let Some(message) = &self.message {
            text.push_str(&message.text(words));
        }
        for diagnostic in &self.source {
            text.push_str("\n\n");
            text.push_str(&diagnostic_text(diagnostic, excerpts.get(&(diagnostic.line, diagnostic.column)), words));
        }
        if !self.source.is_empty() {
            text.push('\n');
        }
        text
    }
}

fn finding(diagnostic: &Diagnostic) -> Finding {
    Finding {
        rule: diagnostic.rule.code(),
        severity: Words::of(crate::language::Language::En).severity(diagnostic.severity),
        line: diagnostic.line,
        column: diagnostic.column,
        path: diagnostic.path.clone(),
        found: diagnostic.found.clone(),
        expected: diagnostic.expected.clone(),
        suggestion: diagnostic.suggestion.clone(),
        message_en: diagnostic.rule.english(),
        message_vi: diagnostic.rule.vietnamese(),
    }
}

fn diagnostic_text(diagnostic: &Diagnostic, excerpt: Option<&String>, words: &Words) -> String {
    let Diagnostic { severity, rule, line, column, path, found, expected, suggestion, .. } = diagnostic;
    let mut text = format!("{line}:{column} {} {}: {}", words.severity(*severity), rule.code(), words.rule(*rule));
    if let Some(excerpt) = excerpt.filter(|excerpt| !excerpt.is_empty()) {
        text.push('\n');
        text.push_str(&pointed(*line, excerpt, found));
    }
    let suggestion = suggestion.as_ref().map(|suggestion| suggestion.replace(" | ", &format!(" {} ", words.or)));
    let rows = [
        (words.at, Some(path.clone())),
        (words.found, Some(format!("{found:?}")).filter(|_| !found.is_empty())),
        (words.expected, Some(expected.clone())),
        (words.write, suggestion),
    ];
    for (name, value) in rows {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!("\n  {name:<8} {value}"));
        }
    }
    text
}

impl Summary {
    fn new(reading: &Reading) -> Self {
        let message_kind = reading.message.kind();
        let kind = message_kind.to_string();
        match &reading.message {
            Message::Document(document) => {
                let attachments = document.attachments.iter().enumerate().map(|(index, attachment)| Attachment {
                    name: attachment.name.clone(),
                    media_type: attachment.media_type.clone(),
                    bytes: attachment.size,
                    sha256: attachment.sha256.to_hex(),
                    unpacked: reading.unpacked.contains(&index),
                });
                Self {
                    kind,
                    from: document.from.code.to_string(),
                    to: document.to.iter().map(|party| party.code.to_string()).collect(),
                    number: Some(format!("{}/{}", document.number, document.notation)),
                    promulgation_date: Some(document.promulgation_date.to_string()),
                    document_id: document.document_id.clone(),
                    attachments: attachments.collect(),
                    message_kind,
                }
            }
            Message::Status(status) => {
                let AnsweredDocument { organisation, code, promulgation_date, document_id } = &status.response_for;
                Self {
                    kind,
                    from: status.from.code.to_string(),
                    to: organisation.iter().map(ToString::to_string).collect(),
                    number: code.clone(),
                    promulgation_date: promulgation_date.map(|date| date.to_string()),
                    document_id: document_id.clone(),
                    attachments: Vec::new(),
                    message_kind,
                }
            }
        }
    }

    fn text(&self, words: &Words) -> String {
        let mut text = format!("\n  {}", words.kind(self.message_kind));
        for part in [&self.number, &self.promulgation_date].into_iter().flatten() {
            text.push_str(&format!(", {part}"));
        }
        text.push_str(&format!(", {} {} {} {}", words.from, self.from, words.to, self.to.join(", ")));
        for Attachment { name, media_type, bytes, sha256, unpacked } in &self.attachments {
            let unpacked = if *unpacked { format!(", {}", words.unpacked) } else { String::new() };
            text.push_str(&format!("\n  {name}: {bytes} B, {media_type}{unpacked}, SHA-256 {sha256}"));
        }
        if self.message_kind != MessageKind::Document(BusinessKind::New) {
            text.push_str(&format!("\n  {}", words.not_carried));
        }
        text
    }
}
