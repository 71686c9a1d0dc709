//! The first documents of the demo: each step is shown per recipient, as the sender's document-management system sees it.

use std::time::Duration;

use truc_proto::edge::v1::{self as pb, Step, send_document_request, send_edxml_request};
use truc_types::limits::BLOB_CHUNK_BYTES;

use super::Show;
use super::axis::Axis;
use crate::failure::Failure;

/// How long one document may take before the demo says that something is wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The national SDK's sample of a new document: 367 KB, one attachment that calls itself `.doc` and is a ZIP.
const SAMPLE: &[u8] = include_bytes!("../../../../testdata/edxml/sdk/edoc_new.edxml");

/// A document that was sent: its id, and whom to.
pub(super) struct Sent {
    pub(super) message_id: String,
    pub(super) recipients: Vec<String>,
}

/// Sends the sample and a PDF from G22, registers them at the recipients, and shows what happens.
pub(super) async fn send(axis: &Axis, show: &mut Show<'_>) -> Result<Vec<Sent>, Failure> {
    let mut dms = axis.dms("G22").await?;
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let sample = dms.send_edxml(tokio_stream::iter(edxml_requests())).await.map_err(failed)?.into_inner();
    let (bytes, id) = (SAMPLE.len(), &sample.message_id);
    show.step(
        "sent",
        &format!("edXML file of {bytes} bytes stored at the edge of G22 as {id}"),
        &format!("tệp edXML {bytes} byte, nút biên G22 đã lưu với mã {id}"),
    )?;
    follow(axis, &sample.message_id, show).await?;

    let letter = letter("", "demo-pdf", &["G12", "H53"], 0);
    let pdf = dms.send_document(tokio_stream::iter(letter.requests)).await.map_err(failed)?.into_inner();
    let id = &pdf.message_id;
    show.step("sent", &format!("PDF stored at the edge of G22 as {id}"), &format!("tệp PDF, nút biên G22 đã lưu với mã {id}"))?;
    follow(axis, &pdf.message_id, show).await?;
    Ok(vec![
        Sent { message_id: sample.message_id, recipients: vec!["28.22.H17".to_owned()] },
        Sent { message_id: pdf.message_id, recipients: vec!["G12".to_owned(), "H53".to_owned()] },
    ])
}

/// Shows each step of a document as it happens, and registers it where it arrives.
async fn follow(axis: &Axis, message_id: &str, show: &mut Show<'_>) -> Result<(), Failure> {
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
    let mut steps = axis.dms("G22").await?.watch_status(request).await.map_err(failed)?.into_inner();
    let (mut accepted, mut shown) = (false, std::collections::BTreeMap::new());
    loop {
        let next = tokio::time::timeout(PATIENCE, steps.message()).await;
        let next = next.map_err(|_| Failure::BadAnswer(format!("nothing new about {message_id} for {} s", PATIENCE.as_secs())))?;
        let Some(status) = next.map_err(failed)?.and_then(|response| response.status) else { return Ok(()) };
        if !status.refusal_reason.is_empty() {
            return Err(Failure::BadAnswer(format!("{message_id} was refused: {} {}", status.refusal_reason, status.refusal_message)));
        }
        if !accepted && !status.accepted_at.is_empty() {
            accepted = true;
            let leaf = status.leaf;
            show.step(
                "accepted",
                &format!("  accepted by the axis as leaf {leaf} of the log"),
                &format!("  trục đã nhận, là lá {leaf} của nhật ký"),
            )?;
        }
        for recipient in &status.recipients {
            if shown.insert(recipient.recipient.clone(), recipient.step()) == Some(recipient.step()) {
                continue;
            }
            show_step(recipient, show)?;
            if recipient.step() == Step::Fetched {
                acknowledge(axis, message_id, &recipient.recipient, recipient.queue_position).await?;
            }
        }
        if accepted && status.recipients.iter().all(|recipient| matches!(recipient.step(), Step::Acknowledged | Step::Refused)) {
            return Ok(());
        }
    }
}

