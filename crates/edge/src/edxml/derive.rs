//! At the recipient: attachments are derived from the edXML file, and the file must hold what the sealed envelope says.
//!
//! The seal covers the file's digest, but a DMS may read the file alone. A sender whose file names another organisation, number or attachment than its
//! envelope would deceive it: such a document is never shown.

use std::sync::Arc;

use truc_signing::statement::Envelope;
use truc_types::{Reason, Refusal};

use super::read::envelope_of;
use super::unpack::{UnpackError, unpack};
use crate::node::Node;
use crate::transfer::Alone;

/// Takes the edXML file of a document apart, which must be in the folder of attachments. With no edXML there is nothing to do.
///
/// The inner refusal is final: the file is not what the envelope says. The outer one is this edge's own trouble.
pub(crate) async fn derive(node: &Arc<Node>, envelope: &Envelope) -> Result<Result<(), Refusal>, Refusal> {
    let Some(source) = envelope.edxml else { return Ok(Ok(())) };
    let expected: Vec<_> = envelope.attachments.iter().map(|attachment| (attachment.sha256, attachment.size)).collect();
    let alone = Alone::new(node, expected.iter().map(|(digest, _)| *digest)).await;
    let (blobs, agency) = (Arc::clone(&node.blobs), node.agency().clone());
    let count = expected.len();
    let unpacking = tokio::task::spawn_blocking(move || {
        // Held to the end of the work, even if nobody waits for it any more.
        let _alone = alone;
        unpack(blobs.as_ref(), &agency, &source.sha256, expected)
    });
    let unpacked = unpacking.await.map_err(|cause| Refusal::new(Reason::BlobStorage, format!("a worker of the edge ended: {cause}")))?;
    Ok(match unpacked {
        Ok((message, _)) if message.attachments.len() != count => Err(differs("attachments", "predicate.attachments")),
        Ok((message, _)) => compare(envelope, &envelope_of(&envelope.sender.agency, &message)),
        Err(UnpackError::Differs { index, .. }) => Err(differs("attachments", &format!("attachments/{index:02}"))),
        Err(UnpackError::Read(cause)) => Err(unreadable(&cause)),
        Err(UnpackError::Kind(cause)) => Err(unreadable(&cause.message)),
        Err(UnpackError::Storage(refusal)) => return Err(refusal),
    })
}

/// What a DMS decides by must be the same in both.
fn compare(sealed: &Envelope, found: &Envelope) -> Result<(), Refusal> {
    let same = [
        ("From", "predicate.sender", sealed.sender.organisation == found.sender.organisation),
        ("To", "predicate.recipients", sealed.recipients == found.recipients),
        ("ResponseFor", "predicate.business", sealed.business == found.business),
        ("CodeNumber", "predicate.doc.number", sealed.doc.number == found.doc.number),
        ("CodeNotation", "predicate.doc.notation", sealed.doc.notation == found.doc.notation),
        ("DocumentId", "predicate.doc.document_id", sealed.doc.document_id == found.doc.document_id),
        ("Subject", "predicate.doc.subject", sealed.doc.subject == found.doc.subject),
        ("PromulgationDate", "predicate.doc.issued_on", sealed.doc.issued_on == found.doc.issued_on),
        ("DueDate", "predicate.doc.due_on", sealed.doc.due_on == found.doc.due_on),
        ("Priority", "predicate.doc.urgency", sealed.doc.urgency == found.doc.urgency),
    ];
    same.into_iter().find(|(.., same)| !same).map_or(Ok(()), |(element, path, _)| Err(differs(element, path)))
}

/// Read by officials of the sender as the words of status 02; names fields, never their texts.
fn differs(element: &str, path: &str) -> Refusal {
    let message = format!(
        "Nút biên của nơi nhận trả lại: tệp edXML không khớp phong bì đã niêm phong ({element}, {path}). \
         Returned by the recipient's edge: the edXML file differs from the sealed envelope ({element}, {path})."
    );
    Refusal::new(Reason::EdxmlDiffers, message).with("element", element).with("path", path)
}

fn unreadable(cause: &dyn std::fmt::Display) -> Refusal {
    let message = format!(
        "Nút biên của nơi nhận trả lại: không đọc được tệp edXML ({cause}). \
         Returned by the recipient's edge: it cannot read the edXML file ({cause})."
    );
    Refusal::new(Reason::EdxmlUnreadable, message)
}
