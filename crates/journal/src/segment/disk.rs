//! The file system calls of the segment engine as a trait, so that tests can record them and let each of them fail.
//!
//! Not a virtual file system: reads go to real files. The lock is not here: it holds no data.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// One step of making room.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What the engine asks of a file system.
pub(super) trait Disk: Send + Sync {
    /// Makes the folder and those above it. Durable when it returns.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes an empty file, in place of one that is there. Not durable before [`WriteFile::sync`] and [`Disk::sync_folder`].
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<File>;
    /// The names of the files in a folder, in no order; names that are not UTF-8 are none of ours and left out.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Renames a file, in place of one that is there. Not durable before [`Disk::sync_folder`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Not durable before [`Disk::sync_folder`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes what was created, renamed and removed in the folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file that only grows.
pub(super) trait WriteFile: Send {
    /// Writes behind what is there. After an error any part of it may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes zeros behind what is there, without moving on: what is appended next replaces them. A file that has its length and its place on the disk already
    /// is synced without them.
    fn make_room(&mut self, length: u64, bytes: u64) -> io::Result<()>;
    /// Ends the file at this length: room that is left over. Not durable, and nothing rests on it.
    fn cut_room(&mut self, length: u64) -> io::Result<()>;
    /// Makes what was written durable (`fdatasync`). Never called again after an error.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_folder(parent)?;
            fs::create_dir(folder)?;
            return self.sync_folder(parent);
        }
        fs::create_dir(folder)?;
        self.sync_folder(Path::new("."))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create(true).truncate(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in fs::read_dir(folder)? {
            names.extend(file?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl WriteFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn make_room(&mut self, length: u64, bytes: u64) -> io::Result<()> {
        let (mut from, end) = (length, length.saturating_add(bytes));
        while from < end {
            let step = usize::try_from(end - from).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write_all_at(ZEROS.get(..step).unwrap_or_default(), from)?;
            from += u64::try_from(step).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn cut_room(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes a whole file durably: under a temporary name first, so that at every moment either the old or the new bytes are there.
pub(super) fn replace(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = disk.create(&temporary)?;
    file.append(bytes)?;
    file.sync()?;
    disk.rename(&temporary, &folder.join(name))?;
    disk.sync_folder(folder)
}
