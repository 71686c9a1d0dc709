//! What the edge refuses its document-management system, one row each, over gRPC as it arrives: how the bad input is made, the reason, the field, the
//! values. After each row a good document passes, and of the bad ones nothing is kept. Not the rules themselves, which have their tests beside them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_types::StatusExt as _;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_proto::edge::v1::{self as pb, get_status_request, send_document_request::Request};
use truc_tests::axis::Axis;
use truc_tests::dms::{Dms, Letter, PATIENCE};
use truc_tests::tools::program;
use truc_transport::{clock, status};
use truc_types::Reason;

mod edxml;

use edxml::{FILES, archive, with_content};

/// Named values of a refusal.
type Values = &'static [(&'static str, &'static str)];
/// A document that is changed into a bad one; the field that `BadRequest` names, if any.
type Row = (&'static str, fn(&mut Vec<pb::SendDocumentRequest>), Reason, &'static str, Values);

fn header(requests: &mut [pb::SendDocumentRequest]) -> &mut pb::DocumentHeader {
    let Some(Request::Header(header)) = &mut requests[0].request else { panic!("the first request is not a header") };
    header
}

fn document(requests: &mut [pb::SendDocumentRequest]) -> &mut pb::Document {
    header(requests).document.as_mut().unwrap()
}

fn data(count: usize) -> pb::SendDocumentRequest {
    pb::SendDocumentRequest { request: Some(Request::Data(vec![7; count].into())), resume_from: None }
}

