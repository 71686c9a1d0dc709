//! Finding values in JSON as our writer writes it: no white space between values, no escapes in names and in what is read. Not a check: what is passed
//! over is only followed to its end, and whatever looks otherwise is `None`, so that the caller turns to the strict reader.

use std::str::FromStr;

use memchr::{memchr, memchr2};

/// Integers stay below 2^53, as in the strict reader.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A place in a JSON text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Skim<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whether another field or item comes; passes what stands before it, or the end.
    pub(crate) fn more(&mut self, open: u8, close: u8) -> Option<bool> {
        let found = *self.bytes.get(self.at)?;
        self.at += 1;
        match found {
            b',' => Some(true),
            _ if found == close => Some(false),
            // Only in front of the first can there be none.
            _ if found == open && self.bytes.get(self.at) == Some(&close) => {
                self.at += 1;
                Some(false)
            }
            _ if found == open => Some(true),
            _ => None,
        }
    }

    /// Whether another field comes.
    pub(crate) fn field(&mut self) -> Option<bool> {
        self.more(b'{', b'}')
    }

    /// Whether another item comes.
    pub(crate) fn item(&mut self) -> Option<bool> {
        self.more(b'[', b']')
    }

    /// The name of a field.
    pub(crate) fn name(&mut self) -> Option<&'a [u8]> {
        let name = self.plain_text()?;
        self.pass(b':')?;
        Some(name)
    }

    /// A text without escapes.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.plain_text()?).ok()
    }

    /// The bytes up to the next quote of a text in base64, which has no backslashes: whoever decodes it sees to that.
    pub(crate) fn base64(&mut self) -> Option<&'a [u8]> {
        self.pass(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let text = rest.get(..memchr(b'"', rest)?)?;
        self.at += text.len() + 1;
        Some(text)
    }

    /// What a text says.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Option<T> {
        self.text()?.parse().ok()
    }

    /// An integer that is not negative.
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..)?;
        let digits = rest.get(..rest.iter().position(|byte| !byte.is_ascii_digit())?)?;
        let is_zero_first = digits.len() > 1 && digits.starts_with(b"0");
        // What comes behind is the end of the value, or it is no integer.
        let is_whole = matches!(rest.get(digits.len()), Some(b',' | b'}' | b']'));
        if digits.is_empty() || is_zero_first || !is_whole {
            return None;
        }
        let value = digits.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
        self.at += digits.len();
        (value <= INTEGER_MAX).then_some(value)
    }

    /// The value that comes next, passed over: where it begins.
    pub(crate) fn passed(&mut self) -> Option<Self> {
        let here = *self;
        self.skip()?;
        Some(here)
    }

    /// Passes a value over.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => self.skip_text()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                // Behind a number or a word, as long as it is inside.
                b',' if depth == 0 => return None,
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.bytes.get(self.at), None | Some(b',' | b'}' | b']')) {
                return Some(());
            }
        }
    }

    /// Whether all was passed.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn plain_text(&mut self) -> Option<&'a [u8]> {
        self.pass(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let text = rest.get(..memchr2(b'"', b'\\', rest)?)?;
        self.at += text.len();
        self.pass(b'"')?;
        Some(text)
    }

    fn skip_text(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.at += memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 2,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_and_items_are_found_and_the_rest_is_passed_over() {
        let text = br#"{"a":"x","b":[{"c":"}\"]"},[],{},7,true,null,-1.5e3],"d":12,"e":{"f":{}},"g":[]}"#;
        let (mut skim, mut names) = (Skim::new(text), Vec::new());
        while skim.field().unwrap() {
            let name = skim.name().unwrap();
            names.push(name);
            match name {
                b"a" => assert_eq!(skim.text(), Some("x")),
                b"d" => assert_eq!(skim.integer(), Some(12)),
                b"b" => {
                    let (mut items, mut count) = (skim.passed().unwrap(), 0);
                    while items.item().unwrap() {
                        items.skip().unwrap();
                        count += 1;
                    }
                    assert_eq!(count, 7);
                }
                b"g" => assert_eq!(skim.item(), Some(false)),
                _ => skim.skip().unwrap(),
            }
        }
        assert!(skim.is_done());
        assert_eq!(names, [b"a", b"b", b"d", b"e", b"g"]);
    }

    #[test]
    fn what_is_written_otherwise_is_not_read() {
        for text in [r#" "a""#, r#""a\u0062""#, r#""a"#, "1", ""] {
            assert_eq!(Skim::new(text.as_bytes()).text(), None, "{text}");
        }
        for text in ["01,", "-1,", "1.5,", "1e3,", "9007199254740992,", "99999999999999999999,", "1", ",", "\"1\","] {
            assert_eq!(Skim::new(text.as_bytes()).integer(), None, "{text}");
        }
        assert_eq!(Skim::new(b"9007199254740991}").integer(), Some(INTEGER_MAX));
        assert_eq!(Skim::new(b"0]").integer(), Some(0));
        assert_eq!(Skim::new(br#""a" :1"#).name(), None);
        for length in [0, 1, 63, 64, 65, 200] {
            let text = "x".repeat(length);
            let written = format!("\"{text}\",");
            let mut skim = Skim::new(written.as_bytes());
            assert_eq!((skim.base64(), skim.pass(b',')), (Some(text.as_bytes()), Some(())));
            assert_eq!(Skim::new(format!("\"{text}").as_bytes()).base64(), None);
        }
        assert_eq!(Skim::new(b"x").field(), None);
        assert_eq!(Skim::new(br#"{"a":[1,2}"#).passed().map(|_| ()), None, "no end");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&br#"{}[]":,\1"#[..])], 0..60)) {
            let _skipped = Skim::new(&bytes).skip();
            let _read = (Skim::new(&bytes).text(), Skim::new(&bytes).base64(), Skim::new(&bytes).integer(), Skim::new(&bytes).name());
            let _more = (Skim::new(&bytes).field(), Skim::new(&bytes).item());
        }
    }
}
