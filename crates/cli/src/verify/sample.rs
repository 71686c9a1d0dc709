//! A small evidence folder, built from keys up with the signing and ledger crates alone. Not made by an edge: that is the end-to-end test.

use std::fs;
use std::path::Path;

use truc_ledger::{Checkpoint, Extension, Frontier, LogSigner, TlogProof, checkpoint, leaf_hash};
use truc_signing::statement::{
    Accepted, Attachment, Business, Doc, EdxmlSource, Encoding, Envelope, Fact, ObservedLog, QueueEntry, Receipt, ReceiptEvent,
    ReceiptItem, Sender, SignerRole,
};
use truc_signing::{Certificate, SealKey, keyfile, seal, sha256};
use truc_types::{AgencyCode, Digest, EdgeTerm, LeafIndex, MessageId, QueuePosition, SenderSeq, Timestamp};

use crate::pki;

const PASSWORD: &[u8] = b"sample";
pub(super) const ATTACHMENT: &[u8] = b"%PDF-1.7 sample";
const EDXML: &[u8] = b"<edXML>sample</edXML>";

/// Keys of an axis with two agencies.
pub(super) struct Axis {
    folder: tempfile::TempDir,
    log: LogSigner,
    now: Timestamp,
}

/// What a test may make wrong before it is sealed and logged.
pub(super) struct Recipe {
    pub(super) accepted: fn(&mut Accepted),
    pub(super) fetched: fn(&mut Receipt),
    pub(super) acknowledged: fn(&mut Receipt),
    /// Certificate and key that seal the envelope: `seal` or `tls`.
    pub(super) sealed_with: &'static str,
}

impl Default for Recipe {
    fn default() -> Self {
        Self { accepted: |_| (), fetched: |_| (), acknowledged: |_| (), sealed_with: "seal" }
    }
}

