//! Takes a backup of a data folder, while its node runs or stands still. The order of the steps and its reasons: [`super`].

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use truc_journal::segment::{Snapshot, SnapshotRequest, snapshot};
use truc_transport::clock;
use truc_transport::last_backup::LAST_BACKUP_FILE;
use truc_types::{Reason, Refusal};

use super::manifest::{Kept, MANIFEST_FILE, Manifest, Role};
use super::store::{FILES_FOLDER, Store, list, make_folder, replace};
use super::{FILES_MAX, foreign, journal};
use crate::failure::Failure;
use crate::language::Language;
use crate::measure;
use crate::output::Output;

/// Two backups into one folder at a time would remove each other's files.
const LOCK_FILE: &str = "lock";
/// Folders below a data folder: `blobs/owners/<agency>` and one more.
const DEPTH_MAX: usize = 6;
/// How often the journal is begun anew because a segment was packed: a segment is packed once, and takes longer to fill than to copy.
const JOURNAL_TRIES_MAX: u32 = 16;
/// A private key that is not encrypted begins so.
const PLAIN_KEY: &[u8] = b"-----BEGIN PRIVATE KEY";

/// What became of a backup.
#[derive(Debug, serde::Serialize)]
pub struct Taken {
    /// Whose data.
    pub role: Role,
    /// Position behind the last entry in it.
    pub position: u64,
    /// Leaves of the current shard.
    pub tree_size: u64,
    /// Root of its tree.
    pub root: String,
    /// Files of the backup.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not in the folder before.
    pub files_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Files of the last backup that are not needed any more.
    pub files_removed: u64,
    /// Attachments whose bytes at the source are not those of their name. They are not in the backup.
    pub damaged_at_source: Vec<String>,
    /// Files of the last backup whose bytes had changed on the disk of the backup. What is still needed of them was copied again.
    pub damaged_in_backup: Vec<String>,
    /// How long it took.
    pub millis: u64,
}

/// Copies the data folder of a node into a backup folder: a new one, or one that holds an earlier backup of the same node. With `reread` every file
/// of the earlier one is read again and compared with its digest; without, only that it is there in its length.
///
/// # Errors
/// Damage of the journal, files that cannot be read or written, a folder that holds something else. Without a new manifest the last backup counts.
pub fn take(data: &Path, into: &Path, reread: bool, output: &mut Output) -> Result<Taken, Failure> {
    let begun = clock::now();
    let role = Role::of(data)
        .ok_or_else(|| Failure::Usage(format!("{} is no data folder: it has neither broker.toml nor edge.toml", data.display())))?;
    let _lock = prepare(data, into)?;
    let earlier = Manifest::read(into)?;
    if let Some(earlier) = earlier.as_ref().filter(|earlier| earlier.role != role) {
        return Err(foreign(format!("{} holds the backup of the {} of {}", into.display(), earlier.role.name(), earlier.origin)));
    }
    let store = Store::open(into)?;
    let damaged_in_backup = match &earlier {
        Some(earlier) if reread => check(&store, earlier, output)?,
        _ => Vec::new(),
    };
    let mut taking = Taking { data, store, earlier: earlier.as_ref(), output, files: Vec::new(), damaged: Vec::new(), counts: (0, 0) };
    taking.settings()?;
    let end = taking.journal()?;
    taking.attachments()?;
    let Taking { mut store, files, damaged, counts: (files_copied, bytes_copied), .. } = taking;
    if files.len() > FILES_MAX {
        return Err(Failure::Usage(format!("{} files are more than a backup holds ({FILES_MAX})", files.len())));
    }
    let manifest = Manifest {
        format: Manifest::FORMAT,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        begun_at: begun.to_string(),
        role,
        origin: end.end.origin.clone(),
        blocks: end.end.number.0,
        position: end.end.position.0,
        tree_size: end.end.tree_size,
        root: end.end.root.to_hex(),
        block_time: end.end.time.to_string(),
        damaged_at_source: damaged,
        files,
    };
    store.sync()?;
    // From here on the folder holds the new backup; before, the last one.
    replace(into, MANIFEST_FILE, &manifest.to_bytes()?)?;
    let files_removed = store.prune(&manifest.files)?;
    let last = serde_json::json!({ "at": manifest.begun_at, "position": manifest.position, "into": into });
    replace(data, LAST_BACKUP_FILE, format!("{last}\n").as_bytes())?;
    Ok(Taken {
        role,
        position: manifest.position,
        tree_size: manifest.tree_size,
        root: manifest.root.clone(),
        files: u64::try_from(manifest.files.len()).unwrap_or(u64::MAX),
        bytes: manifest.bytes(),
        files_copied,
        bytes_copied,
        files_removed,
        damaged_at_source: manifest.damaged_at_source,
        damaged_in_backup,
        millis: clock::now().millis_since(begun),
    })
}

