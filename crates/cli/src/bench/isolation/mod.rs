//! `truc bench isolation`: what the others feel of recipients that do not take what is theirs: one reads a byte a second, one is away, one refuses
//! everything. The same load goes in turns beside them and beside three that behave; nothing is said from one turn alone.

mod guests;
mod slow_line;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_edge::light::{LightEdge, Manner};
use truc_signing::sha256;
use truc_types::MessageId;

use self::guests::Guests;
use super::axis::{self, Axis};
use super::broker::Broker;
use super::edges;
use super::figures::{Latencies, defect, histogram};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::{ATTACHMENT, draft};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Documents of this time do not count.
const WARM_UP: Duration = Duration::from_millis(500);
/// What is to come back must be back so soon after a turn.
const PATIENCE: Duration = Duration::from_secs(60);
/// One in so many documents goes to one of the three.
const GUEST_SHARE: u64 = 8;

/// What the others feel of recipients that do not take what is theirs: one reads a byte a second, one is away, one refuses everything. The same load goes
/// in turns beside them and beside three that behave. Latencies are those of the whole way, from the intended time, of documents to the others.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The others: agencies that send and receive; the three only receive.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=91))]
    pub agencies: u16,
    /// Documents a second, all agencies together; one in eight goes to the three.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Seconds of each turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Turns of each kind.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    rate: u32,
    seconds: u16,
    rounds: u16,
}

/// Two turns, one after the other.
#[derive(Debug, Clone, Serialize)]
struct Found {
    round: u16,
    /// Beside three that behave.
    well: Latencies,
    /// Beside the three.
    badly: Latencies,
    /// By how much p99 changed.
    change_percent: f64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        vec!["round", "documents", "p50 ms", "p99 ms", "beside: documents", "p50 ms", "p99 ms", "p99 change %"]
    }

    fn cells(&self) -> Vec<String> {
        let of = |found: &Latencies| vec![found.count.to_string(), format!("{:.2}", found.p50_ms), format!("{:.2}", found.p99_ms)];
        [vec![self.round.to_string()], of(&self.well), of(&self.badly), vec![format!("{:+.1}", self.change_percent)]].concat()
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "isolation",
    goals: &[Goal {
        name: "beside one recipient reading 1 byte/s, one away, one refusing everything",
        goal: "p99 of the others < 10 % longer",
    }],
    is_quick: true,
    measure: goals,
};
const CHANGE_PERCENT_MAX: f64 = 10.0;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let (seconds, rounds) = if request.quick { (2, 3) } else { (5, 9) };
    let found = measure(&Arguments { agencies: 10, rate: 1_000, seconds, rounds, setup: request.setup.clone() }, output)?;
    let changes = sorted(found.iter().map(|found| found.change_percent));
    let p99 = |of: fn(&Found) -> &Latencies| median(&sorted(found.iter().map(|found| of(found).p99_ms)));
    let (well, badly) = (p99(|found| &found.well), p99(|found| &found.badly));
    let change = (badly / well - 1.0) * 100.0;
    let (least, most) = (changes.first().copied().unwrap_or_default(), changes.last().copied().unwrap_or_default());
    let how =
        format!("medians of {rounds} turns each, in turns; 1,000 documents/s of the whole way; single rounds {least:+.0} to {most:+.0} %");
    let measured = format!("{change:+.1} % (p99 {well:.1} ms, beside them {badly:.1} ms)");
    Ok(vec![Reached { measured, is_met: change < CHANGE_PERCENT_MAX, how }])
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let rows = measure(arguments, output)?;
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let Arguments { agencies, rate, seconds, rounds, .. } = *arguments;
    Findings { name: "isolation", machine, settings: Settings { agencies, rate, seconds, rounds }, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn measure(arguments: &Arguments, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let folder = arguments.setup.scratch()?;
    let guests = u16::try_from(guests::COUNT).map_err(|cause| defect(&cause.to_string()))?;
    let axis = axis::make(folder.path(), arguments.agencies + guests)?;
    edges::make(&axis)?;
    let _broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(drive(arguments, &axis, output))
}

/// A document that is on its way.
struct Note {
    due: Instant,
    /// Whether its latency counts.
    counts: bool,
    /// Which of the three it goes to.
    guest: Option<usize>,
}

/// All documents that are on their way.
struct Board {
    notes: Mutex<HashMap<MessageId, Note>>,
    latencies: Mutex<Histogram<u64>>,
    changed: watch::Sender<()>,
}

impl Board {
    fn returned(&self, message_id: MessageId) {
        let (now, note) = (Instant::now(), self.notes.lock().remove(&message_id));
        if let Some(note) = note.filter(|note| note.counts) {
            let micros = u64::try_from(now.saturating_duration_since(note.due).as_micros()).unwrap_or(u64::MAX);
            // It grows with what it is given: nothing is too large for it.
            let recorded = self.latencies.lock().record(micros);
            recorded.unwrap_or_else(|cause| tracing::error!(%cause, micros, "a latency that was not recorded"));
        }
        self.changed.send_replace(());
    }

    /// Waits until nothing of a kind is on its way.
    async fn none_left(&self, which: impl Fn(&Note) -> bool) -> Result<(), Failure> {
        let mut changed = self.changed.subscribe();
        let end = Instant::now() + PATIENCE;
        loop {
            let left = self.notes.lock().values().filter(|note| which(note)).count();
            if left == 0 {
                return Ok(());
            }
            if tokio::time::timeout_at(end, changed.changed()).await.is_err() {
                return Err(Failure::BadAnswer(format!("{left} documents did not return in {} s", PATIENCE.as_secs())));
            }
        }
    }
}

async fn drive(arguments: &Arguments, axis: &Axis, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let board = Arc::new(Board { notes: Mutex::default(), latencies: Mutex::new(histogram()?), changed: watch::Sender::new(()) });
    let (hosts, guests) = axis.agencies.split_at_checked(usize::from(arguments.agencies)).ok_or_else(|| defect("too few agencies"))?;
    let (mut others, mut loops) = (Vec::with_capacity(hosts.len()), JoinSet::new());
    for agency in hosts {
        let told = Arc::clone(&board);
        let connected = LightEdge::connect(&edges::open(axis, &agency.code)?, Manner::Registers, move |id| told.returned(id)).await;
        let (edge, running) = connected.map_err(Failure::Refused)?;
        let content = std::iter::once(Bytes::from_static(ATTACHMENT));
        edge.upload(sha256(ATTACHMENT), ATTACHMENT.len() as u64, content).await.map_err(Failure::Refused)?;
        loops.spawn(running.run());
        others.push(edge);
    }
    let scene = Scene { arguments, axis, others, guests, board };
    tokio::select! {
        found = scene.rounds(output) => found,
        Some(ended) = loops.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
    }
}

/// Everybody who takes part.
struct Scene<'a> {
    arguments: &'a Arguments,
    axis: &'a Axis,
    others: Vec<LightEdge>,
    guests: &'a [axis::Agency],
    board: Arc<Board>,
}