impl Axis {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-22T03:00:00.000Z".parse().unwrap();
        let made = pki::init(folder.path(), "Sample", PASSWORD, now).unwrap();
        let authority = pki::DevelopmentAuthority::open(folder.path(), PASSWORD).unwrap();
        for agency in ["G12", "H53"] {
            authority.issue(&agency.parse().unwrap(), PASSWORD, now).unwrap();
        }
        let key = keyfile::read_encrypted(&fs::read_to_string(folder.path().join("log.key.pem")).unwrap(), PASSWORD).unwrap();
        Self { log: LogSigner::new(&made.log_origin, &key).unwrap(), folder, now }
    }

    /// A folder with the authority and the log key, as an auditor keeps them.
    pub(super) fn write_trust(&self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        fs::copy(self.folder.path().join("ca.pem"), to.join("ca.pem")).unwrap();
        fs::copy(self.folder.path().join("log.vkey"), to.join("vkeys.txt")).unwrap();
    }

    /// Writes an evidence folder: accepted at leaf 3, fetched and acknowledged by H53 for H53.13.
    pub(super) fn write_evidence(&self, to: &Path, recipe: &Recipe) {
        let mut leaves: Vec<Vec<u8>> = (0..3).map(|filler| format!("filler {filler}").into_bytes()).collect();
        let observed = self.observed(&leaves);
        let envelope = self.envelope(observed.clone(), recipe.sealed_with);
        let message = (MessageId::from_bytes([1; 16]), sha256(&envelope));
        let mut accepted = accepted(message, self.now.plus_millis(2_000));
        (recipe.accepted)(&mut accepted);
        leaves.extend([envelope.clone(), Fact::Accepted(accepted).to_json()]);
        self.write_logged(to, "envelope", ".dsse.json", &leaves, 3);
        self.write_logged(to, "facts/01-accepted", ".json", &leaves, 4);
        let mut fetched = self.receipt(message, ReceiptEvent::Fetched, 5_000, observed);
        (recipe.fetched)(&mut fetched);
        leaves.extend([b"filler 3".to_vec(), self.seal("H53", "seal", &fetched.to_json())]);
        self.write_logged(to, "receipts/01-fetched", ".dsse.json", &leaves, 6);
        let mut acknowledged = self.receipt(message, ReceiptEvent::Acknowledged, 60_000, self.observed(&leaves));
        (recipe.acknowledged)(&mut acknowledged);
        leaves.push(self.seal("H53", "seal", &acknowledged.to_json()));
        self.write_logged(to, "receipts/02-acknowledged", ".dsse.json", &leaves, 7);
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap();
        let sender = read(&format!("agencies/G12/{}.cert.pem", recipe.sealed_with));
        write(to, "attachments/00", ATTACHMENT);
        write(to, "message.edxml", EDXML);
        write(to, "trust/ca.pem", read("ca.pem").as_bytes());
        write(to, "trust/chain.pem", (sender + &read("agencies/H53/seal.cert.pem")).as_bytes());
        write(to, "trust/vkeys.txt", read("log.vkey").as_bytes());
        write(to, "VERIFY.txt", include_bytes!("../../../edge/src/verify.txt"));
    }

    fn key(&self, agency: &str, name: &str) -> SealKey {
        let read = |part: &str| fs::read_to_string(self.folder.path().join(format!("agencies/{agency}/{name}.{part}.pem"))).unwrap();
        let key = keyfile::read_encrypted(&read("key"), PASSWORD).unwrap();
        SealKey::new(key, &Certificate::from_pem(&read("cert")).unwrap()).unwrap()
    }

    fn seal(&self, agency: &str, name: &str, payload: &[u8]) -> Vec<u8> {
        seal(payload, &[&self.key(agency, name)])
    }

    fn observed(&self, leaves: &[Vec<u8>]) -> ObservedLog {
        let tree = tree(leaves);
        ObservedLog { origin: self.log.verifier().name().to_owned(), size: tree.size(), root: tree.root() }
    }

    fn write_logged(&self, to: &Path, stem: &str, suffix: &str, leaves: &[Vec<u8>], leaf: u64) {
        let tree = tree(leaves);
        let checkpoint = Checkpoint { origin: self.log.verifier().name().to_owned(), size: tree.size(), root: tree.root() };
        let signed = checkpoint::sign(&checkpoint, &self.log).unwrap();
        let proof = TlogProof::new(&tree.inclusion_proof(LeafIndex(leaf)).unwrap(), &signed).unwrap();
        write(to, &format!("{stem}{suffix}"), &leaves[usize::try_from(leaf).unwrap()]);
        write(to, &format!("{stem}.tlog-proof"), proof.to_text().as_bytes());
    }

    fn envelope(&self, observed: ObservedLog, sealed_with: &str) -> Vec<u8> {
        let attachment = Attachment {
            name: "Công văn.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: ATTACHMENT.len() as u64,
            sha256: sha256(ATTACHMENT),
            encoding: Encoding::Identity,
            commit: None,
        };
        let envelope = Envelope {
            message_id: MessageId::from_bytes([1; 16]),
            sender: Sender { organisation: "G12".parse().unwrap(), agency: "G12".parse().unwrap() },
            recipients: vec!["H53.13".parse().unwrap(), "H53".parse().unwrap()],
            business: Business::New,
            business_reason: None,
            in_reply_to: Vec::new(),
            thread: None,
            recalls: None,
            updates: None,
            replaces: Vec::new(),
            doc: Doc::new("4127", "BTC-NSNN", "Về việc thử nghiệm"),
            attachments: vec![attachment],
            edxml: Some(EdxmlSource { sha256: sha256(EDXML), size: EDXML.len() as u64 }),
            contact: None,
            created_at: self.now.plus_millis(1_000),
            expires_at: None,
            edge_term: EdgeTerm(1),
            sender_seq: SenderSeq(1),
            nonce: [7; 16],
            observed_log: Some(observed),
            required_signers: vec![self.key("G12", sealed_with).required_signer(SignerRole::Seal)],
        };
        self.seal("G12", sealed_with, &envelope.to_json())
    }

    fn receipt(&self, message: (MessageId, Digest), event: ReceiptEvent, after_millis: u64, observed: ObservedLog) -> Receipt {
        let at = self.now.plus_millis(after_millis);
        let item = ReceiptItem {
            message_id: message.0,
            envelope: message.1,
            recipient: "H53.13".parse().unwrap(),
            event_time: at,
            queue_position: Some(QueuePosition(12)),
            arrival_number: (event == ReceiptEvent::Acknowledged).then(|| "88".to_owned()),
            reason: None,
            status_code: None,
        };
        Receipt {
            receipt_id: MessageId::mint(at, [9; 10]),
            event,
            issuer: "H53".parse().unwrap(),
            original_sender: "G12".parse().unwrap(),
            items: vec![item],
            copy_destroyed: false,
            contact: None,
            created_at: at.plus_millis(10),
            edge_term: EdgeTerm(1),
            nonce: [8; 16],
            observed_log: Some(observed),
            queue_contiguous: None,
            required_signers: vec![self.key("H53", "seal").required_signer(SignerRole::Seal)],
        }
    }
}

fn accepted(message: (MessageId, Digest), block_time: Timestamp) -> Accepted {
    let agency: AgencyCode = "H53".parse().unwrap();
    let entry = |recipient: &str, position| QueueEntry {
        recipient: recipient.parse().unwrap(),
        agency: agency.clone(),
        position: QueuePosition(position),
    };
    Accepted {
        message_id: message.0,
        envelope: message.1,
        leaf: LeafIndex(3),
        block_time,
        registry_version: 5,
        queue: vec![entry("H53.13", 12), entry("H53", 13)],
    }
}

fn tree(leaves: &[Vec<u8>]) -> Extension {
    let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    Extension::new(&Frontier::new(), &hashes)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
