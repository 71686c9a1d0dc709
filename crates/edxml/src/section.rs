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

    /// Whether the first child of this name says anything; nothing is reported.
    pub(crate) fn has_text(&self, name: &str) -> bool {
        self.only(name).is_some_and(|element| !element.text.is_empty())
    }

    /// The first child of exactly this name; nothing is reported.
    pub(crate) fn only(&self, name: &str) -> Option<&'a Element> {
        self.element?.children.iter().find(|child| child.name == name)
    }

    /// The attribute `id`.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.element?.id.as_deref()
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
        findings.missing(self.place(), rule, name);
    }

    /// A number above 0. Writers that have none put 0 or -1; another text is a warning and no number.
    pub(crate) fn number(&mut self, name: &'static str, findings: &mut Findings) -> Option<u32> {
        let element = self.child(name, findings)?;
        let text = text_of(element, 30, findings)?;
        match i32::from_str(&text) {
            Ok(number @ -1..) => u32::try_from(number).ok().filter(|number| *number > 0),
            _ => {
                findings.add(element.place(), Rule::NumberInvalid, &text, "-1, 0, 1, 2 …");
                None
            }
        }
    }

    /// `true` or `false`; another text is a warning and `false`.
    pub(crate) fn boolean(&mut self, name: &'static str, findings: &mut Findings) -> bool {
        let Some(element) = self.child(name, findings) else { return false };
        let Some(text) = text_of(element, 30, findings) else { return false };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                findings.add(element.place(), Rule::BooleanInvalid, &text, "true, false");
                false
            }
        }
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
                    findings.suggest(element.place(), Rule::DateImplausible, &text, "2000 … 2100", date::form(name));
                }
                Some(wire.date)
            }
            Err(DateFault::Ambiguous(one, other)) => {
                let readings = format!("{} | {}", date::canonical(one), date::canonical(other));
                findings.suggest(element.place(), Rule::DateAmbiguous, &text, date::ACCEPTED, readings);
                None
            }
            Err(DateFault::Invalid) => {
                findings.suggest(element.place(), Rule::DateInvalid, &text, date::ACCEPTED, date::suggestion(&text, name));
                None
            }
        }
    }

    pub(crate) fn code(&mut self, name: &'static str, findings: &mut Findings) -> Option<OrganisationCode> {
        let element = self.child(name, findings)?;
        code_of(element, findings)
    }

    /// Fields that are known but not kept: they stay in the message as it came.
    pub(crate) fn known(&mut self, names: &[&'static str]) {
        self.asked.extend_from_slice(names);
    }

    /// Reports what was not asked for.
    pub(crate) fn finish(self, findings: &mut Findings) {
        for child in self.element.map(|element| element.children.as_slice()).unwrap_or_default() {
            if !self.asked.iter().any(|name| child.name == *name || is_other_spelling(&child.name, name)) {
                // Ignored like other unknown elements, a misplaced recall would go out as a new document.
                if is_business(&child.name) {
                    findings.add(child.place(), Rule::BusinessMisplaced, &child.name, "TraceHeaderList/Bussiness");
                    continue;
                }
                match nearest(&child.name, &self.asked) {
                    Some(known) => findings.suggest(child.place(), Rule::ElementUnknown, &child.name, "", known.to_owned()),
                    None => findings.add(child.place(), Rule::ElementUnknown, &child.name, ""),
                }
            }
        }
    }
}

/// The block that says what is to be done, in either spelling.
fn is_business(name: &str) -> bool {
    name == "Bussiness" || name == "Business"
}

/// The known name that an unknown one was probably meant to be: at most two letters away and more alike than not.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|name| (distance(&found.to_ascii_lowercase(), &name.to_ascii_lowercase()), *name));
    distances.min().filter(|(distance, name)| *distance <= 2 && name.len() > 3 * distance).map(|(_, name)| name)
}

/// Letters to insert, delete or replace (Levenshtein). Names are at most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) long.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (index, index + 1);
        for (above, other_letter) in row.iter_mut().skip(1).zip(other.chars()) {
            let replaced = diagonal + usize::from(letter != other_letter);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
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

/// Reports a list that is longer than its limit, at its first item too many.
pub(crate) fn check_length(elements: &[&Element], limit: usize, findings: &mut Findings) {
    if let Some(first_over) = elements.get(limit) {
        findings.add(first_over.place(), Rule::ListTooLong, &elements.len().to_string(), format!("≤ {limit}"));
    }
}

/// The code of an organisation in an element's text.
pub(crate) fn code_of(element: &Element, findings: &mut Findings) -> Option<OrganisationCode> {
    let text = text_of(element, 200, findings)?;
    if let Ok(code) = text.parse() {
        return Some(code);
    }
    let plain: String = text.split_whitespace().collect::<String>().to_ascii_uppercase();
    match plain.parse::<OrganisationCode>() {
        Ok(code) => findings.suggest(element.place(), Rule::CodeInvalid, &text, "0-9 A-Z . (≤ 35)", code.to_string()),
        Err(_) => findings.add(element.place(), Rule::CodeInvalid, &text, "0-9 A-Z . (≤ 35)"),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_told_its_neighbour_and_a_strange_one_is_not() {
        let known = ["OrganId", "OrganName", "Subject", "Fax", "Code"];
        for (found, expected) in [
            ("Subjet", Some("Subject")),
            ("subject", Some("Subject")),
            ("OrganID", Some("OrganId")),
            ("OrgName", Some("OrganName")),
            ("Colour", None),
            ("Tax", None),
            ("Cod", Some("Code")),
        ] {
            assert_eq!(nearest(found, &known), expected, "{found}");
        }
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("kitten", "sitting")), (3, 3, 3));
    }
}
