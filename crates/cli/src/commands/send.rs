//! `truc send`: hands a document to an edge, as files or as one edXML file.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, Take};
use tokio_stream::Stream;
use truc_proto::edge::v1::document_status::Stage;
use truc_proto::edge::v1::{self as pb, send_document_request, send_edxml_request};
use truc_transport::violations::{self, Violation};
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};

use super::remote::{Client, EdgeAddress};
use super::status;
use crate::failure::{Exit, Failure};
use crate::media::media_type;
use crate::output::Output;

/// Hand a document to an edge. The edge stores it, seals it and goes on trying until the axis has it; the message id is printed.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Your own name of the document, unique: the same again gives the same message.
    #[arg(long, value_name = "REF")]
    reference: String,
    /// Secrecy mark of the document. Only `none` travels on this axis; you must say it.
    #[arg(long, value_name = "MARK")]
    secrecy: String,
    /// A national edXML file, which says everything else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "number", "notation", "subject", "files"])]
    edxml: Option<PathBuf>,
    /// Code of a recipient; several with commas, or the option again.
    #[arg(long, value_name = "CODE", required_unless_present = "edxml", value_delimiter = ',')]
    to: Vec<String>,
    /// The organisation that sends; without it the agency of the edge.
    #[arg(long, value_name = "CODE", conflicts_with = "edxml")]
    from: Option<String>,
    /// Number of the document.
    #[arg(long, required_unless_present = "edxml")]
    number: Option<String>,
    /// Notation of the document.
    #[arg(long, required_unless_present = "edxml")]
    notation: Option<String>,
    /// Abstract (trích yếu).
    #[arg(long, required_unless_present = "edxml")]
    subject: Option<String>,
    /// Name of the document type, e.g. "Công văn".
    #[arg(long = "type", value_name = "NAME", conflicts_with = "edxml")]
    type_name: Option<String>,
    /// Issue date, yyyy-MM-dd.
    #[arg(long, value_name = "DATE", conflicts_with = "edxml")]
    issued_on: Option<String>,
    /// Answer deadline, yyyy-MM-dd.
    #[arg(long, value_name = "DATE", conflicts_with = "edxml")]
    due_on: Option<String>,
    /// 0 normal, 1 urgent, 2 very urgent, 3 flash.
    #[arg(long, value_name = "DIGIT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=3), conflicts_with = "edxml")]
    urgency: u32,
    /// The message that this one answers.
    #[arg(long, value_name = "MESSAGE", conflicts_with = "edxml")]
    in_reply_to: Option<String>,
    /// Wait until the axis has accepted or refused it.
    #[arg(long)]
    wait: bool,
    /// The attachments, in order.
    #[arg(value_name = "FILE", required_unless_present = "edxml")]
    files: Vec<PathBuf>,
}

#[derive(serde::Serialize)]
struct Sent<'a> {
    message_id: &'a str,
    reference: &'a str,
    /// What the reader of edXML tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Finding>,
}

/// Something wrong or odd in an edXML file.
#[derive(serde::Serialize)]
struct Finding {
    rule: String,
    severity: &'static str,
    path: String,
    line: u32,
    column: u32,
    found: String,
    expected: String,
    suggestion: String,
    message_vi: String,
    message_en: String,
}

impl From<pb::EdxmlDiagnostic> for Finding {
    fn from(diagnostic: pb::EdxmlDiagnostic) -> Self {
        let severity = match diagnostic.severity() {
            pb::edxml_diagnostic::Severity::Warning => "warning",
            _ => "error",
        };
        let pb::EdxmlDiagnostic { rule, path, line, column, found, expected, suggestion, message_vi, message_en, .. } = diagnostic;
        Self { rule, severity, path, line, column, found, expected, suggestion, message_vi, message_en }
    }
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = arguments.edge.connect().await?;
    let (message_id, warnings) = match &arguments.edxml {
        Some(file) => send_edxml(&mut client, &arguments, file, output).await?,
        None => (send_document(&mut client, &arguments).await?, Vec::new()),
    };
    if !output.is_json() {
        for warning in &warnings {
            let sentence = output.language().choose(&warning.message_en, &warning.message_vi);
            output.talk(&format!("{}: {sentence}", warning.rule));
        }
    }
    output.data(&message_id, &Sent { message_id: &message_id, reference: &arguments.reference, warnings })?;
    if !arguments.wait {
        return Ok(Exit::Done);
    }
    let decided = |status: &pb::DocumentStatus| matches!(status.stage(), Stage::Accepted | Stage::RefusedByAxis);
    status::watch(&mut client, &arguments.edge, &message_id, output, decided).await
}

