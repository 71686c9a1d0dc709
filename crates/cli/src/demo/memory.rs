//! The most memory that the processes of the demo ever had, from Linux; the demo fails above its promise.

use super::Show;
use super::axis::Axis;
use crate::failure::Failure;
use crate::local::usage;

/// Everything together: broker, 94 edges and this process.
const PEAK_BYTES_MAX: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Shows the peaks and holds their sum against the promise. Each process has had its peak at another moment: the true peak of all is lower.
pub(super) fn check(axis: &mut Axis, show: &mut Show<'_>) -> Result<(), Failure> {
    let mut peaks = Vec::new();
    for (name, pid) in axis.processes().chain([("demo", std::process::id())]) {
        let peak = usage::of(pid)?.resident_bytes_max;
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
