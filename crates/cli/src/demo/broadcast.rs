//! One PDF to all 94 agencies: one upload, one stored copy at the axis, 94 deliveries that do not wait for each other, 94 acknowledgements.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tokio::task::JoinSet;
use truc_proto::edge::v1::{self as pb, Step};
use truc_types::Digest;

use super::Show;
use super::axis::{Agency, Axis};
use super::letters::{Letter, PATIENCE, Sent, letter};
use crate::commands::remote::EdgeAddress;
use crate::failure::Failure;

/// The sender: an organisation that the edge of G22 serves, so that the 94 recipients are all agencies, its own among them.
const SENDER: &str = "000.00.00.A80";
/// Bytes of the PDF: the median attachment of the field.
const PDF_BYTES: usize = 640 * 1024;

/// How far one recipient is, in milliseconds after the sending.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    queued: Option<u128>,
    fetched: Option<u128>,
    acknowledged: Option<u128>,
}

/// Sends the PDF and follows it to every recipient.
pub(super) async fn run(axis: &Axis, show: &mut Show<'_>) -> Result<Sent, Failure> {
    let codes: Vec<&str> = axis.agencies().iter().map(|agency| agency.code.as_str()).collect();
    let Letter { requests, pdf } = letter(SENDER, "demo-broadcast", &codes, PDF_BYTES);
    let (count, bytes, digest) = (codes.len(), pdf.len(), sha256(&pdf));
    let mut dms = axis.dms("G22").await?;
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let begun = now();
    let message_id = dms.send_document(tokio_stream::iter(requests)).await.map_err(failed)?.into_inner().message_id;
    show.step(
        "sent",
        &format!("PDF of {bytes} bytes for {count} recipients stored at the edge of G22 as {message_id}"),
        &format!("tệp PDF {bytes} byte gửi {count} nơi nhận, nút biên G22 đã lưu với mã {message_id}"),
    )?;
    let mut recipients = JoinSet::new();
    for code in &codes {
        recipients.spawn(Box::pin(register((*code).to_owned(), axis.edge(code), message_id.clone())));
    }
    let rows = follow(axis, &message_id, begun, show).await?;
    while let Some(registered) = recipients.join_next().await {
        registered.map_err(|cause| Failure::BadAnswer(format!("a recipient of the demo broke: {cause}")))??;
    }
    let slowest = rows.values().filter_map(|row| row.acknowledged).max().unwrap_or_default();
    show.step(
        "broadcast",
        &format!("{count} of {count} acknowledged, the last after {slowest} ms"),
        &format!("{count}/{count} cơ quan đã tiếp nhận, cơ quan cuối sau {slowest} ms"),
    )?;
    copies(&axis.path("broker/blobs/blobs"), &digest, bytes, show)?;
    // Evidence of one recipient that is no agency of the story.
    Ok(Sent { message_id, recipients: vec!["H63".to_owned()] })
}

/// The document-management system of one recipient: waits for the document and registers it.
async fn register(code: String, edge: EdgeAddress, message_id: String) -> Result<(), Failure> {
    let mut dms = edge.connect().await?;
    let request = pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: false };
    let mut documents = dms.receive_documents(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    loop {
        let next = tokio::time::timeout(PATIENCE, documents.message()).await;
        let next = next.map_err(|_| Failure::BadAnswer(format!("{message_id} did not arrive at {code}")))?;
        let document = next.map_err(|status| edge.failure(&status))?.and_then(|response| response.document);
        let document = document.ok_or_else(|| Failure::BadAnswer(format!("the edge of {code} ended its stream")))?;
        if document.message_id == message_id && document.recipient == code {
            let arrival_number = document.queue_position.to_string();
            let request = pb::AcknowledgeRequest { message_id, recipient: code, arrival_number };
            return dms.acknowledge(request).await.map(drop).map_err(|status| edge.failure(&status));
        }
    }
}

