//! What a process checks of itself, and whether it is ready: each check with its state, since when, and what to do. Not the checks themselves.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use truc_proto::admin::v1 as pb;
use truc_types::limits::{CLOCK_JUMP_HOLD_MILLIS, CLOCK_STEP_BACK_MILLIS_MAX};
use truc_types::{Reason, Refusal, Timestamp};

use crate::clock;
use crate::disk::Space;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Not looked at yet: the process is not ready.
    Waiting,
    /// All is well.
    Passing,
    /// Something is wrong.
    Failing(Refusal),
    /// Not looked at in this process, and why.
    Off(&'static str),
}

/// Whether a check decides on readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The process is ready only while it passes.
    Required,
    /// Shown, and nothing more.
    Reported,
}

/// One check and what it found last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it decides on readiness.
    pub weight: Weight,
    /// What it found.
    pub found: Found,
    /// Since when it finds that.
    pub since: Timestamp,
}

/// Numbers that checks saw on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Bytes of the disk of the data folder.
    pub space: Option<Space>,
    /// When certificates end, by role.
    pub ends: Vec<(&'static str, Timestamp)>,
}

/// The checks of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Checks {
    checks: Arc<Mutex<Vec<Check>>>,
    values: Arc<Mutex<Values>>,
    ready: Arc<watch::Sender<bool>>,
}

impl Checks {
    /// Checks by their names, none of them looked at yet.
    #[must_use]
    pub fn new(names: &[(&'static str, Weight)]) -> Self {
        let since = clock::now();
        let checks = names.iter().map(|(name, weight)| Check { name, weight: *weight, found: Found::Waiting, since });
        Self { checks: Arc::new(Mutex::new(checks.collect())), values: Arc::default(), ready: Arc::new(watch::Sender::new(false)) }
    }

    /// Notes what a check found. A change is logged.
    pub fn note(&self, name: &str, found: Found) {
        let mut checks = self.checks.lock();
        let Some(check) = checks.iter_mut().find(|check| check.name == name) else { return };
        if std::mem::discriminant(&check.found) != std::mem::discriminant(&found) {
            check.since = clock::now();
            match &found {
                Found::Failing(refusal) if check.weight == Weight::Reported => {
                    tracing::warn!(check = name, reason = %refusal.reason, cause = refusal.message, "a check fails that does not decide on readiness");
                }
                Found::Failing(refusal) => {
                    tracing::error!(check = name, reason = %refusal.reason, cause = refusal.message, "a check fails");
                }
                Found::Passing => tracing::info!(check = name, "a check passes"),
                Found::Off(why) => tracing::info!(check = name, why, "a check is off"),
                Found::Waiting => {}
            }
        }
        check.found = found;
        let ready = checks.iter().all(|check| check.weight == Weight::Reported || matches!(check.found, Found::Passing | Found::Off(_)));
        drop(checks);
        self.ready.send_if_modified(|before| {
            let changed = *before != ready;
            *before = ready;
            changed
        });
    }

    /// Notes a result.
    pub fn note_result(&self, name: &str, result: Result<(), Refusal>) {
        self.note(name, result.map_or_else(Found::Failing, |()| Found::Passing));
    }

    /// Takes the numbers of the newest look.
    pub fn note_values(&self, values: Values) {
        *self.values.lock() = values;
    }

    /// The numbers of the newest look.
    #[must_use]
    pub fn values(&self) -> Values {
        self.values.lock().clone()
    }

    /// All checks as they stand.
    #[must_use]
    pub fn states(&self) -> Vec<Check> {
        self.checks.lock().clone()
    }

    /// Names and whether they pass, for metrics; one that is off counts as passing.
    #[must_use]
    pub fn passing(&self) -> Vec<(&'static str, bool)> {
        self.checks.lock().iter().map(|check| (check.name, matches!(check.found, Found::Passing | Found::Off(_)))).collect()
    }

    /// Whether the process is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Tells of changes of readiness.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// All of it as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ready = self.is_ready();
        let checks = self.checks.lock();
        let check = |check: &Check| {
            let (name, state, since, required) =
                (check.name, check.found.word(), check.since.to_string(), check.weight == Weight::Required);
            match &check.found {
                Found::Failing(refusal) => json!({
                    "name": name, "state": state, "since": since, "required": required,
                    "reason": refusal.reason.code(), "message": refusal.message, "advice": refusal.reason.advice(),
                }),
                Found::Off(why) => json!({ "name": name, "state": state, "since": since, "required": required, "message": why }),
                Found::Passing | Found::Waiting => json!({ "name": name, "state": state, "since": since, "required": required }),
            }
        };
        json!({ "ready": ready, "checks": checks.iter().map(check).collect::<Vec<_>>() }).to_string()
    }
}

/// All checks as the operator's services show them.
#[must_use]
pub fn shown(checks: &Checks) -> Vec<pb::Check> {
    let show = |check: Check| {
        let (reason, message) = match &check.found {
            Found::Failing(refusal) => (refusal.reason.code(), refusal.message.clone()),
            Found::Off(why) => ("", (*why).to_owned()),
            Found::Passing | Found::Waiting => ("", String::new()),
        };
        pb::Check {
            name: check.name.to_owned(),
            state: check.found.word().to_owned(),
            since: check.since.to_string(),
            required: check.weight == Weight::Required,
            reason: reason.to_owned(),
            message,
        }
    };
    checks.states().into_iter().map(show).collect()
}

impl Found {
    /// The word for it that programs read.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Passing => "passing",
            Self::Failing(_) => "failing",
            Self::Off(_) => "off",
        }
    }
}

