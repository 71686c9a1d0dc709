//! `truc send`: hands a document to an edge, as files or as one edXML file.

use std::collections::VecDeque;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Take};
use tokio_stream::Stream;
use truc_proto::edge::v1::get_send_progress_response::Progress;
use truc_proto::edge::v1::{self as pb, Stage, send_document_request, send_edxml_request};
use truc_transport::violations::{self, Violation};
use truc_types::Reason;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};

use super::remote::{Client, EdgeAddress};
use super::status;
use crate::failure::{Exit, Failure};
use crate::media::media_type;
use crate::output::Output;

/// How often a person sees how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Documents smaller than this are gone before anybody has read the line.
pub(super) const SHOWN_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Hand a document to an edge. The edge stores it, seals it and goes on trying until the axis has it; the message id is printed.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// Your own name of the document, unique: the same again gives the same message, and goes on where an upload broke.
    #[arg(long, value_name = "REF")]
    reference: String,
    /// Secrecy mark of the document: none, mat, toi-mat or tuyet-mat. Only `none` travels on this axis; you must say it.
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
    /// 0 normal, 1 urgent, 2 very urgent, 3 flash, 4 flash at a set hour.
    #[arg(long, value_name = "DIGIT", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=4), conflicts_with = "edxml")]
    urgency: i32,
    /// The set hour of urgency 4, e.g. 2026-03-02T01:15:00.000Z.
    #[arg(long, value_name = "TIME", conflicts_with = "edxml")]
    urgent_at: Option<String>,
    /// National document identifier (mã định danh văn bản).
    #[arg(long, value_name = "ID", conflicts_with = "edxml")]
    document_id: Option<String>,
    /// Place of issue.
    #[arg(long, conflicts_with = "edxml")]
    place: Option<String>,
    /// Summary (nội dung).
    #[arg(long, value_name = "TEXT", conflicts_with = "edxml")]
    content: Option<String>,
    /// Authority prefix of the person who signed: TM., KT., TL., …
    #[arg(long, value_name = "PREFIX", conflicts_with = "edxml")]
    signer_competence: Option<String>,
    /// Post of the person who signed.
    #[arg(long, value_name = "POST", conflicts_with = "edxml")]
    signer_position: Option<String>,
    /// Name of the person who signed.
    #[arg(long, value_name = "NAME", conflicts_with = "edxml")]
    signer_name: Option<String>,
    /// Number of pages.
    #[arg(long, value_name = "COUNT", conflicts_with = "edxml")]
    pages: Option<u32>,
    /// A paper copy is sent as well.
    #[arg(long, conflicts_with = "edxml")]
    paper: bool,
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
        None => (send_document(&mut client, &arguments, output).await?, Vec::new()),
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

async fn send_document(client: &mut Client, arguments: &Arguments, output: &mut Output) -> Result<String, Failure> {
    if arguments.files.len() > ATTACHMENTS_MAX {
        return Err(Failure::Usage(format!("{} files, at most {ATTACHMENTS_MAX} are allowed", arguments.files.len())));
    }
    let mut attachments = Vec::new();
    for path in &arguments.files {
        let (_, size) = open(path, ATTACHMENT_BYTES_MAX).await?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        attachments.push(pb::Attachment { name, media_type: media_type(path).to_owned(), size, sha256: String::new() });
    }
    let total = attachments.iter().map(|attachment| attachment.size).sum::<u64>();
    let document = document(arguments, attachments)?;
    let header = pb::DocumentHeader { client_reference: arguments.reference.clone(), document: Some(document) };
    let kept = kept(client, arguments).await?.filter(|kept| *kept <= total);
    if let Some(kept) = kept {
        output.talk(&format!("the edge has {kept} of {total} bytes from an earlier try; going on there"));
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

fn secrecy(mark: &str) -> Result<pb::Secrecy, Failure> {
    match mark {
        "none" => Ok(pb::Secrecy::None),
        "mat" => Ok(pb::Secrecy::Confidential),
        "toi-mat" => Ok(pb::Secrecy::Secret),
        "tuyet-mat" => Ok(pb::Secrecy::TopSecret),
        other => Err(Failure::Usage(format!("--secrecy {other:?} is none of none, mat, toi-mat, tuyet-mat; only none is carried"))),
    }
}

fn document(arguments: &Arguments, attachments: Vec<pb::Attachment>) -> Result<pb::Document, Failure> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let secrecy = secrecy(&arguments.secrecy)?;
    let signer = pb::Signer {
        competence: text(&arguments.signer_competence),
        position: text(&arguments.signer_position),
        full_name: text(&arguments.signer_name),
    };
    let answered = arguments.in_reply_to.iter().map(|id| pb::DocumentReference { message_id: id.clone(), ..Default::default() });
    Ok(pb::Document {
        sender: text(&arguments.from),
        recipients: arguments.to.clone(),
        number: text(&arguments.number),
        notation: text(&arguments.notation),
        subject: text(&arguments.subject),
        r#type: arguments.type_name.clone().map(|name| pb::DocumentType { name, ..Default::default() }),
        document_id: text(&arguments.document_id),
        issued_on: text(&arguments.issued_on),
        place: text(&arguments.place),
        content: text(&arguments.content),
        signer: Some(signer).filter(|signer| *signer != pb::Signer::default()),
        due_on: text(&arguments.due_on),
        // The national digits begin with 0, which the interface keeps for "not said".
        urgency: arguments.urgency + 1,
        urgent_at: text(&arguments.urgent_at),
        secrecy: secrecy.into(),
        pages: arguments.pages,
        paper: arguments.paper,
        in_reply_to: answered.collect(),
        attachments,
        ..pb::Document::default()
    })
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
    for path in &arguments.files {
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
    let counted = Arc::clone(&sent);
    let data = move |data: Vec<u8>| {
        counted.fetch_add(u64::try_from(data.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        pb::SendDocumentRequest { request: Some(send_document_request::Request::Data(data.into())), resume_from: None }
    };
    let (requests, broken) = stream(header, files, data);
    let call = client.send_document(requests);
    tokio::pin!(call);
    let (mut ticks, mut shown) = (tokio::time::interval(PROGRESS_EVERY), false);
    let answered = loop {
        tokio::select! {
            answered = &mut call => break answered,
            _ = ticks.tick() => {
                let bytes = sent.load(Ordering::Relaxed);
                // The first tick comes at once, before there is anything to show.
                if bytes > 0 && total > SHOWN_BYTES_MIN {
                    output.progress(&format!("{bytes} of {total} bytes sent"), false);
                    shown = true;
                }
            }
        }
    };
    if shown {
        output.progress(&format!("{} of {total} bytes sent", sent.load(Ordering::Relaxed)), true);
    }
    answer(arguments, answered, broken).map(|response| response.message_id)
}

async fn send_edxml(
    client: &mut Client,
    arguments: &Arguments,
    path: &Path,
    output: &mut Output,
) -> Result<(String, Vec<Finding>), Failure> {
    let (file, _) = open(path, BLOB_BYTES_MAX).await?;
    let header = pb::EdxmlHeader { client_reference: arguments.reference.clone(), secrecy: secrecy(&arguments.secrecy)?.into() };
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
