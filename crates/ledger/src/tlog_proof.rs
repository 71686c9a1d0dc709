//! `.tlog-proof` files, `c2sp.org/tlog-proof@v1`: an inclusion proof and its checkpoint in one text that verifies offline.
//!
//! Cosignatures of witnesses inside the checkpoint are kept but not judged here.

use crate::checkpoint::{Checkpoint, CheckpointError, open_note};
use crate::encoding::{base64, decimal, digest_from_base64, excerpt, from_base64};
use crate::key::LogVerifier;
use crate::note::{NOTE_BYTES_MAX, Note, NoteError};
use crate::proof::{InclusionProof, PATH_HASHES_MAX, ProofError};
use crate::tree::leaf_hash;
use truc_types::{Digest, LeafIndex, Reason};

/// Bytes of one file: the largest note, 63 path lines of 45 bytes, the first two lines, and 5 kB for extra data of other writers.
pub const TLOG_PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 8 * 1024;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof file whose form is right; nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the leaf.
    pub leaf_index: LeafIndex,
    /// Siblings from the leaf's up to the root's child.
    pub path: Vec<Digest>,
    /// The checkpoint with all its signatures.
    pub checkpoint: Note,
    /// Opaque and never authenticated; our files have none.
    pub extra: Option<Vec<u8>>,
}

/// What a proof file proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedProof {
    /// The state of the log that includes the leaf.
    pub checkpoint: Checkpoint,
    /// Index of the leaf.
    pub leaf_index: LeafIndex,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Above [`TLOG_PROOF_BYTES_MAX`].
    #[error("a proof file of {found} bytes is above the limit of {TLOG_PROOF_BYTES_MAX}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not UTF-8.
    #[error("a proof file is UTF-8, but byte {at} is not")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// Another format or version.
    #[error("the first line is {0:?} instead of {FIRST_LINE:?}")]
    FirstLine(String),
    /// The extra data is not base64.
    #[error("the extra data is not base64")]
    Extra,
    /// No line `index N`.
    #[error("{0:?} is no index line")]
    Index(String),
    /// A path line is not base64 of 32 bytes.
    #[error("{0:?} is no hash of a path")]
    PathHash(String),
    /// Above [`PATH_HASHES_MAX`].
    #[error("a path has at most {PATH_HASHES_MAX} hashes")]
    PathTooLong,
    /// No empty line before the checkpoint.
    #[error("a proof file has an empty line before its checkpoint")]
    NoCheckpoint,
    /// The checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is none of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the leaf to the root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TlogProofError {
    /// The stable reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::LogProofInvalid
    }
}

impl TlogProof {
    /// Puts a proof and the signed checkpoint of the same size together.
    ///
    /// # Errors
    /// When the checkpoint is no note.
    pub fn new(proof: &InclusionProof, checkpoint: &str) -> Result<Self, TlogProofError> {
        let checkpoint = Note::parse(checkpoint.as_bytes())?;
        Ok(Self { leaf_index: proof.leaf_index, path: proof.path.clone(), checkpoint, extra: None })
    }

    /// Reads a file. What comes out has one spelling: [`Self::to_text`] gives the same bytes.
    ///
    /// # Errors
    /// The first thing that is wrong with its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > TLOG_PROOF_BYTES_MAX {
            return Err(TlogProofError::TooLarge { found: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| TlogProofError::NotUtf8 { at: error.valid_up_to() })?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(TlogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        let first = lines.next().unwrap_or_default();
        if first != FIRST_LINE {
            return Err(TlogProofError::FirstLine(excerpt(first)));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(line.strip_prefix("extra ").and_then(from_base64).ok_or(TlogProofError::Extra)?),
            None => None,
        };
        let line = lines.next().unwrap_or_default();
        let index = line.strip_prefix("index ").and_then(decimal).ok_or_else(|| TlogProofError::Index(excerpt(line)))?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == PATH_HASHES_MAX {
                return Err(TlogProofError::PathTooLong);
            }
            path.push(digest_from_base64(line).ok_or_else(|| TlogProofError::PathHash(excerpt(line)))?);
        }
        Ok(Self { leaf_index: LeafIndex(index), path, checkpoint: Note::parse(checkpoint.as_bytes())?, extra })
    }

    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", base64(extra)));
        }
        text.push_str(&format!("index {}\n", self.leaf_index));
        for hash in &self.path {
            text.push_str(&base64(&hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint.to_text());
        text
    }

    /// Checks that the log signed the checkpoint and that its tree has the leaf at the index.
    ///
    /// # Errors
    /// When the checkpoint is not the log's, or the path does not lead to its root.
    pub fn verify(&self, leaf_hash: &Digest, verifier: &LogVerifier) -> Result<VerifiedProof, TlogProofError> {
        let checkpoint = open_note(&self.checkpoint, verifier)?;
        let proof = InclusionProof { leaf_index: self.leaf_index, tree_size: checkpoint.size, path: self.path.clone() };
        proof.verify(leaf_hash, &checkpoint.root)?;
        Ok(VerifiedProof { checkpoint, leaf_index: self.leaf_index })
    }
}

/// Checks that the log with this key includes exactly these bytes as a leaf.
///
/// # Errors
/// When the file is malformed, its checkpoint not the log's, or the path does not lead from the leaf to the root.
pub fn verify(leaf: &[u8], proof: &[u8], verifier: &LogVerifier) -> Result<VerifiedProof, TlogProofError> {
    TlogProof::parse(proof)?.verify(&leaf_hash(leaf), verifier)
}