async fn send_document(client: &mut Client, arguments: &Arguments) -> Result<String, Failure> {
    if arguments.files.len() > ATTACHMENTS_MAX {
        return Err(Failure::Usage(format!("{} files, at most {ATTACHMENTS_MAX} are allowed", arguments.files.len())));
    }
    let mut files = VecDeque::new();
    let mut attachments = Vec::new();
    for path in &arguments.files {
        let (file, size) = open(path, ATTACHMENT_BYTES_MAX).await?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        attachments.push(pb::AttachmentHeader { name, media_type: media_type(path).to_owned(), size });
        files.push_back(file);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let header = pb::DocumentHeader {
        client_reference: arguments.reference.clone(),
        sender: text(&arguments.from),
        recipients: arguments.to.clone(),
        number: text(&arguments.number),
        notation: text(&arguments.notation),
        subject: text(&arguments.subject),
        type_name: text(&arguments.type_name),
        issued_on: text(&arguments.issued_on),
        due_on: text(&arguments.due_on),
        urgency: arguments.urgency,
        secrecy: arguments.secrecy.clone(),
        in_reply_to: text(&arguments.in_reply_to),
        attachments,
        ..pb::DocumentHeader::default()
    };
    let header = pb::SendDocumentRequest { request: Some(send_document_request::Request::Header(header)) };
    let data = |data: Vec<u8>| pb::SendDocumentRequest { request: Some(send_document_request::Request::Data(data.into())) };
    let (requests, broken) = stream(header, files, data);
    let sent = client.send_document(requests).await;
    answer(arguments, sent, broken).map(|response| response.message_id)
}

async fn send_edxml(
    client: &mut Client,
    arguments: &Arguments,
    path: &Path,
    output: &mut Output,
) -> Result<(String, Vec<Finding>), Failure> {
    let (file, _) = open(path, BLOB_BYTES_MAX).await?;
    let header = pb::EdxmlHeader { client_reference: arguments.reference.clone(), secrecy: arguments.secrecy.clone() };
    let header = pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Header(header)) };
    let data = |data: Vec<u8>| pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Data(data.into())) };
    let (requests, broken) = stream(header, VecDeque::from([file]), data);
    let sent = client.send_edxml(requests).await;
    if let Err(status) = &sent {
        tell(&violations::of_status(status), output);
    }
    let response = answer(arguments, sent, broken)?;
    Ok((response.message_id, response.warnings.into_iter().map(Finding::from).collect()))
}

/// Everything that is wrong with a file, before the refusal itself: one line each, an object each for programs.
fn tell(violations: &[Violation], output: &mut Output) {
    for Violation { field, rule, english, vietnamese } in violations {
        let text = if output.is_json() {
            serde_json::json!({ "rule": rule, "path": field, "message_en": english, "message_vi": vietnamese }).to_string()
        } else {
            format!("{rule}: {}", output.language().choose(english, vietnamese))
        };
        output.talk(&text);
    }
}

/// The answer; a file that broke while it was sent is the better explanation of whatever the edge said then.
fn answer<T>(arguments: &Arguments, sent: Result<tonic::Response<T>, tonic::Status>, mut broken: Broken) -> Result<T, Failure> {
    match (sent, broken.try_recv()) {
        (_, Ok(failure)) => Err(failure),
        (Ok(response), Err(_)) => Ok(response.into_inner()),
        (Err(status), Err(_)) => Err(arguments.edge.failure(&status)),
    }
}

/// A file and its length, which is what will be sent of it: the edge is told before.
async fn open(path: &Path, bytes_max: u64) -> Result<((PathBuf, Take<File>), u64), Failure> {
    let failed = |source| Failure::file(path, source);
    let file = File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    if size > bytes_max {
        return Err(Failure::Usage(format!("{} has {size} bytes, at most {bytes_max} are allowed", path.display())));
    }
    Ok(((path.to_owned(), file.take(size)), size))
}

type Broken = tokio::sync::oneshot::Receiver<Failure>;

/// The header, then the bytes of all files in pieces. A file that cannot be read any more ends the stream early: the edge then lacks bytes
/// and stores nothing.
fn stream<R: Send + 'static>(
    header: R,
    mut files: VecDeque<(PathBuf, Take<File>)>,
    data: impl Fn(Vec<u8>) -> R + Send + 'static,
) -> (impl Stream<Item = R> + Send + 'static, Broken) {
    // A few pieces under way at once: the next is read while one is sent.
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let (report, broken) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        if sender.send(header).await.is_err() {
            return;
        }
        while let Some((path, file)) = files.front_mut() {
            let mut piece = Vec::with_capacity(BLOB_CHUNK_BYTES);
            match file.take(BLOB_CHUNK_BYTES as u64).read_to_end(&mut piece).await {
                Ok(0) => {
                    files.pop_front();
                }
                Ok(_) if sender.send(data(piece)).await.is_err() => return,
                Ok(_) => {}
                Err(source) => {
                    // Nobody listens any more when the call has ended already.
                    let _told: Result<(), Failure> = report.send(Failure::file(path, source));
                    return;
                }
            }
        }
    });
    (tokio_stream::wrappers::ReceiverStream::new(receiver), broken)
}
