//! Transport seals: Ed25519 signatures over a statement's DSSE payload, put on by [`seal`] and checked by [`verify_seals`].
//!
//! `verify_strict` only, never batch verification: what strict accepts every other implementation accepts too, so nobody can disown a seal
//! later. Not the legal signature, which lives inside the PDF.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use truc_types::{AgencyCode, Digest, Reason, Refusal, Timestamp};

use crate::certificate::{Certificate, Owner, spki_digest};
use crate::dsse::{DsseFile, Signature, pae};
use crate::sha256;
use crate::statement::{RequiredSigner, SignerRole, Statement, StatementError};

/// Why the seals of a file do not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No signature at all, or a statement that asks for none.
    #[error("the file bears no seal")]
    Missing,
    /// A required signature is not there while others are.
    #[error("the signature of the {} with key {keyid} is missing", role.as_str())]
    Stripped {
        /// The key.
        keyid: Digest,
        /// Whose signature it is.
        role: SignerRole,
    },
    /// A signature that does not verify.
    #[error("the signature by key {keyid} does not verify")]
    Invalid {
        /// The key.
        keyid: Digest,
    },
    /// Two signatures by one key.
    #[error("key {keyid} signed twice")]
    Repeated {
        /// The key.
        keyid: Digest,
    },
    /// A key that is not in the registry.
    #[error("key {keyid} is not in the registry")]
    Foreign {
        /// The key.
        keyid: Digest,
    },
    /// A key of small order or in a non-canonical encoding.
    #[error("key {keyid} is weak")]
    WeakKey {
        /// The key.
        keyid: Digest,
    },
    /// The statement names another certificate than the registry holds for the key.
    #[error("key {keyid} is sealed under certificate {found}, the registry holds {expected}")]
    CertificateSwapped {
        /// The key.
        keyid: Digest,
        /// SHA-256 of the certificate that the registry holds.
        expected: Digest,
        /// SHA-256 of the certificate that the statement names.
        found: Digest,
    },
    /// The certificate is not valid yet.
    #[error("the certificate of key {keyid} is valid from {not_before}")]
    NotYetValid {
        /// The key.
        keyid: Digest,
        /// Start of its validity.
        not_before: Timestamp,
    },
    /// The certificate ended.
    #[error("the certificate of key {keyid} ended at {not_after}")]
    Expired {
        /// The key.
        keyid: Digest,
        /// End of its validity.
        not_after: Timestamp,
    },
    /// The certificate is revoked.
    #[error("the certificate of key {keyid} is revoked since {revoked_at}")]
    Revoked {
        /// The key.
        keyid: Digest,
        /// From when.
        revoked_at: Timestamp,
    },
}

impl SealError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Missing => Reason::SealMissing,
            Self::Stripped { .. } => Reason::SealStripped,
            Self::Invalid { .. } | Self::Repeated { .. } => Reason::SealInvalid,
            Self::Foreign { .. } => Reason::SealForeign,
            Self::WeakKey { .. } => Reason::SealWeakKey,
            Self::CertificateSwapped { .. } => Reason::SealCertificateSwapped,
            Self::NotYetValid { .. } | Self::Expired { .. } => Reason::SealExpiredReseal,
            Self::Revoked { .. } => Reason::SealRevoked,
        }
    }

    /// The key the error is about.
    #[must_use]
    pub const fn keyid(&self) -> Option<Digest> {
        match self {
            Self::Missing => None,
            Self::Stripped { keyid, .. }
            | Self::Invalid { keyid }
            | Self::Repeated { keyid }
            | Self::Foreign { keyid }
            | Self::WeakKey { keyid }
            | Self::CertificateSwapped { keyid, .. }
            | Self::NotYetValid { keyid, .. }
            | Self::Expired { keyid, .. }
            | Self::Revoked { keyid, .. } => Some(*keyid),
        }
    }

    /// The refusal that reaches the caller.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let refusal = Refusal::new(self.reason(), self.to_string());
        match self.keyid() {
            Some(keyid) => refusal.with("keyid", keyid),
            None => refusal,
        }
    }
}

