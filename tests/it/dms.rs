//! What a document-management system relies on: uploads that resume, events that are complete, lists, threads, duplicates, and who may talk.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use truc_proto::edge::v1::event::Kind;
use truc_proto::edge::v1::{self as pb, send_document_request::Request};
use truc_tests::axis::Axis;
use truc_tests::dms::{Dms, Letter, PATIENCE};
use truc_tests::tools::{program, run_truc};
use truc_types::Reason;

fn reason(status: &Status) -> Reason {
    truc_transport::status::refusal(status).unwrap_or_else(|| panic!("{status:?}")).reason
}

/// Asks again until the answer is as wanted.
async fn until<T: PartialEq + std::fmt::Debug>(wanted: T, ask: impl AsyncFn() -> T) {
    let asked = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while ask().await != wanted {
            pause.tick().await;
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, asked).await;
    assert!(outcome.is_ok(), "it never became {wanted:?}");
}

/// Two attachments in the requests of one letter: 300,000 bytes and 5.
fn letter(reference: &str) -> (pb::SendDocumentRequest, Vec<u8>) {
    let bytes: Vec<u8> = (0..300_005u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let letter = Letter { attachment: bytes.clone(), ..Letter::new(reference, &["G12"]) };
    let mut header = letter.requests().remove(0);
    let Some(Request::Header(said)) = &mut header.request else { panic!("{header:?}") };
    let attachments = &mut said.document.as_mut().unwrap().attachments;
    attachments[0].size = 300_000;
    attachments.push(pb::Attachment { name: "phu-luc.txt".to_owned(), media_type: "text/plain".to_owned(), size: 5, ..Default::default() });
    (header, bytes)
}

fn data(bytes: &[u8]) -> impl Iterator<Item = pb::SendDocumentRequest> {
    bytes.chunks(100_000).map(|chunk| pb::SendDocumentRequest { request: Some(Request::Data(chunk.to_vec().into())), resume_from: None })
}

/// Sends the header and the first bytes, waits until the edge has them, and breaks the connection.
async fn cut(dms: &Dms, reference: &str, at: usize) {
    let (header, bytes) = letter(reference);
    let (sender, receiver) = mpsc::channel(16);
    let mut client = dms.client().await.unwrap();
    let call = tokio::spawn(async move { client.send_document(ReceiverStream::new(receiver)).await });
    for request in std::iter::once(header).chain(data(&bytes[..at])) {
        sender.send(request).await.unwrap();
    }
    until(Some(at as u64), async || dms.kept(reference).await.unwrap()).await;
    // The stream never ended: dropping the call resets it.
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

async fn resume(dms: &Dms, reference: &str, from: u64) -> Result<String, Status> {
    let (mut header, bytes) = letter(reference);
    header.resume_from = Some(from);
    let rest = bytes.get(usize::try_from(from).unwrap()..).unwrap_or_default().to_vec();
    let requests: Vec<_> = std::iter::once(header).chain(data(&rest)).collect();
    Ok(dms.client().await?.send_document(tokio_stream::iter(requests)).await?.into_inner().message_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_in_resumes_at_any_byte_and_across_a_kill() {
    let mut axis = Axis::new();
    axis.start_broker();
    axis.start_edge("G22");
    axis.start_edge("G12");
    let mut message_ids = Vec::new();
    for at in [0, 1, 262_144, 299_999, 300_000, 300_001, 300_004, 300_005] {
        let reference = format!("cut-{at}");
        let dms = axis.dms("G22");
        cut(&dms, &reference, at).await;
        if at == 299_999 || at == 300_005 {
            axis.kill_edge("G22");
            axis.start_edge("G22");
        }
        let (dms, at) = (axis.dms("G22"), at as u64);
        assert_eq!(dms.kept(&reference).await.unwrap(), Some(at));
        let beyond = resume(&dms, &reference, at + 1).await.unwrap_err();
        assert_eq!((reason(&beyond), beyond.code()), (Reason::HandInPosition, Code::OutOfRange));
        // From there, or from anywhere before.
        let from = if at == 300_001 { 7 } else { at };
        message_ids.push(resume(&dms, &reference, from).await.unwrap());
        assert_eq!(dms.kept(&reference).await.unwrap(), None, "nothing is kept of what is recorded");
        assert_eq!(resume(&dms, "never begun", 5).await.map_err(|status| reason(&status)), Err(Reason::HandInPosition));
    }
    let (_, bytes) = letter("any");
    let recipient = axis.dms("G12");
    recipient.receive(None, message_ids.len()).await.unwrap();
    for message_id in &message_ids {
        assert_eq!(recipient.attachment(message_id, 0, 0).await.unwrap(), bytes[..300_000]);
        assert_eq!(recipient.attachment(message_id, 1, 0).await.unwrap(), bytes[300_000..]);
    }
    for offset in [1, 262_143, 262_144, 262_145, 299_999, 300_000] {
        let offset_bytes = usize::try_from(offset).unwrap();
        assert_eq!(recipient.attachment(&message_ids[0], 0, offset).await.unwrap(), bytes[offset_bytes..300_000]);
    }
    assert_eq!(recipient.attachment(&message_ids[0], 0, 300_001).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_hand_in_that_breaks_resumes_too() {
    let axis = Axis::running();
    let dms = axis.dms("G22");
    let letter = Letter { attachment: (0..200u8).cycle().take(5_000).collect(), ..Letter::new("small", &["G12"]) };
    let header = letter.requests().remove(0);
    let begun: Vec<_> = std::iter::once(header.clone()).chain(data(&letter.attachment[..1_234])).collect();
    let broken = dms.client().await.unwrap().send_document(tokio_stream::iter(begun)).await.unwrap_err();
    assert_eq!(reason(&broken), Reason::AttachmentSizeMismatch);
    assert_eq!(dms.kept("small").await.unwrap(), Some(1_234));
    let rest = std::iter::once(pb::SendDocumentRequest { resume_from: Some(1_234), ..header }).chain(data(&letter.attachment[1_234..]));
    let rest: Vec<_> = rest.collect();
    let message_id = dms.client().await.unwrap().send_document(tokio_stream::iter(rest)).await.unwrap().into_inner().message_id;
    assert_eq!(dms.kept("small").await.unwrap(), None, "nothing is kept of what is recorded");
    let recipient = axis.dms("G12");
    recipient.receive(None, 1).await.unwrap();
    assert_eq!(recipient.attachment(&message_id, 0, 0).await.unwrap(), letter.attachment);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_complete_and_in_order_across_kills_of_both_edges() {
    let mut axis = Axis::new();
    axis.start_broker();
    axis.start_edge("G22");
    axis.start_edge("G12");
    let mut message_ids = Vec::new();
    for number in 0..10 {
        let letter = Letter { number: number.to_string(), ..Letter::new(&format!("HS-{number}"), &["G12"]) };
        message_ids.push(axis.dms("G22").send(&letter).await.unwrap());
    }
    let some = |count: usize| move |events: &[(u64, pb::Event)]| events.len() >= count;
    let mut sent = axis.dms("G22").events(0, Some(&some(7))).await.unwrap();
    let mut received = axis.dms("G12").events(0, Some(&some(5))).await.unwrap();
    for agency in ["G22", "G12"] {
        axis.kill_edge(agency);
        axis.start_edge(agency);
    }
    let shown = |events: &[(u64, pb::Event)]| events.iter().filter(|(_, event)| event.kind() == Kind::Shown).count();
    let so_far = shown(&received);
    received.extend(axis.dms("G12").events(received.last().unwrap().0, Some(&|more| so_far + shown(more) == 10)).await.unwrap());
    for message_id in &message_ids {
        axis.dms("G12").acknowledge(message_id, "G12", "17").await.unwrap();
    }
    let registered = |events: &[(u64, pb::Event)]| events.iter().filter(|(_, event)| event.kind() == Kind::Acknowledged).count() == 10;
    sent.extend(axis.dms("G22").events(sent.last().unwrap().0, Some(&registered)).await.unwrap());
    let logged = |events: &[(u64, pb::Event)]| events.iter().filter(|(_, event)| event.kind() == Kind::AnswerLogged).count() == 10;
    received.extend(axis.dms("G12").events(received.last().unwrap().0, Some(&logged)).await.unwrap());
    for (agency, seen) in [("G22", &sent), ("G12", &received)] {
        let all = axis.dms(agency).events(0, None).await.unwrap();
        assert_eq!(&all, seen, "a reader that went on from its cursors saw what one reading gives");
        assert!(seen.is_sorted_by_key(|(cursor, _)| *cursor));
        let beyond = axis.dms(agency).events(u64::MAX, None).await.unwrap_err();
        assert_eq!(reason(&beyond), Reason::CursorUnknown);
    }
    let of = |events: &[(u64, pb::Event)], message_id: &str| {
        let mut kinds: Vec<_> = events.iter().filter(|(_, event)| event.message_id == message_id).map(|(_, event)| event.kind()).collect();
        // What was on its way when its edge was killed may have been sealed again.
        kinds.dedup();
        kinds
    };
    for message_id in &message_ids {
        let expected = [Kind::Stored, Kind::Sealed, Kind::Accepted, Kind::Queued, Kind::Fetched, Kind::Acknowledged];
        assert_eq!(of(&sent, message_id), expected);
        assert_eq!(of(&received, message_id), [Kind::Arrived, Kind::Shown, Kind::AnsweredAcknowledged, Kind::AnswerLogged]);
    }
    let references: Vec<_> =
        sent.iter().filter(|(_, event)| event.kind() == Kind::Stored).map(|(_, event)| &event.client_reference).collect();
    assert_eq!(references.len(), 10);
    assert!(references.iter().enumerate().all(|(number, reference)| **reference == format!("HS-{number}")));
}

async fn list(dms: &Dms, request: pb::ListDocumentsRequest) -> Vec<pb::DocumentSummary> {
    let (mut all, mut request) = (Vec::new(), request);
    loop {
        let page = dms.client().await.unwrap().list_documents(request.clone()).await.unwrap().into_inner();
        assert!(page.documents.len() <= 3 && (request.page_size == 3));
        all.extend(page.documents);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_threads_and_duplicates_are_found() {
    let axis = Axis::running();
    let (office, ministry) = (axis.dms("G22"), axis.dms("G12"));
    // Seven documents under one number: one after another, so that the order of arrival is known.
    let mut message_ids = Vec::new();
    for number in 1..=7 {
        message_ids.push(office.send(&Letter::new(&format!("same-{number}"), &["G12"])).await.unwrap());
        ministry.receive(Some(0), number).await.unwrap();
    }
    let received = ministry.arrived().await.unwrap();
    for (index, response) in received.iter().enumerate() {
        let document = response.document.as_ref().unwrap();
        assert_eq!(document.message_id, message_ids[index], "never hidden, never refused");
        assert_eq!(document.possible_duplicate_of, message_ids[..index]);
    }
    let request = pb::ListDocumentsRequest { page_size: 3, ..Default::default() };
    let newest_first: Vec<_> = message_ids.iter().rev().cloned().collect();
    for dms in [&office, &ministry] {
        let listed = list(dms, request.clone()).await;
        assert_eq!(listed.iter().map(|document| document.message_id.clone()).collect::<Vec<_>>(), newest_first);
        assert!(listed.iter().all(|document| document.notation == "BTC-NSNN" && document.subject.starts_with("V/v")));
    }
    ministry.refuse(&message_ids[3], "G12", "wrong_recipient", "Không đúng nơi nhận").await.unwrap();
    let open = list(&ministry, pb::ListDocumentsRequest { open_only: true, ..request.clone() }).await;
    assert_eq!(open.len(), 6);
    let middle = &list(&ministry, request.clone()).await[3];
    assert_eq!((middle.message_id.as_str(), middle.step()), (message_ids[3].as_str(), pb::Step::Refused));
    let since = pb::ListDocumentsRequest { since: middle.known_at.clone(), ..request.clone() };
    assert_eq!(list(&ministry, since).await.len(), 4);
    let until = pb::ListDocumentsRequest { until: middle.known_at.clone(), ..request.clone() };
    assert_eq!(list(&ministry, until).await.len(), 3);
    for nothing in [
        pb::ListDocumentsRequest { number: "4128".to_owned(), ..request.clone() },
        pb::ListDocumentsRequest { counterpart: "H53".to_owned(), ..request.clone() },
        pb::ListDocumentsRequest { direction: pb::Direction::Sent.into(), ..request.clone() },
    ] {
        assert_eq!(list(&ministry, nothing).await, []);
    }
    let wrong = pb::ListDocumentsRequest { page_token: "x".to_owned(), ..Default::default() };
    let wrong = ministry.client().await.unwrap().list_documents(wrong).await.unwrap_err();
    assert_eq!(reason(&wrong), Reason::RequestInvalid);
    threads(&axis).await;
}

/// A question, an answer, an answer to that, and a document that has nothing to do with them.
async fn threads(axis: &Axis) {
    let (office, ministry) = (axis.dms("G22"), axis.dms("G12"));
    let letter = |reference: &str, number: &str, to: &str, answers: Option<&String>| Letter {
        number: number.to_owned(),
        in_reply_to: answers.cloned(),
        ..Letter::new(reference, &[to])
    };
    let question = office.send(&letter("q", "1", "G12", None)).await.unwrap();
    ministry.receive(Some(0), 8).await.unwrap();
    let answer = ministry.send(&letter("a", "2", "G22", Some(&question))).await.unwrap();
    office.receive(Some(0), 1).await.unwrap();
    let thanks = office.send(&letter("t", "3", "G12", Some(&answer))).await.unwrap();
    office.send(&letter("other", "4", "G12", None)).await.unwrap();
    let mut seen = Vec::new();
    let mut request = pb::GetThreadRequest { message_id: thanks.clone(), page_size: 2, page_token: String::new() };
    loop {
        let page = office.client().await.unwrap().get_thread(request.clone()).await.unwrap().into_inner();
        assert!(!page.incomplete && page.documents.len() <= 2);
        seen.extend(page.documents.into_iter().map(|document| (document.message_id.clone(), document.direction())));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let expected = [(question.clone(), pb::Direction::Sent), (answer.clone(), pb::Direction::Received), (thanks, pb::Direction::Sent)];
    assert_eq!(seen, expected);
    let request = pb::GetThreadRequest { message_id: question, page_size: 0, page_token: String::new() };
    let elsewhere = axis.dms("H53").client().await.unwrap().get_thread(request).await.unwrap_err();
    assert_eq!(reason(&elsewhere), Reason::MessageUnknown);
    let request = pb::GetDocumentRequest { message_id: answer.clone(), recipient: String::new() };
    let found = office.client().await.unwrap().get_document(request).await.unwrap().into_inner().document;
    let Some(pb::get_document_response::Document::Received(found)) = found else { panic!("{found:?}") };
    assert_eq!((found.message_id, found.business.try_into()), (answer, Ok(pb::Business::Reply)));
}

fn write_private(path: &std::path::Path, text: &str) {
    let mut options = std::fs::File::options();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_known_may_talk_and_only_tls_leaves_the_machine() {
    let mut axis = Axis::new();
    let (tokens, certificate, key) = (axis.path("tokens"), axis.path("dms.cert.pem"), axis.path("dms.key.pem"));
    let [first, second] = ["a".repeat(40), "b".repeat(40)];
    write_private(&tokens, &format!("voffice {first}\n"));
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let edge = path(&axis.edge_folder("G22"));
    let refused = run_truc(&["edge", "run", "--data", &edge, "--listen", "0.0.0.0:0", "--token-file", &path(&tokens)]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("config.invalid") && said.contains("plain text is served on loopback only"),
        "{said}"
    );

    let made = program("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &path(&key), "-out", &path(&certificate)])
        .output();
    assert!(made.unwrap().status.success());
    let tls = ["--dms-tls-cert", &path(&certificate), "--dms-tls-key", &path(&key)];
    let open = run_truc(&[["edge", "run", "--data", &edge, "--listen", "0.0.0.0:0"].as_slice(), &tls].concat());
    assert!(!open.status.success(), "TLS alone does not say who calls");

    axis.start_edge_with("G22", &[["--token-file", &path(&tokens), "--listen", "0.0.0.0:0"].as_slice(), &tls].concat());
    let url = format!("https://localhost:{}", axis.edge_address("G22").port());
    let token_of = |token: &str| {
        let file = axis.path(&format!("token-{}", &token[..1]));
        write_private(&file, token);
        path(&file)
    };
    let ask = |token: Option<&str>| {
        let mut arguments = vec!["--json".to_owned(), "list".to_owned(), "--edge".to_owned(), url.clone()];
        arguments.extend(["--edge-ca".to_owned(), path(&certificate)]);
        arguments.extend(token.into_iter().flat_map(|token| ["--token-file".to_owned(), token_of(token)]));
        let output = run_truc(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let reason = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(&said).map(|said| said["reason"].clone());
        (output.status.success(), reason.ok().and_then(|reason| reason.as_str().map(str::to_owned)))
    };
    assert_eq!(ask(None), (false, Some("identity.token_missing".to_owned())));
    assert_eq!(ask(Some(&second)), (false, Some("identity.token_unknown".to_owned())));
    assert_eq!(ask(Some(&first)), (true, None));
    write_private(&tokens, &format!("# renewed\nvoffice {second}\n"));
    until((true, None), async || ask(Some(&second))).await;
    assert_eq!(ask(Some(&first)), (false, Some("identity.token_unknown".to_owned())));
    assert!(!axis.log("edge-G22").contains(&second), "no token in the log");
}
