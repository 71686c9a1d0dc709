//! The strict JSON reader: one pass of `serde_json` into a small tree that borrows from the input, then typed getters that know their path.
//!
//! Not a general JSON library: no floats, no null, no duplicate keys, no integer from 2^53 on, bounded depth, keys and items. An object must be
//! taken apart completely: what is left is an unknown field.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::statement::StatementError;

/// Levels of objects and lists: the deepest statement has six, the rest is room for none.
const DEPTH_MAX: usize = 8;
/// Keys of one object: the largest, a document, has 26. Bounds the quadratic search for duplicates.
const KEYS_MAX: usize = 40;
/// Items of any one list; the getters hold the narrower limits.
const ITEMS_MAX: usize = 1_024;
/// Integers stay below 2^53, so that every JSON library reads them exactly (RFC 8259 section 6).
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A JSON value. Numbers that statements never carry keep their kind, so that the getter can name the fault with its path.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Integer(u64),
    Negative(i64),
    Float,
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Value<'a> {
    /// Reads `bytes` completely; `limit` holds before anything is parsed or allocated.
    pub(crate) fn parse(bytes: &'a [u8], limit: usize) -> Result<Self, StatementError> {
        if bytes.len() > limit {
            return Err(StatementError::TooLarge { found: bytes.len(), limit });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| StatementError::NotUtf8 { at: error.valid_up_to() })?;
        let fault = RefCell::new(None);
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Seed { depth: 0, fault: &fault }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        value.map_err(|error| {
            let malformed = || StatementError::Malformed { line: error.line(), column: error.column() };
            fault.into_inner().map_or_else(malformed, Fault::into_error)
        })
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Negative(_) => "a negative integer",
            Self::Float => "a fraction or a number above 2^64",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    fn wrong(&self, path: &Path<'_>, expected: &'static str) -> StatementError {
        StatementError::WrongType { path: path.to_string(), expected, found: self.kind() }
    }

    pub(crate) fn into_text(self, path: &Path<'_>) -> Result<Cow<'a, str>, StatementError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.wrong(path, "a text")),
        }
    }

    /// A text for people: not empty, no control characters but line feed and tab, at most `limit` bytes as it is written in JSON.
    pub(crate) fn into_limited_text(self, path: &Path<'_>, limit: usize) -> Result<String, StatementError> {
        let text = self.into_text(path)?;
        if text.is_empty() {
            return Err(StatementError::TextEmpty { path: path.to_string() });
        }
        if let Some(found) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(StatementError::TextControl { path: path.to_string(), found: u32::from(found) });
        }
        let found = written_bytes(&text);
        if found > limit {
            return Err(StatementError::TextTooLong { path: path.to_string(), found, limit });
        }
        Ok(text.into_owned())
    }

    pub(crate) fn into_integer(self, path: &Path<'_>, limit: u64) -> Result<u64, StatementError> {
        match self {
            Self::Integer(found) if found <= limit => Ok(found),
            Self::Integer(found) => Err(StatementError::IntegerTooLarge { path: path.to_string(), found, limit }),
            Self::Negative(found) => Err(StatementError::IntegerNegative { path: path.to_string(), found }),
            other => Err(other.wrong(path, "an integer")),
        }
    }

    pub(crate) fn into_list(self, path: &Path<'_>, limit: usize) -> Result<Vec<Self>, StatementError> {
        match self {
            Self::List(items) if items.len() <= limit => Ok(items),
            Self::List(items) => Err(StatementError::ListTooLong { path: path.to_string(), found: items.len(), limit }),
            other => Err(other.wrong(path, "a list")),
        }
    }
}

/// Bytes of a text as [`crate::write`] writes it: a quote, a backslash, a line feed and a tab take two.
#[must_use]
pub(crate) fn written_bytes(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\t')).count()
}

