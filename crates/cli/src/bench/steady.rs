//! `truc bench steady`: what users wait for on an axis that is not at its limit. A fixed rate of documents through real edges, each with an attachment of
//! a pool whose contents are stored already; every latency counts from the instant at which the document was to be handed in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::axis::{self, Axis};
use super::broker::Broker;
use super::dms::{Dms, Register, Span, Stage};
use super::drive;
use super::edges::{self, Edges};
use super::figures::{Both, Cost, Latencies, defect};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;

/// Documents of this time do not count; long enough that every agency has sent every content of the pool.
const WARM_UP: Duration = Duration::from_secs(3);
/// What was begun must be back so soon after the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What users wait for at a steady rate: from the instant at which a document was to be handed in until it is stored, in the log, shown to the recipient,
/// and receipted. Real edges in one process, a real broker, document-management systems over gRPC; nothing may be lost or doubled.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies, each of which sends and receives.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Documents a second, all agencies together.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    pub seconds: u16,
    /// Bytes of each attachment.
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub attachment_bytes: u32,
    /// Contents in the pool.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub pool: u16,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    rate: u32,
    seconds: u16,
    attachment_bytes: u32,
    pool: u16,
}

/// How long documents took to one stage.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) stage: &'static str,
    pub(super) latency: Latencies,
    /// The p99 of the documents begun in each second, in the order of time.
    pub(super) p99_ms_by_second: Vec<f64>,
    /// Of the whole way, at its last stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<Cost>,
    /// The process with the edges, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edge_cpu_us_per_document: Option<f64>,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        [&["until", "documents"][..], &Latencies::HEAD, &["p99 of seconds: least, middle", "broker CPU µs/doc", "edge CPU µs/doc"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
        let (least, middle) = self.least_and_middle();
        let costs = vec![
            format!("{least:.1}, {middle:.1}"),
            known(self.cost.as_ref().map(|cost| cost.broker_cpu_us_per_document)),
            known(self.edge_cpu_us_per_document),
        ];
        [vec![self.stage.to_owned(), self.latency.count.to_string()], self.latency.cells(), costs].concat()
    }
}

