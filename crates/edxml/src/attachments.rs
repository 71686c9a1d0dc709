//! AttachmentEncoded and its join with the manifest. Names are display text: nothing here, or anywhere, makes a path of them.

use std::io::BufRead;

use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_MAX, DOC_TEXT_BYTES_MAX};

use crate::base64_stream::Base64Fault;
use crate::content::{AttachmentSink, Content, ContentFault, Received, Unpack};
use crate::diagnostic::{Diagnostic, Findings, Place};
use crate::limits::{CONTENT_ID_BYTES_MAX, EXPANSION_RATIO_MAX, TOKEN_BYTES_MAX};
use crate::manifest::{Reference, content_id_of, join};
use crate::media::{by_extension, extension, is_media_type, leads_out};
use crate::message::AttachmentInfo;
use crate::rule::Rule;
use crate::section::Section;
use crate::tree::{Element, TextBudget, read_element, skip_element};
use crate::xml::{Namespace, Step, Steps, Stop};
use crate::zip_stream::ZipFault;

/// An attachment before it is joined with the manifest: its small fields, and what became of its content.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) fields: Element,
    received: Option<Received>,
}

/// Reads the attachments of AttachmentEncoded, which was just opened.
pub(crate) fn read<R: BufRead>(
    steps: &mut Steps<R>,
    references: &[Reference],
    budget: &mut TextBudget,
    findings: &mut Findings,
    sink: &mut dyn AttachmentSink,
) -> Result<Vec<Attachment>, Stop> {
    let mut attachments = Vec::new();
    loop {
        match steps.next()? {
            Step::Open { name, namespace } if name == "Attachment" && namespace != Namespace::Foreign => {
                if attachments.len() >= ATTACHMENTS_MAX {
                    return Err(steps.fault(Rule::TooManyAttachments, "", format!("≤ {ATTACHMENTS_MAX}")));
                }
                attachments.push(attachment(steps, attachments.len(), references, budget, findings, sink)?);
            }
            Step::Open { name, .. } => {
                findings.add(steps.place(), Rule::ElementUnknown, &name, "Attachment");
                skip_element(steps)?;
            }
            Step::Text(_) => {}
            Step::Close | Step::End => return Ok(attachments),
        }
    }
}

fn attachment<R: BufRead>(
    steps: &mut Steps<R>,
    index: usize,
    references: &[Reference],
    budget: &mut TextBudget,
    findings: &mut Findings,
    sink: &mut dyn AttachmentSink,
) -> Result<Attachment, Stop> {
    let place = steps.place();
    let fields = Element {
        name: "Attachment".to_owned(),
        path: place.path.to_owned(),
        line: place.line,
        column: place.column,
        ..Element::default()
    };
    let mut attachment = Attachment { fields, received: None };
    let mut has_content = false;
    loop {
        match steps.next()? {
            Step::Open { name, namespace } if name == "ContentTransferEncoded" && namespace != Namespace::Foreign => {
                if has_content {
                    return Err(steps.fault(Rule::ElementRepeated, &name, "1"));
                }
                has_content = true;
                let unpack = unpack(&attachment.fields, references);
                attachment.received = content(steps, index, unpack, findings, sink)?;
            }
            Step::Open { name, namespace: Namespace::Foreign } => {
                findings.add(steps.place(), Rule::ElementUnknown, &name, "");
                skip_element(steps)?;
            }
            Step::Open { name, .. } => attachment.fields.children.push(read_element(steps, name, budget, findings)?),
            Step::Text(_) => {}
            Step::Close | Step::End => {
                if !has_content {
                    findings.add(attachment.fields.place(), Rule::Missing, "", "ContentTransferEncoded");
                }
                return Ok(attachment);
            }
        }
    }
}

