//! `truc bench inprocess`: the path of a document through one broker without a network: statement bytes in; verified, decided, durable; proofs out. The
//! engine of the broker runs in this process; what TLS, gRPC and sockets take is what `truc bench submit` adds to it.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::axis::AGENCIES_MAX;
use super::drive;
use super::figures::Latencies;
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::path::EnginePath;
use super::phase::{Course, Measured, Pace, Verify, WARM_UP};
use super::setup::Setup;
use super::stock::documents_open_max;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// How many documents a second the path through one broker takes without a network around it: statement bytes in; verified, decided, durable; proofs
/// out. Closed loop with real syncs; every answer is verified, once the clock has stopped.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies, each with one stream.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=AGENCIES_MAX))]
    pub agencies: u16,
    /// Recipients of each document, one run for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 94], value_parser = clap::value_parser!(u16).range(1..=AGENCIES_MAX))]
    pub recipients: Vec<u16>,
    /// Documents that wait for answers, all streams together.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub in_flight: u16,
    /// Seconds that each run is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub seconds: u16,
    /// Documents of each run at most; they are sealed before it and lie in memory, as do their answers until they are verified.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    pub documents: u32,
    /// On which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    in_flight: u16,
    seconds: u16,
}

/// A closed loop with so many recipients.
#[derive(Debug, Serialize)]
struct Found {
    recipients: u16,
    documents_per_second: f64,
    /// Of the seals that all cores could verify, if each were alone on the machine.
    of_seals: f64,
    /// Of the seals that all cores verify at once.
    of_seals_at_once: f64,
    /// Entries in queues of recipients that became durable.
    queue_entries_per_second: f64,
    latency: Latencies,
    documents_per_block: f64,
    /// Of the whole process: the engine, and the loop that hands statements over and takes answers.
    cpu_us_per_document: f64,
    bytes_written_per_document: f64,
    /// Documents whose checkpoint and two inclusion proofs were verified: all of them.
    verified: u64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        let rates = ["recipients", "documents/s", "× cores × verify_strict", "× all cores' verify_strict", "queue entries/s"];
        [&rates[..], &Latencies::HEAD, &["docs/block", "CPU µs/doc", "written B/doc", "verified"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let rates = vec![
            self.recipients.to_string(),
            format!("{:.0}", self.documents_per_second),
            format!("{:.2}", self.of_seals),
            format!("{:.2}", self.of_seals_at_once),
            format!("{:.0}", self.queue_entries_per_second),
        ];
        let costs = vec![
            format!("{:.0}", self.documents_per_block),
            format!("{:.1}", self.cpu_us_per_document),
            format!("{:.0}", self.bytes_written_per_document),
            self.verified.to_string(),
        ];
        [rates, self.latency.cells(), costs].concat()
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "inprocess",
    goals: &[
        Goal { name: "in-process path, 1 recipient", goal: "≥ 0.75 × cores × verify_strict/s with AVX2, ≥ 0.60 × with AVX-512" },
        Goal { name: "in-process path, 10 recipients", goal: "≥ 0.60 × cores × verify_strict/s" },
        Goal { name: "in-process path, 94 recipients", goal: "≥ 0.10 × cores × verify_strict/s" },
    ],
    is_quick: true,
    measure: goals,
};
const SHARE_MIN: f64 = 0.75;
/// With AVX-512 seals are verified faster, and everything beside them is not.
const SHARE_MIN_AVX512: f64 = 0.60;
const SHARES_MIN_OF_MORE: [f64; 2] = [0.60, 0.10];

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let seconds = if request.quick { 3 } else { 10 };
    let documents = u32::from(seconds) * 40_000;
    let setup = request.setup.clone();
    let arguments = Arguments { agencies: 94, recipients: vec![1, 10, 94], in_flight: 1_024, seconds, documents, setup };
    let found = find(&arguments, output)?;
    let (one, at_once) = (found.machine.verify_strict_per_second, found.machine.verify_strict_per_second_all_cores);
    let first = if found.machine.dalek_backend == "avx512" { SHARE_MIN_AVX512 } else { SHARE_MIN };
    let minima = std::iter::once(first).chain(SHARES_MIN_OF_MORE);
    let reached = found.rows.iter().zip(minima).map(|(row, min)| Reached {
        measured: format!("{:.2} × ({:.0}/s of {:.0}/s)", row.of_seals, row.documents_per_second, found.machine.seals_per_second()),
        is_met: row.of_seals >= min,
        how: format!(
            "seals alone: {one:.0}/s on one core, {at_once:.0}/s on all at once, {:.2} × of which this is; CPU {:.1} µs a document, {} proofs verified",
            row.of_seals_at_once, row.cpu_us_per_document, row.verified
        ),
    });
    Ok(reached.collect())
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    find(arguments, output)?.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn find(arguments: &Arguments, output: &mut Output) -> Result<Findings<Settings, Found>, Failure> {
    if arguments.setup.program.is_some() {
        return Err(Failure::Usage("the engine runs in this process: run the other program instead of --program".to_owned()));
    }
    if let Some(recipients) = arguments.recipients.iter().find(|recipients| **recipients > arguments.agencies) {
        return Err(Failure::Usage(format!("{recipients} recipients need as many agencies: --agencies")));
    }
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let rows = arguments.recipients.iter().map(|recipients| measure(arguments, *recipients, &machine, output)).collect::<Result<_, _>>()?;
    let Arguments { agencies, in_flight, seconds, .. } = *arguments;
    Ok(Findings { name: "inprocess", machine, settings: Settings { agencies, in_flight, seconds }, rows })
}

/// One closed loop on a new axis.
fn measure(arguments: &Arguments, recipients: u16, machine: &Machine, output: &mut Output) -> Result<Found, Failure> {
    let folder = arguments.setup.scratch()?;
    let documents = u64::from(arguments.documents).min(documents_open_max(recipients.into()));
    let (agencies, each) = (usize::from(arguments.agencies), documents / u64::from(arguments.agencies));
    let in_flight = usize::from(arguments.in_flight).div_ceil(agencies);
    let count_for = Duration::from_secs(u64::from(arguments.seconds));
    let course = Course { pace: Pace::Closed { in_flight }, warm_up: WARM_UP, count_for, verify: Verify::Afterwards };
    let (before, measured) = drive::runtime()?.block_on(async {
        let delay = Duration::from_millis(arguments.setup.sync_delay_ms);
        let mut path = EnginePath::start(folder.path(), arguments.agencies, delay)?;
        output.talk(&format!("{recipients} recipient(s): sealing {} envelopes", each * u64::from(arguments.agencies)));
        let stocks = path.seal(each, recipients.into());
        output.talk(&format!("closed loop, {} in flight, {} s", in_flight * agencies, arguments.seconds));
        let found = path.run(stocks, course).await?;
        path.finish().await?;
        Ok::<_, Failure>(found)
    })?;
    let Measured { verified, counted, time, latencies, blocks, own, .. } = measured;
    let written = own.bytes_written.saturating_sub(before.bytes_written);
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes of a bench are far below 2^53")]
    let [counted, documents, blocks, written] = [counted, verified, blocks as u64, written].map(|count| count as f64);
    let (rate, each) = (counted / time.as_secs_f64().max(f64::MIN_POSITIVE), |amount: f64| amount / documents.max(1.0));
    Ok(Found {
        recipients,
        documents_per_second: rate,
        of_seals: rate / machine.seals_per_second(),
        of_seals_at_once: rate / machine.verify_strict_per_second_all_cores,
        queue_entries_per_second: rate * f64::from(recipients),
        latency: Latencies::of(&latencies),
        documents_per_block: documents / blocks.max(1.0),
        cpu_us_per_document: each((own.cpu_seconds - before.cpu_seconds) * 1e6),
        bytes_written_per_document: each(written),
        verified,
    })
}
