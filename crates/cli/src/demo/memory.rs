//! The most memory that the processes of the demo ever had, from Linux; the demo fails above its promise.

use std::path::PathBuf;

use super::Show;
use super::axis::Axis;
use crate::failure::Failure;

/// Everything together: broker, 94 edges and this process.
const PEAK_BYTES_MAX: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Shows the peaks and holds their sum against the promise. Each process has had its peak at another moment: the true peak of all is lower.
pub(super) fn check(axis: &mut Axis, show: &mut Show<'_>) -> Result<(), Failure> {
    let mut peaks = Vec::new();
    for (name, pid) in axis.processes().chain([("demo", std::process::id())]) {
        let peak = peak_bytes(pid)?;
        peaks.push((name.to_owned(), if name == "broker" { peak.max(axis.broker_peak) } else { peak }));
    }
    let sum: u64 = peaks.iter().map(|(_, peak)| peak).sum();
    let parts: Vec<_> = peaks.iter().map(|(name, peak)| format!("{name} {}", peak / MIB)).collect();
    let (sum_mib, parts) = (sum / MIB, parts.join(", "));
    show.step(
        "memory",
        &format!("peaks of memory: {sum_mib} MiB together ({parts})"),
        &format!("bộ nhớ cao nhất: tổng cộng {sum_mib} MiB ({parts})"),
    )?;
    if sum > PEAK_BYTES_MAX {
        return Err(Failure::BadAnswer(format!("{sum_mib} MiB of memory were used, {} are promised", PEAK_BYTES_MAX / MIB)));
    }
    Ok(())
}

/// The largest resident set that a process has had.
pub(super) fn peak_bytes(pid: u32) -> Result<u64, Failure> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).map_err(|source| Failure::file(&path, source))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::BadAnswer(format!("{} has no VmHWM", path.display())))
}
