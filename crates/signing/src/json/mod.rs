//! The strict JSON reader: one pass over the bytes onto a flat tape that borrows from them (`tape`), then typed getters that know their path.
//!
//! Not a general JSON library: no floats, no null, no duplicate keys, no integer from 2^53 on, bounded depth, keys and items. An object must be
//! taken apart completely: what is left is an unknown field.

mod tape;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use crate::statement::StatementError;
pub(crate) use tape::Tape;
use tape::{Kind, Node, bit};

/// Integers stay below 2^53, so that every JSON library reads them exactly (RFC 8259 section 6).
pub(crate) const INTEGER_MAX: u64 = (1 << 53) - 1;

impl<'a> Tape<'a> {
    /// The whole text as one value.
    pub(crate) fn root(&self) -> Value<'_> {
        Value { tape: self.nodes(), at: 0 }
    }
}

/// A value on a tape.
#[derive(Clone, Copy)]
pub(crate) struct Value<'t> {
    tape: &'t [Node<'t>],
    at: usize,
}

impl<'t> Value<'t> {
    fn kind(self) -> &'t Kind<'t> {
        self.tape.get(self.at).map_or(&Kind::Null, |node| &node.kind)
    }

    fn wrong(self, path: &Path<'_>, expected: &'static str) -> StatementError {
        let found = match self.kind() {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Integer(_) => "an integer",
            Kind::Negative(_) => "a negative integer",
            Kind::Float => "a fraction or a number above 2^64",
            Kind::Text(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        };
        StatementError::WrongType { path: path.to_string(), expected, found }
    }

    pub(crate) fn into_text(self, path: &Path<'_>) -> Result<&'t str, StatementError> {
        match self.kind() {
            Kind::Text(text) => Ok(text),
            _ => Err(self.wrong(path, "a text")),
        }
    }

    /// A text for people: not empty, no control characters but line feed and tab, at most `limit` bytes as it is written in JSON.
    pub(crate) fn into_limited_text(self, path: &Path<'_>, limit: usize) -> Result<String, StatementError> {
        let text = self.into_text(path)?;
        if text.is_empty() {
            return Err(StatementError::TextEmpty { path: path.to_string() });
        }
        if let Some(found) = control(text) {
            return Err(StatementError::TextControl { path: path.to_string(), found: u32::from(found) });
        }
        let found = written_bytes(text);
        if found > limit {
            return Err(StatementError::TextTooLong { path: path.to_string(), found, limit });
        }
        Ok(text.to_owned())
    }

    pub(crate) fn into_integer(self, path: &Path<'_>, limit: u64) -> Result<u64, StatementError> {
        match *self.kind() {
            Kind::Integer(found) if found <= limit => Ok(found),
            Kind::Integer(found) => Err(StatementError::IntegerTooLarge { path: path.to_string(), found, limit }),
            Kind::Negative(found) => Err(StatementError::IntegerNegative { path: path.to_string(), found }),
            _ => Err(self.wrong(path, "an integer")),
        }
    }

    pub(crate) fn into_list(self, path: &Path<'_>, limit: usize) -> Result<Items<'t>, StatementError> {
        match *self.kind() {
            Kind::List(found) if found <= limit => Ok(Items { tape: self.tape, at: self.at + 1, left: found }),
            Kind::List(found) => Err(StatementError::ListTooLong { path: path.to_string(), found, limit }),
            _ => Err(self.wrong(path, "a list")),
        }
    }
}

/// The first character that no text for people has.
fn control(text: &str) -> Option<char> {
    // Those beyond ASCII are U+0080 to U+009F, whose first byte is this one. Nearly no text has any of these bytes.
    let may_be = |byte: u8| byte.is_ascii_control() || byte == 0xc2;
    if !text.bytes().any(may_be) {
        return None;
    }
    text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'))
}

/// Items of a list that are left.
pub(crate) struct Items<'t> {
    tape: &'t [Node<'t>],
    at: usize,
    left: usize,
}

impl<'t> Iterator for Items<'t> {
    type Item = Value<'t>;

    fn next(&mut self) -> Option<Value<'t>> {
        self.left = self.left.checked_sub(1)?;
        let item = Value { tape: self.tape, at: self.at };
        self.at = self.tape.get(self.at)?.next;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

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
pub(crate) struct Object<'t, 'p> {
    tape: &'t [Node<'t>],
    /// Its first field, and what comes after its last.
    first: Place,
    end: usize,
    /// The field after the one that was taken last.
    next: Place,
    /// The [`bit`]s of its keys: most of those that a statement may have are in none.
    keys: u64,
    /// Fields that were taken, a bit each.
    taken: u64,
    path: &'p Path<'p>,
}

/// A field of an object: the how manieth it is, and where it stands.
#[derive(Clone, Copy)]
struct Place {
    number: u32,
    at: usize,
}

impl<'t, 'p> Object<'t, 'p> {
    pub(crate) fn new(value: Value<'t>, path: &'p Path<'p>) -> Result<Self, StatementError> {
        match value.tape.get(value.at) {
            Some(&Node { kind: Kind::Object(keys), next: end, .. }) => {
                let first = Place { number: 0, at: value.at + 1 };
                Ok(Self { tape: value.tape, first, end, next: first, keys, taken: 0, path })
            }
            _ => Err(value.wrong(path, "an object")),
        }
    }

    /// The value of `key`, if the object has it and it was not taken yet.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value<'t>> {
        // Fields are read in the order in which they are written: it is nearly always the next one, or not there.
        let next = self.tape.get(self.next.at).filter(|node| self.next.at < self.end && node.key == key);
        let (place, node) = match next {
            Some(node) => (self.next, node),
            None if self.keys & bit(key) == 0 => return None,
            None => self.find(|_, node| node.key == key)?,
        };
        let taken = 1 << place.number;
        if self.taken & taken != 0 {
            return None;
        }
        self.taken |= taken;
        self.next = Place { number: place.number + 1, at: node.next };
        Some(Value { tape: self.tape, at: place.at })
    }

    /// The first such field.
    fn find(&self, is: impl Fn(Place, &Node<'t>) -> bool) -> Option<(Place, &'t Node<'t>)> {
        let mut place = self.first;
        while place.at < self.end {
            let node = self.tape.get(place.at)?;
            if is(place, node) {
                return Some((place, node));
            }
            place = Place { number: place.number + 1, at: node.next };
        }
        None
    }

    /// The value of `key`.
    pub(crate) fn value(&mut self, key: &'static str) -> Result<Value<'t>, StatementError> {
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
        if items.len() == 0 {
            return Err(StatementError::ListEmpty { path: path.to_string() });
        }
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.enumerate() {
            read.push(T::from_json(item, &path.index(index))?);
        }
        Ok(read)
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
        if items.len() == 0 {
            return Err(StatementError::ListEmpty { path: path.to_string() });
        }
        let read = |(index, item): (usize, Value<'_>)| item.into_limited_text(&path.index(index), each);
        let texts = items.enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let found = texts.iter().map(|text| written_bytes(text)).sum();
        if found > together {
            return Err(StatementError::TextTooLong { path: path.to_string(), found, limit: together });
        }
        Ok(texts)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), StatementError> {
        match self.find(|place, _| self.taken & (1 << place.number) == 0) {
            None => Ok(()),
            Some((_, node)) => Err(StatementError::UnknownField { path: self.path.key(&cut(&node.key)).to_string() }),
        }
    }
}

/// At most 60 characters of a hostile text, for messages.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

impl FromJson for bool {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        match value.kind() {
            Kind::Bool(value) => Ok(*value),
            _ => Err(value.wrong(path, "a boolean")),
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
