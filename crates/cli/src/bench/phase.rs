//! One phase of load on all lanes: closed loop (so many in flight) or open loop (so many a second). Verifies every answer, counts those after the warm-up.
//!
//! In the open loop a latency counts from the instant at which the document was to be sent: a broker that stalls is not spared the documents that could
//! not even leave because of it.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;
use truc_ledger::LogVerifier;

use super::check::Checker;
use super::figures::{defect, histogram};
use super::load::{Lane, Stream, ended, send};
use super::stock::Sealed;
use crate::failure::Failure;

/// Answers before this are verified but not counted: connections, caches and branch predictors settle.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// The time of one point of throughput over time.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// Slices of the longest phase that is asked for, ten minutes, and of what is still answered after it.
const SLICES_MAX: usize = 4 * 700;

/// What sets the pace.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many documents of one lane wait for answers; each answer sends the next.
    Closed { in_flight: usize },
    /// One document of all lanes together every so often, whatever the broker does.
    Open { interval: Duration },
}

/// What a phase found.
pub(super) struct Measured {
    /// Documents that were answered and verified, warm-up included.
    pub(super) verified: u64,
    /// Those of them that count.
    pub(super) counted: u64,
    /// The time in which those were answered.
    pub(super) time: Duration,
    /// Latencies in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Blocks that the answers were in.
    pub(super) blocks: usize,
    /// Documents answered in each [`SLICE`] since the start, warm-up included.
    pub(super) slices: Vec<u64>,
}

/// When a phase counts.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: Instant,
    count_from: Instant,
    end: Instant,
}

/// The answers of one lane.
struct Tally {
    checker: Checker,
    span: Span,
    verified: u64,
    counted: u64,
    last: Instant,
    latencies: Histogram<u64>,
    slices: Vec<u64>,
}

/// Runs a phase: every lane sends from its own stock, until the time is over or the stock is used up.
pub(super) async fn run(
    lanes: &[Lane],
    stocks: Vec<Vec<Sealed>>,
    pace: Pace,
    count_for: Duration,
    log: &LogVerifier,
) -> Result<Measured, Failure> {
    let mut streams = Vec::with_capacity(lanes.len());
    for lane in lanes {
        streams.push(lane.submit().await?);
    }
    let start = Instant::now();
    let span = Span { start, count_from: start + WARM_UP, end: start + WARM_UP + count_for };
    let checker = Checker::new(log.clone());
    let (mut running, count) = (tokio::task::JoinSet::new(), u32::try_from(lanes.len()).unwrap_or(u32::MAX));
    for (number, (stream, stock)) in (0..).zip(streams.into_iter().zip(stocks)) {
        let tally = Tally::new(span, checker.clone())?;
        match pace {
            Pace::Closed { in_flight } => running.spawn(closed(stream, stock, in_flight, tally)),
            Pace::Open { interval } => {
                let first = start + interval * number;
                running.spawn(open(stream, stock.into(), Schedule { first, interval: interval * count }, tally))
            }
        };
    }
    let mut measured = Measured { verified: 0, counted: 0, time: Duration::ZERO, latencies: histogram()?, blocks: 0, slices: Vec::new() };
    while let Some(tally) = running.join_next().await {
        let tally = tally.map_err(|cause| defect(&cause.to_string()))??;
        measured.verified += tally.verified;
        measured.counted += tally.counted;
        measured.time = measured.time.max(tally.last.saturating_duration_since(span.count_from));
        measured.latencies.add(&tally.latencies).map_err(|cause| defect(&cause.to_string()))?;
        measured.slices.resize(measured.slices.len().max(tally.slices.len()), 0);
        measured.slices.iter_mut().zip(tally.slices).for_each(|(all, own)| *all += own);
    }
    measured.blocks = checker.blocks();
    Ok(measured)
}