const DOCUMENTS: &[Row] = &[
    ("nothing", |r| r.clear(), Reason::RequestInvalid, "request", &[]),
    ("data before the header", |r| drop(r.remove(0)), Reason::RequestInvalid, "request", &[]),
    ("two headers", |r| r.insert(1, r[0].clone()), Reason::RequestInvalid, "request", &[]),
    ("a header without a document", |r| header(r).document = None, Reason::RequestInvalid, "document", &[]),
    ("no reference", |r| header(r).client_reference.clear(), Reason::RequestInvalid, "client_reference", &[]),
    ("a long reference", |r| header(r).client_reference = "a".repeat(201), Reason::RequestInvalid, "client_reference", &[]),
    (
        "a place to go on from that is not kept",
        |r| r[0].resume_from = Some(5),
        Reason::HandInPosition,
        "resume_from",
        &[("found", "5"), ("kept", "0")],
    ),
    (
        "a piece too long",
        |r| {
            document(r).attachments[0].size = 300_000;
            r[1] = data(256 * 1024 + 1);
        },
        Reason::RequestInvalid,
        "data",
        &[("found", "262145"), ("limit", "262144")],
    ),
    (
        "too few bytes",
        |r| {
            document(r).attachments[0].size = 8;
            r[1] = data(7);
        },
        Reason::AttachmentSizeMismatch,
        "",
        &[("found", "7"), ("declared", "8")],
    ),
    (
        "a byte after the last",
        |r| {
            document(r).attachments[0].size = 8;
            r[1] = data(9);
        },
        Reason::AttachmentSizeMismatch,
        "",
        &[("declared", "8")],
    ),
    (
        "another digest",
        |r| document(r).attachments[0].sha256 = "ab".repeat(32),
        Reason::AttachmentDigestMismatch,
        "document.attachments[0].sha256",
        &[("index", "0")],
    ),
    (
        "a digest in capitals",
        |r| document(r).attachments[0].sha256 = "AB".repeat(32),
        Reason::RequestInvalid,
        "document.attachments[0].sha256",
        &[],
    ),
    (
        "an empty attachment",
        |r| document(r).attachments[0].size = 0,
        Reason::AttachmentEmpty,
        "document.attachments[0].size",
        &[("index", "0")],
    ),
    (
        "too large an attachment",
        |r| document(r).attachments[0].size = 52_428_801,
        Reason::AttachmentTooLarge,
        "document.attachments[0].size",
        &[("found", "52428801"), ("limit", "52428800")],
    ),
    (
        "31 attachments",
        |r| document(r).attachments = vec![document(r).attachments[0].clone(); 31],
        Reason::AttachmentTooMany,
        "document.attachments",
        &[("found", "31"), ("limit", "30")],
    ),
    (
        "a media type that is none",
        |r| document(r).attachments[0].media_type = "pdf".into(),
        Reason::StatementOutOfRange,
        "document.attachments[0].media_type",
        &[("found", "pdf")],
    ),
    ("no recipient", |r| document(r).recipients.clear(), Reason::StatementOutOfRange, "document.recipients", &[]),
    (
        "201 recipients",
        |r| document(r).recipients = (0..201).map(|n| format!("G12.{n}")).collect(),
        Reason::StatementTooLong,
        "document.recipients",
        &[("found", "201"), ("limit", "200")],
    ),
    (
        "an unknown recipient",
        |r| document(r).recipients.push("G12.99".into()),
        Reason::RecipientUnknown,
        "document.recipients[1]",
        &[("recipient", "G12.99"), ("near", "G12.01,G12.02")],
    ),
    ("a recipient that is no code", |r| document(r).recipients.push("g12".into()), Reason::RequestInvalid, "document.recipients[1]", &[]),
    (
        "a recipient twice",
        |r| document(r).recipients.push("G12".into()),
        Reason::RecipientTwice,
        "document.recipients",
        &[("recipient", "G12")],
    ),
    (
        "a recipient twice, once by its old code",
        |r| document(r).recipients = vec!["G12.01".into(), "000.00.01.G12".into()],
        Reason::RecipientTwice,
        "document.recipients[1]",
        &[("recipient", "000.00.01.G12")],
    ),
    (
        "a sender of another agency",
        |r| document(r).sender = "H53".into(),
        Reason::SenderUnknown,
        "document.sender",
        &[("sender", "H53"), ("agency", "G22")],
    ),
    ("no number", |r| document(r).number.clear(), Reason::StatementMissingField, "document.number", &[]),
    ("no notation", |r| document(r).notation.clear(), Reason::StatementMissingField, "document.notation", &[]),
    ("no subject", |r| document(r).subject.clear(), Reason::StatementMissingField, "document.subject", &[]),
    (
        "a long subject",
        |r| document(r).subject = "a".repeat(1_501),
        Reason::StatementTooLong,
        "document.subject",
        &[("found", "1501"), ("limit", "1500")],
    ),
    ("a control character", |r| document(r).subject = "a\u{7}".into(), Reason::StatementOutOfRange, "document.subject", &[]),
    ("no word on secrecy", |r| document(r).secrecy = 0, Reason::RequestInvalid, "document.secrecy", &[]),
    (
        "a secret",
        |r| document(r).set_secrecy(pb::Secrecy::Confidential),
        Reason::DocumentSecret,
        "document.secrecy",
        &[("mark", "SECRECY_CONFIDENTIAL")],
    ),
    ("a secrecy that does not exist", |r| document(r).secrecy = 9, Reason::RequestInvalid, "document.secrecy", &[]),
    ("no urgency", |r| document(r).urgency = 0, Reason::RequestInvalid, "document.urgency", &[]),
    (
        "at an hour that is not said",
        |r| document(r).set_urgency(pb::Urgency::FlashAtHour),
        Reason::RequestInvalid,
        "document.urgent_at",
        &[],
    ),
    (
        "an hour without the urgency",
        |r| document(r).urgent_at = "2026-11-05T10:00:00.000Z".into(),
        Reason::StatementUnknownField,
        "document.urgent_at",
        &[],
    ),
    ("a date as people write it", |r| document(r).issued_on = "05/11/2025".into(), Reason::RequestInvalid, "document.issued_on", &[]),
    ("a day that is not", |r| document(r).due_on = "2025-02-30".into(), Reason::RequestInvalid, "document.due_on", &[]),
    ("an hour without a zone", |r| document(r).urgent_at = "2025-11-05 10:00".into(), Reason::RequestInvalid, "document.urgent_at", &[]),
    (
        "an answer to no id",
        |r| document(r).in_reply_to = vec![pb::DocumentReference { message_id: "4127".into(), ..Default::default() }],
        Reason::RequestInvalid,
        "document.in_reply_to[0].message_id",
        &[],
    ),
    ("a thread that is no id", |r| document(r).thread = "4127".into(), Reason::RequestInvalid, "document.thread", &[]),
];

