//! The writer alone: what it refuses by name, its archives as other software opens them, and every document inside the limits.

use std::io::Read as _;

use expect_test::expect;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use truc_edxml::{
    AttachmentInfo, Business, BusinessKind, Document, LocalTime, Message, ReceiverChange, Replacement, Staff, StatusCode, TraceHop, Update,
    WriteError,
};
use truc_types::{Date, Digest, Urgency};

use crate::support::{Kept, document, new_document, read, sample, status, write};

fn attachment(index: usize, name: &str, bytes: &[u8]) -> AttachmentInfo {
    let media_type = if name.ends_with("pdf") { "application/pdf" } else { "application/octet-stream" };
    AttachmentInfo {
        name: name.to_owned(),
        description: None,
        media_type: media_type.to_owned(),
        content_id: format!("id-{index}"),
        size: bytes.len() as u64,
        sha256: Digest(Sha256::digest(bytes).into()),
    }
}

/// The new document with these attachments.
fn with(attachments: &[(&str, Vec<u8>)]) -> (Message, Kept) {
    let infos = attachments.iter().enumerate().map(|(index, (name, bytes))| attachment(index, name, bytes)).collect();
    let kept = Kept { attachments: attachments.iter().map(|(_, bytes)| bytes.clone()).collect(), ended: attachments.len() };
    (Message::Document(Box::new(Document { attachments: infos, ..document(new_document()) })), kept)
}

