//! An entry of the log: exact bytes, their digest, and what they say.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use truc_signing::DsseFile;
use truc_signing::statement::{Statement, StatementError};
use truc_types::{Digest, MessageId};

/// An entry. The bytes are the leaf; the statement is what they parse to.
#[derive(Debug, Clone)]
pub struct Entry {
    /// A DSSE file, or an axis fact (a plain statement).
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes: by this others refer to the entry.
    pub digest: Digest,
    /// What the bytes say.
    pub statement: Statement,
}

impl Entry {
    /// Reads an entry of the log. Seals are not verified: they were before the entry got there, and an auditor does it again.
    ///
    /// # Errors
    /// When the bytes are no statement of this release.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Self, StatementError> {
        let statement = if bytes.starts_with(b"{\"_type\"") {
            Statement::parse(&bytes)?
        } else {
            Statement::parse(&DsseFile::parse(&bytes)?.payload)?
        };
        let digest = Digest(Sha256::digest(&bytes).into());
        Ok(Self { bytes, digest, statement })
    }

    /// The id by which a repetition of this statement is recognised; facts and registry statements have none.
    #[must_use]
    pub fn id(&self) -> Option<MessageId> {
        match &self.statement {
            Statement::Envelope(envelope) => Some(envelope.message_id),
            Statement::Receipt(receipt) => Some(receipt.receipt_id),
            Statement::SenderHead(head) => Some(head.statement_id),
            Statement::Fact(_) | Statement::Registry(_) => None,
        }
    }
}
