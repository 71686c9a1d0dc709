//! `truc admin journal verify`: the full check of a journal, with every finding and its position.

use std::path::PathBuf;

use clap::Args;
use truc_journal::segment::scrub;
use truc_types::Refusal;

use super::JOURNAL_FOLDER;
use crate::failure::{Exit, Failure};
use crate::measure;
use crate::output::Output;

/// Check every byte of the journal: checksums, links, Merkle roots. Changes nothing; the node may run. Exit code 1 when anything is wrong.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data folder of a broker or an edge.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

#[derive(serde::Serialize)]
struct Finding {
    file: String,
    offset: u64,
    position: u64,
    cause: String,
}

#[derive(serde::Serialize)]
struct Summary {
    blocks: u64,
    entries: u64,
    findings: u64,
    unfinished_bytes: u64,
    position: u64,
    tree_size: u64,
    root: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let folder = arguments.data.join(JOURNAL_FOLDER);
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("{} holds no journal", arguments.data.display())));
    }
    let mut shown = None;
    let report = scrub(&folder, &mut |progress| {
        let bar = measure::bar(progress.bytes_done, progress.bytes_total);
        if shown.as_ref() != Some(&bar) {
            output.progress(&format!("{bar} position {}", progress.position));
            shown = Some(bar);
        }
    });
    let report = report.map_err(|cause| Failure::Refused(Refusal::new(cause.reason(), cause.to_string())))?;
    for damage in &report.findings {
        let finding = Finding {
            file: damage.file.display().to_string(),
            offset: damage.offset,
            position: damage.position.0,
            cause: damage.cause.clone(),
        };
        output.data(&format!("{} {}: {damage}", output.language().choose("position", "vị trí"), damage.position), &finding)?;
    }
    let findings = u64::try_from(report.findings.len()).unwrap_or(u64::MAX).saturating_add(report.findings_left_out);
    let summary = Summary {
        blocks: report.blocks,
        entries: report.entries,
        findings,
        unfinished_bytes: report.unfinished.as_ref().map_or(0, |dropped| dropped.bytes),
        position: report.end.position.0,
        tree_size: report.end.tree_size,
        root: report.end.root.to_hex(),
    };
    let Summary { blocks, entries, root, tree_size, .. } = &summary;
    let language = output.language();
    let counts = [
        language.count(*blocks, "block", "blocks", "khối"),
        language.count(*entries, "entry", "entries", "bản ghi"),
        language.count(findings, "finding", "findings", "lỗi"),
    ];
    let (root_of, of, leaves) = (language.choose("root", "gốc"), language.choose("of", "của"), language.choose("leaves", "lá"));
    output.data(&format!("{}; {root_of} {root} {of} {tree_size} {leaves}", counts.join(", ")), &summary)?;
    Ok(if findings == 0 { Exit::Done } else { Exit::Failed })
}
