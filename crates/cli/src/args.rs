//! The arguments of every verb's invocation: the global ones here, those of a verb in its own file under `commands`.
//!
//! Nothing secret is an argument: passwords come from files or the environment.

use clap::Parser;

use crate::commands::Command;
use crate::language::Language;

/// Sends, receives and proves official documents on the axis.
///
/// Data goes to standard output, talk to standard error.
/// Exit codes: 0 done, 1 refused or failed, 2 usage, 3 indeterminate, 4 try again later, 5 files, keys or settings of this machine.
#[derive(Debug, Parser)]
#[command(name = "truc", version, max_term_width = 100)]
pub struct Arguments {
    /// Write data as JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// Language of explanations [default: that of LC_ALL, LC_MESSAGES or LANG].
    #[arg(long, global = true, value_name = "en|vi")]
    pub lang: Option<Language>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}
