//! The table of figures and ratios: for people, as JSON, and between the markers of `benches/README.md`.

use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::System;
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::load::{CONNECTIONS, Plan, Turn};
use crate::syncs::Syncs;

/// The name of the markers.
const MARKER: &str = "peers";

/// Middle of all rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    median: f64,
    smallest: f64,
    largest: f64,
}

impl Spread {
    /// Nothing of nothing.
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (smallest, largest) = (*values.first()?, *values.last()?);
        let (low, high) = (*values.get((values.len() - 1) / 2)?, *values.get(values.len() / 2)?);
        Some(Self { median: f64::midpoint(low, high), smallest, largest })
    }
}

/// The figures of one system.
#[derive(Debug, Serialize)]
struct Row {
    system: &'static str,
    publishes_per_second: Spread,
    p50_ms: Spread,
    p99_ms: Spread,
    p999_ms: Spread,
    server_cpu_us: Spread,
    consumes_per_second: Option<Spread>,
    syncs: Option<Syncs>,
}

/// One goal. Ratios are of one round each.
#[derive(Debug, Serialize)]
struct Goal {
    name: &'static str,
    goal: String,
    measured: Spread,
    met: bool,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: serde_json::Value,
    /// Processes that wanted a processor in the minute before the first turn, as the kernel averages them: figures of a busy machine say little.
    load_before: f64,
    rounds: u32,
    seconds: u32,
    in_flight: u32,
    connections: u32,
    envelope_bytes: usize,
    systems: Vec<Row>,
    goals: Vec<Goal>,
}

impl Report {
    /// From the turns of each round, in the order of `System::ALL`, and the syncs that were counted in the same order.
    pub(crate) fn new(
        arguments: &Arguments,
        plan: &Plan,
        load_before: f64,
        rounds: &[Vec<Turn>],
        syncs: Vec<Option<Syncs>>,
    ) -> Result<Self, Failure> {
        let missing = || Failure::Figures("a round without all its turns".to_owned());
        let mut systems = Vec::new();
        for ((number, system), syncs) in System::ALL.into_iter().enumerate().zip(syncs) {
            let spread =
                |value: fn(&Turn) -> f64| Spread::of(rounds.iter().filter_map(|turns| turns.get(number)).map(value)).ok_or_else(missing);
            systems.push(Row {
                system: system.name(),
                publishes_per_second: spread(|turn| turn.publish.per_second)?,
                p50_ms: spread(|turn| turn.publish.p50_ms)?,
                p99_ms: spread(|turn| turn.publish.p99_ms)?,
                p999_ms: spread(|turn| turn.publish.p999_ms)?,
                server_cpu_us: spread(|turn| turn.server_cpu_us)?,
                consumes_per_second: Spread::of(rounds.iter().filter_map(|turns| turns.get(number)?.consumed_per_second)),
                syncs,
            });
        }
        let ratio = |peer: System, value: fn(&Turn) -> f64| {
            let number = System::ALL.iter().position(|system| *system == peer);
            let ratios = rounds.iter().filter_map(|turns| Some(value(turns.first()?) / value(turns.get(number?)?)));
            Spread::of(ratios).ok_or_else(missing)
        };
        let machine = rounds.iter().flatten().find_map(|turn| turn.machine.clone()).ok_or_else(missing)?;
        let rate = |turn: &Turn| turn.publish.per_second;
        let quorum_goal = if machine.get("dalek_backend").is_some_and(|backend| backend == "avx512") { 1.2 } else { 0.9 };
        let goals = vec![
            Goal::at_least("durable accept, against JetStream R1 sync-always", 5.0, ratio(System::JetStreamAlways, rate)?),
            Goal::at_least("durable accept, against a RabbitMQ quorum queue", quorum_goal, ratio(System::Quorum, rate)?),
            Goal::below("p99 of it, against a RabbitMQ quorum queue", 1.0, ratio(System::Quorum, |turn| turn.publish.p99_ms)?),
        ];
        let (rounds, seconds, in_flight) = (arguments.rounds, arguments.seconds, plan.in_flight_each * CONNECTIONS);
        let envelope_bytes = plan.envelopes.iter().map(bytes::Bytes::len).sum::<usize>() / plan.envelopes.len().max(1);
        Ok(Self { machine, load_before, rounds, seconds, in_flight, connections: CONNECTIONS, envelope_bytes, systems, goals })
    }

    pub(crate) fn all_met(&self) -> bool {
        self.goals.iter().all(|goal| goal.met)
    }