/// Reads what an earlier backup holds again: disks change bytes that nobody reads for years. What is not as it was written is taken away, so that it is
/// copied again; without it the earlier backup was worth nothing either.
fn check(store: &Store, earlier: &Manifest, output: &mut Output) -> Result<Vec<String>, Failure> {
    let (total, mut done, mut damaged) = (earlier.bytes(), 0u64, Vec::new());
    for (number, kept) in earlier.files.iter().enumerate() {
        if !store.holds(kept) {
            output.talk(&match output.language() {
                Language::En => format!("{} changed on the disk of the backup; it is copied again if it is still needed", kept.path),
                Language::Vi => format!("{} đã bị hỏng trên đĩa sao lưu; sẽ được chép lại nếu còn cần", kept.path),
            });
            store.discard(kept)?;
            damaged.push(kept.path.clone());
        }
        done = done.saturating_add(kept.bytes);
        if number.is_multiple_of(64) {
            output.progress(&measure::bytes_bar(done, total));
        }
    }
    output.progress_end();
    Ok(damaged)
}

/// The folder must be new, empty or a backup; and not inside the data that it is a copy of.
fn prepare(data: &Path, into: &Path) -> Result<File, Failure> {
    make_folder(into)?;
    let absolute = |path: &Path| path.canonicalize().map_err(|source| Failure::file(path, source));
    if absolute(into)?.starts_with(absolute(data)?) {
        return Err(Failure::Usage(format!("{} lies in the data folder: a disk that fails takes both", into.display())));
    }
    let own = [MANIFEST_FILE, FILES_FOLDER, LOCK_FILE, "manifest.json.new"];
    let strange = |path: &PathBuf| !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| own.contains(&name));
    if let Some(strange) = list(into)?.iter().find(|path| strange(path)) {
        return Err(foreign(format!("{} is no part of a backup", strange.display())));
    }
    let path = into.join(LOCK_FILE);
    let lock = File::options().create(true).append(true).open(&path).map_err(|source| Failure::file(&path, source))?;
    lock.try_lock().map_err(|_| Failure::Usage(format!("another backup into {} is running", into.display())))?;
    Ok(lock)
}

/// A backup that is being taken.
struct Taking<'a> {
    data: &'a Path,
    store: Store,
    earlier: Option<&'a Manifest>,
    output: &'a mut Output,
    files: Vec<Kept>,
    damaged: Vec<String>,
    /// Files and bytes that were not in the folder before.
    counts: (u64, u64),
}

