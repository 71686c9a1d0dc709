//! The small parts that several statements share: required signers, observed log, contact, subjects, and the readers of texts with one spelling.
//!
//! Not the statements themselves: one file each beside this one.

use std::collections::HashSet;
use std::hash::Hash;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_types::limits::{CONTACT_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX, ORIGIN_BYTES_MAX, SIGNATURES_MAX};
use truc_types::{
    AgencyCode, Date, Digest, EdgeTerm, LeafIndex, MessageId, OrganisationCode, QueuePosition, SenderSeq, Timestamp, Urgency,
};

use super::StatementError;
use crate::json::{FromJson, INTEGER_MAX, Object, Path, Value, cut};
use crate::write::{ToJson, Writer};

/// A field whose values are a few fixed texts: the enum, its spelling, its reader and writer from one table.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in statements.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl $crate::json::FromJson for $name {
            fn from_json(value: $crate::json::Value<'_>, path: &$crate::json::Path<'_>) -> Result<Self, $crate::statement::StatementError> {
                let text = value.into_text(path)?;
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| $crate::statement::StatementError::UnknownValue {
                    path: path.to_string(),
                    found: $crate::json::cut(text),
                })
            }
        }

        impl $crate::write::ToJson for $name {
            fn write(&self, writer: &mut $crate::write::Writer) {
                self.as_str().write(writer);
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// Whose signature it is.
    SignerRole {
        /// The person who released the document, inside the agency.
        Approver = "approver",
        /// The agency's transport seal, put on last by its edge.
        Seal = "seal",
        /// The operator of the axis.
        Operator = "operator",
    }
}

/// A signature that has to be on the statement: without this list inside the signed bytes a relay could strip one unseen, or put another
/// certificate under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequiredSigner {
    /// Whose signature it is.
    pub role: SignerRole,
    /// SHA-256 of the key's `SubjectPublicKeyInfo` DER.
    pub keyid: Digest,
    /// SHA-256 of the certificate's DER.
    pub cert_sha256: Digest,
}

/// The newest checkpoint the signer had verified: bounds the time of sealing from below and shows forks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObservedLog {
    /// Log origin, at most [`ORIGIN_BYTES_MAX`] bytes.
    pub origin: String,
    /// Tree size of the checkpoint.
    pub size: u64,
    /// Tree root of the checkpoint.
    pub root: Digest,
}

/// Who to ask (`StaffInfo` in edXML). Personal data: never logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Contact {
    /// Name of the department.
    pub department: Option<String>,
    /// The department's own code.
    pub department_id: Option<String>,
    /// Name of the person.
    pub staff: Option<String>,
    /// The person's code.
    pub staff_id: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
}

impl FromJson for RequiredSigner {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let signer =
            Self { role: object.required("role")?, keyid: object.required("keyid")?, cert_sha256: object.required("cert_sha256")? };
        object.finish()?;
        Ok(signer)
    }
}

impl ToJson for RequiredSigner {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("role", &self.role);
            w.field("keyid", &self.keyid);
            w.field("cert_sha256", &self.cert_sha256);
        });
    }
}

/// The signers of a statement: 1 to [`SIGNATURES_MAX`], each key once.
pub(super) fn required_signers(object: &mut Object<'_, '_>) -> Result<Vec<RequiredSigner>, StatementError> {
    let signers: Vec<RequiredSigner> = object.required_list("required_signers", SIGNATURES_MAX)?;
    match first_repeated(signers.iter().map(|signer| signer.keyid)) {
        None => Ok(signers),
        Some(keyid) => Err(StatementError::Repeated { path: "predicate.required_signers".into(), found: keyid.to_hex() }),
    }
}

/// The first item that was there before.
pub(super) fn first_repeated<T: Eq + Hash>(items: impl Iterator<Item = T> + Clone) -> Option<T> {
    let mut rest = items.clone();
    // Most lists have an item or two, for which making a set would take longer.
    if items.size_hint().1.is_some_and(|count| count <= SEARCHED_MAX) {
        return rest.enumerate().find(|(number, item)| items.clone().take(*number).any(|earlier| earlier == *item)).map(|(_, item)| item);
    }
    let mut seen = HashSet::with_capacity(items.size_hint().0);
    rest.find_map(|item| seen.replace(item))
}

/// Items among which a repeated one is searched.
const SEARCHED_MAX: usize = 8;

impl FromJson for ObservedLog {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let log = Self { origin: object.text("origin", ORIGIN_BYTES_MAX)?, size: object.required("size")?, root: object.required("root")? };
        object.finish()?;
        Ok(log)
    }
}

impl ToJson for ObservedLog {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("origin", &self.origin);
            w.field("size", &self.size);
            w.field("root", &self.root);
        });
    }
}

