//! What the broker refuses, one row each, over mutual TLS as it arrives: how the bad input is made, the reason, the named value. After each row
//! an honest document passes. Not the rules themselves, which have their tests beside them.

use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::directory_service_client::DirectoryServiceClient;
use truc_proto::broker::v1::log_service_client::LogServiceClient;
use truc_proto::broker::v1::upload_request;
use truc_signing::statement::{Business, Envelope, ReceiptEvent, Signer};
use truc_signing::{DsseFile, sha256};
use truc_tests::bare::Bare;
use truc_tests::peer::{ATTACHMENT, Peer, attachment, connect};
use truc_transport::{clock, status};
use truc_types::limits::{ATTACHMENT_BYTES_MAX, BLOB_BYTES_MAX, CLOCK_SKEW_MILLIS_MAX, SEQUENCE_WINDOW, STATEMENT_FILE_BYTES_MAX};
use truc_types::{Digest, EdgeTerm, MessageId, Reason, SenderSeq, Timestamp};

/// A bad statement and what it is refused with.
type Row = (&'static str, fn(&Peer<'_>) -> Vec<u8>, Reason, Option<(&'static str, &'static str)>);

/// A bad upload and what it is refused with.
type Upload = (&'static str, Vec<upload_request::Request>, Reason, Option<(&'static str, &'static str)>);
/// A bad download: by whom, of which message, which digest, from where.
type Download<'a> = (&'static str, &'a Peer<'a>, &'a str, &'a [u8], u64, Reason);

fn changed(peer: &Peer<'_>, change: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let mut envelope = peer.envelope(&["H2"]);
    change(&mut envelope);
    peer.sealed(&envelope.to_json())
}

/// An envelope whose JSON is changed after it was written.
fn rewritten(peer: &Peer<'_>, from: &str, to: &str) -> Vec<u8> {
    let json = String::from_utf8(peer.envelope(&["H2"]).to_json()).unwrap();
    assert!(json.contains(from), "{from} is not in {json}");
    peer.sealed(json.replacen(from, to, 1).as_bytes())
}

fn with_signatures(peer: &Peer<'_>, change: impl FnOnce(&mut DsseFile)) -> Vec<u8> {
    let mut file = DsseFile::parse(&changed(peer, |_| {})).unwrap();
    change(&mut file);
    file.to_bytes()
}

