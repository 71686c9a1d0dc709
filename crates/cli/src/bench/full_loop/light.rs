//! The driver without edges' disks: light edges in this process, each with a fixed number of documents on their way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_edge::light::LightEdge;
use truc_types::{MessageId, OrganisationCode};

use super::{Arguments, PATIENCE, Run, WARM_UP, partner};
use crate::bench::axis::Axis;
use crate::bench::figures::{defect, histogram, record};
use crate::bench::light;
use crate::bench::stock::{ATTACHMENT, draft};
use crate::failure::Failure;

/// Documents of one agency that are being sealed or wait for their acceptance; the others wait for receipts.
const SUBMITTING_MAX: usize = 64;

/// When documents count: those that return in this span.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Instant,
    to: Instant,
}

/// The documents of one agency that are on their way, and what became of the others.
struct Tally {
    /// Set once all are connected.
    span: OnceLock<Span>,
    begun: Mutex<HashMap<MessageId, Instant>>,
    back: Mutex<(u64, Histogram<u64>)>,
    places: Semaphore,
}

impl Tally {
    /// The last receipt about a document was verified just now.
    fn returned(&self, message_id: MessageId) {
        let (now, since) = (Instant::now(), self.begun.lock().remove(&message_id));
        {
            let mut back = self.back.lock();
            back.0 += 1;
            if let Some(since) = since.filter(|_| self.span.get().is_some_and(|span| (span.from..span.to).contains(&now))) {
                record(&mut back.1, since, now);
            }
        }
        self.places.add_permits(1);
    }
}

/// A light edge with the documents that it sent.
struct Sender {
    edge: LightEdge,
    tally: Arc<Tally>,
    partners: Vec<OrganisationCode>,
    turn: AtomicUsize,
}

pub(super) async fn run(arguments: &Arguments, axis: &Axis) -> Result<Run, Failure> {
    let each = usize::from(arguments.in_flight).div_ceil(axis.agencies.len());
    let latencies = histogram()?;
    let tallies = Mutex::new(Vec::with_capacity(axis.agencies.len()));
    let told = || {
        let back = Mutex::new((0, latencies.clone()));
        let tally = Arc::new(Tally { span: OnceLock::new(), begun: Mutex::default(), back, places: Semaphore::new(each) });
        tallies.lock().push(Arc::clone(&tally));
        move |message_id| tally.returned(message_id)
    };
    let (edges, mut loops) = light::connect(axis, &[Bytes::from_static(ATTACHMENT)], Duration::ZERO, told).await?;
    let senders = edges.into_iter().zip(tallies.into_inner()).enumerate().map(|(own, (edge, tally))| {
        let partners = usize::from(arguments.partners);
        let partners = (0..partners).filter_map(|turn| axis.agencies.get(partner(own, turn, partners, axis.agencies.len())));
        Arc::new(Sender { edge, tally, partners: partners.map(|agency| (&agency.code).into()).collect(), turn: AtomicUsize::new(0) })
    });
    let senders: Vec<_> = senders.collect();
    loops.beside(load(&senders, Duration::from_secs(u64::from(arguments.seconds)), each)).await
}

async fn load(senders: &[Arc<Sender>], seconds: Duration, each: usize) -> Result<Run, Failure> {
    let from = Instant::now() + WARM_UP;
    let span = Span { from, to: from + seconds };
    let mut work = JoinSet::new();
    for sender in senders {
        if sender.tally.span.set(span).is_err() {
            return Err(defect("a span that was set before"));
        }
        for _ in 0..each.min(SUBMITTING_MAX) {
            work.spawn(Arc::clone(sender).send_until(span.to));
        }
    }
    let mut begun = 0;
    while let Some(sent) = work.join_next().await {
        begun += sent.map_err(|cause| defect(&cause.to_string()))??;
    }
    let all = u32::try_from(each).map_err(|cause| defect(&cause.to_string()))?;
    for sender in senders {
        let back = tokio::time::timeout(PATIENCE, sender.tally.places.acquire_many(all)).await;
        let lost =
            || Failure::BadAnswer(format!("{} documents of {} did not return", sender.tally.begun.lock().len(), sender.edge.agency()));
        drop(back.map_err(|_| lost())?);
    }
    found(senders, begun, seconds).await
}

/// Adds up what the agencies saw; every document must have been verified everywhere.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
async fn found(senders: &[Arc<Sender>], begun: u64, seconds: Duration) -> Result<Run, Failure> {
    let (mut latencies, mut verified, mut edges) = (histogram()?, 0, Vec::with_capacity(senders.len()));
    for sender in senders {
        let back = sender.tally.back.lock();
        latencies.add(&back.1).map_err(|cause| defect(&cause.to_string()))?;
        verified += back.0;
        edges.push(sender.edge.clone());
    }
    let done = light::check(&edges, begun, begun).await?;
    if verified != begun {
        return Err(Failure::BadAnswer(format!("{begun} documents were sent, {verified} are back")));
    }
    Ok(Run {
        documents_per_second: latencies.len() as f64 / seconds.as_secs_f64(),
        latencies,
        verified,
        documents_per_receipt: Some(done.items_logged as f64 / f64::max(1.0, done.receipts_logged as f64)),
    })
}

impl Sender {
    /// Sends whenever there is a place, until the time is over; how many.
    async fn send_until(self: Arc<Self>, end: Instant) -> Result<u64, Failure> {
        let mut sent = 0;
        loop {
            // Given back when the document is back.
            let place = tokio::time::timeout_at(end, self.tally.places.acquire()).await;
            let Ok(Ok(place)) = place else { return Ok(sent) };
            if Instant::now() >= end {
                return Ok(sent);
            }
            place.forget();
            sent += 1;
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let recipient = self.partners.get(turn % self.partners.len().max(1)).cloned();
            let number = u64::try_from(turn).unwrap_or(u64::MAX);
            let begun = Instant::now();
            let document = self.edge.seal(draft(self.edge.agency(), number, recipient.as_slice()));
            self.tally.begun.lock().insert(document.message_id, begun);
            self.edge.submit(document).await.map_err(Failure::Refused)?;
        }
    }
}
