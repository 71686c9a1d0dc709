//! The figures of a bench with everything that they depend on: as a table for people, as JSON for programs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::machine::Machine;
use super::phase::Measured;
use super::process::Usage;

/// The figures of `truc bench submit`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    /// What had happened to a document before it was answered.
    pub(super) durability: String,
    pub(super) sync_delay_ms: u64,
    pub(super) agencies: u16,
    pub(super) recipients: usize,
    pub(super) envelope_bytes: usize,
    pub(super) in_flight: usize,
    /// Closed loop: as fast as it goes.
    pub(super) maximum: Figures,
    /// Open loop.
    pub(super) paced: Figures,
    /// Rate of the open loop.
    pub(super) paced_rate: f64,
    pub(super) broker_resident_bytes_max: u64,
}

/// The figures of one phase. Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    /// Documents whose checkpoint and two inclusion proofs were verified: all of them.
    pub(super) verified: u64,
    pub(super) documents_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) largest_ms: f64,
    pub(super) blocks: usize,
    pub(super) documents_per_block: f64,
    pub(super) broker_cpu_us_per_document: f64,
    pub(super) client_cpu_us_per_document: f64,
    pub(super) broker_bytes_written: u64,
}

impl Figures {
    /// The figures of a phase, with what both processes had used before and after it.
    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a bench are far below 2^53")]
    pub(super) fn new(measured: &Measured, broker: (Usage, Usage), client: (Usage, Usage)) -> Self {
        let at = |quantile: f64| measured.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        let verified = measured.verified.max(1) as f64;
        let micros = |(before, after): (Usage, Usage)| (after.cpu_seconds - before.cpu_seconds) * 1e6 / verified;
        Self {
            verified: measured.verified,
            documents_per_second: measured.counted as f64 / measured.time.as_secs_f64().max(f64::MIN_POSITIVE),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            largest_ms: at(1.0),
            blocks: measured.roots.len(),
            documents_per_block: verified / measured.roots.len().max(1) as f64,
            broker_cpu_us_per_document: micros(broker),
            client_cpu_us_per_document: micros(client),
            broker_bytes_written: broker.1.bytes_written.saturating_sub(broker.0.bytes_written),
        }
    }
}

impl fmt::Display for Report {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        writeln!(f, "machine      {}", self.machine)?;
        writeln!(f, "durability   {}", self.durability)?;
        writeln!(
            f,
            "load         {} agencies over mutual TLS on loopback, envelopes of {} bytes, {} recipient(s); client on the same cores",
            self.agencies, self.envelope_bytes, self.recipients
        )?;
        writeln!(
            f,
            "\n{:<28}{:>20}{:>20}",
            "",
            format!("closed, {} in flight", self.in_flight),
            format!("open, {:.0}/s", self.paced_rate)
        )?;
        let (maximum, paced) = (&self.maximum, &self.paced);
        let mut row = |name: &str, value: &dyn Fn(&Figures) -> String| writeln!(f, "{name:<28}{:>20}{:>20}", value(maximum), value(paced));
        row("documents/s", &|figures| format!("{:.0}", figures.documents_per_second))?;
        row("latency p50 ms", &|figures| format!("{:.2}", figures.p50_ms))?;
        row("latency p99 ms", &|figures| format!("{:.2}", figures.p99_ms))?;
        row("latency p99.9 ms", &|figures| format!("{:.2}", figures.p999_ms))?;
        row("latency largest ms", &|figures| format!("{:.2}", figures.largest_ms))?;
        row("documents verified", &|figures| figures.verified.to_string())?;
        row("documents a block", &|figures| format!("{:.0}", figures.documents_per_block))?;
        row("broker CPU µs/document", &|figures| format!("{:.1}", figures.broker_cpu_us_per_document))?;
        row("client CPU µs/document", &|figures| format!("{:.1}", figures.client_cpu_us_per_document))?;
        row("broker MiB written", &|figures| format!("{:.0}", mebibytes(figures.broker_bytes_written)))?;
        write!(
            f,
            "\nbroker memory {:.0} MiB at most, with {} documents open",
            mebibytes(self.broker_resident_bytes_max),
            maximum.verified + paced.verified
        )
    }
}

/// What durability means in a folder: the sync of a file system in memory is none.
pub(super) fn durability(folder: &Path, sync_delay_ms: u64) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let whole = std::fs::canonicalize(folder);
    let kind = file_system(&mounts, whole.as_deref().unwrap_or(folder));
    let warning = if matches!(kind, "tmpfs" | "ramfs") { " IN MEMORY: give --folder on a disk" } else { "" };
    let delay = if sync_delay_ms > 0 { format!(" + {sync_delay_ms} ms injected") } else { String::new() };
    format!("fdatasync per block{delay}, {kind}{warning}; answered after it, with checkpoint and proofs")
}

/// The type of the file system that a folder is on: that of the longest mount point above it (proc(5), `/proc/self/mounts`).
fn file_system<'m>(mounts: &'m str, folder: &Path) -> &'m str {
    let mounted = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    // The later of two mounts on one point hides the earlier: `max_by_key` gives the last of equals.
    let above = mounted.filter(|(point, _)| folder.starts_with(point)).max_by_key(|(point, _)| point.len());
    above.map_or("unknown file system", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_the_nearest_mount_above_it() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/vdb /run/data xfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/run/data/broker")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/run/database")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/home")), "ext4");
        assert_eq!(file_system("", Path::new("/home")), "unknown file system");
    }
}