/// Good documents between the bad ones: what they were, to be found at the recipient.
struct Honest {
    dms: Dms,
    message_ids: Vec<String>,
    /// Rows whose refusal is not what it must be.
    wrong: Vec<String>,
}

impl Honest {
    async fn pass(&mut self, row: &str) {
        let letter = Letter::new(&format!("good-{}", self.message_ids.len()), &["G12"]);
        self.message_ids.push(self.dms.send(&letter).await.unwrap_or_else(|refused| panic!("after {row}: {refused}")));
    }

    /// What a refusal must be, and that others are served after it.
    async fn check<T: std::fmt::Debug>(
        &mut self,
        row: &str,
        answer: Result<T, Status>,
        reason: Reason,
        field: &str,
        values: &[(&str, &str)],
    ) {
        match answer {
            Ok(taken) => self.wrong.push(format!("{row}: taken: {taken:?}")),
            Err(answered) => self.wrong.extend(differences(&answered, reason, field, values).map(|what| format!("{row}: {what}"))),
        }
        self.pass(row).await;
    }
}

/// Where an answer is not the refusal that it must be.
fn differences(answered: &Status, reason: Reason, field: &str, values: &[(&str, &str)]) -> Option<String> {
    let Some(refusal) = status::refusal(answered) else { return Some(format!("no reason in {answered:?}")) };
    let details = answered.get_error_details();
    let first = details.bad_request().and_then(|bad| bad.field_violations.first());
    let rule = refusal.value("rule").map(|rule| rule.replace('.', "_").to_ascii_uppercase());
    let right = refusal.reason == reason
        && answered.code() == status::code(reason)
        && (field.is_empty() || first.is_some_and(|first| first.field == field))
        && values.iter().all(|(name, expected)| refusal.value(name) == Some(expected))
        // Of an edXML file every fault is told; the refusal itself is about the first.
        && rule.is_none_or(|rule| first.is_some_and(|first| first.reason == rule))
        && details.localized_message().is_some_and(|text| text.locale == "vi" && !text.message.is_empty());
    (!right).then(|| format!("{refusal:?}, {:?}, {first:?}", answered.code()))
}

