//! `truc verify`: an evidence folder, offline. The checks are in [`crate::verify`]; here they are printed.

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::verify::{Verdict, verify_folder};

/// Verify an evidence folder, offline: seals, certificates, log proofs, times, order and digests, each with its own line.
///
/// Exit code 0: everything holds. 1: something does not. 3: nothing is wrong, but something is missing for a verdict.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The evidence folder.
    pub folder: PathBuf,
    /// Folder with the ca.pem and vkeys.txt that you trust; without it the evidence is only checked against what it brings itself.
    #[arg(long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
}

#[derive(serde::Serialize)]
struct Summary {
    verdict: Verdict,
    checks: usize,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    for folder in std::iter::once(&arguments.folder).chain(&arguments.trust) {
        if !folder.is_dir() {
            return Err(Failure::Usage(format!("{} is no folder", folder.display())));
        }
    }
    let report = verify_folder(&arguments.folder, arguments.trust.as_deref());
    for check in &report.checks {
        output.data(&check.text(output.language()), check)?;
    }
    let verdict = report.verdict();
    output.data(&verdict.to_string(), &Summary { verdict, checks: report.checks.len() })?;
    Ok(match verdict {
        Verdict::TotalPassed => Exit::Done,
        Verdict::TotalFailed => Exit::Failed,
        Verdict::Indeterminate => Exit::Indeterminate,
    })
}
