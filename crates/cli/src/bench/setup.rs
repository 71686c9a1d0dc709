//! What all benches are told alike: which broker, on which disk, and where the findings go. Not what a bench measures.

use std::path::PathBuf;

use clap::Args;
use tempfile::TempDir;

use crate::failure::Failure;

/// Which broker is measured, on which disk.
#[derive(Debug, Clone, Default, Args)]
pub struct Setup {
    /// Every block takes so many milliseconds longer to be durable, like a slower disk.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub sync_delay_ms: u64,
    /// Another build of this program, whose broker is measured: to compare the two.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Folder on the disk to measure; without it the system's temporary folder.
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Write the findings to this file too, as JSON.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Setup {
    /// A new folder on the disk to measure; it goes when it is dropped.
    pub(super) fn scratch(&self) -> Result<TempDir, Failure> {
        let parent = self.parent();
        TempDir::with_prefix_in("truc-bench-", &parent).map_err(|cause| Failure::file(&parent, cause))
    }

    /// The folder on the disk to measure.
    pub(super) fn parent(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }
}
