//! What Linux says that a process used: processor, memory, writes. What `/proc` says is in the forms of proc(5).

use std::path::PathBuf;

use rustix::time::{ClockId, clock_gettime};

use crate::failure::Failure;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, part of the kernel's interface to programs and 100 on every architecture that Rust's
/// standard library has in its first two tiers.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process used since it started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of processor time, user and system.
    pub(crate) cpu_seconds: f64,
    /// Bytes that it caused to be written to storage.
    pub(crate) bytes_written: u64,
    /// Resident memory now.
    pub(crate) resident_bytes: u64,
    /// The largest resident memory so far.
    pub(crate) resident_bytes_max: u64,
}

/// What a process used so far.
///
/// # Errors
/// When it is gone or not ours, or the system says less than Linux does.
pub(crate) fn of(pid: u32) -> Result<Usage, Failure> {
    let file = |name: &str| {
        let path = PathBuf::from(format!("/proc/{pid}/{name}"));
        std::fs::read_to_string(&path).map_err(|source| Failure::file(&path, source))
    };
    let missing = |what: &str| Failure::BadAnswer(format!("no {what} of process {pid}"));
    let (stat, io, status) = (file("stat")?, file("io")?, file("status")?);
    Ok(Usage {
        cpu_seconds: cpu_seconds(&stat).ok_or_else(|| missing("processor time"))?,
        bytes_written: field(&io, "write_bytes:").ok_or_else(|| missing("write_bytes"))?,
        resident_bytes: field(&status, "VmRSS:").ok_or_else(|| missing("VmRSS"))? * 1024,
        resident_bytes_max: field(&status, "VmHWM:").ok_or_else(|| missing("VmHWM"))? * 1024,
    })
}

/// What a process holds at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Open file descriptors.
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

/// What a process holds now.
///
/// # Errors
/// As [`of`].
pub(crate) fn held(pid: u32) -> Result<Held, Failure> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let descriptors = std::fs::read_dir(&folder).map_err(|source| Failure::file(&folder, source))?.count();
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).map_err(|source| Failure::file(&path, source))?;
    let threads = field(&status, "Threads:").ok_or_else(|| Failure::BadAnswer(format!("no threads of process {pid}")))?;
    Ok(Held { descriptors: descriptors as u64, threads })
}

/// What this process used so far; its processor time not in clock ticks, as [`of`] has to, but exactly.
///
/// # Errors
/// As [`of`].
pub(crate) fn own() -> Result<Usage, Failure> {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds of processor time are a hundred days")]
    let cpu_seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    Ok(Usage { cpu_seconds, ..of(std::process::id())? })
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)); the name before them is in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map_while(|ticks| ticks.parse::<u32>().ok());
    Some((f64::from(ticks.next()?) + f64::from(ticks.next()?)) / TICKS_A_SECOND)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_a_strange_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 250 50 7 8 20 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(cpu_seconds("42 (short) S 1"), None);
    }

    #[test]
    fn what_this_process_uses_is_known_exactly() {
        let before = own().unwrap();
        let after = own().unwrap();
        // A look takes microseconds, which clock ticks do not show.
        let looked = after.cpu_seconds - before.cpu_seconds;
        assert!(looked > 0.0 && looked < 0.5, "{looked} s");
        let in_ticks = of(std::process::id()).unwrap().cpu_seconds;
        assert!((in_ticks - after.cpu_seconds).abs() < 0.5, "{in_ticks} s in ticks, {after:?}");
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = own().unwrap();
        assert!(usage.resident_bytes > 1_000_000 && usage.resident_bytes_max >= usage.resident_bytes, "{usage:?}");
        let held = held(std::process::id()).unwrap();
        assert!(held.descriptors >= 3 && held.threads >= 1, "{held:?}");
        assert_eq!(field("rchar: 5\nwrite_bytes: 4096\n", "write_bytes:"), Some(4096));
        assert_eq!(field("rchar: 5\n", "write_bytes:"), None);
    }
}
