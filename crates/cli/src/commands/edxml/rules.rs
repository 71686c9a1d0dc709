//! `truc edxml rules`: the table of rules, from the code that applies them.

use clap::Args;
use serde::Serialize;
use truc_edxml::Rule;

use super::words::Words;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// List every rule of the reader: its stable code, whether breaking it refuses a message, and what it says.
#[derive(Debug, Args)]
pub struct Arguments {}

#[derive(Serialize)]
struct Row {
    rule: &'static str,
    severity: &'static str,
    message_en: &'static str,
    message_vi: &'static str,
}

pub(super) fn run(_arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let words = Words::of(output.language());
    let width = Rule::ALL.iter().map(|rule| rule.code().len()).max().unwrap_or(0);
    for rule in Rule::ALL {
        let row = Row {
            rule: rule.code(),
            severity: Words::of(Language::En).severity(rule.severity()),
            message_en: rule.english(),
            message_vi: rule.vietnamese(),
        };
        output.data(&format!("{:<width$}  {:<8}  {}", row.rule, words.severity(rule.severity()), words.rule(*rule)), &row)?;
    }
    Ok(Exit::Done)
}
