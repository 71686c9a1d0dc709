//! The evidence folder: which files may lie in it, how large they may be, and their bytes. Nothing is interpreted here.
//!
//! Every file is accounted for: one that the layout does not know fails the folder, because nobody could say what it is evidence of.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use truc_ledger::tlog_proof::TLOG_PROOF_BYTES_MAX;
use truc_types::limits::{
    ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, CERTIFICATE_CHAIN_BYTES_MAX, EDXML_BYTES_MAX, ENTRY_BYTES_MAX, STATEMENT_FILE_BYTES_MAX,
};
use truc_types::names::EDXML_SUBJECT;

use super::report::Report;

/// The sealed envelope.
pub(super) const ENVELOPE: &str = "envelope.dsse.json";
/// The proof that it is in the log.
pub(super) const ENVELOPE_PROOF: &str = "envelope.tlog-proof";
/// The axis' authority.
pub(super) const AUTHORITY: &str = "trust/ca.pem";
/// Certificates of the signers.
pub(super) const CHAIN: &str = "trust/chain.pem";
/// Keys of the log.
pub(super) const LOG_KEYS: &str = "trust/vkeys.txt";
/// How to check the folder with other tools; for people.
pub(super) const INSTRUCTIONS: &str = "VERIFY.txt";
/// Files of one folder: 100 facts and 100 receipts with proofs, 30 attachments, and the fixed ones.
const FILES_MAX: usize = 100 * 4 + ATTACHMENTS_MAX + 8;
/// Signer certificates: as PEM about 900 bytes each, one or two per statement.
const CHAIN_BYTES_MAX: u64 = 256 * 1024;
/// Log keys: one per year of about 100 bytes.
const LOG_KEYS_BYTES_MAX: u64 = 16 * 1024;
/// Instructions in plain text.
const INSTRUCTIONS_BYTES_MAX: u64 = 64 * 1024;

/// A statement beside its proof: `<stem>.dsse.json` or `<stem>.json`, and `<stem>.tlog-proof`.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Path of the statement inside the folder.
    pub(super) path: String,
    /// What its name says it is: `accepted`, `fetched`, …; empty for the envelope.
    pub(super) event: String,
    pub(super) statement: Option<Vec<u8>>,
    pub(super) proof: Option<Vec<u8>>,
}

impl Logged {
    pub(super) fn proof_path(&self) -> String {
        let stem = self.path.strip_suffix(".dsse.json").or_else(|| self.path.strip_suffix(".json")).unwrap_or(&self.path);
        format!("{stem}.tlog-proof")
    }
}

/// The files of an evidence folder. Attachments stay on disk: they are large and only hashed.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) envelope: Logged,
    /// By number.
    pub(super) facts: BTreeMap<String, Logged>,
    /// By number.
    pub(super) receipts: BTreeMap<String, Logged>,
    /// By index.
    pub(super) attachments: BTreeMap<usize, PathBuf>,
    pub(super) edxml: Option<PathBuf>,
    pub(super) authority: Option<Vec<u8>>,
    pub(super) chain: Option<Vec<u8>>,
    pub(super) log_keys: Option<Vec<u8>>,
    pub(super) instructions: Option<Vec<u8>>,
}

impl Folder {
    /// Reads a folder; what is wrong with it goes into the report.
    pub(super) fn read(root: &Path, report: &mut Report) -> Self {
        let mut folder = Self { envelope: Logged { path: ENVELOPE.to_owned(), ..Logged::default() }, ..Self::default() };
        let names = match list(root) {
            Ok(names) => names,
            Err(fault) => {
                report.failed("folder.files", ".", fault);
                return folder;
            }
        };
        let mut known = true;
        for name in &names {
            if let Err(fault) = folder.take(root, name) {
                report.failed("folder.files", name, fault);
                known = false;
            }
        }
        if known {
            report.passed("folder.files", ".", format!("{} files, all of them known", names.len()));
        }
        folder
    }

    /// Every statement with its proof: the envelope, the facts, the receipts.
    pub(super) fn logged(&self) -> impl Iterator<Item = &Logged> {
        std::iter::once(&self.envelope).chain(self.facts.values()).chain(self.receipts.values())
    }

