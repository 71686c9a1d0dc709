//! The reader of JSON is held against another one.

use proptest::prelude::*;
use serde_json::Value;

use super::tape::{DEPTH_MAX, ITEMS_MAX, KEYS_MAX, Kind, Tape};
use crate::statement::StatementError;

/// The value at a place of the tape, as `serde_json` has it; fractions are all the same.
fn value(tape: &Tape<'_>, at: usize) -> Value {
    let node = &tape.nodes()[at];
    let inner = || std::iter::successors(Some(at + 1), |at| tape.nodes().get(*at).map(|node| node.next)).take_while(|at| *at < node.next);
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(found) => (*found).into(),
        Kind::Integer(found) => (*found).into(),
        Kind::Negative(found) => (*found).into(),
        Kind::Float => 0.5.into(),
        Kind::Text(found) => found.as_ref().into(),
        Kind::List(count) => {
            let items: Vec<_> = inner().map(|at| value(tape, at)).collect();
            assert_eq!(items.len(), *count);
            items.into()
        }
        Kind::Object(_) => Value::Object(inner().map(|at| (tape.nodes()[at].key.clone().into_owned(), value(tape, at))).collect()),
    }
}

fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => 0.5.into(),
        Value::Array(items) => items.into_iter().map(without_fractions).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (key, without_fractions(value))).collect()),
        other => other,
    }
}

/// Both read the same from the bytes, or both find them no JSON.
fn compare(bytes: &[u8]) {
    let other = serde_json::from_slice::<Value>(bytes);
    match Tape::parse(bytes, 1 << 16, 4) {
        Ok(tape) => match other {
            Ok(other) => assert_eq!(value(&tape, 0), without_fractions(other)),
            // We keep no fractions, so that one may be as large as it likes.
            Err(error) => assert!(error.to_string().contains("number out of range"), "{error}"),
        },
        Err(StatementError::Malformed { .. } | StatementError::NotUtf8 { .. }) => assert!(other.is_err(), "{other:?}"),
        // What we bound and forbid beyond the grammar.
        Err(
            StatementError::DuplicateKey { .. }
            | StatementError::TooDeep { .. }
            | StatementError::TooManyKeys { .. }
            | StatementError::ListTooLong { .. },
        ) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Pieces of which JSON is made, and of which nearly JSON is.
const PIECES: [&str; 43] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"a\"",
    "\"b\":",
    "\"\":",
    "\"ab\\ncd\"",
    "\"\\u0041\"",
    "\"\\ud834\\udd1e\"",
    "\"\\ud834\"",
    "\"\\udd1e\"",
    "\"\\ud834\\u0041\"",
    "\"\\/\\b\\f\\r\\t\\\"\"",
    "\"\\x\"",
    "\"Công văn số 12\"",
    "\"dài hơn tám byte\"",
    "\t",
    "\n",
    "\u{1}",
    "\"\u{1f}\"",
    "\"\u{7f}\u{80}\"",
    "0",
    "-0",
    "-",
    "01",
    "7",
    "-12",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "1e999",
    "1.5",
    "1.",
    "2e5",
    "3E-",
    "true",
    "null",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn pieces_in_any_order_are_read_as_others_read_them(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12)) {
        compare(pieces.concat().as_bytes());
    }

    #[test]
    fn any_value_is_read_as_others_read_it(value in any_value(), cut in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = serde_json::to_vec(&value).unwrap();
        compare(&bytes);
        compare(&serde_json::to_vec_pretty(&value).unwrap());
        let at = cut.index(bytes.len());
        bytes[at] = byte;
        compare(&bytes);
        compare(&bytes[..at]);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn a_fault_says_where_it_is() {
    let fault = |text: &str| Tape::parse(text.as_bytes(), 1 << 16, 4).err().unwrap();
    assert_eq!(fault("{\n \"a\": tru}"), StatementError::Malformed { line: 2, column: 7 });
    assert_eq!(fault("[1,,2]"), StatementError::Malformed { line: 1, column: 4 });
    assert_eq!(fault("[\"tab\there\"]"), StatementError::Malformed { line: 1, column: 6 });
    assert_eq!(fault("[1] 2"), StatementError::Malformed { line: 1, column: 5 });
    assert_eq!(fault("{\"a\":[{\"b\":1,\"b\":2}]}"), StatementError::DuplicateKey { path: "a[0].b".into() });
    let deep = format!("{}{}", "{\"a\":".repeat(9), "}".repeat(9));
    assert_eq!(fault(&deep), StatementError::TooDeep { path: ["a"; 8].join("."), limit: DEPTH_MAX });
    let wide: Vec<_> = (0..=KEYS_MAX).map(|key| format!("\"{key}\":0")).collect();
    assert_eq!(fault(&format!("{{{}}}", wide.join(","))), StatementError::TooManyKeys { path: String::new(), limit: KEYS_MAX as usize });
    let long = format!("{{\"a\":[{}0]}}", "0,".repeat(ITEMS_MAX));
    assert_eq!(fault(&long), StatementError::ListTooLong { path: "a".into(), found: ITEMS_MAX + 1, limit: ITEMS_MAX });
}
