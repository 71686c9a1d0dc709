//! Tests of sequencer and committer together: real threads, real seals, a journal that does what the test says.

pub(crate) mod axis;
mod boot;
mod earlier;
mod engine;
mod flood;
mod gate;
pub(crate) mod proofs;
mod races;
mod readiness;
mod unknown;
