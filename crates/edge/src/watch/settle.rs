//! When a file in `in/` is taken up: not while it is being written, and not again at once after it had to wait. Pure: the clock is the caller's.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use tokio::time::Instant;

use super::folders::{Dropped, Stamp};

/// First pause of a file that had to wait; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause of a file that has to wait.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Names that are remembered: with as many that wait, new ones are taken up all the same, only their pauses are forgotten.
const REMEMBERED_MAX: usize = 20_000;

/// What was seen of the files.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: HashMap<OsString, Seen>,
}

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// When this stamp was seen first.
    since: Instant,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Watched {
    /// Whether a name is not to be looked at now.
    pub(super) fn is_paused(&self, name: &OsStr, now: Instant) -> bool {
        self.files.get(name).and_then(|seen| seen.not_before).is_some_and(|until| now < until)
    }

    /// Takes note of a scan and forgets what is gone.
    pub(super) fn scanned(&mut self, found: &[Dropped], now: Instant) {
        if self.files.len() > REMEMBERED_MAX {
            self.files.clear();
        }
        let names: std::collections::HashSet<&OsStr> = found.iter().map(|dropped| dropped.name.as_os_str()).collect();
        self.files.retain(|name, seen| names.contains(name.as_os_str()) || seen.not_before.is_some_and(|until| now < until + PAUSE_MAX));
        for Dropped { name, stamp } in found {
            match self.files.get_mut(name) {
                Some(seen) if seen.stamp == *stamp => {}
                _ => {
                    let seen = Seen { stamp: *stamp, since: now, not_before: None, pause: PAUSE_MIN };
                    self.files.insert(name.clone(), seen);
                }
            }
        }
    }

    /// For how long a file has not changed.
    pub(super) fn quiet_for(&self, dropped: &Dropped, now: Instant) -> Duration {
        let seen = self.files.get(&dropped.name).filter(|seen| seen.stamp == dropped.stamp);
        seen.map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen.since))
    }

    /// The file has to wait.
    pub(super) fn pause(&mut self, name: &OsStr, now: Instant) {
        if let Some(seen) = self.files.get_mut(name) {
            seen.not_before = Some(now + seen.pause);
            seen.pause = (seen.pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Whether the last bytes close the root element: a file that is still being copied does not end so.
pub(super) fn ends_like_edxml(tail: &[u8]) -> bool {
    let tail = tail.trim_ascii_end();
    let Some(start) = tail.iter().rposition(|byte| *byte == b'<') else { return false };
    let tag = tail.get(start..).unwrap_or_default();
    let name = tag.strip_prefix(b"</").and_then(|rest| rest.strip_suffix(b">")).map(<[u8]>::trim_ascii_end);
    name.is_some_and(|name| name == b"edXML" || name.ends_with(b":edXML"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::folders::Folders;

    #[test]
    fn a_file_is_quiet_only_since_its_last_change_and_pauses_double() {
        let scratch = tempfile::tempdir().unwrap();
        let folders = Folders::open(scratch.path()).unwrap();
        let path = scratch.path().join("in/a.edxml");
        std::fs::write(&path, "one").unwrap();
        let look = || folders.dropped(9, |_| false).unwrap();
        let (mut watched, start) = (Watched::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let quiet = |watched: &Watched, found: &[Dropped], now| watched.quiet_for(&found[0], now).as_secs();

        let first = look();
        assert_eq!(quiet(&watched, &first, at(0)), 0, "never seen before");
        watched.scanned(&first, at(0));
        watched.scanned(&look(), at(2));
        assert_eq!(quiet(&watched, &first, at(3)), 3);
        std::fs::write(&path, "one and more").unwrap();
        let grown = look();
        watched.scanned(&grown, at(4));
        assert_eq!((quiet(&watched, &grown, at(5)), quiet(&watched, &first, at(5))), (1, 0));

        let name = OsStr::new("a.edxml");
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            watched.pause(name, at(10));
            assert!(watched.is_paused(name, at(10 + pause) - Duration::from_millis(1)) && !watched.is_paused(name, at(10 + pause)));
        }
        watched.scanned(&[], at(100));
        assert_eq!(watched.files.len(), 1, "a paused file is passed over by scans");
        watched.scanned(&[], at(200));
        assert_eq!(watched.files.len(), 0);
    }

    #[test]
    fn the_end_of_the_root_element_is_recognised() {
        for whole in ["</edXML>", "…</edXML>\r\n \n", "<a></a></x:edXML >\n"] {
            assert!(ends_like_edxml(whole.as_bytes()), "{whole}");
        }
        for part in ["", "</edXML", "</edXMLEnvelope>", "<edXML>", "</edXML> a", "QUJD", "</x:MyedXML>"] {
            assert!(!ends_like_edxml(part.as_bytes()), "{part}");
        }
    }
}
