//! The list of targets: name, function, corpus, words. What they promise stands in the files below.

mod edxml;
mod journal;
mod ledger;
mod replay;
mod signing;
mod tools;
mod types;

use crate::corpus::{files, texts};

/// One parser.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, as `libfuzzer` takes it.
    pub name: &'static str,
    /// Reads the bytes, says whether they parse; panics when a promise is broken.
    pub run: fn(&[u8]) -> bool,
    /// Where mutation begins.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Words of the format.
    pub words: &'static [&'static [u8]],
    /// Rounds of the short run: about a second in an unoptimised build.
    pub rounds: u32,
}

const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\"predicate\":",
    b"\"payload\":\"",
    b"\"predicateType\":\"https://truc.example/envelope/v1\"",
    b"\"secrecy\":\"none\"",
    b"\"recipients\":[",
];
const XML: &[&[u8]] = &[
    b"<",
    b">",
    b"/>",
    b"</",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"&b;",
    b"&#0;",
    b"&amp;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?xml version=\"1.1\"?>",
    b"<edXML>",
    b"<AttachmentEncoded>",
    b"<Attachment>",
    b"</Attachment>",
    b"../../etc/passwd",
    b"UEsDBBQAAAAIAA==",
    b"PK\x03\x04",
    b"====",
    b"\xef\xbb\xbf",
];
const NOTE: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    b"\xe2\x80\x94 ",
    b" ",
    b"0",
    b"18446744073709551616",
    b"truc.example/axis/2026",
    b"AAAA",
    b"=",
    b"c2sp.org/tlog-proof@v1\n",
    b"index ",
];
const CODES: &[&[u8]] = &[b".", b"..", b"H53", b"000.00.", b"-", b"T", b"Z", b"9999-12-31", b"00", b"+07:00", b"\xe1\xba\xa1"];
const PEM: &[&[u8]] = &[
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"MIIB",
    b"\n",
    b"=",
    b"\x30\x82\xff\xff",
    b"\x30\x80",
    b"\x06\x03\x2b\x65\x70",
];
const BINARY: &[&[u8]] = &[b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x01", b"\x7f\xff\xff\xff\xff\xff\xff\xff"];
const CSV: &[&[u8]] = &[b",", b"\"", b"\"\"", b"\r\n", b"\n", b"2026-02-30", b"H53", b"H53.1 H53.2", b"\xff", b"\xef\xbb\xbf"];
const TOML: &[&[u8]] =
    &[b"[", b"]", b"[[watch]]", b"=", b"\"", b"\"\"\"", b"\n", b"#", b".", b"1e400", b"-1", b"0x7f", b"true", b"\xff", b"nan"];
const DIRECTORY: &str = "../deploy/example-directory";
const MANIFEST: &str = r#"{"format":1,"release":"0.1.0","begun_at":"2026-01-01T00:00:00Z","role":"edge","origin":"truc.example/edge/H53","blocks":1,"position":2,"tree_size":2,"root":"00","block_time":"2026-01-01T00:00:00Z","files":[{"path":"blobs/owners/H53/00","bytes":1,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#;
const SETTINGS: &str = "data = \".\"\nagency = \"H53\"\nbroker = \"https://broker.example:7443\"\nlisten = \"127.0.0.1:7522\"\n[log]\nformat = \"json\"\n[watch]\npoll_millis = 500\n";

/// Every target.
pub const ALL: &[Target] = &[
    Target { name: "dsse", run: signing::dsse, corpus: || files("statements", ".dsse.json"), words: JSON, rounds: 2_000 },
    Target { name: "statement", run: signing::statement, corpus: || files("statements", ".json"), words: JSON, rounds: 3_000 },
    Target { name: "envelope", run: signing::envelope, corpus: || files("statements", "json"), words: JSON, rounds: 2_000 },
    Target { name: "entry", run: signing::entry, corpus: || files("statements", ".json"), words: JSON, rounds: 1_500 },
    Target { name: "certificate", run: signing::certificate, corpus: || signing::certificates(), words: PEM, rounds: 3_000 },
    Target { name: "certificate_pem", run: signing::certificate_pem, corpus: || files("evidence", ".pem"), words: PEM, rounds: 3_000 },
    Target { name: "keyfile", run: signing::keyfile, corpus: || signing::key_files(), words: PEM, rounds: 1_000 },
    Target { name: "checkpoint", run: ledger::checkpoint, corpus: || files("log", ""), words: NOTE, rounds: 6_000 },
    Target { name: "note", run: ledger::note, corpus: || files("log", ""), words: NOTE, rounds: 6_000 },
    Target { name: "tlog_proof", run: ledger::tlog_proof, corpus: || files("log", ".tlog-proof"), words: NOTE, rounds: 6_000 },
    Target { name: "vkey", run: ledger::vkey, corpus: || files("log", "vkey"), words: NOTE, rounds: 6_000 },
    Target {
        name: "peaks",
        run: ledger::peaks,
        corpus: || vec![[&7u64.to_be_bytes()[..], &[7; 32 * 3]].concat(), vec![0; 40]],
        words: BINARY,
        rounds: 6_000,
    },
    Target { name: "edxml", run: edxml::packet, corpus: || files("edxml", "xml"), words: XML, rounds: 400 },
    Target { name: "journal", run: journal::growing, corpus: || journal::growing_files(), words: BINARY, rounds: 25 },
    Target { name: "journal_packed", run: journal::packed, corpus: || journal::packed_files(), words: BINARY, rounds: 50 },
    Target { name: "broker_entries", run: replay::broker, corpus: || replay::statements(), words: JSON, rounds: 100 },
    Target { name: "edge_records", run: replay::edge, corpus: || replay::records(), words: BINARY, rounds: 25 },
    Target { name: "export", run: tools::export, corpus: || tools::exports(), words: JSON, rounds: 2_000 },
    Target { name: "manifest", run: tools::manifest, corpus: || texts(&[MANIFEST]), words: JSON, rounds: 2_000 },
    Target { name: "agencies", run: tools::agencies, corpus: || files(DIRECTORY, "agencies.csv"), words: CSV, rounds: 300 },
    Target { name: "organisations", run: tools::organisations, corpus: || files(DIRECTORY, "organisations.csv"), words: CSV, rounds: 300 },
    Target { name: "settings", run: tools::settings, corpus: || texts(&[SETTINGS]), words: TOML, rounds: 500 },
    Target { name: "refusal", run: tools::refusal, corpus: || tools::refusals(), words: BINARY, rounds: 3_000 },
    Target {
        name: "words",
        run: types::words,
        corpus: || {
            texts(&[
                "H53",
                "000.00.13.H53",
                "28.22.H17",
                "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                "2026-11-22T03:00:00.000Z",
                "2028-02-29",
                "seal.missing",
            ])
        },
        words: CODES,
        rounds: 6_000,
    },
];

/// The target with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}
