//! `truc bench blobs`: a large document up and down, first between light edges, so that the broker is what is measured, then through real edges from one
//! document-management system to another. Every process must stay as small as it was.
//!
//! One attachment has 50 MiB at most, so a gibibyte is one document with 21 of them.

mod content;
mod hosted;
mod light;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, BLOB_CHUNK_BYTES};

use self::content::Content;
use super::axis;
use super::broker::Broker;
use super::edges::{self, Edges};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;

/// What is hashed to find how fast the machine hashes, best of so many.
const HASHED_BYTES: usize = 64 * 1024 * 1024;
const HASHED_TIMES: usize = 5;

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
    sha256_mib_per_second: f64,
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
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        vec!["leg", "MiB/s", "× SHA-256", "broker RSS growth MiB", "edges RSS growth MiB"]
    }

    fn cells(&self) -> Vec<String> {
        let edges = self.edges_growth_mib.map_or_else(|| "-".to_owned(), |growth| format!("{growth:.1}"));
        let (rate, share) = (format!("{:.0}", self.mib_per_second), format!("{:.2}", self.sha256_share));
        vec![self.leg.to_owned(), rate, share, format!("{:.1}", self.broker_growth_mib), edges]
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
    let how = format!("{mib} MiB in {} attachments; {}", settings.attachments, legs.join(", "));
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
    let sha256_mib_per_second = sha256_mib_per_second();
    let meter = Meter { broker: broker.id(), edges: None, bytes, sha256_mib_per_second };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let mut found = runtime.block_on(light::run(&axis, &parts(bytes, 0), &meter, output))?;
    let edges = Edges::start(&axis, axis.agencies.get(2..).unwrap_or_default())?;
    let meter = Meter { edges: Some(edges.id()), ..meter };
    // Other contents: nobody has them yet.
    found.extend(runtime.block_on(hosted::run(&edges, &parts(bytes, 1), &meter, output))?);
    Ok((Settings { mib: arguments.mib, attachments, sha256_mib_per_second }, found))
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
    before: Vec<u64>,
}

impl Meter {
    fn processes(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.broker).chain(self.edges)
    }

    /// A leg begins: what the processes had at most is what they have now.
    fn begin(&self, name: &'static str) -> Result<Leg, Failure> {
        let mut before = Vec::new();
        for pid in self.processes() {
            // 5 sets the peak to the present value (proc(5), `/proc/<pid>/clear_refs`).
            let path = PathBuf::from(format!("/proc/{pid}/clear_refs"));
            std::fs::write(&path, "5").map_err(|source| Failure::file(&path, source))?;
            before.push(usage::of(pid)?.resident_bytes);
        }
        Ok(Leg { meter: *self, name, begun: Instant::now(), before })
    }
}

impl Leg {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    fn end(self) -> Result<Found, Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        let mut growths = Vec::new();
        for (pid, before) in self.meter.processes().zip(self.before) {
            growths.push(mebibytes(usage::of(pid)?.resident_bytes_max.saturating_sub(before)));
        }
        let mib_per_second = mebibytes(self.meter.bytes) / seconds.max(f64::MIN_POSITIVE);
        Ok(Found {
            leg: self.name,
            mib_per_second,
            sha256_share: mib_per_second / self.meter.sha256_mib_per_second,
            broker_growth_mib: growths.first().copied().unwrap_or_default(),
            edges_growth_mib: growths.get(1).copied(),
        })
    }
}

/// How fast one core hashes, in pieces as they go over the line.
#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn sha256_mib_per_second() -> f64 {
    let chunk = vec![7; BLOB_CHUNK_BYTES];
    let once = || {
        let begun = Instant::now();
        let mut hasher = Sha256::new();
        (0..HASHED_BYTES / BLOB_CHUNK_BYTES).for_each(|_| hasher.update(&chunk));
        std::hint::black_box(hasher.finalize());
        HASHED_BYTES as f64 / (1024.0 * 1024.0) / begun.elapsed().as_secs_f64()
    };
    (0..HASHED_TIMES).map(|_| once()).fold(0.0, f64::max)
}
