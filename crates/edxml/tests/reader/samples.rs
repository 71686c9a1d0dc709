//! Every sample of testdata/edxml.

use expect_test::expect;
use truc_edxml::{LocalTime, Packet, ReadError};
use truc_types::{Date, Reason, Urgency};

use crate::support::{read, report, sample};

#[test]
fn the_new_document_is_read_with_every_field() {
    let (message, kept) = read(sample("made/01-new-document.edxml"));
    let message = message.unwrap();
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
    let business = message.business.unwrap();
    assert_eq!((business.reason.as_deref(), business.paper.as_deref()), (Some("Văn bản mới"), Some("0")));
    assert_eq!(business.staff.unwrap().name.as_deref(), Some("Trần Thị Mẫu"));
    assert_eq!(message.warnings, []);
    assert_eq!(kept.ended, 2);
}

fn check_attachments(name: &str, expected: &[(&str, &str, &str, u64, bool)]) {
    let (message, kept) = read(sample(name));
    let message = message.unwrap();
    let digests: Vec<String> = message.attachments.iter().map(|info| info.sha256.to_hex()).collect();
    let found = message
        .attachments
        .iter()
        .zip(&digests)
        .map(|(info, digest)| (info.name.as_str(), info.media_type.as_str(), digest.as_str(), info.size, info.was_zipped));
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
    let message = read(sample("made/04-reply.edxml")).0.unwrap();
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
        edxml.date_implausible: line 48, edXML/edXMLEnvelope/edXMLHeader/MessageHeader/DueDate: the date is not plausible; found "2018/09/28"; expected ≥ 2019/01/16
    "#]]
    .assert_eq(&report(sample("sdk/edoc_new.edxml")));
}

#[test]
fn other_packets_are_refused_by_name() {
    let status = |code: &str| Packet::Status { code: code.to_owned() };
    for (name, expected) in [
        ("made/02a-status-01-arrived.edxml", status("01")),
        ("made/02b-status-03-accepted.edxml", status("03")),
        ("made/02c-status-02-refused.edxml", status("02")),
        ("made/02d-status-06-completed.edxml", status("06")),
        ("made/03b-status-15-recall-agreed.edxml", status("15")),
        ("sdk/status_acceptance_03.edxml", status("03")),
        ("sdk/status_change-acceptance_15.edxml", status("15")),
        ("sdk/status_inbox_01.edxml", status("01")),
        ("sdk/status_rejection_02.edxml", status("02")),
        ("made/03-recall.edxml", Packet::Recall),
        ("made/05-update.edxml", Packet::Update),
        ("sdk/edoc_update.edxml", Packet::Update),
    ] {
        let (result, kept) = read(sample(name));
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::BusinessUnsupported), "{name}");
        assert!(matches!(&error, ReadError::Unsupported { packet } if *packet == expected), "{name}: {error}");
        assert_eq!(kept.attachments.len(), 0, "{name}: refused before an attachment is taken");
    }
    let replacement = sample("made/05-update.edxml").replace("DocType>2<", "DocType>3<");
    assert!(matches!(read(replacement).0, Err(ReadError::Unsupported { packet: Packet::Replace })));
}
