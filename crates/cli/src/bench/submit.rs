//! `truc bench submit`: how many documents a second one broker accepts durably, and how long each waits for its proofs.
//!
//! First a closed loop finds the maximum, then an open loop at a part of it finds the latencies that a user of a broker with head-room sees.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use truc_types::EdgeTerm;

use super::axis::{self, Axis};
use super::load::Lane;
use super::machine::Machine;
use super::phase::{self, Pace, WARM_UP};
use super::process::{Broker, own_usage};
use super::report::{Figures, Report, durability};
use super::stock::{Sealed, preseal};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// The part of the maximum at which the open loop goes.
const PACED_SHARE: f64 = 0.8;

/// How many documents a second one broker accepts, and how long each waits for its proofs. Starts a broker of its own in a temporary folder, with real
/// mutual TLS and real syncs; verifies every answer and fails on the first that does not hold.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies, each with one connection and one stream.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=94))]
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
    /// Every block takes so many milliseconds longer to be durable, like a slower disk.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub sync_delay_ms: u64,
    /// Another build of this program, whose broker is measured: to compare the two.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Folder on the disk to measure; without it the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.recipients >= arguments.agencies {
        let (recipients, agencies) = (arguments.recipients, arguments.agencies);
        return Err(Failure::Usage(format!("{recipients} recipients of each document need more than {agencies} agencies: --agencies")));
    }
    let parent = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&parent).map_err(|cause| Failure::file(&parent, cause))?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    let broker = Broker::start(&axis, arguments.program.as_deref(), Duration::from_millis(arguments.sync_delay_ms))?;
    let durability = durability(folder.path(), arguments.sync_delay_ms);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let report = runtime.block_on(measure(arguments, &axis, &broker, durability, output))?;
    output.data(&report.to_string(), &report)?;
    Ok(Exit::Done)
}

async fn measure(arguments: &Arguments, axis: &Axis, broker: &Broker, durability: String, output: &mut Output) -> Result<Report, Failure> {
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
    let maximum = figures(broker, phase::run(&lanes, stocks, Pace::Closed { in_flight }, count_for, &axis.log)).await?;

    let rate = arguments.rate.map_or(maximum.documents_per_second * PACED_SHARE, f64::from).max(1.0);
    let interval = Duration::from_secs_f64(1.0 / rate);
    let documents = (WARM_UP + count_for).as_nanos().div_ceil(interval.as_nanos().max(1));
    let paced_each = u64::try_from(documents).unwrap_or(u64::MAX).div_ceil(agencies);
    output.talk(&format!("sealing {} envelopes", paced_each * agencies));
    let stocks = stock(axis, &lanes, EdgeTerm(2), paced_each, recipients).await?;
    output.talk(&format!("open loop, {rate:.0} documents/s, {} s", arguments.seconds));
    let paced = figures(broker, phase::run(&lanes, stocks, Pace::Open { interval }, count_for, &axis.log)).await?;

    Ok(Report {
        machine: Machine::this(),
        durability,
        sync_delay_ms: arguments.sync_delay_ms,
        agencies: arguments.agencies,
        recipients,
        envelope_bytes,
        in_flight: in_flight * lanes.len(),
        maximum,
        paced,
        paced_rate: rate,
        broker_resident_bytes_max: broker.usage().resident_bytes_max,
    })
}

/// Opens a term of every agency and seals its envelopes. Each phase has a term of its own, because the one before may leave numbers unused.
async fn stock(axis: &Axis, lanes: &[Lane], term: EdgeTerm, each: u64, recipients: usize) -> Result<Vec<Vec<Sealed>>, Failure> {
    for (lane, agency) in lanes.iter().zip(&axis.agencies) {
        lane.open_term(agency, term, &axis.log).await?;
    }
    Ok(preseal(&axis.agencies, term, each, recipients))
}

/// The figures of a phase, with what the processes used during it.
async fn figures(broker: &Broker, phase: impl Future<Output = Result<phase::Measured, Failure>>) -> Result<Figures, Failure> {
    let before = (broker.usage(), own_usage());
    let measured = phase.await?;
    Ok(Figures::new(&measured, (before.0, broker.usage()), (before.1, own_usage())))
}
