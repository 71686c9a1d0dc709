//! What every process shares at its border: mutual TLS, gRPC statuses, clock, logging, shutdown. Nothing of the protocol itself.

pub mod clock;
pub mod daemon;
pub mod incoming;
pub mod launch;
pub mod logging;
pub mod shutdown;
pub mod status;
pub mod tls;
