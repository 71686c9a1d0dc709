//! SendEdxml: the national file is stored as it is, read twice (once to know it, once to take its attachments out), and becomes a draft.

use std::io::{self, BufReader};
use std::sync::Arc;

use tonic::{Status, Streaming};
use truc_blobs::{BlobStore, Stored, UploadState};
use truc_edxml::{AttachmentInfo, AttachmentSink, BusinessKind, Diagnostic, Document, Message, ReadError, Reading, read_message};
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::send_edxml_request::Request;
use truc_signing::statement::{Attachment, Business, Contact, Doc, DocType, DocumentReference, EdxmlSource, Encoding, Envelope, Signer};
use truc_types::{AgencyCode, Digest, Reason, Refusal};

use super::send::{Intake, check_chunk};
use super::{draft, invalid};
use crate::node::Node;

/// Takes an edXML file.
pub(super) async fn send_edxml(
    node: &Arc<Node>,
    mut stream: Streaming<pb::SendEdxmlRequest>,
) -> Result<Result<pb::SendEdxmlResponse, Refusal>, Status> {
    let Some(pb::SendEdxmlRequest { request: Some(Request::Header(header)) }) = stream.message().await? else {
        return Ok(Err(invalid("request", "the first request must be the header")));
    };
    let checked = draft::check_reference(&header.client_reference).and_then(|()| draft::check_secrecy(&header.secrecy));
    if let Err(refusal) = checked {
        return Ok(Err(refusal));
    }
    let (chunks, intake) = Intake::new();
    let (blobs, agency) = (Arc::clone(&node.blobs), node.agency().clone());
    let storing = tokio::task::spawn_blocking(move || take_apart(blobs.as_ref(), &agency, intake));
    loop {
        let data = match stream.message().await? {
            Some(pb::SendEdxmlRequest { request: Some(Request::Data(data)) }) => data,
            Some(_) => return Ok(Err(invalid("request", "after the header only data may come"))),
            None => break,
        };
        if let Err(refusal) = check_chunk(&data) {
            return Ok(Err(refusal));
        }
        if chunks.send(data).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let (document, warnings, source) = match storing.await.map_err(|cause| Status::internal(cause.to_string()))? {
        Ok(taken) => taken,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let warnings = warnings.iter().map(diagnostic).collect();
    let envelope = envelope(node, document, source);
    if let Err(refusal) = draft::check_sendable(node, &header.client_reference, &envelope).await {
        return Ok(Err(refusal));
    }
    let recorded = draft::record(node, header.client_reference, envelope).await;
    Ok(recorded.map(|message_id| pb::SendEdxmlResponse { message_id: message_id.to_string(), warnings }))
}

/// Stores the file, then its attachments.
fn take_apart(blobs: &dyn BlobStore, agency: &AgencyCode, mut intake: Intake) -> Result<(Document, Vec<Diagnostic>, Stored), Refusal> {
    let blob = |cause: truc_blobs::BlobError| cause.to_refusal();
    let source = blobs.put_from_reader(agency, &mut intake).map_err(blob)?;
    let read = |sink: &mut dyn AttachmentSink| {
        let file = BufReader::new(blobs.open_range(&source.digest, 0).map_err(blob)?);
        read_message(file, sink).map_err(|cause| refusal(&cause))
    };
    let Reading { message, warnings, .. } = read(&mut Discard)?;
    let document = supported(message)?;
    read(&mut Keep { blobs, agency, attachments: &document.attachments, current: None })?;
    Ok((document, warnings, source))
}

/// New documents and replies; everything else is refused by name.
fn supported(message: Message) -> Result<Document, Refusal> {
    let kind = message.kind();
    match message {
        Message::Document(document) if document.business.kind == BusinessKind::New => Ok(*document),
        Message::Document(_) | Message::Status(_) => {
            Err(Refusal::new(Reason::BusinessUnsupported, format!("the edXML message is of the kind: {kind}; only new documents are read")))
        }
    }
}

fn refusal(cause: &ReadError) -> Refusal {
    cause.refusal().unwrap_or_else(|| Refusal::new(Reason::BlobStorage, cause.to_string()))
}

/// The first reading: digests and sizes are all that is wanted.
struct Discard;

impl AttachmentSink for Discard {
    fn begin(&mut self, _index: usize) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
        Ok(())
    }
}

/// The second reading: attachments go to the folder under the digests that the first one found.
struct Keep<'a> {
    blobs: &'a dyn BlobStore,
    agency: &'a AgencyCode,
    attachments: &'a [AttachmentInfo],
    /// Digest, bytes to pass over because an earlier try stored them, bytes seen.
    current: Option<(Digest, u64, u64)>,
}

