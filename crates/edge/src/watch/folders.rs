//! The four folders of a watch folder, and every touch of a file in them. Nothing here decides what becomes of a file.
//!
//! All calls are relative to open folders and follow no symbolic link, so that nobody who writes into the watch folder leads the edge out of it. A name is
//! one path component because it came from a listing, or was made here from codes and digests.

use std::collections::BinaryHeap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};

/// Where the DMS puts files.
const IN: &str = "in";
/// Where files go that were handed in.
const DONE: &str = "done";
/// Where files go that were refused.
const FAILED: &str = "failed";
/// Where the edge puts files.
const OUT: &str = "out";
/// Folders and files are for the edge and the group of the DMS; the umask of the edge may take more away.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o770);
const FILE_MODE: Mode = Mode::from_raw_mode(0o660);
/// What the name of a national file ends with.
pub(super) const EXTENSION: &str = ".edxml";
/// Bytes of a file name that are kept; longer ones have no room for what is added to them (255 is the limit of file systems).
const NAME_BYTES_MAX: usize = 200;

/// The open folders.
#[derive(Debug)]
pub(super) struct Folders {
    incoming: OwnedFd,
    done: OwnedFd,
    failed: OwnedFd,
    out: OwnedFd,
}

/// Where a file goes that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Done,
    Failed,
}

/// What tells two states of one name apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    pub(super) bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { inode: metadata.ino(), bytes: metadata.len(), modified: metadata.modified()? })
    }
}

/// A file in `in/`. Ordered by age, then name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) name: OsString,
    pub(super) stamp: Stamp,
}

impl Ord for Dropped {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.stamp.modified, &self.name).cmp(&(other.stamp.modified, &other.name))
    }
}

