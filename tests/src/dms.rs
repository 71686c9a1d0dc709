//! What a document-management system does with its edge, over the real gRPC interface.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use truc_proto::edge::v1::directory_service_client::DirectoryServiceClient;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_proto::edge::v1::{self as pb, send_document_request, send_edxml_request};

/// How long a test waits for anything before it fails: far beyond what a slow machine needs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A document-management system of one agency.
#[derive(Debug, Clone)]
pub struct Dms {
    address: SocketAddr,
}

/// Events with their cursors.
pub type Events = Vec<(u64, pb::Event)>;

/// Whether a reader of events has seen what it waits for.
pub type Enough<'a> = &'a (dyn Fn(&[(u64, pb::Event)]) -> bool + Sync);

/// A document to send.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Idempotency key.
    pub reference: String,
    /// Codes of the recipients.
    pub recipients: Vec<String>,
    /// Number of the document; notation and organisation are always the same.
    pub number: String,
    /// The message that it answers.
    pub in_reply_to: Option<String>,
    /// Urgency.
    pub urgency: pb::Urgency,
    /// The one attachment.
    pub attachment: Vec<u8>,
}

impl Letter {
    /// A letter with a small attachment of its own.
    #[must_use]
    pub fn new(reference: &str, recipients: &[&str]) -> Self {
        let attachment = format!("%PDF-1.4\n% {reference}\n%%EOF\n").into_bytes();
        Self {
            reference: reference.to_owned(),
            recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
            number: "4127".to_owned(),
            in_reply_to: None,
            urgency: pb::Urgency::Normal,
            attachment,
        }
    }

    /// The letter as the stream of a call.
    pub fn stream(&self) -> impl tokio_stream::Stream<Item = pb::SendDocumentRequest> + Send + 'static + use<> {
        tonic_stream(self.requests())
    }

    /// The requests that hand it in.
    #[must_use]
    pub fn requests(&self) -> Vec<pb::SendDocumentRequest> {
        let attachment = pb::Attachment {
            name: "cong-van.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: self.attachment.len() as u64,
            sha256: String::new(),
        };
        let document = pb::Document {
            recipients: self.recipients.clone(),
            number: self.number.clone(),
            notation: "BTC-NSNN".to_owned(),
            subject: format!("V/v thử nghiệm {}", self.reference),
            r#type: Some(pb::DocumentType { name: "Công văn".to_owned(), ..Default::default() }),
            urgency: self.urgency.into(),
            secrecy: pb::Secrecy::None.into(),
            in_reply_to: self.in_reply_to.iter().map(|id| pb::DocumentReference { message_id: id.clone(), ..Default::default() }).collect(),
            attachments: vec![attachment],
            ..pb::Document::default()
        };
        let header = pb::DocumentHeader { client_reference: self.reference.clone(), document: Some(document) };
        let request = Some(send_document_request::Request::Header(header));
        let mut requests = vec![pb::SendDocumentRequest { request, resume_from: None }];
        for chunk in self.attachment.chunks(256 * 1024) {
            let request = Some(send_document_request::Request::Data(chunk.to_vec().into()));
            requests.push(pb::SendDocumentRequest { request, resume_from: None });
        }
        requests
    }
}

