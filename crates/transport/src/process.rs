//! What the system knows of this process: memory, open files, start. Read from `/proc`; nothing elsewhere than on Linux.

use crate::clock;
use crate::metrics::{Description, Gauge, Kind, Metrics, number, seconds};

/// Names that every Prometheus dashboard knows.
pub const TABLE: &[&Description] = &[&RESIDENT, &OPEN_FILES, &STARTED];

const RESIDENT: Description = Description {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: "bytes",
    labels: &[],
    help: "Memory of this process that is in RAM",
};
const OPEN_FILES: Description =
    Description { name: "process_open_fds", kind: Kind::Gauge, unit: "file descriptors", labels: &[], help: "Open file descriptors" };
const STARTED: Description = Description {
    name: "process_start_time_seconds",
    kind: Kind::Gauge,
    unit: "seconds",
    labels: &[],
    help: "When this process began to count, in seconds since 1970",
};

/// Keeps the numbers of this process.
#[derive(Debug, Clone)]
pub struct Process {
    resident: Gauge,
    open_files: Gauge,
}

impl Process {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        metrics.gauge(&STARTED, &[]).set(seconds(clock::now().as_millis()));
        let process = Self { resident: metrics.gauge(&RESIDENT, &[]), open_files: metrics.gauge(&OPEN_FILES, &[]) };
        process.look();
        process
    }

    /// Looks again.
    pub fn look(&self) {
        if let Some(kibibytes) = std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_kibibytes) {
            self.resident.set(number(kibibytes) * 1_024.0);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            self.open_files.set(number(files.count() as u64));
        }
    }
}

fn resident_kibibytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_this_process_are_read() {
        let metrics = Metrics::new(&[TABLE]);
        let process = Process::new(&metrics);
        assert!(process.resident.get() > 100_000.0, "{}", process.resident.get());
        assert!(process.open_files.get() >= 3.0);
        assert_eq!(resident_kibibytes("Name:\ttruc\nVmRSS:\t   1234 kB\n"), Some(1_234));
    }
}
