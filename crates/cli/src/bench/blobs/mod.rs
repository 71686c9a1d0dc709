//! `truc bench blobs`: a large document up and down, first between light edges, so that the broker is what is measured, then through real edges from one
//! document-management system to another. Every process must stay as small as it was.
//!
//! One attachment has 50 MiB at most, so a gibibyte is one document with 21 of them; as many as an edge has on the line at once are under way at a time.

mod content;
mod hosted;
mod light;
mod speed;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX};

use self::content::Content;
use super::axis;
use super::broker::Broker;
use super::edges::{self, Edges};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use crate::failure::{Exit, Failure};
use crate::local::usage::{self, Usage};
use crate::output::Output;

/// How fast a large document goes up and down, against how fast this machine hashes, and how much memory that takes. Digests, seals and proofs are
/// verified by whom it reaches.
#[derive(Debug, Args)]
pub struct Arguments {
    /// MiB of the document, in attachments of at most 50.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=1_500))]
    pub mib: u64,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    mib: u64,
    attachments: usize,
    /// Of one core.
    sha256_mib_per_second: f64,
    /// Written in a row to the disk of the broker, and synced: no upload can be faster.
    disk_mib_per_second: f64,
}

/// One leg of the way.
#[derive(Debug, Clone, Serialize)]
struct Found {
    leg: &'static str,
    mib_per_second: f64,
    /// Of the speed at which one core hashes.
    sha256_share: f64,
    broker_growth_mib: f64,
    /// The process with the real edges, both of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    edges_growth_mib: Option<f64>,
    /// Processor time of all processes for each MiB: what the cores have divided by it is the most that this leg can reach.
    cpu_ms_per_mib: Cpu,
}

/// Processor time by process.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cpu {
    broker: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    edges: Option<f64>,
    /// The bench itself: light edges, or the document-management systems.
    bench: f64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        let head = vec!["leg", "MiB/s", "× SHA-256", "broker RSS growth MiB", "edges RSS growth MiB"];
        [head, vec!["CPU ms/MiB: broker", "edges", "bench"]].concat()
    }

    fn cells(&self) -> Vec<String> {
        let perhaps = |value: Option<f64>, digits| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
        let (rate, share) = (format!("{:.0}", self.mib_per_second), format!("{:.2}", self.sha256_share));
        let growths = vec![format!("{:.1}", self.broker_growth_mib), perhaps(self.edges_growth_mib, 1)];
        let Cpu { broker, edges, bench } = self.cpu_ms_per_mib;
        [vec![self.leg.to_owned(), rate, share], growths, vec![format!("{broker:.2}"), perhaps(edges, 2), format!("{bench:.2}")]].concat()
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "blobs",
    goals: &[
        Goal { name: "1 GiB of attachments up and down: memory of broker and edges", goal: "grows by ≤ 16 MiB" },
        Goal { name: "1 GiB of attachments up and down through the broker", goal: "≥ 0.6 × SHA-256 speed" },
    ],
    is_quick: true,
    measure: goals,
};
const GROWTH_MIB_MAX: f64 = 16.0;
const SHARE_MIN: f64 = 0.6;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let mib = if request.quick { 256 } else { 1_024 };
    let (settings, found) = find(&Arguments { mib, setup: request.setup.clone() }, output)?;
    let growth = found.iter().map(|leg| leg.broker_growth_mib.max(leg.edges_growth_mib.unwrap_or_default())).fold(0.0, f64::max);
    let through_broker = found.iter().filter(|leg| leg.edges_growth_mib.is_none());
    let share = through_broker.map(|leg| leg.sha256_share).fold(f64::INFINITY, f64::min);
    let legs: Vec<_> = found.iter().map(|leg| format!("{} {:.0} MiB/s", leg.leg, leg.mib_per_second)).collect();
    let (attachments, disk) = (settings.attachments, settings.disk_mib_per_second);
    let how = format!("{mib} MiB in {attachments} attachments; {}; the disk takes {disk:.0}", legs.join(", "));
    let measured = format!("{share:.2} × of {:.0} MiB/s", settings.sha256_mib_per_second);
    Ok(vec![
        Reached { measured: format!("{growth:.1} MiB"), is_met: growth <= GROWTH_MIB_MAX, how: how.clone() },
        Reached { measured, is_met: share >= SHARE_MIN, how },
    ])
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let (settings, rows) = find(arguments, output)?;
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    Findings { name: "blobs", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn find(arguments: &Arguments, output: &mut Output) -> Result<(Settings, Vec<Found>), Failure> {
    let bytes = arguments.mib * 1024 * 1024;
    let count = bytes.div_ceil(ATTACHMENT_BYTES_MAX);
    let attachments = usize::try_from(count).unwrap_or(usize::MAX).min(ATTACHMENTS_MAX);
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), 4)?;
    edges::make(&axis)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let sha256_mib_per_second = speed::sha256_mib_per_second();
    let disk_mib_per_second = speed::disk_mib_per_second(folder.path())?;
    let meter = Meter { broker: broker.id(), edges: None, bytes, sha256_mib_per_second };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let mut found = runtime.block_on(light::run(&axis, &parts(bytes, 0), &meter, output))?;
    let edges = Edges::start(&axis, axis.agencies.get(2..).unwrap_or_default())?;
    let meter = Meter { edges: Some(edges.id()), ..meter };
    // Other contents: nobody has them yet.
    found.extend(runtime.block_on(hosted::run(&edges, &parts(bytes, 1), &meter, output))?);
    Ok((Settings { mib: arguments.mib, attachments, sha256_mib_per_second, disk_mib_per_second }, found))
}

