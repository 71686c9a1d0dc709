//! `truc bench submit`: how many documents a second one broker accepts durably, and how long each waits for its proofs.
//!
//! First a closed loop finds the maximum, then an open loop at a part of it finds the latencies that a user of a broker with head-room sees.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use truc_types::EdgeTerm;

use super::axis::{self, AGENCIES_MAX, Axis};
use super::broker::Broker;
use super::figures::{Both, Cost, Latencies, defect};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::load::Lane;
use super::machine::Machine;
use super::phase::{self, Pace, WARM_UP};
use super::setup::Setup;
use super::stock::{Sealed, preseal};
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;

/// The part of the maximum at which the open loop goes.
const PACED_SHARE: f64 = 0.8;

/// How many documents a second one broker accepts, and how long each waits for its proofs. Starts a broker of its own in a temporary folder, with real
/// mutual TLS and real syncs; verifies every answer and fails on the first that does not hold.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies, each with one connection and one stream.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=AGENCIES_MAX))]
    pub agencies: u16,
    /// Recipients of each document.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=93))]
    pub recipients: u16,
    /// Documents that wait for answers in the closed loop, all connections together.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub in_flight: u16,
    /// Seconds that each of the two loops is measured.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Documents of the closed loop at most; they are sealed before it and lie in memory, about 2.5 KB each.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    pub documents: u32,
    /// Documents a second in the open loop, instead of 80 % of the maximum.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    recipients: u16,
    envelope_bytes: usize,
    in_flight: usize,
    seconds: u16,
}

/// One phase.
#[derive(Debug, Serialize)]
struct Phase {
    /// `closed` or `open`.
    pace: &'static str,
    /// Rate of an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    offered_per_second: Option<f64>,
    /// Documents whose checkpoint and two inclusion proofs were verified: all of them.
    verified: u64,
    documents_per_second: f64,
    latency: Latencies,
    cost: Cost,
}

