//! National edXML files through two edges and a real broker: one copy travels, and every byte comes back.

use tokio_stream::StreamExt as _;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::receive_edxml_response::Part;
use truc_proto::edge::v1::send_edxml_request::Request;
use truc_transport::violations;
use truc_types::Reason;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, BLOB_BYTES_MAX};

use crate::journey::{Axis, Edge, reason};

const SAMPLE: &str = include_str!("../../../../testdata/edxml/made/04-reply.edxml");

/// The reply with another content in its one attachment.
fn with_attachment(content: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let tag = "<ContentTransferEncoded>";
    let (head, rest) = SAMPLE.split_once(tag).unwrap();
    let tail = &rest[rest.find("</ContentTransferEncoded>").unwrap()..];
    let mut file = format!("{head}{tag}").into_bytes();
    let encoded = base64::engine::general_purpose::STANDARD.encode(content);
    for line in encoded.as_bytes().chunks(76) {
        file.extend_from_slice(line);
        file.extend_from_slice(b"\r\n");
    }
    file.extend_from_slice(tail.as_bytes());
    file
}

async fn send(edge: &mut Edge, reference: &str, file: &[u8]) -> Result<pb::SendEdxmlResponse, tonic::Status> {
    let header = pb::EdxmlHeader { client_reference: reference.to_owned(), secrecy: pb::Secrecy::None.into() };
    let mut requests = vec![pb::SendEdxmlRequest { request: Some(Request::Header(header)) }];
    for chunk in file.chunks(256 * 1024) {
        requests.push(pb::SendEdxmlRequest { request: Some(Request::Data(chunk.to_vec().into())) });
    }
    Ok(edge.dms.send_edxml(tokio_stream::iter(requests)).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_above_the_limit_of_attachments_travels_once_and_is_whole_at_the_recipient() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let (mut sender, mut recipient) = (axis.edge("H53").await, axis.edge("G12").await);
    // In base64 it is over the 50 MiB of one attachment.
    let content: Vec<u8> = (0..38u32 * 1024 * 1024).map(|byte| byte.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let file = with_attachment(&content);
    assert!(u64::try_from(file.len()).unwrap() > ATTACHMENT_BYTES_MAX);
    let message_id = send(&mut sender, "edxml-large", &file).await.unwrap().message_id;
    let [arrived] = recipient.receive(0, 1).await.try_into().unwrap();
    let document = arrived.document.unwrap();
    assert_eq!((document.message_id.as_str(), document.document.unwrap().attachments.len()), (message_id.as_str(), 1));
    assert!(recipient.download(&message_id, 0, 0).await == content, "the attachment is not what was sent");
    // The broker has one copy, under the digest of the file.
    let copies = walk(&axis.scratch.path().join("broker/blobs"));
    let large: Vec<_> = copies.into_iter().filter(|size| *size > 1_000_000).collect();
    assert_eq!(large, [file.len() as u64]);
    sender.stop().await;
    recipient.stop().await;
    axis.broker_shutdown.begin();
}

/// The sizes of all files in a folder.
fn walk(folder: &std::path::Path) -> Vec<u64> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => sizes.extend(walk(&entry.path())),
            false => sizes.push(entry.metadata().unwrap().len()),
        }
    }
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_above_the_limit_is_refused_by_name() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let mut sender = axis.edge("H53").await;
    let mut file = with_attachment(b"%PDF-1.4");
    file.resize(usize::try_from(BLOB_BYTES_MAX).unwrap() + 1, b' ');
    assert_eq!(reason(&send(&mut sender, "edxml-too-large", &file).await.unwrap_err()), Reason::AttachmentTooLarge);
    sender.stop().await;
    axis.broker_shutdown.begin();
}

