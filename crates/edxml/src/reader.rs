//! `read_message`: the top of an edXML message, its two halves in either order, and the verdict.

use std::io::BufRead;

use crate::attachments::{self, Attachment};
use crate::content::AttachmentSink;
use crate::diagnostic::Findings;
use crate::error::ReadError;
use crate::header;
use crate::manifest::{self, Reference};
use crate::message::Message;
use crate::rule::Rule;
use crate::section::Section;
use crate::tree::{Element, TextBudget, read_element, skip_element};
use crate::xml::{NAMESPACE, Namespace, Step, Steps, Stop};

/// Reads one edXML message with a new document from the start of `input` to its end; attachments go to `sink`, decoded and unpacked.
///
/// Memory is bounded by [`limits`](crate::limits), whatever the size of the message: attachments pass in chunks of at most
/// [`CHUNK_BYTES_MAX`](crate::limits::CHUNK_BYTES_MAX). Nothing is read but `input`: no file, no network, no clock.
///
/// # Errors
/// [`ReadError::Refused`] with everything found wrong, [`ReadError::Unsupported`] for status packets, recalls, updates and replacements, and the
/// errors of input and sink as they came.
pub fn read_message(input: impl BufRead, sink: &mut dyn AttachmentSink) -> Result<Message, ReadError> {
    let mut steps = Steps::new(input);
    let mut findings = Findings::default();
    match read(&mut steps, sink, &mut findings) {
        Ok(Some(message)) if !findings.refused() => Ok(Message { warnings: findings.into_sorted(), ..message }),
        Ok(_) => Err(ReadError::Refused { diagnostics: findings.into_sorted() }),
        Err(Stop::Fault(fault)) => {
            findings.push(*fault);
            Err(ReadError::Refused { diagnostics: findings.into_sorted() })
        }
        Err(Stop::Input(error)) => Err(ReadError::Input(error)),
        Err(Stop::Sink(error)) => Err(ReadError::Sink(error)),
        Err(Stop::Unsupported(packet)) => Err(ReadError::Unsupported { packet }),
    }
}

/// What the envelope gave.
struct Envelope {
    message: Option<Message>,
    references: Vec<Reference>,
}

fn read<R: BufRead>(steps: &mut Steps<R>, sink: &mut dyn AttachmentSink, findings: &mut Findings) -> Result<Option<Message>, Stop> {
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
                    findings.add(steps.place(), Rule::NamespaceMissing, &name, NAMESPACE);
                }
                let element = read_element(steps, name, &mut budget, findings)?;
                envelope = Some(read_envelope(&element, findings)?);
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
    if attachments.is_empty() {
        findings.add(steps.place(), Rule::NoAttachment, "", "AttachmentEncoded/Attachment");
    }
    let infos = attachments::finish(attachments, &envelope.references, findings);
    Ok(envelope.message.map(|message| Message { attachments: infos, ..message }))
}

fn open_root<R: BufRead>(steps: &mut Steps<R>, findings: &mut Findings) -> Result<Namespace, Stop> {
    let Step::Open { name, namespace } = steps.next()? else {
        return Err(steps.fault(Rule::Root, "", "edXML"));
    };
    if name != "edXML" {
        return Err(steps.fault(Rule::Root, &name, "edXML"));
    }
    match namespace {
        Namespace::National => Ok(namespace),
        Namespace::Absent => {
            findings.add(steps.place(), Rule::NamespaceMissing, "", NAMESPACE);
            Ok(namespace)
        }
        Namespace::Foreign => Err(steps.fault(Rule::Root, &name, NAMESPACE)),
    }
}

/// Reads header and manifest; another kind of packet ends the reading here, before any attachment behind it.
fn read_envelope(element: &Element, findings: &mut Findings) -> Result<Envelope, Stop> {
    let mut envelope = Section::new(element);
    let message = header::read(envelope.section("edXMLHeader", findings), findings).map_err(Stop::Unsupported)?;
    let references = manifest::read(envelope.section("edXMLBody", findings), findings);
    envelope.finish(findings);
    Ok(Envelope { message, references })
}
