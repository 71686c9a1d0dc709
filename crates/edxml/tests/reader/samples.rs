//! Every sample of testdata/edxml.

use expect_test::expect;
use truc_edxml::{BusinessKind, LocalTime, StatusCode};
use truc_types::{Date, Urgency};

use crate::support::{document, read, report, sample, status};

#[test]
fn the_new_document_is_read_with_every_field() {
    let (reading, kept) = read(sample("made/01-new-document.edxml"));
    assert_eq!(reading.unwrap().warnings, []);
    let message = document(sample("made/01-new-document.edxml"));
    assert_eq!((message.from.code.as_str(), message.from.name.as_deref()), ("G12", Some("Bộ Tài chính")));
    assert_eq!(message.to.iter().map(|party| party.code.as_str()).collect::<Vec<_>>(), ["H53", "H37"]);
    assert_eq!(message.document_id.as_deref(), Some("G12,2025/11/17,4127/BTC-NSNN"));
    assert_eq!((message.number.as_str(), message.notation.as_str()), ("4127", "BTC-NSNN"));
    assert_eq!(message.promulgation_date, Date::new(2025, 11, 17).unwrap());
    assert_eq!(message.due_date, Some(Date::new(2025, 11, 28).unwrap()));
    assert_eq!((message.document_type.code, message.document_type.detail), (Some(2), Some(18)));
    assert_eq!(message.document_type.name.as_deref(), Some("Công văn"));
    assert!(message.subject.starts_with("V/v báo cáo tình hình"));
    assert_eq!(message.signer.full_name.as_deref(), Some("Nguyễn Văn Mẫu"));
    assert_eq!(message.priority, Urgency::Urgent);
    assert_eq!((message.drafter.as_deref(), message.copies, message.pages), (Some("NVM"), Some(2), Some(1)));
    assert_eq!(message.to_places, ["Như trên", "Lưu: VT, NSNN"]);
    let time = LocalTime { date: message.promulgation_date, time_of_day: (16, 42, 10) };
    assert_eq!(message.trace.iter().map(|hop| (hop.organisation.as_deref(), hop.time)).collect::<Vec<_>>(), [(Some("G12"), Some(time))]);
    let business = message.business;
    assert_eq!((business.kind, business.reason.as_deref(), business.paper), (BusinessKind::New, Some("Văn bản mới"), None));
    assert_eq!(message.trace_id.as_deref(), Some("553cac4a-9e21-5c96-8039-62027b0866c7"));
    assert_eq!(business.staff.unwrap().name.as_deref(), Some("Trần Thị Mẫu"));
    assert_eq!(kept.ended, 2);
}

fn check_attachments(name: &str, expected: &[(&str, &str, &str, u64, bool)]) {
    let (reading, kept) = read(sample(name));
    let (message, unpacked) = (document(sample(name)), reading.unwrap().unpacked);
    let digests: Vec<String> = message.attachments.iter().map(|info| info.sha256.to_hex()).collect();
    let found = message.attachments.iter().zip(&digests).enumerate().map(|(index, (info, digest))| {
        (info.name.as_str(), info.media_type.as_str(), digest.as_str(), info.size, unpacked.contains(&index))
    });
    assert_eq!(found.collect::<Vec<_>>(), expected, "{name}");
    assert_eq!(
        kept.attachments.iter().map(|bytes| bytes.len() as u64).collect::<Vec<_>>(),
        expected.iter().map(|row| row.3).collect::<Vec<_>>()
    );
}

#[test]
fn attachments_have_the_digests_that_other_software_computed() {
    let pdf = "4f2eba700c9978cc248ca44958bf68cb50ce947d3d2c7bfd1e521c6ffb7bcc57";
    let csv = "5829ae468028488f4b0960083763e5c4c22894d5f0c8640631a36b6c5c898497";
    let reply = "7806275a2da5eb2c3732dd18cc88eacfd2c32c210aa9c4e5d74fb5bedb5e5205";
    let sdk = "8385739ec4a4ed36d71eabcaead629641ffc5ffff3d487ff5c34d2f821c9f36e";
    check_attachments(
        "made/01-new-document.edxml",
        &[("4127-BTC-NSNN.pdf", "application/pdf", pdf, 738, false), ("bieu-mau-01.csv", "text/csv", csv, 66, true)],
    );
    check_attachments("made/04-reply.edxml", &[("905-UBND-KT.pdf", "application/pdf", reply, 738, false)]);
    check_attachments("sdk/edoc_new.edxml", &[("1896_QD-TTg_m_294779.doc", "application/msword", sdk, 388_347, true)]);
}

