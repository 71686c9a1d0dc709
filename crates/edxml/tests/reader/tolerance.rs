//! What real messages do and the reader survives, with the diagnostics their writers get.

use expect_test::expect;
use truc_edxml::StatusCode;
use truc_types::{Date, Urgency};

use crate::support::{
    Packing, base64, change, codes, document, new_document, read, report, sample, status, with_attachment, zip, zip_entry,
};

#[test]
fn any_prefix_or_none_gives_the_same_message() {
    let expected = document(new_document());
    let bare = new_document().replace(" xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\"", "").replace("edXML:", "");
    assert_eq!(document(&bare), expected);
    assert_eq!(document(new_document().replace("edXML:", "q:").replace("xmlns:edXML", "xmlns:q")), expected);
    assert_eq!(document(format!("\u{feff}{}", new_document())), expected);
    let absent = change(&bare, " xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\"", "");
    assert_eq!(codes(&absent), ["edxml.namespace_missing"]);
    let unbound = new_document().replace(" xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\"", "");
    assert_eq!(codes(&unbound), ["edxml.namespace_missing"]);
}

#[test]
fn business_is_read_in_either_spelling() {
    expect![[r#"
        read
        edxml.business_spelling: line 67:9, edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Business: the name of this element is written with another spelling on the wire; found "Business"; expected Bussiness; write Bussiness
        edxml.business_spelling: line 68:11, edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Business/BusinessDocType: the name of this element is written with another spelling on the wire; found "BusinessDocType"; expected BussinessDocType; write BussinessDocType
        edxml.business_spelling: line 69:11, edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Business/BusinessDocReason: the name of this element is written with another spelling on the wire; found "BusinessDocReason"; expected BussinessDocReason; write BussinessDocReason
    "#]]
    .assert_eq(&report(new_document().replace("Bussiness", "Business")));
    let message = document(new_document().replace("Bussiness", "Business"));
    assert_eq!(message.business, document(new_document()).business);
}

fn issued(date: &str) -> String {
    change(&new_document(), "PromulgationDate>2025/11/17<", &format!("PromulgationDate>{date}<"))
}

#[test]
fn clear_dates_are_read_and_ambiguous_ones_refused() {
    for date in ["2025-11-17", "17/11/2025", "17-11-2025"] {
        assert_eq!(document(issued(date)).promulgation_date, Date::new(2025, 11, 17).unwrap());
        assert_eq!(codes(issued(date)), ["edxml.date_spelling"]);
    }
    expect![[r#"
        refused
        edxml.date_ambiguous: line 35:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/PromulgationInfo/PromulgationDate: day and month of this date cannot be told apart; found "05/11/2025"; expected yyyy/MM/dd, yyyy-MM-dd, dd/MM/yyyy (dd > 12); write 2025/11/05 | 2025/05/11
    "#]]
    .assert_eq(&report(issued("05/11/2025")));
    assert_eq!(codes(issued("1985/11/05")), ["edxml.date_implausible"]);
    assert_eq!(codes(issued("2025/02/30")), ["edxml.date_invalid"]);
    let told = |date: &str| report(issued(date));
    assert!(told("2025/02/30").contains("; write <edXML:PromulgationDate>yyyy/MM/dd</edXML:PromulgationDate>"), "{}", told("2025/02/30"));
    assert!(told("20251117").contains("; write 2025/11/17"), "{}", told("20251117"));
    assert!(told("11/17/2025").contains("; write 2025/11/17"), "{}", told("11/17/2025"));
    assert!(told("1985/11/05").contains("; write <edXML:PromulgationDate>yyyy/MM/dd"), "{}", told("1985/11/05"));
}

#[test]
fn everything_wrong_is_said_at_once_and_in_both_languages() {
    let mut message = issued("05/11/2025");
    for (from, to) in [
        ("<edXML:Priority>1<", "<edXML:Priority>7<"),
        ("<edXML:CodeNumber>4127<", "<edXML:CodeNumber> <"),
        ("<edXML:OrganId>H37<", "<edXML:OrganId>h37<"),
        ("<edXML:TyperNotation>NVM<", "<edXML:TyperNotation>N/A<"),
        ("<edXML:PageAmount>1<", "<edXML:PageAmount>một<"),
        ("<edXML:Content>", "<edXML:Colour>red</edXML:Colour><edXML:Content>"),
        ("<ContentId>cid:694a9f64", "<ContentId>other"),
    ] {
        message = change(&message, from, to);
    }
    expect![[r#"
        refused
        edxml.code_invalid: line 22:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId: this is not the code of an organisation; found "h37"; expected 0-9 A-Z . (≤ 35); write H37
        edxml.missing: line 29:9, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/Code: a required element is missing or empty; expected CodeNumber; write <edXML:CodeNumber>…</edXML:CodeNumber>
        edxml.date_ambiguous: line 35:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/PromulgationInfo/PromulgationDate: day and month of this date cannot be told apart; found "05/11/2025"; expected yyyy/MM/dd, yyyy-MM-dd, dd/MM/yyyy (dd > 12); write 2025/11/05 | 2025/05/11
        edxml.element_unknown: line 43:9, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/Colour: this element is not known here and was ignored; found "Colour"
        edxml.priority_invalid: line 51:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/OtherInfo/Priority: this is not a level of urgency; found "7"; expected 0, 1, 2, 3, 4
        edxml.null_text: line 52:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/OtherInfo/TyperNotation: a word for nothing was read as an empty element; found "N/A"
        edxml.number_invalid: line 54:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/OtherInfo/PageAmount: this is not a whole number and was ignored; found "một"; expected -1, 0, 1, 2 …
        edxml.reference_without_attachment: line 88:9, edXML/edXMLEnvelope/edXMLBody/edXMLManifest/Reference[2]: the manifest names an attachment that is not there; found "694a9f64-1269-5250-ab7c-32e2d97f393d"; expected Attachment/ContentId
        edxml.attachment_without_reference: line 105:5, edXML/AttachmentEncoded/Attachment[2]: the manifest does not name this attachment; found "other-1269-5250-ab7c-32e2d97f393d"; expected Reference/ContentId
    "#]]
    .assert_eq(&report(&message));
    let truc_edxml::ReadError::Refused { diagnostics, .. } = read(&message).0.unwrap_err() else { panic!("refused") };
    expect![[r#"dòng 22:11, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId: không phải mã định danh cơ quan, tổ chức; gặp "h37"; cần 0-9 A-Z . (≤ 35); nên viết H37"#]]
        .assert_eq(&diagnostics[0].message_vi());
}

#[test]
fn optional_blocks_may_be_absent_or_empty() {
    let message = new_document();
    let start = message.find("<edXML:DueDate>").unwrap();
    let end = message.find("</edXML:MessageHeader>").unwrap();
    let bare = format!("{}<edXML:OtherInfo/><edXML:ToPlaces/>{}", &message[..start], &message[end..]);
    assert_eq!((document(&bare).priority, document(&bare).due_date, codes(&bare).len()), (Urgency::Normal, None, 0));
    let start = message.find("<edXML:TraceHeaderList").unwrap();
    let end = message.find("</edXML:edXMLHeader>").unwrap();
    assert_eq!(codes(format!("{}{}", &message[..start], &message[end..])), ["edxml.business_missing"]);
}

#[test]
fn recipients_named_twice_and_unmatched_attachments_are_refused() {
    assert_eq!(codes(new_document().replace("<edXML:OrganId>H37<", "<edXML:OrganId>H53<")), ["edxml.recipient_twice"]);
    let lost = change(&new_document(), "<ContentId>cid:694a9f64", "<ContentId>other");
    assert_eq!(codes(lost), ["edxml.reference_without_attachment", "edxml.attachment_without_reference"]);
    let twice = new_document().replace("694a9f64-1269-5250-ab7c-32e2d97f393d", "df5fe0e7-ee5a-5563-aa1c-989c6143c2b9");
    assert!(codes(twice).contains(&"edxml.content_id_twice"));
    let renamed = change(&new_document(), "<AttachmentName>4127-BTC-NSNN.pdf<", "<AttachmentName>4127/BTC-NSNN.pdf<");
    assert_eq!(codes(renamed), ["edxml.manifest_mismatch", "edxml.name_separator"]);
}

#[test]
fn content_ids_join_with_or_without_cid() {
    assert_eq!(codes(new_document().replace("<ContentId>cid:", "<ContentId>")), [""; 0]);
    assert_eq!(codes(new_document().replace("<edXML:ContentId>cid:", "<edXML:ContentId>")), [""; 0]);
}

#[test]
fn base64_may_be_wrapped_in_every_way_of_the_field() {
    for text in ["\n  aGVs\r\n  bG8=\n", "aGVs&#13;&#10;bG8=", "<![CDATA[aGVsbG8=]]>", "aGVs<!-- wrapped -->bG8="] {
        let (message, kept) = read(with_attachment("a.pdf", "application/pdf", text));
        assert_eq!((message.unwrap().warnings.len(), kept.attachments), (0, vec![b"hello".to_vec()]), "{text}");
    }
}

#[test]
fn archives_are_unpacked_by_the_rule_of_the_format() {
    let plain = b"one;two\n".repeat(50);
    let entry = |packing| zip_entry("entry", &plain, packing);
    for packing in [Packing::Stored, Packing::Deflated, Packing::Described { signature: true }, Packing::Described { signature: false }] {
        let (message, kept) = read(with_attachment("a.csv", "application/zip", &base64(&zip(&[entry(packing)]))));
        let message = message.unwrap();
        assert_eq!((&kept.attachments[0], message.unpacked.len(), message.warnings.len()), (&plain, 1, 0));
        let two = zip(&[entry(packing), entry(Packing::Stored)]);
        assert_eq!(codes(with_attachment("a.csv", "application/zip", &base64(&two))), ["edxml.zip_second_entry"]);
    }
    let archive = zip(&[entry(Packing::Deflated)]);
    for (name, media_type) in [("a.ZIP", "application/zip"), ("a.csv", "text/csv")] {
        let (message, kept) = read(with_attachment(name, media_type, &base64(&archive)));
        assert_eq!((&kept.attachments[0], message.unwrap().unpacked.len()), (&archive, 0));
    }
    let (message, kept) = read(with_attachment("a.csv", "application/zip", "aGVsbG8="));
    assert_eq!((message.unwrap().warnings[0].rule.code(), &kept.attachments[0][..]), ("edxml.zip_not_zip", &b"hello"[..]));
}

#[test]
fn an_archive_before_its_description_is_refused_and_a_plain_file_is_not() {
    let move_up = |message: String| {
        let start = message.find("<ContentTransferEncoded>").unwrap();
        let end = message.find("</ContentTransferEncoded>").unwrap() + "</ContentTransferEncoded>".len();
        let content = message[start..end].to_owned();
        change(&message.replace(&content, ""), "<Attachment>", &format!("<Attachment>{content}"))
    };
    let archive = base64(&zip(&[zip_entry("entry", b"plain", Packing::Stored)]));
    assert_eq!(codes(move_up(with_attachment("a.csv", "application/zip", &archive))), ["edxml.zip_undecided"]);
    assert_eq!(codes(move_up(with_attachment("a.pdf", "application/pdf", "aGVsbG8="))), [""; 0]);
}

fn in_status(from: &str, to: &str) -> String {
    change(&sample("made/02b-status-03-accepted.edxml"), from, to)
}

#[test]
fn status_codes_are_read_and_strange_ones_told() {
    let code = |text: &str| in_status("StatusCode>03<", &format!("StatusCode>{text}<"));
    assert_eq!(status(code("3")).code, StatusCode::ACCEPTED);
    assert_eq!(codes(code("3")), ["edxml.status_code_spelling"]);
    assert_eq!((status(code("14")).code.number(), codes(code("14"))), (14, vec!["edxml.status_code_unknown"]));
    for text in ["x", "103", "-3", "+3"] {
        assert_eq!(codes(code(text)), ["edxml.status_code_invalid"], "{text}");
    }
}

#[test]
fn a_status_has_an_addressee_and_a_time_with_one_meaning() {
    assert_eq!(codes(in_status("<edXML:OrganId>G12</edXML:OrganId>", "")), ["edxml.missing"]);
    assert_eq!(codes(in_status("2025/11/17 17:05:44", "05/11/2025 17:05:44")), ["edxml.date_ambiguous"]);
    assert_eq!(codes(in_status("2025/11/17 17:05:44", "2025-11-17T17:05:44")), ["edxml.date_spelling"]);
    assert_eq!(codes(in_status("2025/11/17 17:05:44", "yesterday")), ["edxml.time_invalid"]);
    // A hop of the trace is display only: it is left out.
    assert_eq!(codes(change(&new_document(), "2025/11/17 16:42:10", "05/11/2025 16:42:10")), ["edxml.time_invalid"]);
}

#[test]
fn organisation_and_number_of_an_answer_may_be_exchanged() {
    let organisation = "<edXML:OrganId>G12</edXML:OrganId>\n          <edXML:Code>4127/BTC-NSNN</edXML:Code>";
    let swapped = in_status(organisation, "<edXML:OrganId>4127/BTC-NSNN</edXML:OrganId><edXML:Code>G12</edXML:Code>");
    assert_eq!(codes(&swapped), ["edxml.answer_swapped"]);
    assert_eq!(status(&swapped), status(sample("made/02b-status-03-accepted.edxml")));
}

#[test]
fn codes_with_a_missing_group_are_codes() {
    assert_eq!(codes(new_document().replace("<edXML:OrganId>H37<", "<edXML:OrganId>000.1137.H53<")), [""; 0]);
}

#[test]
fn an_archive_that_is_not_declared_is_kept_and_told() {
    let archive = base64(&zip(&[zip_entry("entry", b"plain", Packing::Stored)]));
    assert_eq!(codes(with_attachment("a.pdf", "application/pdf", &archive)), ["edxml.zip_undeclared"]);
    assert_eq!(codes(with_attachment("a.docx", "application/docx", &archive)), [""; 0], "the format is an archive itself");
}

#[test]
fn a_status_with_an_attachment_is_read_without_it() {
    let attachment = "<AttachmentEncoded><Attachment><ContentId>x</ContentId><AttachmentName>a.pdf</AttachmentName><ContentTransferEncoded/></Attachment></AttachmentEncoded></edXML>";
    let message = in_status("</edXML>", attachment);
    assert!(codes(&message).contains(&"edxml.attachment_ignored"));
    assert_eq!(status(&message).code, StatusCode::ACCEPTED);
}

#[test]
fn a_business_block_in_another_place_is_refused_rather_than_ignored() {
    for name in ["Bussiness", "Business"] {
        let misplaced = format!("<edXML:{name}><edXML:{name}DocType>1</edXML:{name}DocType></edXML:{name}></edXML:MessageHeader>");
        let message = change(&new_document(), "</edXML:MessageHeader>", &misplaced);
        assert!(codes(&message).contains(&"edxml.business_misplaced"), "{}", report(message));
    }
}
