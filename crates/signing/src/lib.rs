//! Statements and the seals on them: DSSE, in-toto, certificates, key files.
//!
//! The signing library that others can use alone, an edge of another make included. No IO, no clock, no randomness: time and random bytes come
//! from the caller. A seal is the agency's *transport* seal; it is not the legal signature, which lives inside the PDF.

mod certificate;
mod dsse;
mod json;
pub mod keyfile;
mod seal;
pub mod statement;
mod write;

use sha2::{Digest as _, Sha256};
use truc_types::Digest;

pub use certificate::{Authority, Certificate, CertificateError, KeyRing, Owner, spki_digest};
pub use dsse::{DsseFile, Signature, pae};
pub use seal::{PublicKey, SealError, SealKey, Sealed, TrustedKey, is_weak_key, open_sealed, seal, verify_seals};
pub use statement::{Statement, StatementError};

/// SHA-256, the evidence digest.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}
