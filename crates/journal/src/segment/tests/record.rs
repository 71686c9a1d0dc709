//! A disk that records every operation and lets one of them fail; it works on real files, without real syncs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::segment::disk::{Disk, RealDisk, WriteFile};

/// How the chosen operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is done. A sync that is not done loses what was not synced.
    NotDone,
    /// A write stops in the middle; anything else is not done.
    Short,
    /// All is done, and an error returned.
    Done,
}

/// One operation; files are named by a number that stays when they are renamed.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Create {
        path: PathBuf,
        file: usize,
    },
    Append {
        file: usize,
        bytes: Vec<u8>,
    },
    /// Zeros behind what was appended, from this length on.
    Room {
        file: usize,
        length: u64,
        bytes: u64,
    },
    Sync {
        file: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    SyncFolder,
    /// Said by the test: an append of the journal was begun (`false`) or acknowledged (`true`).
    Block {
        is_acknowledged: bool,
    },
}

#[derive(Default)]
struct State {
    operations: Vec<Operation>,
    files: usize,
    fault: Option<(usize, Fault)>,
}

#[derive(Default, Clone)]
pub(super) struct RecordingDisk(Arc<Mutex<State>>);

impl RecordingDisk {
    /// Operations so far.
    pub(super) fn count(&self) -> usize {
        self.0.lock().operations.len()
    }

    /// Lets the operation with this number fail, counted from 0.
    pub(super) fn fail_at(&self, number: usize, fault: Fault) {
        self.0.lock().fault = Some((number, fault));
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        self.0.lock().operations.clone()
    }

    pub(super) fn note(&self, operation: Operation) {
        self.0.lock().operations.push(operation);
    }

    fn step<T>(&self, operation: Operation, act: impl FnOnce(Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        let fault = {
            let mut state = self.0.lock();
            let number = state.operations.len();
            state.operations.push(operation);
            state.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
        };
        let failure = || io::Error::other("the fault that was asked for");
        match fault {
            None => act(None),
            Some(Fault::Done) => act(None).and(Err(failure())),
            Some(fault) => act(Some(fault)).and(Err(failure())),
        }
    }
}

impl Disk for RecordingDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let number = {
            let mut state = self.0.lock();
            state.files += 1;
            state.files
        };
        let file = self.step(Operation::Create { path: path.to_owned(), file: number }, |fault| match fault {
            None => OpenOptions::new().write(true).create(true).truncate(true).open(path).map(Some),
            Some(_) => Ok(None),
        })?;
        let file = file.ok_or_else(|| io::Error::other("not created"))?;
        Ok(Box::new(RecordingFile { disk: self.clone(), file, number, length: 0, synced: 0 }))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        RealDisk.open(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let operation = Operation::Rename { from: from.to_owned(), to: to.to_owned() };
        self.step(operation, |fault| if fault.is_none() { fs::rename(from, to) } else { Ok(()) })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Operation::Remove { path: path.to_owned() }, |fault| if fault.is_none() { fs::remove_file(path) } else { Ok(()) })
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        self.step(Operation::SyncFolder, |_| Ok(()))
    }
}

struct RecordingFile {
    disk: RecordingDisk,
    file: File,
    number: usize,
    length: usize,
    synced: usize,
}

impl WriteFile for RecordingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { disk, file, number, length, .. } = self;
        disk.step(Operation::Append { file: *number, bytes: bytes.to_vec() }, |fault| {
            let part = match fault {
                None => bytes,
                Some(Fault::Short) => &bytes[..bytes.len() / 2],
                Some(_) => &[],
            };
            *length += part.len();
            file.write_all(part)
        })
    }

    fn make_room(&mut self, length: u64, bytes: u64) -> io::Result<()> {
        let Self { disk, file, number, .. } = self;
        disk.step(Operation::Room { file: *number, length, bytes }, |fault| {
            let made = match fault {
                None => bytes,
                Some(Fault::Short) => bytes / 2,
                Some(_) => 0,
            };
            WriteFile::make_room(file, length, made)
        })
    }

    fn cut_room(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        let Self { disk, file, number, length, synced } = self;
        disk.step(Operation::Sync { file: *number }, |fault| match fault {
            None => {
                *synced = *length;
                Ok(())
            }
            Some(_) => file.set_len(u64::try_from(*synced).unwrap()),
        })
    }
}
