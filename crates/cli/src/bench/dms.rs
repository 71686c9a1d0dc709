//! The document-management systems of a bench with real edges: they hand documents in, read and register what arrives, and watch what becomes of theirs.
//! Every document is noted at every stage, once and only once, with the time since it was begun.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_proto::edge::v1::event::Kind;
use truc_proto::edge::v1::{self as pb, send_document_request};
use truc_types::AgencyCode;
use truc_types::limits::BLOB_CHUNK_BYTES;

use super::figures::{defect, histogram, record};
use crate::commands::remote::Client;
use crate::failure::Failure;

/// Registrations of one DMS that wait for their answer.
const ACKNOWLEDGING_MAX: usize = 32;
/// Documents after which a DMS says what it has stored.
const CONFIRM_EVERY: u64 = 64;

/// A stage of a document on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its edge answered: it is stored there.
    Stored,
    /// The sender's DMS is told that it is in the log of the axis; its edge verified that.
    Accepted,
    /// The recipient's DMS has it.
    Shown,
    /// The sender's DMS is told of the recipient's `fetched` receipt.
    Fetched,
    /// The sender's DMS is told that the recipient registered it.
    Returned,
}

impl Stage {
    pub(super) const ALL: [Self; 5] = [Self::Stored, Self::Accepted, Self::Shown, Self::Fetched, Self::Returned];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Accepted => "accepted",
            Self::Shown => "shown",
            Self::Fetched => "fetched receipt",
            Self::Returned => "acknowledged receipt",
        }
    }
}

/// When a document counts: when it was begun in this span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

/// All documents of a run.
pub(super) struct Register {
    span: Span,
    begun: Mutex<Vec<Instant>>,
    stages: [Mutex<Passed>; Stage::ALL.len()],
    returned: watch::Sender<u64>,
    /// Places of a closed loop; one is given back for each document that returned.
    pub(super) places: Semaphore,
}

/// Who has passed a stage.
struct Passed {
    seen: Vec<bool>,
    latencies: Histogram<u64>,
    /// Microseconds of the documents begun in each second of the span.
    by_second: Vec<Vec<u32>>,
    /// Those that passed it within the span, whenever they were begun.
    in_span: u64,
}

impl Register {
    /// Nothing is begun yet.
    pub(super) fn new(span: Span, places: usize) -> Result<Self, Failure> {
        let passed = || histogram().map(|latencies| Mutex::new(Passed { seen: Vec::new(), latencies, by_second: Vec::new(), in_span: 0 }));
        let stages = [passed()?, passed()?, passed()?, passed()?, passed()?];
        Ok(Self { span, begun: Mutex::default(), stages, returned: watch::Sender::new(0), places: Semaphore::new(places) })
    }

    /// The number of a document that begins at an instant.
    pub(super) fn begin(&self, at: Instant) -> u64 {
        let mut begun = self.begun.lock();
        begun.push(at);
        begun.len() as u64 - 1
    }

    /// Documents that were begun.
    pub(super) fn count(&self) -> u64 {
        self.begun.lock().len() as u64
    }

