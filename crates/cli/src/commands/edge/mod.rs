//! `truc edge`: make and run edges of agencies.

pub mod init;

use clap::Subcommand;
use truc_edge::{daemon, host};

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with an edge.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data folder from the certificates of an agency.
    Init(init::Arguments),
    /// Run an edge until it is told to stop.
    Run(Box<daemon::RunArgs>),
    /// Run several edges in one process, each with its own folder, keys and connection.
    Host(host::HostArgs),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Host(arguments) => host::host(&arguments).map(|()| Exit::Done).map_err(Failure::Refused),
        Command::Run(arguments) => daemon::run(&arguments).map(|()| Exit::Done).map_err(Failure::Refused),
    }
}
