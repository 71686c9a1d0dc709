//! What the service manager is told (sd_notify(3)): ready, reloading, stopping, a status line, and that the process still lives. Silent without one.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A status line longer than this is cut: the manager shows one line.
const STATUS_BYTES_MAX: usize = 200;

/// The way to the service manager. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    manager: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// The manager that started this process, if one did: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    ///
    /// # Errors
    /// When there is one and it cannot be reached.
    pub fn from_environment() -> std::io::Result<Self> {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(Path::new(&path))?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Ok(Self { manager: Some(Arc::new((socket, address))), watchdog })
    }

    /// The process serves.
    pub fn ready(&self, status: &str) {
        self.send("READY=1", status);
    }

    /// The process reads its settings again; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        self.send("RELOADING=1", "reading the settings again");
    }

    /// The process ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1", "ending");
    }

    /// Says again and again that the process lives, as long as `alive` says so in time. Never returns; without a watchdog nothing happens.
    pub async fn keep_alive<F: Future<Output = bool>>(&self, alive: impl Fn() -> F) {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        // Half of the time, as sd_watchdog_enabled(3) asks for; the probe has the other half.
        let mut every = tokio::time::interval(watchdog / 2);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if tokio::time::timeout(watchdog / 2, alive()).await.unwrap_or(false) {
                self.send_words("WATCHDOG=1");
            } else {
                tracing::error!("the process does not answer itself; its service manager will end it");
            }
        }
    }

    fn send(&self, word: &str, status: &str) {
        let line: String = status.chars().filter(|letter| !letter.is_control()).take(STATUS_BYTES_MAX).collect();
        self.send_words(&format!("{word}\nSTATUS={line}"));
    }

    fn send_words(&self, words: &str) {
        if let Some(manager) = &self.manager
            && let Err(cause) = manager.0.send_to_addr(words.as_bytes(), &manager.1)
        {
            tracing::warn!(%cause, "the service manager was not told");
        }
    }
}
