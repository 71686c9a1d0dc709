//! A refusal: a stable reason, the values that were wrong, whose fault it is and what to do.

use std::fmt;

use crate::Reason;

/// Why something was not done. The reason is stable; the message may change between releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason: programs branch on this.
    pub reason: Reason,
    /// One sentence with the wrong value in it, for people and logs. Never a title, a name or a key.
    pub message: String,
    /// The values of the message by name, for programs (AIP-193: variables of the message stand in the metadata).
    pub values: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal without values yet.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), values: Vec::new() }
    }

    /// Adds a value by name.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.push((name, value.to_string()));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
