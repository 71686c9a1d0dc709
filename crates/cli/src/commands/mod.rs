//! The verbs: one folder per noun, one file per verb. Each takes its arguments and an output and says how the process ends.
//!
//! Verbs without a network run as they are; the others get a runtime of their own here.

pub mod admin;
pub mod broker;
pub mod completions;
pub mod directory;
pub mod edge;
pub mod edxml;
pub mod events;
pub mod evidence;
mod follow;
pub mod inbox;
pub mod list;
pub mod man;
pub mod pki;
pub(crate) mod remote;
pub mod sandbox;
pub mod send;
mod stages;
pub mod status;
pub mod thread;
pub mod verify;
mod words;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make keys and certificates for development.
    #[command(subcommand)]
    Pki(pki::Command),
    /// Make and run a broker.
    #[command(subcommand)]
    Broker(broker::Command),
    /// Make and run the edge of an agency.
    #[command(subcommand)]
    Edge(edge::Command),
    /// Look agencies, organisations and limits of the axis up.
    #[command(subcommand)]
    Directory(directory::Command),
    /// Hand a document to an edge.
    Send(Box<send::Arguments>),
    /// Take the documents that arrived at an edge, answer them.
    #[command(subcommand)]
    Inbox(inbox::Command),
    /// Tell what became of a document that was sent.
    Status(status::Arguments),
    /// List documents that were sent or received.
    List(list::Arguments),
    /// Show the correspondence that a document belongs to.
    Thread(thread::Arguments),
    /// Show what happens to the documents of an edge.
    Events(events::Arguments),
    /// Write the evidence of a document that was sent.
    Evidence(evidence::Arguments),
    /// Verify an evidence folder, offline.
    Verify(verify::Arguments),
    /// Check national message files, take their attachments out.
    #[command(subcommand)]
    Edxml(edxml::Command),
    /// Look at a running axis, change who is on it, back it up, restore it.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Show the whole axis on loopback, with a crash in between.
    Demo(crate::demo::Arguments),
    /// Run an axis to develop a document-management system against.
    Sandbox(sandbox::Arguments),
    /// Measure real processes under load.
    #[command(subcommand)]
    Bench(crate::bench::Command),
    /// Print what a shell needs to complete arguments.
    Completions(completions::Arguments),
    /// Write the manual pages.
    Man(man::Arguments),
}

impl Command {
    /// Whether the verb runs until it is told to stop.
    #[must_use]
    pub const fn is_daemon(&self) -> bool {
        matches!(self, Self::Broker(broker::Command::Run(_)) | Self::Edge(edge::Command::Run(_) | edge::Command::Host(_)))
    }
}

/// Runs a verb to its end.
///
/// # Errors
/// Why it did not do what it was asked.
pub fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Pki(command) => pki::run(command, output),
        Command::Broker(command) => broker::run(command, output),
        Command::Edge(command) => edge::run(command, output),
        Command::Directory(command) => on_runtime(directory::run(command, output)),
        Command::Send(arguments) => on_runtime(send::run(*arguments, output)),
        Command::Inbox(command) => on_runtime(inbox::run(command, output)),
        Command::Status(arguments) => on_runtime(status::run(arguments, output)),
        Command::List(arguments) => on_runtime(list::run(arguments, output)),
        Command::Thread(arguments) => on_runtime(thread::run(arguments, output)),
        Command::Events(arguments) => on_runtime(events::run(arguments, output)),
        Command::Evidence(arguments) => on_runtime(evidence::run(arguments, output)),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Edxml(command) => edxml::run(&command, output),
        Command::Admin(command) => admin::run(command, output),
        Command::Demo(arguments) => on_runtime(crate::demo::run(arguments, output)),
        Command::Sandbox(arguments) => on_runtime(sandbox::run(arguments, output)),
        Command::Bench(command) => crate::bench::run(command, output),
        Command::Completions(arguments) => completions::run(&arguments, output),
        Command::Man(arguments) => man::run(&arguments, output),
    }
}

/// One thread is enough for one call.
fn on_runtime<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?.block_on(verb)
}