impl AttachmentSink for Keep<'_> {
    fn begin(&mut self, index: usize) -> io::Result<()> {
        let attachment = self.attachments.get(index).ok_or_else(|| io::Error::other("the file changed between two readings"))?;
        let stored = match self.blobs.begin_upload(self.agency, &attachment.sha256, attachment.size).map_err(io::Error::other)? {
            UploadState::Complete => attachment.size,
            UploadState::Resume(offset) => offset,
        };
        self.current = Some((attachment.sha256, stored, 0));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((digest, stored, seen)) = &mut self.current else { return Err(io::Error::other("bytes before an attachment")) };
        let known = usize::try_from(stored.saturating_sub(*seen)).unwrap_or(usize::MAX).min(bytes.len());
        *seen += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        if !new.is_empty() {
            *stored = self.blobs.append(self.agency, digest, *stored, new).map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn end(&mut self, _size: u64, sha256: &Digest) -> io::Result<()> {
        self.current = None;
        self.blobs.finish(self.agency, sha256).map(|_| ()).map_err(io::Error::other)
    }
}

fn envelope(node: &Node, message: Document, source: Stored) -> Envelope {
    let text = |text: Option<String>| text.and_then(draft::text);
    let signer = Signer {
        competence: text(message.signer.competence),
        position: text(message.signer.position),
        full_name: text(message.signer.full_name),
    };
    let business = message.business;
    let doc = Doc {
        document_id: text(message.document_id),
        doc_type: DocType {
            code: message.document_type.code,
            detail: message.document_type.detail,
            name: text(message.document_type.name),
        },
        content: text(message.content),
        place: text(message.place),
        issued_on: Some(message.promulgation_date),
        signer: Some(signer).filter(|signer| *signer != Signer::default()),
        due_on: message.due_date,
        urgency: message.priority,
        sphere: text(message.sphere),
        drafter: text(message.drafter),
        copies: message.copies,
        pages: message.pages,
        appendices: message.appendices.into_iter().filter(|name| !name.is_empty()).collect(),
        paper: business.paper == Some(1),
        to_places: message.to_places.into_iter().filter(|place| !place.is_empty()).collect(),
        steering_type: message.steering_type,
        ..Doc::new(message.number, message.notation, message.subject)
    };
    let mut envelope = draft::empty(node, doc);
    envelope.sender.organisation = message.from.code;
    envelope.recipients = message.to.into_iter().map(|party| party.code).collect();
    let answered = message.response_for.into_iter().map(|answered| DocumentReference {
        message_id: None,
        organisation: answered.organisation,
        document_id: text(answered.document_id),
        code: text(answered.code),
        issued_on: answered.promulgation_date,
    });
    // One that names neither id nor code names nothing.
    envelope.in_reply_to = answered.filter(|answered| answered.document_id.is_some() || answered.code.is_some()).collect();
    if !envelope.in_reply_to.is_empty() {
        envelope.business = Business::Reply;
    }
    envelope.business_reason = text(business.reason);
    let contact = business.staff.map(|staff| Contact {
        department: text(staff.department),
        department_id: text(staff.department_id),
        staff: text(staff.name),
        staff_id: text(staff.id),
        email: text(staff.email),
        phone: text(staff.mobile),
    });
    envelope.contact = contact.filter(|contact| *contact != Contact::default());
    envelope.attachments = message.attachments.into_iter().map(attachment).collect();
    envelope.edxml = Some(EdxmlSource { sha256: source.digest, size: source.size });
    envelope
}

fn attachment(info: AttachmentInfo) -> Attachment {
    // Statements write media types in lower case without parameters; what is none becomes the type of anything.
    let media_type = info.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
    let is_type = media_type.split_once('/').is_some_and(|(kind, subtype)| part(kind) && part(subtype));
    Attachment {
        name: info.name,
        media_type: if is_type { media_type } else { "application/octet-stream".to_owned() },
        size: info.size,
        sha256: info.sha256,
        encoding: Encoding::Identity,
        commit: None,
    }
}

fn diagnostic(diagnostic: &Diagnostic) -> pb::EdxmlDiagnostic {
    pb::EdxmlDiagnostic {
        rule: diagnostic.rule.code().to_owned(),
        path: diagnostic.path.clone(),
        line: u32::try_from(diagnostic.line).unwrap_or(u32::MAX),
        found: diagnostic.found.clone(),
        expected: diagnostic.expected.clone(),
    }
}
