//! What leaves a light edge: contents, and documents until the last receipt about them is back. What arrives is `arriving`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_signing::sha256;
use truc_signing::statement::{Envelope, Receipt, ReceiptEvent};
use truc_types::{Digest, MessageId, OrganisationCode, Refusal, SenderSeq};

use super::{Inner, LightEdge, refused};
use crate::node::LinkError;
use crate::transfer;
use crate::trust::TrustError;

/// A document that was sealed and not submitted yet.
#[derive(Debug, Clone)]
pub struct SealedDocument {
    /// Its message.
    pub message_id: MessageId,
    recipients: Vec<OrganisationCode>,
    file: Vec<u8>,
}

/// A document that was submitted.
pub(super) struct Sent {
    envelope: Digest,
    /// Until the acceptance was verified; a receipt may overtake it.
    unaccepted: bool,
    waits: Vec<Wait>,
}

/// What is still to come from one recipient.
struct Wait {
    recipient: OrganisationCode,
    fetched: bool,
}

impl SealedDocument {
    /// Message, recipients and the sealed file, to be kept until it is submitted.
    #[must_use]
    pub fn into_parts(self) -> (MessageId, Vec<OrganisationCode>, Vec<u8>) {
        (self.message_id, self.recipients, self.file)
    }

    /// What [`Self::into_parts`] gave.
    #[must_use]
    pub const fn from_parts(message_id: MessageId, recipients: Vec<OrganisationCode>, file: Vec<u8>) -> Self {
        Self { message_id, recipients, file }
    }
}

impl LightEdge {
    /// Uploads a content whose digest is known, so that envelopes may name it.
    ///
    /// # Errors
    /// When the broker is away or refuses, or the chunks are not that content.
    pub async fn upload(&self, digest: Digest, size: u64, chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Result<(), Refusal> {
        self.inner.upload(digest, size, chunks).await.map_err(LinkError::into_refusal)
    }

    /// Uploads the contents of one document, as many at a time as an edge does.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub async fn upload_all<C: Iterator<Item = Bytes> + Send + 'static>(
        &self,
        contents: impl IntoIterator<Item = (Digest, u64, C)>,
    ) -> Result<(), Refusal> {
        let upload = |(digest, size, chunks)| {
            let edge = Arc::clone(&self.inner);
            async move { edge.upload(digest, size, chunks).await }
        };
        transfer::each(contents, upload).await.map_err(LinkError::into_refusal)
    }

    /// Seals a document under the next number; time, term, number and nonce are filled in.
    #[must_use]
    pub fn seal(&self, mut envelope: Envelope) -> SealedDocument {
        let edge = &self.inner;
        let seq = SenderSeq(edge.seq.fetch_add(1, Ordering::Relaxed) + 1);
        let file = edge.sealer.seal(&mut envelope, edge.term, seq, edge.trust.observed().for_statements());
        SealedDocument { message_id: envelope.message_id, recipients: envelope.recipients, file }
    }

    /// Submits a document and verifies its acceptance. What its recipients say comes back later.
    ///
    /// # Errors
    /// When it is refused, or the answer does not hold.
    pub async fn submit(&self, document: SealedDocument) -> Result<(), Refusal> {
        self.inner.submit(document).await.map_err(LinkError::into_refusal)
    }
}

impl Inner {
    async fn upload(&self, digest: Digest, size: u64, chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Result<(), LinkError> {
        use pb::upload_request::{Begin, Request};
        let begin = Request::Begin(Begin { sha256: Bytes::copy_from_slice(&digest.0), size, offset: 0 });
        let pieces = std::iter::once(begin).chain(chunks.map(Request::Data)).map(|request| pb::UploadRequest { request: Some(request) });
        let uploaded = self.link.blobs().upload(tokio_stream::iter(pieces)).await?.into_inner();
        if uploaded.complete { Ok(()) } else { Err(LinkError::Away(format!("the upload of {digest} did not complete"))) }
    }

    async fn submit(&self, SealedDocument { message_id, recipients, file }: SealedDocument) -> Result<(), LinkError> {
        let waits = recipients.into_iter().map(|recipient| Wait { recipient, fetched: false }).collect();
        let (envelope, file) = (sha256(&file), Bytes::from(file));
        self.sent.lock().insert(message_id, Sent { envelope, unaccepted: true, waits });
        let acceptance = match self.submitter.submit(file.clone(), false).await? {
            Outcome::Accepted(acceptance) => acceptance,
            Outcome::Refused(refusal) => return Err(refused(&refusal)),
        };
        let accepted = self.trust.check_acceptance_of(&file, envelope, &acceptance)?;
        if accepted.fact.is_none_or(|proven| proven.fact.message_id != message_id) {
            return Err(TrustError::invalid(format!("the acceptance of {message_id} has no fact about it")).into());
        }
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        self.change(message_id, |sent| {
            sent.unaccepted = false;
            Ok(())
        })
    }

    /// A receipt about documents of this agency, whose seal and proof hold.
    pub(super) fn receipted(&self, receipt: &Receipt) -> Result<(), LinkError> {
        let issuer = self.trust.registry().agency_index(&receipt.issuer);
        for item in &receipt.items {
            let invalid = |what: &str| TrustError::invalid(format!("a receipt of {} about {}: {what}", receipt.issuer, item.message_id));
            let registry = self.trust.registry();
            if registry.organisation(&item.recipient).map(|(_, organisation)| organisation.served_by) != issuer {
                return Err(invalid("it does not serve the recipient").into());
            }
            self.change(item.message_id, |sent| {
                if sent.envelope != item.envelope {
                    return Err(invalid("it names other bytes"));
                }
                let mut waits = sent.waits.iter_mut();
                let wait = waits.find(|wait| wait.recipient == item.recipient);
                let wait = wait.ok_or_else(|| invalid("nothing is to come from this recipient"))?;
                match receipt.event {
                    ReceiptEvent::Fetched if !wait.fetched => wait.fetched = true,
                    ReceiptEvent::Acknowledged | ReceiptEvent::Refused if wait.fetched => {
                        sent.waits.retain(|wait| wait.recipient != item.recipient)
                    }
                    event => return Err(invalid(&format!("{} is out of order", event.as_str()))),
                }
                Ok(())
            })?;
        }
        self.counts.receipts_verified.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Changes what is known of a document; tells when that was the last that was to come.
    fn change(&self, message_id: MessageId, change: impl FnOnce(&mut Sent) -> Result<(), TrustError>) -> Result<(), LinkError> {
        let mut all = self.sent.lock();
        let sent = all.get_mut(&message_id).ok_or_else(|| TrustError::invalid(format!("{message_id} is nothing that is on its way")))?;
        change(sent)?;
        if !sent.unaccepted && sent.waits.is_empty() {
            all.remove(&message_id);
            drop(all);
            (self.returned)(message_id);
        }
        Ok(())
    }
}
