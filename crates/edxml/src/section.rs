//! One element's fields by name: each is asked for once, checked, and what nobody asked for is reported as unknown.

use std::str::FromStr;

use truc_types::{Date, OrganisationCode};

use crate::date::{self, DateFault};
use crate::diagnostic::{Findings, Place};
use crate::rule::Rule;
use crate::tree::Element;

/// An element that is being read, or the absence of one: then every field is absent too.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    element: Option<&'a Element>,
    fallback: Place<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(element: &'a Element) -> Self {
        Self { element: Some(element), fallback: element.place(), asked: Vec::new() }
    }

    pub(crate) const fn exists(&self) -> bool {
        self.element.is_some()
    }

    pub(crate) fn place(&self) -> Place<'a> {
        self.element.map_or(self.fallback, Element::place)
    }

    /// The child of this name; more than one is an error, the first counts.
    pub(crate) fn child(&mut self, name: &'static str, findings: &mut Findings) -> Option<&'a Element> {
        let mut children = self.children(name, findings).into_iter();
        let first = children.next();
        if let Some(second) = children.next() {
            findings.add(second.place(), Rule::ElementRepeated, name, "1");
        }
        first
    }

    /// All children of this name. `Business…` is read as `Bussiness…`, which is the name on the wire.
    pub(crate) fn children(&mut self, name: &'static str, findings: &mut Findings) -> Vec<&'a Element> {
        self.asked.push(name);
        let mut found = Vec::new();
        for child in self.element.map(|element| element.children.as_slice()).unwrap_or_default() {
            if child.name == name {
                found.push(child);
            } else if is_other_spelling(&child.name, name) {
                findings.suggest(child.place(), Rule::BusinessSpelling, &child.name, name, name.to_owned());
                found.push(child);
            }
        }
        found
    }

    pub(crate) fn section(&mut self, name: &'static str, findings: &mut Findings) -> Self {
        let element = self.child(name, findings);
        Self { element, fallback: self.place(), asked: Vec::new() }
    }

    /// The text of a child, if it says anything; at most `limit` bytes.
    pub(crate) fn text(&mut self, name: &'static str, limit: usize, findings: &mut Findings) -> Option<String> {
        let element = self.child(name, findings)?;
        text_of(element, limit, findings)
    }

    /// A text that has to be there.
    pub(crate) fn required(&mut self, name: &'static str, limit: usize, findings: &mut Findings) -> Option<String> {
        let text = self.text(name, limit, findings);
        if text.is_none() {
            self.report_missing(Rule::Missing, name, findings);
        }
        text
    }

    pub(crate) fn report_missing(&self, rule: Rule, name: &'static str, findings: &mut Findings) {
        findings.add(self.place(), rule, "", name);
    }

    /// A number; another text is a warning and no number.
    pub(crate) fn number(&mut self, name: &'static str, findings: &mut Findings) -> Option<i32> {
        let element = self.child(name, findings)?;
        let text = text_of(element, 30, findings)?;
        let number = i32::from_str(&text).ok();
        if number.is_none() {
            findings.add(element.place(), Rule::NumberInvalid, &text, "-1, 0, 1, 2 …");
        }
        number
    }

    pub(crate) fn date(&mut self, name: &'static str, findings: &mut Findings) -> Option<Date> {
        let element = self.child(name, findings)?;
        let text = text_of(element, 100, findings)?;
        match date::parse(&text) {
            Ok(wire) => {
                if !wire.canonical {
                    findings.suggest(element.place(), Rule::DateSpelling, &text, "yyyy/MM/dd", date::canonical(wire.date));
                }
                if !(2000..=2100).contains(&wire.date.parts().0) {
                    findings.add(element.place(), Rule::DateImplausible, &text, "2000 … 2100");
                }
                Some(wire.date)
            }
            Err(fault) => {
                let rule = if fault == DateFault::Ambiguous { Rule::DateAmbiguous } else { Rule::DateInvalid };
                findings.add(element.place(), rule, &text, date::ACCEPTED);
                None
            }
        }
    }

    pub(crate) fn code(&mut self, name: &'static str, findings: &mut Findings) -> Option<OrganisationCode> {
        let element = self.child(name, findings)?;
        let text = text_of(element, 200, findings)?;
        let code = text.parse();
        if code.is_err() {
            findings.add(element.place(), Rule::CodeInvalid, &text, "0-9 A-Z . (≤ 35)");
        }
        code.ok()
    }

    /// Fields that are known but not kept: they stay in the message as it came.
    pub(crate) fn known(&mut self, names: &[&'static str]) {
        self.asked.extend_from_slice(names);
    }

    /// Reports what was not asked for.
    pub(crate) fn finish(self, findings: &mut Findings) {
        for child in self.element.map(|element| element.children.as_slice()).unwrap_or_default() {
            if !self.asked.iter().any(|name| child.name == *name || is_other_spelling(&child.name, name)) {
                findings.add(child.place(), Rule::ElementUnknown, &child.name, "");
            }
        }
    }
}

fn is_other_spelling(found: &str, name: &str) -> bool {
    name.strip_prefix("Bussiness").is_some_and(|rest| found.strip_prefix("Business") == Some(rest))
}

/// The text of an element, `None` for empty and "N/A".
pub(crate) fn text_of(element: &Element, limit: usize, findings: &mut Findings) -> Option<String> {
    if let Some(child) = element.children.first() {
        findings.add(child.place(), Rule::ElementMisplaced, &child.name, "text");
    }
    if element.text.is_empty() {
        return None;
    }
    if element.text.eq_ignore_ascii_case("n/a") {
        findings.add(element.place(), Rule::NullText, &element.text, "");
        return None;
    }
    if element.text.len() > limit {
        findings.add(element.place(), Rule::TextTooLong, &element.text, format!("≤ {limit} bytes"));
    }
    Some(element.text.clone())
}
