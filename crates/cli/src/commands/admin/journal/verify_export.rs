//! `truc admin journal verify-export`: checks an exported journal by itself, offline. Not the seals of the statements in it: those have their evidence.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use truc_ledger::{Checkpoint, LogVerifier, checkpoint};
use truc_signing::DsseFile;
use truc_signing::statement::{Registry, RegistryEvent, Statement};
use truc_types::{Reason, Refusal};

use crate::exported::Mirror;
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;
use crate::pki;

/// Check an exported journal by itself, offline: every entry against its SHA-256, no gap, the Merkle root of all of them against the checkpoint that
/// ends the file, its signature against the key of the log.
///
/// Exit code 0: everything holds. 1: something does not. 3: nothing is wrong, but the file does not begin with the first entry, or ends without a
/// checkpoint.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The exported file.
    pub file: PathBuf,
    /// The key of the log that you trust, as `log.vkey`. Without it the one that the first entry of the file names: then the file agrees with itself, and
    /// whose log it is remains to be asked.
    #[arg(long, value_name = "FILE")]
    pub log_key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Checked<'a> {
    file: &'a Path,
    entries: u64,
    next_position: u64,
    tree_size: Option<u64>,
    root: Option<String>,
    log: Option<&'a str>,
    key_trusted: bool,
    missing: &'static str,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let path = arguments.file.as_path();
    let file = File::open(path).map_err(|source| Failure::file(path, source))?;
    let mut mirror = Mirror::default();
    mirror.read(&mut BufReader::new(file)).map_err(|fault| fault.of(path, Failure::Disproved))?;
    let key = match &arguments.log_key {
        Some(path) => Some(parse_key(pki::read_text(path)?.trim_end())?),
        None => mirror.first.as_deref().map(key_of_genesis).transpose()?,
    };
    let signed = match (&mirror.checkpoint, &key) {
        (Some(note), Some(key)) => Some(checkpoint::open(note.as_bytes(), key).map_err(|cause| wrong(cause.to_string()))?),
        _ => None,
    };
    if let (Some(signed), Some(tree)) = (&signed, &mirror.tree)
        && (signed.size, signed.root) != (tree.size(), tree.root())
    {
        let (found, size) = (tree.root(), tree.size());
        return Err(wrong(format!("{size} leaves have root {found}, the checkpoint says {} for {}", signed.root, signed.size)));
    }
    let missing = match (&mirror.tree, &mirror.checkpoint, &signed) {
        (None, ..) => "first_entry",
        (_, None, _) => "checkpoint",
        (_, _, None) => "log_key",
        _ => "",
    };
    let checked = Checked {
        file: path,
        entries: mirror.entries,
        next_position: mirror.next.unwrap_or(0),
        tree_size: mirror.tree.as_ref().map(truc_ledger::Frontier::size),
        root: mirror.tree.as_ref().map(|tree| tree.root().to_hex()),
        log: signed.as_ref().map(|signed: &Checkpoint| signed.origin.as_str()),
        key_trusted: arguments.log_key.is_some(),
        missing,
    };
    output.data(&text(&checked, output.language()), &checked)?;
    Ok(if missing.is_empty() { Exit::Done } else { Exit::Indeterminate })
}

/// The key that the first statement of a log names.
fn key_of_genesis(bytes: &[u8]) -> Result<LogVerifier, Failure> {
    let opened = DsseFile::parse(bytes).map_err(|cause| wrong(cause.to_string()))?;
    match Statement::parse(&opened.payload).map_err(|cause| wrong(cause.to_string()))? {
        Statement::Registry(Registry { event: RegistryEvent::Genesis(genesis), .. }) => parse_key(&genesis.log_vkey),
        _ => Err(wrong("the first entry is no genesis".to_owned())),
    }
}

fn parse_key(text: &str) -> Result<LogVerifier, Failure> {
    text.parse().map_err(|cause| Failure::Refused(Refusal::new(Reason::KeyUnreadable, format!("the key of the log: {cause}"))))
}

fn wrong(cause: String) -> Failure {
    Failure::Disproved(cause)
}

fn text(checked: &Checked<'_>, language: Language) -> String {
    let entries = language.count(checked.entries, "entry", "entries", "bản ghi");
    let missing = match checked.missing {
        "" => None,
        "first_entry" => Some(("the first entry of the log is not in the file", "tệp không có bản ghi đầu tiên của nhật ký")),
        "checkpoint" => Some(("no checkpoint ends the file", "tệp không kết thúc bằng điểm kiểm tra")),
        _ => Some(("no key of the log is known: give --log-key", "không có khoá của nhật ký: dùng --log-key")),
    };
    if let Some((english, vietnamese)) = missing {
        return format!("INDETERMINATE: {entries}; {}", language.choose(english, vietnamese));
    }
    let (log, root, size) = (checked.log.unwrap_or_default(), checked.root.as_deref().unwrap_or_default(), checked.tree_size.unwrap_or(0));
    let note = if checked.key_trusted {
        ""
    } else {
        language.choose("; the key is the one that the file names itself", "; khoá là khoá do chính tệp nêu")
    };
    match language {
        Language::En => format!("TOTAL-PASSED: {entries} without a gap, root {root} of {size} leaves, signed by {log}{note}"),
        Language::Vi => format!("TOTAL-PASSED: {entries} liên tục, gốc {root} của {size} lá, có chữ ký của {log}{note}"),
    }
}
