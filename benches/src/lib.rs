//! What the benches share: the machine, an axis in memory, the settings of criterion. Not the load generator, which is `truc bench submit`.

mod axis;
pub mod callgrind;
#[path = "../../crates/cli/src/bench/machine.rs"]
mod machine; // the same lines as under the figures of `truc bench`, without linking the whole command into each bench
pub mod stages;

use std::time::Duration;

use criterion::Criterion;

pub use axis::{Axis, start, submit};
pub use machine::{Machine, dalek_backend};

/// Criterion with short times: all benches together take under three minutes. Prints what has to stand beside the figures.
#[must_use]
#[expect(clippy::print_stdout, reason = "figures without their machine say nothing; standard output is where criterion writes them")]
pub fn criterion(durability: &str) -> Criterion {
    println!("machine: {}\ndurability: {durability}", Machine::this(&std::env::temp_dir(), 0));
    Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}
