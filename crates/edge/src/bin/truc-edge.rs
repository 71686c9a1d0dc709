//! `truc-edge`: runs an edge. The same as `truc edge run`.

use std::process::ExitCode;

use clap::Parser;

/// The edge node of one agency: between its document-management system and the axis.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    run: truc_edge::daemon::RunArgs,
}

#[expect(clippy::print_stderr, reason = "why a program failed goes to standard error")]
fn main() -> ExitCode {
    match truc_edge::daemon::run(&Cli::parse().run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("truc-edge: {refusal}\n  {}", refusal.reason.advice());
            ExitCode::FAILURE
        }
    }
}
