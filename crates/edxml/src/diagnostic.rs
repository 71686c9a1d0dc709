//! Diagnostics: what is wrong with a message, where, and what would be right. Collecting them is done here, deciding on them is not.

use std::fmt;

use crate::limits::{DIAGNOSTICS_MAX, FOUND_CHARACTERS_MAX};
use crate::rule::{Rule, Severity};

/// One finding about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning, as the rule says.
    pub severity: Severity,
    /// The rule that was broken; its code is stable.
    pub rule: Rule,
    /// Local names from the root, joined by `/`; from the second sibling of a name on with its number: `…/To[2]/OrganId`.
    pub path: String,
    /// Line of the start tag (or of the fault), from 1.
    pub line: u64,
    /// Column of the same, from 1, in characters.
    pub column: u64,
    /// What stands there, cut to 60 characters. May hold personal data: for the sender, not for logs.
    pub found: String,
    /// What would be right, in a form that needs no translation: an element, a pattern, a limit.
    pub expected: String,
    /// What to write instead: a value, an element, or two values with ` | ` between them where only the writer knows which is meant.
    pub suggestion: Option<String>,
}

/// The two languages of a message.
struct Words {
    line: &'static str,
    found: &'static str,
    expected: &'static str,
    suggestion: &'static str,
}

const ENGLISH: Words = Words { line: "line", found: "found", expected: "expected", suggestion: "write" };
const VIETNAMESE: Words = Words { line: "dòng", found: "gặp", expected: "cần", suggestion: "nên viết" };

impl Diagnostic {
    /// One sentence in English.
    #[must_use]
    pub fn message_en(&self) -> String {
        self.message(&ENGLISH, self.rule.english())
    }

    /// One sentence in Vietnamese.
    #[must_use]
    pub fn message_vi(&self) -> String {
        self.message(&VIETNAMESE, self.rule.vietnamese())
    }

    /// Line, column and path, the last if there is one: `12:5, edXML/edXMLEnvelope`.
    pub(crate) fn place(&self) -> String {
        let separator = if self.path.is_empty() { "" } else { ", " };
        format!("{}:{}{separator}{}", self.line, self.column, self.path)
    }

    fn message(&self, words: &Words, what: &str) -> String {
        let mut text = format!("{} {}: {what}", words.line, self.place());
        if !self.found.is_empty() {
            text.push_str(&format!("; {} {:?}", words.found, self.found));
        }
        if !self.expected.is_empty() {
            text.push_str(&format!("; {} {}", words.expected, self.expected));
        }
        if let Some(suggestion) = &self.suggestion {
            text.push_str(&format!("; {} {suggestion}", words.suggestion));
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.code(), self.message_en())
    }
}

/// The first characters of a value, with a sign where it goes on.
fn cut(value: &str) -> String {
    let mut characters = value.chars();
    let mut kept: String = characters.by_ref().take(FOUND_CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

/// A place in a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Place<'_> {
    pub(crate) fn diagnostic(self, rule: Rule, found: &str, expected: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: rule.severity(),
            rule,
            path: self.path.to_owned(),
            line: self.line,
            column: self.column,
            found: cut(found),
            expected: expected.into(),
            suggestion: None,
        }
    }
}

/// Everything found so far, at most [`DIAGNOSTICS_MAX`] of it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Diagnostic>,
    lost: u64,
    refused: bool,
}

impl Findings {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            // The first error is kept even when warnings filled the list: a refusal always says why.
            if !self.refused && self.kept.len() >= DIAGNOSTICS_MAX {
                self.kept.pop();
                self.lost += 1;
            }
            self.refused = true;
        }
        if self.kept.len() < DIAGNOSTICS_MAX {
            self.kept.push(diagnostic);
        } else {
            self.lost += 1;
        }
    }

    pub(crate) fn add(&mut self, place: Place<'_>, rule: Rule, found: &str, expected: impl Into<String>) {
        self.push(place.diagnostic(rule, found, expected));
    }

    pub(crate) fn suggest(&mut self, place: Place<'_>, rule: Rule, found: &str, expected: &str, suggestion: String) {
        self.push(Diagnostic { suggestion: Some(suggestion), ..place.diagnostic(rule, found, expected) });
    }

    /// Something that has to be there is not; the suggestion is the element to write.
    pub(crate) fn missing(&mut self, place: Place<'_>, rule: Rule, name: &str) {
        self.suggest(place, rule, "", name, format!("<edXML:{name}>…</edXML:{name}>"));
    }

    pub(crate) const fn refused(&self) -> bool {
        self.refused
    }

    /// The diagnostics in the order of their places, and how many more there were.
    pub(crate) fn into_sorted(mut self) -> (Vec<Diagnostic>, u64) {
        self.kept.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        (self.kept, self.lost)
    }
}
