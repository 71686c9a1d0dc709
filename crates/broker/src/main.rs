//! `truc-broker`: the broker alone, over the same code as `truc broker run`.

use std::process::ExitCode;

use clap::Parser as _;
use truc_broker::daemon::{self, Program};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[expect(clippy::print_stderr, reason = "why a program failed goes to standard error")]
fn main() -> ExitCode {
    match daemon::run(&Program::parse().run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("truc-broker: {refusal}\n  {}", refusal.reason.advice());
            ExitCode::FAILURE
        }
    }
}