impl Dms {
    /// A document-management system of the edge at an address.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where the edge listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection to the edge.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn client(&self) -> Result<DocumentServiceClient<Channel>, Status> {
        Ok(DocumentServiceClient::new(self.channel().await?))
    }

    /// A connection to the edge's directory.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn directory(&self) -> Result<DirectoryServiceClient<Channel>, Status> {
        Ok(DirectoryServiceClient::new(self.channel().await?))
    }

    async fn channel(&self) -> Result<Channel, Status> {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.address)).map_err(|cause| Status::invalid_argument(cause.to_string()))?;
        endpoint.connect().await.map_err(|cause| Status::unavailable(cause.to_string()))
    }

    /// Hands a letter in; the message id.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn send(&self, letter: &Letter) -> Result<String, Status> {
        let requests = tonic_stream(letter.requests());
        Ok(self.client().await?.send_document(requests).await?.into_inner().message_id)
    }

    /// Events after a cursor, with the cursor of each, until `enough` says so; without it until there are none left.
    ///
    /// # Errors
    /// What the edge answers, or that they did not come in time.
    pub async fn events(&self, after_cursor: u64, enough: Option<Enough<'_>>) -> Result<Events, Status> {
        let request = pb::WatchEventsRequest { after_cursor, no_wait: enough.is_none() };
        let mut stream = self.client().await?.watch_events(request).await?.into_inner();
        let mut events: Events = Vec::new();
        while !enough.is_some_and(|enough| enough(&events)) {
            let next = tokio::time::timeout(PATIENCE, stream.message()).await;
            match next.map_err(|_| Status::deadline_exceeded(format!("only these came: {events:?}")))?? {
                Some(response) => events.extend(response.events.into_iter().map(|event| (response.cursor, event))),
                None => break,
            }
        }
        Ok(events)
    }

    /// How many bytes of a hand-in that broke are kept; `None` if nothing is.
    ///
    /// # Errors
    /// What the edge answers otherwise.
    pub async fn kept(&self, reference: &str) -> Result<Option<u64>, Status> {
        use pb::get_send_progress_response::Progress;
        let request = pb::GetSendProgressRequest { client_reference: reference.to_owned() };
        match self.client().await?.get_send_progress(request).await {
            Ok(response) => match response.into_inner().progress {
                Some(Progress::BytesKept(kept)) => Ok(Some(kept)),
                _ => Ok(None),
            },
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Hands an edXML file in; the message id.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn send_edxml(&self, reference: &str, secrecy: pb::Secrecy, file: &[u8]) -> Result<String, Status> {
        let header = pb::EdxmlHeader { client_reference: reference.to_owned(), secrecy: secrecy.into() };
        let mut requests = vec![pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Header(header)) }];
        for chunk in file.chunks(256 * 1024) {
            requests.push(pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Data(chunk.to_vec().into())) });
        }
        Ok(self.client().await?.send_edxml(tonic_stream(requests)).await?.into_inner().message_id)
    }

    /// Takes documents after a cursor until `count` have come.
    ///
    /// # Errors
    /// What the edge answers, or that they did not come in time.
    pub async fn receive(&self, after_cursor: Option<u64>, count: usize) -> Result<Vec<pb::ReceiveDocumentsResponse>, Status> {
        let request = pb::ReceiveDocumentsRequest { after_cursor, no_wait: false };
        let mut stream = self.client().await?.receive_documents(request).await?.into_inner();
        let mut documents = Vec::new();
        while documents.len() < count {
            let next = tokio::time::timeout(PATIENCE, stream.message()).await;
            match next.map_err(|_| Status::deadline_exceeded(format!("{} of {count} documents came", documents.len())))?? {
                Some(document) => documents.push(document),
                None => return Err(Status::aborted("the stream ended")),
            }
        }
        Ok(documents)
    }

    /// Takes documents until one of a message comes, whatever was shown before.
    ///
    /// # Errors
    /// What the edge answers, or that it did not come in time.
    pub async fn receive_message(&self, message_id: &str) -> Result<pb::ReceivedDocument, Status> {
        let request = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: false };
        let mut stream = self.client().await?.receive_documents(request).await?.into_inner();
        let wanted = async {
            while let Some(shown) = stream.message().await? {
                if let Some(document) = shown.document.filter(|document| document.message_id == message_id) {
                    return Ok(document);
                }
            }
            Err(Status::aborted("the stream ended"))
        };
        tokio::time::timeout(PATIENCE, wanted).await.map_err(|_| Status::deadline_exceeded(format!("{message_id} did not come")))?
    }

    /// Sends a letter to one recipient, whose system registers it; until the sender knows.
    ///
    /// # Errors
    /// What an edge answers, or that it did not come in time.
    pub async fn exchange(&self, letter: &Letter, with: &Self) -> Result<String, Status> {
        let message_id = self.send(letter).await?;
        let document = with.receive_message(&message_id).await?;
        with.acknowledge(&message_id, &document.recipient, "1").await?;
        self.watch(&message_id, settled).await?;
        Ok(message_id)
    }

    /// Everything that has arrived so far.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn arrived(&self) -> Result<Vec<pb::ReceiveDocumentsResponse>, Status> {
        let request = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: true };
        let mut stream = self.client().await?.receive_documents(request).await?.into_inner();
        let mut documents = Vec::new();
        while let Some(document) = stream.message().await? {
            documents.push(document);
        }
        Ok(documents)
    }

    /// Registers a document.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn acknowledge(&self, message_id: &str, recipient: &str, arrival_number: &str) -> Result<(), Status> {
        let request = pb::AcknowledgeRequest {
            message_id: message_id.to_owned(),
            recipient: recipient.to_owned(),
            arrival_number: arrival_number.to_owned(),
        };
        self.client().await?.acknowledge(request).await.map(drop)
    }

    /// Returns a document.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn refuse(&self, message_id: &str, recipient: &str, code: &str, text: &str) -> Result<(), Status> {
        let request = pb::RefuseRequest {
            message_id: message_id.to_owned(),
            recipient: recipient.to_owned(),
            reason_code: code.to_owned(),
            reason_text: text.to_owned(),
        };
        self.client().await?.refuse(request).await.map(drop)
    }

    /// What became of a document so far.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn status(&self, message_id: &str) -> Result<pb::DocumentStatus, Status> {
        let document = Some(pb::get_status_request::Document::MessageId(message_id.to_owned()));
        let response = self.client().await?.get_status(pb::GetStatusRequest { document }).await?.into_inner();
        response.status.ok_or_else(|| Status::internal("an answer without a status"))
    }

    /// Waits until a document's status is as wanted; gives it.
    ///
    /// # Errors
    /// What the edge answers, or the last status when it did not become so in time.
    pub async fn watch(&self, message_id: &str, wanted: impl Fn(&pb::DocumentStatus) -> bool) -> Result<pb::DocumentStatus, Status> {
        let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
        let mut stream = self.client().await?.watch_status(request).await?.into_inner();
        let mut last = None;
        loop {
            let next = tokio::time::timeout(PATIENCE, stream.message()).await;
            match next.map_err(|_| Status::deadline_exceeded(format!("the status stayed {last:?}")))?? {
                Some(pb::WatchStatusResponse { status: Some(status) }) if wanted(&status) => return Ok(status),
                Some(pb::WatchStatusResponse { status }) => last = status,
                None => return Err(Status::aborted(format!("the stream ended at {last:?}"))),
            }
        }
    }

    /// Downloads an attachment from an offset on.
    ///
    /// # Errors
    /// What the edge answers.
    pub async fn attachment(&self, message_id: &str, index: u32, offset: u64) -> Result<Vec<u8>, Status> {
        let request = pb::DownloadAttachmentRequest { message_id: message_id.to_owned(), index, offset };
        let mut stream = self.client().await?.download_attachment(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.message().await? {
            bytes.extend_from_slice(&chunk.data);
        }
        Ok(bytes)
    }

    /// Writes the evidence folder of a document for one recipient, with the command that people use.
    pub fn evidence(&self, message_id: &str, recipient: &str, folder: &Path) {
        let folder = folder.to_str().unwrap_or_default();
        crate::tools::truc_ok(&["evidence", message_id, "--recipient", recipient, "--edge", &format!("http://{}", self.address), folder]);
    }
}

/// All recipients have acknowledged or refused.
#[must_use]
pub fn settled(status: &pb::DocumentStatus) -> bool {
    use pb::Step;
    let last = |recipient: &pb::RecipientStatus| matches!(recipient.step(), Step::Acknowledged | Step::Refused);
    !status.recipients.is_empty() && status.recipients.iter().all(last)
}

fn tonic_stream<T: Send + 'static>(items: Vec<T>) -> impl tokio_stream::Stream<Item = T> + Send + 'static {
    tokio_stream::iter(items)
}
