//! The watch folder: for document-management systems that can only drop and pick up national edXML files. `docs/watch-folder.md` is its manual.
//!
//! What is durable when:
//!
//! | step | a crash after it leaves |
//! |---|---|
//! | 1. the DMS has put `in/NAME.edxml` | the file; its settling starts over |
//! | 2. it was copied, read, and its bytes are in the folder of attachments | a copy that nothing names yet; the next try writes the same |
//! | 3. the draft is in the journal, under a reference made of name and bytes | the file in `in/`; the next try finds the reference, and sends nothing twice |
//! | 4. the note is in `done/` | the same; the note is written again, equal |
//! | 5. the file is in `done/`, both folders synced | nothing to do |
//!
//! In the other direction a file is written under a hidden name, synced, renamed, the folder synced, and only then is the cursor recorded in the journal: a
//! crash before that writes the same file again under the same name. No file is ever deleted by the edge.
//!
//! Not here: what a file says (`edxml`), and where it goes after it was handed in (`outbox`).

mod folders;
mod incoming;
mod outgoing;
mod report;
mod settle;

use std::path::PathBuf;

use crate::error::EdgeError;

pub(crate) use incoming::run as take_in;
pub(crate) use outgoing::run as put_out;

/// Pause between two scans of `in/`.
pub(crate) const POLL_MILLIS: u64 = 1_000;
/// How long a file must not have changed: two scans and some.
pub(crate) const SETTLE_MILLIS: u64 = 2_000;
/// How long a file may stand without its end: a copy over a slow line that broke off is told after ten minutes.
pub(crate) const PATIENCE_MILLIS: u64 = 10 * 60 * 1_000;

/// Settings of a watch folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchFolder {
    /// The folder with `in/`, `done/`, `failed/` and `out/`; what is missing is made. One file system, one edge.
    pub path: PathBuf,
    /// The operator's declaration about every file that is dropped, because edXML has no field for a secrecy mark. Only `none` is carried.
    pub declare_secrecy: String,
    /// Pause between two scans of `in/`, in milliseconds.
    pub poll_millis: u64,
    /// How long a file must not have changed before it is taken up, in milliseconds.
    pub settle_millis: u64,
    /// How long a file that does not end like an edXML file may stay unchanged before it is refused, in milliseconds.
    pub patience_millis: u64,
}

impl WatchFolder {
    /// A watch folder with the usual times.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, declare_secrecy: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            declare_secrecy: declare_secrecy.into(),
            poll_millis: POLL_MILLIS,
            settle_millis: SETTLE_MILLIS,
            patience_millis: PATIENCE_MILLIS,
        }
    }

    /// Checks the settings and makes the folders.
    pub(crate) fn check(&self) -> Result<(), EdgeError> {
        if self.declare_secrecy != "none" {
            let cause =
                format!("{:?} is declared; only documents without a secrecy mark travel, and you must say \"none\"", self.declare_secrecy);
            return Err(EdgeError::Config { setting: "watch.declare_secrecy", cause });
        }
        for (setting, millis) in [("watch.poll_millis", self.poll_millis), ("watch.settle_millis", self.settle_millis)] {
            if millis == 0 {
                return Err(EdgeError::Config { setting, cause: "it is 0".to_owned() });
            }
        }
        folders::Folders::open(&self.path).map(drop).map_err(|source| EdgeError::File { path: self.path.clone(), source })
    }
}
