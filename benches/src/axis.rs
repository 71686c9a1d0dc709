//! A small axis in memory: an operator, agencies with keys and open edge terms, envelopes between them. Everything follows from fixed seeds.
//!
//! Agency n has the code `H{n}`. Certificates are signed by their own keys: who issues them is no question of the stages that are measured.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::{CertificateParams, IsCa, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm};
use truc_core::{Admitted, Entry, State, Submit, admit, decide};
use truc_signing::statement::{
    AgencyJoined, Attachment, Business, CertificateAdded, Doc, Encoding, Envelope, Genesis, PublishedLimits, Registry, RegistryEvent,
    Sender, SenderHead, SenderHeadEvent, SignerRole,
};
use truc_signing::{Certificate, Owner, SealKey, seal, sha256};
use truc_types::{AgencyCode, EdgeTerm, MessageId, OrganisationCode, Position, SenderSeq, Timestamp, limits, names};

/// When everything happens.
#[must_use]
pub const fn start() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

/// An axis whose agencies have opened their first edge terms.
pub struct Axis {
    /// The state after that.
    pub state: State,
    keys: Vec<SealKey>,
    history: Vec<Entry>,
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

#[expect(clippy::expect_used, reason = "a bench whose fixture does not stand has nothing to measure")]
impl Axis {
    /// An axis with so many agencies, at most 255.
    #[must_use]
    pub fn new(agencies: u8) -> Self {
        let operator = SealKey::from_parts(SigningKey::from_bytes(&[99; 32]), sha256(b"the operator's certificate"));
        let mut events = vec![RegistryEvent::Genesis(Box::new(genesis(&operator)))];
        let mut keys = Vec::new();
        for number in 0..agencies {
            let key = SigningKey::from_bytes(&[number; 32]);
            let certificate = certificate(number, key.clone());
            events.push(joined(number));
            let der = certificate.der().to_vec();
            events.push(RegistryEvent::CertificateAdded(CertificateAdded {
                agency: agency_code(number),
                role: SignerRole::Seal,
                certificate: der,
            }));
            keys.push(SealKey::new(key, &certificate).expect("the certificate is of the key"));
        }
        let mut history: Vec<Entry> = (1..)
            .zip(events)
            .map(|(version, event)| {
                let required_signers = vec![operator.required_signer(SignerRole::Operator)];
                let payload = Registry { version, at: start(), event, required_signers }.to_json();
                Entry::parse(seal(&payload, &[&operator]).into()).expect("registry statements parse")
            })
            .collect();
        history.extend((0..agencies).zip(&keys).map(|(number, key)| term_opened(number, key)));
        let mut axis = Self { state: State::default(), keys, history };
        axis.rewind();
        axis
    }

    /// Forgets everything after the opening of the terms.
    pub fn rewind(&mut self) {
        self.state = State::default();
        let mut effects = Vec::new();
        for entry in &self.history {
            self.state.apply(self.state.next(), entry, &mut effects).expect("the history applies");
        }
    }

    /// A sealed envelope of agency 0 to the first `fan_out` agencies after it, with one attachment.
    #[must_use]
    pub fn envelope(&self, number: u64, fan_out: u8) -> Arc<[u8]> {
        let key = self.keys.first().expect("an axis has agencies");
        seal(&envelope(key, number, fan_out).to_json(), &[key]).into()
    }

    /// Admission of a file of agency 0.
    #[must_use]
    pub fn admit(&self, file: Arc<[u8]>) -> Admitted {
        admit(start(), self.state.registry(), &agency_code(0), file).expect("the envelope is admitted")
    }

    /// The entries that an envelope becomes.
    #[must_use]
    pub fn entries(&self, number: u64, fan_out: u8) -> Vec<Entry> {
        let decision = decide(start(), Position(0), &self.state, submit(self.admit(self.envelope(number, fan_out))));
        assert_eq!(decision.entries.len(), 2, "the envelope is accepted: {:?}", decision.outcome);
        decision.entries
    }

