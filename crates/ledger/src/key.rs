//! The keys of notes: names, key ids, and verifier keys (vkeys) as text (C2SP signed-note v1.0.0).
//!
//! Ed25519, type 0x01, only. Key files and passwords are not here: a signing key comes in as a value.

use crate::encoding::{base64, excerpt, from_base64};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Bytes of a key name: a schema-less URL, as long as a host name and a path segment of 255 bytes each.
pub const KEY_NAME_BYTES_MAX: usize = 511;
/// Type byte of plain Ed25519 signatures.
const TYPE_ED25519: u8 = 0x01;

/// Why a text is no key or key name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, too long, or with a space, a plus sign or a control character.
    #[error("{0:?} is no key name: 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, plus signs and control characters")]
    Name(String),
    /// Not three parts.
    #[error("a verifier key is written name+id+key")]
    Parts,
    /// Not eight lower-case hexadecimal digits.
    #[error("{0:?} is no key id: eight lower-case hexadecimal digits")]
    IdText(String),
    /// Not base64 of a type byte and a key.
    #[error("the key after the second plus sign is not base64")]
    Encoding,
    /// A type other than Ed25519.
    #[error("the key has the unsupported type {0:#04x}")]
    Type(u8),
    /// Not 32 bytes.
    #[error("an Ed25519 key has 32 bytes, found {0}")]
    Length(usize),
    /// Not a point of the curve.
    #[error("the bytes are no Ed25519 key")]
    NotAPoint,
    /// Of small order: signatures of such a key prove nothing.
    #[error("the Ed25519 key is of small order")]
    Weak,
    /// The id is not the one that name and key give.
    #[error("the key id is {found}, but name and key give {expected}")]
    IdMismatch {
        /// Id that name and key give.
        expected: String,
        /// Id in the text.
        found: String,
    },
}

/// Whether a text may name a key.
pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let wrong = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '+';
    if name.is_empty() || name.len() > KEY_NAME_BYTES_MAX || name.contains(wrong) {
        return Err(KeyError::Name(excerpt(name)));
    }
    Ok(())
}

/// The public key of a log. Its text form is the vkey `name+id+base64(0x01 ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl LogVerifier {
    /// Names a public key.
    ///
    /// # Errors
    /// When the name is none, or the key is of small order.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, KeyError> {
        check_name(name)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        let hash = Sha256::new().chain_update(name).chain_update([b'\n', TYPE_ED25519]).chain_update(key.as_bytes()).finalize();
        let id = hash.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Name of the key, which is the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes, big-endian, of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key).
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The public key.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Whether `signature` is this key's over `text`, by the strict rules that every other implementation accepts as well.
    pub(crate) fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for LogVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![TYPE_ED25519];
        typed.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64(&typed))
    }
}

impl FromStr for LogVerifier {
    type Err = KeyError;
    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        // The base64 part may hold plus signs, the others may not.
        let (name, rest) = vkey.split_once('+').ok_or(KeyError::Parts)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Parts)?;
        check_name(name)?;
        if id.len() != 8 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(KeyError::IdText(excerpt(id)));
        }
        let typed = from_base64(key).ok_or(KeyError::Encoding)?;
        let (&kind, bytes) = typed.split_first().ok_or(KeyError::Encoding)?;
        if kind != TYPE_ED25519 {
            return Err(KeyError::Type(kind));
        }
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::Length(bytes.len()))?;
        let verifier = Self::new(name, VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?)?;
        let expected = format!("{:08x}", verifier.id);
        if expected != id {
            return Err(KeyError::IdMismatch { expected, found: id.to_owned() });
        }
        Ok(verifier)
    }
}

/// The private key of a log. It never prints itself, and its memory is wiped when it is dropped.
pub struct LogSigner {
    verifier: LogVerifier,
    key: SigningKey,
}

impl LogSigner {
    /// Names a private key; the name is the origin of the log.
    ///
    /// # Errors
    /// When the name is none.
    pub fn new(name: &str, key: &SigningKey) -> Result<Self, KeyError> {
        Ok(Self { verifier: LogVerifier::new(name, key.verifying_key())?, key: key.clone() })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// Signs a text. Ed25519 is deterministic: the same text gives the same bytes.
    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        self.key.sign(text.as_bytes()).to_bytes().to_vec()
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSigner").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}
