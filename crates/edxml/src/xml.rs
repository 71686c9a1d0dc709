//! The hardened XML layer: elements, texts and ends with path and line, and nothing of XML that edXML does not need.
//!
//! No DOCTYPE, no entity but the five predefined ones, one root, UTF-8 only, caps on everything. It does not know what the elements mean.

use std::collections::HashMap;
use std::io::{self, BufRead};

use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Error as XmlError, Reader};

use crate::diagnostic::{Diagnostic, Place};
use crate::input::{Guard, GuardFault};
use crate::limits::{ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::rule::Rule;

/// Namespace of QCVN 102:2016.
pub(crate) const NAMESPACE: &str = "http://www.mic.gov.vn/TBT/QCVN_102_2016";

/// The references that are read, as diagnostics show them.
const ENTITIES: &str = "&lt; &gt; &amp; &apos; &quot; &#…;";

/// What ends the reading before the end of the message.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A structural fault.
    Fault(Box<Diagnostic>),
    /// The input failed.
    Input(io::Error),
    /// The sink failed.
    Sink(io::Error),
}

/// Where an element's name belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// QCVN 102:2016.
    National,
    /// None, or a prefix that nobody declared.
    Absent,
    /// Any other.
    Foreign,
}

/// One step through the message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A start tag; the local name.
    Open { name: String, namespace: Namespace },
    /// Text, or a part of it.
    Text(String),
    /// An end tag.
    Close,
    /// The end of the message.
    End,
}

/// An element that is open.
#[derive(Debug, Default)]
struct Scope {
    /// Its name with the prefix.
    tag: String,
    path_bytes: usize,
    declared: Vec<(String, Namespace)>,
    children: HashMap<String, u32>,
}

/// A message as a sequence of steps.
#[derive(Debug)]
pub(crate) struct Steps<R> {
    reader: Reader<Guard<R>>,
    buffer: Vec<u8>,
    scopes: Vec<Scope>,
    path: String,
    line: u64,
    column: u64,
    /// The attribute `id` of the last start tag.
    id: Option<String>,
    elements: usize,
    begun: bool,
    root_seen: bool,
}

impl<R: BufRead> Steps<R> {
    pub(crate) fn new(input: R) -> Self {
        let mut reader = Reader::from_reader(Guard::new(input));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        config.check_comments = true;
        config.allow_dangling_amp = false;
        Self {
            reader,
            buffer: Vec::new(),
            scopes: Vec::new(),
            path: String::new(),
            line: 1,
            column: 1,
            id: None,
            elements: 0,
            begun: false,
            root_seen: false,
        }
    }

