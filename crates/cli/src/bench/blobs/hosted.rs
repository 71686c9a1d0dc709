//! The legs through real edges: handed in by one document-management system, uploaded and downloaded by the edges, read by the other.

use bytes::Buf as _;
use truc_proto::edge::v1::event::Kind;
use truc_proto::edge::v1::{self as pb, send_document_request};

use super::content::Content;
use super::{Found, Meter};
use crate::bench::edges::Edges;
use crate::bench::figures::defect;
use crate::commands::remote::Client;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(edges: &Edges, contents: &[Content], meter: &Meter, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let clients: [_; 2] = edges.connect().await?.try_into().map_err(|_| defect("not two edges"))?;
    let [(_, mut sender), (to, mut recipient)] = clients;
    // An edge knows its recipients once it has read the registry.
    let arrivals = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: false };
    let mut arrivals = recipient.receive_documents(arrivals).await.map_err(failed)?.into_inner();
    let events = pb::WatchEventsRequest { after_cursor: 0, no_wait: false };
    let mut events = sender.watch_events(events).await.map_err(failed)?.into_inner();

    output.talk("handed in at the edge");
    let handed_in = meter.begin("handed in at the edge")?;
    let requests = requests(to.as_str(), contents);
    sender.send_document(tokio_stream::iter(requests)).await.map_err(failed)?;
    let handed_in = handed_in.end()?;

    output.talk("from the edge up");
    let up = meter.begin("from the edge up")?;
    loop {
        let response = events.message().await.map_err(failed)?.ok_or_else(|| defect("the events ended"))?;
        match response.events.iter().find(|event| matches!(event.kind(), Kind::Accepted | Kind::RefusedByAxis)) {
            Some(event) if event.kind() == Kind::Accepted => break,
            Some(event) => return Err(Failure::BadAnswer(format!("{}: {}", event.reason, event.reason_text))),
            None => {}
        }
    }
    let up = up.end()?;

    output.talk("down to the edge");
    let down = meter.begin("down to the edge")?;
    let arrived = arrivals.message().await.map_err(failed)?.and_then(|response| response.document);
    let message_id = arrived.ok_or_else(|| defect("the arrivals ended"))?.message_id;
    let down = down.end()?;

    output.talk("read by the DMS");
    let read = meter.begin("read by the DMS")?;
    for (index, content) in (0..).zip(contents) {
        download(&mut recipient, &message_id, index, content).await?;
    }
    Ok(vec![handed_in, up, down, read.end()?])
}

fn requests(recipient: &str, contents: &[Content]) -> impl Iterator<Item = pb::SendDocumentRequest> + Send + 'static {
    let attachment = |(number, content): (usize, &Content)| pb::Attachment {
        name: format!("Phụ lục {number}.pdf"),
        media_type: "application/pdf".to_owned(),
        size: content.size,
        sha256: String::new(),
    };
    let document = pb::Document {
        recipients: vec![recipient.to_owned()],
        number: "1".to_owned(),
        notation: "BTC-NSNN".to_owned(),
        subject: "Về việc gửi hồ sơ dự án".to_owned(),
        r#type: Some(pb::DocumentType { name: "Công văn".to_owned(), ..Default::default() }),
        urgency: pb::Urgency::Normal.into(),
        secrecy: pb::Secrecy::None.into(),
        attachments: (1..).zip(contents).map(attachment).collect(),
        ..pb::Document::default()
    };
    let header = pb::DocumentHeader { client_reference: "large".to_owned(), document: Some(document) };
    let contents = contents.to_vec();
    let data = contents.into_iter().flat_map(|content| content.chunks().map(send_document_request::Request::Data));
    let requests = std::iter::once(send_document_request::Request::Header(header)).chain(data);
    requests.map(|request| pb::SendDocumentRequest { request: Some(request), resume_from: None })
}

/// Reads an attachment and compares every byte with what was handed in.
async fn download(client: &mut Client, message_id: &str, index: u32, content: &Content) -> Result<(), Failure> {
    let request = pb::DownloadAttachmentRequest { message_id: message_id.to_owned(), index, offset: 0 };
    let mut read = client.download_attachment(request).await.map_err(failed)?.into_inner();
    let (mut expected, mut rest) = (content.chunks(), bytes::Bytes::new());
    while let Some(mut data) = read.message().await.map_err(failed)?.map(|response| response.data) {
        while !data.is_empty() {
            if rest.is_empty() {
                rest = expected.next().ok_or_else(|| differs(index))?;
            }
            let common = rest.len().min(data.len());
            if rest.get(..common) != data.get(..common) {
                return Err(differs(index));
            }
            rest.advance(common);
            data.advance(common);
        }
    }
    if rest.is_empty() && expected.next().is_none() { Ok(()) } else { Err(differs(index)) }
}

fn differs(index: u32) -> Failure {
    Failure::BadAnswer(format!("attachment {index} is not what was handed in"))
}

fn failed(status: tonic::Status) -> Failure {
    Failure::of_status("an edge of the bench", &status)
}
