//! Reads a settings file against its declaration. Goes on after a mistake, so that one run shows all of them; touches nothing but what rules look at.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Applies, Entry, Mistake, Mistakes, Origin, Raw, Rule, Section, Value};

/// A settings file of hundreds of long lines has under 64 KiB; a mistaken file is not read whole.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// A key that differs in more than a third of its letters was meant as something else.
const TYPING_ERRORS_SHARE: usize = 3;

/// A value from a flag, which overrules the file.
#[derive(Debug, Clone)]
pub struct Override {
    /// The whole name of the setting.
    pub key: &'static str,
    /// The value.
    pub value: Raw,
}

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The settings file.
    pub file: PathBuf,
    /// Flags.
    pub overrides: Vec<Override>,
}

/// Settings without a mistake.
#[derive(Debug, Clone)]
pub struct Loaded<S> {
    /// The values.
    pub settings: S,
    /// The same with their manual, in the order of their declaration.
    pub entries: Vec<Entry>,
}

/// One setting as declared.
pub struct Field<T> {
    /// Its name in its table.
    pub name: &'static str,
    /// Its manual.
    pub doc: &'static str,
    /// Its value when nobody gives one.
    pub default: T,
    /// When a change takes effect.
    pub applies: Applies,
    /// What it must fulfil.
    pub rule: Rule<T>,
}

/// Reads a file.
///
/// # Errors
/// All mistakes at once.
pub fn load<S: Section>(source: &Source) -> Result<Loaded<S>, Mistakes> {
    let unread = |message: String| Mistakes::of_file(source.file.clone(), message);
    let file = std::fs::File::open(&source.file).map_err(|cause| unread(cause.to_string()))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|cause| unread(cause.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unread(format!("has more than {FILE_BYTES_MAX} bytes, which no settings file needs")));
    }
    let base = source.file.parent().unwrap_or(Path::new(""));
    let base = std::path::absolute(if base.as_os_str().is_empty() { Path::new(".") } else { base });
    let base = base.map_err(|cause| unread(cause.to_string()))?;
    read(&text, &source.file, &base, &source.overrides)
}

/// A new settings file: what `given` says, and every other setting with its default in a comment.
///
/// # Errors
/// When what is given is wrong.
pub fn compose<S: Section>(title: &str, file: &Path, given: &[Override]) -> Result<(String, S), Mistakes> {
    let base = std::path::absolute(file).map_err(|cause| Mistakes::of_file(file.to_owned(), cause.to_string()))?;
    let made: Loaded<S> = read("", file, base.parent().unwrap_or(Path::new("/")), given)?;
    Ok((crate::write(title, &made.entries, crate::Style::Given), made.settings))
}

/// Reads a text as if it were the file.
pub(crate) fn read<S: Section>(text: &str, file: &Path, base: &Path, overrides: &[Override]) -> Result<Loaded<S>, Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    let mut reader = Reader {
        text,
        base,
        overrides,
        root: &table,
        section: "",
        section_doc: "",
        sections: BTreeSet::new(),
        entries: Vec::new(),
        mistakes: Vec::new(),
    };
    for error in errors {
        let start = error.span().map(|span| span.start);
        reader.mistake(String::new(), start, format!("this is no TOML: {}", error.message()));
    }
    let settings = S::read(&mut reader);
    reader.refuse_unknown_keys();
    let Reader { entries, mut mistakes, .. } = reader;
    if mistakes.is_empty() {
        return Ok(Loaded { settings, entries });
    }
    mistakes.sort_by_key(|mistake| (mistake.line.is_none(), mistake.line, mistake.column));
    Err(Mistakes { file: file.to_owned(), mistakes })
}

