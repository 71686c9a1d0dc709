//! `truc bench soak`: does an axis stay what it is? A steady load for an hour, the whole way to the acknowledged receipt, and the broker's memory,
//! descriptors, disk and what documents wait, over time.

mod load;
mod series;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use truc_edge::light::LightEdge;

use super::axis::{self, Axis};
use super::broker::Broker;
use super::figures::Latencies;
use super::findings::Findings;
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::ATTACHMENT;
use super::{disk, edges, light, plot};
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;
use load::Watch;
use series::{Sample, Series};

/// Whether an axis stays what it is: documents at a fixed rate through light edges and a real broker, the whole way to the acknowledged receipt, and every
/// few seconds a look at the broker's memory, descriptors, threads, disk, and at what documents waited. Exit code 1 if one of them was not flat from the
/// second quarter of the time to the last; without figures if anything was lost or doubled, or a proof did not hold.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=1_440))]
    pub minutes: u16,
    /// So many seconds instead.
    #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u32).range(4..=86_400))]
    pub seconds: Option<u32>,
    /// Documents a second, all agencies together.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: u32,
    /// Agencies, each of which sends and receives.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Seconds from one look to the next; at least four fit into the time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub every: u32,
    /// Write everything over time to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    seconds: u32,
    rate: u32,
    agencies: u16,
    every_seconds: u32,
    /// Documents that went the whole way: all that were begun.
    documents_verified: u64,
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "soak",
    goals: &[Goal {
        name: "an hour at 500 documents/s: memory, descriptors and latency of the broker",
        goal: "flat from the second quarter to the last",
    }],
    is_quick: false,
    measure: goals,
};

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let setup = request.setup.clone();
    let arguments = Arguments { minutes: 60, seconds: None, rate: 500, agencies: 94, every: 10, plot: None, setup };
    let (verified, samples) = measure(&arguments, output)?;
    let series = series::all(&samples);
    let judged = series.iter().filter(|series| series.is_flat.is_some());
    let shown = judged.map(|series| format!("{} {:.1} → {:.1}", series.measure, series.quarters[1], series.quarters[3]));
    Ok(vec![Reached {
        measured: shown.collect::<Vec<_>>().join(", "),
        is_met: is_flat(&series),
        how: format!("medians of the second and the last quarter; {verified} documents the whole way, none lost or doubled"),
    }])
}

fn is_flat(series: &[Series]) -> bool {
    series.iter().all(|series| series.is_flat != Some(false))
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let (seconds, &Arguments { rate, agencies, every, .. }) = (arguments.time(), arguments);
    if seconds / every < 4 {
        return Err(Failure::Usage(format!("{seconds} seconds are less than four looks, one every {every} seconds: --every")));
    }
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let (documents_verified, samples) = measure(arguments, output)?;
    let rows = series::all(&samples);
    if let Some(path) = &arguments.plot {
        let load = format!(
            "{rate} documents/s among {agencies} agencies, {documents_verified} verified at the sender; light edges on the same cores"
        );
        plot::write(path, "truc bench soak", &[machine.to_string(), machine.durability.clone(), load], &series::panels(&samples, &rows))?;
    }
    let exit = if is_flat(&rows) { Exit::Done } else { Exit::Failed };
    let settings = Settings { seconds, rate, agencies, every_seconds: every, documents_verified };
    Findings { name: "soak", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(exit)
}

impl Arguments {
    fn time(&self) -> u32 {
        self.seconds.unwrap_or_else(|| u32::from(self.minutes) * 60)
    }
}

/// A soak on a new axis: documents that went the whole way, and what was seen.
fn measure(arguments: &Arguments, output: &mut Output) -> Result<(u64, Vec<Sample>), Failure> {
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    edges::make(&axis)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(drive(arguments, &axis, &broker, output))
}

async fn drive(arguments: &Arguments, axis: &Axis, broker: &Broker, output: &mut Output) -> Result<(u64, Vec<Sample>), Failure> {
    let watch = Arc::new(Watch::new()?);
    let told = || {
        let watch = Arc::clone(&watch);
        move |message_id| watch.returned(message_id)
    };
    let (edges, mut loops) = light::connect(axis, &[Bytes::from_static(ATTACHMENT)], Duration::ZERO, told).await?;
    output.talk(&format!("{} documents/s for {} s", arguments.rate, arguments.time()));
    loops.beside(pass(arguments, axis, broker, &edges, &watch, output)).await
}

async fn pass(
    arguments: &Arguments,
    axis: &Axis,
    broker: &Broker,
    edges: &[LightEdge],
    watch: &Arc<Watch>,
    output: &mut Output,
) -> Result<(u64, Vec<Sample>), Failure> {
    let start = Instant::now();
    let end = start + Duration::from_secs(u64::from(arguments.time()));
    let every = Duration::from_secs(u64::from(arguments.every));
    let looking = async {
        let mut samples = Vec::new();
        let mut next = start + every;
        while next <= end {
            tokio::time::sleep_until(next).await;
            let sample = look(axis, broker, watch, (start, every))?;
            output.talk(&format!(
                "{:6.1} min: {:.0} documents/s back, p50 {:.1} ms, p99 {:.1} ms; {:.0} MiB, {:.0} descriptors, {:.0} MiB on disk",
                sample.minutes,
                sample.documents_per_second,
                sample.p50_ms,
                sample.p99_ms,
                sample.resident_mib,
                sample.descriptors,
                sample.disk_mib
            ));
            samples.push(sample);
            next += every;
        }
        Ok(samples)
    };
    let (sent, samples) = tokio::try_join!(load::run(edges, watch, arguments.rate, end), looking)?;
    light::check(edges, sent, sent).await?;
    Ok((sent, samples))
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes of a bench are far below 2^53")]
fn look(axis: &Axis, broker: &Broker, watch: &Watch, (start, every): (Instant, Duration)) -> Result<Sample, Failure> {
    let latency = Latencies::of(&watch.look()?);
    let (usage, held) = (usage::of(broker.id())?, usage::held(broker.id())?);
    let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    Ok(Sample {
        minutes: start.elapsed().as_secs_f64() / 60.0,
        documents_per_second: latency.count as f64 / every.as_secs_f64(),
        p50_ms: latency.p50_ms,
        p99_ms: latency.p99_ms,
        max_ms: latency.max_ms,
        resident_mib: mebibytes(usage.resident_bytes),
        descriptors: held.descriptors as f64,
        threads: held.threads as f64,
        disk_mib: mebibytes(disk::bytes(axis)?),
    })
}
