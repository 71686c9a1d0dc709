//! `truc admin`: what the operators of the axis and of an edge look with, and copies of their data.

pub mod backup;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to look at or to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the data folder of a running broker or edge.
    Backup(backup::BackupArguments),
    /// Make a data folder from a backup.
    Restore(backup::RestoreArguments),
    /// Rehearse a restore.
    Drill(backup::DrillArguments),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Backup(arguments) => backup::backup(&arguments, output),
        Command::Restore(arguments) => backup::restore(&arguments, output),
        Command::Drill(arguments) => backup::drill(&arguments, output),
    }
}
