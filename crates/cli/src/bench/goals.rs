//! `truc bench goals`: the table of what the axis promises to be, held against this machine. Each row is measured by the bench that it names; nothing is
//! measured here.

use clap::Args;
use serde::Serialize;

use super::findings::{Findings, Row};
use super::machine::Machine;
use super::setup::Setup;
use super::{blobs, full_loop, inprocess, isolation, open, peers, replay, soak, steady, submit};
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Hold the goals of the axis against this machine: every row says what is asked, what was measured and whether that is enough. Exit code 1 if any is
/// not met; a row that could not be measured is not met.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Under three minutes: short runs, and none of what takes minutes by itself. What is left out is not met.
    #[arg(long)]
    pub quick: bool,
    /// Only the rows of these benches, instead of all.
    #[arg(long, value_name = "BENCH", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Which broker, on which disk.
    #[command(flatten)]
    pub setup: Setup,
}

/// The rows that one bench measures. A bench has its own beside its code; [`SOURCES`] lists them.
pub(super) struct Source {
    /// Verb of the bench.
    pub(super) bench: &'static str,
    /// What is asked, in the order in which the bench answers.
    pub(super) goals: &'static [Goal],
    /// Whether it is short enough for `--quick`.
    pub(super) is_quick: bool,
    /// Measures: one answer for each goal.
    pub(super) measure: fn(&Request, &mut Output) -> Result<Vec<Reached>, Failure>,
}

/// What is asked.
pub(super) struct Goal {
    /// What is measured.
    pub(super) name: &'static str,
    /// How much is enough, with its unit.
    pub(super) goal: &'static str,
}

/// What a bench is told by `truc bench goals`.
pub(super) struct Request {
    pub(super) quick: bool,
    /// Without a file for findings: there is one for all rows.
    pub(super) setup: Setup,
}

/// What was measured for one goal.
pub(super) struct Reached {
    /// The figure with its unit; absolute figures beside ratios.
    pub(super) measured: String,
    pub(super) is_met: bool,
    /// What it depends on: load, durations, what was verified.
    pub(super) how: String,
}

/// All that is measured, in the order of the table.
const SOURCES: &[&Source] = &[
    &inprocess::SOURCE,
    &submit::SOURCE,
    &full_loop::SOURCE,
    &steady::SOURCE,
    &blobs::SOURCE,
    &isolation::SOURCE,
    &peers::SOURCE,
    &open::SOURCE,
    &replay::SOURCE,
    &soak::SOURCE,
];

#[derive(Debug, Serialize)]
struct Settings {
    quick: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    goal: &'static str,
    /// None when it could not be measured; `how` says why.
    measured: Option<String>,
    met: bool,
    how: String,
}

impl Row for Line {
    fn head() -> Vec<&'static str> {
        vec!["met", "name", "goal", "measured", "how"]
    }

    fn cells(&self) -> Vec<String> {
        let measured = self.measured.clone().unwrap_or_else(|| "-".to_owned());
        let met = if self.met { "yes" } else { "NO" };
        vec![met.to_owned(), self.name.to_owned(), self.goal.to_owned(), measured, self.how.clone()]
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let chosen = |source: &&&Source| arguments.only.is_empty() || arguments.only.iter().any(|bench| bench == source.bench);
    let sources: Vec<&Source> = SOURCES.iter().filter(chosen).copied().collect();
    if sources.is_empty() {
        let known: Vec<_> = SOURCES.iter().map(|source| source.bench).collect();
        return Err(Failure::Usage(format!("no goals of {}; there are: {}", arguments.only.join(", "), known.join(", "))));
    }
    let machine = Machine::this(&arguments.setup.parent(), arguments.setup.sync_delay_ms);
    let request = Request { quick: arguments.quick, setup: Setup { out: None, ..arguments.setup.clone() } };
    let rows: Vec<Line> = sources.into_iter().flat_map(|source| lines(source, &request, output)).collect();
    let exit = if rows.iter().all(|row| row.met) { Exit::Done } else { Exit::Failed };
    Findings { name: "goals", machine, settings: Settings { quick: arguments.quick }, rows }.show(&arguments.setup, output)?;
    Ok(exit)
}

/// The rows of one bench. One that fails does not keep the others from being measured.
fn lines(source: &Source, request: &Request, output: &mut Output) -> Vec<Line> {
    let measured = if request.quick && !source.is_quick {
        Err(format!("left out by --quick: `truc bench goals --only {}`", source.bench))
    } else {
        output.talk(&format!("goals of {}", source.bench));
        (source.measure)(request, output).map_err(|failure| failure.to_string())
    };
    let (reached, why) = match measured {
        Ok(reached) => (reached, "the bench gave no figure".to_owned()),
        Err(why) => (Vec::new(), why),
    };
    let mut reached = reached.into_iter();
    let line = |goal: &Goal| match reached.next() {
        Some(found) => Line { name: goal.name, goal: goal.goal, measured: Some(found.measured), met: found.is_met, how: found.how },
        None => Line { name: goal.name, goal: goal.goal, measured: None, met: false, how: why.clone() },
    };
    source.goals.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOALS: &[Goal] = &[Goal { name: "a", goal: "≥ 1" }, Goal { name: "b", goal: "≥ 2" }];

    fn check(is_quick: bool, measure: fn(&Request, &mut Output) -> Result<Vec<Reached>, Failure>) -> Vec<(bool, Option<String>, String)> {
        let source = Source { bench: "test", goals: GOALS, is_quick, measure };
        let request = Request { quick: true, setup: Setup::default() };
        let mut output = Output::new(true, Box::new(std::io::sink()), Box::new(std::io::sink()));
        lines(&source, &request, &mut output).into_iter().map(|line| (line.met, line.measured, line.how)).collect()
    }

    fn reached(is_met: bool) -> Reached {
        Reached { measured: "3".to_owned(), is_met, how: "so".to_owned() }
    }

    #[test]
    fn what_was_not_measured_is_not_met_and_says_why() {
        let (three, so) = (Some("3".to_owned()), "so".to_owned());
        assert_eq!(
            check(true, |_, _| Ok(vec![reached(true), reached(false)])),
            [(true, three.clone(), so.clone()), (false, three.clone(), so.clone())]
        );
        assert_eq!(check(true, |_, _| Ok(vec![reached(true)])), [(true, three, so), (false, None, "the bench gave no figure".to_owned())]);
        let failed = check(true, |_, _| Err(Failure::BadAnswer("a bad proof".to_owned())));
        assert!(failed.iter().all(|(met, measured, how)| !met && measured.is_none() && how.contains("a bad proof")), "{failed:?}");
        let skipped = check(false, |_, _| Ok(vec![reached(true), reached(true)]));
        assert!(skipped.iter().all(|(met, measured, how)| !met && measured.is_none() && how.contains("--quick")), "{skipped:?}");
    }

    #[test]
    fn every_source_asks_for_something_under_a_name_of_its_own() {
        let mut names: Vec<_> = SOURCES.iter().flat_map(|source| source.goals).map(|goal| goal.name).collect();
        assert!(SOURCES.iter().all(|source| !source.goals.is_empty()));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "two goals have one name");
    }
}
