//! The one form of what a bench found: machine, settings and rows; a table for people, JSON for programs and files. Not what the rows say.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::machine::Machine;
use super::setup::Setup;
use crate::failure::Failure;
use crate::measure;
use crate::output::Output;

/// What a bench found, with everything that it depends on.
#[derive(Debug, Serialize)]
pub(super) struct Findings<S, R> {
    /// Name of the bench: its verb.
    pub(super) name: &'static str,
    pub(super) machine: Machine,
    /// What was measured: an object with a field for each setting.
    pub(super) settings: S,
    pub(super) rows: Vec<R>,
}

/// A row of the table.
pub(super) trait Row: Serialize {
    /// Names of the columns, with units.
    fn head() -> Vec<&'static str>;
    /// The row as people read it: one cell for each column.
    fn cells(&self) -> Vec<String>;
}

impl<S: Serialize, R: Row> Findings<S, R> {
    /// Prints them, and writes the file that was asked for.
    pub(super) fn show(&self, setup: &Setup, output: &mut Output) -> Result<(), Failure> {
        if let Some(path) = &setup.out {
            let json = serde_json::to_vec_pretty(self).map_err(|cause| Failure::file(path, cause.into()))?;
            std::fs::write(path, json).map_err(|cause| Failure::file(path, cause))?;
        }
        output.data(&self.to_string(), self)
    }
}

impl<S: Serialize, R: Row> fmt::Display for Findings<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bench       {}", self.name)?;
        writeln!(f, "machine     {}", self.machine)?;
        writeln!(f, "durability  {}", self.machine.durability)?;
        let settings = serde_json::to_value(&self.settings).map_err(|_| fmt::Error)?;
        let settings = settings.as_object().into_iter().flatten().map(|(name, value)| format!("{} {}", spoken(name), shown(value)));
        writeln!(f, "settings    {}\n", settings.collect::<Vec<_>>().join(", "))?;
        let head = R::head().into_iter().map(str::to_owned).collect();
        let rows: Vec<_> = std::iter::once(head).chain(self.rows.iter().map(R::cells)).collect();
        write!(f, "{}", measure::table(&rows))
    }
}

fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Settings {
        in_flight: u16,
        disk: &'static str,
        rate: Option<u32>,
    }

    #[derive(Serialize)]
    struct Found(u32);

    impl Row for Found {
        fn head() -> Vec<&'static str> {
            vec!["documents/s"]
        }

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_string()]
        }
    }

    #[test]
    fn settings_and_rows_stand_in_text_json_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup { out: Some(folder.path().join("found.json")), ..Setup::default() };
        let machine = Machine::this(folder.path(), 0);
        let findings =
            Findings { name: "test", machine, settings: Settings { in_flight: 4, disk: "a", rate: None }, rows: vec![Found(1), Found(22)] };
        let text = findings.to_string();
        assert!(text.ends_with("settings    disk a, in flight 4, rate -\n\ndocuments/s\n1\n22"), "{text}");
        findings.show(&setup, &mut Output::new(true, Box::new(std::io::sink()), Box::new(std::io::sink()))).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(folder.path().join("found.json")).unwrap()).unwrap();
        assert_eq!((&written["name"], &written["settings"]["in_flight"], &written["rows"][1]), (&"test".into(), &4.into(), &22.into()));
        assert!(written["machine"]["verify_strict_per_second"].as_f64().unwrap() > 1.0, "{written}");
    }
}