impl FromJson for Contact {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let contact = Self {
            department: object.optional_text("department", DOC_NAME_BYTES_MAX)?,
            department_id: object.optional_text("department_id", CONTACT_CODE_BYTES_MAX)?,
            staff: object.optional_text("staff", DOC_NAME_BYTES_MAX)?,
            staff_id: object.optional_text("staff_id", CONTACT_CODE_BYTES_MAX)?,
            email: object.optional_text("email", CONTACT_CODE_BYTES_MAX)?,
            phone: object.optional_text("phone", CONTACT_CODE_BYTES_MAX)?,
        };
        object.finish()?;
        Ok(contact)
    }
}

impl ToJson for Contact {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.optional("department", self.department.as_ref());
            w.optional("department_id", self.department_id.as_ref());
            w.optional("staff", self.staff.as_ref());
            w.optional("staff_id", self.staff_id.as_ref());
            w.optional("email", self.email.as_ref());
            w.optional("phone", self.phone.as_ref());
        });
    }
}

/// 16 random bytes that make equal content distinct; written as base64 (24 characters).
pub type Nonce = [u8; 16];

impl FromJson for Nonce {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let text = value.into_text(path)?;
        let wrong = || StatementError::BadBase64 { path: path.to_string() };
        // 24 characters make 18 bytes at most, so nothing larger is decoded.
        if text.len() != 24 {
            return Err(wrong());
        }
        STANDARD.decode(text.as_bytes()).ok().and_then(|bytes| Self::try_from(bytes).ok()).ok_or_else(wrong)
    }
}

impl ToJson for Nonce {
    fn write(&self, writer: &mut Writer) {
        self.as_slice().write(writer);
    }
}

/// One entry of `subject[]`: a name and a SHA-256 digest, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) digest: Digest,
}

/// Longest name of a subject we write: an agency urn.
const SUBJECT_NAME_BYTES_MAX: usize = 80;

impl FromJson for Subject {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let name = object.text("name", SUBJECT_NAME_BYTES_MAX)?;
        let digests = object.value("digest")?;
        object.finish()?;
        let path = path.key("digest");
        let mut digests = Object::new(digests, &path)?;
        let digest = digests.required("sha256")?;
        digests.finish()?;
        Ok(Self { name, digest })
    }
}

impl ToJson for Subject {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("name", &self.name);
            w.nested("digest", |w| w.field("sha256", &self.digest));
        });
    }
}

macro_rules! parsed_texts {
    ($($type:ty => $fault:ident),* $(,)?) => {$(
        impl FromJson for $type {
            fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
                let text = value.into_text(path)?;
                Self::from_str(text).map_err(|error| StatementError::$fault { path: path.to_string(), error })
            }
        }
    )*};
}
parsed_texts! {
    MessageId => BadId,
    AgencyCode => BadCode,
    OrganisationCode => BadCode,
    Digest => BadDigest,
    Timestamp => BadTime,
    Date => BadTime,
}

macro_rules! numbers {
    ($($type:ident from $least:literal),* $(,)?) => {$(
        impl FromJson for $type {
            fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
                match value.into_integer(path, INTEGER_MAX)? {
                    found if found < $least => Err(StatementError::IntegerTooSmall { path: path.to_string(), found, limit: $least }),
                    found => Ok(Self(found)),
                }
            }
        }
    )*};
}
numbers! { EdgeTerm from 1, SenderSeq from 1, QueuePosition from 1 }

impl FromJson for LeafIndex {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        value.into_integer(path, INTEGER_MAX).map(Self)
    }
}

impl FromJson for Urgency {
    fn from_json(value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let found = value.into_integer(path, 4)?;
        u8::try_from(found).ok().and_then(Self::from_digit).ok_or_else(|| StatementError::IntegerTooLarge {
            path: path.to_string(),
            found,
            limit: 4,
        })
    }
}

/// A text of bytes in standard base64, at most `limit` bytes decoded.
pub(super) fn base64_bytes(
    object: &mut Object<'_, '_>,
    key: &'static str,
    path: &Path<'_>,
    limit: usize,
) -> Result<Vec<u8>, StatementError> {
    let text = object.value(key)?.into_text(&path.key(key))?;
    if text.len() > limit.div_ceil(3) * 4 {
        return Err(StatementError::TextTooLong { path: path.key(key).to_string(), found: text.len(), limit: limit.div_ceil(3) * 4 });
    }
    STANDARD.decode(text.as_bytes()).map_err(|_| StatementError::BadBase64 { path: path.key(key).to_string() })
}

/// A lower-case word of letters, digits, `_`, `.` and `-`: codes that programs branch on.
pub(super) fn word(object: &mut Object<'_, '_>, key: &'static str, path: &Path<'_>, limit: usize) -> Result<String, StatementError> {
    let text = object.text(key, limit)?;
    if text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')) {
        return Ok(text);
    }
    Err(StatementError::UnknownValue { path: path.key(key).to_string(), found: cut(&text) })
}
