//! `truc bench loop`: how many documents a second go the whole way on this machine: sealed, submitted, accepted, delivered, verified, receipted (fetched
//! and acknowledged), and back at the sender, everything verified by whom it reaches.
//!
//! Two drivers. `light`: the edges are in this process and have no journal, so that broker and cryptography are what is measured. `edge`: real edges, one
//! process with all of them, fed by document-management systems over gRPC.

mod hosted;
mod light;

use std::time::Duration;

use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::axis::{self, Axis};
use super::broker::Broker;
use super::edges;
use super::figures::{Both, Cost, Latencies};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;

/// What returns in this time counts for nothing: connections, caches and batches settle.
const WARM_UP: Duration = Duration::from_secs(1);
/// What was begun must be back so soon after the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands for the edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Edges without a journal, in this process
    Light,
    /// Real edges, fed over gRPC
    Edge,
}

/// How many documents a second go the whole way: sealed, accepted, delivered, verified, receipted, back at the sender. Each agency has so many documents
/// on their way at a time; nothing may be lost or doubled, and every proof and seal is verified where it arrives.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this driver, instead of both.
    #[arg(long, value_enum)]
    pub driver: Option<Driver>,
    /// Agencies, each of which sends and receives.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Agencies to which each writes, in turn. Receipts are batched per sender, so the fewer, the fuller.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=93))]
    pub partners: u16,
    /// Documents on their way, all agencies together.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u16).range(1..=8_192))]
    pub in_flight: u16,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    partners: u16,
    in_flight: u16,
    seconds: u16,
}

/// What one driver found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) driver: Driver,
    /// Documents whose acknowledged receipt was verified at the sender, a second.
    pub(super) documents_per_second: f64,
    /// From before the sealing (`light`) or the hand-in (`edge`) until the acknowledged receipt was verified at the sender.
    pub(super) latency: Latencies,
    pub(super) cost: Cost,
    /// The process with the real edges; none with light ones, which are in this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edge_cpu_us_per_document: Option<f64>,
    /// Documents in one receipt, on average; known of light edges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) documents_per_receipt: Option<f64>,
    /// Documents that went the whole way, warm-up included: all that were begun.
    pub(super) verified: u64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        [&["driver", "documents/s"][..], &Latencies::HEAD, &Cost::HEAD, &["edge CPU µs/doc", "docs/receipt", "verified"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let driver = self.driver.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let rest = vec![known(self.edge_cpu_us_per_document), known(self.documents_per_receipt), self.verified.to_string()];
        [vec![driver, format!("{:.0}", self.documents_per_second)], self.latency.cells(), self.cost.cells(), rest].concat()
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "loop",
    goals: &[Goal {
        name: "full loop: seal, submit, route, deliver, verify, receipts, back at the sender", goal: "≥ 10,000 documents/s"
    }],
    is_quick: true,
    measure: goals,
};
const DOCUMENTS_PER_SECOND_MIN: f64 = 10_000.0;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let seconds = if request.quick { 5 } else { 20 };
    let arguments = Arguments { driver: None, agencies: 4, partners: 1, in_flight: 1_024, seconds, setup: request.setup.clone() };
    let (light, edge) = (measure(&arguments, Driver::Light, output)?, measure(&arguments, Driver::Edge, output)?);
    let (cost, edges) = (&light.cost, edge.edge_cpu_us_per_document.unwrap_or_default());
    let how = format!(
        "4 agencies, {} documents verified; CPU µs a document: broker {:.0}, light edges {:.0}; real edges {:.0}/s ({edges:.0} µs)",
        light.verified, cost.broker_cpu_us_per_document, cost.client_cpu_us_per_document, edge.documents_per_second
    );
    let rate = light.documents_per_second;
    Ok(vec![Reached { measured: format!("{rate:.0} documents/s"), is_met: rate >= DOCUMENTS_PER_SECOND_MIN, how }])
}

/// What a driver measured, before costs.
struct Run {
    documents_per_second: f64,
    latencies: Histogram<u64>,
    verified: u64,
    documents_per_receipt: Option<f64>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.partners >= arguments.agencies {
        let (partners, agencies) = (arguments.partners, arguments.agencies);
        return Err(Failure::Usage(format!("{partners} partners of each agency need more than {agencies} agencies: --agencies")));
    }
    let drivers = arguments.driver.map_or_else(|| vec![Driver::Light, Driver::Edge], |driver| vec![driver]);
    let mut rows = Vec::with_capacity(drivers.len());
    for driver in drivers {
        rows.push(measure(arguments, driver, output)?);
    }
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let Arguments { agencies, partners, in_flight, seconds, .. } = *arguments;
    let settings = Settings { agencies, partners, in_flight, seconds };
    Findings { name: "loop", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

/// One driver on a new axis.
pub(super) fn measure(arguments: &Arguments, driver: Driver, output: &mut Output) -> Result<Found, Failure> {
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    edges::make(&axis)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(drive(arguments, driver, &axis, &broker, output))
}

async fn drive(arguments: &Arguments, driver: Driver, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<Found, Failure> {
    let hosted = match driver {
        Driver::Light => None,
        Driver::Edge => Some(edges::Edges::start(axis, &axis.agencies)?),
    };
    let edges_before = hosted.as_ref().map(edges::Edges::usage).transpose()?;
    let before = Both { broker: broker.reading()?, client: usage::own()? };
    output.talk(&format!("the whole way, {} in flight, {} s", arguments.in_flight, arguments.seconds));
    let run = match &hosted {
        None => light::run(arguments, axis).await?,
        Some(edges) => hosted::run(arguments, edges).await?,
    };
    let after = Both { broker: broker.reading()?, client: usage::own()? };
    let edges_after = hosted.as_ref().map(edges::Edges::usage).transpose()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let micros = |seconds: f64| seconds * 1e6 / run.verified.max(1) as f64;
    Ok(Found {
        driver,
        documents_per_second: run.documents_per_second,
        latency: Latencies::of(&run.latencies),
        cost: Cost::between(&before, &after, run.verified),
        edge_cpu_us_per_document: edges_before.zip(edges_after).map(|(before, after)| micros(after.cpu_seconds - before.cpu_seconds)),
        documents_per_receipt: run.documents_per_receipt,
        verified: run.verified,
    })
}

/// To whom an agency writes next: its partners are those after it, in turn.
const fn partner(own: usize, turn: usize, partners: usize, agencies: usize) -> usize {
    (own + 1 + turn % partners) % agencies
}
