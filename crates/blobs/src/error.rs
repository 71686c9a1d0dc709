//! What can go wrong with attachments, with whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

use truc_types::limits::BLOB_BYTES_MAX;
use truc_types::{Digest, Reason, Refusal};

use crate::upload::OPEN_UPLOADS_PER_AGENCY_MAX;

/// Why a call of a [`crate::BlobStore`] failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Over [`BLOB_BYTES_MAX`].
    #[error("a file of {size} bytes or more is over the limit of {BLOB_BYTES_MAX}")]
    TooLarge {
        /// What was declared, or had arrived when the limit was passed.
        size: u64,
    },
    /// No upload of this digest was begun by this agency since the process started.
    #[error("no upload of {digest} is open: begin it and go on at the offset of the answer")]
    NotBegun {
        /// The blob.
        digest: Digest,
    },
    /// Bytes for another place than the end of what is there.
    #[error("the upload of {digest} goes on at offset {expected}, not {offset}")]
    WrongOffset {
        /// The blob.
        digest: Digest,
        /// What the call said.
        offset: u64,
        /// Where to go on.
        expected: u64,
    },
    /// More bytes than declared.
    #[error("the upload of {digest} would have {length} bytes, {size} were declared")]
    TooLong {
        /// The blob.
        digest: Digest,
        /// What it would have had.
        length: u64,
        /// What was declared.
        size: u64,
    },
    /// Finished before every byte had arrived.
    #[error("the upload of {digest} has {length} of {size} bytes")]
    Incomplete {
        /// The blob.
        digest: Digest,
        /// What is there: where to go on.
        length: u64,
        /// What was declared.
        size: u64,
    },
    /// The agency owns the blob, and it has another size.
    #[error("{digest} has {size} bytes, {declared} were declared")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// What was declared now.
        declared: u64,
        /// What it has.
        size: u64,
    },
    /// The bytes are not those that the digest names; they were deleted.
    #[error("the uploaded bytes have the digest {found}, not {declared}: they were dropped")]
    DigestMismatch {
        /// What was declared.
        declared: Digest,
        /// What the bytes have.
        found: Digest,
    },
    /// The agency has as many uploads open as it may.
    #[error("{OPEN_UPLOADS_PER_AGENCY_MAX} uploads of this agency are open: finish or abandon one")]
    TooManyUploads,
    /// No such blob.
    #[error("no attachment {digest} is stored")]
    Unknown {
        /// The blob.
        digest: Digest,
    },
    /// A read from behind the end.
    #[error("{digest} has {size} bytes, offset {offset} lies behind them")]
    OffsetOutside {
        /// The blob.
        digest: Digest,
        /// What the call said.
        offset: u64,
        /// What it has.
        size: u64,
    },
    /// A pinned blob is not deleted.
    #[error("{digest} is in use and stays")]
    Pinned {
        /// The blob.
        digest: Digest,
    },
    /// Another process, or another store of this one, uses the folder.
    #[error("the attachments in {} are in use by another process", folder.display())]
    Locked {
        /// The folder of the store.
        folder: PathBuf,
    },
    /// The reader that was to be stored failed.
    #[error("cannot read the attachment that is to be stored")]
    Reader {
        /// The cause.
        source: io::Error,
    },
    /// The file system failed; the outcome of the call is unknown.
    #[error("cannot {doing} {}", path.display())]
    Storage {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl BlobError {
    /// The refusal that reaches the caller, with the wrong values by name.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let mut message = self.to_string();
        if let Self::Storage { source, .. } | Self::Reader { source } = self {
            message = format!("{message}: {source}");
        }
        let refusal = Refusal::new(self.reason(), message);
        match self {
            Self::TooLarge { size } => refusal.with("found", size).with("limit", BLOB_BYTES_MAX),
            Self::WrongOffset { digest, offset, expected } => refusal.with("sha256", digest).with("found", offset).with("offset", expected),
            Self::TooLong { digest, length, size } | Self::Incomplete { digest, length, size } => {
                refusal.with("sha256", digest).with("found", length).with("declared", size)
            }
            Self::SizeMismatch { digest, declared, size } => refusal.with("sha256", digest).with("found", size).with("declared", declared),
            Self::DigestMismatch { declared, found } => refusal.with("found", found).with("declared", declared),
            Self::OffsetOutside { digest, offset, size } => refusal.with("sha256", digest).with("found", offset).with("limit", size),
            Self::TooManyUploads => refusal.with("limit", OPEN_UPLOADS_PER_AGENCY_MAX),
            Self::NotBegun { digest } | Self::Unknown { digest } | Self::Pinned { digest } => refusal.with("sha256", digest),
            Self::Locked { .. } | Self::Reader { .. } | Self::Storage { .. } => refusal,
        }
    }

    /// The stable reason for users and operators.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::AttachmentTooLarge,
            Self::NotBegun { .. } | Self::WrongOffset { .. } | Self::OffsetOutside { .. } => Reason::BlobOffset,
            Self::TooLong { .. } | Self::SizeMismatch { .. } => Reason::AttachmentSizeMismatch,
            Self::Incomplete { .. } => Reason::AttachmentTruncated,
            Self::DigestMismatch { .. } => Reason::AttachmentDigestMismatch,
            Self::TooManyUploads => Reason::UploadTooMany,
            Self::Unknown { .. } => Reason::BlobUnknown,
            Self::Pinned { .. } => Reason::BlobInUse,
            Self::Locked { .. } => Reason::JournalLocked,
            Self::Reader { source } | Self::Storage { source, .. } => Reason::of_system(source, Reason::BlobStorage),
        }
    }

    pub(crate) fn storage(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Storage { doing, path: path.to_owned(), source }
    }
}