/// The attachments of one document.
fn parts(bytes: u64, kind: u64) -> Vec<Content> {
    let starts = (0..bytes).step_by(usize::try_from(ATTACHMENT_BYTES_MAX).unwrap_or(usize::MAX));
    starts.map(|start| Content::new((kind << 32) | (start / ATTACHMENT_BYTES_MAX), (bytes - start).min(ATTACHMENT_BYTES_MAX))).collect()
}

/// Measures one leg after the other.
#[derive(Debug, Clone, Copy)]
struct Meter {
    broker: u32,
    edges: Option<u32>,
    bytes: u64,
    sha256_mib_per_second: f64,
}

/// A leg that goes on.
struct Leg {
    meter: Meter,
    name: &'static str,
    begun: Instant,
    before: Used,
}

/// What each process used so far.
struct Used {
    broker: Usage,
    edges: Option<Usage>,
    bench: Usage,
}

impl Meter {
    /// A leg begins: what the processes had at most is what they have now.
    fn begin(&self, name: &'static str) -> Result<Leg, Failure> {
        for pid in std::iter::once(self.broker).chain(self.edges) {
            // 5 sets the peak to the present value (proc(5), `/proc/<pid>/clear_refs`).
            let path = PathBuf::from(format!("/proc/{pid}/clear_refs"));
            std::fs::write(&path, "5").map_err(|source| Failure::file(&path, source))?;
        }
        Ok(Leg { meter: *self, name, before: self.used()?, begun: Instant::now() })
    }

    fn used(&self) -> Result<Used, Failure> {
        Ok(Used { broker: usage::of(self.broker)?, edges: self.edges.map(usage::of).transpose()?, bench: usage::own()? })
    }
}

impl Leg {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    fn end(self) -> Result<Found, Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let Self { meter, name, before, .. } = self;
        let after = meter.used()?;
        let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        let growth = |before: &Usage, after: &Usage| mebibytes(after.resident_bytes_max.saturating_sub(before.resident_bytes));
        let mib = mebibytes(meter.bytes);
        let cpu = |before: &Usage, after: &Usage| (after.cpu_seconds - before.cpu_seconds) * 1_000.0 / mib;
        let edges = before.edges.as_ref().zip(after.edges.as_ref());
        let mib_per_second = mib / seconds.max(f64::MIN_POSITIVE);
        Ok(Found {
            leg: name,
            mib_per_second,
            sha256_share: mib_per_second / meter.sha256_mib_per_second,
            broker_growth_mib: growth(&before.broker, &after.broker),
            edges_growth_mib: edges.map(|(before, after)| growth(before, after)),
            cpu_ms_per_mib: Cpu {
                broker: cpu(&before.broker, &after.broker),
                edges: edges.map(|(before, after)| cpu(before, after)),
                bench: cpu(&before.bench, &after.bench),
            },
        })
    }
}
