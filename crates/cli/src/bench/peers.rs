//! The rows of `truc bench goals` that name other systems. They are measured by `scripts/bench-peers.sh` and the program in `benches/peers`, which is no
//! part of this one: the clients of other systems stay out of what users build.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::figures::defect;
use super::goals::{Goal, Reached, Request, Source};
use crate::failure::Failure;
use crate::output::Output;

const SCRIPT: &str = "scripts/bench-peers.sh";

/// The rows of `truc bench goals`, in the order of the program's own.
pub(super) const SOURCE: Source = Source {
    bench: "peers",
    goals: &[
        Goal { name: "durable accept against NATS JetStream R1, sync_interval always", goal: "≥ 5 ×" },
        Goal {
            name: "durable accept against a RabbitMQ quorum queue with confirms", goal: "≥ 1.2 × with AVX-512, ≥ 0.9 × with AVX2"
        },
        Goal { name: "p99 of durable accept against a RabbitMQ quorum queue", goal: "< 1 ×" },
    ],
    is_quick: true,
    measure,
};

/// What is read of the program's figures.
#[derive(Deserialize)]
struct Compared {
    rounds: u32,
    seconds: u32,
    goals: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    goal: String,
    measured: Spread,
    met: bool,
}

#[derive(Deserialize)]
struct Spread {
    median: f64,
    smallest: f64,
    largest: f64,
}

fn measure(request: &Request, output: &mut Output) -> Result<Vec<Reached>, Failure> {
    if !Path::new(SCRIPT).exists() {
        return Err(Failure::Usage(format!("other systems are measured from the sources: {SCRIPT} is not in this folder")));
    }
    let (rounds, seconds) = if request.quick { ("1", "3") } else { ("3", "5") };
    let scratch = request.setup.scratch()?;
    let json = scratch.path().join("peers.json");
    output.talk(&format!("{SCRIPT}: {rounds} round(s) of four systems"));
    let mut script = Command::new(SCRIPT);
    script.args(["--rounds", rounds, "--seconds", seconds, "--no-syncs", "--json"]).arg(&json);
    script.env("TRUC_BENCH_FOLDER", request.setup.parent()).env("TRUC_BENCH_WRITE", "no").stdin(Stdio::null());
    // Its exit code says whether the goals are met, as its figures do: only without figures it failed.
    let said = script.output().map_err(Failure::Runtime)?;
    let figures = std::fs::read(&json).map_err(|_| defect(&format!("{SCRIPT}: {}", String::from_utf8_lossy(&said.stderr))))?;
    reached(&figures)
}

fn reached(figures: &[u8]) -> Result<Vec<Reached>, Failure> {
    let compared: Compared = serde_json::from_slice(figures).map_err(|cause| defect(&format!("{SCRIPT}: {cause}")))?;
    let how = |row: &Row| {
        let (rounds, seconds) = (compared.rounds, compared.seconds);
        let Spread { smallest, largest, .. } = row.measured;
        format!("goal {}, median of {rounds} round(s) of {seconds} s in turns ({smallest:.2} to {largest:.2})", row.goal)
    };
    let reached = |row: &Row| Reached { measured: format!("{:.2} ×", row.measured.median), is_met: row.met, how: how(row) };
    Ok(compared.goals.iter().map(reached).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goal_of_the_program_is_a_row() {
        let figures = br#"{"rounds":3,"seconds":5,"in_flight":256,"goals":[
            {"name":"a","goal":"\u2265 5 \u00d7","measured":{"median":6.5,"smallest":6.0,"largest":7.0},"met":true},
            {"name":"b","goal":"< 1 \u00d7","measured":{"median":1.5,"smallest":1.0,"largest":2.0},"met":false}]}"#;
        let rows = reached(figures).unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.measured.as_str(), row.is_met, row.how.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("6.50 ×", true, "goal ≥ 5 ×, median of 3 round(s) of 5 s in turns (6.00 to 7.00)"),
                ("1.50 ×", false, "goal < 1 ×, median of 3 round(s) of 5 s in turns (1.00 to 2.00)")
            ]
        );
        assert!(reached(b"{}").is_err());
    }
}
