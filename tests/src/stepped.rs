//! A clock of the day that a test sets, for one process: libfaketime over the real one. The clock that only counts stays as it is, as on a machine
//! whose time somebody sets.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::libfaketime;

/// The clock of one process.
pub struct SteppedClock {
    file: PathBuf,
}

impl SteppedClock {
    /// A clock that shows the right time, kept in a file.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        let clock = Self { file: file.to_owned() };
        clock.set_ahead(0);
        clock
    }

    /// Gives the clock to a process that is not started yet.
    pub fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", libfaketime()).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        // The file is read again after a second; neither the counting clock nor the times of files are changed.
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        command.env("NO_FAKE_STAT", "1");
    }

    /// Sets it so many seconds ahead of the right time, or behind. The process sees it within a second.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub fn set_ahead(&self, seconds: i64) {
        // Renamed into place: the process reads it at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).and_then(|()| std::fs::rename(&new, &self.file)).expect("the clock is set");
    }
}
