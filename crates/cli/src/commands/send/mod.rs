//! `truc send`: hands a document to an edge, as files or as one edXML file.

mod header;

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio::time::Instant;
use tokio_stream::Stream;
use truc_proto::edge::v1::get_send_progress_response::Progress;
use truc_proto::edge::v1::{self as pb, send_document_request, send_edxml_request};
use truc_transport::violations::{self, Violation};
use truc_types::Reason;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};

use self::header::{Header, Secrecy, in_options};
use super::follow::{Patience, Until, follow};
use super::remote::{Client, EdgeAddress};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::media::media_type;
use crate::output::Output;

/// How often a person sees how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Hand a document to an edge. The edge stores it, seals it and goes on trying until the axis has it; the message id is printed.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Your own name of the document, unique: the same again gives the same message, and goes on where an upload broke.
    #[arg(long, value_name = "REF")]
    reference: String,
    /// Secrecy mark of the document (độ mật). Only `none` travels on this axis; you must say it.
    #[arg(long, value_enum, value_name = "MARK")]
    secrecy: Secrecy,
    /// A national edXML file, which says everything else.
    #[arg(long, value_name = "FILE")]
    edxml: Option<PathBuf>,
    #[command(flatten)]
    header: Header,
    /// Wait until the document is so far, and show every step. Exit code 4 when the time is over before.
    #[arg(long, value_enum, value_name = "UNTIL", num_args = 0..=1, require_equals = true, default_missing_value = "fetched")]
    wait: Option<Until>,
    /// How long --wait waits.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wait")]
    wait_seconds: u64,
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
        None => (send_document(&mut client, &arguments, output).await?, Vec::new()),
    };
    if !output.is_json() {
        for warning in &warnings {
            let sentence = output.language().choose(&warning.message_en, &warning.message_vi);
            output.talk(&format!("{}: {sentence}", warning.rule));
        }
    }
    output.data(&message_id, &Sent { message_id: &message_id, reference: &arguments.reference, warnings })?;
    let Some(until) = arguments.wait else { return Ok(Exit::Done) };
    let patience = Patience { until, seconds_max: Some(arguments.wait_seconds) };
    follow(&mut client, &arguments.edge, &message_id, patience, output).await
}

async fn send_document(client: &mut Client, arguments: &Arguments, output: &mut Output) -> Result<String, Failure> {
    if arguments.header.files.len() > ATTACHMENTS_MAX {
        return Err(Failure::Usage(format!("{} files, at most {ATTACHMENTS_MAX} are allowed", arguments.header.files.len())));
    }
    let mut attachments = Vec::new();
    for path in &arguments.header.files {
        let (_, size) = open(path, ATTACHMENT_BYTES_MAX).await?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        attachments.push(pb::Attachment { name, media_type: media_type(path).to_owned(), size, sha256: String::new() });
    }
    let total = attachments.iter().map(|attachment| attachment.size).sum::<u64>();
    let document = arguments.header.document(arguments.secrecy, attachments);
    let header = pb::DocumentHeader { client_reference: arguments.reference.clone(), document: Some(document) };
    let kept = kept(client, arguments).await?.filter(|kept| *kept <= total);
    if let Some(kept) = kept {
        let (kept, total) = (measure::bytes(kept), measure::bytes(total));
        output.talk(&match output.language() {
            Language::En => format!("the edge has {kept} of {total} from an earlier try; going on there"),
            Language::Vi => format!("nút biên đã có {kept} trên {total} từ lần gửi trước; gửi tiếp từ đó"),
        });
    }
    match upload(client, arguments, header.clone(), kept, total, output).await {
        // What is kept belongs to another header, or was swept meanwhile: from the beginning then.
        Err(Failure::Refused(refusal))
            if kept.is_some() && matches!(refusal.reason, Reason::ReferenceConflict | Reason::HandInPosition) =>
        {
            upload(client, arguments, header, None, total, output).await
        }
        sent => sent,
    }
}

