//! `truc broker`: make and run a broker.

pub mod init;

use clap::Subcommand;
use truc_broker::daemon;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with a broker.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data folder with a new log: axis, agencies, organisations.
    Init(init::Arguments),
    /// Run a broker until it is told to stop.
    Run(daemon::RunArgs),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Run(arguments) => daemon::run(&arguments).map(|()| Exit::Done).map_err(Failure::Refused),
    }
}
