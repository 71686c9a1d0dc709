//! An envelope, and what became of a document, in the words of edXML: for readers that know nothing else.
//!
//! A document that came as edXML is never written anew: its file is served as it is (`grpc/receive_edxml`, `watch/outgoing`). What an envelope does not carry,
//! names and addresses of the parties, stays empty here.

use std::io::{self, Read, Write};

use truc_blobs::BlobStore;
use truc_edxml::{
    AnsweredDocument, AttachmentInfo, AttachmentSource, Business, BusinessKind, Document, DocumentType, LocalTime, Message, Party, Signer,
    Staff, Status, StatusCode, Task, TraceHop, WriteError, write_message,
};
use truc_signing::statement::{Attachment, Doc, DocumentReference, Envelope};
use truc_types::{Date, Digest, OrganisationCode, Reason, Refusal, Timestamp};

/// Vietnam has one zone without summer time; edXML writes local times without saying so.
const ZONE_MILLIS: u64 = 7 * 60 * 60 * 1_000;

/// Writes a document from its envelope and the attachments in the folder. What was written before an error is no message.
///
/// # Errors
/// [`Reason::StatementMissingField`] for a document that edXML cannot carry, because its title is hidden; or what the writer, the folder or `out` refuse.
pub(crate) fn write_document(envelope: &Envelope, blobs: &dyn BlobStore, out: &mut dyn Write) -> Result<(), Refusal> {
    let digests = envelope.attachments.iter().map(|attachment| attachment.sha256).collect();
    let message = Message::Document(Box::new(document(envelope)?));
    write_message(&message, &mut Stored { blobs, digests }, out).map_err(|cause| refusal_of(&cause))
}

/// What a recipient says of a document that was sent.
pub(crate) struct Event<'a> {
    pub(crate) code: StatusCode,
    /// The recipient, who says it.
    pub(crate) recipient: &'a OrganisationCode,
    pub(crate) at: Timestamp,
    pub(crate) description: Option<String>,
}

/// Writes the status packet about a document that was sent: from the recipient, to the sender.
///
/// # Errors
/// What the writer or `out` refuse.
pub(crate) fn write_status(sent: &Envelope, event: Event<'_>, out: &mut dyn Write) -> Result<(), Refusal> {
    let code = [&sent.doc.number, &sent.doc.notation].map(|part| part.clone().unwrap_or_default()).join("/");
    let status = Status {
        from: party(event.recipient),
        response_for: AnsweredDocument {
            organisation: Some(sent.sender.organisation.clone()),
            code: Some(code).filter(|code| code != "/"),
            promulgation_date: sent.doc.issued_on,
            document_id: sent.doc.document_id.clone(),
        },
        staff: None,
        code: event.code,
        description: event.description,
        time: local_time(event.at),
    };
    write_message(&Message::Status(Box::new(status)), &mut Nothing, out).map_err(|cause| refusal_of(&cause))
}

/// Trouble with disk or reader may pass; everything else is in the document.
fn refusal_of(cause: &WriteError) -> Refusal {
    let reason = match cause {
        WriteError::Source { .. } | WriteError::AttachmentDiffers { .. } => Reason::BlobStorage,
        WriteError::Output(_) => Reason::WatchFolder,
        _ => Reason::StatementOutOfRange,
    };
    Refusal::new(reason, cause.to_string())
}

/// The document of an envelope.
pub(super) fn document(envelope: &Envelope) -> Result<Document, Refusal> {
    let doc = &envelope.doc;
    let title = |part: &Option<String>, path: &'static str| {
        let hidden = || {
            Refusal::new(Reason::StatementMissingField, format!("{path} is hidden: edXML cannot carry this document")).with("path", path)
        };
        part.clone().ok_or_else(hidden)
    };
    // edXML demands a date: without one it is the day on which the envelope was made.
    let date = doc.issued_on.or_else(|| local_time(envelope.created_at).map(|time| time.date));
    let no_date = || Refusal::new(Reason::StatementMissingField, "predicate.doc.issued_on is missing: edXML demands a date");
    let date = date.ok_or_else(no_date)?;
    let signer = doc.signer.clone().unwrap_or_default();
    Ok(Document {
        from: party(&envelope.sender.organisation),
        to: envelope.recipients.iter().map(party).collect(),
        document_id: doc.document_id.clone(),
        number: title(&doc.number, "predicate.doc.number")?,
        notation: title(&doc.notation, "predicate.doc.notation")?,
        place: doc.place.clone(),
        promulgation_date: date,
        document_type: DocumentType { code: doc.doc_type.code, detail: doc.doc_type.detail, name: doc.doc_type.name.clone() },
        subject: title(&doc.subject, "predicate.doc.subject")?,
        content: doc.content.clone(),
        signer: Signer { competence: signer.competence, position: signer.position, full_name: signer.full_name },
        due_date: doc.due_on,
        priority: doc.urgency,
        sphere: doc.sphere.clone(),
        drafter: doc.drafter.clone(),
        copies: doc.copies,
        pages: doc.pages,
        reply_fors: None,
        direction: false,
        reference_codes: None,
        appendices: doc.appendices.clone(),
        to_places: doc.to_places.clone(),
        response_for: envelope.in_reply_to.iter().map(answered).collect(),
        steering_type: doc.steering_type,
        task: task(doc),
        trace_id: None,
        trace: vec![TraceHop { organisation: Some(envelope.sender.organisation.to_string()), time: local_time(envelope.created_at) }],
        business: business(envelope),
        attachments: (0..).zip(&envelope.attachments).map(|(index, file)| attachment(envelope, index, file)).collect(),
    })
}

