//! `truc completions`: what a shell needs to complete the commands of this release.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::commands::man::Program;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Print a script that completes the arguments of a program, for a shell to read.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: For,
    /// The program.
    #[arg(long, value_enum, value_name = "PROGRAM", default_value = "truc")]
    pub program: Program,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum For {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let shell = match arguments.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    let mut command = arguments.program.command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
