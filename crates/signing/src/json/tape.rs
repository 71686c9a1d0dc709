//! From bytes to the tape: the grammar of RFC 8259, with bounds on depth, keys and items, and no key twice in an object.
//!
//! Our own three hundred lines, because every byte that anybody admits, delivers or verifies passes here: a fact about 94 recipients takes a third fewer
//! instructions than with a general parser that fills a tree through callbacks. `tests` holds it against `serde_json`.

use std::borrow::Cow;

use super::cut;
use super::text::{Text, read_text};
use crate::statement::StatementError;

/// Levels of objects and lists: the deepest statement has six, the rest is room for none. Bounds the recursion.
pub(super) const DEPTH_MAX: usize = 8;
/// Keys of one object: the largest, a document, has 26. A bit for each says whether it was taken.
pub(super) const KEYS_MAX: u32 = 40;
const _: () = assert!(KEYS_MAX <= u64::BITS, "the bits of an object's fields");
/// Items of any one list; the getters hold the narrower limits.
pub(super) const ITEMS_MAX: usize = 1_024;
/// Values for which room is made at most before the first is read: a fact about 94 recipients has 390.
const ROOM_MAX: usize = 512;

/// A JSON text that was read: all values in the order of the text, in one piece of memory.
pub(crate) struct Tape<'a>(Vec<Node<'a>>);

/// A value and its key, which is empty but in objects.
pub(super) struct Node<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) kind: Kind<'a>,
    /// Where the next value of the same object or list stands, or would.
    pub(super) next: usize,
}

/// What a value is. Numbers that statements never carry keep their kind, so that the getter can name the fault with its path.
pub(super) enum Kind<'a> {
    Null,
    Bool(bool),
    Integer(u64),
    Negative(i64),
    Float,
    Text(Cow<'a, str>),
    /// So many items follow.
    List(usize),
    /// Its fields follow; the [`bit`]s of their keys.
    Object(u64),
}

impl<'a> Tape<'a> {
    /// Reads `bytes` completely; `limit` holds before anything is parsed or allocated. `values`: how many there probably are.
    pub(crate) fn parse(bytes: &'a [u8], limit: usize, values: usize) -> Result<Self, StatementError> {
        if bytes.len() > limit {
            return Err(StatementError::TooLarge { found: bytes.len(), limit });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| StatementError::NotUtf8 { at: error.valid_up_to() })?;
        let mut reader = Reader { text, at: 0, nodes: Vec::with_capacity(values.min(ROOM_MAX)) };
        let read = reader.value(Cow::Borrowed(""), 0).and_then(|()| match reader.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::malformed()),
        });
        match read {
            Ok(()) => Ok(Self(reader.nodes)),
            Err(fault) => Err(fault.into_error(text, reader.at)),
        }
    }

    pub(super) fn nodes(&self) -> &[Node<'a>] {
        &self.0
    }
}

/// One of 64 bits, which keys of other lengths or with other letters at the ends mostly do not share.
pub(super) fn bit(key: &str) -> u64 {
    let (first, last) = (key.as_bytes().first().copied().unwrap_or(0), key.as_bytes().last().copied().unwrap_or(0));
    1 << ((key.len() * 29 + usize::from(first) * 7 + usize::from(last)) & 63)
}

/// What is wrong, and where; the path grows outwards while the fault travels up. In a box, because nearly nothing has one.
struct Fault(Box<(FaultKind, Vec<String>)>);

enum FaultKind {
    Malformed,
    Duplicate,
    TooDeep,
    TooManyKeys,
    TooManyItems,
}

impl Fault {
    fn new(kind: FaultKind) -> Self {
        Self(Box::new((kind, Vec::new())))
    }

    fn malformed() -> Self {
        Self::new(FaultKind::Malformed)
    }

    /// The same, seen from one level further out.
    fn within(mut self, step: impl FnOnce() -> String) -> Self {
        self.0.1.push(step());
        self
    }

