//! Envelopes sealed before the clock starts: what is measured is the broker, not the edges' sealing.

use bytes::Bytes;
use truc_ledger::leaf_hash;
use truc_signing::statement::{Attachment, Business, Doc, Encoding, Envelope, Sender, SenderHead, SenderHeadEvent, SignerRole};
use truc_signing::{SealKey, seal, sha256};
use truc_transport::clock;
use truc_types::limits::{ATTACHMENTS_MAX, OPEN_DELIVERIES_MAX};
use truc_types::{AgencyCode, Digest, EdgeTerm, OrganisationCode, SenderSeq};

use super::axis::Agency;

/// The attachment that all envelopes of an agency name: uploaded once.
pub(super) const ATTACHMENT: &[u8] = b"%PDF-1.7 a small attachment of the bench";

/// An envelope, and what its answer is checked against.
pub(super) struct Sealed {
    /// The DSSE file.
    pub(super) file: Bytes,
    /// SHA-256 of the file: the fact must name it.
    pub(super) digest: Digest,
    /// Its leaf hash: the proof must hold for it.
    pub(super) leaf: Digest,
}

/// What the envelopes of a phase are like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The next agencies in the order of the directory; the sender itself comes last.
    pub(super) recipients: usize,
    /// The envelope names attachments until its file has at least so many bytes, or as many as it may.
    pub(super) bytes_min: usize,
}

/// Documents with so many recipients that may be open at a time, none of whom answers: a broker refuses more.
pub(super) fn documents_open_max(recipients: usize) -> u64 {
    OPEN_DELIVERIES_MAX / u64::try_from(recipients).unwrap_or(u64::MAX).max(1)
}

/// Seals `count` envelopes with one attachment for each agency.
pub(super) fn preseal(agencies: &[Agency], term: EdgeTerm, count: u64, recipients: usize) -> Vec<Vec<Sealed>> {
    preseal_shaped(agencies, term, count, Shape { recipients, bytes_min: 0 })
}

/// Seals `count` envelopes for each agency, one thread each. Sequence numbers begin with the term.
pub(super) fn preseal_shaped(agencies: &[Agency], term: EdgeTerm, count: u64, shape: Shape) -> Vec<Vec<Sealed>> {
    std::thread::scope(|scope| {
        let others = |own: usize| agencies.iter().cycle().skip(own + 1).take(shape.recipients).map(|agency| (&agency.code).into());
        let sealing: Vec<_> = (agencies.iter().enumerate())
            .map(|(own, agency)| {
                let recipients: Vec<OrganisationCode> = others(own).collect();
                scope.spawn(move || {
                    let has_bytes =
                        |attachments: &usize| envelope(agency, term, 1, &recipients, *attachments).file.len() >= shape.bytes_min;
                    let attachments = (1..ATTACHMENTS_MAX).find(has_bytes).unwrap_or(ATTACHMENTS_MAX);
                    (1..=count).map(|seq| envelope(agency, term, seq, &recipients, attachments)).collect::<Vec<_>>()
                })
            })
            .collect();
        #[expect(clippy::expect_used, reason = "a thread panics only by a defect, which is passed on")]
        sealing.into_iter().map(|thread| thread.join().expect("sealing does not panic")).collect()
    })
}

fn envelope(agency: &Agency, term: EdgeTerm, seq: u64, recipients: &[OrganisationCode], attachments: usize) -> Sealed {
    let mut envelope = draft(&agency.code, seq, recipients);
    envelope.attachments = envelope.attachments.into_iter().cycle().take(attachments).collect();
    envelope.edge_term = term;
    envelope.sender_seq = SenderSeq(seq);
    envelope.required_signers = vec![agency.seal.required_signer(SignerRole::Seal)];
    sealed(&envelope.to_json(), &agency.seal)
}

/// A document with one attachment, [`ATTACHMENT`]; whoever seals it fills in what belongs to the seal.
pub(super) fn draft(agency: &AgencyCode, number: u64, recipients: &[OrganisationCode]) -> Envelope {
    Envelope {
        message_id: clock::mint(),
        sender: Sender { organisation: OrganisationCode::from(agency), agency: agency.clone() },
        recipients: recipients.to_vec(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc::new(format!("{number}"), "BTC-NSNN", "Về việc hướng dẫn quyết toán ngân sách năm 2026 và lập dự toán năm 2027"),
        attachments: vec![Attachment {
            name: format!("Công văn {number}-BTC-NSNN.pdf"),
            media_type: "application/pdf".to_owned(),
            size: ATTACHMENT.len() as u64,
            sha256: sha256(ATTACHMENT),
            encoding: Encoding::Identity,
            commit: None,
        }],
        edxml: None,
        contact: None,
        created_at: clock::now(),
        expires_at: None,
        edge_term: EdgeTerm(0),
        sender_seq: SenderSeq(0),
        nonce: clock::random(),
        observed_log: None,
        required_signers: Vec::new(),
    }
}

/// The statement that opens a term of an agency.
pub(super) fn opening(agency: &Agency, term: EdgeTerm) -> Sealed {
    let head = SenderHead {
        statement_id: clock::mint(),
        agency: agency.code.clone(),
        edge_term: term,
        event: SenderHeadEvent::TermOpened { previous_term: None },
        feed_cursor: None,
        created_at: clock::now(),
        nonce: clock::random(),
        observed_log: None,
        required_signers: vec![agency.seal.required_signer(SignerRole::Seal)],
    };
    sealed(&head.to_json(), &agency.seal)
}

fn sealed(payload: &[u8], key: &SealKey) -> Sealed {
    let file = seal(payload, &[key]);
    Sealed { digest: sha256(&file), leaf: leaf_hash(&file), file: file.into() }
}