    /// Writes the page and the JSON that were named.
    pub(crate) fn write(&self, arguments: &Arguments) -> Result<(), Failure> {
        if let Some(path) = &arguments.readme {
            let page = std::fs::read_to_string(path).map_err(|cause| Failure::File { path: path.clone(), cause })?;
            let page = with_part(&page, &self.to_string()).ok_or_else(|| Failure::Markers { path: path.clone(), marker: MARKER })?;
            put(path, page)?;
        }
        if let Some(path) = &arguments.json {
            let json = serde_json::to_string_pretty(self).map_err(|cause| Failure::Figures(cause.to_string()))?;
            put(path, json + "\n")?;
        }
        Ok(())
    }

    fn machine(&self) -> String {
        let text = |name: &str| self.machine.get(name).and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
        let cores = self.machine.get("cores").and_then(serde_json::Value::as_u64).unwrap_or_default();
        let build = if self.machine.get("optimised").is_some_and(|optimised| optimised == false) { ", NOT OPTIMISED" } else { "" };
        format!("{cores} cores, {}, dalek {}{build}", text("cpu"), text("dalek_backend"))
    }
}

impl Goal {
    fn at_least(name: &'static str, goal: f64, measured: Spread) -> Self {
        Self { name, goal: format!("≥ {goal} ×"), met: measured.median >= goal, measured }
    }

    fn below(name: &'static str, goal: f64, measured: Spread) -> Self {
        Self { name, goal: format!("< {goal} ×"), met: measured.median < goal, measured }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; load average before it {:.1}. {} rounds, every system alone in turn for {} s, {} in flight over {} connections on loopback, envelopes of {} bytes on average, client on \
             the same cores. Median, smallest and largest round in brackets.\n",
            self.machine(),
            self.load_before,
            self.rounds,
            self.seconds,
            self.in_flight,
            self.connections,
            self.envelope_bytes
        )?;
        writeln!(
            f,
            "| system | publish → durable confirm, /s | p50 ms | p99 ms | p99.9 ms | server CPU µs each | consume → ack, /s | syncs seen (strace, a turn of its own) |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for row in &self.systems {
            write!(f, "| {} | {} | {} ", row.system, whole(row.publishes_per_second), tenths(row.p50_ms))?;
            write!(f, "| {} | {} | {} ", tenths(row.p99_ms), tenths(row.p999_ms), whole(row.server_cpu_us))?;
            let consumes = row.consumes_per_second.map_or_else(|| "not measured here".to_owned(), whole);
            writeln!(f, "| {consumes} | {} |", row.syncs.map_or_else(|| "not counted".to_owned(), |syncs| syncs.to_string()))?;
        }
        writeln!(f, "\n| Trục against | goal | measured | met |\n|---|---|---|---|")?;
        for goal in &self.goals {
            writeln!(f, "| {} | {} | {} × | {} |", goal.name, goal.goal, hundredths(goal.measured), if goal.met { "yes" } else { "no" })?;
        }
        Ok(())
    }
}

fn whole(spread: Spread) -> String {
    format!("{} ({}–{})", thousands(spread.median), thousands(spread.smallest), thousands(spread.largest))
}

fn tenths(spread: Spread) -> String {
    format!("{:.1} ({:.1}–{:.1})", spread.median, spread.smallest, spread.largest)
}

fn hundredths(spread: Spread) -> String {
    format!("{:.2} ({:.2}–{:.2})", spread.median, spread.smallest, spread.largest)
}

/// A whole number with a comma before every third digit.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            text.push(',');
        }
        // Writing to a string does not fail.
        let _ = text.write_char(digit);
    }
    text
}

/// The page with another part between the markers; nothing if it has none.
fn with_part(page: &str, part: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {MARKER}:begin -->\n"), format!("<!-- {MARKER}:end -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{part}{end}{after}"))
}

fn put(path: &Path, text: String) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|cause| Failure::File { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()), Some(Spread { median: 2.5, smallest: 1.0, largest: 4.0 }));
        assert_eq!(Spread::of([7.0].into_iter()), Some(Spread { median: 7.0, smallest: 7.0, largest: 7.0 }));
        assert_eq!(Spread::of([].into_iter()), None);
    }

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = "before\n<!-- peers:begin -->\nold\n<!-- peers:end -->\nafter\n";
        assert_eq!(with_part(page, "new\n").as_deref(), Some("before\n<!-- peers:begin -->\nnew\n<!-- peers:end -->\nafter\n"));
        assert_eq!(with_part("no markers", "new"), None);
    }

    #[test]
    fn digits_come_in_threes() {
        assert_eq!([thousands(7.4), thousands(999.0), thousands(16106.0), thousands(1234567.0)], ["7", "999", "16,106", "1,234,567"]);
    }
}
