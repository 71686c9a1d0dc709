//! A small axis: an operator, agencies with keys and certificates, two organisations below each. Everything follows from fixed seeds.
//!
//! Agency n has the code `H{n}`; `H{n}.1` and `H{n}.2` are served by it, and `H{n}.1` has the old code `000.00.01.H{n}`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::{CertificateParams, IsCa, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm};
use truc_signing::statement::{
    AgencyJoined, CertificateAdded, CertificateRevoked, Genesis, Organisation, PublishedLimits, Registry, RegistryEvent, SignerRole,
    Statement,
};
use truc_signing::{Certificate, Owner, SealKey, seal};
use truc_types::{AgencyCode, OrganisationCode, Timestamp, limits, names};

/// Agencies of the small axis.
pub(crate) const AGENCIES: usize = 4;
/// Attachments and bytes of each that the axis of the tests publishes: below what the format allows.
pub(crate) const ATTACHMENTS: u64 = 2;
pub(crate) const ATTACHMENT_BYTES: u64 = 1_000_000;
/// Recipients of one envelope and items of one receipt: the same.
pub(crate) const RECIPIENTS: u64 = 120;
pub(crate) const RECEIPT_ITEMS: u64 = 6;
pub(crate) const AGE_DAYS: u64 = 30;

/// When the tests begin.
pub(crate) fn start() -> Timestamp {
    "2026-11-22T03:00:00.000Z".parse().unwrap()
}

pub(crate) fn agency_code(agency: usize) -> AgencyCode {
    format!("H{agency}").parse().unwrap()
}

pub(crate) fn code(text: &str) -> OrganisationCode {
    text.parse().unwrap()
}

/// The kinds of keys that an agency has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// The one that it seals with.
    Seal,
    /// Its certificate ended last year.
    Ended,
    /// Revoked.
    Revoked,
    /// An approver's: no seal.
    Approver,
    /// In no registry.
    Foreign,
}

struct RawKey {
    key: SigningKey,
    public: [u8; 32],
}

impl PublicKeyData for RawKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for RawKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_bytes().to_vec())
    }
}

fn raw_key(agency: usize, kind: Key) -> SigningKey {
    let mut seed = [7; 32];
    seed[0] = u8::try_from(agency).unwrap();
    seed[1] = kind as u8;
    SigningKey::from_bytes(&seed)
}

/// The certificate of a key, signed by itself: who issues certificates is no question of the core.
pub(crate) fn certificate(agency: usize, kind: Key) -> Certificate {
    let key = raw_key(agency, kind);
    let (from, until) = if kind == Key::Ended { (2024, 2025) } else { (2026, 2027) };
    let mut parameters = CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(from, 1, 1) + Duration::from_secs(1);
    parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
    parameters.serial_number = Some(SerialNumber::from(vec![1]));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let urn = Owner::Agency(agency_code(agency)).urn();
    parameters.subject_alt_names = vec![SanType::URI(urn.try_into().unwrap())];
    let public = key.verifying_key().to_bytes();
    Certificate::from_der(parameters.self_signed(&RawKey { key, public }).unwrap().der()).unwrap()
}

pub(crate) fn key(agency: usize, kind: Key) -> SealKey {
    SealKey::new(raw_key(agency, kind), &certificate(agency, kind)).unwrap()
}

fn operator() -> SealKey {
    SealKey::from_parts(SigningKey::from_bytes(&[99; 32]), truc_signing::sha256(b"the operator's certificate"))
}

/// A registry statement, sealed by the operator.
pub(crate) fn registry_file(version: u64, event: RegistryEvent) -> Arc<[u8]> {
    let key = operator();
    let statement = Registry { version, at: start(), event, required_signers: vec![key.required_signer(SignerRole::Operator)] };
    let payload = statement.to_json();
    Statement::parse(&payload).unwrap();
    seal(&payload, &[&key]).into()
}

fn genesis() -> Genesis {
    Genesis {
        axis_name: "Trục thử".into(),
        log_origin: "truc.example/axis/2026".into(),
        log_vkey: "truc.example/axis/2026+01234567+AQ==".into(),
        ca_pem: "-".into(),
        operator_keyid: operator().keyid(),
        operator_pem: "-".into(),
        limits: PublishedLimits {
            attachment_bytes: ATTACHMENT_BYTES,
            attachments: ATTACHMENTS,
            recipients: RECIPIENTS,
            statement_bytes: limits::STATEMENT_FILE_BYTES_MAX as u64,
            receipt_items: RECEIPT_ITEMS,
            envelope_age_days: AGE_DAYS,
        },
        loopback_kind: "urn:truc:loopback".into(),
        predicates: vec![names::ENVELOPE_V1.into()],
    }
}

/// An agency that joins; `predicates` are what its edge reads.
pub(crate) fn joined(agency: usize, predicates: &[&str]) -> RegistryEvent {
    RegistryEvent::AgencyJoined(AgencyJoined {
        agency: agency_code(agency),
        old_code: None,
        name_vi: format!("Cơ quan {agency}"),
        name_en: None,
        kind: "province".into(),
        code_status: "confirmed".into(),
        valid_from: None,
        predicates: predicates.iter().map(|&predicate| predicate.to_owned()).collect(),
    })
}

pub(crate) fn certificate_added(agency: usize, kind: Key) -> RegistryEvent {
    let role = if kind == Key::Approver { SignerRole::Approver } else { SignerRole::Seal };
    let certificate = certificate(agency, kind).der().to_vec();
    RegistryEvent::CertificateAdded(CertificateAdded { agency: agency_code(agency), role, certificate })
}

pub(crate) fn revoked(agency: usize, kind: Key, at: Timestamp) -> RegistryEvent {
    let keyid = key(agency, kind).keyid();
    RegistryEvent::CertificateRevoked(CertificateRevoked { keyid, at, reason: "key_compromise".into(), invalidity_date: None })
}

pub(crate) fn organisation(text: &str, old_code: Option<String>, served_by: usize) -> Organisation {
    Organisation {
        code: code(text),
        old_code: old_code.map(|old| code(&old)),
        name: None,
        served_by: agency_code(served_by),
        parent: None,
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
    }
}

fn organisations(agency: usize) -> RegistryEvent {
    RegistryEvent::OrganisationsAdded(vec![
        organisation(&format!("H{agency}.1"), Some(format!("000.00.01.H{agency}")), agency),
        organisation(&format!("H{agency}.2"), None, agency),
    ])
}

/// The registry statements of an axis with so many agencies. Agency 0 has all kinds of keys.
pub(crate) fn registry(agencies: usize) -> Vec<Arc<[u8]>> {
    let mut events = vec![RegistryEvent::Genesis(Box::new(genesis()))];
    for agency in 0..agencies {
        events.extend([joined(agency, &[names::ENVELOPE_V1]), certificate_added(agency, Key::Seal), organisations(agency)]);
    }
    events.extend([Key::Ended, Key::Revoked, Key::Approver].map(|kind| certificate_added(0, kind)));
    events.push(revoked(0, Key::Revoked, start()));
    (1..).zip(events).map(|(version, event)| registry_file(version, event)).collect()
}

/// The registry statements of the small axis, made once.
pub(crate) fn small_registry() -> &'static [Arc<[u8]>] {
    static FILES: OnceLock<Vec<Arc<[u8]>>> = OnceLock::new();
    FILES.get_or_init(|| registry(AGENCIES))
}
