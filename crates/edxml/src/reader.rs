//! `read_message`: the top of an edXML message, its two halves in either order, and the verdict.

use std::io::BufRead;

use crate::attachments::{self, Attachment};
use crate::business::BusinessKind;
use crate::content::AttachmentSink;
use crate::diagnostic::{Diagnostic, Findings};
use crate::error::ReadError;
use crate::header;
use crate::manifest::{self, Reference};
use crate::message::{Document, Message};
use crate::rule::Rule;
use crate::section::Section;
use crate::tree::{Element, TextBudget, read_element, skip_element};
use crate::xml::{NAMESPACE, Namespace, Step, Steps, Stop};

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The message.
    pub message: Message,
    /// What was read although it is not as the format has it, by place.
    pub warnings: Vec<Diagnostic>,
    /// How many more warnings there were than [`DIAGNOSTICS_MAX`](crate::limits::DIAGNOSTICS_MAX).
    pub more_warnings: u64,
    /// Indexes of the attachments that came in an archive of one entry and were unpacked.
    pub unpacked: Vec<usize>,
}

/// Reads one edXML message from the start of `input` to its end; attachments go to `sink`, decoded and unpacked.
///
/// Every kind of message is read; what the caller does not support it refuses by [`Message::kind`]. Memory is bounded by [`limits`](crate::limits),
/// whatever the size of the message: attachments pass in chunks of at most [`CHUNK_BYTES_MAX`](crate::limits::CHUNK_BYTES_MAX). Nothing is read but
/// `input`: no file, no network, no clock.
///
/// # Errors
/// [`ReadError::Refused`] with everything found wrong, and the errors of input and sink as they came.
pub fn read_message(input: impl BufRead, sink: &mut dyn AttachmentSink) -> Result<Reading, ReadError> {
    let mut steps = Steps::new(input);
    let mut findings = Findings::default();
    let read = match read(&mut steps, sink, &mut findings) {
        Ok(read) => read,
        Err(Stop::Fault(fault)) => {
            findings.push(*fault);
            None
        }
        Err(Stop::Input(error)) => return Err(ReadError::Input(error)),
        Err(Stop::Sink(error)) => return Err(ReadError::Sink(error)),
    };
    let refused = findings.refused();
    let (diagnostics, more) = findings.into_sorted();
    match read {
        Some((message, unpacked)) if !refused => Ok(Reading { message, warnings: diagnostics, more_warnings: more, unpacked }),
        _ => Err(ReadError::Refused { diagnostics, more }),
    }
}

/// What the envelope gave.
struct Envelope {
    message: Option<Message>,
    references: Vec<Reference>,
}

fn read<R: BufRead>(
    steps: &mut Steps<R>,
    sink: &mut dyn AttachmentSink,
    findings: &mut Findings,
) -> Result<Option<(Message, Vec<usize>)>, Stop> {
    let root = open_root(steps, findings)?;
    let mut budget = TextBudget::new();
    let mut envelope: Option<Envelope> = None;
    let mut attachments: Option<Vec<Attachment>> = None;
    loop {
        match steps.next()? {
            Step::Open { name, namespace } if namespace != Namespace::Foreign && name == "edXMLEnvelope" => {
                if envelope.is_some() {
                    return Err(steps.fault(Rule::ElementRepeated, &name, "1"));
                }
                if namespace == Namespace::Absent && root == Namespace::National {
                    findings.suggest(steps.place(), Rule::NamespaceMissing, &name, NAMESPACE, format!("xmlns:edXML=\"{NAMESPACE}\""));
                }
                let element = read_element(steps, name, &mut budget, findings)?;
                envelope = Some(read_envelope(&element, findings));
            }
            Step::Open { name, namespace } if namespace != Namespace::Foreign && name == "AttachmentEncoded" => {
                if attachments.is_some() {
                    return Err(steps.fault(Rule::ElementRepeated, &name, "1"));
                }
                let references = envelope.as_ref().map(|envelope| envelope.references.as_slice()).unwrap_or_default();
                attachments = Some(attachments::read(steps, references, &mut budget, findings, sink)?);
            }
            Step::Open { name, .. } => {
                findings.add(steps.place(), Rule::ElementUnknown, &name, "edXMLEnvelope, AttachmentEncoded");
                skip_element(steps)?;
            }
            Step::Text(_) | Step::Close => {}
            Step::End => break,
        }
    }
    let Some(envelope) = envelope else {
        return Err(steps.fault(Rule::Missing, "", "edXMLEnvelope"));
    };
    let attachments = attachments.unwrap_or_default();
    let has_attachments = !attachments.is_empty();
    let (infos, unpacked) = attachments::finish(attachments, &envelope.references, findings);
    match envelope.message {
        Some(Message::Document(document)) => {
            if !has_attachments && document.business.kind != BusinessKind::Recall {
                findings.add(steps.place(), Rule::NoAttachment, "", "AttachmentEncoded/Attachment");
            }
            Ok(Some((Message::Document(Box::new(Document { attachments: infos, ..*document })), unpacked)))
        }
        Some(status @ Message::Status(_)) => {
            if has_attachments {
                findings.add(steps.place(), Rule::AttachmentIgnored, &infos.len().to_string(), "0");
            }
            Ok(Some((status, Vec::new())))
        }
        None => Ok(None),
    }
}

fn open_root<R: BufRead>(steps: &mut Steps<R>, findings: &mut Findings) -> Result<Namespace, Stop> {
    let Step::Open { name, namespace } = steps.next()? else {
        return Err(steps.fault(Rule::Root, "", "edXML"));
    };
    match name.as_str() {
        "edXML" => {}
        // Dialects of 2015 travel in a SOAP envelope; their elements have other names and other meanings.
        "Envelope" => return Err(steps.fault(Rule::FormerDialect, &name, "edXML")),
        _ => return Err(steps.fault(Rule::Root, &name, "edXML")),
    }
    match namespace {
        Namespace::National => Ok(namespace),
        Namespace::Absent => {
            findings.suggest(steps.place(), Rule::NamespaceMissing, "", NAMESPACE, format!("xmlns=\"{NAMESPACE}\""));
            Ok(namespace)
        }
        Namespace::Foreign => Err(steps.fault(Rule::Root, &name, NAMESPACE)),
    }
}

/// Reads header and manifest.
fn read_envelope(element: &Element, findings: &mut Findings) -> Envelope {
    let mut envelope = Section::new(element);
    let message = header::read(envelope.section("edXMLHeader", findings), findings);
    let references = manifest::read(envelope.section("edXMLBody", findings), findings);
    envelope.finish(findings);
    Envelope { message, references }
}
