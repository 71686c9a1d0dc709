//! `truc broker`: make and run a broker, check its journal.

pub mod init;
pub mod journal_verify;

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
    /// Look at the journal.
    #[command(subcommand)]
    Journal(JournalCommand),
}

/// What to do with the journal of a broker.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Check every byte of the journal. Changes nothing; the broker may run.
    Verify(journal_verify::Arguments),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Run(arguments) => daemon::run(&arguments).map(|()| Exit::Done).map_err(Failure::Refused),
        Command::Journal(JournalCommand::Verify(arguments)) => journal_verify::run(&arguments, output),
    }
}
