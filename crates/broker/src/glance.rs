//! What an entry says at a glance: the id by which the journal's index finds it, and whom a receipt is for, read without parsing the rest. Not a check: what
//! is in the journal was parsed strictly when it was admitted, and names there are unique, so looking for a name finds what the strict reader found.
//!
//! A start and an index that is made anew read one id of each entry: there the strict reader takes more time than everything else together. While
//! documents pass, the sequencer hands the ids over with the block.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use truc_types::names::{ENVELOPE_V1, RECEIPT_V1, SENDER_HEAD_V1};
use truc_types::{AgencyCode, MessageId};

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, rename = "predicateType")]
    predicate_type: Cow<'a, str>,
    #[serde(borrow)]
    predicate: Predicate<'a>,
}

/// One of them, by the predicate type.
#[derive(Deserialize)]
struct Predicate<'a> {
    #[serde(borrow)]
    message_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    receipt_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    statement_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    original_sender: Option<Cow<'a, str>>,
}

/// The id of an entry; facts and registry statements have none.
pub(crate) fn key_of(entry: &[u8]) -> Option<[u8; 16]> {
    look(entry, |predicate_type, predicate| {
        let id = match predicate_type {
            ENVELOPE_V1 => predicate.message_id,
            RECEIPT_V1 => predicate.receipt_id,
            SENDER_HEAD_V1 => predicate.statement_id,
            _ => None,
        };
        id?.parse::<MessageId>().ok().map(|id| id.to_bytes())
    })
}

/// Whether an entry is a receipt for this agency.
pub(crate) fn is_receipt_for(entry: &[u8], agency: &AgencyCode) -> bool {
    let named = look(entry, |predicate_type, predicate| {
        (predicate_type == RECEIPT_V1 && predicate.original_sender.as_deref() == Some(agency.as_str())).then_some(())
    });
    named.is_some()
}

fn look<T>(entry: &[u8], take: impl FnOnce(&str, Predicate<'_>) -> Option<T>) -> Option<T> {
    // Facts stand plain and have no payload.
    if entry.starts_with(b"{\"_type\"") {
        return None;
    }
    let file: File<'_> = serde_json::from_slice(entry).ok()?;
    let payload = STANDARD.decode(file.payload.as_bytes()).ok()?;
    let Payload { predicate_type, predicate } = serde_json::from_slice(&payload).ok()?;
    take(&predicate_type, predicate)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use truc_core::Entry;

    use super::*;

    #[test]
    fn every_golden_statement_has_the_key_that_the_strict_reader_finds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/statements");
        let (mut with, mut without) = (0, 0);
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(path).unwrap();
            let Ok(entry) = Entry::parse(bytes.as_slice().into()) else { continue };
            let expected = entry.id().map(|id| id.to_bytes());
            assert_eq!(key_of(&bytes), expected, "{}", String::from_utf8_lossy(&bytes));
            *if expected.is_some() { &mut with } else { &mut without } += 1;
        }
        assert!(with >= 5 && without >= 3, "envelopes, receipts and heads: {with}; facts and registry statements: {without}");
    }

    #[test]
    fn the_order_of_fields_and_the_spelling_of_letters_do_not_matter() {
        let payload = r#"{"predicate":{"items":[{"message_id":"01BX5ZZKBKACTAV9WEVGEMMVRZ"}],"receipt_id":"01BX5ZZKBKACTAV9WEVGEMMVS\u0030"},"predicateType":"TYPE"}"#;
        let payload = payload.replace("TYPE", RECEIPT_V1);
        let file = format!(r#"{{"signatures":[],"payload":"{}","payloadType":"x"}}"#, STANDARD.encode(payload));
        let expected: MessageId = "01BX5ZZKBKACTAV9WEVGEMMVS0".parse().unwrap();
        assert_eq!(key_of(file.as_bytes()), Some(expected.to_bytes()));
    }

    #[test]
    fn bytes_that_are_no_statement_have_no_key() {
        for bytes in [&b""[..], b"{", b"{}", br#"{"payload":7}"#, br#"{"payload":"!"}"#, br#"{"payload":"e30="}"#, b"\xff\xfe"] {
            assert_eq!(key_of(bytes), None);
        }
    }
}
