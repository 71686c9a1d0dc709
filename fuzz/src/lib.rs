//! Every parser that outside bytes reach, as a function of bytes that panics when a promise is broken. Not the parsers' own tests: those stand beside
//! them.
//!
//! A target promises more than "no panic" where it can: what parses is written again and reads back equal, and nothing grows without bound.
//! `tests/short.rs` runs all of them with a fixed seed; `libfuzzer/` runs one of them under cargo-fuzz.

pub mod corpus;
pub mod mutate;
mod targets;

pub use targets::{ALL, Target, named};
