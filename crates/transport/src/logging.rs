//! Where log lines go and what they look like: human or JSON on standard error, filtered by `TRUC_LOG`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging for this process. A second call changes nothing.
pub fn start(format: LogFormat, default_level: &str) {
    let filter = EnvFilter::try_from_env("TRUC_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Err(cause) = started {
        tracing::debug!(%cause, "logging was started before");
    }
}