    /// A document reached a stage just now.
    pub(super) fn reach(&self, number: u64, stage: Stage) -> Result<(), Failure> {
        let now = Instant::now();
        let unknown = || Failure::BadAnswer(format!("document {number}, which nobody sent, is {}", stage.name()));
        let index = usize::try_from(number).map_err(|_| unknown())?;
        let since = *self.begun.lock().get(index).ok_or_else(unknown)?;
        let passed = self.stages.get(stage as usize).ok_or_else(unknown)?;
        let mut passed = passed.lock();
        if passed.seen.len() <= index {
            passed.seen.resize(index + 1, false);
        }
        match passed.seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(Failure::BadAnswer(format!("document {number} is {} twice", stage.name()))),
        }
        if (self.span.from..self.span.to).contains(&now) {
            passed.in_span += 1;
        }
        if (self.span.from..self.span.to).contains(&since) {
            record(&mut passed.latencies, since, now);
            let second = usize::try_from(since.saturating_duration_since(self.span.from).as_secs()).map_err(|_| unknown())?;
            let took = u32::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u32::MAX);
            if passed.by_second.len() <= second {
                passed.by_second.resize_with(second + 1, Vec::new);
            }
            passed.by_second.get_mut(second).into_iter().for_each(|micros| micros.push(took));
        }
        drop(passed);
        if stage == Stage::Returned {
            self.places.add_permits(1);
            self.returned.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Waits until so many documents have returned.
    pub(super) async fn all_returned(&self, count: u64, patience: Duration) -> Result<(), Failure> {
        let mut returned = self.returned.subscribe();
        let waited = tokio::time::timeout(patience, returned.wait_for(|returned| *returned >= count)).await.is_ok();
        let back = *self.returned.borrow();
        if waited {
            Ok(())
        } else {
            Err(Failure::BadAnswer(format!("{back} of {count} documents are back after {} s", patience.as_secs())))
        }
    }

    /// Latencies of a stage, of documents that count.
    pub(super) fn latencies(&self, stage: Stage) -> Result<Histogram<u64>, Failure> {
        self.stages.get(stage as usize).map(|passed| passed.lock().latencies.clone()).ok_or_else(|| defect("a stage without a place"))
    }

    /// The p99 of a stage in milliseconds, of the documents begun in each second of the span: a moment in which everything waited can decide that of the
    /// whole, and says nothing of the other seconds.
    pub(super) fn p99_by_second(&self, stage: Stage) -> Vec<f64> {
        let passed = self.stages.get(stage as usize).map(Mutex::lock);
        passed.iter().flat_map(|passed| &passed.by_second).filter_map(|micros| p99_ms(micros)).collect()
    }

    /// Documents a second that passed a stage within the span.
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    pub(super) fn rate(&self, stage: Stage) -> f64 {
        let passed = self.stages.get(stage as usize).map_or(0, |passed| passed.lock().in_span);
        passed as f64 / self.span.to.saturating_duration_since(self.span.from).as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// The value below which 99 of 100 lie.
fn p99_ms(micros: &[u32]) -> Option<f64> {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * 99).div_ceil(100).checked_sub(1)?;
    sorted.get(place).map(|micros| f64::from(*micros) / 1_000.0)
}

/// The DMS of an agency.
#[derive(Clone)]
pub(super) struct Dms {
    pub(super) agency: AgencyCode,
    client: Client,
    register: Arc<Register>,
}

impl Dms {
    pub(super) const fn new(agency: AgencyCode, client: Client, register: Arc<Register>) -> Self {
        Self { agency, client, register }
    }

    /// Reads and watches for ever, or until something is wrong.
    pub(super) fn attend(&self, tasks: &mut JoinSet<Result<(), Failure>>) {
        tasks.spawn(self.clone().watch());
        tasks.spawn(self.clone().read());
    }

    /// Hands a document with one attachment in.
    pub(super) async fn send(mut self, number: u64, recipient: AgencyCode, attachment: Bytes) -> Result<(), Failure> {
        let document = pb::Document {
            recipients: vec![recipient.to_string()],
            number: number.to_string(),
            notation: "BTC-NSNN".to_owned(),
            subject: "Về việc hướng dẫn quyết toán ngân sách năm 2026 và lập dự toán năm 2027".to_owned(),
            r#type: Some(pb::DocumentType { name: "Công văn".to_owned(), ..Default::default() }),
            urgency: pb::Urgency::Normal.into(),
            secrecy: pb::Secrecy::None.into(),
            attachments: vec![pb::Attachment {
                name: "Công văn.pdf".to_owned(),
                media_type: "application/pdf".to_owned(),
                size: attachment.len() as u64,
                sha256: String::new(),
            }],
            ..pb::Document::default()
        };
        let header = pb::DocumentHeader { client_reference: number.to_string(), document: Some(document) };
        let mut requests = vec![send_document_request::Request::Header(header)];
        let mut rest = attachment;
        while !rest.is_empty() {
            requests.push(send_document_request::Request::Data(rest.split_to(rest.len().min(BLOB_CHUNK_BYTES))));
        }
        let requests = requests.into_iter().map(|request| pb::SendDocumentRequest { request: Some(request), resume_from: None });
        self.client.send_document(tokio_stream::iter(requests)).await.map_err(|status| self.failed(&status))?;
        self.register.reach(number, Stage::Stored)
    }

    /// What becomes of the documents that this agency sent.
    async fn watch(mut self) -> Result<(), Failure> {
        let events = self.client.watch_events(pb::WatchEventsRequest { after_cursor: 0, no_wait: false }).await;
        let mut events = events.map_err(|status| self.failed(&status))?.into_inner();
        while let Some(response) = events.message().await.map_err(|status| self.failed(&status))? {
            for event in response.events {
                let stage = match event.kind() {
                    Kind::Accepted => Stage::Accepted,
                    Kind::Fetched => Stage::Fetched,
                    Kind::Acknowledged => Stage::Returned,
                    Kind::RefusedByAxis | Kind::Refused => {
                        return Err(Failure::BadAnswer(format!("{}: {} {}", event.message_id, event.reason, event.reason_text)));
                    }
                    _ => continue,
                };
                self.register.reach(number(&event.client_reference)?, stage)?;
            }
        }
        Err(self.ended())
    }

    /// Registers what arrives.
    async fn read(mut self) -> Result<(), Failure> {
        let documents = self.client.receive_documents(pb::ReceiveDocumentsRequest { after_cursor: Some(0), no_wait: false }).await;
        let mut documents = documents.map_err(|status| self.failed(&status))?.into_inner();
        let (mut acknowledging, mut confirmed) = (JoinSet::new(), 0);
        while let Some(response) = documents.message().await.map_err(|status| self.failed(&status))? {
            let Some(document) = response.document else { return Err(Failure::BadAnswer("an arrival without a document".to_owned())) };
            self.register.reach(number(&document.document.unwrap_or_default().number)?, Stage::Shown)?;
            let request = pb::AcknowledgeRequest {
                message_id: document.message_id,
                recipient: document.recipient,
                arrival_number: document.queue_position.to_string(),
            };
            let mut client = self.client.clone();
            while acknowledging.len() >= ACKNOWLEDGING_MAX {
                self.acknowledged(acknowledging.join_next().await)?;
            }
            acknowledging.spawn(async move { client.acknowledge(request).await.map(drop) });
            while let Some(done) = acknowledging.try_join_next() {
                self.acknowledged(Some(done))?;
            }
            if response.cursor >= confirmed + CONFIRM_EVERY {
                confirmed = response.cursor;
                let confirm = pb::ConfirmDocumentsRequest { cursor: confirmed };
                self.client.confirm_documents(confirm).await.map_err(|status| self.failed(&status))?;
            }
        }
        Err(self.ended())
    }

    fn acknowledged(&self, done: Option<Result<Result<(), tonic::Status>, tokio::task::JoinError>>) -> Result<(), Failure> {
        match done {
            Some(Ok(Err(status))) => Err(self.failed(&status)),
            Some(Err(cause)) => Err(defect(&cause.to_string())),
            Some(Ok(Ok(()))) | None => Ok(()),
        }
    }

    fn failed(&self, status: &tonic::Status) -> Failure {
        Failure::of_status(&format!("the edge of {}", self.agency), status)
    }

    fn ended(&self) -> Failure {
        Failure::BadAnswer(format!("the edge of {} ended a stream", self.agency))
    }
}

/// The number of a document, which the bench wrote into reference and number.
fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::BadAnswer(format!("a document that nobody sent: {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_nine_of_a_hundred_are_not_above_it() {
        let micros: Vec<u32> = (1..=200).rev().map(|value| value * 1_000).collect();
        assert_eq!((p99_ms(&micros), p99_ms(&[7_000]), p99_ms(&[])), (Some(198.0), Some(7.0), None));
    }

    #[test]
    fn documents_count_for_the_second_in_which_they_were_begun() {
        let to = Instant::now();
        let span = Span { from: to.checked_sub(Duration::from_secs(3)).unwrap(), to };
        let register = Register::new(span, 0).unwrap();
        for seconds in [0, 2, 2] {
            let number = register.begin(span.from + Duration::from_secs(seconds));
            register.reach(number, Stage::Stored).unwrap();
        }
        let early = register.begin(span.from.checked_sub(Duration::from_secs(1)).unwrap());
        register.reach(early, Stage::Stored).unwrap();
        // All of them are reached just now, three seconds and one after they were begun; in the second between nothing was.
        let [first, last] = register.p99_by_second(Stage::Stored).try_into().unwrap();
        assert!((3_000.0..4_000.0).contains(&first) && (1_000.0..2_000.0).contains(&last), "{first} {last}");
        assert!(register.p99_by_second(Stage::Shown).is_empty());
    }
}