impl Found {
    /// The smallest p99 of a second, and the one in the middle.
    fn least_and_middle(&self) -> (f64, f64) {
        let mut seconds = self.p99_ms_by_second.clone();
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        (at(0), at(seconds.len() / 2))
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "steady",
    goals: &[
        Goal { name: "steady 1,000 documents/s: handed in until accepted, proofs verified", goal: "p99 ≤ 15 ms" },
        Goal { name: "steady 1,000 documents/s: handed in until shown to the recipient's DMS", goal: "p99 ≤ 40 ms" },
    ],
    is_quick: true,
    measure: goals,
};
/// The stages that have a goal, and the largest p99 in milliseconds.
const GOALS: [(Stage, f64); 2] = [(Stage::Accepted, 15.0), (Stage::Shown, 40.0)];

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let seconds = if request.quick { 10 } else { 60 };
    let setup = request.setup.clone();
    let found = measure(&Arguments { agencies: 10, rate: 1_000, seconds, attachment_bytes: 16_384, pool: 16, setup }, output)?;
    let reached = GOALS.iter().filter_map(|(stage, p99_max)| {
        let row = found.iter().find(|row| row.stage == stage.name())?;
        let (p50, p99, count) = (row.latency.p50_ms, row.latency.p99_ms, row.latency.count);
        let (least, middle) = row.least_and_middle();
        let how = format!(
            "10 agencies with real edges, from the intended time, {count} documents; p50 {p50:.1} ms; p99 of single seconds {least:.1} ms at least, {middle:.1} in the middle"
        );
        Some(Reached { measured: format!("p99 {p99:.1} ms"), is_met: p99 <= *p99_max, how })
    });
    Ok(reached.collect())
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let rows = measure(arguments, output)?;
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let Arguments { agencies, rate, seconds, attachment_bytes, pool, .. } = *arguments;
    let settings = Settings { agencies, rate, seconds, attachment_bytes, pool };
    Findings { name: "steady", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

/// Every stage, on a new axis.
pub(super) fn measure(arguments: &Arguments, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    edges::make(&axis)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    drive::runtime()?.block_on(drive_edges(arguments, &axis, &broker, output))
}

async fn drive_edges(arguments: &Arguments, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<Vec<Found>, Failure> {
    let edges = Edges::start(axis, &axis.agencies)?;
    let clients = edges.connect().await?;
    let start = Instant::now();
    let from = start + WARM_UP;
    let span = Span { from, to: from + Duration::from_secs(u64::from(arguments.seconds)) };
    let register = Arc::new(Register::new(span, 0)?);
    let systems: Vec<Dms> = clients.into_iter().map(|(agency, client)| Dms::new(agency, client, Arc::clone(&register))).collect();
    let mut attending = JoinSet::new();
    systems.iter().for_each(|dms| dms.attend(&mut attending));
    let before = (Both { broker: broker.reading()?, client: usage::own()? }, edges.usage()?);
    output.talk(&format!("{} documents/s, {} s", arguments.rate, arguments.seconds));
    tokio::select! {
        loaded = load(arguments, &systems, &register, (start, span.to)) => loaded?,
        Some(ended) = attending.join_next() => return Err(ended.map_or_else(|cause| defect(&cause.to_string()), |ended| match ended {
            Err(cause) => cause,
            Ok(()) => defect("a document-management system ended"),
        })),
    }
    let after = (Both { broker: broker.reading()?, client: usage::own()? }, edges.usage()?);
    let documents = register.count();
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let edge_micros = (after.1.cpu_seconds - before.1.cpu_seconds) * 1e6 / documents.max(1) as f64;
    let mut found = Vec::with_capacity(Stage::ALL.len());
    for stage in Stage::ALL {
        let last = stage == Stage::Returned;
        found.push(Found {
            stage: stage.name(),
            latency: Latencies::of(&register.latencies(stage)?),
            p99_ms_by_second: register.p99_by_second(stage),
            cost: last.then(|| Cost::between(&before.0, &after.0, documents)),
            edge_cpu_us_per_document: last.then_some(edge_micros),
        });
    }
    Ok(found)
}

async fn load(arguments: &Arguments, systems: &[Dms], register: &Arc<Register>, (start, end): (Instant, Instant)) -> Result<(), Failure> {
    let pool: Vec<Bytes> = (0..arguments.pool).map(|number| content(number, arguments.attachment_bytes)).collect();
    let interval = Duration::from_secs(1) / arguments.rate;
    let mut sending: JoinSet<Result<(), Failure>> = JoinSet::new();
    for (turn, own) in (0..).zip((0..systems.len()).cycle()) {
        let due = start + interval * turn;
        if due >= end {
            break;
        }
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        let turn = usize::try_from(turn).unwrap_or(usize::MAX) / systems.len();
        // Each writes to all others in turn.
        let recipient = systems.get((own + 1 + turn % (systems.len() - 1)) % systems.len());
        let (Some(dms), Some(recipient), Some(attachment)) = (systems.get(own), recipient, pool.get(turn % pool.len().max(1))) else {
            break;
        };
        sending.spawn(dms.clone().send(register.begin(due), recipient.agency.clone(), attachment.clone()));
        while let Some(sent) = sending.try_join_next() {
            sent.map_err(|cause| defect(&cause.to_string()))??;
        }
    }
    while let Some(sent) = sending.join_next().await {
        sent.map_err(|cause| defect(&cause.to_string()))??;
    }
    register.all_returned(register.count(), PATIENCE).await
}

/// A content of the pool: its number again and again.
fn content(number: u16, bytes: u32) -> Bytes {
    let line = format!("%PDF-1.7 {number} ");
    line.bytes().cycle().take(usize::try_from(bytes).unwrap_or(usize::MAX)).collect()
}
