//! The broker: one sequencer over the journal, and the gRPC services around it.
//!
//! A statement's way: `grpc/submit` → `admission` (many threads) → `sequencer` (one) → `committer` (one) → answer. Nothing leaves before it is durable.

mod admission;
mod block;
mod boot;
mod committer;
mod config;
pub mod daemon;
mod ended;
mod flow;
mod genesis;
mod grpc;
mod key;
mod published;
mod rehearse;
mod rows;
mod run;
mod sequencer;
pub mod settings;
mod stream;
#[cfg(test)]
mod tests;

pub use config::{BrokerConfig, load, open};
pub use genesis::{Init, Initialised, init};
pub use rehearse::{Rehearsal, rehearse};
pub use run::run;
