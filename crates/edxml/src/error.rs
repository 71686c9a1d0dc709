//! Why a message was not read.

use std::io;

use truc_types::{Reason, Refusal};

use crate::diagnostic::Diagnostic;
use crate::rule::{Rule, Severity};

/// Why [`read_message`](crate::read_message) gave no message.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The message breaks rules; at least one diagnostic is an error.
    #[error("the edXML message is refused: {}", first_error(.diagnostics))]
    Refused {
        /// All that was found up to the end, or to the structural fault that stopped the reader; by line.
        diagnostics: Vec<Diagnostic>,
        /// How many more there were than [`DIAGNOSTICS_MAX`](crate::limits::DIAGNOSTICS_MAX).
        more: u64,
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
            Self::Refused { diagnostics, .. } => Some(reason(diagnostics)),
            Self::Input(_) | Self::Sink(_) => None,
        }
    }

    /// The refusal for interfaces and logs: codes, path and line, never a text of the message.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let refusal = Refusal::new(self.reason()?, self.to_string());
        let Self::Refused { diagnostics, .. } = self else { return Some(refusal) };
        let Some(first) = errors(diagnostics).next() else { return Some(refusal) };
        let refusal =
            refusal.with("rule", first.rule.code()).with("path", &first.path).with("line", first.line).with("column", first.column);
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
        _ => Reason::EdxmlInvalid,
    }
}

fn first_error(diagnostics: &[Diagnostic]) -> String {
    errors(diagnostics).next().map_or_else(String::new, |first| format!("{} at {}", first.rule.code(), first.place()))
}
