//! The rehearsal of a restore: into a scratch folder, every byte, every entry, every seal, the same state; and how long each step took. The scratch
//! folder is removed at the end. Not a proof that the disk of the real restore is as fast.

use std::path::Path;

use truc_ledger::LogSigner;
use truc_transport::clock;
use truc_types::names::EDGE_ORIGIN_PREFIX;

use super::damaged;
use super::manifest::{Manifest, Role};
use super::restore::restore;
use crate::failure::Failure;
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// One step of a rehearsal.
#[derive(Debug, serde::Serialize)]
pub struct Step {
    /// Its name.
    pub step: &'static str,
    /// What was seen.
    pub seen: String,
    /// The same in Vietnamese.
    pub seen_vi: String,
    /// How long it took.
    pub millis: u64,
}

impl Step {
    /// Its name for people.
    #[must_use]
    pub fn word(&self, language: Language) -> &'static str {
        let vietnamese = match self.step {
            "restore" => "khôi phục",
            "journal" => "nhật ký",
            "keys" => "khoá",
            "replay" => "phát lại",
            "seals" => "con dấu",
            other => other,
        };
        language.choose(self.step, vietnamese)
    }

    /// What was seen, for people.
    #[must_use]
    pub fn told(&self, language: Language) -> &str {
        language.choose(&self.seen, &self.seen_vi)
    }
}

/// A rehearsal that went well.
#[derive(Debug)]
pub struct Drilled {
    /// What was rehearsed.
    pub manifest: Manifest,
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The keys were opened with the password and fit the rest.
    pub keys_opened: bool,
}

/// Restores a backup into a new folder below `scratch` and opens it as a start would. With a password the keys are opened, too.
///
/// # Errors
/// The first thing that is wrong: then this backup does not bring the node back.
pub fn drill(from: &Path, scratch: &Path, password: Option<&[u8]>, output: &mut Output) -> Result<Drilled, Failure> {
    let folder = tempfile::Builder::new().prefix("truc-drill-").tempdir_in(scratch).map_err(|source| Failure::file(scratch, source))?;
    let data = folder.path().join("data");
    let restored = restore(from, &data, output)?;
    let manifest = restored.manifest;
    let mut steps = vec![
        Step {
            step: "restore",
            seen: format!("{} files, {}, every SHA-256 as in the manifest", manifest.files.len(), measure::bytes(manifest.bytes())),
            seen_vi: format!("{} tệp, {}, mọi SHA-256 khớp với bản kê", manifest.files.len(), measure::bytes(manifest.bytes())),
            millis: restored.copy_millis,
        },
        Step {
            step: "journal",
            seen: format!("{} blocks, {} entries, every root as written", restored.journal.blocks, restored.journal.entries),
            seen_vi: format!("{} khối, {} bản ghi, mọi gốc khớp", restored.journal.blocks, restored.journal.entries),
            millis: restored.journal_millis,
        },
    ];
    let begun = clock::now();
    let signer = match (manifest.role, password) {
        (_, None) => None,
        (Role::Broker, Some(password)) => Some(truc_broker::load(&data, password, None).map_err(Failure::Refused)?.signer),
        (Role::Edge, Some(password)) => {
            truc_edge::load(&data, password).map_err(|cause| Failure::Refused(cause.to_refusal()))?;
            None
        }
    };
    if password.is_some() {
        let seen = "the password opens the keys and they fit their certificates".to_owned();
        let seen_vi = "mật khẩu mở được khoá và khoá khớp với chứng thư".to_owned();
        steps.push(Step { step: "keys", seen, seen_vi, millis: clock::now().millis_since(begun) });
    }
    match manifest.role {
        Role::Broker => broker(&data, signer.as_ref(), &manifest, &mut steps)?,
        Role::Edge => edge(&data, &manifest, &mut steps)?,
    }
    Ok(Drilled { manifest, steps, keys_opened: password.is_some() })
}

fn broker(data: &Path, signer: Option<&LogSigner>, manifest: &Manifest, steps: &mut Vec<Step>) -> Result<(), Failure> {
    let found = truc_broker::rehearse(data, signer).map_err(Failure::Refused)?;
    if (found.tree_size, &found.root) != (manifest.tree_size, &manifest.root) {
        return Err(damaged(format!("the entries give root {}, the manifest says {}", found.root, manifest.root)));
    }
    steps.push(Step {
        step: "replay",
        seen: format!("{} entries, {} open messages, {} agencies", found.entries, found.open_messages, found.agencies),
        seen_vi: format!("{} bản ghi, {} văn bản chưa trả lời xong, {} cơ quan", found.entries, found.open_messages, found.agencies),
        millis: found.replay_millis,
    });
    steps.push(Step {
        step: "seals",
        seen: format!("{} statements, every seal holds", found.seals),
        seen_vi: format!("{} bản tin, mọi con dấu hợp lệ", found.seals),
        millis: found.seals_millis,
    });
    Ok(())
}

fn edge(data: &Path, manifest: &Manifest, steps: &mut Vec<Step>) -> Result<(), Failure> {
    let agency = manifest.origin.strip_prefix(EDGE_ORIGIN_PREFIX).and_then(|agency| agency.parse().ok());
    let agency = agency.ok_or_else(|| damaged(format!("{:?} is no origin of an edge's journal", manifest.origin)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Failure::Runtime)?;
    let found = runtime.block_on(truc_edge::rehearse(data, &agency)).map_err(|cause| Failure::Refused(cause.to_refusal()))?;
    if found.records != manifest.position {
        return Err(damaged(format!("{} records were replayed, the manifest says {}", found.records, manifest.position)));
    }
    let seen = format!(
        "{} records of {}, edge term {}, axis seen up to {} leaves",
        found.records, found.agency, found.edge_term, found.observed_log_size
    );
    let seen_vi = format!(
        "{} bản ghi của {}, nhiệm kỳ {}, đã thấy nhật ký trục đến {} lá",
        found.records, found.agency, found.edge_term, found.observed_log_size
    );
    steps.push(Step { step: "replay", seen, seen_vi, millis: found.replay_millis });
    Ok(())
}
