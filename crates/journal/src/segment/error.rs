//! Why a folder of segment files does not open, and what an open found.
//!
//! Not the errors of a journal that is open: those are in the contract.

use std::io;
use std::path::{Path, PathBuf};

use truc_types::{Position, Reason};

use crate::block::JournalEnd;
use crate::contract::Damage;

/// Why a journal folder does not open. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("the journal in {folder} is in use{}", .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The process that has it, if it could be told.
        pid: Option<u32>,
    },
    /// Blocks that were durable are missing.
    #[error("the journal lost blocks: {0}")]
    Truncated(Damage),
    /// Bytes that were durable are others now.
    #[error("the journal is damaged: {0}")]
    Corrupt(Damage),
    /// Written by another release.
    #[error("{file} has format {found}, this release reads another")]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format number.
        found: u16,
    },
    /// The file system failed.
    #[error("working with {path} failed: {source}", path = .path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Locked { .. } => Reason::JournalLocked,
            Self::Truncated(_) => Reason::JournalTruncated,
            Self::Corrupt(_) => Reason::JournalCorrupt,
            Self::Format { .. } => Reason::JournalFormat,
            Self::Storage { source, .. } => Reason::of_system(source, Reason::JournalStorage),
        }
    }

    /// Wraps a failure of the file system with the path it happened at.
    pub(super) fn storage(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { path: path.to_owned(), source }
    }
}

/// An unfinished write at the end of a journal: never acknowledged, because its sync never returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The segment file.
    pub file: PathBuf,
    /// Position at which the journal goes on instead.
    pub position: Position,
    /// Bytes that were left out.
    pub bytes: u64,
}

/// What an open found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Where the journal ends.
    pub end: JournalEnd,
    /// Segment files, with the one that grows.
    pub segments: usize,
    /// An unfinished write that was dropped.
    pub dropped: Option<Dropped>,
    /// Index files that were missing, damaged or of another segment and were made anew.
    pub indexes_rebuilt: usize,
}
