//! `truc admin journal`: the journal of a data folder, offline: checked in full, or written out for others.

pub mod export;
pub mod verify;
pub mod verify_export;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Folder of the journal inside a data folder.
const JOURNAL_FOLDER: &str = "journal";

/// What to do with the journal of a data folder.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every byte of the journal. Changes nothing; the node may run.
    Verify(verify::Arguments),
    /// Write entries out, byte for byte, for an auditor's mirror.
    Export(export::Arguments),
    /// Check what was written out, offline: every entry, the tree, the signature of the log.
    VerifyExport(verify_export::Arguments),
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Verify(arguments) => verify::run(arguments, output),
        Command::Export(arguments) => export::run(arguments, output),
        Command::VerifyExport(arguments) => verify_export::run(arguments, output),
    }
}
