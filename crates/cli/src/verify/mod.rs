//! The offline verifier of evidence folders: who sent what to whom, when it was accepted, what became of it, without trusting the axis.
//!
//! No network and no clock: every certificate is judged at the time that the evidence proves. All bytes are hostile; nothing here panics.
//! The folder is laid out by `docs/spec/evidence.md`. Not in here: revocation, which needs the registry statements of the log.

mod acceptance;
mod content;
mod folder;
mod log;
mod receipts;
mod report;
#[cfg(test)]
mod sample;
mod seals;
#[cfg(test)]
mod tests;
mod trust;

use std::path::Path;

pub use report::{Check, Finding, Report, Verdict};

use folder::Folder;

/// Verifies an evidence folder. `trust` is a folder with `ca.pem` and `vkeys.txt` that the verifier believes; without it the evidence's own
/// are used and the report says that this proves only that it agrees with itself.
#[must_use]
pub fn verify_folder(path: &Path, trust: Option<&Path>) -> Report {
    let mut report = Report::default();
    let folder = Folder::read(path, &mut report);
    content::check_instructions(&folder, &mut report);
    let trust = trust::read(&folder, trust, &mut report);
    let log = log::check(&folder, &trust.log_keys, &mut report);
    if let Some(sent) = acceptance::read_envelope(&folder, &mut report) {
        let acceptance = acceptance::check(&folder, &sent, &trust, &log, &mut report);
        receipts::check(&folder, &sent, &acceptance, &trust, &log, &mut report);
        content::check(&folder, &sent.envelope, &mut report);
    }
    report
}