fn party(code: &OrganisationCode) -> Party {
    Party { code: code.clone(), name: None, in_charge: None, address: None, email: None, telephone: None, fax: None, website: None }
}

fn task(doc: &Doc) -> Task {
    Task { code: doc.task_code.clone(), application_type: doc.task_application.clone() }
}

/// A message of this axis has no national identifier of its own: its id stands in its place.
fn answered(reference: &DocumentReference) -> AnsweredDocument {
    AnsweredDocument {
        organisation: reference.organisation.clone(),
        code: reference.code.clone(),
        promulgation_date: reference.issued_on,
        document_id: reference.document_id.clone().or_else(|| reference.message_id.map(|id| id.to_string())),
    }
}

fn business(envelope: &Envelope) -> Business {
    let staff = envelope.contact.clone().map(|contact| Staff {
        department: contact.department,
        department_id: contact.department_id,
        name: contact.staff,
        id: contact.staff_id,
        email: contact.email,
        mobile: contact.phone,
    });
    Business {
        kind: BusinessKind::New,
        reason: envelope.business_reason.clone(),
        paper: envelope.doc.paper.then_some(1),
        staff,
        ..Business::default()
    }
}

fn attachment(envelope: &Envelope, index: u32, file: &Attachment) -> AttachmentInfo {
    AttachmentInfo {
        name: harmless(&file.name),
        description: None,
        media_type: file.media_type.clone(),
        content_id: format!("{}-{index:02}", envelope.message_id),
        size: file.size,
        sha256: file.sha256,
    }
}

/// Names are display text here, but a receiver of edXML may make a path of one.
fn harmless(name: &str) -> String {
    let flat = name.replace(['/', '\\'], "_");
    let leads_out = flat.trim() == ".." || flat.as_bytes().get(1) == Some(&b':');
    if leads_out { format!("_{flat}") } else { flat }
}

/// The time of day in Vietnam.
fn local_time(at: Timestamp) -> Option<LocalTime> {
    let seconds = at.plus_millis(ZONE_MILLIS).as_millis() / 1_000;
    let date = Date::from_days_since_epoch(u32::try_from(seconds / 86_400).ok()?)?;
    let part = |divisor: u64, modulus: u64| u8::try_from(seconds / divisor % modulus).ok();
    Some(LocalTime { date, time_of_day: (part(3_600, 24)?, part(60, 60)?, part(1, 60)?) })
}

/// Attachments in the folder, by digest.
struct Stored<'a> {
    blobs: &'a dyn BlobStore,
    digests: Vec<Digest>,
}

impl AttachmentSource for Stored<'_> {
    fn open(&mut self, index: usize) -> io::Result<Box<dyn Read + '_>> {
        let digest = self.digests.get(index).ok_or_else(|| io::Error::other("no such attachment"))?;
        Ok(Box::new(self.blobs.open_range(digest, 0).map_err(io::Error::other)?))
    }
}

/// Status packets have no attachments.
struct Nothing;

