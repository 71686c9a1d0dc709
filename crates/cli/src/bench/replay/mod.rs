//! `truc bench replay`: the axis' first 29 months at once, 6.3 million deliveries among 94 agencies, and what the broker is like afterwards: memory, disk,
//! how fast it opens again, how fast it rebuilds its views.
//!
//! The documents are sealed before the clock runs and read from a file; everything else is live: proofs and seals are verified where they arrive, receipts
//! are sealed, and a document counts when the last recipient's registration was verified at the sender.

mod offline;
mod plan;
mod sealed;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_edge::light::LightEdge;
use truc_ledger::{Checkpoint, checkpoint};
use truc_signing::sha256;
use truc_types::OrganisationCode;

use super::axis::{self, Axis};
use super::broker::Broker;
use super::figures::defect;
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::draft;
use super::{disk, edges, light};
use crate::failure::{Exit, Failure};
use crate::local::usage;
use crate::output::Output;
use plan::{CONTENTS, Plan};
use sealed::Presealed;

/// Those of some two thousand documents: nobody waits for the next, and what is to be delivered is still in the broker's memory.
const ARRIVING: u32 = 8_192;
const GATHER_MS: u32 = 5_000;
/// Nothing came back for so long: something is lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// The broker may pack its last sealed segments so long before its disk is weighed.
const PACKING: Duration = Duration::from_secs(120);
/// How often is looked at what has arrived, when too much has not.
const PACE: Duration = Duration::from_millis(1);
/// So often is said how far it is; in the middle is one of them.
const PARTS: u64 = 20;
/// How often the folder is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// How fast the axis' first 29 months pass, and what the broker is like afterwards: memory, disk, reopening, rebuilding. Nothing may be lost, and a random
/// sample of the log is verified offline.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Deliveries: as many as the national axis made from March 2019 to August 2021.
    #[arg(long, default_value_t = 6_300_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub deliveries: u64,
    /// Agencies, each of which sends and receives.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Deliveries that have not arrived yet, all agencies together: beyond them nothing is sent. Those that have arrived and wait for receipts do not count.
    #[arg(long, default_value_t = ARRIVING, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub arriving: u32,
    /// Milliseconds for which each agency gathers what it answers to one sender before it seals a receipt, as people do who look at their inbox from time to
    /// time. The default is a week of the time that is replayed.
    #[arg(long, default_value_t = GATHER_MS, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub gather_ms: u32,
    /// Entries of the log that are verified offline at the end.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub sample: u16,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    deliveries: u64,
    agencies: u16,
    arriving: u32,
    gather_ms: u32,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) documents: u64,
    pub(super) deliveries: u64,
    pub(super) seconds: f64,
    pub(super) deliveries_per_second: f64,
    /// Documents in one receipt, on average.
    pub(super) documents_per_receipt: f64,
    /// Processor time while the clock ran, of all documents: the broker, and this process, in which all edges are.
    pub(super) broker_cpu_seconds: f64,
    pub(super) client_cpu_seconds: f64,
    /// Of the broker, when half of the documents were back, and when all were.
    pub(super) resident_bytes_half: u64,
    pub(super) resident_bytes_end: u64,
    pub(super) resident_bytes_max: u64,
    pub(super) entries: u64,
    pub(super) entry_bytes: u64,
    /// Journal and views.
    pub(super) disk_bytes: u64,
    /// From the start of the process until it serves.
    pub(super) reopen_seconds: f64,
    /// The same without views.
    pub(super) rebuild_seconds: f64,
    pub(super) rebuilt_entries_per_second: f64,
    /// Entries of the log that were verified offline.
    pub(super) sample_verified: u64,
}