const STATEMENTS: &[Row] = &[
    ("no JSON", |_| b"not JSON".to_vec(), Reason::StatementMalformed, Some(("path", ""))),
    ("no UTF-8", |_| vec![0xff; 40], Reason::StatementNotUtf8, None),
    ("over the limit", |_| vec![b' '; STATEMENT_FILE_BYTES_MAX + 1], Reason::StatementTooLarge, Some(("found", "60001"))),
    ("deep JSON", |_| b"[".repeat(50_000), Reason::StatementMalformed, None),
    (
        "an unknown field",
        |p| rewritten(p, r#""business":"#, r#""colour":1,"business":"#),
        Reason::StatementUnknownField,
        Some(("path", "predicate.colour")),
    ),
    ("a missing field", |p| rewritten(p, r#""business":"new","#, ""), Reason::StatementMissingField, Some(("path", "predicate.business"))),
    ("a key twice", |p| rewritten(p, r#""business":"new","#, r#""business":"new","business":"new","#), Reason::StatementDuplicateKey, None),
    (
        "another type",
        |p| rewritten(p, r#""business":"new""#, r#""business":7"#),
        Reason::StatementWrongType,
        Some(("path", "predicate.business")),
    ),
    ("a long subject", |p| changed(p, |e| e.doc.subject = Some("a".repeat(1_501))), Reason::StatementTooLong, Some(("found", "1501"))),
    (
        "a control character",
        |p| changed(p, |e| e.doc.subject = Some("a\u{7}".into())),
        Reason::StatementOutOfRange,
        Some(("path", "predicate.doc.subject")),
    ),
    ("another version", |p| rewritten(p, "/envelope/v1", "/envelope/v2"), Reason::StatementUnsupported, None),
    ("no seal", |p| with_signatures(p, |file| file.signatures.clear()), Reason::SealMissing, None),
    ("a bad seal", |p| with_signatures(p, |file| file.signatures[0].sig[7] ^= 1), Reason::SealInvalid, None),
    ("a zero seal", |p| with_signatures(p, |file| file.signatures[0].sig = [0; 64]), Reason::SealInvalid, None),
    ("an unlogged certificate", unlogged, Reason::SealForeign, None),
    ("a stripped seal", stripped, Reason::SealStripped, None),
    ("another certificate", |p| changed(p, |e| e.required_signers[0].cert_sha256.0[0] ^= 1), Reason::SealCertificateSwapped, None),
    (
        "another agency",
        |p| changed(p, |e| e.sender.agency = "H2".parse().unwrap()),
        Reason::IdentityMismatch,
        Some(("statement_agency", "H2")),
    ),
    (
        "another's organisation",
        |p| changed(p, |e| e.sender.organisation = "H2".parse().unwrap()),
        Reason::SenderUnknown,
        Some(("sender", "H2")),
    ),
    (
        "an unknown recipient",
        |p| p.sealed(&p.envelope(&["H2", "H53.99"]).to_json()),
        Reason::RecipientUnknown,
        Some(("recipient", "H53.99")),
    ),
    ("a recipient twice", |p| p.sealed(&p.envelope(&["H2", "H2"]).to_json()), Reason::RecipientTwice, Some(("recipient", "H2"))),
    (
        "a recipient that reads no envelopes",
        |p| p.sealed(&p.envelope(&["H4"]).to_json()),
        Reason::RecipientCannotRead,
        Some(("recipient", "H4")),
    ),
    (
        "201 recipients",
        |p| changed(p, |e| e.recipients = (0..201).map(|n| format!("H2.{n}").parse().unwrap()).collect()),
        Reason::StatementTooLong,
        Some(("found", "201")),
    ),
    (
        "a secrecy mark",
        |p| rewritten(p, r#""secrecy":"none""#, r#""secrecy":"toi_mat""#),
        Reason::DocumentSecret,
        Some(("mark", "toi_mat")),
    ),
    (
        "a document with an expiry",
        |p| changed(p, |e| e.expires_at = Some(clock::now().plus_millis(60_000))),
        Reason::BusinessUnsupported,
        None,
    ),
    (
        "too old",
        |p| changed(p, |e| e.created_at = Timestamp::from_millis(1_600_000_000_000)),
        Reason::MessageTooOld,
        Some(("limit", "400")),
    ),
    (
        "from the future",
        |p| changed(p, |e| e.created_at = clock::now().plus_millis(2 * CLOCK_SKEW_MILLIS_MAX)),
        Reason::MessageFromFuture,
        None,
    ),
    (
        "a number outside the window",
        |p| changed(p, |e| e.sender_seq = SenderSeq(SEQUENCE_WINDOW * 3)),
        Reason::SequenceOutsideWindow,
        Some(("sender_seq", "12288")),
    ),
    ("a used number", |p| changed(p, |e| e.sender_seq = SenderSeq(1)), Reason::SequenceReused, Some(("sender_seq", "1"))),
    ("a term that is not open", |p| changed(p, |e| e.edge_term = EdgeTerm(9)), Reason::TermNotOpen, Some(("open", "1"))),
    ("a term opened again", |p| p.sealed(&p.opening(1).to_json()), Reason::TermSuperseded, Some(("open", "1"))),
    (
        "an attachment that nobody uploaded",
        |p| changed(p, |e| e.attachments = vec![attachment(Digest([5; 32]), 5)]),
        Reason::AttachmentMissing,
        None,
    ),
    (
        "an attachment of another agency",
        |p| changed(p, |e| e.attachments = vec![attachment(sha256(b"of H2"), 5)]),
        Reason::AttachmentMissing,
        None,
    ),
    (
        "an attachment that stopped half-way",
        |p| changed(p, |e| e.attachments = vec![attachment(sha256(b"truncated"), 9)]),
        Reason::AttachmentMissing,
        None,
    ),
    ("another size", |p| changed(p, |e| e.attachments[0].size += 1), Reason::AttachmentSizeMismatch, Some(("declared", "23"))),
    (
        "too large an attachment",
        |p| changed(p, |e| e.attachments[0].size = ATTACHMENT_BYTES_MAX + 1),
        Reason::AttachmentTooLarge,
        Some(("found", "52428801")),
    ),
    (
        "31 attachments",
        |p| changed(p, |e| e.attachments = vec![e.attachments[0].clone(); 31]),
        Reason::AttachmentTooMany,
        Some(("found", "31")),
    ),
];

fn unlogged(peer: &Peer<'_>) -> Vec<u8> {
    let mut envelope = peer.envelope(&["H2"]);
    envelope.required_signers[0] = peer.keys.unregistered.required_signer(truc_signing::statement::SignerRole::Seal);
    peer.sealed_with(&envelope.to_json(), &[&peer.keys.unregistered])
}

fn stripped(peer: &Peer<'_>) -> Vec<u8> {
    let mut envelope = peer.envelope(&["H2"]);
    envelope.required_signers.push(peer.keys.unregistered.required_signer(truc_signing::statement::SignerRole::Approver));
    peer.sealed(&envelope.to_json())
}

/// What a refusal must be, and that others are served after it.
async fn check(row: &str, refusal: truc_types::Refusal, reason: Reason, value: Option<(&str, &str)>, honest: &Peer<'_>) {
    assert_eq!(refusal.reason, reason, "{row}: {refusal}");
    if let Some((name, expected)) = value {
        assert_eq!(refusal.value(name), Some(expected), "{row}: {refusal:?}");
    }
    honest.submit(honest.sealed(&honest.envelope(&["H1"]).to_json())).await.unwrap_or_else(|refused| panic!("after {row}: {refused}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_statement_is_refused_with_its_reason_and_value_and_others_pass() {
    let bare = Bare::running();
    let sender = Peer::open(&bare.url(), bare.keys("H1"), 1).await;
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    honest.upload(sha256(b"of H2"), 5, 0, b"of H2").await.unwrap();
    assert!(!sender.upload(sha256(b"truncated"), 9, 0, b"trunc").await.unwrap().complete);
    // Number 1 is used from here on.
    let first = sender.envelope(&["H2"]);
    sender.submit(sender.sealed(&first.to_json())).await.unwrap();
    for (row, make, reason, value) in STATEMENTS {
        let refusal = sender.submit(make(&sender)).await.expect_err(row);
        check(row, refusal, *reason, *value, &honest).await;
    }
    let other = Envelope { nonce: clock::random(), sender_seq: SenderSeq(400), ..first.clone() };
    let refusal = sender.submit(sender.sealed(&other.to_json())).await.unwrap_err();
    check("an id twice", refusal, Reason::MessageIdConflict, Some(("id", &first.message_id.to_string())), &honest).await;
    let reply = Envelope { business: Business::Reply, message_id: clock::mint(), ..other };
    let refusal = sender.submit(sender.sealed(&reply.to_json())).await.unwrap_err();
    check("a reply to nothing", refusal, Reason::StatementMissingField, None, &honest).await;
    let mut signer = sender.envelope(&["H2"]);
    signer.doc.signer = Some(Signer { full_name: Some(String::new()), ..Signer::default() });
    let refusal = sender.submit(sender.sealed(&signer.to_json())).await.unwrap_err();
    check("an empty text", refusal, Reason::StatementOutOfRange, Some(("path", "predicate.doc.signer.full_name")), &honest).await;
    assert!(!bare.log().contains("panicked"), "{}", bare.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_ended_or_are_revoked_or_of_another_authority_are_refused_and_others_pass() {
    let (bare, stranger) = (Bare::running(), Bare::new());
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    for (code, reason) in [("H3", Reason::SealExpiredReseal), ("H5", Reason::SealRevoked)] {
        let keys = bare.keys(code);
        let channel = connect(&bare.url(), &keys.tls).await.unwrap();
        let peer = Peer::connected(keys, channel);
        let refusal = peer.submit(peer.sealed(&peer.opening(1).to_json())).await.unwrap_err();
        check(code, refusal, reason, None, &honest).await;
    }
    // In the handshake: there is no interface yet on which a reason could arrive.
    for tls in [&bare.keys("H3").other_tls, &stranger.keys("H1").tls] {
        let refused = match connect(&bare.url(), tls).await {
            Err(_) => true,
            // TLS 1.3 tells a client that its certificate is refused only after the client believes that it is connected.
            Ok(channel) => LogServiceClient::new(channel).get_checkpoint(pb::GetCheckpointRequest {}).await.is_err(),
        };
        assert!(refused, "the broker took the certificate");
        honest.submit(honest.sealed(&honest.envelope(&["H1"]).to_json())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_do_not_fit_are_refused_with_the_message_they_are_about() {
    let bare = Bare::running();
    let sender = Peer::open(&bare.url(), bare.keys("H1"), 1).await;
    let recipient = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    let envelope = sender.envelope(&["H2"]);
    let file = sender.sealed(&envelope.to_json());
    let (id, digest, from) = (envelope.message_id, sha256(&file), &sender.keys.code);
    sender.submit(file).await.unwrap();
    let fetched = recipient.receipt(ReceiptEvent::Fetched, from, id, digest);
    let other = |event| recipient.receipt(event, from, id, digest);
    let nobody = clock::mint();
    let unknown = recipient.receipt(ReceiptEvent::Fetched, from, nobody, digest);
    let wrong_digest = recipient.receipt(ReceiptEvent::Fetched, from, id, Digest([1; 32]));
    let wrong_sender = recipient.receipt(ReceiptEvent::Fetched, &"H4".parse().unwrap(), id, digest);
    let mut not_theirs = sender.receipt(ReceiptEvent::Fetched, from, id, digest);
    not_theirs.items[0].recipient = "H1".parse().unwrap();
    let rows: [(&str, &Peer<'_>, Vec<u8>, Reason, MessageId); 5] = [
        ("acknowledged before fetched", &recipient, other(ReceiptEvent::Acknowledged).to_json(), Reason::ReceiptOutOfOrder, id),
        ("of nothing", &recipient, unknown.to_json(), Reason::MessageUnknown, nobody),
        ("of other bytes", &recipient, wrong_digest.to_json(), Reason::ReceiptDigestMismatch, id),
        ("of another sender", &recipient, wrong_sender.to_json(), Reason::ReceiptMixedSenders, id),
        ("by who did not receive it", &sender, not_theirs.to_json(), Reason::ReceiptNotRecipient, id),
    ];
    for (row, peer, payload, reason, named) in rows {
        let refusal = peer.submit(peer.sealed(&payload)).await.unwrap_err();
        check(row, refusal, reason, Some(("message_id", &named.to_string())), &recipient).await;
    }
    recipient.submit(recipient.sealed(&fetched.to_json())).await.unwrap();
    let refusal = recipient.submit(recipient.sealed(&other(ReceiptEvent::Fetched).to_json())).await.unwrap_err();
    check("fetched twice", refusal, Reason::ReceiptRepeated, Some(("message_id", &id.to_string())), &recipient).await;
}

fn refused<T: std::fmt::Debug>(row: &str, answer: Result<T, tonic::Status>) -> truc_types::Refusal {
    let answered = answer.expect_err(row);
    let refusal = status::refusal(&answered).unwrap_or_else(|| panic!("{row}: no reason in {answered:?}"));
    assert_eq!(answered.code(), status::code(refusal.reason), "{row}");
    refusal
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_uploads_and_downloads_are_refused_with_the_grpc_code_and_the_value() {
    let bare = Bare::running();
    let (h1, h2) = (Peer::open(&bare.url(), bare.keys("H1"), 1).await, Peer::open(&bare.url(), bare.keys("H2"), 1).await);
    let begin = |digest: &[u8], size, offset| {
        upload_request::Request::Begin(upload_request::Begin { sha256: digest.to_vec().into(), size, offset })
    };
    let data = |count| upload_request::Request::Data(vec![7; count].into());
    let some = [9; 32];
    let half = sha256(b"half");
    h1.upload(half, 4, 0, b"ha").await.unwrap();
    let rows: [Upload; 8] = [
        ("nothing", vec![], Reason::RequestInvalid, None),
        ("data before begin", vec![data(1)], Reason::RequestInvalid, None),
        ("begin twice", vec![begin(&some, 5, 0), begin(&some, 5, 0)], Reason::RequestInvalid, None),
        ("a short digest", vec![begin(&some[..31], 5, 0)], Reason::RequestInvalid, Some(("found", "31"))),
        ("a long chunk", vec![begin(&some, 900_000, 0), data(256 * 1024 + 1)], Reason::RequestInvalid, Some(("found", "262145"))),
        ("too large", vec![begin(&some, BLOB_BYTES_MAX + 1, 0)], Reason::AttachmentTooLarge, Some(("found", "100663297"))),
        ("a wrong offset", vec![begin(&half.0, 4, 3)], Reason::BlobOffset, Some(("offset", "2"))),
        ("longer than declared", vec![begin(&[8; 32], 5, 0), data(6)], Reason::AttachmentSizeMismatch, Some(("declared", "5"))),
    ];
    for (row, requests, reason, value) in rows {
        check(row, refused(row, h1.upload_requests(requests).await), reason, value, &h2).await;
    }
    let wrong = h1.upload_requests(vec![begin(&[4; 32], 3, 0), data(3)]).await;
    let declared = Digest([4; 32]).to_string();
    check("another digest", refused("another digest", wrong), Reason::AttachmentDigestMismatch, Some(("declared", &declared)), &h2).await;

    let envelope = h1.envelope(&["H2"]);
    h1.submit(h1.sealed(&envelope.to_json())).await.unwrap();
    let (id, digest) = (envelope.message_id.to_string(), sha256(ATTACHMENT));
    assert_eq!(h2.download(&id, &digest.0, 0).await.unwrap(), ATTACHMENT);
    let rows: [Download<'_>; 6] = [
        ("by the sender, who is no recipient", &h1, &id, &digest.0, 0, Reason::BlobUnknown),
        ("another attachment", &h2, &id, &some, 0, Reason::BlobUnknown),
        ("another message", &h2, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &digest.0, 0, Reason::BlobUnknown),
        ("no id", &h2, "no id", &digest.0, 0, Reason::RequestInvalid),
        ("no digest", &h2, &id, b"", 0, Reason::RequestInvalid),
        ("behind the end", &h2, &id, &digest.0, 24, Reason::BlobOffset),
    ];
    for (row, peer, id, digest, offset, reason) in rows {
        check(row, refused(row, peer.download(id, digest, offset).await), reason, None, &h2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_unfinished_uploads_wait_for_the_others_of_their_agency_only() {
    let bare = Bare::running();
    let (h1, h2) = (Peer::open(&bare.url(), bare.keys("H1"), 1).await, Peer::open(&bare.url(), bare.keys("H2"), 1).await);
    let mut refusals = 0;
    for number in 0..40u8 {
        match h1.upload(Digest([number; 32]), 9, 0, b"beg").await {
            Ok(begun) => assert!(!begun.complete),
            Err(answered) => {
                refusals += 1;
                assert!(tonic_types::StatusExt::get_error_details(&answered).retry_info().is_some());
                check("an upload too many", refused("upload", Err::<(), _>(answered)), Reason::UploadTooMany, Some(("limit", "32")), &h2)
                    .await;
            }
        }
    }
    assert_eq!(refusals, 40 - 32);
    h2.upload(sha256(b"of another agency"), 17, 0, b"of another agency").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_to_the_other_services_are_refused_with_the_field() {
    let bare = Bare::running();
    let h2 = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    let credit = pb::deliver_request::Request::Credit(pb::deliver_request::Credit { deliveries: 1 });
    let open = |edge_term| pb::deliver_request::Request::Open(pb::deliver_request::Open { edge_term, feed_cursor: 0 });
    let rows: [(&str, Vec<Option<pb::deliver_request::Request>>, Reason); 5] = [
        ("credit before open", vec![Some(credit)], Reason::RequestInvalid),
        ("open twice", vec![Some(open(1)), Some(open(1))], Reason::RequestInvalid),
        ("an empty request", vec![Some(open(1)), None], Reason::RequestInvalid),
        ("an old term", vec![Some(open(0))], Reason::TermSuperseded),
        ("a term that is not open", vec![Some(open(7))], Reason::TermNotOpen),
    ];
    for (row, requests, reason) in rows {
        // The stream stays open: its end would be another end than the refusal.
        let (sender, sent) = tokio::sync::mpsc::channel(4);
        for request in requests {
            sender.send(pb::DeliverRequest { request }).await.unwrap();
        }
        let mut client = DeliveryServiceClient::new(h2.channel.clone());
        let mut answers = client.deliver(tokio_stream::wrappers::ReceiverStream::new(sent)).await.unwrap().into_inner();
        let ended = loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{row}: the stream ended without a refusal"),
                Err(answered) => break answered,
            }
        };
        check(row, refused(row, Err::<(), _>(ended)), reason, None, &h2).await;
    }
    let mut directory = DirectoryServiceClient::new(h2.channel.clone());
    let bad_token = pb::ListAgenciesRequest { page_size: 5, page_token: "not a token".to_owned() };
    let row = "a page token of one's own";
    check(row, refused(row, directory.list_agencies(bad_token).await), Reason::RequestInvalid, None, &h2).await;
    let mut log = LogServiceClient::new(h2.channel.clone());
    for (row, old_size, new_size) in [("backwards", 5, 2), ("beyond the log", 1, u64::MAX)] {
        let request = pb::GetConsistencyProofRequest { old_size, new_size };
        check(row, refused(row, log.get_consistency_proof(request).await), Reason::RequestInvalid, None, &h2).await;
    }
}