/// A key that seals, with the digest of the certificate it seals under. The key leaves memory when this is dropped; it is never printed.
pub struct SealKey {
    key: SigningKey,
    keyid: Digest,
    cert_sha256: Digest,
}

impl SealKey {
    /// A key and the digest of its certificate; that the two belong together is the caller's word. Prefer [`SealKey::new`].
    #[must_use]
    pub fn from_parts(key: SigningKey, cert_sha256: Digest) -> Self {
        let keyid = spki_digest(&key.verifying_key());
        Self { key, keyid, cert_sha256 }
    }

    /// A key and its certificate.
    ///
    /// # Errors
    /// [`SealError::Foreign`] when the certificate is for another key.
    pub fn new(key: SigningKey, certificate: &Certificate) -> Result<Self, SealError> {
        let made = Self::from_parts(key, certificate.sha256);
        if made.keyid == certificate.keyid { Ok(made) } else { Err(SealError::Foreign { keyid: made.keyid }) }
    }

    /// SHA-256 of the key's `SubjectPublicKeyInfo` DER.
    #[must_use]
    pub const fn keyid(&self) -> Digest {
        self.keyid
    }

    /// SHA-256 of the certificate's DER.
    #[must_use]
    pub const fn cert_sha256(&self) -> Digest {
        self.cert_sha256
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The entry for `required_signers`.
    #[must_use]
    pub const fn required_signer(&self, role: SignerRole) -> RequiredSigner {
        RequiredSigner { role, keyid: self.keyid, cert_sha256: self.cert_sha256 }
    }

    /// Signs `payload` in the DSSE way. Ed25519 is deterministic: the same bytes give the same signature.
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> Signature {
        Signature { keyid: self.keyid, sig: self.key.sign(&pae(payload)).to_bytes() }
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey").field("keyid", &self.keyid).finish_non_exhaustive()
    }
}

/// The bytes of a DSSE file with one signature per key, in the order of the keys. The payload is signed as it is: parse it first.
#[must_use]
pub fn seal(payload: &[u8], keys: &[&SealKey]) -> Vec<u8> {
    let signed = pae(payload);
    let sign = |key: &&SealKey| Signature { keyid: key.keyid, sig: key.key.sign(&signed).to_bytes() };
    DsseFile { payload: payload.to_vec(), signatures: keys.iter().map(sign).collect() }.to_bytes()
}

/// A public key, and whether it [is weak](is_weak_key): found out once, because asking takes an eighth of the time that checking a seal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    is_weak: bool,
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        Self { key, is_weak: is_weak_key(&key) }
    }
}

/// A public key that the registry knows, with everything that decides whether its signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// SHA-256 of the key's `SubjectPublicKeyInfo` DER.
    pub keyid: Digest,
    /// The key.
    pub key: PublicKey,
    /// Whose it is.
    pub owner: Owner,
    /// What it may sign as.
    pub role: SignerRole,
    /// SHA-256 of the certificate's DER.
    pub cert_sha256: Digest,
    /// Start of validity, inclusive.
    pub not_before: Timestamp,
    /// End of validity, inclusive.
    pub not_after: Timestamp,
    /// Revoked from this instant on.
    pub revoked_at: Option<Timestamp>,
}

impl TrustedKey {
    /// The agency it belongs to, if it is an agency's.
    #[must_use]
    pub const fn agency(&self) -> Option<&AgencyCode> {
        match &self.owner {
            Owner::Agency(agency) => Some(agency),
            Owner::Operator | Owner::Broker => None,
        }
    }

