//! `truc man`: the manual pages of this release, one a verb and one a daemon, made from the same text as `--help`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory as _, ValueEnum};

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Write the manual pages of all programs.
#[derive(Debug, Args)]
pub struct Arguments {
    /// An existing folder, such as /usr/local/share/man/man1.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

/// A program of Trục.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The command.
    Truc,
    /// The broker.
    TrucBroker,
    /// The edge.
    TrucEdge,
}

impl Program {
    /// Its arguments.
    #[must_use]
    pub fn command(self) -> Command {
        match self {
            Self::Truc => crate::args::Arguments::command(),
            Self::TrucBroker => truc_broker::daemon::Program::command(),
            Self::TrucEdge => truc_edge::daemon::Program::command(),
        }
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut written = Vec::new();
    for program in Program::value_variants() {
        let mut command = program.command();
        // Flags that all verbs have, and the whole names of the verbs.
        command.build();
        write(&command, command.get_name(), arguments, &mut written)?;
    }
    output.data(&format!("{} manual pages in {}", written.len(), arguments.into.display()), &serde_json::json!({ "pages": written }))?;
    Ok(Exit::Done)
}

/// The page of a command, and those of its verbs: `truc-inbox-save.1`.
fn write(command: &Command, name: &str, arguments: &Arguments, written: &mut Vec<String>) -> Result<(), Failure> {
    let file = format!("{name}.1");
    let path = arguments.into.join(&file);
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone()).title(name).source(concat!("Truc ", env!("CARGO_PKG_VERSION"))).render(&mut page);
    rendered.and_then(|()| std::fs::write(&path, page)).map_err(|source| Failure::File { path, source })?;
    written.push(file);
    let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    verbs.into_iter().try_for_each(|verb| write(verb, &format!("{name}-{}", verb.get_name()), arguments, written))
}
