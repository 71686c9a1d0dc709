//! X.509 certificates of the axis (RFC 5280, RFC 8410): read, name their owner, check against the authority.
//!
//! Ed25519 only in this release; the algorithm is always the certificate's, never the message's. Not a general path builder: certificates are
//! signed by one of the authority's certificates directly, and revocation comes from the registry.

use std::collections::HashMap;

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Reader as _};
use ed25519_dalek::VerifyingKey;
use truc_types::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATE_CHAIN_BYTES_MAX};
use truc_types::names::{AGENCY_URN_PREFIX, BROKER_URN, OPERATOR_URN};
use truc_types::{AgencyCode, CodeError, Digest, Timestamp};
use x509_cert::Certificate as X509;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

use crate::seal::{TrustedKey, is_weak_key};
use crate::sha256;
use crate::statement::SignerRole;

/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Extensions that are understood; another critical one refuses the certificate (RFC 5280 section 4.2): key usage, subject alternative name,
/// basic constraints, extended key usage.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
];

const PEM_LABEL: &str = "CERTIFICATE";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Over [`CERTIFICATE_BYTES_MAX`].
    #[error("the certificate has {found} bytes, at most {CERTIFICATE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not DER of a certificate, or not PEM around it.
    #[error("the certificate does not parse: {0}")]
    Malformed(String),
    /// Another key algorithm than Ed25519.
    #[error("the certificate's key has the algorithm {found}, only Ed25519 is read")]
    Algorithm {
        /// Object identifier of the algorithm.
        found: String,
    },
    /// Not a point, of small order, or not in canonical encoding.
    #[error("the certificate's key is weak")]
    WeakKey,
    /// Not exactly one SAN URI of the axis.
    #[error("the certificate has {found} names of the axis, expected one SAN URI")]
    Names {
        /// How many it has.
        found: usize,
    },
    /// The agency's code is none.
    #[error("the certificate names an agency: {0}")]
    Agency(#[from] CodeError),
    /// A critical extension that is not understood.
    #[error("the certificate has the critical extension {found}, which is not understood")]
    CriticalExtension {
        /// Object identifier of the extension.
        found: String,
    },
    /// Key usage does not allow signatures (or, for an authority, certificate signatures).
    #[error("the certificate's key usage does not allow this use")]
    KeyUsage,
    /// A certificate that may sign others where an owner's is expected, or the reverse.
    #[error("the certificate's basic constraints do not fit its use")]
    BasicConstraints,
    /// Issued under another name than the authority's.
    #[error("the certificate was issued by another authority")]
    Issuer,
    /// The authority's signature does not verify.
    #[error("the authority's signature on the certificate does not verify")]
    Signature,
    /// Not valid yet.
    #[error("the certificate is valid from {not_before}")]
    NotYetValid {
        /// Start of its validity.
        not_before: Timestamp,
    },
    /// Ended.
    #[error("the certificate ended at {not_after}")]
    Expired {
        /// End of its validity.
        not_after: Timestamp,
    },
}

/// Whose certificate it is, by its SAN URI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// `urn:truc:agency:<code>`.
    Agency(AgencyCode),
    /// `urn:truc:operator`.
    Operator,
    /// `urn:truc:broker`.
    Broker,
}

impl Owner {
    /// The owner of a SAN URI; `None` when the URI is not of the axis.
    fn parse(uri: &str) -> Option<Result<Self, CertificateError>> {
        match uri {
            OPERATOR_URN => Some(Ok(Self::Operator)),
            BROKER_URN => Some(Ok(Self::Broker)),
            _ => uri.strip_prefix(AGENCY_URN_PREFIX).map(|code| Ok(Self::Agency(code.parse()?))),
        }
    }

    /// The SAN URI.
    #[must_use]
    pub fn urn(&self) -> String {
        match self {
            Self::Agency(code) => format!("{AGENCY_URN_PREFIX}{code}"),
            Self::Operator => OPERATOR_URN.to_owned(),
            Self::Broker => BROKER_URN.to_owned(),
        }
    }
}

