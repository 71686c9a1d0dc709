//! An entry of the log: exact bytes, their digest, and what they say.

use std::sync::Arc;

use truc_signing::statement::{Fact, Statement, StatementError};
use truc_signing::{DsseFile, sha256};
use truc_types::{Digest, MessageId};

/// An entry. The bytes are the leaf; the statement is what they parse to.
#[derive(Debug, Clone)]
pub struct Entry {
    /// A DSSE file, or an axis fact (a plain statement).
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes, by which others refer to the entry. Nobody refers to a fact: it has none.
    pub digest: Option<Digest>,
    /// What the bytes say.
    pub statement: Statement,
}

impl Entry {
    /// Reads an entry of the log: a fact stands plain, everything else in a DSSE file. Seals are not verified: they were before the entry got
    /// there, and an auditor does it again.
    ///
    /// # Errors
    /// When the bytes are no statement of this release; [`StatementError::PredicateType`] for a fact in a DSSE file and for anything else without.
    pub fn parse(bytes: Arc<[u8]>) -> Result<Self, StatementError> {
        let is_plain = bytes.starts_with(b"{\"_type\"");
        let statement = if is_plain { Statement::parse(&bytes)? } else { Statement::parse(&DsseFile::parse(&bytes)?.payload)? };
        // Without this an envelope that nobody sealed would read like one that was.
        if is_plain != matches!(statement, Statement::Fact(_)) {
            return Err(StatementError::PredicateType { found: statement.predicate_type().to_owned() });
        }
        Ok(Self { digest: (!is_plain).then(|| sha256(&bytes)), bytes, statement })
    }

    /// The entry that states a fact.
    pub(crate) fn of_fact(fact: Fact) -> Self {
        let bytes: Arc<[u8]> = fact.to_json().into();
        Self { digest: None, bytes, statement: Statement::Fact(fact) }
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest.unwrap_or_else(|| sha256(&self.bytes))
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