impl Taking<'_> {
    /// Everything but journal, views and attachments.
    fn settings(&mut self) -> Result<(), Failure> {
        for path in list(self.data)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !["journal", "views", "blobs", LAST_BACKUP_FILE].contains(&name) {
                self.tree(&path, DEPTH_MAX)?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, path: &Path, depth: usize) -> Result<(), Failure> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == LOCK_FILE || name.ends_with(".new") || name.ends_with(".tmp") {
            return Ok(());
        }
        let found = match fs::metadata(path) {
            // A temporary file of the running node has gone meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(|source| Failure::file(path, source))?,
        };
        if found.is_dir() && depth > 0 {
            return list(path)?.iter().try_for_each(|inner| self.tree(inner, depth - 1));
        }
        if !found.is_file() {
            return Err(Failure::Usage(format!("{} is neither a file nor a folder of a node", path.display())));
        }
        let mut start = Vec::new();
        let read = File::open(path).and_then(|file| file.take(PLAIN_KEY.len() as u64).read_to_end(&mut start));
        read.map_err(|source| Failure::file(path, source))?;
        if start == PLAIN_KEY {
            let message = format!("{} is a private key that is not encrypted: it would lie open in the backup", path.display());
            return Err(Failure::Refused(Refusal::new(Reason::KeyUnreadable, message)));
        }
        self.copy(path, u64::MAX, false).map(|_| ())
    }

    /// The journal up to the end of a durable block. Where a segment is packed while it is copied, its plain file is gone: then once more from the
    /// start, which does not copy again what is there.
    fn journal(&mut self) -> Result<Snapshot, Failure> {
        let kept = self.files.len();
        for _ in 1..JOURNAL_TRIES_MAX {
            if let Some(taken) = self.try_journal()? {
                return Ok(taken);
            }
            self.files.truncate(kept);
        }
        let last = self.try_journal()?;
        last.ok_or_else(|| Failure::Refused(Refusal::new(Reason::JournalTruncated, "files of the journal go while they are copied")))
    }

    fn try_journal(&mut self) -> Result<Option<Snapshot>, Failure> {
        let folder = self.data.join("journal");
        if !folder.is_dir() {
            return Err(Failure::Usage(format!("{} holds no journal yet: its node never ran", self.data.display())));
        }
        let sealed = |kept: &&Kept| kept.sealed && self.store.has(&kept.sha256, kept.bytes);
        let known = self.earlier.iter().flat_map(|earlier| &earlier.files).filter(sealed);
        let copied: Vec<String> = known.filter_map(|kept| kept.path.strip_prefix("journal/").map(str::to_owned)).collect();
        let request = SnapshotRequest { earlier: self.earlier.and_then(Manifest::journal_end), copied: &copied };
        let output = &mut *self.output;
        let mut percent_shown = 101;
        let taken = snapshot(&folder, request, &mut |done, total| {
            let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
            if percent != percent_shown {
                percent_shown = percent;
                output.progress(&format!("journal {}", measure::bytes_bar(done, total)));
            }
        });
        let taken = taken.map_err(|cause| journal(&cause))?;
        if let Some(earlier) = self.earlier {
            let same = earlier.origin == taken.end.origin || earlier.blocks == 0;
            if !same || !taken.continues_earlier {
                let message = format!(
                    "the backup of a {} at position {} of {} is not the beginning of the journal in {}, which ends at {}",
                    earlier.role.name(),
                    earlier.position,
                    earlier.origin,
                    folder.display(),
                    taken.end.position
                );
                return Err(foreign(message));
            }
        }
        // What is plain first, the newest first of all: it goes when it is packed, and packing begins with the oldest.
        let (mut plain, packed): (Vec<_>, Vec<_>) = taken.files.iter().partition(|file| file.name.ends_with(".seg"));
        plain.reverse();
        for file in plain.into_iter().chain(packed) {
            let path = format!("journal/{}", file.name);
            let before = self.earlier.and_then(|earlier| earlier.files.iter().find(|kept| kept.path == path));
            match before.filter(|kept| file.sealed && kept.sealed && kept.bytes == file.bytes && copied.contains(&file.name)) {
                Some(kept) => self.files.push(kept.clone()),
                None => {
                    let kept = self.copy(&folder.join(&file.name), file.bytes, file.sealed)?;
                    // The growing segment, too, may have been sealed and packed meanwhile.
                    if kept.is_none() {
                        return Ok(None);
                    }
                    if kept.is_none_or(|bytes| bytes != file.bytes) {
                        let message = format!("{path} became shorter than {} bytes while it was copied", file.bytes);
                        return Err(Failure::Refused(Refusal::new(Reason::JournalTruncated, message)));
                    }
                }
            }
        }
        let (name, mark) = &taken.mark;
        let path = format!("journal/{name}");
        self.keep(path, &mut mark.as_slice(), u64::MAX, false, &folder)?;
        Ok(Some(taken))
    }

    /// Whole attachments and the marks of who brought them.
    fn attachments(&mut self) -> Result<(), Failure> {
        let root = self.data.join("blobs");
        let known = self.earlier.map(Manifest::by_path).unwrap_or_default();
        for (folder, is_content) in [("blobs", true), ("owners", false)] {
            for inner in list(&root.join(folder))?.into_iter().filter(|path| path.is_dir()) {
                for path in list(&inner)? {
                    let relative = self.relative(&path);
                    match known.get(relative.as_str()).filter(|kept| is_content && self.store.has(&kept.sha256, kept.bytes)) {
                        Some(kept) => self.files.push((*kept).clone()),
                        None => self.attachment(&path, is_content)?,
                    }
                    if self.files.len().is_multiple_of(100) {
                        let (files, bytes) = self.counts;
                        self.output.progress(&format!("{} files, {files} new of {}", self.files.len(), measure::bytes(bytes)));
                    }
                }
            }
        }
        self.output.progress_end();
        Ok(())
    }

    fn attachment(&mut self, path: &Path, is_content: bool) -> Result<(), Failure> {
        if self.copy(path, u64::MAX, false)?.is_some()
            && is_content
            && let Some(kept) = self.files.pop_if(|kept| !kept.path.ends_with(&kept.sha256))
        {
            // One attachment that rotted must not keep everything else out of every backup.
            self.output.talk(&format!("{} does not have the SHA-256 that it is named for; it is left out", path.display()));
            self.damaged.push(kept.path);
        }
        Ok(())
    }

    /// Copies a file; its length, or `None` where it has gone meanwhile.
    fn copy(&mut self, path: &Path, limit: u64, sealed: bool) -> Result<Option<u64>, Failure> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Failure::file(path, source)),
        };
        let relative = self.relative(path);
        self.keep(relative, &mut file, limit, sealed, path).map(Some)
    }

    fn keep(&mut self, path: String, from: &mut dyn std::io::Read, limit: u64, sealed: bool, source: &Path) -> Result<u64, Failure> {
        let written = self.store.put(from, limit, source)?;
        if written.new {
            self.counts = (self.counts.0 + 1, self.counts.1 + written.bytes);
        }
        self.files.push(Kept { path, bytes: written.bytes, sha256: written.digest.to_hex(), sealed });
        Ok(written.bytes)
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(self.data).unwrap_or(path).to_string_lossy().into_owned()
    }
}