impl AttachmentSource for Nothing {
    fn open(&mut self, _index: usize) -> io::Result<Box<dyn Read + '_>> {
        Err(io::Error::other("a status packet has no attachments"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edxml::read::{envelope_of, supported};
    use crate::edxml::unpack::{look, unpack};
    use truc_blobs::FolderStore;
    use truc_edxml::read_message;
    use truc_types::AgencyCode;

    fn sample(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../../testdata/edxml/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn every_national_document_comes_back_through_its_envelope() {
        let scratch = tempfile::tempdir().unwrap();
        let blobs = FolderStore::open(scratch.path()).unwrap();
        let agency: AgencyCode = "H53".parse().unwrap();
        for name in ["made/01-new-document.edxml", "made/04-reply.edxml", "sdk/edoc_new.edxml"] {
            let file = blobs.put_from_reader(&agency, &mut sample(name).as_slice()).unwrap().digest;
            let (first, _) = look(blobs.open_range(&file, 0).unwrap()).unwrap();
            let expected = first.attachments.iter().map(|attachment| (attachment.sha256, attachment.size)).collect();
            unpack(&blobs, &agency, &file, expected).unwrap();
            let mut envelope = envelope_of(&agency, &first);
            envelope.created_at = "2026-11-22T18:30:05.999Z".parse().unwrap();
            let mut written = Vec::new();
            write_document(&envelope, &blobs, &mut written).unwrap();
            let file = blobs.put_from_reader(&agency, &mut written.as_slice()).unwrap().digest;
            let (second, warnings) = look(blobs.open_range(&file, 0).unwrap()).unwrap();
            let again = Envelope { created_at: envelope.created_at, ..envelope_of(&agency, &second) };
            assert_eq!(again, envelope, "{name}: {warnings:?}");
            assert_eq!(second.trace[0].time.map(|time| time.to_string()).as_deref(), Some("2026/11/23 01:30:05"), "{name}");
        }
    }

    #[test]
    fn every_other_kind_is_refused_by_its_name() {
        let others = [
            ("made/02a-status-01-arrived.edxml", "StatusCode", "01"),
            ("made/02b-status-03-accepted.edxml", "StatusCode", "03"),
            ("made/02c-status-02-refused.edxml", "StatusCode", "02"),
            ("made/02d-status-06-completed.edxml", "StatusCode", "06"),
            ("made/03-recall.edxml", "BussinessDocType", "1"),
            ("made/03b-status-15-recall-agreed.edxml", "StatusCode", "15"),
            ("made/05-update.edxml", "BussinessDocType", "2"),
            ("sdk/edoc_update.edxml", "BussinessDocType", "2"),
            ("sdk/status_acceptance_03.edxml", "StatusCode", "03"),
            ("sdk/status_change-acceptance_15.edxml", "StatusCode", "15"),
            ("sdk/status_inbox_01.edxml", "StatusCode", "01"),
            ("sdk/status_rejection_02.edxml", "StatusCode", "02"),
        ];
        for (name, element, found) in others {
            let reading = read_message(sample(name).as_slice(), &mut Discard).unwrap();
            let refusal = supported(reading.message).unwrap_err();
            assert_eq!(refusal.reason, Reason::EdxmlUnsupportedType, "{name}");
            assert_eq!((refusal.value("element"), refusal.value("found")), (Some(element), Some(found)), "{name}");
        }
    }

    #[test]
    fn a_status_packet_names_the_document_and_its_sender() {
        let (document, _) = {
            let scratch = tempfile::tempdir().unwrap();
            let blobs = FolderStore::open(scratch.path()).unwrap();
            let agency: AgencyCode = "H53".parse().unwrap();
            let file = blobs.put_from_reader(&agency, &mut sample("made/04-reply.edxml").as_slice()).unwrap().digest;
            look(blobs.open_range(&file, 0).unwrap()).unwrap()
        };
        let sent = envelope_of(&"H53".parse().unwrap(), &document);
        let event = Event {
            code: StatusCode::REFUSED,
            recipient: &"G12".parse().unwrap(),
            at: "2026-11-22T01:02:03.000Z".parse().unwrap(),
            description: Some("Sai nơi nhận".to_owned()),
        };
        let mut written = Vec::new();
        write_status(&sent, event, &mut written).unwrap();
        let Message::Status(status) = read_message(written.as_slice(), &mut Discard).unwrap().message else { panic!("a status") };
        assert_eq!((status.from.code.as_str(), status.code), ("G12", StatusCode::REFUSED));
        let code = format!("{}/{}", document.number, document.notation);
        assert_eq!(status.response_for.code, Some(code));
        assert_eq!((status.response_for.organisation, status.response_for.document_id), (Some(document.from.code), document.document_id));
        assert_eq!(status.time.unwrap().to_string(), "2026/11/22 08:02:03");
        assert_eq!(status.description.as_deref(), Some("Sai nơi nhận"));
    }

    #[test]
    fn names_that_would_lead_out_are_made_flat() {
        for (name, flat) in
            [("../a.pdf", ".._a.pdf"), ("a\\b.pdf", "a_b.pdf"), ("..", "_.."), ("C:x", "_C:x"), ("Công văn.pdf", "Công văn.pdf")]
        {
            assert_eq!(harmless(name), flat);
        }
    }

    struct Discard;

    impl truc_edxml::AttachmentSink for Discard {
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
}