/// What became of a document at one recipient.
fn show_step(recipient: &pb::RecipientStatus, show: &mut Show<'_>) -> Result<(), Failure> {
    let code = format!("  {:<10}", recipient.recipient);
    match recipient.step() {
        Step::Queued => {
            let position = recipient.queue_position;
            show.step("queued", &format!("{code} queued at position {position}"), &format!("{code} vào hàng ở vị trí {position}"))
        }
        Step::Fetched => show.step(
            "fetched",
            &format!("{code} fetched: the recipient's edge sealed that it has every byte"),
            &format!("{code} đã lấy: nút biên nơi nhận đóng dấu rằng đã có đủ từng byte"),
        ),
        Step::Acknowledged => {
            let number = &recipient.arrival_number;
            show.step(
                "acknowledged",
                &format!("{code} acknowledged under arrival number {number}"),
                &format!("{code} đã tiếp nhận, số đến {number}"),
            )
        }
        Step::Refused => {
            let text = &recipient.reason_text;
            show.step("refused", &format!("{code} refused: {text}"), &format!("{code} từ chối nhận: {text}"))
        }
        Step::Waiting | Step::Unspecified => Ok(()),
    }
}

/// The recipient's document-management system registers the document.
async fn acknowledge(axis: &Axis, message_id: &str, recipient: &str, arrival_number: u64) -> Result<(), Failure> {
    // 28.22.H17 is a unit that the edge of H53 serves in this demo.
    let agency = if recipient == "28.22.H17" { "H53" } else { recipient };
    let request = pb::AcknowledgeRequest {
        message_id: message_id.to_owned(),
        recipient: recipient.to_owned(),
        arrival_number: arrival_number.to_string(),
    };
    let acknowledged = axis.dms(agency).await?.acknowledge(request).await;
    acknowledged.map(drop).map_err(|status| Failure::of_status(&format!("the edge of {agency}"), &status))
}

fn edxml_requests() -> Vec<pb::SendEdxmlRequest> {
    let header = pb::EdxmlHeader { client_reference: "demo-edxml".to_owned(), secrecy: pb::Secrecy::None.into() };
    let header = send_edxml_request::Request::Header(header);
    let data = SAMPLE.chunks(BLOB_CHUNK_BYTES).map(|chunk| send_edxml_request::Request::Data(chunk.to_vec().into()));
    std::iter::once(header).chain(data).map(|request| pb::SendEdxmlRequest { request: Some(request) }).collect()
}

/// A document with one PDF, ready to be handed in.
pub(super) struct Letter {
    pub(super) requests: Vec<pb::SendDocumentRequest>,
    pub(super) pdf: Vec<u8>,
}

/// A PDF with a text of its own and at least so many bytes; from the agency itself if `sender` is empty.
pub(super) fn letter(sender: &str, reference: &str, recipients: &[&str], bytes_min: usize) -> Letter {
    let pdf = pdf(reference, bytes_min);
    let document = pb::Document {
        sender: sender.to_owned(),
        recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
        number: "7816".to_owned(),
        notation: "VPCP-TTĐT".to_owned(),
        subject: "Về việc trình diễn trục liên thông văn bản".to_owned(),
        r#type: Some(pb::DocumentType { name: "Công văn".to_owned(), ..Default::default() }),
        urgency: pb::Urgency::Normal.into(),
        secrecy: pb::Secrecy::None.into(),
        attachments: vec![pb::Attachment {
            name: "7816-VPCP-TTDT.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: pdf.len() as u64,
            sha256: String::new(),
        }],
        ..pb::Document::default()
    };
    let header = pb::DocumentHeader { client_reference: reference.to_owned(), document: Some(document) };
    let data = pdf.chunks(BLOB_CHUNK_BYTES).map(|chunk| send_document_request::Request::Data(chunk.to_vec().into()));
    let requests = std::iter::once(send_document_request::Request::Header(header)).chain(data);
    Letter { requests: requests.map(|request| pb::SendDocumentRequest { request: Some(request), resume_from: None }).collect(), pdf }
}

/// One page with one line; comments fill it up to a size.
fn pdf(text: &str, bytes_min: usize) -> Vec<u8> {
    let content = format!("BT /F1 18 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    let (mut file, mut offsets) = ("%PDF-1.4\n".to_owned(), Vec::new());
    while file.len() < bytes_min {
        file.push_str("% truc demo: this line makes the file as long as a scanned letter\n");
    }
    for (number, object) in (1..).zip(&objects) {
        offsets.push(file.len());
        file.push_str(&format!("{number} 0 obj{object}endobj\n"));
    }
    let table = file.len();
    file.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1));
    for offset in offsets {
        file.push_str(&format!("{offset:010} 00000 n \n"));
    }
    file.push_str(&format!("trailer<</Size {}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    file.into_bytes()
}
