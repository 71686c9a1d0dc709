//! `truc bench`: load generators that drive real processes and verify every answer. Benches of single stages are in `benches/`.

mod attack;
mod axis;
pub mod blobs;
mod broker;
mod check;
mod disk;
mod dms;
mod drive;
mod edges;
pub mod envelopes;
pub mod fanout;
mod figures;
mod findings;
pub mod full_loop;
pub mod goals;
pub mod hostile;
pub mod inprocess;
pub mod isolation;
mod light;
mod load;
#[cfg(test)]
mod lying;
pub mod machine;
pub mod open;
pub mod path;
mod peers;
mod phase;
mod plot;
pub mod replay;
pub mod setup;
pub mod soak;
pub mod steady;
mod stock;
pub mod submit;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How many documents a second one broker accepts, and how long each waits for its proofs.
    Submit(submit::Arguments),
    /// How many documents a second the path through the broker takes without a network around it.
    Inprocess(inprocess::Arguments),
    /// What recipients cost: documents and queue entries a second with one, ten and 94 recipients.
    Fanout(fanout::Arguments),
    /// How many documents a second go the whole way: sealed, accepted, delivered, verified, receipted, back at the sender.
    Loop(full_loop::Arguments),
    /// The axis' first 29 months at once: 6.3 million deliveries; then memory, disk, reopening and rebuilding.
    Replay(replay::Arguments),
    /// Whether an axis stays what it is over an hour: memory, descriptors, latency.
    Soak(soak::Arguments),
    /// What open deliveries cost in memory, up to as many as a broker holds.
    Open(open::Arguments),
    /// What users wait for at a steady rate: until stored, accepted, shown, receipted.
    Steady(steady::Arguments),
    /// How fast a large document goes up and down, and how much memory that takes.
    Blobs(blobs::Arguments),
    /// What the others feel of recipients that do not take what is theirs.
    Isolation(isolation::Arguments),
    /// What the others feel of one hostile agency.
    Hostile(hostile::Arguments),
    /// Whether this machine reaches the goals: one row for each, exit code 1 if any is not met.
    Goals(goals::Arguments),
    /// The same envelopes as a file, for measuring other systems with them.
    Envelopes(envelopes::Arguments),
}

/// Runs a bench to its end.
///
/// # Errors
/// Why there is no figure: something did not start, a submission was refused, or an answer did not verify.
pub fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit(arguments) => submit::run(&arguments, output),
        Command::Inprocess(arguments) => inprocess::run(&arguments, output),
        Command::Fanout(arguments) => fanout::run(&arguments, output),
        Command::Loop(arguments) => full_loop::run(&arguments, output),
        Command::Replay(arguments) => replay::run(&arguments, output),
        Command::Soak(arguments) => soak::run(&arguments, output),
        Command::Open(arguments) => open::run(&arguments, output),
        Command::Steady(arguments) => steady::run(&arguments, output),
        Command::Blobs(arguments) => blobs::run(&arguments, output),
        Command::Isolation(arguments) => isolation::run(&arguments, output),
        Command::Hostile(arguments) => hostile::run(&arguments, output),
        Command::Goals(arguments) => goals::run(&arguments, output),
        Command::Envelopes(arguments) => envelopes::run(&arguments, output),
    }
}
