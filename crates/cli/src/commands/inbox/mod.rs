//! `truc inbox`: the documents that arrived at an edge.

pub mod ack;
pub mod list;
pub mod refuse;
pub mod save;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do with the documents that arrived.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what arrived, in the order of arrival.
    List(list::Arguments),
    /// Write the attachments of a document to a folder.
    Save(save::Arguments),
    /// Register a document (03, đã tiếp nhận).
    Ack(ack::Arguments),
    /// Return a document with a reason (02, từ chối nhận).
    Refuse(refuse::Arguments),
}

pub(super) async fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::List(arguments) => list::run(arguments, output).await,
        Command::Save(arguments) => save::run(arguments, output).await,
        Command::Ack(arguments) => ack::run(arguments, output).await,
        Command::Refuse(arguments) => refuse::run(arguments, output).await,
    }
}
