//! The statements of the axis' own agency: term, loopback message, fetched receipt. Sealed like those of every edge.

use std::sync::Arc;

use truc_signing::statement::{
    Attachment, Business, Doc, Encoding, Envelope, Receipt, ReceiptEvent, ReceiptItem, Sender, SenderHead, SenderHeadEvent, SignerRole,
};
use truc_signing::{SealKey, seal, sha256};
use truc_transport::clock;
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, OrganisationCode, QueuePosition, SenderSeq};

/// The attachment of every loopback message.
pub(crate) const CONTENT: &[u8] = b"Truc loopback message. Thong diep tu kiem tra cua truc.\n";

/// Seals for the axis' own agency.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: Arc<SealKey>,
    agency: AgencyCode,
}

impl Sealer {
    pub(crate) fn new(key: SealKey, agency: AgencyCode) -> Self {
        Self { key: Arc::new(key), agency }
    }

    /// Opens a term.
    pub(crate) fn term_opened(&self, edge_term: EdgeTerm) -> Vec<u8> {
        let head = SenderHead {
            statement_id: clock::mint(),
            agency: self.agency.clone(),
            edge_term,
            event: SenderHeadEvent::TermOpened { previous_term: None },
            feed_cursor: None,
            created_at: clock::now(),
            nonce: clock::random(),
            observed_log: None,
            required_signers: vec![self.key.required_signer(SignerRole::Seal)],
        };
        seal(&head.to_json(), &[&self.key])
    }

    /// A loopback message.
    pub(crate) fn message(&self, kind: &str, edge_term: EdgeTerm, sender_seq: SenderSeq) -> (MessageId, Vec<u8>) {
        let own = OrganisationCode::from(&self.agency);
        let mut doc = Doc::new("0", "TRUC", "Loopback");
        doc.doc_type.name = Some(kind.to_owned());
        let attachment = Attachment {
            name: "loopback.txt".to_owned(),
            sha256: content_digest(),
            size: CONTENT.len() as u64,
            media_type: "text/plain".to_owned(),
            encoding: Encoding::Identity,
            commit: None,
        };
        let envelope = Envelope {
            message_id: clock::mint(),
            sender: Sender { organisation: own.clone(), agency: self.agency.clone() },
            recipients: vec![own],
            business: Business::New,
            business_reason: None,
            in_reply_to: Vec::new(),
            thread: None,
            recalls: None,
            updates: None,
            replaces: Vec::new(),
            doc,
            attachments: vec![attachment],
            edxml: None,
            contact: None,
            created_at: clock::now(),
            expires_at: None,
            edge_term,
            sender_seq,
            nonce: clock::random(),
            observed_log: None,
            required_signers: vec![self.key.required_signer(SignerRole::Seal)],
        };
        (envelope.message_id, seal(&envelope.to_json(), &[&self.key]))
    }

    /// `fetched` for a delivery.
    pub(crate) fn fetched(&self, message_id: MessageId, envelope: Digest, position: QueuePosition, edge_term: EdgeTerm) -> Vec<u8> {
        let item = ReceiptItem {
            message_id,
            envelope,
            recipient: OrganisationCode::from(&self.agency),
            event_time: clock::now(),
            queue_position: Some(position),
            arrival_number: None,
            reason: None,
            status_code: None,
        };
        let receipt = Receipt {
            receipt_id: clock::mint(),
            event: ReceiptEvent::Fetched,
            issuer: self.agency.clone(),
            original_sender: self.agency.clone(),
            items: vec![item],
            copy_destroyed: false,
            contact: None,
            created_at: clock::now(),
            edge_term,
            nonce: clock::random(),
            observed_log: None,
            queue_contiguous: None,
            required_signers: vec![self.key.required_signer(SignerRole::Seal)],
        };
        seal(&receipt.to_json(), &[&self.key])
    }
}

/// Digest of the attachment.
pub(crate) fn content_digest() -> Digest {
    sha256(CONTENT)
}
