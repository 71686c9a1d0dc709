//! `truc bench submit`: how many documents a second one broker accepts durably, and how long each waits for its proofs.
//!
//! First a closed loop finds the maximum, then an open loop at a part of it finds the latencies that a user of a broker with head-room sees. A sweep goes
//! through many parts of it.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::axis::{self, AGENCIES_MAX, Axis};
use super::broker::Broker;
use super::drive::{self, Drive, Phase};
use super::figures::defect;
use super::findings::Findings;
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::plot::{self, Line, Panel};
use super::setup::Setup;
use super::stock::Shape;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// The part of the maximum at which the open loop goes.
const PACED_SHARE: f64 = 0.8;
/// The parts of the maximum at which open loops go in a sweep.
const SWEEP_SHARES: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
/// Slices of throughput in a second.
const SLICES_PER_SECOND: f64 = 4.0;

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
    /// Bytes that each envelope has at least: it names up to 30 attachments to reach them.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub size: usize,
    /// Documents that wait for answers in the closed loop, all connections together.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub in_flight: u16,
    /// Seconds that each loop is measured.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Documents of the closed loop at most; they are sealed before it and lie in memory.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    pub documents: u32,
    /// Documents a second in the open loop, instead of 80 % of the maximum.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "sweep")]
    pub rate: Option<u32>,
    /// Open loops at 10, 20, … 90 and 95 % of the maximum, instead of one.
    #[arg(long)]
    pub sweep: bool,
    /// Write plots to this file, as SVG: throughput over time, and in a sweep latency against load.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    recipients: u16,
    in_flight: u16,
    seconds: u16,
    envelope_bytes: usize,
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
    let seconds = if request.quick { 5 } else { 10 };
    let documents = u32::from(seconds) * 30_000;
    let setup = request.setup.clone();
    let arguments = Arguments {
        agencies: 94,
        recipients: 1,
        size: 0,
        in_flight: 1_024,
        seconds,
        documents,
        rate: None,
        sweep: false,
        plot: None,
        setup,
    };
    let found = find(&arguments, output)?;
    let [maximum, paced] = found.rows.as_slice() else { return Err(defect("not two loops")) };
    let seals = found.machine.seals_per_second();
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
    let found = find(arguments, output)?;
    if let Some(path) = &arguments.plot {
        let notes = [found.machine.to_string(), found.machine.durability.clone(), load(&found.settings)];
        plot::write(path, "truc bench submit", &notes, &panels(&found.rows))?;
    }
    found.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn find(arguments: &Arguments, output: &mut Output) -> Result<Findings<Settings, Phase>, Failure> {
    let folder = arguments.setup.scratch()?;
    let machine = Machine::this(folder.path(), arguments.setup.sync_delay_ms);
    let axis = axis::make(folder.path(), arguments.agencies)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let rows = drive::runtime()?.block_on(measure(arguments, &axis, &broker, output))?;
    let settings = Settings {
        agencies: arguments.agencies,
        recipients: arguments.recipients,
        in_flight: arguments.in_flight,
        seconds: arguments.seconds,
        envelope_bytes: rows.first().map_or(0, |phase| phase.envelope_bytes),
    };
    Ok(Findings { name: "submit", machine, settings, rows })
}

