//! `truc admin registry`: changes of who is on the axis. Sealed offline with the operator's key, appended to the running broker.

pub mod append;
pub mod seal;

use clap::Subcommand;

use crate::commands::on_runtime;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with a change of the registry.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Seal a change: agencies and organisations from CSV files. Needs the operator's key and no network.
    Seal(seal::Arguments),
    /// Append sealed changes to the log of a running broker.
    Append(append::Arguments),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Seal(arguments) => seal::run(&arguments, output),
        Command::Append(arguments) => on_runtime(append::run(arguments, output)),
    }
}
