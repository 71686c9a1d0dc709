//! What the comparison is told: where the programs are, how long it lasts, where its result goes. `scripts/bench-peers.sh` gives all paths.

use std::path::PathBuf;

use clap::Parser;

/// Measures Trục, NATS JetStream and RabbitMQ in turns and prints their ratios; exit 1 if a goal is not met.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The program `truc`, built with --release.
    #[arg(long, value_name = "FILE")]
    pub(crate) truc: PathBuf,
    /// The program `nats-server`.
    #[arg(long, value_name = "FILE")]
    pub(crate) nats: PathBuf,
    /// The script `rabbitmq-server` in its folder `sbin`.
    #[arg(long, value_name = "FILE")]
    pub(crate) rabbitmq: PathBuf,
    /// Folder on the disk to measure: every system has its data in a folder of its own in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Turns of each system.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub(crate) rounds: u32,
    /// Seconds that count in each turn, after a warm-up of half a second.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// Envelopes that wait for their confirmation, all connections together.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(4..=1024))]
    pub(crate) in_flight: u32,
    /// Leave out the turns that only count what each server syncs.
    #[arg(long)]
    pub(crate) no_syncs: bool,
    /// Page whose part between the markers `peers` is written anew.
    #[arg(long, value_name = "FILE")]
    pub(crate) readme: Option<PathBuf>,
    /// File for the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
