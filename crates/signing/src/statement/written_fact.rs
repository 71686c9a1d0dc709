//! A fact about an accepted envelope, read along the one spelling in which the axis writes it: every byte is compared or parsed, nothing is put on a tape.
//!
//! Not another grammar: what is spelled otherwise is nothing here and goes to the strict reader, and what is read here is what that one would read. Each
//! edge that a broadcast reaches reads the whole fact, though a single entry of it is its own.

use std::str::FromStr;

use truc_types::limits::{ENVELOPE_CODES_MAX, PAYLOAD_BYTES_MAX};
use truc_types::names::{FACT_V1, STATEMENT_TYPE};
use truc_types::{LeafIndex, QueuePosition};

use super::fact::{Accepted, QueueEntry};
use crate::json::INTEGER_MAX;

/// Bytes of an entry at least, with codes of one letter: bounds the room that is made before any is read.
const ENTRY_BYTES_MIN: usize = r#"{"recipient":"A","agency":"A","position":1}"#.len();

/// The fact; none where anything is not as the axis writes it.
pub(super) fn read(payload: &[u8]) -> Option<Accepted> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let mut line = Line(std::str::from_utf8(payload).ok()?);
    line.pass(r#"{"_type":""#)?.pass(STATEMENT_TYPE)?.pass(r#"","subject":[{"name":""#)?;
    let message_id = line.text()?;
    line.pass(r#","digest":{"sha256":""#)?;
    let envelope = line.text()?;
    line.pass(r#"}}],"predicateType":""#)?.pass(FACT_V1)?.pass(r#"","predicate":{"event":"accepted","leaf":"#)?;
    let leaf = LeafIndex(line.integer()?);
    line.pass(r#","block_time":""#)?;
    let block_time = line.text()?;
    line.pass(r#","registry_version":"#)?;
    let registry_version = line.integer()?;
    line.pass(r#","queue":["#)?;
    let queue = line.queue()?;
    line.pass("]}}")?;
    line.0.is_empty().then_some(Accepted { message_id, envelope, leaf, block_time, registry_version, queue })
}

/// What was not read yet.
struct Line<'a>(&'a str);

impl Line<'_> {
    /// Passes what must come next.
    fn pass(&mut self, expected: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(self)
    }

    /// What stands before the next quote, which is passed. No text of these types has anything that JSON escapes.
    fn text<T: FromStr>(&mut self) -> Option<T> {
        let length = self.0.bytes().position(|byte| byte == b'"')?;
        let text = self.0.get(..length)?.parse().ok()?;
        self.0 = self.0.get(length + 1..)?;
        Some(text)
    }

    /// An integer as it is written: no zero in front.
    fn integer(&mut self) -> Option<u64> {
        let (mut value, mut length) = (0_u64, 0);
        for digit in self.0.bytes().take_while(u8::is_ascii_digit) {
            value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            length += 1;
        }
        let has_zero = length > 1 && self.0.starts_with('0');
        if length == 0 || has_zero || value > INTEGER_MAX {
            return None;
        }
        self.0 = self.0.get(length..)?;
        Some(value)
    }

    /// One entry or more.
    fn queue(&mut self) -> Option<Vec<QueueEntry>> {
        let mut queue = Vec::with_capacity((self.0.len() / ENTRY_BYTES_MIN).min(ENVELOPE_CODES_MAX));
        loop {
            let recipient = self.pass(r#"{"recipient":""#)?.text()?;
            let agency = self.pass(r#","agency":""#)?.text()?;
            let position = self.pass(r#","position":"#)?.integer().filter(|position| *position > 0)?;
            self.pass("}")?;
            if queue.len() == ENVELOPE_CODES_MAX {
                return None;
            }
            queue.push(QueueEntry { recipient, agency, position: QueuePosition(position) });
            if !self.0.starts_with(',') {
                return Some(queue);
            }
            self.pass(",")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use truc_types::{Digest, MessageId, Timestamp};

    use super::*;
    use crate::statement::{Fact, parse_as};

    /// The strict reader alone.
    fn strictly(payload: &[u8]) -> Option<Accepted> {
        match parse_as(payload, FACT_V1, Fact::read) {
            Ok(Fact::Accepted(accepted)) => Some(accepted),
            _ => None,
        }
    }

    fn accepted() -> impl Strategy<Value = Accepted> {
        let number = prop_oneof![0..3_u64, 0..=INTEGER_MAX, Just(INTEGER_MAX)];
        let entry = ("[A-Z0-9]{1,4}(\\.[A-Z0-9]{1,5}){0,3}", "[A-Z][0-9]{2}", prop_oneof![Just(1), 1..=INTEGER_MAX]);
        let entry = entry.prop_map(|(recipient, agency, position)| QueueEntry {
            recipient: recipient.parse().unwrap(),
            agency: agency.parse().unwrap(),
            position: QueuePosition(position),
        });
        let queue =
            prop_oneof![4 => proptest::collection::vec(entry.clone(), 1..4), 1 => proptest::collection::vec(entry, ENVELOPE_CODES_MAX)];
        let time = 0..Timestamp::MAX.as_millis();
        (any::<([u8; 16], [u8; 32])>(), number.clone(), time, number, queue).prop_map(
            |((mut id, envelope), leaf, time, registry_version, queue)| {
                // Ids begin with a time that fits into 48 bits, of which the text shows all.
                id[0] &= 0x7f;
                Accepted {
                    message_id: MessageId::from_bytes(id),
                    envelope: Digest(envelope),
                    leaf: LeafIndex(leaf),
                    block_time: Timestamp::from_millis(time),
                    registry_version,
                    queue,
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        #[test]
        fn what_the_axis_writes_is_read_along(fact in accepted()) {
            let written = Fact::Accepted(fact.clone()).to_json();
            let found = read(&written);
            prop_assert_eq!(found.as_ref(), Some(&fact));
            prop_assert_eq!(strictly(&written), Some(fact));
        }

        /// Bytes that are changed, left out, put in or cut off.
        #[test]
        fn nothing_is_read_along_that_the_strict_reader_does_not_read_so(
            fact in accepted(),
            at in any::<prop::sample::Index>(),
            with in prop_oneof![Just(Vec::new()), proptest::sample::select(&b"0 \"\\,}1.-:[{A\n\xc3"[..]).prop_map(|byte| vec![byte]), any::<Vec<u8>>()],
            out in 0..3_usize,
            cut in any::<bool>(),
        ) {
            let mut bytes = Fact::Accepted(fact).to_json();
            let at = at.index(bytes.len());
            let end = if cut { bytes.len() } else { (at + out).min(bytes.len()) };
            bytes.splice(at..end, with);
            if let Some(read) = read(&bytes) {
                prop_assert_eq!(strictly(&bytes), Some(read));
            }
        }
    }

    #[test]
    fn other_spellings_and_what_is_out_of_bounds_go_to_the_strict_reader() {
        let entry = |position: &str| format!(r#"{{"recipient":"H53","agency":"H53","position":{position}}}"#);
        let fact = |leaf: &str, queue: &str| {
            let (id, digest) = (MessageId::from_bytes([1; 16]), Digest([7; 32]));
            format!(
                r#"{{"_type":"{STATEMENT_TYPE}","subject":[{{"name":"{id}","digest":{{"sha256":"{digest}"}}}}],"predicateType":"{FACT_V1}","predicate":{{"event":"accepted","leaf":{leaf},"block_time":"2026-11-22T12:00:00.000Z","registry_version":7,"queue":[{queue}]}}}}"#
            )
        };
        let check = |text: &str, is_read: bool, is_strict: bool| {
            assert_eq!(read(text.as_bytes()).is_some(), is_read, "{text}");
            assert_eq!(strictly(text.as_bytes()).is_some(), is_strict, "{text}");
            assert_eq!(Fact::parse(text.as_bytes()).is_ok(), is_strict, "{text}");
        };
        check(&fact("0", &entry("1")), true, true);
        check(&fact(" 0", &entry("1")), false, true);
        check(&format!("{}\n", fact("0", &entry("1"))), false, true);
        check(&fact("0", &entry("1")).replace("H53", "H5\\u0033"), false, true);
        for (leaf, position) in [("00", "1"), ("9007199254740992", "1"), ("99999999999999999999", "1"), ("0", "0"), ("0", "01"), ("", "1")]
        {
            check(&fact(leaf, &entry(position)), false, false);
        }
        check(&fact("0", ""), false, false);
        let many = |count| vec![entry("1"); count].join(",");
        check(&fact("0", &many(ENVELOPE_CODES_MAX)), true, true);
        check(&fact("0", &many(ENVELOPE_CODES_MAX + 1)), false, false);
        check(&fact("0", &format!("{},", entry("1"))), false, false);
    }
}