impl PartialOrd for Dropped {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Folders {
    /// Opens the folders, making what is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = File::open(root)?;
        let sub = |name: &str| {
            match rustix::fs::mkdirat(&root, name, FOLDER_MODE) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(cause) => return Err(io::Error::from(cause)),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&root, name, flags, Mode::empty()).map_err(io::Error::from)
        };
        Ok(Self { incoming: sub(IN)?, done: sub(DONE)?, failed: sub(FAILED)?, out: sub(OUT)? })
    }

    /// The oldest files in `in/` that are meant for the edge: regular, named `*.edxml`, not hidden, and not to be passed over.
    pub(super) fn dropped(&self, limit: usize, pass_over: impl Fn(&OsStr) -> bool) -> io::Result<Vec<Dropped>> {
        let mut oldest = BinaryHeap::new();
        for entry in Dir::read_from(&self.incoming)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if !is_offered(&name) || pass_over(&name) {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // One that went away or may not be looked at is none of ours.
            let Ok(file) = rustix::fs::openat(&self.incoming, &name, flags, Mode::empty()) else { continue };
            let metadata = File::from(file).metadata()?;
            if metadata.is_file() {
                oldest.push(Dropped { name, stamp: Stamp::of(&metadata)? });
                if oldest.len() > limit {
                    oldest.pop();
                }
            }
        }
        Ok(oldest.into_sorted_vec())
    }

    /// Opens a file in `in/`. Never a link, and never waits for a pipe.
    pub(super) fn take_up(&self, name: &OsStr) -> io::Result<TakenUp> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.incoming, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(TakenUp { stamp: Stamp::of(&metadata)?, file })
    }

    /// Moves a file out of `in/` with notes beside it; false if it is no longer the file that was taken up. Durable when answered.
    ///
    /// Notes come first: a crash between leaves notes that the next try writes again under the same name.
    pub(super) fn shelve(&self, shelf: Shelf, name: &OsStr, tag: &str, taken: &TakenUp, notes: &[(&str, Vec<u8>)]) -> io::Result<bool> {
        let to = match shelf {
            Shelf::Done => &self.done,
            Shelf::Failed => &self.failed,
        };
        let shelved = shelved_name(name, tag, |name| rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW).is_ok());
        for (ending, note) in notes {
            let mut path = shelved.clone();
            path.push(ending);
            write_durably(to, &path, |out| out.write_all(note))?;
        }
        // Most replacements are seen here, before anything moves.
        if !self.is_still(name, taken)? {
            return Ok(false);
        }
        rustix::fs::renameat(&self.incoming, name, to, &shelved)?;
        let moved = rustix::fs::openat(to, &shelved, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let same = Stamp::of(&File::from(moved).metadata()?)? == taken.stamp;
        if !same {
            // Somebody put another file there meanwhile: it has its own turn.
            self.give_back(to, &shelved, name, tag)?;
        }
        rustix::fs::fsync(to)?;
        rustix::fs::fsync(&self.incoming)?;
        Ok(same)
    }

    /// Whether a name in `in/` is still the file that was taken up.
    fn is_still(&self, name: &OsStr, taken: &TakenUp) -> io::Result<bool> {
        match rustix::fs::openat(&self.incoming, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(found) => Ok(Stamp::of(&File::from(found).metadata()?)? == taken.stamp),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Puts a file back into `in/`; under another name if its own is taken by now, because nobody has read either of the two.
    fn give_back(&self, from: &OwnedFd, shelved: &OsStr, name: &OsStr, tag: &str) -> io::Result<()> {
        let put = |name: &OsStr| rustix::fs::renameat_with(from, shelved, &self.incoming, name, RenameFlags::NOREPLACE);
        match put(name) {
            Err(rustix::io::Errno::EXIST) => put(&shelved_name(name, tag, |_| true)).map_err(Into::into),
            done => done.map_err(Into::into),
        }
    }

    /// Writes a file into `out/`, whole or not at all. Durable once [`Self::settle_out`] has returned.
    pub(super) fn put_out(&self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        write_file(&self.out, OsStr::new(name), write)
    }

    /// Makes the names in `out/` durable.
    pub(super) fn settle_out(&self) -> io::Result<()> {
        rustix::fs::fsync(&self.out).map_err(Into::into)
    }

    /// How many files wait in `out/`; counts no further than the limit.
    pub(super) fn waiting(&self, limit: usize) -> io::Result<usize> {
        let mut count = 0;
        for entry in Dir::read_from(&self.out)? {
            if !entry?.file_name().to_bytes().starts_with(b".") {
                count += 1;
            }
            if count >= limit {
                break;
            }
        }
        Ok(count)
    }
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct TakenUp {
    file: File,
    pub(super) stamp: Stamp,
}

impl TakenUp {
    /// Its last bytes.
    pub(super) fn tail(&self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.stamp.bytes.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(tail)
    }

    /// All of it, from the start.
    pub(super) fn reader(&self) -> io::Result<impl io::Read> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        Ok(file.take(self.stamp.bytes))
    }

    /// Whether it is still as it was when it was taken up.
    pub(super) fn unchanged(&self) -> io::Result<bool> {
        Ok(Stamp::of(&self.file.metadata()?)? == self.stamp)
    }
}

/// Hidden files and those that end otherwise are still being written, or not meant for the edge.
fn is_offered(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let ending = bytes.len().checked_sub(EXTENSION.len()).and_then(|at| bytes.get(at..));
    !bytes.starts_with(b".") && ending.is_some_and(|ending| ending.eq_ignore_ascii_case(EXTENSION.as_bytes()))
}

/// The name under which a file is shelved: its own; with the tag in it, if another one has that or it is too long to add to.
fn shelved_name(name: &OsStr, tag: &str, exists: impl Fn(&OsStr) -> bool) -> OsString {
    if name.len() <= NAME_BYTES_MAX && !exists(name) {
        return name.to_owned();
    }
    let stem = name.as_bytes().get(..name.len().saturating_sub(EXTENSION.len())).unwrap_or_default();
    let stem = stem.get(..stem.len().min(NAME_BYTES_MAX / 2)).unwrap_or_default();
    let mut shelved = OsStr::from_bytes(stem).to_owned();
    shelved.push(format!(".{tag}{EXTENSION}"));
    shelved
}

fn write_durably(folder: &OwnedFd, name: &OsStr, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_file(folder, name, write)?;
    rustix::fs::fsync(folder).map_err(Into::into)
}

/// Writes a hidden file, syncs it, and gives it its name.
fn write_file(folder: &OwnedFd, name: &OsStr, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let hidden = CString::new([b".", name.as_bytes(), b".tmp"].concat())?;
    match rustix::fs::unlinkat(folder, &hidden, AtFlags::empty()) {
        // Of a crash; or there is none.
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(cause) => return Err(cause.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, &hidden, flags, FILE_MODE)?);
    let mut out = io::BufWriter::with_capacity(64 * 1024, file);
    let written = write(&mut out).and_then(|()| out.flush()).and_then(|()| out.get_ref().sync_all());
    if let Err(cause) = written {
        // Best effort: a full disk should not be made fuller. The first fault is the one that is told.
        let _left = rustix::fs::unlinkat(folder, &hidden, AtFlags::empty());
        return Err(cause);
    }
    rustix::fs::renameat(folder, &hidden, folder, name).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_regular_files_with_the_right_name_are_offered_and_the_oldest_come_first() {
        let scratch = tempfile::tempdir().unwrap();
        let folders = Folders::open(scratch.path()).unwrap();
        let inside = scratch.path().join("in");
        fs::write(scratch.path().join("secret.edxml"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret.edxml", inside.join("link.edxml")).unwrap();
        fs::create_dir(inside.join("folder.edxml")).unwrap();
        let all = ["b.edxml", "a.EDXML", "c.edxml.part", "d.edxml.tmp", ".hidden.edxml", "e.xml", "f.edxml"];
        for (age, name) in (0..).zip(all) {
            let file = File::create(inside.join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000 - age)).unwrap();
        }
        let names = |limit, pass: &str| {
            let found = folders.dropped(limit, |name| name == pass).unwrap();
            found.into_iter().map(|dropped| dropped.name.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(9, ""), ["f.edxml", "a.EDXML", "b.edxml"]);
        assert_eq!(names(1, "f.edxml"), ["a.EDXML"]);
        assert!(folders.take_up(OsStr::new("link.edxml")).is_err());
        assert!(folders.take_up(OsStr::new("folder.edxml")).is_err());
    }

    #[test]
    fn a_file_that_was_replaced_while_it_was_read_goes_back_and_no_file_on_the_shelf_is_lost() {
        let scratch = tempfile::tempdir().unwrap();
        let folders = Folders::open(scratch.path()).unwrap();
        let at = |path: &str| scratch.path().join(path);
        let name = OsStr::new("a.edxml");
        fs::write(at("in/a.edxml"), "first").unwrap();
        let first = folders.take_up(name).unwrap();
        fs::rename(at("in/a.edxml"), at("old")).unwrap();
        fs::write(at("in/a.edxml"), "second").unwrap();
        assert!(!folders.shelve(Shelf::Done, name, "T1", &first, &[]).unwrap());
        assert_eq!(fs::read(at("in/a.edxml")).unwrap(), b"second");
        for (text, tag) in [("second", "T2"), ("third", "T3"), ("third", "T3")] {
            fs::write(at("in/a.edxml"), text).unwrap();
            let taken = folders.take_up(name).unwrap();
            assert!(folders.shelve(Shelf::Done, name, tag, &taken, &[(".json", text.into())]).unwrap());
        }
        let mut shelved: Vec<_> = fs::read_dir(at("done")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        shelved.sort();
        assert_eq!(shelved, ["a.T3.edxml", "a.T3.edxml.json", "a.edxml", "a.edxml.json"]);
        assert_eq!(fs::read(at("done/a.edxml")).unwrap(), b"second");
        let long = "x".repeat(240) + EXTENSION;
        assert_eq!(shelved_name(OsStr::new(&long), "T", |_| false).len(), 100 + 2 + EXTENSION.len());
    }

    #[test]
    fn a_file_that_goes_back_replaces_none_that_came_meanwhile() {
        let scratch = tempfile::tempdir().unwrap();
        let folders = Folders::open(scratch.path()).unwrap();
        let at = |path: &str| scratch.path().join(path);
        let name = OsStr::new("a.edxml");
        fs::write(at("done/a.edxml"), "second").unwrap();
        fs::write(at("in/a.edxml"), "third").unwrap();
        folders.give_back(&folders.done, name, name, "T").unwrap();
        assert_eq!((fs::read(at("in/a.edxml")).unwrap(), fs::read(at("in/a.T.edxml")).unwrap()), (b"third".to_vec(), b"second".to_vec()));
        assert!(!at("done/a.edxml").exists());
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_entered() {
        let (scratch, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), scratch.path().join("in")).unwrap();
        assert!(Folders::open(scratch.path()).is_err());
    }
}
