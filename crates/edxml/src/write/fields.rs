//! Elements one under the other, each value checked as it is written. What the elements mean is the callers' business.

use truc_types::Date;

use super::WriteError;
use crate::date;
use crate::message::LocalTime;
use crate::xml::is_character;

/// The largest number: readers of the field have 32 bits with a sign.
const NUMBER_MAX: u32 = i32::MAX as u32;
const INDENT: &str = "  ";

/// A part of a message that is being written, in memory.
#[derive(Debug)]
pub(super) struct Fields {
    out: String,
    open: Vec<String>,
    /// What elements are named with: `edXML:` in the envelope, nothing outside.
    prefix: &'static str,
    depth: usize,
}

impl Fields {
    /// Of an envelope.
    pub(super) const fn new() -> Self {
        Self { out: String::new(), open: Vec::new(), prefix: "edXML:", depth: 0 }
    }

    /// Of an element outside the envelope, so many elements deep.
    pub(super) const fn outside(depth: usize) -> Self {
        Self { out: String::new(), open: Vec::new(), prefix: "", depth }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// A line of text that needs no check.
    pub(super) fn line(&mut self, text: &str) {
        self.indent();
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// What follows stands one element deeper.
    pub(super) const fn deeper(&mut self) {
        self.depth += 1;
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.out.push_str(INDENT);
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        let mut path = self.open.join("/");
        if !path.is_empty() {
            path.push('/');
        }
        path + name
    }

    /// An element with others in it; without any it is left out, as the national library does.
    pub(super) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Self) -> Result<(), WriteError>) -> Result<(), WriteError> {
        self.numbered(name, 0, fill)
    }

    /// As [`element`](Self::element), for one of a list: errors name it with its number.
    pub(super) fn numbered(
        &mut self,
        name: &str,
        index: usize,
        fill: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let before = self.out.len();
        self.start(name, "");
        let empty = self.out.len();
        self.open.push(if index == 0 { name.to_owned() } else { format!("{name}[{}]", index + 1) });
        fill(self)?;
        self.open.pop();
        if self.out.len() == empty {
            self.out.truncate(before);
            self.depth = self.depth.saturating_sub(1);
        } else {
            self.end(name);
        }
        Ok(())
    }

    /// A start tag with attributes that need no check.
    pub(super) fn start(&mut self, name: &str, attributes: &str) {
        let prefix = self.prefix;
        self.line(&format!("<{prefix}{name}{attributes}>"));
        self.depth += 1;
    }

    pub(super) fn end(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        let prefix = self.prefix;
        self.line(&format!("</{prefix}{name}>"));
    }

    /// The path of errors goes on below this element.
    pub(super) fn enter(&mut self, name: &str) {
        self.open.push(name.to_owned());
    }

    pub(super) fn leave(&mut self) {
        self.open.pop();
    }

    /// A text that may be absent; empty and "N/A" are nothing for the reader and are left out.
    pub(super) fn text(&mut self, name: &str, text: Option<&str>, limit: usize) -> Result<(), WriteError> {
        if let Some(text) = text.map(str::trim).filter(|text| says_something(text)) {
            self.check(name, text, limit)?;
            self.value(name, text);
        }
        Ok(())
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, name: &str, text: &str, limit: usize) -> Result<(), WriteError> {
        if !says_something(text.trim()) {
            return Err(WriteError::Missing { field: self.path(name) });
        }
        self.text(name, Some(text), limit)
    }

    /// A number: always written, 0 for none.
    pub(super) fn number(&mut self, name: &str, number: Option<u32>) -> Result<(), WriteError> {
        let number = number.unwrap_or(0);
        if number > NUMBER_MAX {
            return Err(WriteError::OutOfRange { field: self.path(name), value: number.to_string() });
        }
        self.value(name, &number.to_string());
        Ok(())
    }

    pub(super) fn date(&mut self, name: &str, date: Option<Date>) {
        if let Some(date) = date {
            self.value(name, &date::canonical(date));
        }
    }

    pub(super) fn time(&mut self, name: &str, time: Option<LocalTime>) -> Result<(), WriteError> {
        let Some(time) = time else { return Ok(()) };
        let (0..=23, 0..=59, 0..=59) = time.time_of_day else {
            return Err(WriteError::OutOfRange { field: self.path(name), value: time.to_string() });
        };
        self.value(name, &time.to_string());
        Ok(())
    }

    /// An element with a text that was checked or needs no check.
    pub(super) fn value(&mut self, name: &str, text: &str) {
        let prefix = self.prefix;
        self.line(&format!("<{prefix}{name}>{}</{prefix}{name}>", escaped(text)));
    }

    pub(super) fn check(&self, name: &str, text: &str, limit: usize) -> Result<(), WriteError> {
        if text.len() > limit {
            return Err(WriteError::TooLong { field: self.path(name), bytes: text.len(), limit });
        }
        match text.chars().find(|character| !is_character(*character)) {
            Some(character) => Err(WriteError::Character { field: self.path(name), character }),
            None => Ok(()),
        }
    }

    pub(super) fn check_items(&self, name: &str, items: usize, limit: usize) -> Result<(), WriteError> {
        if items > limit { Err(WriteError::TooMany { field: self.path(name), items, limit }) } else { Ok(()) }
    }
}

fn says_something(text: &str) -> bool {
    !text.is_empty() && !text.eq_ignore_ascii_case("n/a")
}

/// The text with references for what XML would read otherwise: markup, quotes (attributes), and line ends that a parser would change.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}
