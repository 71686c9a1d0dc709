//! Attachments as the national library sends them: some extensions raw, everything else as an archive with one entry.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};
use truc_types::Digest;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_MAX, DOC_TEXT_BYTES_MAX, MEDIA_TYPE_BYTES_MAX};

use super::archive::Archive;
use super::base64_text::Base64Text;
use super::fields::Fields;
use super::{AttachmentSource, WriteError};
use crate::limits::{CHUNK_BYTES_MAX, CONTENT_ID_BYTES_MAX};
use crate::media::{self, extension};
use crate::message::AttachmentInfo;
use crate::xml::NAMESPACE;

/// Extensions whose files travel as they are. `xsl` and `xslx` are the national library's own misspellings of xls and xlsx, which therefore travel
/// as archives: its readers unpack by this list, so it is part of the format.
const RAW: [&str; 6] = ["pdf", "doc", "docx", "xsl", "xslx", "zip"];

/// `ContentType` on the wire, and whether the bytes go into an archive.
fn content_type(name: &str) -> (String, bool) {
    let extension = extension(name);
    if RAW.contains(&extension.as_str()) { (format!("application/{extension}"), false) } else { ("application/zip".to_owned(), true) }
}

/// The manifest: one reference for each attachment.
pub(super) fn manifest(attachments: &[AttachmentInfo], fields: &mut Fields) -> Result<(), WriteError> {
    fields.check_items("AttachmentEncoded", attachments.len(), ATTACHMENTS_MAX)?;
    if attachments.is_empty() {
        fields.line("<edXML:edXMLManifest version=\"1.0\"/>");
        return Ok(());
    }
    fields.start("edXMLManifest", " version=\"1.0\"");
    for (index, attachment) in attachments.iter().enumerate() {
        fields.numbered("Reference", index, |fields| {
            fields.value("ContentId", &format!("cid:{}", content_id(attachment, fields)?));
            fields.value("ContentType", &content_type(&attachment.name).0);
            fields.text("Description", attachment.description.as_deref(), DOC_TEXT_BYTES_MAX)?;
            fields.required("AttachmentName", &attachment.name, ATTACHMENT_NAME_BYTES_MAX)
        })?;
    }
    fields.end("edXMLManifest");
    Ok(())
}

fn content_id<'a>(attachment: &'a AttachmentInfo, fields: &Fields) -> Result<&'a str, WriteError> {
    let id = attachment.content_id.trim();
    if id.is_empty() {
        return Err(WriteError::Missing { field: fields.path("ContentId") });
    }
    fields.check("ContentId", id, CONTENT_ID_BYTES_MAX)?;
    Ok(id)
}

/// What stands before the content of each attachment, checked.
pub(super) fn heads(attachments: &[AttachmentInfo]) -> Result<Vec<String>, WriteError> {
    let head = |(index, attachment): (usize, &AttachmentInfo)| {
        let mut fields = Fields::outside(2);
        fields.start("Attachment", "");
        fields.enter(&format!("Attachment[{}]", index + 1));
        let id = content_id(attachment, &fields)?;
        if attachments.iter().take(index).any(|earlier| earlier.content_id.trim() == id) {
            return Err(WriteError::Repeated { field: fields.path("ContentId") });
        }
        fields.value("ContentId", &format!("cid:{id}"));
        if media::leads_out(&attachment.name) {
            return Err(WriteError::NameTraversal { field: fields.path("AttachmentName") });
        }
        fields.required("AttachmentName", &attachment.name, ATTACHMENT_NAME_BYTES_MAX)?;
        fields.text("Description", attachment.description.as_deref(), DOC_TEXT_BYTES_MAX)?;
        if attachment.media_type != media::by_extension(&attachment.name) {
            if !media::is_media_type(&attachment.media_type) {
                return Err(WriteError::OutOfRange { field: fields.path("MimeType"), value: "no media type".to_owned() });
            }
            fields.text("MimeType", Some(&attachment.media_type), MEDIA_TYPE_BYTES_MAX)?;
        }
        fields.value("ContentType", &content_type(&attachment.name).0);
        if attachment.size > ATTACHMENT_BYTES_MAX {
            return Err(WriteError::AttachmentTooLarge { index, bytes: attachment.size, limit: ATTACHMENT_BYTES_MAX });
        }
        Ok(fields.finish())
    };
    attachments.iter().enumerate().map(head).collect()
}

/// Writes AttachmentEncoded, taking each content from its source.
pub(super) fn write(
    attachments: &[AttachmentInfo],
    heads: &[String],
    source: &mut dyn AttachmentSource,
    out: &mut dyn Write,
) -> Result<(), WriteError> {
    if attachments.is_empty() {
        return out.write_all(b"  <AttachmentEncoded/>\n").map_err(WriteError::Output);
    }
    out.write_all(b"  <AttachmentEncoded>\n").map_err(WriteError::Output)?;
    for (index, (attachment, head)) in attachments.iter().zip(heads).enumerate() {
        // The national library declares the prefix again here: the content stands outside the envelope.
        let start = format!("{head}      <edXML:ContentTransferEncoded xmlns:edXML=\"{NAMESPACE}\">");
        out.write_all(start.as_bytes()).map_err(WriteError::Output)?;
        let mut reader = source.open(index).map_err(|source| WriteError::Source { index, source })?;
        content(index, attachment, &mut *reader, out)?;
        out.write_all(b"</edXML:ContentTransferEncoded>\n    </Attachment>\n").map_err(WriteError::Output)?;
    }
    out.write_all(b"  </AttachmentEncoded>\n").map_err(WriteError::Output)
}

fn content(index: usize, attachment: &AttachmentInfo, reader: &mut dyn Read, out: &mut dyn Write) -> Result<(), WriteError> {
    let mut text = Base64Text::new(out);
    if content_type(&attachment.name).1 {
        let mut archive =
            Archive::begin(entry_name(index, &attachment.name), |bytes: &[u8]| text.push(bytes)).map_err(WriteError::Output)?;
        copy(index, attachment, reader, |bytes| archive.push(bytes))?;
        archive.finish().map_err(WriteError::Output)?;
    } else {
        copy(index, attachment, reader, |bytes| text.push(bytes))?;
    }
    text.finish().map_err(WriteError::Output)
}

/// The name inside the archive: receivers use the attachment's own. Made of nothing that anybody could take for a path.
fn entry_name(index: usize, name: &str) -> String {
    let extension = extension(name);
    let plain = (1..=10).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    format!("attachment-{}.{}", index + 1, if plain { &extension } else { "bin" })
}

/// Passes the source on and compares it with what the message says of it.
fn copy(
    index: usize,
    attachment: &AttachmentInfo,
    reader: &mut dyn Read,
    mut out: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), WriteError> {
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    loop {
        let count = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(source) if source.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(WriteError::Source { index, source }),
        };
        let bytes = chunk.get(..count).unwrap_or_default();
        size = size.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if size > attachment.size {
            break;
        }
        hasher.update(bytes);
        out(bytes).map_err(WriteError::Output)?;
    }
    let same = size == attachment.size && Digest(hasher.finalize().into()) == attachment.sha256;
    if same { Ok(()) } else { Err(WriteError::AttachmentDiffers { index }) }
}
