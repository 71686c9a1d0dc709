//! `truc bench isolation`: what the others feel of recipients that do not take what is theirs: one reads a byte a second, one is away, one refuses
//! everything. The same load goes in turns beside them and beside three that behave. A slow sync or the packing of a segment may hold a whole hundredth of
//! one turn up, so the turns of a kind are counted together, and how far those of one kind differ among themselves stands beside how far the kinds do.

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
use super::figures::{Latencies, defect, histogram, record};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::{ATTACHMENT, draft};
use crate::failure::{Exit, Failure};
use crate::local::usage;
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
    /// Turns of each kind; every second round begins with the other kind.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=100))]
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

/// Two turns, one after the other, or all of them together.
#[derive(Debug, Clone, Serialize)]
struct Found {
    round: String,
    /// Beside three that behave.
    well: Felt,
    /// Beside the three.
    badly: Felt,
    /// By how much p99 changed.
    change_percent: f64,
    /// By how much p99 differs between every other turn beside three that behave and the rest of these turns: what is less is noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    noise_percent: Option<f64>,
}

/// What the others felt, and what it cost.
#[derive(Debug, Clone, Serialize)]
struct Felt {
    #[serde(flatten)]
    latency: Latencies,
    broker_cpu_us_per_document: f64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        let well = ["round", "documents", "p50 ms", "p99 ms", "CPU µs/doc"];
        [&well[..], &["beside: documents", "p50 ms", "p99 ms", "CPU µs/doc", "p99 change %", "noise %"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let of = |Felt { latency, broker_cpu_us_per_document: cpu }: &Felt| {
            vec![latency.count.to_string(), format!("{:.2}", latency.p50_ms), format!("{:.2}", latency.p99_ms), format!("{cpu:.0}")]
        };
        let noise = self.noise_percent.map_or_else(|| "-".to_owned(), |noise| format!("{noise:.1}"));
        let changes = vec![format!("{:+.1}", self.change_percent), noise];
        [vec![self.round.clone()], of(&self.well), of(&self.badly), changes].concat()
    }
}

/// One turn, or several together.
#[derive(Debug, Clone)]
struct Turns {
    micros: Histogram<u64>,
    broker_cpu_seconds: f64,
    /// Documents that were sent, warm-up and those to the three included.
    documents: u32,
}

impl Turns {
    fn none() -> Result<Self, Failure> {
        Ok(Self { micros: histogram()?, broker_cpu_seconds: 0.0, documents: 0 })
    }

    fn add(&mut self, turn: &Self) -> Result<(), Failure> {
        self.micros.add(&turn.micros).map_err(|cause| defect(&cause.to_string()))?;
        self.broker_cpu_seconds += turn.broker_cpu_seconds;
        self.documents += turn.documents;
        Ok(())
    }

    fn felt(&self) -> Felt {
        let broker_cpu_us_per_document = self.broker_cpu_seconds * 1e6 / f64::from(self.documents.max(1));
        Felt { latency: Latencies::of(&self.micros), broker_cpu_us_per_document }
    }

