//! Bad edXML files, one row each, and how they are made from a good one. Not what is done with them.

use std::io::Write as _;

use base64::Engine as _;
use truc_proto::edge::v1 as pb;
use truc_tests::tools::root;
use truc_types::Reason;

use super::Values;

/// A bad edXML file: the mark that the caller declares, the rule that is broken.
pub(super) type File = (&'static str, fn() -> Vec<u8>, pb::Secrecy, Reason, Values);

fn sample(name: &str) -> String {
    std::fs::read_to_string(root().join("testdata/edxml/made").join(name)).unwrap()
}

/// A good file of the ministry's own making, with one place changed.
fn rewritten(from: &str, to: &str) -> Vec<u8> {
    let file = sample("04-reply.edxml").replace("<edXML:OrganId>H53<", "<edXML:OrganId>G22<");
    assert!(file.contains(from), "{from} is not in the file");
    file.replacen(from, to, 1).into_bytes()
}

pub(super) fn with_content(content_type: &str, bytes: &[u8]) -> Vec<u8> {
    let file = String::from_utf8(rewritten("", "")).unwrap();
    let (before, rest) = file.split_once("<ContentTransferEncoded>").unwrap();
    let (_, after) = rest.split_once("</ContentTransferEncoded>").unwrap();
    let content = base64::engine::general_purpose::STANDARD.encode(bytes);
    let file = format!("{before}<ContentTransferEncoded>{content}</ContentTransferEncoded>{after}");
    file.replace("application/pdf", content_type).into_bytes()
}

/// The local entry of an archive.
pub(super) fn archive(name: &str, plain: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflated.write_all(plain).unwrap();
    let packed = deflated.finish().unwrap();
    let mut entry = b"PK\x03\x04\x14\x00\0\0\x08\0\0\0\0\0".to_vec();
    for value in [crc.sum(), u32::try_from(packed.len()).unwrap(), u32::try_from(plain.len()).unwrap()] {
        entry.extend(value.to_le_bytes());
    }
    entry.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    entry.extend([0, 0]);
    entry.extend(name.as_bytes());
    entry.extend(packed);
    entry.extend(b"PK\x01\x02\x14\x00 a directory");
    entry
}

/// As many attachments as wanted, each with an id of its own.
fn attachments(count: usize) -> Vec<u8> {
    let one = |number| {
        format!(
            "<Attachment><ContentId>cid:{number}</ContentId><AttachmentName>{number}.pdf</AttachmentName>\
             <ContentType>application/pdf</ContentType><ContentTransferEncoded>JVBERg==</ContentTransferEncoded></Attachment>"
        )
    };
    let all: String = (0..count).map(one).collect();
    rewritten("</AttachmentEncoded>", &format!("{all}</AttachmentEncoded>"))
}

const NONE: pb::Secrecy = pb::Secrecy::None;

pub(super) const FILES: &[File] = &[
    ("nothing", Vec::new, NONE, Reason::EdxmlInvalid, &[("rule", "edxml.truncated")]),
    ("no XML", || b"%PDF-1.4".to_vec(), NONE, Reason::EdxmlInvalid, &[("rule", "edxml.not_well_formed")]),
    (
        "entities that expand",
        || rewritten("<edXML xmlns", "<!DOCTYPE a [<!ENTITY b \"lol\"><!ENTITY c \"&b;&b;&b;\">]><edXML xmlns"),
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.doctype")],
    ),
    ("an entity that nobody declared", || rewritten("Như trên", "&lol;"), NONE, Reason::EdxmlInvalid, &[("rule", "edxml.entity")]),
    (
        "an archive that expands a thousand times",
        || with_content("application/zip", &archive("a", &vec![0; 8 << 20])),
        NONE,
        Reason::AttachmentTooLarge,
        &[("rule", "edxml.zip_expansion")],
    ),
    (
        "a damaged archive",
        || with_content("application/zip", &archive("a", b"plain")[..34]),
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.zip_truncated")],
    ),
    (
        "an attachment named out of the folder",
        || rewritten("<AttachmentName>905", "<AttachmentName>../905"),
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.name_traversal")],
    ),
    ("no base64", || rewritten("JVBERi0x", "JVBE*i0x"), NONE, Reason::EdxmlInvalid, &[("rule", "edxml.base64_character")]),
    ("two roots", || rewritten("</edXML>", "</edXML><edXML/>"), NONE, Reason::EdxmlInvalid, &[("rule", "edxml.two_roots")]),
    ("10,000 attachments", || attachments(10_000), NONE, Reason::AttachmentTooMany, &[("rule", "edxml.attachments_too_many")]),
    (
        "half a file",
        || {
            let file = rewritten("", "");
            file[..file.len() / 2].to_vec()
        },
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.truncated")],
    ),
    (
        "no UTF-8",
        || {
            let mut file = rewritten("<edXML:Subject>", "<edXML:Subject>~~");
            let at = file.windows(2).position(|two| two == b"~~").unwrap();
            file[at] = 0xff;
            file
        },
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.encoding")],
    ),
    (
        "another encoding",
        || rewritten("encoding=\"UTF-8\"", "encoding=\"windows-1258\""),
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.encoding"), ("line", "1")],
    ),
    (
        "a date that reads two ways",
        || rewritten("Date>2025/11/25<", "Date>05/11/2025<"),
        NONE,
        Reason::EdxmlInvalid,
        &[("rule", "edxml.date_ambiguous"), ("errors", "1")],
    ),
    ("no subject", || rewritten("edXML:Subject>", "edXML:Object>"), NONE, Reason::EdxmlInvalid, &[("rule", "edxml.not_well_formed")]),
    (
        "an unknown recipient",
        || rewritten("<edXML:OrganId>G12<", "<edXML:OrganId>G12.99<"),
        NONE,
        Reason::RecipientUnknown,
        &[("recipient", "G12.99"), ("field", "document.recipients[0]")],
    ),
    (
        "a sender of another agency",
        || sample("04-reply.edxml").into_bytes(),
        NONE,
        Reason::SenderUnknown,
        &[("sender", "H53"), ("agency", "G22")],
    ),
    (
        "a recall",
        || sample("03-recall.edxml").into_bytes(),
        NONE,
        Reason::EdxmlUnsupportedType,
        &[("element", "BussinessDocType"), ("found", "1")],
    ),
    (
        "an update",
        || sample("05-update.edxml").into_bytes(),
        NONE,
        Reason::EdxmlUnsupportedType,
        &[("element", "BussinessDocType"), ("found", "2")],
    ),
    (
        "a status",
        || sample("02b-status-03-accepted.edxml").into_bytes(),
        NONE,
        Reason::EdxmlUnsupportedType,
        &[("element", "StatusCode"), ("found", "03")],
    ),
    ("no word on secrecy", || rewritten("", ""), pb::Secrecy::Unspecified, Reason::RequestInvalid, &[("field", "secrecy")]),
    (
        "a secret",
        || rewritten("", ""),
        pb::Secrecy::TopSecret,
        Reason::DocumentSecret,
        &[("field", "secrecy"), ("mark", "SECRECY_TOP_SECRET")],
    ),
];
