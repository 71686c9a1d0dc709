//! `truc bench hostile`: what the agencies of an axis feel of one among them that is hostile.
//!
//! The same paced load runs alone and beside each attack; every honest document must be accepted and its proofs must hold, or there are no figures.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use serde::Serialize;
use tokio::time::Instant;
use truc_types::EdgeTerm;

use super::attack::Attack;
use super::axis::{self, Axis};
use super::load::Lane;
use super::machine::Machine;
use super::phase::{self, Pace, WARM_UP};
use super::process::Broker;
use super::report::durability;
use super::stock::preseal;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What the others feel of one hostile agency: latencies of a steady load alone and beside each attack. Attacker, others and broker share this
/// machine, so some of what is felt is the processor that the attacker itself takes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies that are honest, each with one connection and one stream.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=93))]
    pub agencies: u16,
    /// Documents a second of all of them together.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Seconds that each measurement takes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Only these attacks, instead of all.
    #[arg(long, value_enum, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Another build of this program, whose broker is measured: to compare the two.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Folder on the disk to measure; without it the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// The figures, with what they depend on.
#[derive(Debug, Serialize)]
struct Report {
    machine: Machine,
    durability: String,
    agencies: u16,
    rate: u32,
    attacks: Vec<Row>,
}

/// One attack. Latencies of the others in milliseconds.
#[derive(Debug, Serialize)]
struct Row {
    attack: String,
    alone: Latencies,
    beside: Latencies,
    /// Answers that the attacker got, a second.
    attacker_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Latencies {
    verified: u64,
    p50_ms: f64,
    p99_ms: f64,
    largest_ms: f64,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let attacks = if arguments.attacks.is_empty() { Attack::value_variants() } else { &arguments.attacks };
    let mut report = Report {
        machine: Machine::this(),
        durability: durability(&parent, 0),
        agencies: arguments.agencies,
        rate: arguments.rate,
        attacks: Vec::new(),
    };
    for attack in attacks {
        // A new broker for each: what one attack leaves is not the next one's.
        let folder = tempfile::tempdir_in(&parent).map_err(|cause| Failure::file(&parent, cause))?;
        let axis = axis::make(folder.path(), arguments.agencies + 1)?;
        let broker = Broker::start(&axis, arguments.program.as_deref(), Duration::ZERO)?;
        report.attacks.push(runtime.block_on(measure(arguments, *attack, &axis, &broker, output))?);
    }
    output.data(&report.to_string(), &report)?;
    Ok(Exit::Done)
}

async fn measure(arguments: &Arguments, attack: Attack, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<Row, Failure> {
    let name = attack.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let Some((hostile, honest)) = axis.agencies.split_last() else { return Err(Failure::Usage("no agency".to_owned())) };
    let mut lanes = Vec::with_capacity(honest.len());
    for agency in honest {
        lanes.push(Lane::open(broker.address, agency).await?);
    }
    output.talk(&format!("{name}: the others alone"));
    let alone = latencies(arguments, axis, &lanes, EdgeTerm(1)).await?;
    output.talk(&format!("{name}: the others beside it"));
    let running = attack.begin(broker.address, hostile, EdgeTerm(1), &axis.log).await?;
    let (since, before) = (Instant::now(), running.done());
    let beside = latencies(arguments, axis, &lanes, EdgeTerm(2)).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let attacker_per_second = (running.done() - before) as f64 / since.elapsed().as_secs_f64();
    Ok(Row { attack: name, alone, beside, attacker_per_second })
}

/// The paced load of the honest agencies, once. Each run has a term of its own.
async fn latencies(arguments: &Arguments, axis: &Axis, lanes: &[Lane], term: EdgeTerm) -> Result<Latencies, Failure> {
    let honest = axis.agencies.get(..lanes.len()).unwrap_or_default();
    for (lane, agency) in lanes.iter().zip(honest) {
        lane.open_term(agency, term, &axis.log).await?;
    }
    let interval = Duration::from_secs_f64(1.0 / f64::from(arguments.rate));
    let count_for = Duration::from_secs(u64::from(arguments.seconds));
    let documents = (WARM_UP + count_for).as_nanos().div_ceil(interval.as_nanos().max(1));
    let each = u64::try_from(documents).unwrap_or(u64::MAX).div_ceil(u64::from(arguments.agencies));
    let measured = phase::run(lanes, preseal(honest, term, each, 1), Pace::Open { interval }, count_for, &axis.log).await?;
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a bench are far below 2^53")]
    let at = |quantile: f64| measured.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Latencies { verified: measured.verified, p50_ms: at(0.5), p99_ms: at(0.99), largest_ms: at(1.0) })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine      {}", self.machine)?;
        writeln!(f, "durability   {}", self.durability)?;
        writeln!(f, "load         {} documents/s of {} honest agencies; one more is hostile", self.rate, self.agencies)?;
        writeln!(f, "\nlatency of the others, ms")?;
        write!(f, "{:<10}{:>26}{:>26}{:>20}", "attack", "alone p50 / p99 / max", "beside p50 / p99 / max", "attacker answers/s")?;
        for row in &self.attacks {
            let show = |found: &Latencies| format!("{:.1} / {:.1} / {:.1}", found.p50_ms, found.p99_ms, found.largest_ms);
            write!(f, "\n{:<10}{:>26}{:>26}{:>20.0}", row.attack, show(&row.alone), show(&row.beside), row.attacker_per_second)?;
        }
        Ok(())
    }
}
