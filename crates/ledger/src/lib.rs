//! The RFC 9162 SHA-256 Merkle tree, C2SP checkpoints and proofs: what makes the journal a log that others can check.
//!
//! Read in this order: [`tree`] (hashes and the frontier), [`plan`] (which nodes a proof needs), [`extension`] (one block),
//! [`store`] (any leaf, any size), [`proof`] (what verifiers run), then the texts [`key`], [`note`], [`checkpoint`], [`tlog_proof`].
//! The format for third parties is `docs/spec/log.md`. No IO, no clock, no randomness, no async; nothing here knows what a leaf means.

pub mod checkpoint;
mod encoding;
pub mod extension;
pub mod key;
pub mod note;
pub mod plan;
pub mod proof;
mod proven;
pub mod store;
pub mod tlog_proof;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use extension::Extension;
pub use key::{KeyError, LogSigner, LogVerifier};
pub use note::{Note, NoteError, NoteSignature, SignatureError};
pub use plan::{ConsistencyPlan, InclusionPlan, NodeId, PlanError};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use proven::ProvenTree;
pub use store::{Lookup, ProveError, TreeStore, chunk_node};
pub use tlog_proof::{TlogProof, TlogProofError, VerifiedProof};
pub use tree::{EMPTY_ROOT, Frontier, FrontierError, leaf_hash, node_hash};
