//! `truc edxml`: national message files, looked at without an axis.

pub mod check;
mod excerpt;
pub mod extract;
mod input;
mod report;
pub mod rules;
mod words;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with edXML files.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say everything that is wrong with edXML files, where, and what to write instead.
    Check(check::Arguments),
    /// Write the attachments of an edXML file to a folder.
    Extract(extract::Arguments),
    /// List every rule of the reader.
    Rules(rules::Arguments),
}

pub(super) fn run(command: &Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Check(arguments) => check::run(arguments, output),
        Command::Extract(arguments) => extract::run(arguments, output),
        Command::Rules(arguments) => rules::run(arguments, output),
    }
}
