//! What a server made durable, read from what strace wrote down: a system that confirms without a sync is compared with one that syncs only if this is said.

use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// The calls of one short turn, from the start of the server to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Syncs {
    /// Messages that were confirmed in it.
    pub(crate) confirmed: u64,
    pub(crate) fsync: u64,
    pub(crate) fdatasync: u64,
    pub(crate) sync_file_range: u64,
    pub(crate) msync: u64,
    /// Files opened so that every write is a sync.
    pub(crate) opened_synchronous: u64,
}

/// Counts the calls in a log of strace.
pub(crate) fn count(log: &Path, confirmed: u64) -> Result<Syncs, Failure> {
    let text = std::fs::read(log).map_err(|cause| Failure::File { path: log.to_owned(), cause })?;
    Ok(count_text(&String::from_utf8_lossy(&text), confirmed))
}

fn count_text(text: &str, confirmed: u64) -> Syncs {
    let mut syncs = Syncs { confirmed, ..Syncs::default() };
    for line in text.lines() {
        // "1234  fdatasync(9) = 0"; a call that others interrupt has a second line, "<... fdatasync resumed>", which counts no more.
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        match call.split_once('(').map(|(name, _)| name) {
            Some("fsync") => syncs.fsync += 1,
            Some("fdatasync") => syncs.fdatasync += 1,
            Some("sync_file_range") => syncs.sync_file_range += 1,
            Some("msync") => syncs.msync += 1,
            Some("openat") if call.contains("O_SYNC") || call.contains("O_DSYNC") => syncs.opened_synchronous += 1,
            _ => {}
        }
    }
    syncs
}

impl std::fmt::Display for Syncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let calls = [
            ("fsync", self.fsync),
            ("fdatasync", self.fdatasync),
            ("sync_file_range", self.sync_file_range),
            ("msync", self.msync),
            ("open with O_SYNC", self.opened_synchronous),
        ];
        let seen: Vec<_> = calls.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
        write!(f, "{} for {} messages", if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }, self.confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_once() {
        let log = "12  fdatasync(9 <unfinished ...>\n13 fsync(4) = 0\n12  <... fdatasync resumed>) = 0\n\
                   13 openat(AT_FDCWD, \"meta.inf\", O_WRONLY|O_CREAT|O_SYNC, 0640) = 5\n13 openat(AT_FDCWD, \"a\", O_RDONLY) = 5\n";
        let counted = count_text(log, 7);
        assert_eq!(counted, Syncs { confirmed: 7, fsync: 1, fdatasync: 1, opened_synchronous: 1, ..Syncs::default() });
        assert_eq!(counted.to_string(), "1 fsync, 1 fdatasync, 1 open with O_SYNC for 7 messages");
    }
}
