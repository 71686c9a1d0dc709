//! `truc admin backup`, `restore` and `drill`: copies of a data folder. The work is in [`crate::backup`]; here it is asked for and told.

use std::path::PathBuf;

use clap::Args;
use truc_transport::daemon;

use crate::backup::{self, Role};
use crate::failure::{Exit, Failure};
use crate::measure;
use crate::output::Output;

/// Copy the data folder of a broker or an edge while it runs: everything acknowledged before is in the copy. A second backup into the same
/// folder copies only what is new. Views are not copied, keys only encrypted.
///
/// Exit code 1: the backup is complete, but attachments that are damaged at the source are missing in it.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The data folder.
    pub data: PathBuf,
    /// Folder of the backup: a new one, or one with an earlier backup of the same node. On another disk than the data.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

/// Make a data folder from a backup. Every byte is checked before the folder gets its name; a folder that is not empty is refused.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// The data folder to make.
    #[arg(long, value_name = "DATA")]
    pub into: PathBuf,
}

/// Rehearse a restore: into a scratch folder, every byte, every entry, every seal, the same state; says how long each step took.
///
/// Exit code 0 means that this backup brings the node back.
#[derive(Debug, Args)]
pub struct DrillArguments {
    /// Folder of the backup.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// Where the scratch folder is made, with room for the whole backup; without it the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// File with the password of the key files: they are opened, too. Without it TRUC_KEY_PASSWORD is read; without both the keys stay closed.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

pub(super) fn backup(arguments: &BackupArguments, output: &mut Output) -> Result<Exit, Failure> {
    let taken = backup::take(&arguments.data, &arguments.into, output)?;
    let text = format!(
        "backup of the {} at position {}, root {} of {} leaves: {} files, {}; {} new ({}), {} removed, in {}",
        taken.role.name(),
        taken.position,
        taken.root,
        taken.tree_size,
        taken.files,
        measure::bytes(taken.bytes),
        taken.files_copied,
        measure::bytes(taken.bytes_copied),
        taken.files_removed,
        measure::millis(taken.millis)
    );
    output.data(&text, &taken)?;
    Ok(if taken.damaged_at_source.is_empty() { Exit::Done } else { Exit::Failed })
}

#[derive(serde::Serialize)]
struct Restored<'a> {
    role: Role,
    begun_at: &'a str,
    position: u64,
    tree_size: u64,
    root: &'a str,
    files: usize,
    millis: u64,
    before_starting: &'a str,
}

/// What has to be known before a restored node is started.
const fn before_starting(role: Role) -> &'static str {
    match role {
        Role::Broker => {
            "THIS BROKER KNOWS NOTHING OF WHAT WAS ACKNOWLEDGED AFTER THE BACKUP BEGAN. Edges that saw a newer log refuse it with log.fork and \
             stop: they are right. Start it only if the old data folder is lost for good and no newer backup exists; if edges then refuse, the \
             log has to go on under a new origin (docs/backup.md, \"When acknowledged entries are lost\"). Never run the old and the restored \
             folder at the same time."
        }
        Role::Edge => {
            "Never run the old and the restored folder at the same time. The restored edge opens a new edge term before it seals anything, which \
             fences the old one. Documents that the DMS handed in after the backup began and that did not reach the axis are not here: the DMS \
             sends them again under the same client reference. Arrivals after it are delivered again, or were shown to the DMS before."
        }
    }
}

pub(super) fn restore(arguments: &RestoreArguments, output: &mut Output) -> Result<Exit, Failure> {
    let restored = backup::restore(&arguments.from, &arguments.into, output)?;
    let manifest = &restored.manifest;
    let told = Restored {
        role: manifest.role,
        begun_at: &manifest.begun_at,
        position: manifest.position,
        tree_size: manifest.tree_size,
        root: &manifest.root,
        files: manifest.files.len(),
        millis: restored.copy_millis + restored.journal_millis,
        before_starting: before_starting(manifest.role),
    };
    let text = format!(
        "{} of {} restored into {}: {} files, position {}, root {} of {} leaves, all verified, in {}\n\n{}",
        manifest.role.name(),
        manifest.begun_at,
        arguments.into.display(),
        told.files,
        told.position,
        told.root,
        told.tree_size,
        measure::millis(told.millis),
        told.before_starting
    );
    output.data(&text, &told)?;
    for missing in &manifest.damaged_at_source {
        output.talk(&format!("{missing} was damaged when the backup was taken and is not here"));
    }
    Ok(Exit::Done)
}

#[derive(serde::Serialize)]
struct Drilled<'a> {
    role: Role,
    begun_at: &'a str,
    position: u64,
    bytes: u64,
    keys_opened: bool,
    millis: u64,
}

pub(super) fn drill(arguments: &DrillArguments, output: &mut Output) -> Result<Exit, Failure> {
    let given = arguments.password_file.is_some() || std::env::var_os(daemon::PASSWORD_VARIABLE).is_some();
    let password = given.then(|| daemon::password(arguments.password_file.as_deref())).transpose().map_err(Failure::Refused)?;
    let scratch = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let drilled = backup::drill(&arguments.from, &scratch, password.as_ref().map(|password| password.as_slice()), output)?;
    for step in &drilled.steps {
        output.data(&format!("{:<8} {:>10}  {}", step.step, measure::millis(step.millis), step.seen), step)?;
    }
    let manifest = &drilled.manifest;
    let (bytes, millis) = (manifest.bytes(), drilled.steps.iter().map(|step| step.millis).sum());
    let keys = if drilled.keys_opened { "" } else { "; the keys were not opened, no password was given" };
    let text = format!(
        "this backup of {} brings the {} back: {} of space, about {} on this machine{keys}",
        manifest.begun_at,
        manifest.role.name(),
        measure::bytes(bytes),
        measure::millis(millis)
    );
    let (begun_at, keys_opened) = (manifest.begun_at.as_str(), drilled.keys_opened);
    output.data(&text, &Drilled { role: manifest.role, begun_at, position: manifest.position, bytes, keys_opened, millis })?;
    Ok(Exit::Done)
}