impl Scene<'_> {
    async fn rounds(&self, output: &mut Output) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::with_capacity(usize::from(self.arguments.rounds));
        for round in 1..=self.arguments.rounds {
            let well = self.turn(Guests::well(self.axis, self.guests).await?, true).await?;
            let badly = self.turn(Guests::badly(self.axis, self.guests).await?, false).await?;
            let change_percent = (badly.p99_ms / well.p99_ms.max(f64::MIN_POSITIVE) - 1.0) * 100.0;
            output.talk(&format!("round {round}: p99 {:.2} ms, beside them {:.2} ms", well.p99_ms, badly.p99_ms));
            found.push(Found { round, well, badly, change_percent });
        }
        // What waited for the three is theirs still.
        let mut guests = Guests::well(self.axis, self.guests).await?;
        tokio::select! {
            none = self.board.none_left(|_| true) => none?,
            Some(ended) = guests.loops.join_next() => return Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
        }
        Ok(found)
    }

    async fn turn(&self, mut guests: Guests, well: bool) -> Result<Latencies, Failure> {
        tokio::select! {
            latencies = self.load(well) => latencies,
            Some(ended) = guests.loops.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
        }
    }

    /// One turn: the same documents at the same rate, whoever the three are.
    async fn load(&self, well: bool) -> Result<Latencies, Failure> {
        if well {
            // What waited for the three does not count, and must be out of the way.
            self.board.none_left(|_| true).await?;
        }
        self.board.latencies.lock().reset();
        let (interval, start) = (Duration::from_secs(1) / self.arguments.rate, Instant::now());
        let from = start + WARM_UP;
        let end = from + Duration::from_secs(u64::from(self.arguments.seconds));
        let mut sending: JoinSet<Result<(), Failure>> = JoinSet::new();
        for number in 0..u32::MAX {
            let due = start + interval * number;
            if due >= end {
                break;
            }
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            self.send(u64::from(number), due, due >= from, &mut sending)?;
            while let Some(sent) = sending.try_join_next() {
                sent.map_err(|cause| defect(&cause.to_string()))??;
            }
        }
        while let Some(sent) = sending.join_next().await {
            sent.map_err(|cause| defect(&cause.to_string()))??;
        }
        // Nothing comes back from the first two when they are slow and away.
        self.board.none_left(|note| well || note.guest.is_none_or(|guest| guest == guests::REFUSING)).await?;
        Ok(Latencies::of(&self.board.latencies.lock()))
    }

    fn send(&self, number: u64, due: Instant, counts: bool, sending: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
        let place = |number: u64, of: usize| usize::try_from(number).unwrap_or_default() % of.max(1);
        let (own, turn) = (place(number, self.others.len()), number / GUEST_SHARE);
        let guest = number.is_multiple_of(GUEST_SHARE).then(|| place(turn, self.guests.len()));
        let recipient = match guest {
            Some(guest) => self.guests.get(guest),
            None => self.axis.agencies.get((own + 1 + place(turn, self.others.len() - 1)) % self.others.len()),
        };
        let (Some(edge), Some(recipient)) = (self.others.get(own).cloned(), recipient) else { return Err(defect("no such agency")) };
        let (board, recipient) = (Arc::clone(&self.board), (&recipient.code).into());
        sending.spawn(async move {
            let document = edge.seal(draft(edge.agency(), number, &[recipient]));
            board.notes.lock().insert(document.message_id, Note { due, counts: counts && guest.is_none(), guest });
            edge.submit(document).await.map_err(Failure::Refused)
        });
        Ok(())
    }
}