    /// By how much p99 is longer than in other turns.
    fn change_percent(&self, than: &Self) -> f64 {
        let p99 = |turns: &Self| Latencies::of(&turns.micros).p99_ms.max(f64::MIN_POSITIVE);
        (p99(self) / p99(than) - 1.0) * 100.0
    }
}

fn found(round: String, well: &Turns, badly: &Turns) -> Found {
    Found { round, well: well.felt(), badly: badly.felt(), change_percent: badly.change_percent(well), noise_percent: None }
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
    let (seconds, rounds) = if request.quick { (2, 4) } else { (5, 10) };
    let found = measure(&Arguments { agencies: 10, rate: 1_000, seconds, rounds, setup: request.setup.clone() }, output)?;
    let Some((all, single)) = found.split_last() else { return Err(defect("no round")) };
    let changes = single.iter().map(|found| found.change_percent);
    let (least, most) = (changes.clone().fold(f64::INFINITY, f64::min), changes.fold(f64::NEG_INFINITY, f64::max));
    let noise = all.noise_percent.unwrap_or_default();
    let (well, badly) = (&all.well, &all.badly);
    let how = format!(
        "{rounds} turns of each kind together, 1,000 documents/s of the whole way; turns of one kind differ by {noise:.0} % among themselves, single \
         rounds {least:+.0} to {most:+.0} %; broker CPU µs a document {:.0}, beside them {:.0}",
        well.broker_cpu_us_per_document, badly.broker_cpu_us_per_document
    );
    let measured = format!("{:+.1} % (p99 {:.1} ms, beside them {:.1} ms)", all.change_percent, well.latency.p99_ms, badly.latency.p99_ms);
    Ok(vec![Reached { measured, is_met: all.change_percent < CHANGE_PERCENT_MAX, how }])
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
    let broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(drive(arguments, &axis, &broker, output))
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
            record(&mut self.latencies.lock(), note.due, now);
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

async fn drive(arguments: &Arguments, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<Vec<Found>, Failure> {
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
    let scene = Scene { arguments, axis, broker, others, guests, board };
    tokio::select! {
        found = scene.rounds(output) => found,
        Some(ended) = loops.join_next() => Err(ended.map_or_else(|cause| defect(&cause.to_string()), Failure::Refused)),
    }
}

/// Everybody who takes part.
struct Scene<'a> {
    arguments: &'a Arguments,
    axis: &'a Axis,
    broker: &'a Broker,
    others: Vec<LightEdge>,
    guests: &'a [axis::Agency],
    board: Arc<Board>,
}

impl Scene<'_> {
    /// All rounds, and at the end all of them together.
    async fn rounds(&self, output: &mut Output) -> Result<Vec<Found>, Failure> {
        let mut rows = Vec::with_capacity(usize::from(self.arguments.rounds) + 1);
        let (mut well_turns, mut badly_turns) = ([Turns::none()?, Turns::none()?], Turns::none()?);
        for round in 1..=self.arguments.rounds {
            // What lasts longer than a turn must not always meet the same kind.
            let is_odd = !round.is_multiple_of(2);
            let first = self.turn(is_odd).await?;
            let second = self.turn(!is_odd).await?;
            let (well, badly) = if is_odd { (first, second) } else { (second, first) };
            let row = found(round.to_string(), &well, &badly);
            output.talk(&format!("round {round}: p99 {:.2} ms, beside them {:.2} ms", row.well.latency.p99_ms, row.badly.latency.p99_ms));
            rows.push(row);
            let [odd, even] = &mut well_turns;
            if is_odd { odd.add(&well) } else { even.add(&well) }?;
            badly_turns.add(&badly)?;
        }
        self.settle().await?;
        let [mut well_turns, even] = well_turns;
        let noise_percent = (even.documents > 0).then(|| even.change_percent(&well_turns).abs());
        well_turns.add(&even)?;
        rows.push(Found { noise_percent, ..found("all".to_owned(), &well_turns, &badly_turns) });
        Ok(rows)
    }

    /// What waited for the three is theirs still, and out of the way of what comes then.
    async fn settle(&self) -> Result<(), Failure> {
        let mut guests = Guests::well(self.axis, self.guests).await?;
        guests.beside(self.board.none_left(|_| true)).await
    }

    async fn turn(&self, well: bool) -> Result<Turns, Failure> {
        self.settle().await?;
        let mut guests = if well { Guests::well(self.axis, self.guests).await? } else { Guests::badly(self.axis, self.guests).await? };
        let before = usage::of(self.broker.id())?.cpu_seconds;
        let documents = guests.beside(self.load(well)).await?;
        let broker_cpu_seconds = usage::of(self.broker.id())?.cpu_seconds - before;
        Ok(Turns { micros: self.board.latencies.lock().clone(), broker_cpu_seconds, documents })
    }

    /// One turn: the same documents at the same rate, whoever the three are; how many were sent.
    async fn load(&self, well: bool) -> Result<u32, Failure> {
        self.board.latencies.lock().reset();
        let (interval, start) = (Duration::from_secs(1) / self.arguments.rate, Instant::now());
        let from = start + WARM_UP;
        let end = from + Duration::from_secs(u64::from(self.arguments.seconds));
        let mut sending: JoinSet<Result<(), Failure>> = JoinSet::new();
        let mut number = 0;
        loop {
            let due = start + interval * number;
            if due >= end {
                break;
            }
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            self.send(u64::from(number), due, due >= from, &mut sending)?;
            number += 1;
            while let Some(sent) = sending.try_join_next() {
                sent.map_err(|cause| defect(&cause.to_string()))??;
            }
        }
        while let Some(sent) = sending.join_next().await {
            sent.map_err(|cause| defect(&cause.to_string()))??;
        }
        // Nothing comes back from the first two when they are slow and away.
        self.board.none_left(|note| well || note.guest.is_none_or(|guest| guest == guests::REFUSING)).await?;
        Ok(number)
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
