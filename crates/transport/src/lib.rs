//! What every process shares at its border: start, settings, mutual TLS, accepting, gRPC statuses, clock, logging, reload, shutdown. Nothing of the
//! protocol itself.

pub mod accept;
pub mod clock;
pub mod daemon;
pub mod descriptors;
pub mod disk;
pub mod launch;
pub mod logging;
pub mod notify;
pub mod reflection;
pub mod reload;
pub mod shutdown;
pub mod status;
pub mod tls;
pub mod violations;
