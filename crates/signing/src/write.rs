//! The JSON writer of statements: compact, fields in the order they are written, one spelling per value.
//!
//! Not `serde::Serialize`: the order and presence of each field is part of the format and stands in the code where it can be read.

use std::fmt;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_types::{
    AgencyCode, Date, Digest, EdgeTerm, LeafIndex, MessageId, OrganisationCode, QueuePosition, SenderSeq, Timestamp, Urgency,
};

/// What can be written as a JSON value.
pub(crate) trait ToJson {
    fn write(&self, writer: &mut Writer);
}

/// Builds one JSON text.
#[derive(Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// The bytes of one object, which are so many or fewer mostly.
    pub(crate) fn document(bytes: usize, fields: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut writer = Self { out: Vec::with_capacity(bytes) };
        writer.object(fields);
        writer.out
    }

    /// Writes an object.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.out.push(b'{');
        fields(self);
        self.out.push(b'}');
    }

    /// Writes a key; the value has to follow.
    fn key(&mut self, key: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.quoted(key);
        self.out.push(b':');
    }

    pub(crate) fn field<T: ToJson + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key);
        value.write(self);
    }

    pub(crate) fn optional<T: ToJson>(&mut self, key: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    /// Writes a nested object.
    pub(crate) fn nested(&mut self, key: &str, fields: impl FnOnce(&mut Self)) {
        self.key(key);
        self.object(fields);
    }

    /// Writes a list, empty or not.
    pub(crate) fn list<T: ToJson>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.key(key);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            item.write(self);
        }
        self.out.push(b']');
    }

    /// Writes a list, or nothing when it is empty.
    pub(crate) fn list_if_any<T: ToJson>(&mut self, key: &str, items: &[T]) {
        if !items.is_empty() {
            self.list(key, items);
        }
    }

    /// Writes a text that needs no escapes.
    fn plain(&mut self, text: &str) {
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
    }

    /// Writes a text. RFC 8259 section 7: quote, backslash and control characters are escaped, everything else is UTF-8 as it is.
    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        let mut rest = text.as_bytes();
        // Nearly always there is nothing to escape, and the text goes in one piece.
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            let (before, from) = rest.split_at(at);
            self.out.extend_from_slice(before);
            let Some((byte, after)) = from.split_first() else { break };
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', *byte]),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                control => self.out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            }
            rest = after;
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }

    /// Writes what needs no escapes, without a text of its own.
    #[expect(
        clippy::expect_used,
        reason = "a vector takes everything, and a value that cannot be written must not become an empty one in a seal"
    )]
    fn display(&mut self, value: &impl fmt::Display) {
        write!(self.out, "{value}").expect("a value that can be written");
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, writer: &mut Writer) {
        (**self).write(writer);
    }
}

impl ToJson for str {
    fn write(&self, writer: &mut Writer) {
        writer.quoted(self);
    }
}

impl ToJson for String {
    fn write(&self, writer: &mut Writer) {
        writer.quoted(self);
    }
}

impl ToJson for bool {
    fn write(&self, writer: &mut Writer) {
        writer.out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl ToJson for u64 {
    fn write(&self, writer: &mut Writer) {
        // As the standard library formats them, without its machinery: a fact about 94 recipients has a hundred numbers.
        let (mut digits, mut rest) = ([b'0'; DECIMAL_DIGITS_MAX], *self);
        let mut count = 1;
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            if rest > 0 {
                (*digit, count) = (b'0' + u8::try_from(rest % 10).unwrap_or_default(), place + 1);
                rest /= 10;
            }
        }
        writer.out.extend_from_slice(digits.split_at(DECIMAL_DIGITS_MAX - count).1);
    }
}

/// Digits of the largest number.
const DECIMAL_DIGITS_MAX: usize = 20;

impl ToJson for u32 {
    fn write(&self, writer: &mut Writer) {
        u64::from(*self).write(writer);
    }
}

impl ToJson for Urgency {
    fn write(&self, writer: &mut Writer) {
        u64::from(self.digit()).write(writer);
    }
}

/// Bytes as standard base64 with padding.
impl ToJson for [u8] {
    fn write(&self, writer: &mut Writer) {
        writer.plain(&STANDARD.encode(self));
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl ToJson for $type {
            fn write(&self, writer: &mut Writer) {
                self.0.write(writer);
            }
        }
    )*};
}
numbers!(EdgeTerm, SenderSeq, LeafIndex, QueuePosition);

macro_rules! plain_texts {
    ($($type:ty),*) => {$(
        impl ToJson for $type {
            fn write(&self, writer: &mut Writer) {
                writer.out.push(b'"');
                writer.display(self);
                writer.out.push(b'"');
            }
        }
    )*};
}
plain_texts!(MessageId, Timestamp, Date);

macro_rules! codes {
    ($($type:ty),*) => {$(
        impl ToJson for $type {
            fn write(&self, writer: &mut Writer) {
                writer.plain(self.as_str());
            }
        }
    )*};
}
codes!(AgencyCode, OrganisationCode);

impl ToJson for Digest {
    fn write(&self, writer: &mut Writer) {
        writer.out.push(b'"');
        writer.out.extend_from_slice(&self.hex_digits());
        writer.out.push(b'"');
    }
}