/// Waits until the edge has read the registry: without it it refuses no code.
async fn registry_read(dms: &Dms) {
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let asked = async {
        while dms.client().await.unwrap().get_edge_info(pb::GetEdgeInfoRequest {}).await.unwrap().into_inner().registry_version == 0 {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the edge never read the registry");
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

async fn bad_documents(honest: &mut Honest) {
    let dms = honest.dms.clone();
    for (row, change, reason, field, values) in DOCUMENTS {
        let mut requests = Letter::new(&format!("bad {row}"), &["G12"]).requests();
        change(&mut requests);
        let answer = dms.client().await.unwrap().send_document(tokio_stream::iter(requests)).await;
        honest.check(row, answer, *reason, field, values).await;
    }
    // The same key for another document.
    let other = Letter { number: "4128".to_owned(), ..Letter::new("good-0", &["G12"]) };
    let first = honest.message_ids[0].clone();
    honest.check("a used reference", dms.send(&other).await, Reason::ReferenceConflict, "", &[("message_id", &first)]).await;
}

async fn bad_files(honest: &mut Honest) {
    let dms = honest.dms.clone();
    for (row, make, secrecy, reason, values) in FILES {
        let answer = dms.send_edxml(&format!("bad file {row}"), *secrecy, &make()).await;
        honest.check(row, answer, *reason, "", values).await;
    }
}

/// Nothing is known under the reference of a refused document.
async fn nothing_kept(dms: &Dms) {
    let documents = DOCUMENTS.iter().map(|(row, ..)| format!("bad {row}"));
    for reference in documents.chain(FILES.iter().map(|(row, ..)| format!("bad file {row}"))) {
        let document = Some(get_status_request::Document::ClientReference(reference.clone()));
        let answer = dms.client().await.unwrap().get_status(pb::GetStatusRequest { document }).await.unwrap_err();
        assert_eq!(status::refusal(&answer).unwrap().reason, Reason::MessageUnknown, "{reference}");
    }
}

/// What a recipient asks that cannot be answered.
async fn bad_questions(honest: &mut Honest, ministry: &Dms) {
    let (id, nobody) = (honest.message_ids[0].clone(), clock::mint().to_string());
    let mut client = ministry.client().await.unwrap();
    let unknown = [("message_id", nobody.as_str())];
    let get = |message_id: &str| pb::GetDocumentRequest { message_id: message_id.to_owned(), recipient: String::new() };
    honest.check("get an unknown id", client.get_document(get(&nobody)).await, Reason::MessageUnknown, "", &unknown).await;
    honest.check("get no id", client.get_document(get("4127")).await, Reason::RequestInvalid, "message_id", &[]).await;
    honest.check("download an unknown id", ministry.attachment(&nobody, 0, 0).await, Reason::MessageUnknown, "", &unknown).await;
    honest.check("an attachment that is not", ministry.attachment(&id, 1, 0).await, Reason::RequestInvalid, "index", &[]).await;
    honest.check("beyond the end", ministry.attachment(&id, 0, 5_000).await, Reason::BlobOffset, "", &[("found", "5000")]).await;
    honest.check("register an unknown id", ministry.acknowledge(&nobody, "G12", "1").await, Reason::MessageUnknown, "", &unknown).await;
    honest.check("register for another", ministry.acknowledge(&id, "H53", "1").await, Reason::MessageUnknown, "", &[]).await;
    let long = ministry.acknowledge(&id, "G12", &"1".repeat(31)).await;
    honest.check("a long number", long, Reason::StatementTooLong, "arrival_number", &[("found", "31"), ("limit", "30")]).await;
    let answer = ministry.refuse(&id, "G12", "wrong_recipient", "").await;
    honest.check("return without a text", answer, Reason::StatementOutOfRange, "reason_text", &[]).await;
    let answer = ministry.refuse(&id, "G12", "Wrong Recipient", "Sai nơi nhận").await;
    honest.check("return with no code", answer, Reason::StatementOutOfRange, "reason_code", &[]).await;
    ministry.refuse(&id, "G12", "wrong_recipient", "Sai nơi nhận").await.unwrap();
    let named = [("message_id", id.as_str())];
    honest.check("register after return", ministry.acknowledge(&id, "G12", "1").await, Reason::ReceiptOutOfOrder, "", &named).await;
    let answer = ministry.refuse(&id, "G12", "wrong_recipient", "Khác").await;
    honest.check("return twice, otherwise", answer, Reason::ReceiptRepeated, "", &named).await;
    let found = [("found", "18446744073709551615")];
    honest.check("a cursor", ministry.receive(Some(u64::MAX), 1).await, Reason::CursorUnknown, "after_cursor", &found).await;
    honest.check("events after", ministry.events(u64::MAX, None).await, Reason::CursorUnknown, "after_cursor", &found).await;
    let confirm = client.confirm_documents(pb::ConfirmDocumentsRequest { cursor: u64::MAX }).await;
    honest.check("confirm a cursor", confirm, Reason::CursorUnknown, "cursor", &found).await;
    let page = pb::ListDocumentsRequest { page_token: "x".to_owned(), ..Default::default() };
    honest.check("a page token", client.list_documents(page).await, Reason::RequestInvalid, "page_token", &[]).await;
    let page = pb::ListDocumentsRequest { direction: 9, ..Default::default() };
    honest.check("a direction", client.list_documents(page).await, Reason::RequestInvalid, "direction", &[]).await;
    let page = pb::ListDocumentsRequest { since: "05/11/2025".to_owned(), ..Default::default() };
    honest.check("a time", client.list_documents(page).await, Reason::RequestInvalid, "since", &[]).await;
    let nothing = client.get_status(pb::GetStatusRequest { document: None }).await;
    honest.check("the status of nothing", nothing, Reason::RequestInvalid, "document", &[]).await;
    honest.check("the status of an unknown id", ministry.status(&nobody).await, Reason::MessageUnknown, "", &unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_of_a_dms_is_refused_with_its_reason_field_and_value_and_loses_nothing() {
    let axis = Axis::running();
    let (office, ministry) = (axis.dms("G22"), axis.dms("G12"));
    registry_read(&office).await;
    let mut honest = Honest { dms: office.clone(), message_ids: Vec::new(), wrong: Vec::new() };
    honest.pass("the start").await;
    ministry.receive(Some(0), 1).await.unwrap();

    bad_documents(&mut honest).await;
    bad_files(&mut honest).await;
    bad_questions(&mut honest, &ministry).await;

    assert!(honest.wrong.is_empty(), "{}", honest.wrong.join("\n"));
    nothing_kept(&office).await;

    // The name inside an archive is never a path: the content is taken, under the name that the message gives it.
    let leading_out = with_content("application/zip", &archive("../../../dms-refusals-escaped", b"inside"));
    let taken = office.send_edxml("leading out", pb::Secrecy::None, &leading_out).await.unwrap();
    honest.message_ids.push(taken.clone());
    let mut arrived = ministry.receive(Some(0), honest.message_ids.len()).await.unwrap();
    assert_eq!(ministry.attachment(&taken, 0, 0).await.unwrap(), b"inside");
    let mut found = Vec::new();
    files_below(&axis.path(""), &mut found);
    assert!(!found.iter().any(|path| path.to_string_lossy().contains("escaped")), "{found:?}");
    assert!(!axis.path("../dms-refusals-escaped").exists() && !axis.path("../../dms-refusals-escaped").exists());

    // All good documents came, and nothing else.
    assert_eq!(ministry.arrived().await.unwrap().len(), honest.message_ids.len());
    let mut arrived: Vec<_> = arrived.drain(..).map(|response| response.document.unwrap().message_id).collect();
    arrived.sort();
    honest.message_ids.sort();
    assert_eq!(arrived, honest.message_ids);
    for name in ["broker", "edge-G22", "edge-G12"] {
        assert!(!axis.log(name).contains("panicked"), "{}", axis.log(name));
    }
}

/// Makes a key and a certificate `name` in a folder: signed by `authority` there, or by itself.
pub(crate) fn certificate(folder: &Path, name: &str, authority: Option<&str>) -> (PathBuf, PathBuf) {
    let file = |name: &str, what: &str| folder.join(format!("{name}.{what}.pem"));
    let (certificate, key) = (file(name, "cert"), file(name, "key"));
    let mut openssl = program("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
        ])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext"])
        .arg(if name.starts_with("authority") { "basicConstraints=critical,CA:TRUE" } else { "basicConstraints=critical,CA:FALSE" })
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate);
    if let Some(authority) = authority {
        openssl.arg("-CA").arg(file(authority, "cert")).arg("-CAkey").arg(file(authority, "key"));
    }
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// What an edge behind TLS answers a DMS that shows this certificate, or none.
pub(crate) async fn asked(url: &str, edge: &Path, shown: Option<&(PathBuf, PathBuf)>) -> Result<String, String> {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(edge)));
    if let Some((certificate, key)) = shown {
        tls = tls.identity(Identity::from_pem(read(certificate), read(key)));
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().tls_config(tls).unwrap();
    // TLS 1.3 tells a client that its certificate is refused only after the client believes that it is connected.
    let channel = endpoint.connect().await.map_err(|cause| format!("{cause:?}"))?;
    let answer = DocumentServiceClient::new(channel).get_edge_info(pb::GetEdgeInfoRequest {}).await;
    answer.map(|info| info.into_inner().agency).map_err(|cause| format!("{cause:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_dms_with_a_certificate_of_the_agency_s_authority_is_let_in() {
    let mut axis = Axis::new();
    let folder = axis.path("");
    let (edge, edge_key) = certificate(&folder, "edge", None);
    let (authority, _) = certificate(&folder, "authority", None);
    certificate(&folder, "authority-elsewhere", None);
    let ours = certificate(&folder, "dms", Some("authority"));
    let foreign = certificate(&folder, "foreign", Some("authority-elsewhere"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = ["--dms-tls-cert", &path(&edge), "--dms-tls-key", &path(&edge_key), "--dms-client-ca", &path(&authority)];
    axis.start_edge_with("G22", &[arguments.as_slice(), &["--listen", "0.0.0.0:0"]].concat());
    let url = format!("https://localhost:{}", axis.edge_address("G22").port());
    for (row, shown) in [("no certificate", None), ("one of another authority", Some(&foreign))] {
        let refused = asked(&url, &edge, shown).await;
        assert!(refused.is_err(), "{row}: {refused:?}");
        assert_eq!(asked(&url, &edge, Some(&ours)).await.as_deref(), Ok("G22"), "after {row}");
    }
}
