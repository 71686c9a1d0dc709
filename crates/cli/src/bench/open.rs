//! `truc bench open`: what documents cost a broker that nobody answers. Documents to all agencies until as many deliveries are open as it is configured
//! to hold; the next is refused. What it is like afterwards, and opened again.

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use truc_types::limits::OPEN_DELIVERIES_MAX;
use truc_types::{Reason, Refusal};

use super::axis::{self, Axis};
use super::broker::Broker;
use super::drive::{self, Drive, Phase};
use super::findings::{Findings, Row};
use super::goals::{Goal, Reached, Request, Source};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::Shape;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::pki;

/// In the loop that fills the queues.
const IN_FLIGHT: u16 = 1_024;
/// It must be full after so many seconds.
const SECONDS_MAX: u16 = 3_600;

/// What open deliveries cost in memory: documents to all agencies, whose recipients never answer, until the broker holds as many as it is configured to.
/// Fails if the next document is not refused with the reason for that, or anything before it is.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Deliveries that may be open, as the broker is configured.
    #[arg(long, default_value_t = OPEN_DELIVERIES_MAX, value_parser = clap::value_parser!(u64).range(200..=OPEN_DELIVERIES_MAX))]
    pub deliveries: u64,
    /// Agencies, all of which are recipients of each document.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=94))]
    pub agencies: u16,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

#[derive(Debug, Serialize)]
struct Settings {
    open_deliveries_max: u64,
    agencies: u16,
}

/// A broker whose queues are full.
#[derive(Debug, Serialize)]
struct Found {
    documents: u64,
    open_deliveries: u64,
    /// Of the broker: before the first document, with all of them open, and at most.
    resident_bytes_before: u64,
    resident_bytes: u64,
    resident_bytes_max: u64,
    /// Of what was added to it.
    bytes_per_delivery: f64,
    documents_per_second: f64,
    /// The reason for which the next document was refused.
    refusal: String,
    /// After a kill: from the start of the process until it serves, and its memory then.
    reopen_seconds: f64,
    resident_bytes_reopened: u64,
}

impl Row for Found {
    fn head() -> Vec<&'static str> {
        vec![
            "documents",
            "open deliveries",
            "RSS MiB before/full/max",
            "bytes/delivery",
            "documents/s",
            "the next one",
            "reopen s",
            "RSS MiB then",
        ]
    }

    fn cells(&self) -> Vec<String> {
        let [before, full, max, reopened] =
            [self.resident_bytes_before, self.resident_bytes, self.resident_bytes_max, self.resident_bytes_reopened]
                .map(|bytes| bytes >> 20);
        vec![
            self.documents.to_string(),
            self.open_deliveries.to_string(),
            format!("{before}/{full}/{max}"),
            format!("{:.0}", self.bytes_per_delivery),
            format!("{:.0}", self.documents_per_second),
            self.refusal.clone(),
            format!("{:.2}", self.reopen_seconds),
            reopened.to_string(),
        ]
    }
}

/// The rows of `truc bench goals`.
pub(super) const SOURCE: Source = Source {
    bench: "open",
    goals: &[Goal {
        name: "memory with 5 million open deliveries, the configured bound; past it a typed refusal",
        goal: "≤ 1.5 GiB in all, stated per delivery",
    }],
    is_quick: false,
    measure: goals,
};
const RESIDENT_BYTES_MAX: u64 = 3 << 29;

fn goals(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    let found = measure(&Arguments { deliveries: OPEN_DELIVERIES_MAX, agencies: 94, setup: request.setup.clone() }, output)?;
    let Found { documents, open_deliveries, refusal, reopen_seconds, .. } = &found;
    Ok(vec![Reached {
        measured: format!("{:.0} bytes a delivery, {} MiB at most", found.bytes_per_delivery, found.resident_bytes_max >> 20),
        is_met: found.resident_bytes_max <= RESIDENT_BYTES_MAX,
        how: format!(
            "{open_deliveries} deliveries of {documents} documents to 94, {} MiB at the end; the next one: {refusal}; opened again in {reopen_seconds:.1} s",
            found.resident_bytes >> 20
        ),
    }])
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let rows = vec![measure(arguments, output)?];
    let settings = Settings { open_deliveries_max: arguments.deliveries, agencies: arguments.agencies };
    Findings { name: "open", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn measure(arguments: &Arguments, output: &mut Output) -> Result<Found, Failure> {
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    limit(&axis, arguments.deliveries)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let recipients = u64::from(arguments.agencies);
    let (resident_bytes_before, phase, refusal) =
        drive::runtime()?.block_on(fill(&axis, &broker, arguments.deliveries / recipients, output))?;
    let open_deliveries = phase.verified * recipients;
    let usage = broker.reading()?.usage;
    drop(broker);
    output.talk("opening again");
    let begun = Instant::now();
    let broker = Broker::start(&axis, &arguments.setup)?;
    let reopen_seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    let bytes_per_delivery = usage.resident_bytes.saturating_sub(resident_bytes_before) as f64 / open_deliveries.max(1) as f64;
    Ok(Found {
        documents: phase.verified,
        open_deliveries,
        resident_bytes_before,
        resident_bytes: usage.resident_bytes,
        resident_bytes_max: usage.resident_bytes_max,
        bytes_per_delivery,
        documents_per_second: phase.documents_per_second,
        refusal: refusal.reason.to_string(),
        reopen_seconds,
        resident_bytes_reopened: broker.reading()?.usage.resident_bytes,
    })
}

/// Configures how many deliveries may be open.
fn limit(axis: &Axis, deliveries: u64) -> Result<(), Failure> {
    let path = axis.layout.broker.join("broker.toml");
    // Before the first section.
    let text = format!("open_deliveries_max = {deliveries}\n{}", pki::read_text(&path)?);
    std::fs::write(&path, text).map_err(|cause| Failure::file(&path, cause))
}

/// Sends so many documents to everybody, then one more. The broker's memory before, the loop, the refusal of the one more.
async fn fill(axis: &Axis, broker: &Broker, documents: u64, output: &mut Output) -> Result<(u64, Phase, Refusal), Failure> {
    let mut drive = Drive::connect(axis, broker, SECONDS_MAX).await?;
    let before = broker.reading()?.usage.resident_bytes;
    let shape = Shape { recipients: axis.agencies.len(), bytes_min: 0 };
    let wanted = u32::try_from(documents).unwrap_or(u32::MAX);
    let phase = drive.closed(shape, IN_FLIGHT, wanted, output).await?;
    if phase.verified != documents {
        return Err(Failure::BadAnswer(format!("{} of {documents} documents after {SECONDS_MAX} seconds", phase.verified)));
    }
    output.talk("one more");
    match drive.closed(shape, 1, 1, output).await {
        Err(Failure::Refused(refusal)) if refusal.reason == Reason::BusyQueues => Ok((before, phase, refusal)),
        Err(cause) => Err(cause),
        Ok(_) => Err(Failure::BadAnswer(format!("a document was taken in beyond the {documents} that may be open"))),
    }
}