    /// Path of the open element and place of the last step.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { path: &self.path, line: self.line, column: self.column }
    }

    /// The attribute `id` of the element that was just opened.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How many elements are open.
    pub(crate) const fn depth(&self) -> usize {
        self.scopes.len()
    }

    pub(crate) fn fault(&self, rule: Rule, found: &str, expected: impl Into<String>) -> Stop {
        Stop::Fault(Box::new(self.place().diagnostic(rule, found, expected)))
    }

    /// The next step begins here.
    fn mark(&mut self) {
        let guard = self.reader.get_ref();
        (self.line, self.column) = (guard.line(), guard.column());
    }

    /// The next step.
    pub(crate) fn next(&mut self) -> Result<Step, Stop> {
        loop {
            self.reader.get_mut().new_token();
            self.mark();
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let event = self.reader.read_event_into(&mut buffer);
            let guard = self.reader.get_ref().fault();
            let step = match (event, guard) {
                (_, Some(fault)) => Err(self.guarded(fault)),
                (Ok(event), None) => self.step(event),
                (Err(error), None) => Err(self.parser_fault(error)),
            };
            self.buffer = buffer;
            self.begun = true;
            if let Some(step) = step? {
                return Ok(step);
            }
        }
    }

    /// Hands the text up to the next tag or reference to `take`, in pieces and without keeping it; `next` goes on from there.
    pub(crate) fn stream_text(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Stop>) -> Result<(), Stop> {
        loop {
            self.reader.get_mut().new_token();
            self.mark();
            let mut stream = self.reader.stream();
            let available = match stream.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(match self.reader.get_ref().fault() {
                        Some(fault) => self.guarded(fault),
                        None => Stop::Input(error),
                    });
                }
            };
            let end = available.iter().position(|byte| matches!(byte, b'<' | b'&'));
            let text = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            let taken = text.len();
            if taken > 0 {
                take(text)?;
            }
            stream.consume(taken);
            if let Some(fault) = self.reader.get_ref().fault() {
                return Err(self.guarded(fault));
            }
            if end.is_some() || taken == 0 {
                return Ok(());
            }
        }
    }

    fn step(&mut self, event: Event<'_>) -> Result<Option<Step>, Stop> {
        match event {
            Event::Start(tag) | Event::Empty(tag) => self.open(&tag).map(Some),
            Event::End(_) => {
                if let Some(scope) = self.scopes.pop() {
                    self.path.truncate(scope.path_bytes);
                }
                Ok(Some(Step::Close))
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = self.reference(&reference)?;
                self.text(&text)
            }
            Event::Decl(declaration) => self.declaration(&declaration).map(|()| None),
            Event::Comment(_) | Event::PI(_) => Ok(None),
            Event::DocType(_) => Err(self.fault(Rule::Doctype, "<!DOCTYPE", "")),
            Event::Eof if self.depth() > 0 || !self.root_seen => Err(self.truncated()),
            Event::Eof => Ok(Some(Step::End)),
        }
    }

    /// U+FFFE and U+FFFF are UTF-8 but no XML; what is below the space never comes so far.
    fn check_characters(&self, text: &str) -> Result<(), Stop> {
        match text.chars().find(|character| !is_character(*character)) {
            Some(character) => Err(self.fault(Rule::ControlCharacter, &format!("U+{:04X}", u32::from(character)), "XML 1.0 section 2.2")),
            None => Ok(()),
        }
    }

    fn text(&self, text: &str) -> Result<Option<Step>, Stop> {
        self.check_characters(text)?;
        if !self.scopes.is_empty() {
            return Ok(Some(Step::Text(text.to_owned())));
        }
        if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() {
            return Ok(None);
        }
        Err(self.fault(if self.root_seen { Rule::TwoRoots } else { Rule::NotWellFormed }, text.trim(), "<edXML>…</edXML>"))
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<String, Stop> {
        let name = reference.xml10_content();
        let character = match &*name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => reference.resolve_char_ref().ok().flatten().filter(|character| is_character(*character)),
        };
        character.map(String::from).ok_or_else(|| self.fault(Rule::Entity, &format!("&{name};"), ENTITIES))
    }

    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), Stop> {
        if self.begun {
            return Err(self.fault(Rule::NotWellFormed, "<?xml", "<?xml …?> 1:1"));
        }
        match declaration.version() {
            Ok(version) if &*version == "1.0" => {}
            _ => return Err(self.fault(Rule::NotWellFormed, "<?xml", "version=\"1.0\"")),
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(Ok(encoding)) => Err(self.fault(Rule::Encoding, &encoding, "UTF-8")),
            Some(Err(_)) => Err(self.fault(Rule::NotWellFormed, "<?xml", "encoding=\"UTF-8\"")),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<Step, Stop> {
        let full_name = tag.name().0;
        self.check_name(full_name)?;
        if self.scopes.is_empty() && self.root_seen {
            return Err(self.fault(Rule::TwoRoots, full_name, "<edXML>…</edXML>"));
        }
        if self.depth() >= DEPTH_MAX {
            return Err(self.fault(Rule::TooDeep, full_name, format!("≤ {DEPTH_MAX}")));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(self.fault(Rule::TooManyElements, full_name, format!("≤ {ELEMENTS_MAX}")));
        }
        let declared = self.declarations(tag)?;
        let (prefix, local) = full_name.split_once(':').unwrap_or(("", full_name));
        let name = local.to_owned();
        let path_bytes = self.path.len();
        let number = self.scopes.last_mut().map_or(1, |parent| {
            let count = parent.children.entry(name.clone()).or_insert(0);
            *count += 1;
            *count
        });
        if path_bytes > 0 {
            self.path.push('/');
        }
        self.path.push_str(&name);
        if number > 1 {
            self.path.push_str(&format!("[{number}]"));
        }
        self.scopes.push(Scope { tag: full_name.to_owned(), path_bytes, declared, children: HashMap::new() });
        self.root_seen = true;
        Ok(Step::Open { namespace: self.resolve(prefix), name })
    }

    fn check_name(&self, full_name: &str) -> Result<(), Stop> {
        let mut parts = full_name.split(':');
        let is_part = |part: &str| {
            part.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
                && part.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '.'))
        };
        let valid = full_name.len() <= NAME_BYTES_MAX && parts.clone().count() <= 2 && parts.all(is_part);
        if valid {
            Ok(())
        } else {
            Err(self.fault(Rule::NotWellFormed, full_name, format!("[A-Za-z_][A-Za-z0-9_.-]*, ≤ {NAME_BYTES_MAX} bytes")))
        }
    }

    /// The namespaces that a tag declares; its `id` is kept.
    fn declarations(&mut self, tag: &BytesStart<'_>) -> Result<Vec<(String, Namespace)>, Stop> {
        let mut declared = Vec::new();
        self.id = None;
        for (index, attribute) in tag.attributes().enumerate() {
            if index >= ATTRIBUTES_MAX {
                return Err(self.fault(Rule::TooManyAttributes, tag.name().0, format!("≤ {ATTRIBUTES_MAX}")));
            }
            let attribute = attribute.map_err(|error| self.fault(Rule::NotWellFormed, &error.to_string(), "name=\"value\""))?;
            let Ok(value) = quick_xml::escape::unescape(&attribute.value) else {
                return Err(self.fault(Rule::Entity, &attribute.value, ENTITIES));
            };
            if attribute.value.contains('<') {
                return Err(self.fault(Rule::NotWellFormed, &attribute.value, "&lt;"));
            }
            self.check_characters(&value)?;
            if attribute.key.0 == "id" {
                self.id = Some(value.trim().to_owned());
            }
            let prefix = match attribute.key.0.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) => match rest.strip_prefix(':') {
                    Some(prefix) => prefix,
                    None => continue,
                },
                None => continue,
            };
            let namespace = match attribute.value.trim() {
                NAMESPACE => Namespace::National,
                "" => Namespace::Absent,
                _ => Namespace::Foreign,
            };
            declared.push((prefix.to_owned(), namespace));
        }
        Ok(declared)
    }

    fn resolve(&self, prefix: &str) -> Namespace {
        let declared = self.scopes.iter().rev().flat_map(|scope| &scope.declared);
        declared.into_iter().find(|(name, _)| name == prefix).map_or(Namespace::Absent, |(_, namespace)| *namespace)
    }

    fn guarded(&self, fault: GuardFault) -> Stop {
        match fault {
            GuardFault::MessageTooLarge => self.fault(Rule::MessageTooLarge, "", format!("≤ {MESSAGE_BYTES_MAX} bytes")),
            GuardFault::TokenTooLong => self.fault(Rule::TokenTooLong, "", format!("≤ {TOKEN_BYTES_MAX} bytes")),
            GuardFault::ControlCharacter(byte) => self.fault(Rule::ControlCharacter, &format!("U+{byte:04X}"), "XML 1.0 section 2.2"),
        }
    }

    fn parser_fault(&self, error: XmlError) -> Stop {
        let (found, expected) = match error {
            XmlError::Io(error) => return Stop::Input(io::Error::new(error.kind(), error)),
            XmlError::Encoding(_) => return self.fault(Rule::Encoding, "", "UTF-8"),
            XmlError::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => (format!("</{found}>"), format!("</{expected}>")),
            XmlError::IllFormed(IllFormedError::UnmatchedEndTag(found)) => (format!("</{found}>"), String::new()),
            XmlError::IllFormed(IllFormedError::DoubleHyphenInComment) => ("<!-- -- -->".to_owned(), "<!-- … -->".to_owned()),
            XmlError::IllFormed(IllFormedError::UnclosedReference) => ("&".to_owned(), "&amp;".to_owned()),
            XmlError::Syntax(SyntaxError::UnclosedComment) => ("<!--".to_owned(), "-->".to_owned()),
            XmlError::Syntax(SyntaxError::UnclosedCData) => ("<![CDATA[".to_owned(), "]]>".to_owned()),
            XmlError::Syntax(SyntaxError::UnclosedTag | SyntaxError::UnclosedPI | SyntaxError::UnclosedXmlDecl) => return self.truncated(),
            XmlError::Syntax(SyntaxError::UnclosedDoctype) => ("<".to_owned(), ">".to_owned()),
            other => (other.to_string(), "XML 1.0".to_owned()),
        };
        self.fault(Rule::NotWellFormed, &found, expected)
    }

    /// The message ends too early: with what it ends, and which end tags are still to come.
    fn truncated(&self) -> Stop {
        let expected = if self.root_seen { self.end_tags() } else { format!("<edXML xmlns=\"{NAMESPACE}\">…</edXML>") };
        let found = self.reader.get_ref().tail();
        let diagnostic = self.place().diagnostic(Rule::Truncated, &found, expected.clone());
        Stop::Fault(Box::new(Diagnostic { suggestion: Some(expected).filter(|tags| !tags.is_empty()), ..diagnostic }))
    }

    /// The end tags that are still to come, innermost first, as they were opened.
    fn end_tags(&self) -> String {
        self.scopes.iter().rev().map(|scope| format!("</{}>", scope.tag)).collect()
    }
}

/// What XML 1.0 section 2.2 allows.
pub(crate) const fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