/// The sender's view: a line for each recipient that has acknowledged, and how many are how far.
async fn follow(axis: &Axis, message_id: &str, begun: Instant, show: &mut Show<'_>) -> Result<BTreeMap<String, Row>, Failure> {
    let failed = |status: tonic::Status| Failure::of_status("the edge of G22", &status);
    let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
    let mut statuses = axis.dms("G22").await?.watch_status(request).await.map_err(failed)?.into_inner();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    show.step(
        "table",
        "code       queued    fetched  acknowledged   agency (* no official code)",
        "mã       vào hàng    đã lấy    đã tiếp nhận   cơ quan (* mã chưa chính thức)",
    )?;
    loop {
        let next = tokio::time::timeout(PATIENCE, statuses.message()).await;
        let next = next.map_err(|_| Failure::BadAnswer(format!("nothing new about {message_id} for {} s", PATIENCE.as_secs())))?;
        let Some(status) = next.map_err(failed)?.and_then(|response| response.status) else { break };
        if !status.refusal_reason.is_empty() {
            return Err(Failure::BadAnswer(format!("{message_id} was refused: {} {}", status.refusal_reason, status.refusal_message)));
        }
        let millis = begun.elapsed().as_millis();
        for recipient in &status.recipients {
            let row = rows.entry(recipient.recipient.clone()).or_default();
            let was_acknowledged = row.acknowledged.is_some();
            row.reach(recipient.step(), millis);
            if !was_acknowledged && row.acknowledged.is_some() {
                let row = *row;
                show_row(axis.agencies().iter().find(|agency| agency.code.as_str() == recipient.recipient), row, show)?;
            }
        }
        show_progress(&rows, show);
        if rows.values().all(|row| row.acknowledged.is_some()) && rows.len() == axis.agencies().len() {
            break;
        }
    }
    match rows.iter().find(|(_, row)| row.acknowledged.is_none()) {
        None if rows.len() == axis.agencies().len() => Ok(rows),
        None => Err(Failure::BadAnswer(format!("a status with {} recipients", rows.len()))),
        Some((code, _)) => Err(Failure::BadAnswer(format!("a status that ends before {code} acknowledged"))),
    }
}

impl Row {
    /// A step implies the ones before it, which may have passed too fast to be seen.
    fn reach(&mut self, step: Step, millis: u128) {
        if matches!(step, Step::Queued | Step::Fetched | Step::Acknowledged) {
            self.queued.get_or_insert(millis);
        }
        if matches!(step, Step::Fetched | Step::Acknowledged) {
            self.fetched.get_or_insert(millis);
        }
        if step == Step::Acknowledged {
            self.acknowledged.get_or_insert(millis);
        }
    }
}

fn show_row(agency: Option<&Agency>, row: Row, show: &mut Show<'_>) -> Result<(), Failure> {
    let Some(agency) = agency else { return Err(Failure::BadAnswer("a status with a recipient that nobody named".to_owned())) };
    let mark = if agency.is_code_official { ' ' } else { '*' };
    let [queued, fetched, acknowledged] = [row.queued, row.fetched, row.acknowledged].map(Option::unwrap_or_default);
    let text = format!("{:<4}{mark} {queued:>8} ms {fetched:>6} ms {acknowledged:>10} ms   {}", agency.code, agency.name);
    show.step("acknowledged", &text, &text)
}

fn show_progress(rows: &BTreeMap<String, Row>, show: &mut Show<'_>) {
    let count = |has: fn(&Row) -> bool| rows.values().filter(|row| has(row)).count();
    let (all, queued) = (rows.len(), count(|row| row.queued.is_some()));
    let (fetched, done) = (count(|row| row.fetched.is_some()), count(|row| row.acknowledged.is_some()));
    let bar = "#".repeat((done * 24).checked_div(all).unwrap_or(0));
    show.progress(
        &format!("[{bar:<24}] {done}/{all} acknowledged, {fetched} fetched, {queued} queued"),
        &format!("[{bar:<24}] {done}/{all} đã tiếp nhận, {fetched} đã lấy, {queued} trong hàng"),
    );
}

/// Counts the files of the broker that have the PDF's content: one, however many recipients.
fn copies(blobs: &Path, digest: &Digest, bytes: usize, show: &mut Show<'_>) -> Result<(), Failure> {
    let (mut copies, mut files) = (0, 0);
    let failed = |source| Failure::file(blobs, source);
    for folder in std::fs::read_dir(blobs).map_err(failed)? {
        for file in std::fs::read_dir(folder.map_err(failed)?.path()).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            files += 1;
            let content = std::fs::read(&path).map_err(|source| Failure::file(&path, source))?;
            copies += u32::from(content.len() == bytes && sha256(&content) == *digest);
        }
    }
    show.step(
        "stored",
        &format!("{copies} stored copy of the PDF at the axis, among {files} attachments"),
        &format!("trục lưu {copies} bản của tệp PDF, trong {files} tệp đính kèm"),
    )?;
    if copies == 1 { Ok(()) } else { Err(Failure::BadAnswer(format!("{copies} stored copies of one PDF"))) }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest(<sha2::Sha256 as sha2::Digest>::digest(bytes).into())
}

#[expect(clippy::disallowed_methods, reason = "how long the demo takes is shown to people; nothing depends on it")]
fn now() -> Instant {
    Instant::now()
}
