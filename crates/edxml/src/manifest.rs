//! The manifest: what the envelope says of the attachments, and its join with them.

use truc_types::limits::{ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_MAX, DOC_TEXT_BYTES_MAX};

use crate::attachments::Attachment;
use crate::diagnostic::{Findings, Place};
use crate::limits::TOKEN_BYTES_MAX;
use crate::rule::Rule;
use crate::section::Section;

/// One line of the manifest.
#[derive(Debug)]
pub(crate) struct Reference {
    path: String,
    line: u64,
    column: u64,
    /// Without `cid:`.
    pub(crate) content_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) media_type: Option<String>,
    pub(crate) description: Option<String>,
}

/// A ContentId without its optional `cid:`.
pub(crate) fn content_id_of(text: &str) -> &str {
    let text = text.trim();
    match text.split_at_checked(4) {
        Some((scheme, id)) if scheme.eq_ignore_ascii_case("cid:") => id,
        _ => text,
    }
}

/// Reads the manifest of an envelope's body.
pub(crate) fn read(mut body: Section<'_>, findings: &mut Findings) -> Vec<Reference> {
    let mut manifest = body.section("edXMLManifest", findings);
    let elements = manifest.children("Reference", findings);
    if let Some(first_over) = elements.get(ATTACHMENTS_MAX) {
        findings.add(first_over.place(), Rule::TooManyAttachments, &elements.len().to_string(), format!("≤ {ATTACHMENTS_MAX}"));
    }
    let mut references = Vec::new();
    for element in elements.into_iter().take(ATTACHMENTS_MAX) {
        let mut fields = Section::new(element);
        let content_id = fields.required("ContentId", DOC_TEXT_BYTES_MAX, findings).map(|text| content_id_of(&text).to_owned());
        let name = fields.text("AttachmentName", ATTACHMENT_NAME_BYTES_MAX, findings);
        let media_type = fields.text("ContentType", TOKEN_BYTES_MAX, findings);
        let description = fields.text("Description", DOC_TEXT_BYTES_MAX, findings);
        fields.finish(findings);
        references.push(Reference {
            path: element.path.clone(),
            line: element.line,
            column: element.column,
            content_id,
            name,
            media_type,
            description,
        });
    }
    manifest.finish(findings);
    body.finish(findings);
    references
}

/// For each attachment its line of the manifest; what has no partner is reported.
pub(crate) fn join<'a>(
    attachments: &[Attachment],
    ids: &[Option<String>],
    references: &'a [Reference],
    findings: &mut Findings,
) -> Vec<Option<&'a Reference>> {
    let mut joined = Vec::new();
    for (index, (attachment, id)) in attachments.iter().zip(ids).enumerate() {
        let place = attachment.fields.place();
        if id.is_some() && ids.iter().take(index).any(|earlier| earlier == id) {
            findings.add(place, Rule::ContentIdTwice, id.as_deref().unwrap_or_default(), "");
        }
        let reference = references.iter().find(|reference| id.is_some() && reference.content_id == *id);
        if reference.is_none() {
            findings.add(place, Rule::AttachmentWithoutReference, id.as_deref().unwrap_or_default(), "Reference/ContentId");
        }
        joined.push(reference);
    }
    for reference in references {
        if reference.content_id.is_some() && !ids.contains(&reference.content_id) {
            let place = Place { path: &reference.path, line: reference.line, column: reference.column };
            findings.add(
                place,
                Rule::ReferenceWithoutAttachment,
                reference.content_id.as_deref().unwrap_or_default(),
                "Attachment/ContentId",
            );
        }
    }
    joined
}
