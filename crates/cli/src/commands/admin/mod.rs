//! `truc admin`: what the operators of the axis and of an edge look with, changes of the registry, and copies of their data.

pub mod agencies;
pub mod backup;
pub mod blobs;
pub mod check;
pub mod connections;
pub mod errors;
pub mod journal;
pub mod queues;
pub mod registry;
mod remote;
pub mod trace;

use clap::Subcommand;

use super::on_runtime;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to look at or to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look for what is wrong, and say what to do.
    Check(check::Arguments),
    /// Show what waits for each agency.
    Queues(queues::Arguments),
    /// Show every step of one message.
    Trace(trace::Arguments),
    /// Show the agencies, their keys and edges.
    Agencies(agencies::Arguments),
    /// Show the connected edges.
    Connections(connections::Arguments),
    /// Show the attachments.
    Blobs(blobs::Arguments),
    /// Change who is on the axis.
    #[command(subcommand)]
    Registry(registry::Command),
    /// Explain the reasons of refusals.
    #[command(subcommand)]
    Errors(errors::Command),
    /// Check the journal of a data folder, or write it out.
    #[command(subcommand)]
    Journal(journal::Command),
    /// Copy the data folder of a running broker or edge.
    Backup(backup::BackupArguments),
    /// Make a data folder from a backup.
    Restore(backup::RestoreArguments),
    /// Rehearse a restore.
    Drill(backup::DrillArguments),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Check(arguments) => on_runtime(check::run(arguments, output)),
        Command::Queues(arguments) => on_runtime(queues::run(arguments, output)),
        Command::Trace(arguments) => on_runtime(trace::run(arguments, output)),
        Command::Agencies(arguments) => on_runtime(agencies::run(arguments, output)),
        Command::Connections(arguments) => on_runtime(connections::run(arguments, output)),
        Command::Blobs(arguments) => on_runtime(blobs::run(arguments, output)),
        Command::Registry(command) => registry::run(command, output),
        Command::Errors(command) => errors::run(&command, output),
        Command::Journal(command) => journal::run(&command, output),
        Command::Backup(arguments) => backup::backup(&arguments, output),
        Command::Restore(arguments) => backup::restore(&arguments, output),
        Command::Drill(arguments) => backup::drill(&arguments, output),
    }
}