async fn measure(arguments: &Arguments, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<Vec<Phase>, Failure> {
    let shape = Shape { recipients: arguments.recipients.into(), bytes_min: arguments.size };
    let mut drive = Drive::connect(axis, broker, arguments.seconds).await?;
    let maximum = drive.closed(shape, arguments.in_flight, arguments.documents, output).await?;
    let share = |share: f64| maximum.documents_per_second * share;
    let rates = match arguments.rate {
        _ if arguments.sweep => SWEEP_SHARES.map(share).to_vec(),
        Some(rate) => vec![f64::from(rate)],
        None => vec![share(PACED_SHARE)],
    };
    let mut rows = vec![maximum];
    for rate in rates {
        rows.push(drive.open(shape, rate, output).await?);
    }
    Ok(rows)
}

/// What stands below the title of the plots.
fn load(settings: &Settings) -> String {
    let Settings { agencies, recipients, envelope_bytes, in_flight, .. } = settings;
    format!(
        "{agencies} agencies, envelopes of {envelope_bytes} bytes to {recipients}; closed loop with {in_flight} in flight; client on the same cores"
    )
}

fn panels(phases: &[Phase]) -> Vec<Panel> {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let over_time = |phase: &Phase| {
        let name = phase.offered_per_second.map_or_else(|| "closed".to_owned(), |rate| format!("open {rate:.0}/s"));
        // The last slice is not a whole one.
        let whole = phase.answered_per_250_ms.iter().take(phase.answered_per_250_ms.len().saturating_sub(1)).enumerate();
        let points = whole.map(|(slice, answered)| (slice as f64 / SLICES_PER_SECOND, *answered as f64 * SLICES_PER_SECOND)).collect();
        Line { name, points }
    };
    let open: Vec<&Phase> = phases.iter().filter(|phase| phase.offered_per_second.is_some()).collect();
    // The closed loop, and of the open ones the lowest, the middle and the highest: more lines cannot be told apart.
    let shown = [open.first(), open.get(open.len() / 2).filter(|_| open.len() > 2), open.last().filter(|_| open.len() > 1)];
    let closed = phases.iter().filter(|phase| phase.offered_per_second.is_none());
    let lines = closed.chain(shown.into_iter().flatten().copied()).map(over_time).collect();
    let throughput = Panel {
        title: "Throughput over time (first half second: warm-up)".to_owned(),
        x: "seconds since the start of the loop",
        y: "documents/s, verified",
        is_logarithmic: false,
        lines,
    };
    if open.len() < 2 {
        return vec![throughput];
    }
    let latency = |name: &str, pick: fn(&Phase) -> f64| {
        let points = open.iter().filter_map(|phase| Some((phase.offered_per_second?, pick(phase)))).collect();
        Line { name: name.to_owned(), points }
    };
    let against_load = Panel {
        title: "Latency against load (open loop, from the instant at which a document was to be sent)".to_owned(),
        x: "documents/s offered",
        y: "milliseconds until the proofs are verified",
        is_logarithmic: true,
        lines: vec![
            latency("p50", |phase| phase.latency.p50_ms),
            latency("p90", |phase| phase.latency.p90_ms),
            latency("p99", |phase| phase.latency.p99_ms),
            latency("p99.9", |phase| phase.latency.p999_ms),
        ],
    };
    vec![against_load, throughput]
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Both, Cost, Latencies, histogram};
    use super::*;
    use crate::local::usage;

    fn phase(offered_per_second: Option<f64>) -> Phase {
        let usage = usage::own().unwrap();
        let both = Both { broker: super::super::broker::Reading { usage, syncs: 0 }, client: usage };
        Phase {
            pace: "",
            offered_per_second,
            recipients: 1,
            envelope_bytes: 1_500,
            verified: 1,
            documents_per_second: 1.0,
            documents_per_block: 1.0,
            latency: Latencies::of(&histogram().unwrap()),
            cost: Cost::between(&both, &both, 1),
            answered_per_250_ms: vec![1, 2, 3],
        }
    }

    #[test]
    fn a_sweep_shows_latency_against_load_and_few_lines_over_time() {
        let alone = panels(&[phase(None), phase(Some(80.0))]);
        assert_eq!(alone.iter().map(|panel| panel.lines.len()).collect::<Vec<_>>(), [2]);
        // The slice that was cut off is left out.
        assert_eq!(alone[0].lines[0].points, [(0.0, 4.0), (0.25, 8.0)]);
        let sweep: Vec<_> = std::iter::once(None).chain(SWEEP_SHARES.map(Some)).map(phase).collect();
        let sweep = panels(&sweep);
        assert_eq!(sweep.iter().map(|panel| panel.lines.len()).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(sweep[0].lines[0].points.len(), SWEEP_SHARES.len());
    }
}
