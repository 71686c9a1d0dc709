//! The words of `truc edxml` in both languages. The sentences of the rules stand in `truc-edxml`.

use truc_edxml::{BusinessKind, MessageKind, Rule, Severity};

use crate::language::Language;

/// The words of one language.
pub(super) struct Words {
    language: Language,
    pub(super) fine: &'static str,
    pub(super) warned: &'static str,
    pub(super) refused: &'static str,
    pub(super) at: &'static str,
    pub(super) found: &'static str,
    pub(super) expected: &'static str,
    pub(super) write: &'static str,
    pub(super) or: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) unpacked: &'static str,
    pub(super) not_carried: &'static str,
}

const ENGLISH: Words = Words {
    language: Language::En,
    fine: "fine",
    warned: "readable, with warnings",
    refused: "refused",
    at: "at",
    found: "found",
    expected: "expected",
    write: "write",
    or: "or",
    from: "from",
    to: "to",
    unpacked: "unpacked",
    not_carried: "note: this release carries new documents and replies only; an edge refuses this message by name",
};

const VIETNAMESE: Words = Words {
    language: Language::Vi,
    fine: "hợp lệ",
    warned: "đọc được, có cảnh báo",
    refused: "bị từ chối",
    at: "tại",
    found: "gặp",
    expected: "cần",
    write: "nên viết",
    or: "hoặc",
    from: "từ",
    to: "đến",
    unpacked: "đã giải nén",
    not_carried: "lưu ý: phiên bản này chỉ chuyển văn bản mới và văn bản phúc đáp; nút biên sẽ từ chối gói tin này",
};

impl Words {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::Vi => &VIETNAMESE,
        }
    }

    pub(super) const fn severity(&self, severity: Severity) -> &'static str {
        match (self.language, severity) {
            (Language::En, Severity::Error) => "error",
            (Language::En, Severity::Warning) => "warning",
            (Language::Vi, Severity::Error) => "lỗi",
            (Language::Vi, Severity::Warning) => "cảnh báo",
        }
    }

    pub(super) const fn rule(&self, rule: Rule) -> &'static str {
        match self.language {
            Language::En => rule.english(),
            Language::Vi => rule.vietnamese(),
        }
    }

    /// "2 errors, 1 warning", and what was left out.
    pub(super) fn counts(&self, errors: usize, warnings: usize, more: u64) -> String {
        let plural = |count: usize| if self.language == Language::En && count != 1 { "s" } else { "" };
        let mut text = format!("{errors} {}{}", self.severity(Severity::Error), plural(errors));
        text.push_str(&format!(", {warnings} {}{}", self.severity(Severity::Warning), plural(warnings)));
        match (more, self.language) {
            (0, _) => {}
            (more, Language::En) => text.push_str(&format!(", and {more} more that are not shown")),
            (more, Language::Vi) => text.push_str(&format!(", và {more} mục khác không hiển thị")),
        }
        text
    }

    pub(super) fn kind(&self, kind: MessageKind) -> String {
        match (self.language, kind) {
            (Language::En, kind) => kind.to_string(),
            (Language::Vi, MessageKind::Document(BusinessKind::New)) => "văn bản mới".to_owned(),
            (Language::Vi, MessageKind::Document(BusinessKind::Recall)) => "thu hồi văn bản".to_owned(),
            (Language::Vi, MessageKind::Document(BusinessKind::Update)) => "cập nhật văn bản".to_owned(),
            (Language::Vi, MessageKind::Document(BusinessKind::Replace)) => "thay thế văn bản".to_owned(),
            (Language::Vi, MessageKind::Status(code)) => format!("gói tin trạng thái {code}"),
        }
    }
}
