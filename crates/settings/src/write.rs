//! Writes settings: as a file with the manual in its comments, and as the table of the documentation. What is written reads back to the same values.

use std::fmt::Write as _;

use crate::{Applies, Entry, Origin};

/// What stands in a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every effective value.
    Effective,
    /// Only what was given; defaults stand in comments, so that a later release may change them.
    Given,
}

/// A settings file.
#[must_use]
pub fn write(title: &str, entries: &[Entry], style: Style) -> String {
    let mut text = format!("# {title}\n");
    let mut section = "";
    for entry in entries {
        if entry.section != section {
            section = entry.section;
            text.push('\n');
            push_comment(&mut text, entry.section_doc.lines().map(str::trim));
            text.push_str(&format!("[{section}]\n"));
        }
        text.push('\n');
        push_comment(&mut text, entry.doc_lines());
        push_comment(&mut text, std::iter::once(facts(entry).as_str()));
        text.push_str(&assignment(entry, style));
    }
    text
}

/// The one line `key = value`, in a comment where nothing is given.
fn assignment(entry: &Entry, style: Style) -> String {
    let Entry { name, value, default, origin, .. } = entry;
    match (style, origin, value) {
        (Style::Effective, _, Some(value)) | (Style::Given, Origin::File | Origin::Flag, Some(value)) => format!("{name} = {value}\n"),
        (Style::Given, Origin::Default, Some(_)) => format!("# {name} = {}\n", default.as_deref().unwrap_or(entry.example)),
        (_, _, None) => format!("# {name} = {}\n", entry.example),
    }
}

/// Kind, rule, default and effect of a setting in one line.
fn facts(entry: &Entry) -> String {
    let mut facts = format!("({}", entry.kind);
    if !entry.rule.is_empty() {
        let _infallible = write!(facts, "; {}", entry.rule);
    }
    let _infallible = write!(facts, "; {}; {})", default_words(entry), effect(entry.applies));
    facts
}

fn default_words(entry: &Entry) -> String {
    match entry.default.as_deref() {
        None => "not set by default".to_owned(),
        Some("\"\"") => "must be given".to_owned(),
        Some(default) => format!("default {default}"),
    }
}

const fn effect(applies: Applies) -> &'static str {
    match applies {
        Applies::AtStart => "read at the start only",
        Applies::OnReload => "read again by a reload",
    }
}

fn push_comment<'a>(text: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        text.push_str(&format!("# {line}\n"));
    }
}

/// The rows of a table in Markdown, one setting each.
#[must_use]
pub fn table(entries: &[Entry]) -> String {
    let mut text = "| setting | is | default | reload | meaning |\n|---|---|---|---|---|\n".to_owned();
    for entry in entries {
        let rule = if entry.rule.is_empty() { String::new() } else { format!("; {}", entry.rule) };
        let default = match entry.default.as_deref() {
            None => "not set".to_owned(),
            Some("\"\"") => "must be given".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let reload = if entry.applies == Applies::OnReload { "yes" } else { "no" };
        let doc = entry.doc_lines().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let _infallible = writeln!(text, "| `{}` | {}{rule} | {default} | {reload} | {doc} |", entry.key(), entry.kind);
    }
    text
}