/// Compares the clock of the day with the one that only counts: a jump of either direction shows for a minute.
#[derive(Debug)]
pub struct ClockWatch {
    begun: Instant,
    wall: Timestamp,
    jump: Option<(Instant, i64)>,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self { begun: Instant::now(), wall: clock::now(), jump: None }
    }
}

impl ClockWatch {
    /// Looks at both clocks; the milliseconds by which the day's jumped since the last look.
    pub fn look(&mut self) -> i64 {
        self.compare(Instant::now(), clock::now())
    }

    fn compare(&mut self, counting: Instant, wall: Timestamp) -> i64 {
        let counted = i64::try_from(counting.duration_since(self.begun).as_millis()).unwrap_or(i64::MAX);
        let shown = signed(wall.as_millis()).saturating_sub(signed(self.wall.as_millis()));
        let jump = shown.saturating_sub(counted);
        (self.begun, self.wall) = (counting, wall);
        if jump.unsigned_abs() > CLOCK_STEP_BACK_MILLIS_MAX {
            self.jump = Some((counting, jump));
            jump
        } else {
            0
        }
    }

    /// Whether the clock has been steady for a while.
    ///
    /// # Errors
    /// [`Reason::ClockJumped`] with the jump.
    pub fn check(&self) -> Result<(), Refusal> {
        let hold = std::time::Duration::from_millis(CLOCK_JUMP_HOLD_MILLIS);
        match self.jump {
            Some((at, jump)) if self.begun.duration_since(at) < hold => {
                Err(Refusal::new(Reason::ClockJumped, format!("the clock of this machine jumped by {jump} ms")).with("jump_millis", jump))
            }
            _ => Ok(()),
        }
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_is_ready_when_every_required_check_has_passed() {
        let checks = Checks::new(&[("disk", Weight::Required), ("link", Weight::Reported), ("loop", Weight::Required)]);
        let ready = checks.subscribe();
        checks.note("disk", Found::Passing);
        assert!(!checks.is_ready(), "one has not been looked at");
        checks.note("loop", Found::Off("no certificate"));
        assert!(checks.is_ready() && ready.has_changed().unwrap());
        checks.note_result("link", Err(Refusal::new(Reason::BrokerAway, "the axis is away")));
        assert!(checks.is_ready(), "what is only reported decides nothing");
        checks.note_result("disk", Err(Refusal::new(Reason::DiskFull, "7 bytes are free")));
        assert!(!checks.is_ready());
        let shown: serde_json::Value = serde_json::from_str(&checks.to_json()).unwrap();
        assert_eq!(shown["ready"], false);
        assert_eq!(shown["checks"][0]["reason"], "disk.full");
        assert_eq!(shown["checks"][0]["advice"], Reason::DiskFull.advice());
        assert!(shown["checks"][0]["since"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!(checks.passing(), [("disk", false), ("link", false), ("loop", true)]);
    }

    #[test]
    fn a_jump_of_the_clock_shows_for_a_minute_in_either_direction() {
        for jump in [-6_000_i64, 6_000] {
            let mut watch = ClockWatch::default();
            let (counting, wall) = (watch.begun, watch.wall.as_millis());
            let at = |seconds: u64, jumped: i64| Timestamp::from_millis((wall + seconds * 1_000).saturating_add_signed(jumped));
            assert_eq!(watch.compare(counting + Duration::from_secs(5), at(5, 0)), 0);
            assert!(watch.check().is_ok());
            assert_eq!(watch.compare(counting + Duration::from_secs(10), at(10, jump)), jump);
            assert_eq!(watch.check().unwrap_err().reason, Reason::ClockJumped);
            assert_eq!(watch.compare(counting + Duration::from_secs(40), at(40, jump)), 0);
            assert!(watch.check().is_err(), "half a minute later");
            assert_eq!(watch.compare(counting + Duration::from_secs(75), at(75, jump)), 0);
            assert!(watch.check().is_ok(), "a minute later");
        }
    }
}
