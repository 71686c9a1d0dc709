//! The checks that every process makes of its own machine: disk, keys, clock. One look serves readiness, metrics and the operator's question. Not the
//! checks of its own parts, which come beside it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use truc_types::limits::READINESS_PROBE_MILLIS_MAX;
use truc_types::{Reason, Refusal};

use crate::checks::{Checks, ClockWatch, Values};
use crate::clock;
use crate::disk::{DiskWatch, Space};
use crate::keys::KeyFiles;

/// Name of the check of the disk.
pub const DISK: &str = "disk";
/// Name of the check of key files and certificates.
pub const KEYS: &str = "keys";
/// Name of the check of the clock.
pub const CLOCK: &str = "clock";

/// Looks at a machine again and again, and notes what it finds.
#[derive(Debug)]
pub struct Machine {
    checks: Checks,
    disk: DiskWatch,
    keys: Arc<KeyFiles>,
    /// A look at the keys that a disk holds up: waited for, not joined by a second one.
    looking: Option<JoinHandle<Result<(), Refusal>>>,
    clock: ClockWatch,
}

/// What one look gave beside its checks.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Space of the disk, if it could be seen.
    pub space: Option<Space>,
    /// Less than the reserve is free. Not any other fault: who is refused for space would be so for as long as that lasts.
    pub disk_full: bool,
    /// Milliseconds by which the clock jumped since the last look.
    pub jump_millis: i64,
}

impl Machine {
    /// A watch over the disk of a data folder, these files, and the clock.
    #[must_use]
    pub fn new(checks: Checks, data: &Path, reserve_bytes: u64, keys: Arc<KeyFiles>) -> Self {
        // What was read at the start is shown until the first look ends.
        checks.note_values(Values { space: None, ends: keys.ends().collect() });
        Self { checks, disk: DiskWatch::new(data, reserve_bytes), keys, looking: None, clock: ClockWatch::default() }
    }

    /// One look, at most [`READINESS_PROBE_MILLIS_MAX`] long. `own_clock` is what the process has against the clock beside a jump.
    pub async fn look(&mut self, own_clock: impl FnOnce() -> Result<(), Refusal>) -> Look {
        let jump_millis = self.clock.look();
        self.checks.note_result(CLOCK, self.clock.check().and_then(|()| own_clock()));
        let keys = look_at_keys(&mut self.looking, &self.keys);
        let ((space, disk), keys) = tokio::join!(self.disk.look(), keys);
        let disk_full = disk.as_ref().is_err_and(|refusal| refusal.reason == Reason::DiskFull);
        self.checks.note_values(Values { space, ends: self.keys.ends().collect() });
        self.checks.note_result(DISK, disk);
        self.checks.note_result(KEYS, keys);
        Look { space, disk_full, jump_millis }
    }
}

async fn look_at_keys(looking: &mut Option<JoinHandle<Result<(), Refusal>>>, keys: &Arc<KeyFiles>) -> Result<(), Refusal> {
    let files = Arc::clone(keys);
    let look = looking.get_or_insert_with(|| tokio::task::spawn_blocking(move || files.check(clock::now())));
    let unreadable = |message: String| Err(Refusal::new(Reason::KeyUnreadable, message));
    match tokio::time::timeout(Duration::from_millis(READINESS_PROBE_MILLIS_MAX), &mut *look).await {
        Ok(looked) => {
            *looking = None;
            looked.unwrap_or_else(|cause| unreadable(format!("the look at the keys broke: {cause}")))
        }
        Err(_) => unreadable(format!("the key files were not read within {READINESS_PROBE_MILLIS_MAX} ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Found, Weight};

    #[tokio::test]
    async fn a_disk_that_does_not_give_the_keys_makes_the_process_unready_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("tls.key.pem");
        // Opening a pipe that nobody writes to waits, as a dead disk does.
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let checks = Checks::new(&[(DISK, Weight::Required), (KEYS, Weight::Required), (CLOCK, Weight::Required)]);
        let mut machine = Machine::new(checks.clone(), folder.path(), 0, Arc::new(KeyFiles::default().key("tls", &pipe)));
        let look = machine.look(|| Ok(())).await;
        assert!(!look.disk_full && look.space.is_some() && checks.values().space == look.space);
        let states = checks.states();
        assert_eq!(
            states.iter().map(|check| (check.name, check.found == Found::Passing)).collect::<Vec<_>>(),
            [(DISK, true), (KEYS, false), (CLOCK, true)]
        );
        assert!(matches!(&states[1].found, Found::Failing(refusal) if refusal.reason == Reason::KeyUnreadable), "{states:?}");
        // The pipe opens as soon as somebody writes: the look that hung is the one that is answered.
        std::fs::File::options().write(true).open(&pipe).unwrap();
        machine.look(|| Ok(())).await;
        assert!(checks.is_ready(), "{}", checks.to_json());
    }
}
