//! The first documents of the demo: each step is shown per recipient, as the sender's document-management system sees it.

use std::time::Duration;

use truc_proto::edge::v1::{self as pb, recipient_status::Step, send_document_request, send_edxml_request};
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
    show.step("sent", &format!("edXML file of {} bytes stored at the edge of G22 as {}", SAMPLE.len(), sample.message_id))?;
    follow(axis, &sample.message_id, show).await?;

    let letter = letter("demo-pdf", &["G12", "H53"]);
    let pdf = dms.send_document(tokio_stream::iter(letter)).await.map_err(failed)?.into_inner();
    show.step("sent", &format!("PDF stored at the edge of G22 as {}", pdf.message_id))?;
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
            show.step("accepted", &format!("  accepted by the axis as leaf {} of the log", status.leaf))?;
        }
        for recipient in &status.recipients {
            if shown.insert(recipient.recipient.clone(), recipient.step()) == Some(recipient.step()) {
                continue;
            }
            let (code, position) = (&recipient.recipient, recipient.queue_position);
            match recipient.step() {
                Step::Queued => show.step("queued", &format!("  {code:<10} queued at position {position}"))?,
                Step::Fetched => {
                    show.step("fetched", &format!("  {code:<10} fetched: the recipient's edge sealed that it has every byte"))?;
                    acknowledge(axis, message_id, code, position).await?;
                }
                Step::Acknowledged => {
                    show.step("acknowledged", &format!("  {code:<10} acknowledged under arrival number {}", recipient.arrival_number))?;
                }
                Step::Refused => show.step("refused", &format!("  {code:<10} refused: {}", recipient.reason_text))?,
                Step::Waiting | Step::Unspecified => {}
            }
        }
        if accepted && status.recipients.iter().all(|recipient| matches!(recipient.step(), Step::Acknowledged | Step::Refused)) {
            return Ok(());
        }
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
    let header = pb::EdxmlHeader { client_reference: "demo-edxml".to_owned(), secrecy: "none".to_owned() };
    let header = send_edxml_request::Request::Header(header);
    let data = SAMPLE.chunks(BLOB_CHUNK_BYTES).map(|chunk| send_edxml_request::Request::Data(chunk.to_vec().into()));
    std::iter::once(header).chain(data).map(|request| pb::SendEdxmlRequest { request: Some(request) }).collect()
}

/// A small PDF with a text of its own.
pub(super) fn letter(reference: &str, recipients: &[&str]) -> Vec<pb::SendDocumentRequest> {
    let pdf = pdf(reference);
    let header = pb::DocumentHeader {
        client_reference: reference.to_owned(),
        recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
        number: "7816".to_owned(),
        notation: "VPCP-TTĐT".to_owned(),
        subject: "Về việc trình diễn trục liên thông văn bản".to_owned(),
        type_name: "Công văn".to_owned(),
        secrecy: "none".to_owned(),
        attachments: vec![pb::AttachmentHeader {
            name: "7816-VPCP-TTDT.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: pdf.len() as u64,
        }],
        ..pb::DocumentHeader::default()
    };
    let requests = [send_document_request::Request::Header(header), send_document_request::Request::Data(pdf.into())];
    requests.into_iter().map(|request| pb::SendDocumentRequest { request: Some(request) }).collect()
}

/// One page with one line, as small as the format allows.
fn pdf(text: &str) -> Vec<u8> {
    let content = format!("BT /F1 18 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    let (mut file, mut offsets) = ("%PDF-1.4\n".to_owned(), Vec::new());
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
