//! `truc-broker`: the broker alone, over the same code as `truc broker run`.

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "truc-broker", version, about)]
struct Args {
    #[command(flatten)]
    run: truc_broker::daemon::RunArgs,
}

#[expect(clippy::print_stderr, reason = "why a program failed goes to standard error")]
fn main() -> ExitCode {
    match truc_broker::daemon::run(&Args::parse().run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("truc-broker: {refusal}\n  {}", refusal.reason.advice());
            ExitCode::FAILURE
        }
    }
}
