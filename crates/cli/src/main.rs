//! The truc command: parses the arguments, runs one verb, says by its exit code what became of it. Nothing else.

use std::process::ExitCode;

use clap::Parser as _;
use truc::args::Arguments;
use truc::commands;
use truc::failure::Exit;
use truc::language::Language;
use truc::output::Output;
use truc_transport::logging::{self, LogFormat, LogLevel};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version are asked for and go to standard output; everything else is a usage error on standard error.
            let exit = if usage.use_stderr() { Exit::Usage } else { Exit::Done };
            return if usage.print().is_ok() { exit.into() } else { Exit::Operator.into() };
        }
    };
    let mut output = Output::to_standard(arguments.json, Language::chosen(arguments.lang));
    // Daemons start their own logging, with their own format.
    if !arguments.command.is_daemon() {
        logging::start(LogFormat::Human, LogLevel::Warn);
    }
    let exit = commands::run(arguments.command, &mut output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit()
    });
    exit.into()
}