/// Whether to unpack, by what stands before the content, or by the manifest.
fn unpack(fields: &Element, references: &[Reference]) -> Unpack {
    let own = |name: &str| {
        fields.children.iter().find(|child| child.name == name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    };
    let reference =
        own("ContentId").and_then(|id| references.iter().find(|reference| reference.content_id.as_deref() == Some(content_id_of(id))));
    let declared = own("ContentType").or_else(|| reference.and_then(|reference| reference.media_type.as_deref()));
    let name = own("AttachmentName").or_else(|| reference.and_then(|reference| reference.name.as_deref()));
    match (declared, name) {
        (Some(declared), _) if !declared.eq_ignore_ascii_case("application/zip") => Unpack::No,
        (_, Some(name)) if extension(name) == "zip" => Unpack::No,
        (Some(_), Some(_)) => Unpack::Yes,
        _ => Unpack::Unknown,
    }
}

/// Streams one content. A fault of the content is a finding, the rest of it is passed over; `Stop` is for the message's own faults.
fn content<R: BufRead>(
    steps: &mut Steps<R>,
    index: usize,
    unpack: Unpack,
    findings: &mut Findings,
    sink: &mut dyn AttachmentSink,
) -> Result<Option<Received>, Stop> {
    let place = steps.place();
    let path = place.path.to_owned();
    let place = Place { path: &path, ..place };
    let mut running = Some(Content::begin(index, unpack, sink).map_err(|fault| stop_of(fault, steps))?);
    loop {
        let mut feed = |text: &[u8]| match running.as_mut().map(|content| content.push(text)) {
            Some(Err(ContentFault::Sink(error))) => Err(Stop::Sink(error)),
            Some(Err(fault)) => {
                // Said at once: what follows may stop the reader.
                findings.push(finding(&fault, place));
                running = None;
                Ok(())
            }
            Some(Ok(())) | None => Ok(()),
        };
        steps.stream_text(&mut feed)?;
        match steps.next()? {
            Step::Text(text) => feed(text.as_bytes())?,
            Step::Open { name, .. } => return Err(steps.fault(Rule::ElementMisplaced, &name, "base64")),
            Step::Close | Step::End => break,
        }
    }
    match running.map(Content::finish) {
        None => Ok(None),
        Some(Ok(received)) => Ok(Some(received)),
        Some(Err(ContentFault::Sink(error))) => Err(Stop::Sink(error)),
        Some(Err(fault)) => {
            findings.push(finding(&fault, place));
            Ok(None)
        }
    }
}

fn stop_of<R: BufRead>(fault: ContentFault, steps: &Steps<R>) -> Stop {
    match fault {
        ContentFault::Sink(error) => Stop::Sink(error),
        other => Stop::Fault(Box::new(finding(&other, steps.place()))),
    }
}

fn finding(fault: &ContentFault, place: Place<'_>) -> Diagnostic {
    match fault {
        ContentFault::Base64(Base64Fault::Character(found)) => {
            place.diagnostic(Rule::Base64Character, &found.to_string(), "A-Z a-z 0-9 + / =")
        }
        ContentFault::Base64(Base64Fault::Padding) => place.diagnostic(Rule::Base64Padding, "", "= / =="),
        ContentFault::Base64(Base64Fault::Truncated) => place.diagnostic(Rule::Base64Truncated, "", "4 n"),
        ContentFault::TooLarge => place.diagnostic(Rule::AttachmentTooLarge, "", format!("≤ {ATTACHMENT_BYTES_MAX} bytes")),
        ContentFault::Undecided => place.diagnostic(Rule::ZipUndecided, "PK", "ContentType, AttachmentName, ContentTransferEncoded"),
        ContentFault::EmptyArchive => place.diagnostic(Rule::ZipEmpty, "", "1"),
        ContentFault::Zip(ZipFault::Unsupported(what)) => place.diagnostic(Rule::ZipUnsupported, what, "stored, deflate"),
        ContentFault::Zip(ZipFault::Corrupt(what)) => place.diagnostic(Rule::ZipCorrupt, what, ""),
        ContentFault::Zip(ZipFault::Truncated) => place.diagnostic(Rule::ZipTruncated, "", ""),
        ContentFault::Zip(ZipFault::Checksum) => place.diagnostic(Rule::ZipChecksum, "", "CRC-32"),
        ContentFault::Zip(ZipFault::Expansion) => place.diagnostic(Rule::ZipExpansion, "", format!("≤ {EXPANSION_RATIO_MAX} : 1")),
        ContentFault::Sink(error) => place.diagnostic(Rule::NotWellFormed, &error.to_string(), ""),
    }
}

/// Joins attachments and manifest by ContentId and checks both. Gives the attachments, and the indexes of those that were unpacked.
pub(crate) fn finish(attachments: Vec<Attachment>, references: &[Reference], findings: &mut Findings) -> (Vec<AttachmentInfo>, Vec<usize>) {
    let ids: Vec<_> = attachments.iter().map(|attachment| content_id(&attachment.fields)).collect();
    let joined = join(&attachments, &ids, references, findings);
    let ids = given_or_made(ids);
    let (mut infos, mut unpacked) = (Vec::new(), Vec::new());
    for ((attachment, id), reference) in attachments.into_iter().zip(ids).zip(joined) {
        if attachment.received.as_ref().is_some_and(|received| received.was_zipped) {
            unpacked.push(infos.len());
        }
        infos.extend(info(attachment, id, reference, findings));
    }
    (infos, unpacked)
}

fn content_id(fields: &Element) -> Option<String> {
    let id = fields.children.iter().find(|child| child.name == "ContentId")?;
    Some(content_id_of(&id.text)).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Attachments without a ContentId get one of their own, so that every attachment can be named.
fn given_or_made(ids: Vec<Option<String>>) -> Vec<String> {
    let given = ids.clone();
    let made = |index: usize| {
        let mut id = format!("attachment-{}", index + 1);
        while given.iter().flatten().any(|other| *other == id) {
            id.push('x');
        }
        id
    };
    ids.into_iter().enumerate().map(|(index, id)| id.unwrap_or_else(|| made(index))).collect()
}

fn info(attachment: Attachment, content_id: String, reference: Option<&Reference>, findings: &mut Findings) -> Option<AttachmentInfo> {
    let mut fields = Section::new(&attachment.fields);
    let place = fields.place();
    if content_id.len() > CONTENT_ID_BYTES_MAX {
        findings.add(place, Rule::TextTooLong, &content_id, format!("≤ {CONTENT_ID_BYTES_MAX} bytes"));
    }
    fields.known(&["ContentId", "FieldName", "Format"]);
    let own_name = fields.text("AttachmentName", ATTACHMENT_NAME_BYTES_MAX, findings);
    let own_type = fields.text("ContentType", TOKEN_BYTES_MAX, findings);
    let mime_type = fields.text("MimeType", TOKEN_BYTES_MAX, findings);
    let description =
        fields.text("Description", DOC_TEXT_BYTES_MAX, findings).or_else(|| reference.and_then(|known| known.description.clone()));
    fields.finish(findings);
    for (own, listed) in [(&own_name, reference.map(|known| &known.name)), (&own_type, reference.map(|known| &known.media_type))] {
        if let (Some(own), Some(Some(listed))) = (own, listed)
            && !own.eq_ignore_ascii_case(listed)
        {
            findings.add(place, Rule::ManifestMismatch, own, listed.chars().take(60).collect::<String>());
        }
    }
    let declared = own_type.or_else(|| reference.and_then(|known| known.media_type.clone()));
    let Some(name) = own_name.or_else(|| reference.and_then(|known| known.name.clone())) else {
        findings.add(place, Rule::Missing, "", "AttachmentName");
        return None;
    };
    check_name(&name, place, findings);
    let received = attachment.received?;
    check_received(&received, &name, place, findings);
    let media_type = media_type(mime_type, declared, &name, &received, place, findings);
    let Received { size, sha256, .. } = received;
    Some(AttachmentInfo { name, description, media_type, content_id, size, sha256 })
}

fn check_name(name: &str, place: Place<'_>, findings: &mut Findings) {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let rule = match (leads_out(name), name.contains(['/', '\\'])) {
        (true, _) => Rule::NameTraversal,
        (false, true) => Rule::NameSeparator,
        (false, false) => return,
    };
    if base.is_empty() || leads_out(base) {
        findings.add(place, rule, name, "");
    } else {
        findings.suggest(place, rule, name, "", base.to_owned());
    }
}

fn check_received(received: &Received, name: &str, place: Place<'_>, findings: &mut Findings) {
    if received.not_zip {
        findings.add(place, Rule::ZipNotZip, name, "application/zip");
    }
    if received.second_entry {
        findings.add(place, Rule::ZipSecondEntry, name, "1");
    }
    if leads_out(&received.entry_name) {
        findings.add(place, Rule::ZipEntryName, &received.entry_name, "");
    }
    // Formats that are archives themselves, and names that say nothing, are left alone.
    let is_archive_itself =
        !matches!(extension(name).as_str(), "pdf" | "doc" | "xls" | "ppt" | "rtf" | "txt" | "csv" | "xml" | "png" | "jpg" | "jpeg");
    if received.looks_like_archive && !received.was_zipped && !is_archive_itself {
        findings.suggest(place, Rule::ZipUndeclared, name, "", "<ContentType>application/zip</ContentType>".to_owned());
    }
}

/// `MimeType`, or what was declared, or by the name where that says nothing.
fn media_type(
    mime_type: Option<String>,
    declared: Option<String>,
    name: &str,
    received: &Received,
    place: Place<'_>,
    findings: &mut Findings,
) -> String {
    let mut valid = |text: Option<String>| {
        let text = text?;
        if !is_media_type(&text) {
            findings.suggest(place, Rule::MediaType, &text, "type/subtype", by_extension(name).to_owned());
            return None;
        }
        Some(text.to_ascii_lowercase())
    };
    let (mime_type, declared) = (valid(mime_type), valid(declared));
    let says_nothing = |declared: &String| {
        received.was_zipped || declared == "application/zip" || declared.strip_prefix("application/") == Some(&extension(name))
    };
    mime_type.or_else(|| declared.filter(|declared| !says_nothing(declared))).unwrap_or_else(|| by_extension(name).to_owned())
}