/// The documents that arrived so far, as edXML files.
async fn receive_edxml(edge: &mut Edge, after: u64) -> Vec<(pb::EdxmlDocument, Vec<u8>)> {
    let request = pb::ReceiveEdxmlRequest { after_cursor: Some(after), no_wait: true };
    let mut stream = edge.dms.receive_edxml(request).await.unwrap().into_inner();
    let mut documents: Vec<(pb::EdxmlDocument, Vec<u8>)> = Vec::new();
    while let Some(response) = stream.next().await {
        match response.unwrap().part.unwrap() {
            Part::Document(document) => documents.push((document, Vec::new())),
            Part::Data(data) => documents.last_mut().unwrap().1.extend_from_slice(&data),
            Part::End(end) => assert_eq!(end.size, documents.last().unwrap().1.len() as u64),
        }
    }
    documents
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_file_is_served_and_other_documents_are_written_as_edxml() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let (mut sender, mut recipient) = (axis.edge("H53").await, axis.edge("G12").await);
    // Comments, order and line ends are the sender's own: no writer would give them back.
    let original = [with_attachment(b"%PDF-1.4"), b"<!-- end -->\r\n".to_vec()].concat();
    let first = send(&mut sender, "edxml-1", &original).await.unwrap().message_id;
    recipient.receive(0, 1).await;
    let large: Vec<u8> = (0..400_000u32).map(|byte| byte.to_le_bytes()[1]).collect();
    let second = sender.send("files-1", &["G12"], &[&large[..], b"small"]).await.unwrap();
    recipient.receive(0, 2).await;

    let documents = receive_edxml(&mut recipient, 0).await;
    let [(one, one_file), (two, two_file)] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    assert_eq!((one.message_id.as_str(), one.cursor, one.original, one.size), (first.as_str(), 1, true, Some(original.len() as u64)));
    assert!(*one_file == original);
    assert_eq!((two.message_id.as_str(), two.cursor, two.original, two.unwritable_reason.as_str()), (second.as_str(), 2, false, ""));
    let message = truc_edxml::read_message(two_file.as_slice(), &mut crate::deceit::Nothing).unwrap();
    let truc_edxml::Message::Document(written) = message.message else { panic!("a document") };
    assert_eq!((written.from.code.as_str(), written.number.as_str(), written.notation.as_str()), ("H53", "4127", "BTC-NSNN"));
    let digests: Vec<_> = written.attachments.iter().map(|attachment| attachment.sha256).collect();
    assert_eq!(digests, [truc_signing::sha256(&large), truc_signing::sha256(b"small")]);
    assert_eq!(receive_edxml(&mut recipient, 1).await.len(), 1, "after a cursor");
    sender.stop().await;
    recipient.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_with_a_file_is_told_in_both_languages() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let mut sender = axis.edge("H53").await;
    let broken = SAMPLE.replace("<edXML:OrganId>G12<", "<edXML:OrganId>not a code<").replacen(
        "<edXML:CodeNumber>",
        "<edXML:CodeNumber></edXML:CodeNumber><x>",
        1,
    );
    let broken = broken.replacen("</edXML:CodeNumber>\n", "</x>\n", 1);
    let refused = send(&mut sender, "broken", broken.as_bytes()).await.unwrap_err();
    let told = violations::of_status(&refused);
    assert!(!told.is_empty(), "{refused:?}");
    assert!(told.iter().any(|violation| violation.rule == "EDXML_CODE_INVALID"), "{told:?}");
    assert!(told.iter().all(|violation| !violation.english.is_empty() && violation.vietnamese.contains("dòng")), "{told:?}");

    let check = |file: &str| vec![pb::CheckEdxmlRequest { data: file.as_bytes().to_vec().into() }];
    let answer = sender.dms.check_edxml(tokio_stream::iter(check(&broken))).await.unwrap().into_inner();
    assert!(!answer.acceptable && answer.diagnostics.len() >= told.len(), "{answer:?}");
    let code = answer.diagnostics.iter().find(|diagnostic| diagnostic.rule == "edxml.code_invalid").unwrap();
    assert_eq!(code.severity(), pb::edxml_diagnostic::Severity::Error);
    assert!(code.line > 1 && code.column > 1 && code.found == "not a code", "{code:?}");
    assert!(sender.dms.check_edxml(tokio_stream::iter(check(SAMPLE))).await.unwrap().into_inner().acceptable);
    let recall = include_str!("../../../../testdata/edxml/made/03-recall.edxml");
    let answer = sender.dms.check_edxml(tokio_stream::iter(check(recall))).await.unwrap().into_inner();
    assert_eq!((answer.acceptable, answer.refusal_reason.as_str()), (false, "EDXML_UNSUPPORTED_TYPE"));
    assert!(answer.refusal_message.contains("recall"), "{answer:?}");
    assert_eq!(reason(&send(&mut sender, "recall", recall.as_bytes()).await.unwrap_err()), Reason::EdxmlUnsupportedType);
    sender.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_breaks_off_leaves_nothing_on_the_disk() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let mut sender = axis.edge("H53").await;
    let blobs = axis.scratch.path().join("edge-H53/blobs");
    let kept = || walk(&blobs).into_iter().filter(|size| *size > 0).collect::<Vec<_>>();

    let recall = include_bytes!("../../../../testdata/edxml/made/03-recall.edxml");
    for (number, file) in [recall.as_slice(), b"<edXML>", &SAMPLE.as_bytes()[..SAMPLE.len() / 2]].iter().enumerate() {
        send(&mut sender, &format!("refused-{number}"), file).await.unwrap_err();
    }
    // The line breaks after half of the file: what came is no file that anybody meant.
    let header = pb::EdxmlHeader { client_reference: "cut".to_owned(), secrecy: pb::Secrecy::None.into() };
    let half = SAMPLE.as_bytes()[..1_000].to_vec();
    let requests = [Request::Header(header), Request::Data(half.into())].map(|request| pb::SendEdxmlRequest { request: Some(request) });
    let never = tokio_stream::iter(requests).chain(tokio_stream::pending());
    let mut dms = sender.dms.clone();
    let call = tokio::spawn(async move { dms.send_edxml(never).await.map(drop) });
    tokio::task::yield_now().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Bytes under a reference that has others, and bytes with another digest than was declared.
    sender.send("files", &["G12"], &[b"the first"]).await.unwrap();
    assert_eq!(reason(&sender.send("files", &["G12"], &[b"another"]).await.unwrap_err()), Reason::ReferenceConflict);
    assert_eq!(kept(), [b"the first".len() as u64]);

    let file = with_attachment(b"%PDF-1.4");
    send(&mut sender, "taken", &file).await.unwrap();
    let mut sizes = kept();
    sizes.sort_unstable();
    assert_eq!(sizes, [8, 9, file.len() as u64], "one that is taken is kept with its attachment");
    sender.stop().await;
    assert_eq!(std::fs::read_dir(axis.scratch.path().join("edge-H53/hand-ins")).unwrap().count(), 0);
    axis.broker_shutdown.begin();
}
