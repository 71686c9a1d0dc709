//! C2SP checkpoints v1.0.0: the origin, size and root of the log, signed by its key.
//!
//! Our logs write no extension lines and our reader refuses them, as the specification advises. The rule that a log never signs two roots
//! for one size is kept by the journal, which signs only what is durable.

use crate::encoding::{base64, decimal, digest_from_base64, excerpt};
use crate::key::{KeyError, LogSigner, LogVerifier, check_name};
use crate::note::{Note, NoteError, SignatureError};
use crate::tree::{EMPTY_ROOT, TREE_SIZE_MAX};
use truc_types::{Digest, Reason};

/// The state of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of its key.
    pub origin: String,
    /// Leaves of the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}

/// Why something is no checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The origin is no key name.
    #[error(transparent)]
    Origin(#[from] KeyError),
    /// The origin is not the name of the key.
    #[error("the checkpoint is of {origin:?}, the key of {key_name:?}")]
    OriginMismatch {
        /// Origin of the checkpoint.
        origin: String,
        /// Name of the key.
        key_name: String,
    },
    /// Fewer than three lines.
    #[error("a checkpoint has three lines, found {found}")]
    Lines {
        /// Complete lines found.
        found: usize,
    },
    /// More than three lines.
    #[error("a checkpoint of this log has no extension lines, found {0:?}")]
    Extension(String),
    /// Not a decimal number without leading zeros.
    #[error("{0:?} is no tree size")]
    Size(String),
    /// Above [`TREE_SIZE_MAX`].
    #[error("a tree of {0} leaves is above the limit of {TREE_SIZE_MAX}")]
    TreeTooLarge(u64),
    /// Not base64 of 32 bytes.
    #[error("{0:?} is no root")]
    Root(String),
    /// The tree has no leaves, but not the root of the empty tree.
    #[error("a tree without leaves has the root {EMPTY_ROOT}, found {0}")]
    EmptyRoot(Digest),
}

impl CheckpointError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::LogProofInvalid
    }
}

impl Checkpoint {
    /// The note text: three lines, each with its newline.
    #[must_use]
    pub fn to_body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root.0))
    }

    /// Reads a note text whose signature was verified.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse_body(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(rest)) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines { found: text.matches('\n').count() });
        };
        if !rest.is_empty() || lines.next().is_some() {
            return Err(CheckpointError::Extension(excerpt(rest)));
        }
        let size = decimal(size).ok_or_else(|| CheckpointError::Size(excerpt(size)))?;
        let root = digest_from_base64(root).ok_or_else(|| CheckpointError::Root(excerpt(root)))?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    fn check(&self) -> Result<(), CheckpointError> {
        check_name(&self.origin)?;
        if self.size > TREE_SIZE_MAX {
            return Err(CheckpointError::TreeTooLarge(self.size));
        }
        if self.size == 0 && self.root != EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot(self.root));
        }
        Ok(())
    }
}

/// Signs a checkpoint: the note as text. The same checkpoint gives the same bytes, so signing again after a crash is harmless.
///
/// # Errors
/// When the origin is not the name of the key, or the checkpoint is none.
pub fn sign(checkpoint: &Checkpoint, signer: &LogSigner) -> Result<String, CheckpointError> {
    check_origin(&checkpoint.origin, signer.verifier())?;
    checkpoint.check()?;
    Ok(Note::sign(&checkpoint.to_body(), signer)?.to_text())
}

/// Opens a note that must be a checkpoint of the log with this key.
///
/// # Errors
/// When the form is wrong, the log did not sign it, or it is the checkpoint of another log.
pub fn open(note: &[u8], verifier: &LogVerifier) -> Result<Checkpoint, CheckpointError> {
    open_note(&Note::parse(note)?, verifier)
}

/// As [`open`], for a note that was parsed already.
pub(crate) fn open_note(note: &Note, verifier: &LogVerifier) -> Result<Checkpoint, CheckpointError> {
    note.verify(verifier)?;
    let checkpoint = Checkpoint::parse_body(note.text())?;
    check_origin(&checkpoint.origin, verifier)?;
    Ok(checkpoint)
}

fn check_origin(origin: &str, verifier: &LogVerifier) -> Result<(), CheckpointError> {
    if origin == verifier.name() {
        return Ok(());
    }
    Err(CheckpointError::OriginMismatch { origin: excerpt(origin), key_name: verifier.name().to_owned() })
}
