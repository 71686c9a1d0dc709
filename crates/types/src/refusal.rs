//! A refusal: a stable reason, the values that were wrong, whose fault it is and what to do.

use std::borrow::Cow;
use std::fmt;

use crate::Reason;
use crate::limits::{REFUSAL_MESSAGE_BYTES_MAX, REFUSAL_VALUE_BYTES_MAX};

/// Why something was not done. The reason is stable; the message may change between releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason: programs branch on this.
    pub reason: Reason,
    /// One sentence with the wrong value in it, for people and logs. Never a title, a name or a key.
    pub message: String,
    /// The values of the message by name, for programs (AIP-193: variables of the message stand in the metadata).
    pub values: Vec<(Cow<'static, str>, String)>,
}

impl Refusal {
    /// A refusal without values yet.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: shortened(message.into(), REFUSAL_MESSAGE_BYTES_MAX), values: Vec::new() }
    }

    /// Adds a value by name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.values.push((name.into(), shortened(value.to_string(), REFUSAL_VALUE_BYTES_MAX)));
        self
    }

    /// The value with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}

/// Wrong values come from callers and travel in headers, which have limits of their own.
fn shortened(mut text: String, limit: usize) -> String {
    const CUT: &str = "…";
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_wrote_cannot_blow_up_the_refusal() {
        let refusal = Refusal::new(Reason::RequestInvalid, "ạ".repeat(9_999)).with("found", "ạ".repeat(9_999)).with("limit", 7);
        assert!(refusal.message.len() <= REFUSAL_MESSAGE_BYTES_MAX && refusal.message.ends_with("ạ…"));
        assert!(refusal.value("found").unwrap().len() <= REFUSAL_VALUE_BYTES_MAX);
        assert_eq!(refusal.value("limit"), Some("7"));
        assert_eq!(refusal.value("other"), None);
    }
}
