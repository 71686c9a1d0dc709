//! What every process shares at its border: start, settings, mutual TLS, accepting, gRPC statuses, clock, logging, metrics, readiness, reload, shutdown. Nothing of the
//! protocol itself.

pub mod accept;
pub mod checks;
pub mod clock;
pub mod daemon;
pub mod descriptors;
pub mod disk;
pub mod keys;
pub mod last_backup;
pub mod launch;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod notify;
pub mod observe;
mod owners;
pub mod process;
pub mod reflection;
pub mod reload;
pub mod shutdown;
pub mod status;
pub mod tls;
pub mod violations;
