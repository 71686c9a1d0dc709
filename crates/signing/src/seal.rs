//! Transport seals: Ed25519 signatures over a statement's DSSE payload, put on by [`seal`] and checked by [`verify_seals`].
//!
//! What `verify_strict` accepts, and never batch verification: what strict accepts every other implementation accepts too, so nobody can disown a
//! seal later. Not the legal signature, which lives inside the PDF.

use std::fmt;

use ed25519_dalek::ed25519::signature::MultipartVerifier as _;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use truc_types::{AgencyCode, Digest, Reason, Refusal, Timestamp};

use crate::certificate::{Certificate, Owner, spki_digest};
use crate::dsse::{DsseFile, Signature, pae, pae_head};
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

impl PublicKey {
    /// What [`VerifyingKey::verify_strict`] says of a signature over the pieces one after the other, without the square root that it takes.
    ///
    /// R is made anew from key, message and S, and its encoding compared with that in the signature. An encoding that is equal is canonical, so that R is
    /// of small order exactly if it is one of eight texts; `verify_strict` decompresses R to learn that, a seventh of its time.
    fn verifies_strictly(&self, message: &[&[u8]], sig: &[u8; 64]) -> bool {
        let is_small = SMALL_ORDER.iter().any(|point| sig.starts_with(point));
        !self.is_weak && !is_small && self.key.multipart_verify(message, &ed25519_dalek::Signature::from_bytes(sig)).is_ok()
    }
}

/// The canonical encodings of the eight points whose order divides the cofactor: of order 1, 2, 4 twice and 8 four times.
const SMALL_ORDER: [[u8; 32]; 8] = {
    const EIGHT: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    const OTHER_EIGHT: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    const fn with(mut bytes: [u8; 32], first: u8, last: u8) -> [u8; 32] {
        (bytes[0], bytes[31]) = (first, last);
        bytes
    }
    [
        with([0; 32], 1, 0),
        with([0xff; 32], 0xec, 0x7f),
        [0; 32],
        with([0; 32], 0, 0x80),
        EIGHT,
        with(EIGHT, 0xc7, 0xfa),
        OTHER_EIGHT,
        with(OTHER_EIGHT, 0x26, 0x85),
    ]
};

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
    let head = pae_head(&file.payload);
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
        if !trusted.key.verifies_strictly(&[head.as_bytes(), &file.payload], &signature.sig) {
            return Err(SealError::Invalid { keyid });
        }
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

#[cfg(test)]
mod tests {
    use std::ops::{Add, Mul};

    use sha2::Digest as _;

    use super::*;

    #[test]
    fn the_points_of_small_order_are_these_eight() {
        for (number, point) in SMALL_ORDER.iter().enumerate() {
            let key = VerifyingKey::from_bytes(point).unwrap();
            assert!(key.is_weak() && key.to_edwards().compress().as_bytes() == point);
            assert!(SMALL_ORDER.iter().take(number).all(|earlier| earlier != point));
        }
    }

    /// k of RFC 8032 section 5.1.7, as whatever type scalars are.
    fn challenge<S: Copy + From<u8> + Add<Output = S> + Mul<Output = S>>(_like: S, r: &[u8; 32], key: &VerifyingKey, message: &[u8]) -> S {
        let hash = sha2::Sha512::new().chain_update(r).chain_update(key.as_bytes()).chain_update(message).finalize();
        let base = S::from(128) + S::from(128);
        hash.iter().rev().fold(S::from(0), |value, byte| value * base + S::from(*byte))
    }

    /// Signatures of one who knows the secret and chooses R: by a key of the large group and by those with a part of small order beside it, with R that is
    /// of small order and R that is not. What plain verification accepts of them is more than what strict accepts.
    #[test]
    fn a_signature_verifies_exactly_if_strict_verification_says_so() {
        let (secret, nonce) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let (a, honest) = (secret.to_scalar(), nonce.verifying_key().to_bytes());
        let (mut accepted, mut weak) = (0, 0);
        for part in &SMALL_ORDER {
            let mixed = secret.verifying_key().to_edwards() + VerifyingKey::from_bytes(part).unwrap().to_edwards();
            let key = VerifyingKey::from_bytes(mixed.compress().as_bytes()).unwrap();
            for message in 0..24_u8 {
                for r in SMALL_ORDER.iter().chain([&honest]) {
                    let k = challenge(a, r, &key, &[message]);
                    let s = if *r == honest { nonce.to_scalar() + k * a } else { k * a };
                    let mut sig = [0; 64];
                    sig[..32].copy_from_slice(r);
                    sig[32..].copy_from_slice(s.as_bytes());
                    let signature = ed25519_dalek::Signature::from_bytes(&sig);
                    let strict = key.verify_strict(&[message], &signature).is_ok();
                    assert_eq!(PublicKey::from(key).verifies_strictly(&[&[], &[message]], &sig), strict, "{part:?} {r:?} {message}");
                    accepted += u32::from(strict);
                    weak += u32::from(!strict && key.multipart_verify(&[&[message]], &signature).is_ok());
                }
            }
        }
        assert!(accepted > 24 && weak > 24, "{accepted} accepted, {weak} by plain verification only");
    }
}
