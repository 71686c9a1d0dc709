//! Trục beside what users would pick instead: the same envelopes, as many in flight, the same time, the same disk, in turns within one run.
//!
//! Each system starts anew for each turn, alone on the machine, and is stopped after it. What it measures is in `benches/README.md`. Not a load
//! generator for Trục itself: its turns are runs of `truc bench submit`.

mod arguments;
mod axis;
mod envelopes;
mod failure;
mod jetstream;
mod load;
mod quorum;
mod report;
mod server;
mod syncs;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use failure::Failure;
use load::{Plan, Turn};
use report::Report;

/// What is compared, in the order of the turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Ours.
    Truc,
    /// NATS JetStream, one replica, a sync for each write.
    JetStreamAlways,
    /// The same as it comes: a sync every two minutes.
    JetStreamDefault,
    /// A RabbitMQ quorum queue.
    Quorum,
}

impl System {
    pub(crate) const ALL: [Self; 4] = [Self::Truc, Self::JetStreamAlways, Self::JetStreamDefault, Self::Quorum];

    /// How it is named in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Truc => "Trục",
            Self::JetStreamAlways => "NATS JetStream R1, file, `sync_interval: always`",
            Self::JetStreamDefault => "NATS JetStream R1, file, default (sync every 2 minutes)",
            Self::Quorum => "RabbitMQ quorum queue, publisher confirms",
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let made = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Process);
    match made.and_then(|runtime| runtime.block_on(compare(&arguments))) {
        Ok(report) if report.all_met() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(2)
        }
    }
}

/// All rounds, the count of syncs, the report.
async fn compare(arguments: &Arguments) -> Result<Report, Failure> {
    let file = tempfile::NamedTempFile::new_in(&arguments.folder).map_err(Failure::Process)?;
    axis::write_envelopes(&arguments.truc, file.path())?;
    let envelopes = envelopes::read(file.path())?;
    let (plan, load_before) = (Plan::new(arguments, envelopes), load());
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        let mut turns = Vec::new();
        for system in System::ALL {
            eprintln!("round {round} of {}: {}", arguments.rounds, system.name());
            turns.push(turn(system, arguments, &plan, None).await?);
        }
        rounds.push(turns);
    }
    let mut seen = Vec::new();
    for system in System::ALL {
        if arguments.no_syncs {
            seen.push(None);
            continue;
        }
        eprintln!("counting the syncs of {}", system.name());
        let log = tempfile::NamedTempFile::new_in(&arguments.folder).map_err(Failure::Process)?;
        let traced = turn(system, arguments, &plan.shortened(), Some(log.path())).await?;
        seen.push(Some(syncs::count(log.path(), traced.confirmed)?));
    }
    let report = Report::new(arguments, &plan, load_before, &rounds, seen)?;
    println!("{report}");
    report.write(arguments)?;
    Ok(report)
}

/// One system, from its start to its stop; under strace if a log is named.
async fn turn(system: System, arguments: &Arguments, plan: &Plan, strace_log: Option<&std::path::Path>) -> Result<Turn, Failure> {
    match system {
        System::Truc => axis::turn(arguments, plan, strace_log),
        System::JetStreamAlways => jetstream::turn(arguments, plan, Some("always"), strace_log).await,
        System::JetStreamDefault => jetstream::turn(arguments, plan, None, strace_log).await,
        System::Quorum => quorum::turn(arguments, plan, strace_log).await,
    }
}

/// Processes that wanted a processor in the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|average| average.parse().ok()).unwrap_or_default()
}