impl Found {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    fn disk_share(&self) -> f64 {
        self.disk_bytes as f64 / self.entry_bytes.max(1) as f64
    }
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        vec![
            "documents",
            "deliveries",
            "s",
            "deliveries/s",
            "docs/receipt",
            "CPU s broker/edges",
            "RSS MiB half/end/max",
            "entries",
            "disk/entries",
            "reopen s",
            "rebuild s",
            "entries/s",
            "sample",
        ]
    }

    fn cells(&self) -> Vec<String> {
        let [half, end, max] = [self.resident_bytes_half, self.resident_bytes_end, self.resident_bytes_max].map(|bytes| bytes >> 20);
        vec![
            self.documents.to_string(),
            self.deliveries.to_string(),
            format!("{:.1}", self.seconds),
            format!("{:.0}", self.deliveries_per_second),
            format!("{:.1}", self.documents_per_receipt),
            format!("{:.0}/{:.0}", self.broker_cpu_seconds, self.client_cpu_seconds),
            format!("{half}/{end}/{max}"),
            self.entries.to_string(),
            format!("{:.2}", self.disk_share()),
            format!("{:.2}", self.reopen_seconds),
            format!("{:.2}", self.rebuild_seconds),
            format!("{:.0}", self.rebuilt_entries_per_second),
            self.sample_verified.to_string(),
        ]
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "replay",
    goals: &[
        Goal { name: "replay of the first 29 months, 6.3 million deliveries, nothing lost", goal: "≤ 10 minutes" },
        Goal { name: "memory of the broker after the replay", goal: "≤ 1 GiB, flat since its middle" },
        Goal { name: "reopening after the replay", goal: "≤ 5 s" },
        Goal { name: "disk after the replay: journal, bundles, views", goal: "≤ 0.6 of the bytes of the entries" },
        Goal { name: "rebuilding deleted views", goal: "≥ 200,000 entries/s" },
    ],
    is_quick: false,
    measure: goals,
};
const SECONDS_MAX: f64 = 600.0;
const RESIDENT_BYTES_MAX: u64 = 1 << 30;
/// What memory may grow from the middle of the replay to its end and still count as flat: the tree's upper nodes, caches that fill.
const RESIDENT_GROWTH_BYTES_MAX: u64 = 64 << 20;
const REOPEN_SECONDS_MAX: f64 = 5.0;
const DISK_OF_ENTRIES_MAX: f64 = 0.6;
const REBUILT_ENTRIES_PER_SECOND_MIN: f64 = 200_000.0;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let arguments = Arguments {
        deliveries: 6_300_000,
        agencies: 94,
        arriving: ARRIVING,
        gather_ms: GATHER_MS,
        sample: 1_000,
        setup: request.setup.clone(),
    };
    let found = measure(&arguments, output)?;
    let (documents, sample, rate) = (found.documents, found.sample_verified, found.deliveries_per_second);
    let (half, end, share) = (found.resident_bytes_half, found.resident_bytes_end, found.disk_share());
    let reached = |measured, is_met, how| Reached { measured, is_met, how };
    Ok(vec![
        reached(
            format!("{:.0} s", found.seconds),
            found.seconds <= SECONDS_MAX,
            format!(
                "{documents} documents, {rate:.0} deliveries/s, all back; {sample} random entries verified offline; CPU s: broker {:.0}, edges {:.0}",
                found.broker_cpu_seconds, found.client_cpu_seconds
            ),
        ),
        reached(
            format!("{} MiB, {} MiB in the middle", end >> 20, half >> 20),
            end <= RESIDENT_BYTES_MAX && end <= half + RESIDENT_GROWTH_BYTES_MAX,
            format!("{} MiB at most", found.resident_bytes_max >> 20),
        ),
        reached(
            format!("{:.1} s", found.reopen_seconds),
            found.reopen_seconds <= REOPEN_SECONDS_MAX,
            "after a kill, until it serves".to_owned(),
        ),
        reached(format!("{share:.2}"), share <= DISK_OF_ENTRIES_MAX, format!("{} MiB of entries", found.entry_bytes >> 20)),
        reached(
            format!("{:.0} entries/s", found.rebuilt_entries_per_second),
            found.rebuilt_entries_per_second >= REBUILT_ENTRIES_PER_SECOND_MIN,
            format!("{} entries in {:.1} s, until it serves", found.entries, found.rebuild_seconds),
        ),
    ])
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let found = measure(arguments, output)?;
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let Arguments { deliveries, agencies, arriving, gather_ms, .. } = *arguments;
    let settings = Settings { deliveries, agencies, arriving, gather_ms };
    Findings { name: "replay", machine, settings, rows: vec![found] }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