    fn take(&mut self, root: &Path, name: &str) -> Result<(), String> {
        let path = root.join(name);
        let statement_max = u64::try_from(STATEMENT_FILE_BYTES_MAX).unwrap_or(u64::MAX);
        let proof_max = u64::try_from(TLOG_PROOF_BYTES_MAX).unwrap_or(u64::MAX);
        match name {
            ENVELOPE => self.envelope.statement = Some(read(&path, statement_max)?),
            ENVELOPE_PROOF => self.envelope.proof = Some(read(&path, proof_max)?),
            AUTHORITY => self.authority = Some(read(&path, u64::try_from(CERTIFICATE_CHAIN_BYTES_MAX).unwrap_or(u64::MAX))?),
            CHAIN => self.chain = Some(read(&path, CHAIN_BYTES_MAX)?),
            LOG_KEYS => self.log_keys = Some(read(&path, LOG_KEYS_BYTES_MAX)?),
            INSTRUCTIONS => self.instructions = Some(read(&path, INSTRUCTIONS_BYTES_MAX)?),
            EDXML_SUBJECT => self.edxml = Some(capped(&path, EDXML_BYTES_MAX)?),
            _ => match name.split_once('/') {
                Some(("attachments", index)) => {
                    let number = two_digits(index).filter(|index| *index < ATTACHMENTS_MAX).ok_or(UNKNOWN)?;
                    self.attachments.insert(number, capped(&path, ATTACHMENT_BYTES_MAX)?);
                }
                Some(("facts", file)) => take_logged(&mut self.facts, "facts", file, ".json", &path)?,
                Some(("receipts", file)) => take_logged(&mut self.receipts, "receipts", file, ".dsse.json", &path)?,
                _ => return Err(UNKNOWN.to_owned()),
            },
        }
        Ok(())
    }
}

const UNKNOWN: &str = "no file of an evidence folder has this name";

/// Takes `NN-<event><suffix>` or `NN-<event>.tlog-proof`. One number names one event.
fn take_logged(taken: &mut BTreeMap<String, Logged>, folder: &str, file: &str, suffix: &str, path: &Path) -> Result<(), String> {
    let is_proof = file.ends_with(".tlog-proof");
    let stem = file.strip_suffix(if is_proof { ".tlog-proof" } else { suffix }).ok_or(UNKNOWN)?;
    let (number, event) = stem.split_once('-').ok_or(UNKNOWN)?;
    let is_event = !event.is_empty() && event.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if two_digits(number).is_none() || !is_event {
        return Err(UNKNOWN.to_owned());
    }
    // Paths have dashes where events have underscores.
    let event = event.replace('-', "_");
    let made = || Logged { path: format!("{folder}/{stem}{suffix}"), event: event.clone(), ..Logged::default() };
    let logged = taken.entry(number.to_owned()).or_insert_with(made);
    if logged.event != event {
        return Err(format!("the number {number} is used for {} already", logged.path));
    }
    let limit = if is_proof { TLOG_PROOF_BYTES_MAX } else { ENTRY_BYTES_MAX };
    let bytes = read(path, u64::try_from(limit).unwrap_or(u64::MAX))?;
    if is_proof {
        logged.proof = Some(bytes);
    } else {
        logged.statement = Some(bytes);
    }
    Ok(())
}

fn two_digits(text: &str) -> Option<usize> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// All files, sorted, as paths with slashes. One level of folders; links and anything else that is no file are refused.
fn list(root: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = if folder.is_empty() { root.to_owned() } else { root.join(&folder) };
        for entry in fs::read_dir(&path).map_err(|cause| format!("{folder:?} cannot be read: {cause}"))? {
            let entry = entry.map_err(|cause| cause.to_string())?;
            let name = entry.file_name().into_string().map_err(|name| format!("the name {name:?} is not UTF-8"))?;
            let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(|cause| format!("{name:?}: {cause}"))?;
            if kind.is_dir() && matches!(name.as_str(), "facts" | "receipts" | "attachments" | "trust") {
                folders.push(name);
            } else if kind.is_file() {
                names.push(name);
            } else {
                return Err(format!("{name:?} is no plain file and no folder of the layout"));
            }
            if names.len() > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files"));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// The path, if the file is within the limit.
fn capped(path: &Path, bytes_max: u64) -> Result<PathBuf, String> {
    let found = fs::metadata(path).map_err(|cause| cause.to_string())?.len();
    if found > bytes_max { Err(format!("{found} bytes, at most {bytes_max} are allowed")) } else { Ok(path.to_owned()) }
}

/// Reads a file of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    capped(path, bytes_max)?;
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|cause| cause.to_string())
}