    /// Whether a signature at `at` counts.
    ///
    /// # Errors
    /// [`SealError::NotYetValid`], [`SealError::Expired`], [`SealError::Revoked`].
    pub fn check_time(&self, at: Timestamp) -> Result<(), SealError> {
        let keyid = self.keyid;
        if let Some(revoked_at) = self.revoked_at.filter(|revoked_at| *revoked_at <= at) {
            return Err(SealError::Revoked { keyid, revoked_at });
        }
        if at < self.not_before {
            return Err(SealError::NotYetValid { keyid, not_before: self.not_before });
        }
        if at > self.not_after {
            return Err(SealError::Expired { keyid, not_after: self.not_after });
        }
        Ok(())
    }
}

/// Whether a key is of small order or not in canonical encoding (RFC 8032 section 5.1.3): such keys have signatures that others may disown.
#[must_use]
pub fn is_weak_key(key: &VerifyingKey) -> bool {
    key.is_weak() || key.to_edwards().compress().as_bytes() != key.as_bytes()
}

/// Checks every signature of a file at the instant `at`: all required ones are there, no key signs twice, every key is known to `lookup`
/// with the same certificate and the same role, valid and not revoked, and every signature verifies strictly. A signature that was not
/// required is checked the same way, but for certificate and role.
///
/// # Errors
/// The first fault, in the order: what is missing, then each signature in the order of the file.
pub fn verify_seals<'k>(
    file: &DsseFile,
    required: &[RequiredSigner],
    at: Timestamp,
    lookup: impl Fn(&Digest) -> Option<&'k TrustedKey>,
) -> Result<(), SealError> {
    if file.signatures.is_empty() || required.is_empty() {
        return Err(SealError::Missing);
    }
    if let Some(signer) = required.iter().find(|signer| file.signatures.iter().all(|signature| signature.keyid != signer.keyid)) {
        return Err(SealError::Stripped { keyid: signer.keyid, role: signer.role });
    }
    let signed = pae(&file.payload);
    for (index, signature) in file.signatures.iter().enumerate() {
        let keyid = signature.keyid;
        if file.signatures.iter().take(index).any(|earlier| earlier.keyid == keyid) {
            return Err(SealError::Repeated { keyid });
        }
        let trusted = lookup(&keyid).ok_or(SealError::Foreign { keyid })?;
        if let Some(signer) = required.iter().find(|signer| signer.keyid == keyid) {
            if signer.cert_sha256 != trusted.cert_sha256 {
                return Err(SealError::CertificateSwapped { keyid, expected: trusted.cert_sha256, found: signer.cert_sha256 });
            }
            if signer.role != trusted.role {
                return Err(SealError::Foreign { keyid });
            }
        }
        trusted.check_time(at)?;
        if trusted.key.is_weak {
            return Err(SealError::WeakKey { keyid });
        }
        let sig = ed25519_dalek::Signature::from_bytes(&signature.sig);
        trusted.key.key.verify_strict(&signed, &sig).map_err(|_| SealError::Invalid { keyid })?;
    }
    Ok(())
}

/// A sealed statement taken apart; not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The statement.
    pub statement: Statement,
    /// SHA-256 of the file's bytes: how other statements name it.
    pub digest: Digest,
    /// Payload and signatures.
    pub dsse: DsseFile,
}

/// Reads a DSSE file and the statement in it.
///
/// # Errors
/// The first fault of the file or of the statement. Seals are not looked at: [`Sealed::verify`].
pub fn open_sealed(file: &[u8]) -> Result<Sealed, StatementError> {
    let dsse = DsseFile::parse(file)?;
    let statement = Statement::parse(&dsse.payload)?;
    Ok(Sealed { statement, digest: sha256(file), dsse })
}

impl Sealed {
    /// [`verify_seals`] with the signers that the statement requires.
    ///
    /// # Errors
    /// See [`verify_seals`]. That a signer is the sender's agency is for the caller to check.
    pub fn verify<'k>(&self, at: Timestamp, lookup: impl Fn(&Digest) -> Option<&'k TrustedKey>) -> Result<(), SealError> {
        verify_seals(&self.dsse, self.statement.required_signers(), at, lookup)
    }
}