/// One replay on a new axis.
pub(super) fn measure(arguments: &Arguments, output: &mut Output) -> Result<Found, Failure> {
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    edges::make(&axis)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let passed = runtime.block_on(pass(arguments, &axis, &broker, &folder.path().join("sealed"), output))?;
    runtime.shutdown_background();
    wait_until_packed(&disk::journal(&axis))?;
    let usage = broker.reading()?.usage;
    // Killed: what it acknowledged is durable, and an end that was not orderly is the harder case for opening.
    drop(broker);
    output.talk("opening again");
    let reopen_seconds = opened(&axis, &arguments.setup)?;
    // After that the high-water mark, up to which others read, is at the end.
    output.talk("weighing and verifying the folder");
    let weighed = offline::verify(&axis, &passed.checkpoint, usize::from(arguments.sample))?;
    let disk_bytes = disk::bytes(&axis)?;
    output.talk("opening without views");
    let views = disk::views(&axis);
    std::fs::remove_dir_all(&views).map_err(|cause| Failure::file(&views, cause))?;
    let rebuild_seconds = opened(&axis, &arguments.setup)?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let rate = |count: u64, seconds: f64| count as f64 / f64::max(seconds, 1e-3);
    Ok(Found {
        documents: passed.documents,
        deliveries: arguments.deliveries,
        seconds: passed.seconds,
        deliveries_per_second: rate(arguments.deliveries, passed.seconds),
        documents_per_receipt: passed.documents_per_receipt,
        broker_cpu_seconds: passed.broker_cpu_seconds,
        client_cpu_seconds: passed.client_cpu_seconds,
        resident_bytes_half: passed.resident_bytes_half,
        resident_bytes_end: usage.resident_bytes,
        resident_bytes_max: usage.resident_bytes_max,
        entries: weighed.entries,
        entry_bytes: weighed.entry_bytes,
        disk_bytes,
        reopen_seconds,
        rebuild_seconds,
        rebuilt_entries_per_second: rate(weighed.entries, rebuild_seconds),
        sample_verified: weighed.verified,
    })
}

/// What passed while the clock ran.
struct Passed {
    documents: u64,
    seconds: f64,
    documents_per_receipt: f64,
    broker_cpu_seconds: f64,
    client_cpu_seconds: f64,
    resident_bytes_half: u64,
    checkpoint: Checkpoint,
}

async fn pass(arguments: &Arguments, axis: &Axis, broker: &Broker, file: &Path, output: &mut Output) -> Result<Passed, Failure> {
    let back = Arc::new(AtomicU64::new(0));
    let told = || {
        let back = Arc::clone(&back);
        move |_| {
            back.fetch_add(1, Ordering::Relaxed);
        }
    };
    let contents: Vec<_> = (0..CONTENTS).map(content).map(Bytes::from).collect();
    let (edges, mut loops) = light::connect(axis, &contents, Duration::from_millis(arguments.gather_ms.into()), told).await?;
    output.talk(&format!("sealing documents for {} deliveries", arguments.deliveries));
    let documents = seal(arguments, &edges, file)?;
    output.talk(&format!("{documents} documents pass"));
    let before = (broker.reading()?.usage, usage::own()?);
    let begun = Instant::now();
    let load = Load { edges: &edges, documents, back: &back, arriving_max: arguments.arriving.into(), broker };
    let resident_bytes_half = loops.beside(load.pass(sealed::Reader::open(file, documents)?, output)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = (broker.reading()?.usage, usage::own()?);
    let done = light::check(&edges, documents, arguments.deliveries).await?;
    let newest = edges.first().ok_or_else(|| defect("no agency"))?;
    let note = newest.checkpoint().await.map_err(Failure::Refused)?;
    let checkpoint = checkpoint::open(note.as_bytes(), &axis.log).map_err(|cause| Failure::BadAnswer(cause.to_string()))?;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2^53")]
    let documents_per_receipt = done.items_logged as f64 / f64::max(1.0, done.receipts_logged as f64);
    Ok(Passed {
        documents,
        seconds,
        documents_per_receipt,
        broker_cpu_seconds: after.0.cpu_seconds - before.0.cpu_seconds,
        client_cpu_seconds: after.1.cpu_seconds - before.1.cpu_seconds,
        resident_bytes_half,
        checkpoint,
    })
}

/// A content that documents name.
fn content(number: usize) -> Vec<u8> {
    format!("%PDF-1.7 content {number} of the replay").into_bytes()
}

/// Seals all documents into the file; how many.
fn seal(arguments: &Arguments, edges: &[LightEdge], file: &Path) -> Result<u64, Failure> {
    let codes: Vec<OrganisationCode> = edges.iter().map(|edge| edge.agency().into()).collect();
    let contents: Vec<_> = (0..CONTENTS).map(content).map(|content| (sha256(&content), content.len() as u64)).collect();
    let mut writer = sealed::Writer::create(file)?;
    let mut documents = 0;
    for document in Plan::new(edges.len(), arguments.deliveries) {
        let recipients: Vec<_> = document.recipients.iter().filter_map(|agency| codes.get(*agency).cloned()).collect();
        let (Some(edge), Some((digest, size))) = (edges.get(document.sender), contents.get(document.content)) else { continue };
        let mut envelope = draft(edge.agency(), documents, &recipients);
        envelope.doc.urgency = document.urgency;
        for attachment in &mut envelope.attachments {
            (attachment.sha256, attachment.size) = (*digest, *size);
        }
        writer.add(document.sender, edge.seal(envelope))?;
        documents += 1;
    }
    writer.finish()?;
    Ok(documents)
}

/// The documents on their way through the axis.
struct Load<'a> {
    edges: &'a [LightEdge],
    documents: u64,
    /// Documents whose last receipt was verified at the sender.
    back: &'a AtomicU64,
    arriving_max: u64,
    broker: &'a Broker,
}