/// What is common to every certificate.
#[derive(Debug, Clone)]
struct Parsed {
    der: Vec<u8>,
    /// The signed part, exactly as it stands in `der`.
    signed: Vec<u8>,
    certificate: X509,
    key: VerifyingKey,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Parsed {
    fn new(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge { found: der.len() });
        }
        let certificate = X509::from_der(der).map_err(malformed)?;
        let signed = signed_part(der).map_err(malformed)?.to_vec();
        let tbs = certificate.tbs_certificate();
        let spki = tbs.subject_public_key_info();
        if spki.algorithm.oid != ED25519 || spki.algorithm.parameters.is_some() {
            return Err(CertificateError::Algorithm { found: spki.algorithm.oid.to_string() });
        }
        let point = spki.subject_public_key.as_bytes().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = point.and_then(|point| VerifyingKey::from_bytes(&point).ok()).ok_or(CertificateError::WeakKey)?;
        if is_weak_key(&key) {
            return Err(CertificateError::WeakKey);
        }
        let unknown = |extension: &&x509_cert::ext::Extension| extension.critical && !KNOWN_EXTENSIONS.contains(&extension.extn_id);
        if let Some(extension) = tbs.extensions().and_then(|extensions| extensions.iter().find(unknown)) {
            return Err(CertificateError::CriticalExtension { found: extension.extn_id.to_string() });
        }
        let (not_before, not_after) = (instant(tbs.validity().not_before, 0), instant(tbs.validity().not_after, 999));
        Ok(Self { der: der.to_vec(), signed, key, not_before, not_after, certificate })
    }

    fn is_authority(&self) -> Result<bool, CertificateError> {
        let constraints = self.certificate.tbs_certificate().get_extension::<BasicConstraints>().map_err(malformed)?;
        Ok(constraints.is_some_and(|(_, constraints)| constraints.ca))
    }

    /// Absent key usage allows everything (RFC 5280 section 4.2.1.3).
    fn check_usage(&self, allows: impl Fn(KeyUsage) -> bool) -> Result<(), CertificateError> {
        let usage = self.certificate.tbs_certificate().get_extension::<KeyUsage>().map_err(malformed)?;
        if usage.is_none_or(|(_, usage)| allows(usage)) { Ok(()) } else { Err(CertificateError::KeyUsage) }
    }

    fn check_time(&self, at: Timestamp) -> Result<(), CertificateError> {
        if at < self.not_before {
            return Err(CertificateError::NotYetValid { not_before: self.not_before });
        }
        if at > self.not_after {
            return Err(CertificateError::Expired { not_after: self.not_after });
        }
        Ok(())
    }
}

/// A certificate of an agency, the operator or the broker.
#[derive(Debug, Clone)]
pub struct Certificate {
    parsed: Parsed,
    /// SHA-256 of the DER: what statements call `cert_sha256`.
    pub sha256: Digest,
    /// SHA-256 of the key's `SubjectPublicKeyInfo` DER.
    pub keyid: Digest,
    /// Whose it is.
    pub owner: Owner,
}

impl Certificate {
    /// Reads DER. Who issued it is not checked: [`Authority::check`].
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = Parsed::new(der)?;
        if parsed.is_authority()? {
            return Err(CertificateError::BasicConstraints);
        }
        parsed.check_usage(|usage| usage.digital_signature())?;
        let names = parsed.certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(malformed)?;
        let owners = names.iter().flat_map(|(_, names)| &names.0).filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Owner::parse(uri.as_str()),
            _ => None,
        });
        let mut owners = owners.collect::<Result<Vec<_>, _>>()?;
        let (Some(owner), true) = (owners.pop(), owners.is_empty()) else {
            return Err(CertificateError::Names { found: owners.len() + usize::from(!owners.is_empty()) });
        };
        Ok(Self { sha256: sha256(der), keyid: spki_digest(&parsed.key), owner, parsed })
    }

    /// Reads the one certificate of a PEM text.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        Self::from_der(&der_of_pem(pem)?)
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.parsed.der
    }

    /// The public key.
    #[must_use]
    pub const fn key(&self) -> VerifyingKey {
        self.parsed.key
    }

    /// Start of validity, inclusive.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.parsed.not_before
    }

    /// End of validity, inclusive.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.parsed.not_after
    }

    /// The entry of a key ring for this certificate.
    #[must_use]
    pub fn trusted_key(&self, role: SignerRole) -> TrustedKey {
        TrustedKey {
            keyid: self.keyid,
            key: self.parsed.key.into(),
            owner: self.owner.clone(),
            role,
            cert_sha256: self.sha256,
            not_before: self.parsed.not_before,
            not_after: self.parsed.not_after,
            revoked_at: None,
        }
    }
}

/// A certificate of the authority that signs the others.
#[derive(Debug, Clone)]
pub struct Authority {
    parsed: Parsed,
}

