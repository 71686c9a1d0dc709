//! Why there are no figures.

use std::path::PathBuf;

/// One variant per cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("a process or the runtime failed: {0}")]
    Process(std::io::Error),
    #[error("{0} did not answer on its port in time")]
    NotReady(&'static str),
    #[error("NATS: {0}")]
    Nats(String),
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
    #[error("a message was not confirmed: {0}")]
    NotConfirmed(String),
    #[error("the file of envelopes ends within one")]
    Envelopes,
    #[error("truc {command} failed: {message}")]
    Truc { command: &'static str, message: String },
    #[error("figures that cannot be read: {0}")]
    Figures(String),
    #[error("{} has no lines <!-- {marker}:begin --> and <!-- {marker}:end -->", path.display())]
    Markers { path: PathBuf, marker: &'static str },
}

impl Failure {
    /// An error of NATS' client, which has a type per call.
    pub(crate) fn nats(cause: impl std::fmt::Display) -> Self {
        Self::Nats(cause.to_string())
    }
}
