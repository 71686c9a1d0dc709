//! The broker process that is measured, and what the system says it used. Linux: everything comes from `/proc`.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use truc_types::{Reason, Refusal};

use super::axis::Axis;
use crate::failure::Failure;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, part of the kernel's interface to programs and 100 on every architecture that Rust's
/// standard library has in its first two tiers.
const TICKS_A_SECOND: f64 = 100.0;

/// A broker that runs; killed when it is dropped. What it acknowledged is durable, so it needs no farewell.
pub(super) struct Broker {
    child: Child,
    /// Where edges connect.
    pub(super) address: SocketAddr,
}

/// What a process used since it started.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Seconds of processor time, user and system.
    pub(super) cpu_seconds: f64,
    /// Bytes that it caused to be written to storage.
    pub(super) bytes_written: u64,
    /// Largest resident memory so far, bytes.
    pub(super) resident_bytes_max: u64,
}

impl Broker {
    /// Starts `truc broker run`, from this very program if no other is named, and waits for its ready line.
    pub(super) fn start(axis: &Axis, program: Option<&Path>, sync_delay: Duration) -> Result<Self, Failure> {
        let program = program.map_or_else(std::env::current_exe, |program| Ok(program.to_owned())).map_err(Failure::Runtime)?;
        let mut command = Command::new(program);
        command.args(["broker", "run", "--listen", "127.0.0.1:0", "--data"]).arg(&axis.data);
        command.arg("--password-file").arg(&axis.password_file);
        command.arg("--sync-delay-ms").arg(sync_delay.as_millis().to_string());
        command.env("TRUC_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::Runtime)?;
        let mut ready = String::new();
        let read = child.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut ready));
        let address = ready.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        match (read, address) {
            (Some(Ok(_)), Some(address)) => Ok(Self { child, address }),
            _ => {
                stop(&mut child);
                Err(Failure::Refused(Refusal::new(Reason::BrokerAway, format!("the broker did not get ready: it said {ready:?}"))))
            }
        }
    }

    /// What it used so far.
    pub(super) fn usage(&self) -> Usage {
        usage(&self.child.id().to_string())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

fn stop(child: &mut Child) {
    if let Err(cause) = child.kill().and_then(|()| child.wait().map(drop)) {
        tracing::warn!(%cause, pid = child.id(), "the broker of the bench could not be stopped");
    }
}

/// What this process used so far.
pub(super) fn own_usage() -> Usage {
    usage("self")
}

fn usage(process: &str) -> Usage {
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default();
    Usage {
        cpu_seconds: cpu_seconds(&file("stat")),
        bytes_written: field(&file("io"), "write_bytes:"),
        resident_bytes_max: field(&file("status"), "VmHWM:") * 1024,
    }
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (proc(5)); the name before them is in parentheses and may hold anything.
fn cpu_seconds(stat: &str) -> f64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u32 = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    f64::from(ticks) / TICKS_A_SECOND
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_a_strange_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194560 1 2 3 4 250 50 7 8 20 0";
        assert!((cpu_seconds(stat) - 3.0).abs() < 1e-9);
        assert!(cpu_seconds("").abs() < 1e-9);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(own_usage().resident_bytes_max > 1_000_000);
        assert_eq!(field("rchar: 5\nwrite_bytes: 4096\n", "write_bytes:"), 4096);
    }
}
