//! The side of the service manager: the socket on which a daemon says that it is ready, reloads, stops and lives (sd_notify(3)).

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dms::PATIENCE;

/// A service manager that listens.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Listens on a new socket.
    ///
    /// # Panics
    /// When that cannot be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket in a scratch folder");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, path: path.to_owned() }
    }

    /// Makes a daemon talk to this manager; with a watchdog it has to say so often that it lives.
    pub fn manage(&self, command: &mut Command, watchdog_millis: Option<u64>) {
        command.env("NOTIFY_SOCKET", &self.path);
        if let Some(millis) = watchdog_millis {
            command.env("WATCHDOG_USEC", (millis * 1_000).to_string());
        }
    }

    /// The next message that begins with a word; others are passed over.
    ///
    /// # Panics
    /// When none comes.
    #[expect(
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test that waits in vain must fail; the length comes from the system"
    )]
    pub fn wait_for(&self, word: &str) -> String {
        let mut buffer = [0; 1_024];
        loop {
            let length = self.socket.recv(&mut buffer).expect("the daemon says something in time");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(word) {
                return message;
            }
        }
    }
}