    /// The key of agency 0.
    #[must_use]
    pub fn key(&self) -> &SealKey {
        self.keys.first().expect("an axis has agencies")
    }
}

/// The code of an agency.
#[expect(clippy::expect_used, reason = "the codes are made here")]
pub(crate) fn agency_code(number: u8) -> AgencyCode {
    format!("H{number}").parse().expect("a letter and digits are a code")
}

/// What admission hands to the sequencer.
#[must_use]
pub const fn submit(admitted: Admitted) -> Submit {
    Submit { admitted, indexed: None, indexed_through: Position(u64::MAX), objection: None, older_term_connected: false }
}

#[expect(clippy::expect_used, reason = "a bench whose fixture does not stand has nothing to measure")]
fn certificate(number: u8, key: SigningKey) -> Certificate {
    let mut parameters = CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2026, 1, 1) + Duration::from_secs(1);
    parameters.not_after = rcgen::date_time_ymd(2028, 1, 1);
    parameters.serial_number = Some(SerialNumber::from(vec![1]));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let urn = Owner::Agency(agency_code(number)).urn();
    parameters.subject_alt_names = vec![SanType::URI(urn.try_into().expect("a URN is ASCII"))];
    let public = key.verifying_key().to_bytes();
    let made = parameters.self_signed(&RawKey(key, public)).expect("the parameters make a certificate");
    Certificate::from_der(made.der()).expect("the certificate is of the profile")
}

fn envelope(key: &SealKey, number: u64, fan_out: u8) -> Envelope {
    Envelope {
        message_id: MessageId::from_bytes((u128::from(number) | 1 << 100).to_be_bytes()),
        sender: Sender { organisation: OrganisationCode::from(&agency_code(0)), agency: agency_code(0) },
        recipients: (1..=fan_out).map(|number| OrganisationCode::from(&agency_code(number))).collect(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc::new("4127", "BTC-NSNN", "Về việc hướng dẫn quyết toán ngân sách năm 2026 và lập dự toán năm 2027"),
        attachments: vec![Attachment {
            name: "Công văn 4127-BTC-NSNN.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 600_000,
            sha256: sha256(&number.to_be_bytes()),
            encoding: Encoding::Identity,
            commit: None,
        }],
        edxml: None,
        contact: None,
        created_at: start(),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(number),
        nonce: [7; 16],
        observed_log: None,
        required_signers: vec![key.required_signer(SignerRole::Seal)],
    }
}

#[expect(clippy::expect_used, reason = "a bench whose fixture does not stand has nothing to measure")]
fn term_opened(number: u8, key: &SealKey) -> Entry {
    let head = SenderHead {
        statement_id: MessageId::from_bytes((u128::from(number) | 1 << 101).to_be_bytes()),
        agency: agency_code(number),
        edge_term: EdgeTerm(1),
        event: SenderHeadEvent::TermOpened { previous_term: None },
        feed_cursor: None,
        created_at: start(),
        nonce: [7; 16],
        observed_log: None,
        required_signers: vec![key.required_signer(SignerRole::Seal)],
    };
    Entry::parse(seal(&head.to_json(), &[key]).into()).expect("sender heads parse")
}

fn genesis(operator: &SealKey) -> Genesis {
    Genesis {
        axis_name: "Trục".into(),
        log_origin: "truc.example/axis/2026".into(),
        log_vkey: "truc.example/axis/2026+01234567+AQ==".into(),
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
        loopback_kind: "truc.loopback".into(),
        predicates: vec![names::ENVELOPE_V1.into()],
    }
}

fn joined(number: u8) -> RegistryEvent {
    RegistryEvent::AgencyJoined(AgencyJoined {
        agency: agency_code(number),
        old_code: None,
        name_vi: format!("Cơ quan {number}"),
        name_en: None,
        kind: "province".into(),
        code_status: "confirmed".into(),
        valid_from: None,
        predicates: vec![names::ENVELOPE_V1.into()],
    })
}