/// The reading of one file.
pub struct Reader<'a> {
    text: &'a str,
    base: &'a Path,
    overrides: &'a [Override],
    root: &'a DeTable<'a>,
    section: &'static str,
    section_doc: &'static str,
    sections: BTreeSet<&'static str>,
    entries: Vec<Entry>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// Reads one setting.
    pub fn setting<T: Value>(&mut self, field: Field<T>) -> T {
        let Field { name, doc, default, applies, rule } = field;
        let mut entry = Entry {
            section: self.section,
            section_doc: self.section_doc,
            name,
            doc,
            kind: T::KIND,
            example: T::EXAMPLE,
            rule: rule.says,
            applies,
            default: default.to_toml(),
            value: None,
            origin: Origin::Default,
        };
        let key = entry.key();
        let (given, start, origin) = self.given(&key, name);
        entry.origin = origin;
        let value = match given.as_ref().map(T::from_raw) {
            None => default.resolve(self.base),
            // A flag is given where the person stands, not where the file lies.
            Some(Ok(value)) if origin == Origin::Flag => value.resolve(&std::path::absolute(".").unwrap_or_default()),
            Some(Ok(value)) => value.resolve(self.base),
            Some(Err(message)) => {
                self.mistake(key.clone(), start, message);
                default.resolve(self.base)
            }
        };
        // A value that was replaced by the default is said to be wrong already.
        if self.mistakes.last().is_none_or(|mistake| mistake.key != key)
            && let Err(message) = (rule.check)(&value)
        {
            self.mistake(key, start, message);
        }
        entry.value = value.to_toml();
        self.entries.push(entry);
        value
    }

    /// Reads a table of settings.
    pub fn section<S>(&mut self, name: &'static str, doc: &'static str, read: impl FnOnce(&mut Self) -> S) -> S {
        self.sections.insert(name);
        if let Some((key, value)) = self.root.get_key_value(name)
            && !value.get_ref().is_table()
        {
            let start = key.span().start;
            self.mistake(
                name.to_owned(),
                Some(start),
                format!("is of the kind {}, expected a table: [{name}]", value.get_ref().type_str()),
            );
        }
        (self.section, self.section_doc) = (name, doc);
        let settings = read(self);
        (self.section, self.section_doc) = ("", "");
        settings
    }

    /// What a flag or the file gives, and where.
    fn given(&self, key: &str, name: &str) -> (Option<Raw>, Option<usize>, Origin) {
        if let Some(flag) = self.overrides.iter().find(|flag| flag.key == key) {
            return (Some(flag.value.clone()), None, Origin::Flag);
        }
        let table = if self.section.is_empty() {
            Some(self.root)
        } else {
            self.root.get(self.section).and_then(|section| section.get_ref().as_table())
        };
        match table.and_then(|table| table.get(name)) {
            Some(value) => (Some(raw(value.get_ref())), Some(value.span().start), Origin::File),
            None => (None, None, Origin::Default),
        }
    }

    fn refuse_unknown_keys(&mut self) {
        let known: BTreeSet<String> = self.entries.iter().map(Entry::key).collect();
        let mut unknown = Vec::new();
        for (name, value) in self.root {
            match value.get_ref().as_table() {
                Some(table) if self.sections.contains(name.get_ref().as_ref()) => {
                    let inner = table.keys().map(|inner| (format!("{}.{}", name.get_ref(), inner.get_ref()), inner));
                    unknown.extend(inner.filter(|(key, _)| !known.contains(key)));
                }
                _ if known.contains(name.get_ref().as_ref()) || self.sections.contains(name.get_ref().as_ref()) => {}
                _ => unknown.push((name.get_ref().to_string(), name)),
            }
        }
        let names: Vec<&str> = known.iter().map(String::as_str).chain(self.sections.iter().copied()).collect();
        let found: Vec<_> =
            unknown.into_iter().map(|(key, name): (String, &Spanned<_>)| (nearest(&key, &names), key, name.span().start)).collect();
        for (nearest, key, start) in found {
            let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            self.mistake(key, Some(start), format!("there is no such setting{hint}"));
        }
    }

    fn mistake(&mut self, key: String, start: Option<usize>, message: String) {
        let place = start.map(|start| place(self.text, start));
        self.mistakes.push(Mistake { key, line: place.map(|(line, _)| line), column: place.map(|(_, column)| column), message });
    }
}

/// Line and column of a byte, both from 1.
fn place(text: &str, start: usize) -> (usize, usize) {
    let before = text.get(..start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other("number"), Raw::Integer),
        other => Raw::Other(other.type_str()),
    }
}

/// The known name that somebody who types badly may have meant: by its whole name, or by its name inside its table.
fn nearest<'a>(key: &str, names: &[&'a str]) -> Option<&'a str> {
    let leaf = |name: &'a str| name.rsplit('.').next().unwrap_or(name);
    let own_leaf = key.rsplit('.').next().unwrap_or(key);
    let distance = |name: &'a str| {
        let whole = strsim::damerau_levenshtein(key, name);
        // In the wrong table is one more mistake.
        whole.min(strsim::damerau_levenshtein(own_leaf, leaf(name)) + usize::from(key != name))
    };
    let (distance, name) = names.iter().map(|name| (distance(name), *name)).min()?;
    (distance <= (own_leaf.chars().count() / TYPING_ERRORS_SHARE).max(1)).then_some(name)
}
