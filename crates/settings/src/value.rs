//! The types of settings: what they take of a file, and how they are written back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What stands in the file or behind a flag, before anybody says what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text.
    Text(String),
    /// A number without a fraction.
    Integer(i128),
    /// `true` or `false`.
    Boolean(bool),
    /// Anything else, by what TOML calls it.
    Other(&'static str),
}

impl Raw {
    /// The mistake of a value of another kind.
    #[must_use]
    pub fn not(&self, expected: &str) -> String {
        match self {
            Self::Text(text) => format!("is {text:?}, expected {expected}"),
            Self::Integer(number) => format!("is {number}, expected {expected}"),
            Self::Boolean(value) => format!("is {value}, expected {expected}"),
            Self::Other(kind) => format!("is of the kind {kind}, expected {expected}"),
        }
    }

    /// The text, or the mistake.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&self, expected: &str) -> Result<&str, String> {
        if let Self::Text(text) = self { Ok(text) } else { Err(self.not(expected)) }
    }
}

/// A type that settings may have.
pub trait Value: Sized {
    /// What a value looks like, for manual and mistakes.
    const KIND: &'static str;
    /// A value to show where there is none, as TOML.
    const EXAMPLE: &'static str = "\"\"";

    /// Takes what stands in the file.
    ///
    /// # Errors
    /// `is …, expected …`.
    fn from_raw(raw: &Raw) -> Result<Self, String>;

    /// The value as TOML; nothing if unset.
    fn to_toml(&self) -> Option<String>;

    /// The value seen from the folder of the file.
    #[must_use]
    fn resolve(self, _base: &Path) -> Self {
        self
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        if let Raw::Boolean(value) = raw { Ok(*value) } else { Err(raw.not(Self::KIND)) }
    }
    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for u64 {
    const KIND: &'static str = "a number";

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        let Raw::Integer(number) = raw else { return Err(raw.not(Self::KIND)) };
        Self::try_from(*number).map_err(|_| raw.not("a number that is not negative"))
    }
    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    const KIND: &'static str = "a text";

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        raw.text(Self::KIND).map(str::to_owned)
    }
    fn to_toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Value for SocketAddr {
    const KIND: &'static str = "an address like \"127.0.0.1:7443\"";
    const EXAMPLE: &'static str = "\"127.0.0.1:9443\"";

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        raw.text(Self::KIND)?.parse().map_err(|_| raw.not(Self::KIND))
    }
    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// Relative paths are seen from the folder of the settings file, or from the current folder if a flag gives them.
impl Value for PathBuf {
    const KIND: &'static str = "a path";
    const EXAMPLE: &'static str = "\"/path\"";

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw.text(Self::KIND)? {
            "" => Err(raw.not(Self::KIND)),
            text => Ok(Self::from(text)),
        }
    }
    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
    fn resolve(self, base: &Path) -> Self {
        // Components take `.` away; links are followed by who opens the path, not here.
        base.join(self).components().collect()
    }
}

/// A setting that may be unset.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        T::from_raw(raw).map(Some)
    }
    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(T::to_toml)
    }
    fn resolve(self, base: &Path) -> Self {
        self.map(|value| value.resolve(base))
    }
}

/// A basic string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
