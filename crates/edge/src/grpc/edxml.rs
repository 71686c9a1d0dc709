//! SendEdxml and CheckEdxml: the national file is stored as it is and handed in, or only read; everything found in it is told.

use std::io::{self, BufReader};
use std::sync::Arc;

use tonic::{Status, Streaming};
use truc_edxml::{AttachmentSink, Diagnostic, ReadError, Severity, read_message};
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::edxml_diagnostic::Severity as ProtoSeverity;
use truc_proto::edge::v1::send_edxml_request::Request;
use truc_transport::status::status as status_of;
use truc_transport::violations::{self, Violation};
use truc_types::limits::BLOB_BYTES_MAX;
use truc_types::{Digest, Reason, Refusal};

use super::send::{Intake, check_chunk};
use super::{draft, invalid, next};
use crate::edxml::{Rejected, Staged, hand_in, supported};
use crate::node::Node;

/// Takes an edXML file.
pub(super) async fn send_edxml(node: &Arc<Node>, mut stream: Streaming<pb::SendEdxmlRequest>) -> Result<pb::SendEdxmlResponse, Status> {
    let Some(pb::SendEdxmlRequest { request: Some(Request::Header(header)) }) = next(&mut stream).await? else {
        return Err(status_of(&invalid("request", "the first request must be the header")));
    };
    let checked = draft::check_reference(&header.client_reference).and_then(|()| draft::secrecy("secrecy", header.secrecy));
    checked.map_err(|refusal| status_of(&refusal))?;
    let (chunks, mut intake) = Intake::new();
    let folder = node.hand_ins.root().to_owned();
    // Until it is known to be a document: half a file of a line that broke, and one that is refused, must leave nothing behind.
    let storing = tokio::task::spawn_blocking(move || Staged::copy(&folder, &mut intake).map_err(|cause| cause.to_refusal()));
    while let Some(request) = next(&mut stream).await? {
        let Some(Request::Data(data)) = request.request else {
            return Err(status_of(&invalid("request", "after the header only data may come")));
        };
        check_chunk(&data).map_err(|refusal| status_of(&refusal))?;
        if chunks.send(data).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let stored = storing.await.map_err(|cause| Status::internal(cause.to_string()))?;
    let staged = stored.map_err(|refusal| status_of(&refusal))?;
    let (message_id, warnings) = hand_in(node, header.client_reference, staged).await.map_err(|rejected| status_of_rejected(&rejected))?;
    Ok(pb::SendEdxmlResponse { message_id: message_id.to_string(), warnings: warnings.iter().map(diagnostic).collect() })
}

/// Reads an edXML file to its end and keeps nothing of it.
pub(super) async fn check_edxml(mut stream: Streaming<pb::CheckEdxmlRequest>) -> Result<pb::CheckEdxmlResponse, Status> {
    let (chunks, intake) = Intake::new();
    let reading = tokio::task::spawn_blocking(move || read_message(BufReader::new(intake), &mut Nowhere));
    let mut size = 0u64;
    while let Some(pb::CheckEdxmlRequest { data }) = next(&mut stream).await? {
        check_chunk(&data).map_err(|refusal| status_of(&refusal))?;
        size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if size > BLOB_BYTES_MAX {
            let message = format!("the file has more than the {BLOB_BYTES_MAX} bytes that are carried");
            return Err(status_of(&Refusal::new(Reason::AttachmentTooLarge, message).with("limit", BLOB_BYTES_MAX)));
        }
        if chunks.send(data).await.is_err() {
            break;
        }
    }
    drop(chunks);
    let read = reading.await.map_err(|cause| Status::internal(cause.to_string()))?;
    let (refusal, diagnostics) = match read {
        Ok(reading) => (supported(reading.message).err(), reading.warnings),
        Err(cause) => {
            let refusal = cause.refusal().ok_or_else(|| Status::internal(cause.to_string()))?;
            let ReadError::Refused { diagnostics, .. } = cause else { return Err(status_of(&refusal)) };
            (Some(refusal), diagnostics)
        }
    };
    Ok(pb::CheckEdxmlResponse {
        acceptable: refusal.is_none(),
        refusal_reason: refusal.as_ref().map(|refusal| refusal.reason.error_info()).unwrap_or_default(),
        refusal_message: refusal.map(|refusal| refusal.message).unwrap_or_default(),
        diagnostics: diagnostics.iter().map(diagnostic).collect(),
    })
}

struct Nowhere;

impl AttachmentSink for Nowhere {
    fn begin(&mut self, _index: usize) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
        Ok(())
    }
}

/// Errors first: what does not fit the header any more should be the warnings.
fn status_of_rejected(rejected: &Rejected) -> Status {
    let mut found: Vec<&Diagnostic> = rejected.diagnostics.iter().collect();
    found.sort_by_key(|diagnostic| diagnostic.severity == Severity::Warning);
    let violation = |diagnostic: &Diagnostic| Violation {
        field: diagnostic.path.clone(),
        rule: diagnostic.rule.code().replace('.', "_").to_ascii_uppercase(),
        english: diagnostic.message_en(),
        vietnamese: diagnostic.message_vi(),
    };
    let found: Vec<Violation> = found.into_iter().map(violation).collect();
    violations::status(&rejected.refusal, &found)
}

fn diagnostic(diagnostic: &Diagnostic) -> pb::EdxmlDiagnostic {
    let severity = match diagnostic.severity {
        Severity::Error => ProtoSeverity::Error,
        Severity::Warning => ProtoSeverity::Warning,
    };
    pb::EdxmlDiagnostic {
        rule: diagnostic.rule.code().to_owned(),
        path: diagnostic.path.clone(),
        line: u32::try_from(diagnostic.line).unwrap_or(u32::MAX),
        found: diagnostic.found.clone(),
        expected: diagnostic.expected.clone(),
        severity: severity.into(),
        column: u32::try_from(diagnostic.column).unwrap_or(u32::MAX),
        suggestion: diagnostic.suggestion.clone().unwrap_or_default(),
        message_vi: diagnostic.message_vi(),
        message_en: diagnostic.message_en(),
    }
}