impl Row for Phase {
    fn head() -> Vec<&'static str> {
        [&["pace", "documents/s"][..], &Latencies::HEAD, &Cost::HEAD, &["verified"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let pace = self.offered_per_second.map_or_else(|| self.pace.to_owned(), |rate| format!("{} {rate:.0}/s", self.pace));
        let rate = format!("{:.0}", self.documents_per_second);
        [vec![pace, rate], self.latency.cells(), self.cost.cells(), vec![self.verified.to_string()]].concat()
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "submit",
    goals: &[
        Goal { name: "submit over mutual TLS, client on the same cores", goal: "≥ 0.45 × cores × verify_strict/s" },
        Goal { name: "submit latency, open loop at 80 % of the maximum", goal: "p99 ≤ 50 ms" },
    ],
    is_quick: true,
    measure: goals,
};
/// Of the seals that all cores could verify.
const SEAL_SHARE_MIN: f64 = 0.45;
const P99_MS_MAX: f64 = 50.0;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let seconds = if request.quick { 5 } else { 20 };
    let documents = u32::from(seconds) * 40_000;
    let setup = request.setup.clone();
    let arguments = Arguments { agencies: 94, recipients: 1, in_flight: 1_024, seconds, documents, rate: None, setup };
    let found = find(&arguments, output)?;
    let [maximum, paced] = found.rows.as_slice() else { return Err(defect("not two loops")) };
    #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
    let seals = found.machine.verify_strict_per_second * found.machine.cores as f64;
    let share = maximum.documents_per_second / seals;
    let how = |row: &Phase| {
        let (pace, cost) = (row.pace, &row.cost);
        let (broker, client) = (cost.broker_cpu_us_per_document, cost.client_cpu_us_per_document);
        format!("94 agencies, {pace} loop, {} proofs verified; CPU µs a document: broker {broker:.1}, client {client:.1}", row.verified)
    };
    Ok(vec![
        Reached {
            measured: format!("{share:.2} × ({:.0}/s of {seals:.0}/s)", maximum.documents_per_second),
            is_met: share >= SEAL_SHARE_MIN,
            how: how(maximum),
        },
        Reached {
            measured: format!("p99 {:.1} ms at {:.0}/s", paced.latency.p99_ms, paced.documents_per_second),
            is_met: paced.latency.p99_ms <= P99_MS_MAX,
            how: how(paced),
        },
    ])
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.recipients >= arguments.agencies {
        let (recipients, agencies) = (arguments.recipients, arguments.agencies);
        return Err(Failure::Usage(format!("{recipients} recipients of each document need more than {agencies} agencies: --agencies")));
    }
    find(arguments, output)?.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn find(arguments: &Arguments, output: &mut Output) -> Result<Findings<Settings, Phase>, Failure> {
    let folder = arguments.setup.scratch()?;
    let machine = Machine::this(folder.path(), arguments.setup.sync_delay_ms);
    let axis = axis::make(folder.path(), arguments.agencies)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let (settings, rows) = runtime.block_on(measure(arguments, &axis, &broker, output))?;
    Ok(Findings { name: "submit", machine, settings, rows })
}

async fn measure(arguments: &Arguments, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<(Settings, Vec<Phase>), Failure> {
    let mut lanes = Vec::with_capacity(axis.agencies.len());
    for agency in &axis.agencies {
        lanes.push(Lane::open(broker.address, agency).await?);
    }
    let (agencies, recipients) = (u64::from(arguments.agencies), usize::from(arguments.recipients));
    let each = u64::from(arguments.documents).div_ceil(agencies);
    let count_for = Duration::from_secs(u64::from(arguments.seconds));

    output.talk(&format!("sealing {} envelopes", each * agencies));
    let stocks = stock(axis, &lanes, EdgeTerm(1), each, recipients).await?;
    let envelope_bytes = stocks.first().and_then(|stock| stock.first()).map_or(0, |sealed| sealed.file.len());
    output.talk(&format!("closed loop, {} in flight, {} s", arguments.in_flight, arguments.seconds));
    let in_flight = usize::from(arguments.in_flight).div_ceil(lanes.len());
    let closed = phase::run(&lanes, stocks, Pace::Closed { in_flight }, count_for, &axis.log);
    let maximum = row(broker, "closed", None, closed).await?;

    let rate = arguments.rate.map_or(maximum.documents_per_second * PACED_SHARE, f64::from).max(1.0);
    let interval = Duration::from_secs_f64(1.0 / rate);
    let documents = (WARM_UP + count_for).as_nanos().div_ceil(interval.as_nanos().max(1));
    let paced_each = u64::try_from(documents).unwrap_or(u64::MAX).div_ceil(agencies);
    output.talk(&format!("sealing {} envelopes", paced_each * agencies));
    let stocks = stock(axis, &lanes, EdgeTerm(2), paced_each, recipients).await?;
    output.talk(&format!("open loop, {rate:.0} documents/s, {} s", arguments.seconds));
    let open = phase::run(&lanes, stocks, Pace::Open { interval }, count_for, &axis.log);
    let paced = row(broker, "open", Some(rate), open).await?;

    let settings = Settings {
        agencies: arguments.agencies,
        recipients: arguments.recipients,
        envelope_bytes,
        in_flight: in_flight * lanes.len(),
        seconds: arguments.seconds,
    };
    Ok((settings, vec![maximum, paced]))
}

/// Opens a term of every agency and seals its envelopes. Each phase has a term of its own, because the one before may leave numbers unused.
async fn stock(axis: &Axis, lanes: &[Lane], term: EdgeTerm, each: u64, recipients: usize) -> Result<Vec<Vec<Sealed>>, Failure> {
    for (lane, agency) in lanes.iter().zip(&axis.agencies) {
        lane.open_term(agency, term, &axis.log).await?;
    }
    Ok(preseal(&axis.agencies, term, each, recipients))
}

/// The figures of a phase, with what the processes used during it.
async fn row(
    broker: &Broker,
    pace: &'static str,
    offered_per_second: Option<f64>,
    phase: impl Future<Output = Result<phase::Measured, Failure>>,
) -> Result<Phase, Failure> {
    let before = Both { broker: broker.reading()?, client: usage::own()? };
    let measured = phase.await?;
    let after = Both { broker: broker.reading()?, client: usage::own()? };
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let documents_per_second = measured.counted as f64 / measured.time.as_secs_f64().max(f64::MIN_POSITIVE);
    let (latency, cost) = (Latencies::of(&measured.latencies), Cost::between(&before, &after, measured.verified));
    Ok(Phase { pace, offered_per_second, verified: measured.verified, documents_per_second, latency, cost })
}
