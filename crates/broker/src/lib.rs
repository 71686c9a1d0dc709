//! The broker: one sequencer over the journal, and the gRPC services around it.
//!
//! A statement's way: `grpc/submit` → `admission` (many threads) → `sequencer` (one) → `committer` (one) → answer. Nothing leaves before it is durable.

mod admission;
mod backlog;
mod block;
mod boot;
mod committer;
mod config;
mod connections;
pub mod daemon;
mod earlier;
mod ended;
mod engine;
mod fair;
mod flow;
mod genesis;
mod glance;
mod grpc;
mod health;
mod kind;
mod loopback;
mod meters;
pub mod metrics;
mod pace;
mod published;
mod rehearse;
mod replay;
mod rows;
mod run;
mod sequencer;
pub mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod watching;

pub use config::{BrokerConfig, load, open};
pub use engine::Engine;
pub use genesis::{Init, Initialised, LoopbackFiles, init};
pub use loopback::LoopbackKeys;
pub use rehearse::{Rehearsal, rehearse};
pub use run::run;