    /// `at`: how far the reader came.
    fn into_error(self, text: &str, at: usize) -> StatementError {
        let (kind, steps) = *self.0;
        let mut path = String::new();
        for step in steps.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        match kind {
            FaultKind::Malformed => {
                let before = text.as_bytes().get(..at).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
                StatementError::Malformed { line, column }
            }
            FaultKind::Duplicate => StatementError::DuplicateKey { path },
            FaultKind::TooDeep => StatementError::TooDeep { path, limit: DEPTH_MAX },
            FaultKind::TooManyKeys => StatementError::TooManyKeys { path, limit: KEYS_MAX as usize },
            FaultKind::TooManyItems => StatementError::ListTooLong { path, found: ITEMS_MAX + 1, limit: ITEMS_MAX },
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The byte that comes next; after a fault in the grammar, the one that does not fit, or with which the word or escape begins that does not.
    at: usize,
    nodes: Vec<Node<'a>>,
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space; it is not passed.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes the byte if it is the next one that is no white space.
    fn pass(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn put(&mut self, key: Cow<'a, str>, kind: Kind<'a>) {
        let next = self.nodes.len() + 1;
        self.nodes.push(Node { key, kind, next });
    }

    /// Reads a value onto the tape. `depth`: so many objects and lists are around it.
    fn value(&mut self, key: Cow<'a, str>, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => {
                let text = self.text()?;
                self.put(key, Kind::Text(text));
                Ok(())
            }
            Some(open @ (b'{' | b'[')) => {
                let at = self.nodes.len();
                self.put(key, Kind::Null);
                if depth >= DEPTH_MAX {
                    return Err(Fault::new(FaultKind::TooDeep));
                }
                self.at += 1;
                let kind = if open == b'{' { self.fields(at, depth + 1)? } else { self.items(depth + 1)? };
                let next = self.nodes.len();
                if let Some(node) = self.nodes.get_mut(at) {
                    (node.kind, node.next) = (kind, next);
                }
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                self.put(key, number);
                Ok(())
            }
            Some(b't') => self.word("true", key, Kind::Bool(true)),
            Some(b'f') => self.word("false", key, Kind::Bool(false)),
            Some(b'n') => self.word("null", key, Kind::Null),
            _ => Err(Fault::malformed()),
        }
    }

    /// The fields of the object at `object`, its brace passed.
    fn fields(&mut self, object: usize, depth: usize) -> Result<Kind<'a>, Fault> {
        let (mut count, mut keys) = (0, 0);
        if self.pass(b'}') {
            return Ok(Kind::Object(keys));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(Fault::malformed());
            }
            let key = self.text()?;
            let bit = bit(&key);
            if keys & bit != 0 && self.has(object, &key) {
                return Err(Fault::new(FaultKind::Duplicate).within(|| cut(&key)));
            }
            if count == KEYS_MAX {
                return Err(Fault::new(FaultKind::TooManyKeys));
            }
            (count, keys) = (count + 1, keys | bit);
            if !self.pass(b':') {
                return Err(Fault::malformed());
            }
            let value = self.nodes.len();
            // The key goes with the value; when only the grammar is at fault, nobody asks for it.
            self.value(key, depth)
                .map_err(|fault| fault.within(|| self.nodes.get(value).map(|node| cut(&node.key)).unwrap_or_default()))?;
            if self.pass(b',') {
                continue;
            }
            return if self.pass(b'}') { Ok(Kind::Object(keys)) } else { Err(Fault::malformed()) };
        }
    }

    /// The items of a list, its bracket passed.
    fn items(&mut self, depth: usize) -> Result<Kind<'a>, Fault> {
        let mut count = 0;
        if self.pass(b']') {
            return Ok(Kind::List(count));
        }
        loop {
            self.value(Cow::Borrowed(""), depth).map_err(|fault| fault.within(|| format!("[{count}]")))?;
            count += 1;
            if count > ITEMS_MAX {
                return Err(Fault::new(FaultKind::TooManyItems));
            }
            if self.pass(b',') {
                continue;
            }
            return if self.pass(b']') { Ok(Kind::List(count)) } else { Err(Fault::malformed()) };
        }
    }

    /// Whether the object at `object`, whose fields are being read, has such a key already.
    fn has(&self, object: usize, key: &str) -> bool {
        let mut at = object + 1;
        while let Some(node) = self.nodes.get(at) {
            if node.key == key {
                return true;
            }
            at = node.next;
        }
        false
    }

    /// A text, which is next.
    fn text(&mut self) -> Result<Cow<'a, str>, Fault> {
        match read_text(self.text, self.at + 1) {
            Ok(Text { text, end }) => {
                self.at = end;
                Ok(text)
            }
            Err(at) => {
                self.at = at;
                Err(Fault::malformed())
            }
        }
    }

    fn word(&mut self, word: &str, key: Cow<'a, str>, kind: Kind<'a>) -> Result<(), Fault> {
        if !self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(Fault::malformed());
        }
        self.at += word.len();
        self.put(key, kind);
        Ok(())
    }

    /// A number, whose sign or first digit is next.
    fn number(&mut self) -> Result<Kind<'a>, Fault> {
        let start = self.at;
        let is_negative = self.byte() == Some(b'-');
        self.at += usize::from(is_negative);
        let first = self.at;
        let mut value = Some(0u64);
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
            self.at += 1;
        }
        // A zero in front of other digits is another spelling.
        let has_zero = self.text.as_bytes().get(first) == Some(&b'0') && self.at - first > 1;
        if self.at == first || has_zero {
            self.at = first + usize::from(has_zero);
            return Err(Fault::malformed());
        }
        if matches!(self.byte(), Some(b'.' | b'e' | b'E')) {
            return self.fraction();
        }
        match value {
            Some(value) if !is_negative => Ok(Kind::Integer(value)),
            // There is no negative zero among integers.
            Some(0) => Ok(Kind::Float),
            _ if is_negative => {
                let number = self.text.get(start..self.at).and_then(|number| number.parse().ok());
                Ok(number.map_or(Kind::Float, Kind::Negative))
            }
            _ => Ok(Kind::Float),
        }
    }

    /// What comes after the integer part of a number.
    fn fraction(&mut self) -> Result<Kind<'a>, Fault> {
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Kind::Float)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let first = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > first { Ok(()) } else { Err(Fault::malformed()) }
    }
}
