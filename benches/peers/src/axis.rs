//! Our own turns: runs of `truc bench submit`, with mutual TLS, seals checked, both proofs of each answer verified by the client on the same cores.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::load::{CONNECTIONS, Plan, Published, Turn};
use crate::server::command;

/// Envelopes that the peers are sent again and again: 31 MB.
const ENVELOPES: u32 = 20_000;
/// Documents a second that the closed loop has envelopes for; a machine that is faster ends its turn earlier.
const DOCUMENTS_A_SECOND: u64 = 60_000;

/// What is read of the findings of `truc bench submit --json`.
#[derive(Deserialize)]
struct Submitted {
    machine: serde_json::Value,
    /// The closed loop, then the open one.
    rows: Vec<Phase>,
}

#[derive(Deserialize)]
struct Phase {
    verified: u64,
    documents_per_second: f64,
    latency: Latencies,
    cost: Cost,
}

#[derive(Deserialize)]
struct Latencies {
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
}

#[derive(Deserialize)]
struct Cost {
    broker_cpu_us_per_document: f64,
}

/// Writes envelopes as `truc bench submit` sends them.
pub(crate) fn write_envelopes(truc: &Path, file: &Path) -> Result<(), Failure> {
    let mut command = Command::new(truc);
    command.args(["bench", "envelopes", "--agencies", &CONNECTIONS.to_string(), "--documents", &ENVELOPES.to_string(), "--out"]);
    output(command.arg(file), "bench envelopes").map(drop)
}

/// One turn with a broker of its own.
pub(crate) fn turn(arguments: &Arguments, plan: &Plan, strace_log: Option<&Path>) -> Result<Turn, Failure> {
    let mut command = command(&arguments.truc, strace_log);
    let documents = DOCUMENTS_A_SECOND * (plan.seconds.as_secs() + 1);
    command.args(["--json", "bench", "submit", "--agencies", &CONNECTIONS.to_string(), "--recipients", "1"]);
    command.args(["--in-flight", &arguments.in_flight.to_string(), "--seconds", &plan.seconds.as_secs().to_string()]);
    command.args(["--documents", &documents.to_string(), "--folder"]).arg(&arguments.folder);
    let submitted: Submitted =
        serde_json::from_slice(&output(&mut command, "bench submit")?).map_err(|cause| Failure::Figures(cause.to_string()))?;
    let closed = submitted.rows.first().ok_or_else(|| Failure::Figures("bench submit without rows".to_owned()))?;
    let Latencies { p50_ms, p99_ms, p999_ms } = closed.latency;
    Ok(Turn {
        confirmed: submitted.rows.iter().map(|row| row.verified).sum(),
        publish: Published { per_second: closed.documents_per_second, p50_ms, p99_ms, p999_ms },
        consumed_per_second: None,
        server_cpu_us: closed.cost.broker_cpu_us_per_document,
        machine: Some(submitted.machine),
    })
}

fn output(command: &mut Command, what: &'static str) -> Result<Vec<u8>, Failure> {
    let output = command.output().map_err(Failure::Process)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Failure::Truc { command: what, message: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
