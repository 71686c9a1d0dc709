//! What can go wrong with a view. A damaged view is not among it: that one is rebuilt.

use std::io;
use std::path::PathBuf;

use truc_types::{Position, Reason};

use crate::batch::{VALUE_BYTES_MAX, VIEW_KEY_BYTES_MAX};
use crate::overlay::{OVERLAY_BYTES_MAX, OVERLAY_ROWS_MAX};

/// Why a view cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The view is newer than the journal, so the journal lost its tail. Nothing was deleted.
    #[error("the view has reached position {view_position} but the journal ends at {journal_end}: the journal lost its tail")]
    ViewAhead {
        /// What the view has reached.
        view_position: Position,
        /// Where the journal ends.
        journal_end: Position,
    },
    /// Another process, or another store of this one, uses the folder.
    #[error("the view in {} is in use by another process", folder.display())]
    Locked {
        /// The folder of the view.
        folder: PathBuf,
    },
    /// The file system refused something outside sled.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// sled failed while it was in use; the view is broken until the next start rebuilds it.
    #[error("cannot {doing} the view: {why}")]
    Storage {
        /// What was tried, as a verb.
        doing: &'static str,
        /// What sled said, bounded.
        why: String,
    },
    /// An earlier write failed: the view takes no more and is rebuilt at the next start.
    #[error("the view is broken since an earlier failed write and will be rebuilt at the next start")]
    Broken,
    /// A batch would take the view back.
    #[error("a batch at position {batch} cannot follow the view at position {view}")]
    PositionBackwards {
        /// Where the view is.
        view: Position,
        /// Where the batch would take it.
        batch: Position,
    },
    /// A key over [`VIEW_KEY_BYTES_MAX`].
    #[error("a key of a view has {bytes} bytes, at most {VIEW_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A value over [`VALUE_BYTES_MAX`].
    #[error("a value of a view has {bytes} bytes, at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The overlay holds as many unwritten rows as it may: the writer lags or is broken.
    #[error("the view lags: {rows} rows and {bytes} bytes wait, at most {OVERLAY_ROWS_MAX} and {OVERLAY_BYTES_MAX} may")]
    OverlayFull {
        /// Rows that wait to be written.
        rows: usize,
        /// Their keys and values.
        bytes: usize,
    },
}

impl ViewError {
    /// The stable reason for users and operators.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::ViewAhead { .. } => Reason::ViewAhead,
            Self::Locked { .. } => Reason::JournalLocked,
            Self::Io { source, .. } => Reason::of_system(source, Reason::JournalStorage),
            Self::Storage { .. } | Self::Broken | Self::PositionBackwards { .. } => Reason::JournalStorage,
            Self::KeyTooLong { .. } | Self::ValueTooLarge { .. } => Reason::RequestInvalid,
            Self::OverlayFull { .. } => Reason::BusyViews,
        }
    }
}
