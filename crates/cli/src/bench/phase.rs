//! One phase of load on all streams: closed loop (so many in flight) or open loop (so many a second). Verifies every answer, counts those after the
//! warm-up.
//!
//! In the open loop a latency counts from the instant at which the document was to be sent: a broker that stalls is not spared the documents that could
//! not even leave because of it.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;
use truc_ledger::LogVerifier;
use truc_proto::broker::v1::submit_response::Outcome;

use super::check::Checker;
use super::figures::{defect, histogram, record};
use super::load::{Stream, ended, send};
use super::stock::Sealed;
use crate::failure::Failure;
use crate::local::usage::{self, Usage};

/// The usual warm-up: connections, caches and branch predictors settle.
pub(super) const WARM_UP: Duration = Duration::from_millis(500);

/// The time of one point of throughput over time.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// Slices of the longest phase that is asked for, ten minutes, and of what is still answered after it.
const SLICES_MAX: usize = 4 * 700;

/// How a phase goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub(super) pace: Pace,
    /// Answers before this are verified but not counted.
    pub(super) warm_up: Duration,
    /// What is answered in this time after the warm-up counts.
    pub(super) count_for: Duration,
    pub(super) verify: Verify,
}

/// When answers are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// As each arrives: what a client does is part of the load.
    Live,
    /// All of them once the last has arrived: nothing but what makes them is on the clock. They lie in memory until then.
    Afterwards,
}

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
    /// What this process had used when the last answer had arrived.
    pub(super) own: Usage,
}

/// When a phase counts.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: Instant,
    count_from: Instant,
    end: Instant,
}

/// The answers of one stream.
struct Tally {
    stock: Arc<[Sealed]>,
    checker: Checker,
    /// Answers that are verified when all have arrived.
    kept: Option<Vec<(u64, Option<Outcome>)>>,
    span: Span,
    verified: u64,
    counted: u64,
    last: Instant,
    latencies: Histogram<u64>,
    slices: Vec<u64>,
}

/// Runs a phase: on every stream its own stock is sent, until the time is over or the stock is used up.
pub(super) async fn run(streams: Vec<Stream>, stocks: Vec<Vec<Sealed>>, course: Course, log: &LogVerifier) -> Result<Measured, Failure> {
    let stocks: Vec<Arc<[Sealed]>> = stocks.into_iter().map(Arc::from).collect();
    let start = Instant::now();
    let count_from = start + course.warm_up;
    let span = Span { start, count_from, end: count_from + course.count_for };
    let checker = Checker::new(log.clone());
    let (mut running, count) = (tokio::task::JoinSet::new(), u32::try_from(streams.len()).unwrap_or(u32::MAX));
    for (number, (stream, stock)) in (0..).zip(streams.into_iter().zip(stocks)) {
        let tally = Tally::new(span, stock, checker.clone(), course.verify)?;
        match course.pace {
            Pace::Closed { in_flight } => running.spawn(closed(stream, in_flight, tally)),
            Pace::Open { interval } => {
                let first = start + interval * number;
                running.spawn(open(stream, Schedule { first, interval: interval * count }, tally))
            }
        };
    }
    let mut tallies = Vec::new();
    while let Some(tally) = running.join_next().await {
        tallies.push(tally.map_err(|cause| defect(&cause.to_string()))??);
    }
    let own = usage::own()?;
    verify_kept(&mut tallies)?;
    let (latencies, slices) = (histogram()?, Vec::new());
    let mut measured = Measured { verified: 0, counted: 0, time: Duration::ZERO, latencies, blocks: checker.blocks(), slices, own };
    for tally in tallies {
        measured.verified += tally.verified;
        measured.counted += tally.counted;
        measured.time = measured.time.max(tally.last.saturating_duration_since(span.count_from));
        measured.latencies.add(&tally.latencies).map_err(|cause| defect(&cause.to_string()))?;
        measured.slices.resize(measured.slices.len().max(tally.slices.len()), 0);
        measured.slices.iter_mut().zip(tally.slices).for_each(|(all, own)| *all += own);
    }
    Ok(measured)
}

/// Verifies what was kept, in the order of the log: answers of one block share what is proven of its tree.
fn verify_kept(tallies: &mut [Tally]) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for (number, tally) in tallies.iter_mut().enumerate() {
        kept.extend(
            tally.kept.take().into_iter().flatten().map(|(request_id, outcome)| (leaf(outcome.as_ref()), number, request_id, outcome)),
        );
    }
    kept.sort_unstable_by_key(|(leaf, ..)| *leaf);
    for (_, number, request_id, outcome) in kept {
        let tally = tallies.get_mut(number).ok_or_else(unasked)?;
        tally.verify(request_id, outcome)?;
    }
    Ok(())
}

/// Where an answer says that its statement is in the log.
fn leaf(outcome: Option<&Outcome>) -> u64 {
    match outcome {
        Some(Outcome::Accepted(acceptance)) => acceptance.statement.as_ref().map_or(0, |logged| logged.leaf),
        _ => 0,
    }
}

async fn closed(mut stream: Stream, in_flight: usize, mut tally: Tally) -> Result<Tally, Failure> {
    let stock = tally.stock.clone();
    let mut sent = Vec::with_capacity(stock.len());
    let mut unsent = stock.iter();
    for sealed in unsent.by_ref().take(in_flight) {
        stream.send(sent.len() as u64, sealed).await?;
        sent.push(Instant::now());
    }
    let mut waiting = sent.len();
    while waiting > 0 {
        let answer = stream.answer().await?.ok_or_else(ended)?;
        let since = *find(&sent, answer.request_id).ok_or_else(unasked)?;
        let now = tally.take(answer.request_id, since, answer.outcome)?;
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

/// When the documents of one stream are to be sent.
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

async fn open(mut stream: Stream, schedule: Schedule, mut tally: Tally) -> Result<Tally, Failure> {
    let (requests, stock, end) = (stream.requests, tally.stock.clone(), tally.span.end);
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        for sealed in stock.iter() {
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
    let mut answered = 0;
    while let Some(answer) = stream.answer().await? {
        tally.take(answer.request_id, schedule.due(answer.request_id), answer.outcome)?;
        answered += 1;
    }
    let sent = sender.await.map_err(|cause| defect(&cause.to_string()))??;
    if answered == sent { Ok(tally) } else { Err(ended()) }
}

impl Tally {
    fn new(span: Span, stock: Arc<[Sealed]>, checker: Checker, verify: Verify) -> Result<Self, Failure> {
        let kept = (verify == Verify::Afterwards).then(|| Vec::with_capacity(stock.len()));
        let latencies = histogram()?;
        Ok(Self { stock, checker, kept, span, verified: 0, counted: 0, last: span.start, latencies, slices: Vec::new() })
    }

    /// Takes an answer that arrived just now; gives the instant.
    fn take(&mut self, request_id: u64, since: Instant, outcome: Option<Outcome>) -> Result<Instant, Failure> {
        let now = Instant::now();
        match &mut self.kept {
            None => self.verify(request_id, outcome)?,
            Some(kept) => kept.push((request_id, outcome)),
        }
        self.slice(now);
        if now >= self.span.count_from && now < self.span.end {
            self.counted += 1;
            self.last = self.last.max(now);
            record(&mut self.latencies, since, now);
        }
        Ok(now)
    }

    fn verify(&mut self, request_id: u64, outcome: Option<Outcome>) -> Result<(), Failure> {
        let sealed = find(&self.stock, request_id).ok_or_else(unasked)?;
        self.checker.accepted(sealed, outcome).map_err(Failure::Refused)?;
        self.verified += 1;
        Ok(())
    }

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
