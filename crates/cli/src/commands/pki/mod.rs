//! `truc pki`: keys and certificates for development.

pub mod init;
pub mod issue;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with the development PKI.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make authority, operator, broker and log keys in a new folder.
    Init(init::Arguments),
    /// Make seal and TLS certificates for an agency.
    Issue(issue::Arguments),
}

pub(super) fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Issue(arguments) => issue::run(&arguments, output),
    }
}