async fn closed(mut stream: Stream, stock: Vec<Sealed>, in_flight: usize, mut tally: Tally) -> Result<Tally, Failure> {
    let mut sent = Vec::with_capacity(stock.len());
    let mut unsent = stock.iter();
    for sealed in unsent.by_ref().take(in_flight) {
        stream.send(sent.len() as u64, sealed).await?;
        sent.push(Instant::now());
    }
    let mut waiting = sent.len();
    while waiting > 0 {
        let answer = stream.answer().await?.ok_or_else(ended)?;
        let (sealed, since) = find(&stock, answer.request_id).zip(find(&sent, answer.request_id)).ok_or_else(unasked)?;
        let now = tally.take(sealed, *since, answer.outcome)?;
        waiting -= 1;
        if now < tally.span.end
            && let Some(sealed) = unsent.next()
        {
            stream.send(sent.len() as u64, sealed).await?;
            sent.push(Instant::now());
            waiting += 1;
        }
    }
    Ok(tally)
}

/// When the documents of one lane are to be sent.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Instant,
    interval: Duration,
}

impl Schedule {
    /// When the document of this number is to be sent. A phase has fewer than 2³² documents and lasts minutes.
    fn due(&self, number: u64) -> Instant {
        self.first + self.interval * u32::try_from(number).unwrap_or(u32::MAX)
    }
}

async fn open(mut stream: Stream, stock: Arc<[Sealed]>, schedule: Schedule, mut tally: Tally) -> Result<Tally, Failure> {
    let (requests, sent_stock, end) = (stream.requests, stock.clone(), tally.span.end);
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        for sealed in sent_stock.iter() {
            let due = schedule.due(sent);
            if due >= end {
                break;
            }
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            send(&requests, sent, sealed).await?;
            sent += 1;
        }
        // The requests end here: the broker gives the answers it owes and ends the stream.
        Ok::<_, Failure>(sent)
    });
    // Keeps one end of the requests no longer than the sender.
    stream.requests = tokio::sync::mpsc::channel(1).0;
    while let Some(answer) = stream.answer().await? {
        let sealed = find(&stock, answer.request_id).ok_or_else(unasked)?;
        tally.take(sealed, schedule.due(answer.request_id), answer.outcome)?;
    }
    let sent = sender.await.map_err(|cause| defect(&cause.to_string()))??;
    if tally.verified == sent { Ok(tally) } else { Err(ended()) }
}

impl Tally {
    fn new(span: Span, checker: Checker) -> Result<Self, Failure> {
        Ok(Self { checker, span, verified: 0, counted: 0, last: span.start, latencies: histogram()?, slices: Vec::new() })
    }

    /// Takes an answer that arrived just now; gives the instant.
    fn take(
        &mut self,
        sealed: &Sealed,
        since: Instant,
        outcome: Option<truc_proto::broker::v1::submit_response::Outcome>,
    ) -> Result<Instant, Failure> {
        let now = Instant::now();
        self.checker.accepted(sealed, outcome).map_err(Failure::Refused)?;
        self.verified += 1;
        self.slice(now);
        if now >= self.span.count_from && now < self.span.end {
            self.counted += 1;
            self.last = self.last.max(now);
            let micros = u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX);
            self.latencies.record(micros).map_err(|cause| defect(&cause.to_string()))?;
        }
        Ok(now)
    }
}

impl Tally {
    /// Counts an answer in its slice of time.
    fn slice(&mut self, now: Instant) {
        let number = now.saturating_duration_since(self.span.start).as_nanos() / SLICE.as_nanos();
        let number = usize::try_from(number).unwrap_or(usize::MAX).min(SLICES_MAX - 1);
        if number >= self.slices.len() {
            self.slices.resize(number + 1, 0);
        }
        if let Some(slice) = self.slices.get_mut(number) {
            *slice += 1;
        }
    }
}

fn find<T>(items: &[T], request_id: u64) -> Option<&T> {
    items.get(usize::try_from(request_id).ok()?)
}

fn unasked() -> Failure {
    Failure::BadAnswer("an answer to a request that nobody made".to_owned())
}
