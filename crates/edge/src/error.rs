//! What ends an edge, one variant per cause. What a caller did wrong is a `Refusal` instead and ends nothing.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use truc_blobs::BlobError;
use truc_journal::AppendError;
use truc_journal::segment::OpenError;
use truc_types::{EdgeTerm, Position, Reason, Refusal};
use truc_views::ViewError;

/// Why an edge does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A setting is wrong.
    #[error("the setting {setting} is wrong: {cause}")]
    Config {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The settings file is wrong.
    #[error("{0}")]
    Settings(truc_settings::Mistakes),
    /// A file of the data folder cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// A key file cannot be used.
    #[error("{path}: {cause}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The fault; never key material.
        cause: String,
    },
    /// The journal does not open.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error("reading the journal failed: {0}")]
    JournalRead(#[from] truc_journal::ReadError),
    /// A block may or may not be durable, or the journal refused it: nothing may be answered from memory any more.
    #[error("the journal did not take a block: {0}")]
    Append(Arc<AppendError>),
    /// A view failed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The attachments' folder failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A record of the journal makes no sense: damage, or a newer release wrote it.
    #[error("the record at position {position} makes no sense: {cause}")]
    Record {
        /// Where.
        position: Position,
        /// What is wrong.
        cause: String,
    },
    /// The journal's blocks do not add up to the roots in them.
    #[error("the records up to position {position} do not lead to the root in the journal")]
    RootMismatch {
        /// Where.
        position: Position,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The fault.
        source: io::Error,
    },
    /// The server for the DMS failed.
    #[error("serving failed: {0}")]
    Serve(String),
    /// The axis shows two histories, or takes back what it showed.
    #[error("the axis shows two histories: {0}")]
    Fork(String),
    /// Another edge of this agency took over.
    #[error("another edge of this agency opened term {open}, this one has {own}")]
    TermSuperseded {
        /// The term of this edge.
        own: EdgeTerm,
        /// The term that is open; 0 if the axis did not say.
        open: EdgeTerm,
    },
    /// The recorder stopped.
    #[error(transparent)]
    Stopped(Arc<Self>),
    /// What is on the disk cannot be read.
    #[error("{0}")]
    Unreadable(Refusal),
    /// The process cannot start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl EdgeError {
    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Config { .. } | Self::Settings(_) | Self::Listen { .. } | Self::Serve(_) => Reason::ConfigInvalid,
            Self::File { source, .. } => Reason::of_system(source, Reason::FileUnusable),
            // Threads count against the same kind of limit as files do, and are the operator's to give.
            Self::Thread(cause) => Reason::of_system(cause, Reason::ConfigInvalid),
            Self::Key { .. } => Reason::KeyUnreadable,
            Self::Journal(cause) => cause.reason(),
            Self::JournalRead(cause) => cause.reason(),
            Self::Append(cause) => cause.end_reason(),
            Self::View(cause) => cause.reason(),
            Self::Blob(cause) => cause.reason(),
            Self::Record { .. } | Self::RootMismatch { .. } => Reason::JournalCorrupt,
            Self::Fork(_) => Reason::LogFork,
            Self::Stopped(cause) => cause.reason(),
            Self::Unreadable(refusal) => refusal.reason,
            Self::TermSuperseded { .. } => Reason::TermSuperseded,
        }
    }

    /// The same for interfaces that show refusals.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        Refusal::new(self.reason(), self.to_string())
    }
}

impl From<AppendError> for EdgeError {
    fn from(cause: AppendError) -> Self {
        Self::Append(Arc::new(cause))
    }
}