/// Where a value stands, from the root: `predicate.attachments[3].name`. A chain on the stack, spelled out only when something is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(crate) const ROOT: Self = Path { parent: None, step: Step::Root };

    pub(crate) const fn key(&'p self, key: &'p str) -> Self {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    pub(crate) const fn index(&'p self, index: usize) -> Self {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) if self.parent.is_none_or(|parent| matches!(parent.step, Step::Root)) => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// What can be read from a JSON value.
pub(crate) trait FromJson: Sized {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError>;
}

/// A JSON object that is being taken apart.
pub(crate) struct Object<'a, 'p> {
    fields: Vec<(Cow<'a, str>, Value<'a>)>,
    path: &'p Path<'p>,
}

impl<'a, 'p> Object<'a, 'p> {
    pub(crate) fn new(value: Value<'a>, path: &'p Path<'p>) -> Result<Self, StatementError> {
        match value {
            Value::Object(fields) => Ok(Self { fields, path }),
            other => Err(other.wrong(path, "an object")),
        }
    }

    /// The value of `key`, if the object has it.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value<'a>> {
        let at = self.fields.iter().position(|(name, _)| name == key)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// The value of `key`.
    pub(crate) fn value(&mut self, key: &'static str) -> Result<Value<'a>, StatementError> {
        self.take(key).ok_or_else(|| StatementError::MissingField { path: self.path.key(key).to_string() })
    }

    pub(crate) fn required<T: FromJson>(&mut self, key: &'static str) -> Result<T, StatementError> {
        let value = self.value(key)?;
        T::from_json(value, &self.path.key(key))
    }

    pub(crate) fn optional<T: FromJson>(&mut self, key: &'static str) -> Result<Option<T>, StatementError> {
        self.take(key).map(|value| T::from_json(value, &self.path.key(key))).transpose()
    }

    pub(crate) fn text(&mut self, key: &'static str, limit: usize) -> Result<String, StatementError> {
        let value = self.value(key)?;
        value.into_limited_text(&self.path.key(key), limit)
    }

    pub(crate) fn optional_text(&mut self, key: &'static str, limit: usize) -> Result<Option<String>, StatementError> {
        self.take(key).map(|value| value.into_limited_text(&self.path.key(key), limit)).transpose()
    }

    /// A list of at most `limit` items; an absent key is an empty list, an empty list that is written out is refused: one spelling each.
    pub(crate) fn list<T: FromJson>(&mut self, key: &'static str, limit: usize) -> Result<Vec<T>, StatementError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let path = self.path.key(key);
        let items = value.into_list(&path, limit)?;
        if items.is_empty() {
            return Err(StatementError::ListEmpty { path: path.to_string() });
        }
        items.into_iter().enumerate().map(|(index, item)| T::from_json(item, &path.index(index))).collect()
    }

    /// A list that must be there and not be empty.
    pub(crate) fn required_list<T: FromJson>(&mut self, key: &'static str, limit: usize) -> Result<Vec<T>, StatementError> {
        let items = self.list(key, limit)?;
        if items.is_empty() {
            return Err(StatementError::MissingField { path: self.path.key(key).to_string() });
        }
        Ok(items)
    }

    /// A list of texts with a limit for each and one for all of them together.
    pub(crate) fn texts(&mut self, key: &'static str, limit: usize, each: usize, together: usize) -> Result<Vec<String>, StatementError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let path = self.path.key(key);
        let items = value.into_list(&path, limit)?;
        if items.is_empty() {
            return Err(StatementError::ListEmpty { path: path.to_string() });
        }
        let read = |(index, item): (usize, Value<'a>)| item.into_limited_text(&path.index(index), each);
        let texts = items.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let found = texts.iter().map(|text| written_bytes(text)).sum();
        if found > together {
            return Err(StatementError::TextTooLong { path: path.to_string(), found, limit: together });
        }
        Ok(texts)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), StatementError> {
        match self.fields.first() {
            None => Ok(()),
            Some((key, _)) => Err(StatementError::UnknownField { path: self.path.key(&cut(key)).to_string() }),
        }
    }
}

/// At most 60 characters of a hostile text, for messages.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

impl FromJson for bool {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        match value {
            Value::Bool(value) => Ok(value),
            other => Err(other.wrong(path, "a boolean")),
        }
    }
}

impl FromJson for u64 {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        value.into_integer(path, INTEGER_MAX)
    }
}

impl FromJson for u32 {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        value.into_integer(path, u64::from(Self::MAX)).map(|value| Self::try_from(value).unwrap_or(Self::MAX))
    }
}

/// A fault met inside the visitor; its path grows outwards while the error travels up.
struct Fault {
    kind: FaultKind,
    path: Vec<String>,
}

enum FaultKind {
    Duplicate,
    TooDeep,
    TooManyKeys,
    TooManyItems,
}

impl Fault {
    fn into_error(self) -> StatementError {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        match self.kind {
            FaultKind::Duplicate => StatementError::DuplicateKey { path },
            FaultKind::TooDeep => StatementError::TooDeep { path, limit: DEPTH_MAX },
            FaultKind::TooManyKeys => StatementError::TooManyKeys { path, limit: KEYS_MAX },
            FaultKind::TooManyItems => StatementError::ListTooLong { path, found: ITEMS_MAX + 1, limit: ITEMS_MAX },
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'f> {
    depth: usize,
    fault: &'f RefCell<Option<Fault>>,
}

impl Seed<'_> {
    fn fail<E: serde::de::Error>(self, kind: FaultKind, step: Option<String>) -> E {
        *self.fault.borrow_mut() = Some(Fault { kind, path: step.into_iter().collect() });
        E::custom("refused")
    }

    /// Adds the step on the way out, if the error is a fault of ours.
    fn outwards<E>(self, error: E, step: impl FnOnce() -> String) -> E {
        if let Some(fault) = self.fault.borrow_mut().as_mut() {
            fault.path.push(step());
        }
        error
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fail(FaultKind::TooDeep, None));
        }
        Ok(Self { depth: self.depth + 1, fault: self.fault })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value<'de>;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        loop {
            match list.next_element_seed(inner) {
                Ok(Some(_)) if items.len() >= ITEMS_MAX => return Err(self.fail(FaultKind::TooManyItems, None)),
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(Value::List(items)),
                Err(error) => return Err(self.outwards(error, || format!("[{}]", items.len()))),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut fields: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if fields.iter().any(|(name, _)| *name == key) {
                return Err(self.fail(FaultKind::Duplicate, Some(cut(&key))));
            }
            if fields.len() >= KEYS_MAX {
                return Err(self.fail(FaultKind::TooManyKeys, None));
            }
            match map.next_value_seed(inner) {
                Ok(value) => fields.push((key, value)),
                Err(error) => return Err(self.outwards(error, || cut(&key))),
            }
        }
        Ok(Value::Object(fields))
    }
}

struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}
