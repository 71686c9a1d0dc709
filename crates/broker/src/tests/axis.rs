//! A small axis: agencies `H0` and `H1` with keys and certificates. Everything follows from fixed seeds.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::{CertificateParams, IsCa, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm};
use truc_journal::Journal;
use truc_ledger::{Frontier, LogSigner};
use truc_signing::statement::*;
use truc_signing::{Certificate, Owner, SealKey, seal, sha256};
use truc_transport::clock;
use truc_types::{AgencyCode, BlockNumber, EdgeTerm, MessageId, OrganisationCode, Position, SenderSeq, Term, Timestamp, limits, names};

use crate::block::{Filling, Tail};
use crate::committer::Closed;

pub(super) const ORIGIN: &str = "truc.example/axis/2026";

pub(super) struct Axis {
    keys: [SealKey; 2],
    registry: Vec<Arc<[u8]>>,
}

struct RawKey(SigningKey, [u8; 32]);

impl PublicKeyData for RawKey {
    fn der_bytes(&self) -> &[u8] {
        &self.1
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for RawKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

pub(super) fn code(agency: usize) -> AgencyCode {
    format!("H{agency}").parse().unwrap()
}

pub(super) fn signer() -> LogSigner {
    LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[3; 32])).unwrap()
}

/// The certificate of agency 0, PEM: valid from 2020 to 2120.
pub(super) fn certificate_pem() -> String {
    certificate_pem_of(0)
}

/// The same of any agency; its key is made of its number and one.
pub(crate) fn certificate_pem_of(agency: usize) -> String {
    let seed = u8::try_from(agency).unwrap() + 1;
    let der = certificate(agency, &SigningKey::from_bytes(&[seed; 32])).der().to_vec();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", wrapped(&STANDARD.encode(der)))
}

fn wrapped(base64: &str) -> String {
    base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
}

/// Signed by itself: who issues certificates is no question of the sequencer.
fn certificate(agency: usize, key: &SigningKey) -> Certificate {
    let mut parameters = CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2120, 1, 1);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.subject_alt_names = vec![SanType::URI(Owner::Agency(code(agency)).urn().try_into().unwrap())];
    let key = RawKey(key.clone(), key.verifying_key().to_bytes());
    Certificate::from_der(parameters.self_signed(&key).unwrap().der()).unwrap()
}

fn genesis(operator: &SealKey) -> Genesis {
    Genesis {
        axis_name: "Trục thử".into(),
        log_origin: ORIGIN.into(),
        log_vkey: signer().verifier().to_string(),
        ca_pem: "-".into(),
        operator_keyid: operator.keyid(),
        operator_pem: "-".into(),
        limits: PublishedLimits {
            attachment_bytes: limits::ATTACHMENT_BYTES_MAX,
            attachments: limits::ATTACHMENTS_MAX as u64,
            recipients: limits::ENVELOPE_CODES_MAX as u64,
            statement_bytes: limits::STATEMENT_FILE_BYTES_MAX as u64,
            receipt_items: limits::RECEIPT_ITEMS_MAX as u64,
            envelope_age_days: limits::ENVELOPE_AGE_DAYS_MAX,
        },
        loopback_kind: "urn:truc:loopback".into(),
        predicates: vec![names::ENVELOPE_V1.into()],
    }
}

impl Axis {
    pub(super) fn new() -> Self {
        let raw = [1, 2].map(|seed| SigningKey::from_bytes(&[seed; 32]));
        let certificates = [certificate(0, &raw[0]), certificate(1, &raw[1])];
        let keys = [0, 1].map(|agency: usize| SealKey::new(raw[agency].clone(), &certificates[agency]).unwrap());
        let operator = SealKey::from_parts(SigningKey::from_bytes(&[9; 32]), sha256(b"the operator's certificate"));
        let mut events = vec![RegistryEvent::Genesis(Box::new(genesis(&operator)))];
        for (agency, certificate) in certificates.iter().enumerate() {
            events.push(RegistryEvent::AgencyJoined(AgencyJoined {
                agency: code(agency),
                old_code: None,
                name_vi: format!("Cơ quan {agency}"),
                name_en: None,
                kind: "province".into(),
                code_status: "confirmed".into(),
                valid_from: None,
                predicates: vec![names::ENVELOPE_V1.into()],
            }));
            let certificate = certificate.der().to_vec();
            events.push(RegistryEvent::CertificateAdded(CertificateAdded { agency: code(agency), role: SignerRole::Seal, certificate }));
        }
        let file = |(version, event)| {
            let required_signers = vec![operator.required_signer(SignerRole::Operator)];
            let payload = Registry { version, at: Timestamp::from_millis(1_000), event, required_signers }.to_json();
            seal(&payload, &[&operator]).into()
        };
        Self { keys, registry: (1..).zip(events).map(file).collect() }
    }

