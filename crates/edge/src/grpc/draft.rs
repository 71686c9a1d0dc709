//! A document in the words of the DMS becomes a draft: the envelope without what the sealing fills in. Recorded once per client reference.

use truc_proto::edge::v1 as pb;
use truc_signing::sha256;
use truc_signing::statement::{Attachment, Business, Doc, DocType, DocumentReference, Encoding, Envelope, Secrecy, Sender, Signer};
use truc_transport::clock;
use truc_types::limits::CLIENT_REFERENCE_BYTES_MAX;
use truc_types::{AgencyCode, Date, Digest, EdgeTerm, MessageId, Reason, Refusal, SenderSeq, Timestamp, Urgency};

use super::{invalid, organisation};
use crate::node::Node;
use crate::record::Record;
use crate::store::refusal_of;

/// A client reference that can be a key.
pub(super) fn check_reference(reference: &str) -> Result<(), Refusal> {
    if reference.is_empty() || reference.len() > CLIENT_REFERENCE_BYTES_MAX {
        let message = format!("client_reference has {} bytes, 1 to {CLIENT_REFERENCE_BYTES_MAX} are allowed", reference.len());
        return Err(invalid("client_reference", message));
    }
    Ok(())
}

/// State secrets do not travel here: refused before anything of the document is stored.
pub(super) fn check_secrecy(secrecy: &str) -> Result<Secrecy, Refusal> {
    match secrecy {
        "none" => Ok(Secrecy::None),
        "" => Err(invalid("secrecy", "secrecy is missing: write \"none\" for a document without a secrecy mark")),
        _ => Err(Refusal::new(Reason::DocumentSecret, "the document has a secrecy mark; only \"none\" is carried")),
    }
}

/// An envelope with nothing in it but who sends what to whom.
pub(crate) fn empty(agency: &AgencyCode, doc: Doc) -> Envelope {
    Envelope {
        message_id: MessageId::from_bytes([0; 16]),
        sender: Sender { organisation: agency.into(), agency: agency.clone() },
        recipients: Vec::new(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc,
        attachments: Vec::new(),
        edxml: None,
        contact: None,
        created_at: Timestamp::default(),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(1),
        nonce: [0; 16],
        observed_log: None,
        required_signers: Vec::new(),
    }
}

/// An optional text: empty means absent.
pub(super) fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn date(field: &'static str, text: &str) -> Result<Option<Date>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|cause| invalid(field, format!("{field}: {cause}")))
}

/// The envelope of a header; digests of attachments are still to come.
pub(super) fn from_header(node: &Node, header: pb::DocumentHeader) -> Result<Envelope, Refusal> {
    let secrecy = check_secrecy(&header.secrecy)?;
    let urgency = u8::try_from(header.urgency).ok().and_then(Urgency::from_digit);
    let signer =
        Signer { competence: text(header.signer_competence), position: text(header.signer_position), full_name: text(header.signer_name) };
    let doc = Doc {
        document_id: text(header.document_id),
        doc_type: DocType { name: text(header.type_name), ..DocType::default() },
        issued_on: date("issued_on", &header.issued_on)?,
        signer: Some(signer).filter(|signer| *signer != Signer::default()),
        due_on: date("due_on", &header.due_on)?,
        urgency: urgency.ok_or_else(|| invalid("urgency", format!("urgency is {}, 0 to 4 are allowed", header.urgency)))?,
        urgent_at: match text(header.urgent_at) {
            Some(at) => Some(at.parse().map_err(|cause| invalid("urgent_at", format!("urgent_at: {cause}")))?),
            None => None,
        },
        secrecy,
        ..Doc::new(header.number, header.notation, header.subject)
    };
    let mut envelope = empty(node.agency(), doc);
    if !header.sender.is_empty() {
        envelope.sender.organisation = organisation("sender", &header.sender)?;
    }
    envelope.recipients = header.recipients.iter().map(|code| organisation("recipients", code)).collect::<Result<_, _>>()?;
    if let Some(answered) = text(header.in_reply_to) {
        let message_id = answered.parse().map_err(|cause| invalid("in_reply_to", format!("in_reply_to: {cause}")))?;
        envelope.business = Business::Reply;
        envelope.in_reply_to = vec![DocumentReference { message_id: Some(message_id), ..DocumentReference::default() }];
    }
    let attachment = |header: pb::AttachmentHeader| Attachment {
        name: header.name,
        media_type: header.media_type,
        size: header.size,
        sha256: Digest([0; 32]),
        encoding: Encoding::Identity,
        commit: None,
    };
    envelope.attachments = header.attachments.into_iter().map(attachment).collect();
    // Everything but the digests is known: a document that could never be sealed is refused before its bytes are taken.
    node.sealer.draft(envelope.clone()).map_err(|cause| cause.to_refusal())?;
    Ok(envelope)
}

/// Checks a document against the directory and the published limits before anything of it is taken or sent on, so that the DMS hears at once what the axis
/// would say. The codes stay as the sender wrote them: the broker routes either scheme, and the seal is over what was said.
pub(crate) async fn check_sendable(node: &Node, reference: &str, envelope: &Envelope) -> Result<(), Refusal> {
    let Err(refusal) = truc_directory::check_sendable(&node.trust.registry(), envelope) else { return Ok(()) };
    // What was taken under this reference before the directory changed (or was known) keeps its answer.
    let reference = reference.to_owned();
    if node.store.read(move |state| state.reference(&reference)).await?.is_some() { Ok(()) } else { Err(refusal) }
}

/// Records a document once per client reference.
pub(crate) async fn record(node: &Node, reference: String, mut envelope: Envelope) -> Result<MessageId, Refusal> {
    // Without id, keys and times: what the DMS said and nothing else.
    let request = sha256(&envelope.to_json());
    let minted = clock::mint();
    envelope.message_id = minted;
    let draft = node.sealer.draft(envelope).map_err(|cause| cause.to_refusal())?;
    let recorded = node.store.record(move |state| match state.reference(&reference).map_err(refusal_of)? {
        Some(known) if known.request == request => Ok((Vec::new(), known.message_id)),
        Some(known) => {
            let message = format!("the client reference belongs to another document, {}", known.message_id);
            Err(Refusal::new(Reason::ReferenceConflict, message).with("message_id", known.message_id))
        }
        None => Ok((vec![Record::Drafted { message_id: minted, reference, request, draft }], minted)),
    });
    let message_id = recorded.await?;
    tracing::info!(%message_id, repeated = message_id != minted, "document handed in");
    Ok(message_id)
}
