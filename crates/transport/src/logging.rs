//! Where log lines go and what they look like: human or JSON on standard error. The level can be changed while the process runs.
//!
//! A plain level is one for Trục's own crates: the libraries below write headers of requests at `debug`, and tokens stand in those. They stay at `warn`
//! unless `TRUC_LOG` holds directives of its own.

use std::fmt;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use truc_settings::{choice, settings};

/// The environment variable that overrules the level: a level, or directives as `tracing-subscriber` reads them.
pub const LOG_VARIABLE: &str = "TRUC_LOG";

choice! {
    /// Shape of the log lines.
    pub enum LogFormat as "\"human\" or \"json\"" {
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// How much is logged.
    pub enum LogLevel as "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"" {
        /// What somebody must look at.
        Error = "error",
        /// What may become an error.
        Warn = "warn",
        /// What happened, a few lines a connection.
        Info = "info",
        /// What was decided and why.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

settings! {
    /// What is logged, and how.
    pub struct LogSettings {
        /// How much is logged. TRUC_LOG overrules it.
        pub level: LogLevel = LogLevel::Info, OnReload;
        /// Shape of the lines on standard error.
        pub format: LogFormat = LogFormat::Human, AtStart;
    }
    sections {}
}

type Replace = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The logging of this process.
pub struct Logging {
    replace: Option<Replace>,
}

impl fmt::Debug for Logging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logging").field("reloads", &self.replace.is_some()).finish()
    }
}

/// Starts logging for this process. A second call changes nothing.
pub fn start(format: LogFormat, level: LogLevel) -> Logging {
    let filter = overruled().unwrap_or_else(|| own_crates(level));
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let (started, replace): (_, Replace) = match format {
        LogFormat::Human => {
            let builder = builder.with_target(false).with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    Logging { replace: started.is_ok().then_some(replace) }
}

impl Logging {
    /// Logs at another level from now on; not while `TRUC_LOG` overrules it.
    pub fn set_level(&self, level: LogLevel) {
        if overruled().is_none()
            && let Some(replace) = &self.replace
            && !replace(own_crates(level))
        {
            tracing::error!("the level of the log cannot be changed");
        }
    }
}

/// What the environment asks for.
fn overruled() -> Option<EnvFilter> {
    let text = std::env::var(LOG_VARIABLE).ok()?;
    match LogLevel::of_word(&text) {
        Some(level) => Some(own_crates(level)),
        None => EnvFilter::try_new(text).ok(),
    }
}

/// A level for our own crates, whose names all begin alike.
fn own_crates(level: LogLevel) -> EnvFilter {
    let others = if level == LogLevel::Error { "error" } else { "warn" };
    EnvFilter::new(format!("{others},truc={}", level.word()))
}
