//! Makes a data folder from a backup, verified byte for byte before it has its name. Not the rehearsal (`drill`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use truc_journal::segment::{ScrubReport, scrub};
use truc_transport::clock;

use super::manifest::Manifest;
use super::store::{Store, list, make_folder, sync_folder};
use super::{damaged, journal};
use crate::failure::Failure;
use crate::measure;
use crate::output::Output;

/// A data folder that was restored.
#[derive(Debug)]
pub struct Restored {
    /// What it was restored from.
    pub manifest: Manifest,
    /// What the full check of the journal saw.
    pub journal: ScrubReport,
    /// Time for copying and checking the files.
    pub copy_millis: u64,
    /// Time for checking the journal.
    pub journal_millis: u64,
}

/// Restores a backup into a folder that is not there or empty. Until everything is copied and checked it has another name, so that a restore that
/// was interrupted is never taken for data.
///
/// # Errors
/// `backup.damaged` with the file that is not what was written; a target that is not empty. The target is untouched then.
pub fn restore(from: &Path, into: &Path, output: &mut Output) -> Result<Restored, Failure> {
    let manifest = Manifest::read(from)?
        .ok_or_else(|| Failure::Usage(format!("{} holds no complete backup: it has no manifest.json", from.display())))?;
    if !list(into)?.is_empty() {
        return Err(Failure::Exists(into.to_owned()));
    }
    let name = into.file_name().ok_or_else(|| Failure::Usage(format!("{} is no name for a folder", into.display())))?;
    let parent = match into.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let temporary = parent.join(format!("{}.restoring", name.to_string_lossy()));
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(|source| Failure::file(&temporary, source))?;
    }
    let restored = fill(from, &temporary, manifest, output);
    match restored {
        Ok(restored) => {
            fs::rename(&temporary, into).map_err(|source| Failure::file(into, source))?;
            sync_folder(&parent)?;
            Ok(restored)
        }
        Err(cause) => {
            if let Err(left) = fs::remove_dir_all(&temporary) {
                output.talk(&format!("{} stays behind: {left}", temporary.display()));
            }
            Err(cause)
        }
    }
}

fn fill(from: &Path, into: &Path, manifest: Manifest, output: &mut Output) -> Result<Restored, Failure> {
    let begun = clock::now();
    make_folder(into)?;
    let mut folders = BTreeSet::from([into.to_owned()]);
    let (total, mut done) = (manifest.bytes(), 0u64);
    for (number, kept) in manifest.files.iter().enumerate() {
        let to = into.join(&kept.path);
        for parent in to.ancestors().skip(1).take_while(|parent| parent.starts_with(into)) {
            if folders.insert(parent.to_owned()) {
                make_folder(parent)?;
            }
        }
        Store::take_out(from, kept, &to)?;
        done = done.saturating_add(kept.bytes);
        if number.is_multiple_of(64) {
            output.progress(&measure::bytes_bar(done, total));
        }
    }
    output.progress_end();
    folders.iter().try_for_each(|folder| sync_folder(folder))?;
    let copied = clock::now();
    let report = check_journal(&into.join("journal"), &manifest)?;
    Ok(Restored { manifest, journal: report, copy_millis: copied.millis_since(begun), journal_millis: clock::now().millis_since(copied) })
}

/// Every block, every link, every root; and the end that the manifest names.
fn check_journal(folder: &Path, manifest: &Manifest) -> Result<ScrubReport, Failure> {
    let report = scrub(folder, &mut |_| {}).map_err(|cause| journal(&cause))?;
    if let Some(finding) = report.findings.first() {
        return Err(damaged(format!("the journal was damaged before it was copied: {finding}")));
    }
    let end = &report.end;
    let found = (end.number.0, end.position.0, end.tree_size, end.root.to_hex());
    let named = (manifest.blocks, manifest.position, manifest.tree_size, manifest.root.clone());
    if found != named || report.unfinished.is_some() {
        return Err(damaged(format!(
            "the journal ends at position {} with root {}, the manifest says {} and {}",
            end.position, end.root, manifest.position, manifest.root
        )));
    }
    Ok(report)
}
