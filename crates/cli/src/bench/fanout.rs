//! `truc bench fanout`: what recipients cost. The same closed loop with documents to one, to ten and to all agencies, each against a new broker.

use clap::Args;
use serde::Serialize;

use super::axis::{self, AGENCIES_MAX};
use super::broker::Broker;
use super::drive::{self, Drive, Phase};
use super::findings::{Findings, Row};
use super::machine::Machine;
use super::setup::Setup;
use super::stock::Shape;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What recipients cost: documents, and entries in queues of recipients, that one broker makes durable a second. Verifies every answer.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Agencies, each with one connection and one stream.
    #[arg(long, default_value_t = 94, value_parser = clap::value_parser!(u16).range(2..=AGENCIES_MAX))]
    pub agencies: u16,
    /// Recipients of each document, one run for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 94], value_parser = clap::value_parser!(u16).range(1..=AGENCIES_MAX))]
    pub recipients: Vec<u16>,
    /// Documents that wait for answers, all connections together.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub in_flight: u16,
    /// Seconds that each run is measured.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// Documents of each run at most; they are sealed before it and lie in memory.
    #[arg(long, default_value_t = 150_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    pub documents: u32,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Settings {
    agencies: u16,
    in_flight: u16,
    seconds: u16,
}

/// A closed loop with so many recipients.
#[derive(Debug, Serialize)]
struct Fanout {
    #[serde(flatten)]
    phase: Phase,
    /// Entries in queues of recipients that became durable.
    queue_entries_per_second: f64,
}

impl Row for Fanout {
    fn head() -> Vec<&'static str> {
        [&["recipients", "queue entries/s", "envelope B"][..], &Phase::head()].concat()
    }

    fn cells(&self) -> Vec<String> {
        let (phase, entries) = (&self.phase, self.queue_entries_per_second);
        [vec![phase.recipients.to_string(), format!("{entries:.0}"), phase.envelope_bytes.to_string()], phase.cells()].concat()
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if let Some(recipients) = arguments.recipients.iter().find(|recipients| **recipients > arguments.agencies) {
        return Err(Failure::Usage(format!("{recipients} recipients need as many agencies: --agencies")));
    }
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let rows = arguments.recipients.iter().map(|recipients| measure(arguments, *recipients, output)).collect::<Result<_, _>>()?;
    let settings = Settings { agencies: arguments.agencies, in_flight: arguments.in_flight, seconds: arguments.seconds };
    Findings { name: "fanout", machine, settings, rows }.show(&arguments.setup, output)?;
    Ok(Exit::Done)
}

fn measure(arguments: &Arguments, recipients: u16, output: &mut Output) -> Result<Fanout, Failure> {
    output.talk(&format!("{recipients} recipient(s)"));
    let folder = arguments.setup.scratch()?;
    let axis = axis::make(folder.path(), arguments.agencies)?;
    let broker = Broker::start(&axis, &arguments.setup)?;
    let shape = Shape { recipients: recipients.into(), bytes_min: 0 };
    let phase = drive::runtime()?.block_on(async {
        let mut drive = Drive::connect(&axis, &broker, arguments.seconds).await?;
        drive.closed(shape, arguments.in_flight, arguments.documents, output).await
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a number of recipients")]
    let queue_entries_per_second = phase.documents_per_second * phase.recipients as f64;
    Ok(Fanout { phase, queue_entries_per_second })
}
