//! `truc bench`: load generators that drive real processes and verify every answer. Benches of single stages are in `benches/`.

mod attack;
mod axis;
mod check;
pub mod hostile;
mod load;
pub mod machine;
mod phase;
mod process;
mod report;
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
    /// What the others feel of one hostile agency.
    Hostile(hostile::Arguments),
}

/// Runs a bench to its end.
///
/// # Errors
/// Why there is no figure: something did not start, a submission was refused, or an answer did not verify.
pub fn run(command: Command, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit(arguments) => submit::run(&arguments, output),
        Command::Hostile(arguments) => hostile::run(&arguments, output),
    }
}