impl Load<'_> {
    /// Sends all documents as those before them arrive, and waits until all are back. The broker's memory when half were sent.
    async fn pass(&self, mut reader: sealed::Reader<'_>, output: &mut Output) -> Result<u64, Failure> {
        let (begun, mut submitting) = (Instant::now(), JoinSet::new());
        let (mut sent, mut deliveries, mut arrived, mut half) = (0_u64, 0_u64, 0, 0);
        while let Some(Presealed { sender, deliveries: more, document }) = reader.next()? {
            deliveries += more;
            let wanted = deliveries.saturating_sub(self.arriving_max);
            if arrived < wanted {
                arrived = self.at_least(wanted, "deliveries have arrived", || self.arrived()).await?;
            }
            let edge = self.edges.get(sender).cloned().ok_or_else(|| defect("a document of nobody"))?;
            submitting.spawn(async move { edge.submit(document).await });
            while let Some(submitted) = submitting.try_join_next() {
                submitted.map_err(|cause| defect(&cause.to_string()))?.map_err(Failure::Refused)?;
            }
            sent += 1;
            if sent.is_multiple_of(self.documents.div_ceil(PARTS)) {
                let resident_bytes = self.broker.reading()?.usage.resident_bytes;
                let (seconds, percent) = (begun.elapsed().as_secs_f64(), sent * 100 / self.documents);
                output.talk(&format!("{percent:3} % sent after {seconds:.0} s, {} MiB in the broker", resident_bytes >> 20));
                if sent <= self.documents.div_ceil(2) {
                    half = resident_bytes;
                }
            }
        }
        while let Some(submitted) = submitting.join_next().await {
            submitted.map_err(|cause| defect(&cause.to_string()))?.map_err(Failure::Refused)?;
        }
        self.at_least(self.documents, "documents are back", || self.back.load(Ordering::Relaxed)).await?;
        Ok(half)
    }

    fn arrived(&self) -> u64 {
        self.edges.iter().map(|edge| edge.done().arrived).sum()
    }

    /// Waits until a count is high enough; the count. Gives up when it has stood still for long.
    async fn at_least(&self, wanted: u64, what: &str, count: impl Fn() -> u64) -> Result<u64, Failure> {
        let (mut found, mut since) = (count(), Instant::now());
        while found < wanted {
            if since.elapsed() >= PATIENCE {
                return Err(Failure::BadAnswer(format!("{found} {what}, at least {wanted} were to, and there are no more")));
            }
            tokio::time::sleep(PACE).await;
            let now = count();
            if now > found {
                (found, since) = (now, Instant::now());
            }
        }
        Ok(found)
    }
}

/// Starts the broker; the seconds until it serves.
fn opened(axis: &Axis, setup: &Setup) -> Result<f64, Failure> {
    let begun = Instant::now();
    drop(Broker::start(axis, setup)?);
    Ok(begun.elapsed().as_secs_f64())
}

/// Waits until all segments but the growing one are packed.
fn wait_until_packed(journal: &Path) -> Result<(), Failure> {
    let end = Instant::now() + PACKING;
    loop {
        let names = std::fs::read_dir(journal).map_err(|cause| Failure::file(journal, cause))?;
        let plain = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| name.ends_with(".seg")).count();
        if plain <= 1 || Instant::now() >= end {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}
