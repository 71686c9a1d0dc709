//! The vectors in `testdata/statements`: made from the samples with a fixed key, and compared byte for byte. `TRUC_WRITE_VECTORS=1` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use truc_signing::statement::Statement;
use truc_signing::{DsseFile, open_sealed, seal};

use crate::samples;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/statements")
}

fn check_file(name: &str, expected: &[u8]) {
    let path = folder().join(name);
    if std::env::var_os("TRUC_WRITE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(found == expected, "{name} differs from what this release writes");
}

#[test]
fn every_statement_is_written_as_its_vector_and_reads_back() {
    for (name, statement) in samples::all() {
        let payload = statement.to_json();
        check_file(&format!("{name}.json"), &payload);
        assert_eq!(Statement::parse(&payload), Ok(statement.clone()), "{name}");
        let signers: Vec<_> = (1..=3).map(samples::key).collect();
        let required = statement.required_signers();
        let keys: Vec<_> = required.iter().filter_map(|signer| signers.iter().find(|key| key.keyid() == signer.keyid)).collect();
        assert_eq!(keys.len(), required.len());
        if !keys.is_empty() {
            let file = seal(&payload, &keys);
            check_file(&format!("{name}.dsse.json"), &file);
            assert_eq!(open_sealed(&file).unwrap().statement, statement);
        }
    }
}

/// One change of one sample: what is replaced by what, and the reason and path it must be refused with.
const REFUSED: &[(&str, &str, &str, &str, &str, &str)] = &[
    (
        "unknown-field",
        "envelope-new",
        r#""paper":false"#,
        r#""paper":false,"colour":"red""#,
        "statement.unknown_field",
        "predicate.doc.colour",
    ),
    (
        "duplicate-key",
        "envelope-new",
        r#""edge_term":1"#,
        r#""edge_term":1,"edge_term":1"#,
        "statement.duplicate_key",
        "predicate.edge_term",
    ),
    (
        "duplicate-key-escaped",
        "envelope-new",
        r#""edge_term":1"#,
        r#""edge_term":1,"edge\u005fterm":1"#,
        "statement.duplicate_key",
        "predicate.edge_term",
    ),
    ("missing-field", "envelope-new", r#""sender_seq":7,"#, "", "statement.missing_field", "predicate.sender_seq"),
    ("title-missing", "envelope-new", r#""number":"4127","#, "", "statement.missing_field", "predicate.doc.number"),
    ("wrong-type", "envelope-new", r#""sender_seq":7"#, r#""sender_seq":"7""#, "statement.wrong_type", "predicate.sender_seq"),
    ("fraction", "envelope-new", r#""sender_seq":7"#, r#""sender_seq":7.0"#, "statement.wrong_type", "predicate.sender_seq"),
    ("null", "envelope-new", r#""sender_seq":7"#, r#""sender_seq":null"#, "statement.wrong_type", "predicate.sender_seq"),
    ("negative", "envelope-new", r#""sender_seq":7"#, r#""sender_seq":-7"#, "statement.out_of_range", "predicate.sender_seq"),
    ("zero", "envelope-new", r#""sender_seq":7"#, r#""sender_seq":0"#, "statement.out_of_range", "predicate.sender_seq"),
    (
        "integer-2-53",
        "envelope-new",
        r#""sender_seq":7"#,
        r#""sender_seq":9007199254740992"#,
        "statement.out_of_range",
        "predicate.sender_seq",
    ),
    ("not-json", "envelope-new", r#""sender_seq":7,"#, r#""sender_seq":7,,"#, "statement.malformed", ""),
    ("text-empty", "envelope-new", r#""number":"4127""#, r#""number":"""#, "statement.out_of_range", "predicate.doc.number"),
    ("text-control", "envelope-new", r#""number":"4127""#, r#""number":"\u0000""#, "statement.out_of_range", "predicate.doc.number"),
    (
        "text-too-long",
        "envelope-new",
        r#""number":"4127""#,
        r#""number":"0123456789012345678901234567890123""#,
        "statement.too_long",
        "predicate.doc.number",
    ),
    ("secret", "envelope-new", r#""secrecy":"none""#, r#""secrecy":"toi_mat""#, "document.secret", "predicate.doc.secrecy"),
    ("secrecy-missing", "envelope-new", r#""secrecy":"none","#, "", "statement.missing_field", "predicate.doc.secrecy"),
    ("urgency", "envelope-new", r#""urgency":0"#, r#""urgency":5"#, "statement.out_of_range", "predicate.doc.urgency"),
    ("code", "envelope-new", r#""G22""#, r#""g22""#, "statement.out_of_range", "predicate.recipients[0]"),
    ("recipient-twice", "envelope-new", r#""000.00.13.H37""#, r#""G22""#, "recipient.twice", "predicate.recipients"),
    ("recipients-empty", "envelope-new", r#"["G22","000.00.13.H37"]"#, "[]", "statement.out_of_range", "predicate.recipients"),
    ("time", "envelope-new", "03:04:05.006Z", "03:04:05Z", "statement.out_of_range", "predicate.created_at"),
    ("nonce", "envelope-new", "CQkJCQkJCQkJCQkJCQkJCQ==", "CQkJCQkJCQkJCQkJCQkJCR==", "statement.malformed", "predicate.nonce"),
    ("subject-name", "envelope-new", "attachments/00", "attachments/01", "statement.out_of_range", "subject[0].name"),
    ("media-type", "envelope-new", "application/pdf", "Application/PDF", "statement.out_of_range", "predicate.attachments[0].media_type"),
    ("encoding", "envelope-new", r#""identity""#, r#""gzip""#, "statement.out_of_range", "predicate.attachments[0].encoding"),
    ("attachment-size", "envelope-new", "617000", "52428801", "attachment.too_large", "predicate.attachments[0].size"),
    (
        "recall-without-target",
        "envelope-new",
        r#""business":"new""#,
        r#""business":"recall""#,
        "statement.missing_field",
        "predicate.recalls",
    ),
    ("recall-as-new", "envelope-recall", r#""business":"recall""#, r#""business":"new""#, "statement.unknown_field", "predicate.recalls"),
    (
        "reply-as-new",
        "envelope-reply-full",
        r#""business":"reply""#,
        r#""business":"new""#,
        "statement.unknown_field",
        "predicate.in_reply_to",
    ),
    ("set-hour", "envelope-reply-full", r#""urgency":4"#, r#""urgency":3"#, "statement.unknown_field", "predicate.doc.urgent_at"),
    ("expired-before-made", "envelope-reply-full", "2026-12-22", "2026-10-22", "statement.out_of_range", "predicate.expires_at"),
    ("statement-type", "envelope-new", "Statement/v1", "Statement/v2", "statement.unsupported", "_type"),
    ("predicate-type", "envelope-new", "envelope/v1", "envelope/v2", "statement.unsupported", "predicateType"),
    (
        "unknown-field-receipt",
        "receipt-refused",
        r#""event":"refused""#,
        r#""event":"refused","x":1"#,
        "statement.unknown_field",
        "predicate.x",
    ),
    ("refused-without-reason", "receipt-fetched", r#""fetched""#, r#""refused""#, "statement.missing_field", "predicate.items[0].reason"),
    ("status-without-code", "receipt-fetched", r#""fetched""#, r#""status""#, "statement.missing_field", "predicate.items[0].status_code"),
    ("status-code", "receipt-status", r#""04""#, r#""4""#, "statement.out_of_range", "predicate.items[0].status_code"),
    ("registry-version", "registry-genesis", r#""version":1"#, r#""version":2"#, "statement.out_of_range", "subject[0].name"),
];

#[test]
fn every_way_to_be_wrong_is_refused_with_its_reason_and_path() {
    let samples = samples::all();
    let mut index = String::from("file\treason\tpath\n");
    let mut refused = |name: &str, bytes: &[u8], reason: &str, path: &str| {
        let error = Statement::parse(bytes).expect_err(name);
        assert_eq!((error.reason().code(), error.path()), (reason, path), "{name}: {error}");
        assert_eq!(error.to_refusal().reason, error.reason());
        check_file(&format!("refused/{name}.json"), bytes);
        index.push_str(&format!("{name}.json\t{reason}\t{path}\n"));
    };
    for (name, base, from, to, reason, path) in REFUSED {
        let (_, statement) = samples.iter().find(|(name, _)| name == base).unwrap();
        let text = String::from_utf8(statement.to_json()).unwrap();
        assert!(text.contains(from), "{name}");
        refused(name, text.replacen(from, to, 1).as_bytes(), reason, path);
    }
    let good = samples::envelope().to_json();
    let with = |bytes: &[u8]| [&good[..good.len() - 1], bytes].concat();
    refused("not-utf8", &with(b"\xff}"), "statement.not_utf8", "");
    refused("truncated", &good[..good.len() - 1], "statement.malformed", "");
    refused("trailing", &with(b"}{}"), "statement.malformed", "");
    refused("too-large", &with(&[&[b' '; 44_700][..], b"}"].concat()), "statement.too_large", "");
    refused("too-deep", b"[[[[[[[[[0]]]]]]]]]", "statement.malformed", "[0][0][0][0][0][0][0][0]");
    check_file("refused/index.tsv", index.as_bytes());
}

#[test]
fn every_way_for_a_dsse_file_to_be_wrong_is_refused_with_its_reason_and_path() {
    let good = String::from_utf8(seal(&samples::envelope().to_json(), &[&samples::key(1)])).unwrap();
    let signature = good.split_once(r#""signatures":["#).unwrap().1.trim_end_matches("]}").to_owned();
    let cases = [
        ("payload-type", good.replace("vnd.in-toto", "vnd.other"), "statement.unsupported", "payloadType"),
        ("unknown-field", good.replace(r#","signatures""#, r#","cert":"","signatures""#), "statement.unknown_field", "cert"),
        ("unknown-field-signature", good.replace(r#","sig""#, r#","cert":"","sig""#), "statement.unknown_field", "signatures[0].cert"),
        ("base64-url", good.replace(r#""payload":"eyJ"#, r#""payload":"_yJ"#), "statement.malformed", "payload"),
        ("base64-padding", good.replace("==\"}", "\"}"), "statement.malformed", "signatures[0].sig"),
        ("keyid", good.replace(r#""keyid":""#, r#""keyid":"A"#), "statement.out_of_range", "signatures[0].keyid"),
        ("five-signatures", good.replace(&signature, &[&signature[..]; 5].join(",")), "statement.too_long", "signatures"),
    ];
    let mut index = String::from("file\treason\tpath\n");
    for (name, file, reason, path) in cases {
        let error = DsseFile::parse(file.as_bytes()).expect_err(name);
        assert_eq!((error.reason().code(), error.path()), (reason, path), "{name}: {error}");
        check_file(&format!("refused-files/{name}.dsse.json"), file.as_bytes());
        index.push_str(&format!("{name}.dsse.json\t{reason}\t{path}\n"));
    }
    check_file("refused-files/index.tsv", index.as_bytes());
    assert!(DsseFile::parse(&vec![b' '; 60_001]).is_err_and(|error| error.reason().code() == "statement.too_large"));
}
