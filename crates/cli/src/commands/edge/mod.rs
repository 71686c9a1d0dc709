//! `truc edge`: make and run the edge of an agency.

pub mod init;

use clap::Subcommand;
use truc_edge::daemon;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with an edge.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data folder from the certificates of an agency.
    Init(init::Arguments),
    /// Run an edge until it is told to stop.
    Run(daemon::RunArgs),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Run(arguments) => daemon::run(&arguments).map(|()| Exit::Done).map_err(Failure::Refused),
    }
}
