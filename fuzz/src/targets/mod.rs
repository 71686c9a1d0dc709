//! The list of targets: name, function, corpus, words. What they promise stands in the files below.

mod edxml;
mod journal;
mod ledger;
mod signing;
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
    Target { name: "journal", run: journal::folder, corpus: || journal::folders(), words: BINARY, rounds: 25 },
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
