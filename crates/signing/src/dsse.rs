//! DSSE 1.0.2 files: `{payloadType, payload, signatures[{keyid, sig}]}`, and what is signed of them.
//!
//! Not the check of a signature: `seal.rs`. Stricter than the DSSE specification: one payload type, no unknown fields, standard base64 only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_types::Digest;
use truc_types::limits::{PAYLOAD_BYTES_MAX, SIGNATURES_MAX, STATEMENT_FILE_BYTES_MAX};
use truc_types::names::PAYLOAD_TYPE;

use crate::json::{FromJson, Object, Path, Tape, Value, cut};
use crate::statement::StatementError;
use crate::write::{ToJson, Writer};

/// Bytes of a signature, and of all that is around payload and signatures, in a file at most.
const AROUND_BYTES: usize = 192;
/// Values of a file with two signatures, and some room.
const VALUES: usize = 16;

/// One signature of a DSSE file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// SHA-256 of the key's `SubjectPublicKeyInfo` DER, in lower-case hexadecimal digits in the file.
    pub keyid: Digest,
    /// Ed25519 signature over [`pae`] of the payload.
    pub sig: [u8; 64],
}

/// A DSSE file taken apart. The bytes it came from are the evidence: keep and forward those, never bytes written anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DsseFile {
    /// The statement's bytes, exactly as they were signed.
    pub payload: Vec<u8>,
    /// In the order of the file.
    pub signatures: Vec<Signature>,
}

impl DsseFile {
    /// Reads a file: at most [`STATEMENT_FILE_BYTES_MAX`] bytes, payload at most [`PAYLOAD_BYTES_MAX`], at most [`SIGNATURES_MAX`] signatures.
    /// A file without signatures parses; [`crate::verify_seals`] refuses it.
    ///
    /// # Errors
    /// The first fault, with its path. The payload is not looked into.
    pub fn parse(file: &[u8]) -> Result<Self, StatementError> {
        let root = Path::ROOT;
        let tape = Tape::parse(file, STATEMENT_FILE_BYTES_MAX, VALUES)?;
        let mut object = Object::new(tape.root(), &root)?;
        let payload_type = object.value("payloadType")?.into_text(&root.key("payloadType"))?;
        if payload_type != PAYLOAD_TYPE {
            return Err(StatementError::PayloadType { found: cut(payload_type) });
        }
        let encoded = object.value("payload")?.into_text(&root.key("payload"))?;
        let signatures = object.value("signatures")?;
        object.finish()?;
        let payload = STANDARD.decode(encoded.as_bytes()).map_err(|_| StatementError::BadBase64 { path: "payload".into() })?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(StatementError::TooLarge { found: payload.len(), limit: PAYLOAD_BYTES_MAX });
        }
        Ok(Self { payload, signatures: read_signatures(signatures)? })
    }

    /// Writes the file: compact, `payloadType`, `payload`, `signatures` in this order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Writer::document(self.payload.len() * 4 / 3 + AROUND_BYTES * (self.signatures.len() + 1), |w| {
            w.field("payloadType", PAYLOAD_TYPE);
            w.field("payload", self.payload.as_slice());
            w.list("signatures", &self.signatures);
        })
    }
}

/// Pre-authentication encoding of a payload of [`PAYLOAD_TYPE`]: the bytes that are signed (DSSE protocol, "Signature Definition").
#[must_use]
pub fn pae(payload: &[u8]) -> Vec<u8> {
    pae_of(PAYLOAD_TYPE, payload)
}

/// What [`pae`] puts in front of a payload.
pub(crate) fn pae_head(payload: &[u8]) -> String {
    head_of(PAYLOAD_TYPE, payload)
}

fn head_of(payload_type: &str, payload: &[u8]) -> String {
    format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len())
}

fn pae_of(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = head_of(payload_type, payload);
    let mut bytes = Vec::with_capacity(head.len() + payload.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn read_signatures(value: Value<'_>) -> Result<Vec<Signature>, StatementError> {
    let path = Path::ROOT.key("signatures");
    let items = value.into_list(&path, usize::MAX)?;
    if items.len() > SIGNATURES_MAX {
        return Err(StatementError::SignaturesTooMany { path: path.to_string(), found: items.len(), limit: SIGNATURES_MAX });
    }
    items.enumerate().map(|(index, item)| Signature::from_json(item, &path.index(index))).collect()
}

impl FromJson for Signature {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let keyid = object.required("keyid")?;
        let path = path.key("sig");
        let text = object.value("sig")?.into_text(&path)?;
        object.finish()?;
        // 88 characters hold exactly 64 bytes with padding; anything longer is not decoded.
        let bytes = Some(text).filter(|text| text.len() == 88).and_then(|text| STANDARD.decode(text.as_bytes()).ok());
        let sig = bytes.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        sig.map(|sig| Self { keyid, sig }).ok_or_else(|| StatementError::BadBase64 { path: path.to_string() })
    }
}

impl ToJson for Signature {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("keyid", &self.keyid);
            w.field("sig", self.sig.as_slice());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_dsse_specification() {
        assert_eq!(pae_of("http://example.com/HelloWorld", b"hello world"), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