#[test]
fn the_reply_names_what_it_answers() {
    let message = document(sample("made/04-reply.edxml"));
    let [answered] = message.response_for.as_slice() else { panic!("one answered document") };
    assert_eq!(answered.organisation.as_ref().map(|code| code.as_str()), Some("G12"));
    assert_eq!(answered.code.as_deref(), Some("4127/BTC-NSNN"));
    assert_eq!(answered.promulgation_date, Some(Date::new(2025, 11, 17).unwrap()));
    assert_eq!(answered.document_id.as_deref(), Some("G12,2025/11/17,4127/BTC-NSNN"));
}

#[test]
fn real_traffic_has_a_due_date_before_its_date_of_issue_and_is_told_so() {
    expect![[r#"
        read
        edxml.date_implausible: line 48:9, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/DueDate: the date is not plausible; found "2018/09/28"; expected ≥ 2019/01/16
    "#]]
    .assert_eq(&report(sample("sdk/edoc_new.edxml")));
}

#[test]
fn every_kind_of_message_is_read_and_named() {
    for (name, expected) in [
        ("made/01-new-document.edxml", "new document"),
        ("made/02a-status-01-arrived.edxml", "status packet 01"),
        ("made/02b-status-03-accepted.edxml", "status packet 03"),
        ("made/02c-status-02-refused.edxml", "status packet 02"),
        ("made/02d-status-06-completed.edxml", "status packet 06"),
        ("made/03-recall.edxml", "recall"),
        ("made/03b-status-15-recall-agreed.edxml", "status packet 15"),
        ("made/04-reply.edxml", "new document"),
        ("made/05-update.edxml", "update"),
        ("sdk/edoc_new.edxml", "new document"),
        ("sdk/edoc_update.edxml", "update"),
        ("sdk/status_acceptance_03.edxml", "status packet 03"),
        ("sdk/status_change-acceptance_15.edxml", "status packet 15"),
        ("sdk/status_inbox_01.edxml", "status packet 01"),
        ("sdk/status_rejection_02.edxml", "status packet 02"),
    ] {
        assert_eq!(read(sample(name)).0.unwrap().message.kind().to_string(), expected, "{name}");
    }
    assert_eq!(document(sample("made/05-update.edxml").replace("DocType>2<", "DocType>3<")).business.kind, BusinessKind::Replace);
}

#[test]
fn the_update_and_the_refusal_are_read_with_every_field() {
    let business = document(sample("made/05-update.edxml")).business;
    let receivers = business.update.receivers.iter().map(|change| (change.organisation.as_str(), change.added));
    assert_eq!(receivers.collect::<Vec<_>>(), [("H37", false), ("H56", true)]);
    assert_eq!((business.update.document_info, business.update.document_receiver), (Some(1), Some(1)));
    assert_eq!(business.document_id.as_deref(), Some("G12,2025/11/17,4127/BTC-NSNN"));
    let status = status(sample("made/02c-status-02-refused.edxml"));
    assert_eq!((status.from.code.as_str(), status.code), ("H37", StatusCode::REFUSED));
    assert_eq!(status.response_for.organisation.map(|code| code.to_string()).as_deref(), Some("G12"));
    assert_eq!(status.staff.and_then(|staff| staff.name).as_deref(), Some("Hoàng Thị Mẫu"));
    assert!(status.description.is_some_and(|text| text.starts_with("Trả lại: gửi sai nơi nhận")));
    assert_eq!(status.time.map(|time| time.to_string()).as_deref(), Some("2025/11/18 08:11:30"));
}
