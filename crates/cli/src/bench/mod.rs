//! `truc bench`: load generators that drive real processes and verify every answer. Benches of single stages are in `benches/`.

mod attack;
mod axis;
mod broker;
mod check;
mod drive;
pub mod envelopes;
pub mod fanout;
mod figures;
mod findings;
pub mod goals;
pub mod hostile;
mod load;
#[cfg(test)]
mod lying;
pub mod machine;
mod peers;
mod phase;
mod plot;
pub mod setup;
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
    /// What recipients cost: documents and queue entries a second with one, ten and 94 recipients.
    Fanout(fanout::Arguments),
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
        Command::Fanout(arguments) => fanout::run(&arguments, output),
        Command::Hostile(arguments) => hostile::run(&arguments, output),
        Command::Goals(arguments) => goals::run(&arguments, output),
        Command::Envelopes(arguments) => envelopes::run(&arguments, output),
    }
}