/// How many bytes the edge has of an earlier try that broke.
async fn kept(client: &mut Client, arguments: &Arguments) -> Result<Option<u64>, Failure> {
    let request = pb::GetSendProgressRequest { client_reference: arguments.reference.clone() };
    match client.get_send_progress(request).await.map_err(|status| arguments.edge.failure(&status)) {
        Ok(response) => match response.into_inner().progress {
            Some(Progress::BytesKept(kept)) => Ok(Some(kept)),
            // Handed in before: the same call again says whether it is the same document.
            Some(Progress::MessageId(_)) | None => Ok(None),
        },
        Err(Failure::Refused(refusal)) if refusal.reason == Reason::MessageUnknown => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Sends the header and the bytes from an offset on, and shows a person how far it is.
async fn upload(
    client: &mut Client,
    arguments: &Arguments,
    header: pb::DocumentHeader,
    from: Option<u64>,
    total: u64,
    output: &mut Output,
) -> Result<String, Failure> {
    let (mut files, mut skip) = (VecDeque::new(), from.unwrap_or(0));
    for path in &arguments.header.files {
        let ((path, mut file), size) = open(path, ATTACHMENT_BYTES_MAX).await?;
        let here = skip.min(size);
        skip -= here;
        let failed = |source| Failure::file(&path, source);
        file.get_mut().seek(SeekFrom::Start(here)).await.map_err(failed)?;
        file.set_limit(size - here);
        files.push_back((path, file));
    }
    let request = Some(send_document_request::Request::Header(header));
    let header = pb::SendDocumentRequest { request, resume_from: from };
    let sent = Arc::new(AtomicU64::new(from.unwrap_or(0)));
    let data =
        |data: bytes::Bytes| pb::SendDocumentRequest { request: Some(send_document_request::Request::Data(data)), resume_from: None };
    let (requests, broken) = stream(header, files, Arc::clone(&sent), data);
    let answered = shown(client.send_document(requests), &sent, total, output).await;
    answer(arguments, answered, broken).map(|response| response.message_id)
}

/// Waits for the answer and shows a person how far the bytes are.
async fn shown<T>(call: impl Future<Output = T>, sent: &AtomicU64, total: u64, output: &mut Output) -> T {
    tokio::pin!(call);
    let first = Instant::now() + PROGRESS_EVERY;
    let mut ticks = tokio::time::interval_at(first, PROGRESS_EVERY);
    loop {
        tokio::select! {
            answered = &mut call => {
                output.progress_end();
                return answered;
            }
            _ = ticks.tick() => output.progress(&measure::bytes_bar(sent.load(Ordering::Relaxed), total)),
        }
    }
}

async fn send_edxml(
    client: &mut Client,
    arguments: &Arguments,
    path: &Path,
    output: &mut Output,
) -> Result<(String, Vec<Finding>), Failure> {
    let (file, total) = open(path, BLOB_BYTES_MAX).await?;
    let secrecy = arguments.secrecy.on_wire().into();
    let header = pb::EdxmlHeader { client_reference: arguments.reference.clone(), secrecy };
    let header = pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Header(header)) };
    let data = |data: bytes::Bytes| pb::SendEdxmlRequest { request: Some(send_edxml_request::Request::Data(data)) };
    let counted = Arc::new(AtomicU64::new(0));
    let (requests, broken) = stream(header, VecDeque::from([file]), Arc::clone(&counted), data);
    let sent = shown(client.send_edxml(requests), &counted, total, output).await;
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
        (Err(status), Err(_)) => Err(in_options(arguments.edge.failure(&status))),
    }
}

/// A file and its length, which is what will be sent of it: the edge is told before.
async fn open(path: &Path, bytes_max: u64) -> Result<((PathBuf, Take<File>), u64), Failure> {
    let failed = |source| Failure::file(path, source);
    let file = File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    if size == 0 {
        return Err(Failure::Usage(format!("{} is empty: leave it out, the edge refuses empty attachments", path.display())));
    }
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
    sent: Arc<AtomicU64>,
    data: impl Fn(bytes::Bytes) -> R + Send + 'static,
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
                Ok(read) => {
                    if sender.send(data(piece.into())).await.is_err() {
                        return;
                    }
                    sent.fetch_add(u64::try_from(read).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
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
