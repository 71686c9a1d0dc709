//! `truc bench hostile`: what the agencies of an axis feel of one among them that is hostile.
//!
//! The same paced load runs alone and beside each attack; every honest document must be accepted and its proofs must hold, or there are no figures.

use std::time::Duration;

use clap::{Args, ValueEnum as _};
use serde::Serialize;
use tokio::time::Instant;
use truc_types::EdgeTerm;

use super::attack::Attack;
use super::axis::{self, Axis};
use super::broker::Broker;
use super::figures::Latencies;
use super::findings::{self, Findings};
use super::load::{Lane, streams};
use super::machine::Machine;
use super::phase::{self, Course, Pace, Verify, WARM_UP};
use super::setup::Setup;
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
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Settings {
    honest_agencies: u16,
    hostile_agencies: u16,
    documents_per_second: u32,
    seconds: u16,
}

/// One attack. Latencies are those of the others.
#[derive(Debug, Serialize)]
struct Row {
    attack: String,
    alone: Latencies,
    beside: Latencies,
    /// Answers that the attacker got, a second.
    attacker_per_second: f64,
}

impl findings::Row for Row {
    fn head() -> Vec<&'static str> {
        vec!["attack", "others alone p50 / p99 / max ms", "beside it p50 / p99 / max ms", "attacker answers/s"]
    }

    fn cells(&self) -> Vec<String> {
        let show = |found: &Latencies| format!("{:.1} / {:.1} / {:.1}", found.p50_ms, found.p99_ms, found.max_ms);
        vec![self.attack.clone(), show(&self.alone), show(&self.beside), format!("{:.0}", self.attacker_per_second)]
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let attacks = if arguments.attacks.is_empty() { Attack::value_variants() } else { &arguments.attacks };
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let mut rows = Vec::new();
    for attack in attacks {
        // A new broker for each: what one attack leaves is not the next one's.
        let folder = arguments.setup.scratch()?;
        let axis = axis::make(folder.path(), arguments.agencies + 1)?;
        let broker = Broker::start(&axis, &arguments.setup)?;
        rows.push(runtime.block_on(measure(arguments, *attack, &axis, &broker, output))?);
    }
    let settings = Settings {
        honest_agencies: arguments.agencies,
        hostile_agencies: 1,
        documents_per_second: arguments.rate,
        seconds: arguments.seconds,
    };
    Findings { name: "hostile", machine, settings, rows }.show(&arguments.setup, output)?;
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
    let course = Course { pace: Pace::Open { interval }, warm_up: WARM_UP, count_for, verify: Verify::Live };
    let measured = phase::run(streams(lanes).await?, preseal(honest, term, each, 1), course, &axis.log).await?;
    Ok(Latencies::of(&measured.latencies))
}