    /// The first block.
    pub(super) fn begin(&self, journal: &mut dyn Journal) {
        let mut tail = Tail {
            number: BlockNumber(0),
            position: Position(0),
            shard_start: Position(0),
            origin: ORIGIN.to_owned(),
            term: Term(0),
            time: Timestamp::from_millis(1_000),
        };
        let mut filling = Filling::default();
        for file in &self.registry {
            filling.push(file.clone(), None);
        }
        let Closed { mut block, .. } = filling.close(&mut tail, &mut Frontier::new()).block.unwrap();
        // Only a shard block may name the origin.
        block.header.kind = truc_journal::BlockKind::Shard;
        journal.append(block).unwrap();
    }

    fn signers(&self, agency: usize) -> Vec<RequiredSigner> {
        vec![self.keys[agency].required_signer(SignerRole::Seal)]
    }

    fn seal(&self, agency: usize, payload: &[u8]) -> Arc<[u8]> {
        seal(payload, &[&self.keys[agency]]).into()
    }

    /// Opens term 1 of an agency.
    pub(super) fn opening(&self, agency: usize) -> Arc<[u8]> {
        let head = SenderHead {
            statement_id: clock::mint(),
            agency: code(agency),
            edge_term: EdgeTerm(1),
            event: SenderHeadEvent::TermOpened { previous_term: None },
            feed_cursor: None,
            created_at: clock::now(),
            nonce: [0; 16],
            observed_log: None,
            required_signers: self.signers(agency),
        };
        self.seal(agency, &head.to_json())
    }

    /// Agency 1 has the document of agency 0.
    pub(super) fn fetched(&self, message_id: MessageId, envelope: &[u8]) -> Arc<[u8]> {
        let item = ReceiptItem {
            message_id,
            envelope: sha256(envelope),
            recipient: OrganisationCode::from(&code(1)),
            event_time: clock::now(),
            queue_position: None,
            arrival_number: None,
            reason: None,
            status_code: None,
        };
        let receipt = Receipt {
            receipt_id: clock::mint(),
            event: ReceiptEvent::Fetched,
            issuer: code(1),
            original_sender: code(0),
            items: vec![item],
            copy_destroyed: false,
            contact: None,
            created_at: clock::now(),
            edge_term: EdgeTerm(1),
            nonce: [0; 16],
            observed_log: None,
            queue_contiguous: None,
            required_signers: self.signers(1),
        };
        self.seal(1, &receipt.to_json())
    }

    /// A document from agency 0 to agency 1.
    pub(super) fn envelope(&self, message_id: MessageId, seq: u64, subject: &str) -> Arc<[u8]> {
        let envelope = Envelope {
            message_id,
            sender: Sender { organisation: OrganisationCode::from(&code(0)), agency: code(0) },
            recipients: vec![OrganisationCode::from(&code(1))],
            business: Business::New,
            business_reason: None,
            in_reply_to: Vec::new(),
            thread: None,
            recalls: None,
            updates: None,
            replaces: Vec::new(),
            doc: Doc::new("1", "CV", subject),
            attachments: vec![Attachment {
                name: "a.pdf".into(),
                sha256: sha256(b"a"),
                size: 1,
                media_type: "application/pdf".into(),
                encoding: Encoding::Identity,
                commit: None,
            }],
            edxml: None,
            contact: None,
            created_at: clock::now(),
            expires_at: None,
            edge_term: EdgeTerm(1),
            sender_seq: SenderSeq(seq),
            nonce: [0; 16],
            observed_log: None,
            required_signers: self.signers(0),
        };
        self.seal(0, &envelope.to_json())
    }
}
