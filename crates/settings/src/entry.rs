//! One setting as it was read: its manual, its default, its value and where that came from. What differs between two readings.

/// When a changed setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applies {
    /// At the next start.
    AtStart,
    /// When the running process reads its settings anew.
    OnReload,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    Default,
    /// The settings file.
    File,
    /// A flag of the command line.
    Flag,
}

/// A setting with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the table, empty for the settings above all tables.
    pub section: &'static str,
    /// What the table is about.
    pub section_doc: &'static str,
    /// Name inside the table.
    pub name: &'static str,
    /// The manual: lines with a space in front, as in the source.
    pub doc: &'static str,
    /// What a value looks like.
    pub kind: &'static str,
    /// A value to show where there is none.
    pub example: &'static str,
    /// What the rule says, if anything.
    pub rule: String,
    /// When a change takes effect.
    pub applies: Applies,
    /// The default as TOML; nothing if unset.
    pub default: Option<String>,
    /// The effective value as TOML; nothing if unset.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

impl Entry {
    /// The whole name: `section.name`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// The manual as lines.
    pub fn doc_lines(&self) -> impl Iterator<Item = &'static str> {
        self.doc.lines().map(str::trim)
    }
}

/// A setting that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The whole name.
    pub key: String,
    /// When the new value takes effect.
    pub applies: Applies,
}

/// What differs between two readings of the same settings.
#[must_use]
pub fn changes(before: &[Entry], after: &[Entry]) -> Vec<Change> {
    let pairs = before.iter().zip(after).filter(|(old, new)| old.value != new.value);
    pairs.map(|(_, new)| Change { key: new.key(), applies: new.applies }).collect()
}
