//! Why a message was not read.

use std::io;

use truc_types::{Reason, Refusal};

use crate::diagnostic::Diagnostic;
use crate::rule::{Rule, Severity};

/// A kind of packet that is edXML but no new document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// A status packet; the two-digit code as it stands there.
    Status {
        /// `StatusCode`, cut to 10 characters.
        code: String,
    },
    /// A recall, thu hồi (`BussinessDocType` 1).
    Recall,
    /// An update, cập nhật (`BussinessDocType` 2).
    Update,
    /// A replacement, thay thế (`BussinessDocType` 3).
    Replace,
}

impl std::fmt::Display for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { code } => write!(f, "status packet {code}"),
            Self::Recall => f.write_str("recall"),
            Self::Update => f.write_str("update"),
            Self::Replace => f.write_str("replacement"),
        }
    }
}

/// Why [`read_message`](crate::read_message) gave no message.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The message breaks rules; at least one diagnostic is an error.
    #[error("the edXML message is refused: {}", first_error(.diagnostics))]
    Refused {
        /// All that was found up to the end, or to the structural fault that stopped the reader; by line.
        diagnostics: Vec<Diagnostic>,
    },
    /// A well-formed packet of another kind than a new document.
    #[error("the edXML message is of the kind: {packet}; only new documents are read")]
    Unsupported {
        /// What it is.
        packet: Packet,
    },
    /// The input broke off; nothing is said about the message.
    #[error("reading the edXML message failed: {0}")]
    Input(#[source] io::Error),
    /// The sink of attachments failed; nothing is said about the message.
    #[error("storing an attachment failed: {0}")]
    Sink(#[source] io::Error),
}

impl ReadError {
    /// The stable reason; `None` where the message is not at fault: input and sink belong to the caller.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { diagnostics } => Some(reason(diagnostics)),
            Self::Unsupported { .. } => Some(Reason::BusinessUnsupported),
            Self::Input(_) | Self::Sink(_) => None,
        }
    }

    /// The refusal for interfaces and logs: codes, path and line, never a text of the message.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refusal = Refusal::new(self.reason()?, self.to_string());
        let Self::Refused { diagnostics } = self else { return Some(refusal) };
        let Some(first) = errors(diagnostics).next() else { return Some(refusal) };
        let refusal = refusal.with("rule", first.rule.code()).with("path", &first.path).with("line", first.line);
        Some(refusal.with("errors", errors(diagnostics).count()))
    }
}

fn errors(diagnostics: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
}

fn reason(diagnostics: &[Diagnostic]) -> Reason {
    match errors(diagnostics).next().map(|first| first.rule) {
        Some(Rule::TooManyAttachments) => Reason::AttachmentTooMany,
        Some(Rule::AttachmentTooLarge | Rule::ZipExpansion | Rule::MessageTooLarge) => Reason::AttachmentTooLarge,
        Some(Rule::RecipientTwice) => Reason::RecipientTwice,
        _ => Reason::RequestInvalid,
    }
}

fn first_error(diagnostics: &[Diagnostic]) -> String {
    errors(diagnostics).next().map_or_else(String::new, |first| format!("{} at line {}, {}", first.rule.code(), first.line, first.path))
}
