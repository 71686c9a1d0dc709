//! The edge node of one agency: outbox, inbox, and gRPC for its document-management system.
//!
//! Read in this order: `record` (what the private journal holds), `state` (the rows that follow from it), `recorder` and `store` (one thread decides and
//! appends), `trust` (what is believed of the line), then the loops of one connection to the axis: `session`, `term`, `outbox`, `inbox`, `feed`,
//! `receipts`; and `grpc` and `watch` for the DMS. `light` is an edge without a journal, for load generators. Nothing is answered to anybody before it is durable in the journal.

mod access;
mod backoff;
mod config;
pub mod daemon;
mod edxml;
mod error;
mod evidence;
mod feed;
mod fresh;
mod groups;
mod grpc;
mod hand_in;
mod health;
mod held;
pub mod host;
mod inbox;
mod init;
mod later;
pub mod light;
mod meters;
pub mod metrics;
mod node;
mod outbox;
mod pace;
mod receipts;
mod recent;
mod record;
mod recorder;
mod rehearse;
mod run;
mod sealer;
mod session;
pub mod settings;
mod state;
mod store;
mod submit;
mod sweep;
mod term;
#[cfg(test)]
mod testing;
mod transfer;
mod trust;
mod watch;
mod wire;
mod witness;

pub use access::{DmsAccess, DmsTls};
pub use config::EdgeConfig;
pub use error::EdgeError;
pub use init::{InitFiles, init, load, open};
pub use rehearse::{Rehearsal, rehearse};
pub use run::run;
pub use trust::TrustedLog;
pub use watch::WatchFolder;
