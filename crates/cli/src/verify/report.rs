//! What a verification found: one record per check, and the verdict over all of them (EN 319 102-1 names). Not the checks themselves.

use std::fmt;

use serde::Serialize;

use crate::language::Language;
use crate::output::printable;

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It holds.
    Passed,
    /// It does not hold: the evidence is wrong.
    Failed,
    /// It cannot be decided: something is missing.
    Indeterminate,
    /// Something to know; decides nothing.
    Note,
}

impl Finding {
    /// The word as it is printed.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        let (english, vietnamese) = match self {
            Self::Passed => ("passed", "đạt"),
            Self::Failed => ("failed", "không đạt"),
            Self::Indeterminate => ("indeterminate", "chưa đủ căn cứ"),
            Self::Note => ("note", "lưu ý"),
        };
        language.choose(english, vietnamese)
    }
}

/// The verdict over all checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Every check holds.
    #[serde(rename = "TOTAL-PASSED")]
    TotalPassed,
    /// Some check does not hold.
    #[serde(rename = "TOTAL-FAILED")]
    TotalFailed,
    /// Nothing is wrong, but something is missing.
    #[serde(rename = "INDETERMINATE")]
    Indeterminate,
}

impl fmt::Display for Verdict {
    /// The verdict with its Vietnamese words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TotalPassed => "TOTAL-PASSED: chứng cứ hợp lệ",
            Self::TotalFailed => "TOTAL-FAILED: chứng cứ không hợp lệ",
            Self::Indeterminate => "INDETERMINATE: chưa đủ căn cứ để kết luận",
        })
    }
}

/// One check of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which check; stable.
    pub check: &'static str,
    /// Path inside the folder; `.` for the folder as a whole.
    pub file: String,
    /// What it found.
    pub verdict: Finding,
    /// What was seen, for people.
    pub detail: String,
}

impl Check {
    /// For people. In Vietnamese the line says what the check is about; what was seen stays as it is.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        let Self { check, file, verdict, detail } = self;
        let about = language.choose("", self.about_vi());
        let between = if about.is_empty() { "" } else { ": " };
        format!("{:<13} {check:<17} {file}: {about}{between}{detail}", verdict.word(language))
    }

    /// What the check is about, in Vietnamese.
    const fn about_vi(&self) -> &'static str {
        match self.check.as_bytes() {
            b"content.digest" => "tệp đính kèm đúng với giá trị băm trong văn bản",
            b"envelope.form" => "cấu trúc của văn bản",
            b"envelope.time" => "thời gian của văn bản",
            b"envelope.seal" | b"fact.seal" | b"receipt.seal" => "con dấu và chứng thư",
            b"fact.accepted" => "trục đã nhận văn bản",
            b"fact.form" => "cấu trúc ghi nhận của trục",
            b"fact.later" => "ghi nhận về sau của trục",
            b"folder.files" => "các tệp trong thư mục chứng cứ",
            b"folder.guide" => "hướng dẫn kiểm chứng",
            b"log.consistent" => "nhật ký chỉ được nối thêm",
            b"log.inclusion" => "bản ghi nằm trong nhật ký",
            b"log.observed" => "nhật ký đã được bên khác ghi nhận",
            b"receipt.form" => "cấu trúc của biên nhận",
            b"receipt.place" => "vị trí của biên nhận",
            b"receipt.subject" => "biên nhận thuộc văn bản này",
            b"receipt.time" => "thời gian của biên nhận",
            b"recipient.story" => "diễn biến tại bên nhận",
            b"trust.authority" => "tổ chức chứng thực được tin cậy",
            b"trust.signers" => "khoá của nhật ký được tin cậy",
            b"trust.issued" => "chứng thư do tổ chức được tin cậy cấp",
            b"trust.source" => "nguồn của gốc tin cậy",
            _ => "",
        }
    }
}

/// Everything that was checked, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The records.
    pub checks: Vec<Check>,
}

impl Report {
    /// The verdict over all checks. A report without a passed check proves nothing.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let found = |finding| self.checks.iter().any(|check| check.verdict == finding);
        if found(Finding::Failed) {
            Verdict::TotalFailed
        } else if found(Finding::Indeterminate) || !found(Finding::Passed) {
            Verdict::Indeterminate
        } else {
            Verdict::TotalPassed
        }
    }

    pub(super) fn passed(&mut self, check: &'static str, file: &str, detail: impl fmt::Display) {
        self.record(check, file, Finding::Passed, detail);
    }

    pub(super) fn failed(&mut self, check: &'static str, file: &str, detail: impl fmt::Display) {
        self.record(check, file, Finding::Failed, detail);
    }

    pub(super) fn indeterminate(&mut self, check: &'static str, file: &str, detail: impl fmt::Display) {
        self.record(check, file, Finding::Indeterminate, detail);
    }

    pub(super) fn note(&mut self, check: &'static str, file: &str, detail: impl fmt::Display) {
        self.record(check, file, Finding::Note, detail);
    }

    /// Passed with the detail, or failed with the fault.
    pub(super) fn result<E: fmt::Display>(&mut self, check: &'static str, file: &str, result: Result<String, E>) {
        match result {
            Ok(detail) => self.passed(check, file, detail),
            Err(fault) => self.failed(check, file, fault),
        }
    }

    fn record(&mut self, check: &'static str, file: &str, verdict: Finding, detail: impl fmt::Display) {
        // Names and texts come from the evidence: nothing in them may act on a terminal or break the line.
        let shown = |text: String| printable(&text.replace('\n', "\\n"));
        self.checks.push(Check { check, file: shown(file.to_owned()), verdict, detail: shown(detail.to_string()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_passes_only_when_something_passed_and_nothing_else_happened() {
        let mut report = Report::default();
        assert_eq!(report.verdict(), Verdict::Indeterminate);
        report.note("a", ".", "");
        assert_eq!(report.verdict(), Verdict::Indeterminate);
        report.passed("a", ".", "");
        assert_eq!(report.verdict(), Verdict::TotalPassed);
        report.indeterminate("a", ".", "");
        assert_eq!(report.verdict(), Verdict::Indeterminate);
        report.failed("a", "evil\u{1b}[2J", "");
        assert_eq!(report.verdict(), Verdict::TotalFailed);
        assert_eq!(report.checks[3].file, "evil\\u{1b}[2J");
    }
}
