//! `predicate.attachments[i]` of an envelope and the edXML source: what is said of each file; the digests stand in `subject[]`.
//!
//! Not the bytes: those are blobs, addressed by the same digests.

use truc_types::Digest;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENT_NAME_BYTES_MAX, MEDIA_TYPE_BYTES_MAX, OID_BYTES_MAX};

use super::StatementError;
use crate::json::{Object, Path, Value, cut};
use crate::write::{ToJson, Writer};

/// How the bytes of an attachment are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// An age v1 file for the recipients' registered keys.
    AgeV1,
    /// Encrypted in a way only the parties understand, named by an object identifier in dotted decimals.
    Opaque(String),
}

impl Encoding {
    /// Whether the axis and outsiders cannot read the bytes.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        !matches!(self, Self::Identity)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "identity" => Some(Self::Identity),
            "age-v1" => Some(Self::AgeV1),
            _ => text.strip_prefix("opaque:").filter(|oid| is_oid(oid)).map(|oid| Self::Opaque(oid.to_owned())),
        }
    }
}

/// Dotted decimals of at least two arcs, without leading zeros.
fn is_oid(text: &str) -> bool {
    let arc = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    text.len() <= OID_BYTES_MAX && text.contains('.') && text.split('.').all(arc)
}

/// `type "/" subtype` of RFC 6838 section 4.2, lower case, without parameters.
fn is_media_type(text: &str) -> bool {
    let part = |part: &str| {
        part.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+'))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| part(kind) && part(subtype))
}

/// One file of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// Name for display. Never a path: it may contain anything but control characters.
    pub name: String,
    /// Media type of the plain file, lower case, without parameters.
    pub media_type: String,
    /// Bytes as they are stored and carried.
    pub size: u64,
    /// SHA-256 of the bytes as they are stored and carried; stands in `subject[]`.
    pub sha256: Digest,
    /// How the bytes are encoded.
    pub encoding: Encoding,
    /// Salted commitment to the plain bytes; exactly when they are encrypted.
    pub commit: Option<Digest>,
}

/// The edXML file as it was received: subject `message.edxml` and a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EdxmlSource {
    /// SHA-256 of the file; stands in `subject[]`.
    pub sha256: Digest,
    /// Bytes of the file: its attachments in base64 and the header.
    pub size: u64,
}

fn size(object: &mut Object<'_, '_>, path: &Path<'_>, limit: u64) -> Result<u64, StatementError> {
    match object.required("size")? {
        found if found > limit => Err(StatementError::AttachmentTooLarge { path: path.key("size").to_string(), found, limit }),
        found => Ok(found),
    }
}

impl Attachment {
    /// Reads what the predicate says; `digest` joins the subject.
    pub(super) fn read(
        value: Value<'_>,
        path: &Path<'_>,
        digest: impl FnOnce() -> Result<Digest, StatementError>,
    ) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let name = object.text("name", ATTACHMENT_NAME_BYTES_MAX)?;
        let media_type = object.text("media_type", MEDIA_TYPE_BYTES_MAX)?;
        if !is_media_type(&media_type) {
            return Err(StatementError::BadMediaType { path: path.key("media_type").to_string(), found: cut(&media_type) });
        }
        let size = size(&mut object, path, ATTACHMENT_BYTES_MAX)?;
        let text = object.value("encoding")?.into_text(&path.key("encoding"))?;
        let encoding = Encoding::parse(text)
            .ok_or_else(|| StatementError::BadEncoding { path: path.key("encoding").to_string(), found: cut(text) })?;
        let commit = object.optional("commit")?;
        object.finish()?;
        let commit_path = || path.key("commit").to_string();
        match (encoding.is_encrypted(), commit.is_some()) {
            (true, false) => Err(StatementError::RequiredHere { path: commit_path(), because: "for an encrypted attachment" }),
            (false, true) => Err(StatementError::ForbiddenHere { path: commit_path(), because: "the attachment is not encrypted" }),
            _ => Ok(Self { name, media_type, size, sha256: digest()?, encoding, commit }),
        }
    }
}

impl ToJson for Attachment {
    fn write(&self, writer: &mut Writer) {
        writer.object(|w| {
            w.field("name", &self.name);
            w.field("media_type", &self.media_type);
            w.field("size", &self.size);
            match &self.encoding {
                Encoding::Identity => w.field("encoding", "identity"),
                Encoding::AgeV1 => w.field("encoding", "age-v1"),
                Encoding::Opaque(oid) => w.field("encoding", &format!("opaque:{oid}")),
            }
            w.optional("commit", self.commit.as_ref());
        });
    }
}

impl EdxmlSource {
    pub(super) fn read(
        value: Value<'_>,
        path: &Path<'_>,
        digest: impl FnOnce() -> Result<Digest, StatementError>,
    ) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let size = size(&mut object, path, truc_types::limits::EDXML_BYTES_MAX)?;
        object.finish()?;
        Ok(Self { sha256: digest()?, size })
    }
}