fn refusal(change: impl FnOnce(&mut Document)) -> String {
    let (Message::Document(mut document), mut kept) = with(&[("a.pdf", b"a".to_vec()), ("b.pdf", b"b".to_vec())]) else { panic!() };
    change(&mut document);
    write(&Message::Document(document), &mut kept).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_written_is_refused_by_the_name_of_its_field() {
    let refusals = [
        refusal(|document| document.subject = "a\u{0}b".to_owned()),
        refusal(|document| document.to_places = vec!["ok".to_owned(), "\u{ffff}".to_owned()]),
        refusal(|document| document.to[1].name = Some("x".repeat(1_501))),
        refusal(|document| document.number = " \n".to_owned()),
        refusal(|document| document.notation = "N/A".to_owned()),
        refusal(|document| document.to.clear()),
        refusal(|document| document.to[1].code = document.to[0].code.clone()),
        refusal(|document| document.to = vec![document.to[0].clone(); 201]),
        refusal(|document| document.copies = Some(u32::MAX)),
        refusal(|document| document.trace[0].time = document.trace[0].time.map(|time| LocalTime { time_of_day: (24, 0, 0), ..time })),
        refusal(|document| document.trace_id = Some("a\nb".to_owned())),
        refusal(|document| document.attachments[1].content_id = document.attachments[0].content_id.clone()),
        refusal(|document| document.attachments[1].name = "../b.pdf".to_owned()),
        refusal(|document| document.attachments[1].media_type = "pdf".to_owned()),
        refusal(|document| document.attachments[1].size = 51 << 20),
        refusal(|document| document.attachments[1].size = 2),
        refusal(|document| document.attachments[0].sha256 = Digest([0; 32])),
    ];
    expect![[r#"
        MessageHeader/Subject holds U+0000, which XML cannot carry
        MessageHeader/ToPlaces/Place holds U+FFFF, which XML cannot carry
        MessageHeader/To[2]/OrganName has 1501 bytes, at most 1500 are written
        MessageHeader/Code/CodeNumber is missing
        MessageHeader/Code/CodeNotation is missing
        MessageHeader/To is missing
        MessageHeader/To[2]/OrganId repeats the one of an earlier item
        MessageHeader/To has 201 items, at most 200 are written
        MessageHeader/OtherInfo/PromulgationAmount is 4294967295, which the format cannot hold
        TraceHeaderList/TraceHeader/Timestamp is 2025/11/17 24:00:00, which the format cannot hold
        TraceHeaderList/@id holds U+000A, which XML cannot carry
        Attachment[2]/ContentId repeats the one of an earlier item
        Attachment[2]/AttachmentName leads out of a folder
        Attachment[2]/MimeType is no media type, which the format cannot hold
        attachment 1 has 53477376 bytes, at most 52428800 are written
        the bytes of attachment 1 are not those that the message names
        the bytes of attachment 0 are not those that the message names
    "#]]
    .assert_eq(&(refusals.join("\n") + "\n"));
}

#[test]
fn nothing_is_written_before_all_values_are_checked() {
    let (Message::Document(mut document), mut kept) = with(&[("a.pdf", b"a".to_vec())]) else { panic!() };
    document.attachments[0].name = "..".to_owned();
    let mut out = Vec::new();
    let error = truc_edxml::write_message(&Message::Document(document), &mut kept, &mut out).unwrap_err();
    assert!(matches!(error, WriteError::NameTraversal { .. }), "{error}");
    assert_eq!(out, b"");
}

#[test]
fn the_extension_decides_between_raw_and_archive_as_in_the_national_library() {
    for (name, expected) in [
        ("a.pdf", "application/pdf"),
        ("a.DOC", "application/doc"),
        ("a.docx", "application/docx"),
        ("a.xsl", "application/xsl"),
        ("a.xslx", "application/xslx"),
        ("a.zip", "application/zip"),
        ("a.xls", "application/zip"),
        ("a.xlsx", "application/zip"),
        ("a.csv", "application/zip"),
        ("no extension", "application/zip"),
    ] {
        let (message, mut kept) = with(&[(name, b"PK\x03\x04 some bytes".to_vec())]);
        let written = write(&message, &mut kept).unwrap();
        assert_eq!(written.matches(&format!("ContentType>{expected}<")).count(), 2, "{name}: manifest and attachment");
        let (reading, again) = read(&written);
        assert_eq!((reading.unwrap().message, again.attachments), (message, kept.attachments), "{name}");
    }
}

/// The base64 of the only attachment of a message.
fn archive(written: &str) -> Vec<u8> {
    use base64::Engine as _;
    let content = written.split("ContentTransferEncoded").nth(1).unwrap();
    let text = content.split_once('>').unwrap().1.split('<').next().unwrap();
    assert!(!text.contains(char::is_whitespace), "on one line");
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn archives_are_whole_and_never_look_like_bombs() {
    let zeros = vec![0; 3 << 20];
    let noise: Vec<u8> = (0..600_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let words = "trục liên thông văn bản quốc gia ".repeat(60_000).into_bytes();
    let mixed = [zeros.clone(), noise.clone(), zeros.clone()].concat();
    for bytes in [Vec::new(), vec![7], zeros, noise, words, mixed] {
        let (message, mut kept) = with(&[("a.bin", bytes.clone())]);
        let written = write(&message, &mut kept).unwrap();
        let (reading, again) = read(&written);
        assert_eq!(reading.unwrap().warnings, []);
        assert!(again.attachments == [bytes.clone()]);
        let archive = archive(&written);
        // The directory says what the stream said: offset of the directory, sizes, one entry.
        let end = &archive[archive.len() - 22..];
        let number = |at: usize| u32::from_le_bytes(end[at..at + 4].try_into().unwrap()) as usize;
        let directory = &archive[number(16)..number(16) + number(12)];
        assert_eq!((&end[..4], &directory[..4]), (&b"PK\x05\x06"[..], &b"PK\x01\x02"[..]));
        let packed = u32::from_le_bytes(directory[20..24].try_into().unwrap()) as usize;
        assert_eq!(u32::from_le_bytes(directory[24..28].try_into().unwrap()) as usize, bytes.len());
        let start = 30 + "attachment-1.bin".len();
        let mut plain = Vec::new();
        flate2::read::DeflateDecoder::new(&archive[start..start + packed]).read_to_end(&mut plain).unwrap();
        assert!(plain == bytes);
    }
}

#[test]
fn a_source_that_fails_or_gives_too_much_ends_the_writing() {
    let (message, _) = with(&[("a.pdf", b"abc".to_vec())]);
    let mut more = Kept { attachments: vec![b"abcd".to_vec()], ended: 1 };
    assert!(matches!(write(&message, &mut more), Err(WriteError::AttachmentDiffers { index: 0 })));
    struct Broken;
    impl truc_edxml::AttachmentSource for Broken {
        fn open(&mut self, _index: usize) -> std::io::Result<Box<dyn std::io::Read + '_>> {
            Err(std::io::Error::other("gone"))
        }
    }
    let error = truc_edxml::write_message(&message, &mut Broken, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "reading attachment 0 failed: gone");
}

#[test]
fn every_status_code_is_written_and_read() {
    for code in StatusCode::KNOWN {
        let mut status = status(sample("made/02b-status-03-accepted.edxml"));
        status.code = code;
        let message = Message::Status(Box::new(status));
        let reading = read(write(&message, &mut Kept::default()).unwrap()).0.unwrap();
        assert_eq!((reading.message, reading.warnings), (message, vec![]), "{code}");
    }
}

/// Texts with everything that XML, or our own reader, could stumble over.
fn any_text() -> impl Strategy<Value = String> {
    let words = proptest::collection::vec(
        prop::sample::select(vec![
            "a", "<", ">", "&", "\"", "'", "]]>", "\r", "\n", "\t", " ", "đ", "ữ", "🙂", "&amp;", "N/A", "--", "\u{85}",
        ]),
        1..12,
    );
    words.prop_map(|words| format!("x{}y", words.concat()))
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(any_text())
}

prop_compose! {
    fn any_business()(
        kind in prop::sample::select(vec![BusinessKind::New, BusinessKind::Recall, BusinessKind::Update, BusinessKind::Replace]),
        texts in proptest::collection::vec(some_text(), 4),
        paper in proptest::option::of(1_u32..100),
        added in proptest::collection::vec(any::<bool>(), 0..3),
        replaced in proptest::option::of(any_text()),
    ) -> Business {
        let organisation: truc_types::OrganisationCode = "000.00.13.H53".parse().unwrap();
        let receivers = added.into_iter().map(|added| ReceiverChange { organisation: organisation.clone(), added }).collect();
        let staff = Staff { department: texts[1].clone(), id: texts[2].clone(), mobile: texts[3].clone(), ..Staff::default() };
        Business {
            kind,
            document_id: None,
            reason: texts[0].clone(),
            paper,
            update: Update { document_info: paper, document_receiver: None, receivers },
            replacements: replaced.into_iter().map(|id| Replacement { document_id: Some(id), organisations: vec![organisation.clone()] }).collect(),
            staff: Some(staff).filter(|staff| *staff != Staff::default()),
        }
    }
}

prop_compose! {
    fn any_document()(
        subject in any_text(),
        texts in proptest::collection::vec(some_text(), 12),
        numbers in proptest::collection::vec(proptest::option::of(1..=u32::try_from(i32::MAX).unwrap()), 5),
        lists in proptest::collection::vec(any_text(), 0..5),
        digit in 0_u8..5,
        direction in any::<bool>(),
        due in 0_u32..1_000,
        business in any_business(),
        trace_id in proptest::option::of("[a-z<&\"']{1,20}"),
    ) -> Document {
        let mut document = document(new_document());
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        document.subject = subject;
        document.from.address = next();
        document.to[1].website = next();
        document.content = next();
        document.place = next();
        document.signer.competence = next();
        document.sphere = next();
        document.reply_fors = next();
        document.reference_codes = next();
        document.task.code = next();
        document.task.application_type = next();
        document.trace = next().map(|text| TraceHop { organisation: Some(text), time: None }).into_iter().collect();
        document.attachments[0].description = next();
        [document.copies, document.pages, document.steering_type, document.document_type.code, document.document_type.detail] =
            numbers.try_into().unwrap();
        (document.appendices, document.to_places) = (lists.clone(), lists);
        document.priority = Urgency::from_digit(digit).unwrap();
        document.direction = direction;
        document.due_date = Date::from_days_since_epoch(document.promulgation_date.days_since_epoch() + due);
        (document.business, document.trace_id) = (business, trace_id);
        document
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_document_is_read_as_it_was_written_without_a_diagnostic(document in any_document()) {
        let mut kept = read(new_document()).1;
        let message = Message::Document(Box::new(document));
        let written = write(&message, &mut kept).unwrap();
        let reading = read(&written).0.unwrap();
        prop_assert_eq!(&reading.message, &message);
        prop_assert_eq!(reading.warnings, vec![]);
    }
}