impl Authority {
    /// Reads DER.
    ///
    /// # Errors
    /// [`CertificateError::BasicConstraints`] and [`CertificateError::KeyUsage`] when it may not sign certificates; see [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = Parsed::new(der)?;
        if !parsed.is_authority()? {
            return Err(CertificateError::BasicConstraints);
        }
        parsed.check_usage(|usage| usage.key_cert_sign())?;
        Ok(Self { parsed })
    }

    /// Reads the one certificate of a PEM text.
    ///
    /// # Errors
    /// See [`Authority::from_der`].
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        Self::from_der(&der_of_pem(pem)?)
    }

    /// Reads the PEM blocks of a chain: the first is trusted as it stands, each further one must be signed by one before it.
    ///
    /// # Errors
    /// See [`Authority::from_der`]; [`CertificateError::Issuer`] and [`CertificateError::Signature`] for a further one.
    pub fn chain_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        if pem.len() > CERTIFICATE_CHAIN_BYTES_MAX {
            return Err(CertificateError::TooLarge { found: pem.len() });
        }
        let mut chain: Vec<Self> = Vec::new();
        for block in pem.split_inclusive(PEM_END).map(str::trim_start).filter(|block| !block.is_empty()) {
            let next = Self::from_pem(block)?;
            if !chain.is_empty() {
                let issuer = |authority: &&Self| authority.check_issued(&next.parsed).is_ok();
                chain.iter().find(issuer).ok_or(CertificateError::Issuer)?;
            }
            chain.push(next);
        }
        if chain.is_empty() { Err(CertificateError::Malformed("no PEM block".to_owned())) } else { Ok(chain) }
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.parsed.der
    }

    /// End of validity, inclusive.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.parsed.not_after
    }

    /// Whether this authority issued `certificate` and both are valid at `at`.
    ///
    /// # Errors
    /// [`CertificateError::Issuer`], [`CertificateError::Signature`], [`CertificateError::NotYetValid`], [`CertificateError::Expired`].
    pub fn check(&self, certificate: &Certificate, at: Timestamp) -> Result<(), CertificateError> {
        self.check_issued(&certificate.parsed)?;
        self.parsed.check_time(at)?;
        certificate.parsed.check_time(at)
    }

    fn check_issued(&self, issued: &Parsed) -> Result<(), CertificateError> {
        let tbs = issued.certificate.tbs_certificate();
        if tbs.issuer() != self.parsed.certificate.tbs_certificate().subject() {
            return Err(CertificateError::Issuer);
        }
        let algorithm = issued.certificate.signature_algorithm();
        if algorithm.oid != ED25519 || algorithm.parameters.is_some() || algorithm != tbs.signature() {
            return Err(CertificateError::Signature);
        }
        let signature = issued.certificate.signature().as_bytes().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let signature = signature.ok_or(CertificateError::Signature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature);
        self.parsed.key.verify_strict(&issued.signed, &signature).map_err(|_| CertificateError::Signature)
    }
}

/// The keys that the registry knows, by key id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    keys: HashMap<Digest, TrustedKey>,
}

impl KeyRing {
    /// Adds a key; a newer certificate for the same key takes the place of the older one and keeps its revocation.
    pub fn add(&mut self, mut key: TrustedKey) {
        if let Some(known) = self.keys.get(&key.keyid) {
            key.revoked_at = key.revoked_at.into_iter().chain(known.revoked_at).min();
        }
        self.keys.insert(key.keyid, key);
    }

    /// Revokes a key from `at` on, or from earlier if it is revoked already; `false` if it is unknown.
    pub fn revoke(&mut self, keyid: &Digest, at: Timestamp) -> bool {
        let Some(key) = self.keys.get_mut(keyid) else { return false };
        key.revoked_at = Some(key.revoked_at.map_or(at, |earlier| earlier.min(at)));
        true
    }

    /// The key of this id: what [`crate::verify_seals`] takes as `lookup`.
    #[must_use]
    pub fn key(&self, keyid: &Digest) -> Option<&TrustedKey> {
        self.keys.get(keyid)
    }

    /// All keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.keys.values()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Key id of an Ed25519 key: SHA-256 of its `SubjectPublicKeyInfo` DER (RFC 8410 section 4), as `openssl pkey -pubin -outform DER | sha256sum`.
#[must_use]
pub fn spki_digest(key: &VerifyingKey) -> Digest {
    const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let mut der = [0; 44];
    for (to, from) in der.iter_mut().zip(HEAD.iter().chain(key.as_bytes())) {
        *to = *from;
    }
    sha256(&der)
}

/// The first element of the outer sequence: re-encoding the parsed one could differ from what was signed.
fn signed_part(der: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = der::SliceReader::new(der)?;
    reader.sequence(|inner| {
        let signed = inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        Ok(signed)
    })
}

/// The one certificate of a PEM text, byte for byte: its digest counts.
fn der_of_pem(pem: &str) -> Result<Vec<u8>, CertificateError> {
    if pem.len() > 2 * CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::TooLarge { found: pem.len() });
    }
    match der::Document::from_pem(pem).map_err(malformed)? {
        (PEM_LABEL, document) => Ok(document.into_vec()),
        (label, _) => Err(CertificateError::Malformed(format!("a PEM block {label:?}"))),
    }
}

fn malformed(error: der::Error) -> CertificateError {
    CertificateError::Malformed(error.to_string())
}

/// Certificates count whole seconds: an end is valid to its last millisecond.
fn instant(time: x509_cert::time::Time, millis: u64) -> Timestamp {
    Timestamp::from_millis(time.to_unix_duration().as_secs().saturating_mul(1_000).saturating_add(millis))
}
