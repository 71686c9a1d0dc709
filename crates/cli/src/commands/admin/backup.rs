//! `truc admin backup`, `restore` and `drill`: copies of a data folder. The work is in [`crate::backup`]; here it is asked for and told.

use std::path::PathBuf;

use clap::Args;
use truc_transport::daemon;

use crate::backup::{self, Role};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// Copy the data folder of a broker or an edge while it runs: everything acknowledged before is in the copy. A second backup into the same
/// folder reads the first again, copies what is new and what changed on the disk of the backup. Views are not copied, keys only encrypted.
///
/// Exit code 1: the backup is complete, but attachments that are damaged at the source are missing in it, or files that it held already had changed on
/// its disk and were copied again. Look at that disk.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The data folder.
    pub data: PathBuf,
    /// Folder of the backup: a new one, or one with an earlier backup of the same node. On another disk than the data.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Do not read again what is in the folder already: of each file only length and name count. Much faster, and blind for bytes that changed there.
    #[arg(long)]
    pub trust_copies: bool,
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
    let taken = backup::take(&arguments.data, &arguments.into, !arguments.trust_copies, output)?;
    output.data(&taken_text(&taken, output.language()), &taken)?;
    let whole = taken.damaged_at_source.is_empty() && taken.damaged_in_backup.is_empty();
    Ok(if whole { Exit::Done } else { Exit::Failed })
}

fn taken_text(taken: &backup::Taken, language: Language) -> String {
    let (files, all) = (language.count(taken.files, "file", "files", "tệp"), measure::bytes(taken.bytes));
    let (new, copied) = (taken.files_copied, measure::bytes(taken.bytes_copied));
    let (removed, took) = (taken.files_removed, measure::millis(taken.millis));
    let (position, root, leaves) = (taken.position, &taken.root, taken.tree_size);
    let text = match language {
        Language::En => format!(
            "backup of the {} at position {position}, root {root} of {leaves} leaves: {files}, {all}; {new} new ({copied}), {removed} removed, in {took}",
            taken.role.name()
        ),
        Language::Vi => format!(
            "bản sao lưu {} tại vị trí {position}, gốc {root} của {leaves} lá: {files}, {all}; {new} tệp mới ({copied}), {removed} tệp bị xoá, trong {took}",
            taken.role.word(language)
        ),
    };
    let lost = u64::try_from(taken.damaged_in_backup.len()).unwrap_or(u64::MAX);
    match (lost, language) {
        (0, _) => text,
        (_, Language::En) => {
            format!("{text}\n{} of the last backup had changed on its disk: look at that disk", language.count(lost, "file", "files", ""))
        }
        (_, Language::Vi) => format!("{text}\n{lost} tệp của bản sao lưu trước đã bị hỏng trên đĩa: cần kiểm tra đĩa đó"),
    }
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
const fn before_starting(role: Role, language: Language) -> &'static str {
    let (english, vietnamese) = match role {
        Role::Broker => (
            "THIS BROKER KNOWS NOTHING OF WHAT WAS ACKNOWLEDGED AFTER THE BACKUP BEGAN. Edges that saw a newer log refuse it with log.fork and \
             stop: they are right. Start it only if the old data folder is lost for good and no newer backup exists; if edges then refuse, the \
             log has to go on under a new origin (docs/backup.md, \"When acknowledged entries are lost\"). Never run the old and the restored \
             folder at the same time.",
            "TRỤC NÀY KHÔNG BIẾT NHỮNG GÌ ĐÃ ĐƯỢC XÁC NHẬN SAU KHI BẮT ĐẦU SAO LƯU. Nút biên nào đã thấy nhật ký mới hơn sẽ từ chối với log.fork rồi \
             dừng lại, và như vậy là đúng. Chỉ khởi động khi thư mục cũ đã mất hẳn và không có bản sao lưu nào mới hơn; nếu nút biên vẫn từ chối thì \
             nhật ký phải đi tiếp dưới tên mới (docs/backup.md, \"When acknowledged entries are lost\"). Không bao giờ chạy đồng thời thư mục cũ và \
             thư mục khôi phục.",
        ),
        Role::Edge => (
            "Never run the old and the restored folder at the same time. The restored edge opens a new edge term before it seals anything, which \
             fences the old one. Documents that the DMS handed in after the backup began and that did not reach the axis are not here: the DMS \
             sends them again under the same client reference. Arrivals after it are delivered again, or were shown to the DMS before.",
            "Không bao giờ chạy đồng thời thư mục cũ và thư mục khôi phục. Nút biên được khôi phục mở nhiệm kỳ mới trước khi đóng dấu bất cứ gì, nhờ đó \
             nút cũ bị chặn. Văn bản mà phần mềm QLVB gửi sau khi bắt đầu sao lưu và chưa đến trục thì không có ở đây: gửi lại với cùng mã tham \
             chiếu. Văn bản đến sau thời điểm đó sẽ được giao lại, hoặc đã hiển thị cho phần mềm QLVB.",
        ),
    };
    language.choose(english, vietnamese)
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
        before_starting: before_starting(manifest.role, output.language()),
    };
    let language = output.language();
    let (role, into, took) = (manifest.role.word(language), arguments.into.display(), measure::millis(told.millis));
    let files = language.count(u64::try_from(told.files).unwrap_or(u64::MAX), "file", "files", "tệp");
    let Restored { begun_at, position, root, tree_size, before_starting, .. } = &told;
    let text = match language {
        Language::En => format!(
            "{role} of {begun_at} restored into {into}: {files}, position {position}, root {root} of {tree_size} leaves, all verified, in {took}\n\n\
             {before_starting}"
        ),
        Language::Vi => format!(
            "đã khôi phục {role} lúc {begun_at} vào {into}: {files}, vị trí {position}, gốc {root} của {tree_size} lá, đã kiểm tra tất cả, trong \
             {took}\n\n{before_starting}"
        ),
    };
    output.data(&text, &told)?;
    for missing in &manifest.damaged_at_source {
        let lost = language.choose("was damaged when the backup was taken and is not here", "đã bị hỏng khi sao lưu nên không có ở đây");
        output.talk(&format!("{missing} {lost}"));
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
    let language = output.language();
    for step in &drilled.steps {
        output.data(&format!("{:<10} {:>10}  {}", step.word(language), measure::millis(step.millis), step.told(language)), step)?;
    }
    let manifest = &drilled.manifest;
    let (bytes, millis) = (manifest.bytes(), drilled.steps.iter().map(|step| step.millis).sum());
    let (at, role) = (&manifest.begun_at, manifest.role.word(language));
    let (space, time) = (measure::bytes(bytes), measure::millis(millis));
    let mut text = match language {
        Language::En => format!("this backup of {at} brings the {role} back: {space} of space, about {time} on this machine"),
        Language::Vi => format!("bản sao lưu lúc {at} khôi phục được {role}: cần {space}, khoảng {time} trên máy này"),
    };
    if !drilled.keys_opened {
        text.push_str(language.choose("; the keys were not opened, no password was given", "; chưa mở khoá nào vì không có mật khẩu"));
    }
    let (begun_at, keys_opened) = (manifest.begun_at.as_str(), drilled.keys_opened);
    output.data(&text, &Drilled { role: manifest.role, begun_at, position: manifest.position, bytes, keys_opened, millis })?;
    Ok(Exit::Done)
}
