//! Statements and records for the tests of this crate: an edge of H53 that sends to A80 and G22, and receives from A80.

use ed25519_dalek::SigningKey;
use truc_signing::statement::{
    Accepted, Attachment, Business, Doc, Encoding, Envelope, Fact, QueueEntry, Receipt, ReceiptEvent, ReceiptItem, ReceiptReason, Sender,
    SignerRole,
};
use truc_signing::{SealKey, seal, sha256};
use truc_types::{AgencyCode, Digest, EdgeTerm, LeafIndex, MessageId, OrganisationCode, QueuePosition, SenderSeq, Timestamp};

use crate::record::{Leaf, Record};
use crate::sealer::Sealer;

pub(crate) fn agency(code: &str) -> AgencyCode {
    code.parse().unwrap()
}

pub(crate) fn organisation(code: &str) -> OrganisationCode {
    code.parse().unwrap()
}

pub(crate) fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

fn key(code: &str) -> SealKey {
    SealKey::from_parts(SigningKey::from_bytes(&sha256(code.as_bytes()).0), sha256(b"certificate"))
}

pub(crate) fn sealer(code: &str) -> Sealer {
    Sealer::new(key(code).into(), agency(code))
}

pub(crate) fn envelope(from: &str, message_id: MessageId, recipients: &[&str]) -> Envelope {
    let attachment = Attachment {
        name: "Công văn.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: 3,
        sha256: sha256(b"pdf"),
        encoding: Encoding::Identity,
        commit: None,
    };
    Envelope {
        message_id,
        sender: Sender { organisation: organisation(from), agency: agency(from) },
        recipients: recipients.iter().map(|code| organisation(code)).collect(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc::new("4127", "BTC-NSNN", "Về việc kiểm thử"),
        attachments: vec![attachment],
        edxml: None,
        contact: None,
        created_at: Timestamp::from_millis(1_000),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(1),
        nonce: [1; 16],
        observed_log: None,
        required_signers: vec![key(from).required_signer(SignerRole::Seal)],
    }
}

pub(crate) fn drafted(message_id: MessageId, reference: &str, recipients: &[&str]) -> Record {
    let draft = sealer("H53").draft(envelope("H53", message_id, recipients)).unwrap();
    Record::Drafted { message_id, reference: reference.to_owned(), request: sha256(reference.as_bytes()), draft }
}

pub(crate) fn leaf(index: u64) -> Leaf {
    Leaf { index: LeafIndex(index), path: vec![7; 64] }
}

/// The fact about an envelope file; every recipient is its own agency.
pub(crate) fn fact(message_id: MessageId, file: &[u8], recipients: &[&str]) -> Vec<u8> {
    let queue = |(position, code): (u64, &&str)| QueueEntry {
        recipient: organisation(code),
        agency: agency(code),
        position: QueuePosition(position),
    };
    let accepted = Accepted {
        message_id,
        envelope: sha256(file),
        leaf: LeafIndex(4),
        block_time: Timestamp::from_millis(9_000),
        registry_version: 1,
        queue: (1..).zip(recipients).map(queue).collect(),
    };
    Fact::Accepted(accepted).to_json()
}

pub(crate) fn checkpoint(size: u64) -> String {
    let signer = truc_ledger::LogSigner::new("truc.example/axis/2026", &SigningKey::from_bytes(&[9; 32])).unwrap();
    let checkpoint = truc_ledger::Checkpoint { origin: "truc.example/axis/2026".to_owned(), size, root: Digest([5; 32]) };
    truc_ledger::checkpoint::sign(&checkpoint, &signer).unwrap()
}

pub(crate) fn accepted(message_id: MessageId, file: &[u8], recipients: &[&str]) -> Record {
    let fact = fact(message_id, file, recipients);
    Record::Accepted { message_id, envelope_leaf: leaf(4), fact, fact_leaf: leaf(5), checkpoint: checkpoint(6) }
}

/// What `recipient` says of a document from H53.
pub(crate) fn feed_receipt(cursor: u64, event: ReceiptEvent, message_id: MessageId, file: &[u8], recipient: &str) -> Record {
    let item = ReceiptItem {
        message_id,
        envelope: sha256(file),
        recipient: organisation(recipient),
        event_time: Timestamp::from_millis(10_000 + cursor),
        queue_position: Some(QueuePosition(1)),
        arrival_number: (event == ReceiptEvent::Acknowledged).then(|| "17".to_owned()),
        reason: event
            .needs_reason()
            .then(|| ReceiptReason { code: "wrong_recipient".to_owned(), text: "Không đúng nơi nhận".to_owned() }),
        status_code: None,
    };
    let receipt = Receipt {
        receipt_id: MessageId::from_bytes([u8::try_from(100 + cursor).unwrap(); 16]),
        event,
        issuer: agency(recipient),
        original_sender: agency("H53"),
        items: vec![item],
        copy_destroyed: false,
        contact: None,
        created_at: Timestamp::from_millis(10_000 + cursor),
        edge_term: EdgeTerm(1),
        nonce: [2; 16],
        observed_log: None,
        queue_contiguous: None,
        required_signers: vec![key(recipient).required_signer(SignerRole::Seal)],
    };
    let file = seal(&receipt.to_json(), &[&key(recipient)]);
    Record::FeedReceipt { cursor, file, leaf: leaf(20 + cursor), checkpoint: checkpoint(40) }
}

/// A document from A80 for H53: the envelope and the arrival.
pub(crate) fn arrival(message_id: MessageId, recipient: &str, position: u64) -> [Record; 2] {
    let file = seal(&envelope("A80", message_id, &[recipient]).to_json(), &[&key("A80")]);
    let arrived = Record::Arrived {
        message_id,
        recipient: organisation(recipient),
        sender: agency("A80"),
        queue_position: QueuePosition(position),
        at: Timestamp::from_millis(20_000),
        envelope_leaf: leaf(6),
        fact: fact(message_id, &file, &[recipient]),
        fact_leaf: leaf(7),
        checkpoint: checkpoint(8),
    };
    [Record::ArrivedEnvelope { message_id, file }, arrived]
}
