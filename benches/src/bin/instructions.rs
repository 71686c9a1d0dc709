//! Counts the instructions of every stage under callgrind and holds them against what `benches/instructions.json` has for this kind of build: a regression
//! shows on a machine whose clock tells nothing. Not a measure of time: a cache miss costs as much as an addition.
//!
//! Valgrind's processor has AVX2 and neither AVX-512 nor SHA extensions, so dalek takes its AVX2 code and SHA-256 is the portable one, wherever this runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use truc_benches::callgrind::inclusive;
use truc_benches::stages::{self, DOCUMENTS, STAGES};

/// How much more a stage may take than recorded, in per cent. Seeds of hash tables and addresses of the allocator move counts by less than a tenth.
const TOLERANCE_PERCENT: u64 = 2;
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

/// Counts of one kind of build, by stage.
type Counts = BTreeMap<String, u64>;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a table for people is what this program is for")]
fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("stages") {
        stages::run();
        println!("{}", truc_benches::dalek_backend());
        return ExitCode::SUCCESS;
    }
    match compare(argument.as_deref() == Some("--record")) {
        Ok((table, holds)) => {
            println!("{table}");
            if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// The table, and whether nothing takes more than it may.
fn compare(record: bool) -> Result<(String, bool), String> {
    let (backend, counts) = count()?;
    let build = format!("opt-level {}, dalek {backend}", env!("TRUC_OPT_LEVEL"));
    let text = std::fs::read_to_string(RECORDED).map_err(|cause| format!("{RECORDED}: {cause}"))?;
    let mut all: BTreeMap<String, Counts> = serde_json::from_str(&text).map_err(|cause| format!("{RECORDED}: {cause}"))?;
    if record {
        all.insert(build.clone(), counts.clone());
        let json = serde_json::to_string_pretty(&all).map_err(|cause| cause.to_string())?;
        std::fs::write(RECORDED, json + "\n").map_err(|cause| format!("{RECORDED}: {cause}"))?;
    }
    let recorded = all.get(&build).ok_or_else(|| format!("{RECORDED} has no counts of {build}: record them with --record"))?;
    let (mut table, mut holds) = (format!("{build}\n{:<42}{:>14}{:>14}\n", "instructions a document", "recorded", "now"), true);
    for (name, _) in STAGES {
        let (before, now) = (recorded.get(name).copied().unwrap_or_default(), counts.get(name).copied().unwrap_or_default());
        let verdict = verdict(before, now);
        holds &= verdict != Verdict::More;
        table.push_str(&format!("{name:<42}{before:>14}{now:>14}{}\n", verdict.text()));
    }
    Ok((table, holds))
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Less,
    More,
}

impl Verdict {
    const fn text(&self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Less => "   less: record it with --record, or the next regression hides in it",
            Self::More => "   MORE",
        }
    }
}

const fn verdict(before: u64, now: u64) -> Verdict {
    if now * 100 > before * (100 + TOLERANCE_PERCENT) {
        Verdict::More
    } else if now * 100 < before * (100 - TOLERANCE_PERCENT) {
        Verdict::Less
    } else {
        Verdict::Same
    }
}

/// Runs this program under callgrind: which arithmetic dalek took, and the instructions of each stage for one document.
fn count() -> Result<(String, Counts), String> {
    let folder = tempfile::tempdir().map_err(|cause| cause.to_string())?;
    let file = folder.path().join("callgrind.out");
    let program = std::env::current_exe().map_err(|cause| cause.to_string())?;
    let output = valgrind(&file, &program).output();
    let output = output.map_err(|cause| format!("valgrind: {cause}; scripts/test-tools.sh installs it"))?;
    if !output.status.success() {
        return Err(format!("valgrind: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let profile = std::fs::read_to_string(&file).map_err(|cause| format!("{}: {cause}", file.display()))?;
    let mut counts = Counts::new();
    for (name, function) in STAGES {
        let all = inclusive(&profile, function).ok_or_else(|| format!("callgrind saw no {function}"))?;
        counts.insert(name.to_owned(), all / if stages::is_of_a_block(name) { stages::BLOCK_DOCUMENTS } else { DOCUMENTS });
    }
    Ok((String::from_utf8_lossy(&output.stdout).trim().to_owned(), counts))
}

fn valgrind(file: &Path, program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    // Lines are not asked for: with them the file has a hundred times the size.
    command.args(["--tool=callgrind", "--quiet", "--dump-line=no"]);
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(program).arg("stages");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_per_cent_are_noise_and_more_is_not() {
        assert_eq!(verdict(1_000, 1_020), Verdict::Same);
        assert_eq!(verdict(1_000, 1_021), Verdict::More);
        assert_eq!(verdict(1_000, 980), Verdict::Same);
        assert_eq!(verdict(1_000, 979), Verdict::Less);
        // A stage that nobody recorded is more than nothing.
        assert_eq!(verdict(0, 1), Verdict::More);
    }
}
