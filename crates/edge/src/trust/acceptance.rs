//! The proofs of acceptances, deliveries and receipts: exact bytes, inclusion in a signed checkpoint, seals, and that they speak of the same thing.

use bytes::Bytes;
use truc_ledger::leaf_hash;
use truc_proto::broker::v1 as pb;
use truc_signing::statement::{Accepted, Envelope, Fact, Receipt, RequiredSigner, Statement};
use truc_signing::{DsseFile, Sealed, open_sealed, sha256, verify_seals};
use truc_types::limits::STATEMENT_FILE_BYTES_MAX;
use truc_types::{AgencyCode, Digest, LeafIndex, OrganisationCode, Timestamp};

use super::checkpoint::path;
use super::{Opened, Trust, TrustError};
use crate::record::{FACT_BYTES_MAX, Leaf};

/// An acceptance whose proofs hold.
#[derive(Debug, Clone)]
pub(crate) struct Acceptance {
    /// Where the statement stands.
    pub(crate) leaf: Leaf,
    /// The axis fact; for envelopes.
    pub(crate) fact: Option<ProvenFact>,
    /// Covers both.
    pub(crate) checkpoint: String,
}

/// What the axis says of an envelope, and where it stands in the log.
#[derive(Debug, Clone)]
pub(crate) struct ProvenFact {
    pub(crate) fact: Accepted,
    pub(crate) bytes: Bytes,
    pub(crate) leaf: Leaf,
}

/// A delivery of which everything holds that can be checked without its attachments.
#[derive(Debug)]
pub(crate) struct VerifiedDelivery {
    pub(crate) envelope: Box<Envelope>,
    pub(crate) file: Bytes,
    /// Where the envelope stands.
    pub(crate) leaf: Leaf,
    pub(crate) fact: ProvenFact,
    /// Covers both.
    pub(crate) checkpoint: String,
}

/// A receipt whose proof and seals hold.
#[derive(Debug, Clone)]
pub(crate) struct VerifiedReceipt {
    pub(crate) receipt: Receipt,
    pub(crate) file: Bytes,
    pub(crate) leaf: Leaf,
    pub(crate) checkpoint: String,
}

impl Trust {
    /// Checks that `bytes` are the leaf that the entry names, under the checkpoint.
    pub(super) fn check_leaf(&self, bytes: &[u8], entry: &pb::LoggedEntry, opened: &Opened) -> Result<Leaf, TrustError> {
        let index = LeafIndex(entry.leaf);
        let proven = opened.prove(index, path(&entry.path)?, &leaf_hash(bytes));
        proven.map_err(|cause| TrustError::invalid(format!("leaf {index}: {cause}")))?;
        Ok(Leaf { index, path: entry.path.to_vec() })
    }

    /// The answer to a statement that this edge submitted: `file` is what was sent.
    pub(crate) fn check_acceptance(&self, file: &[u8], acceptance: &pb::Acceptance) -> Result<Acceptance, TrustError> {
        let opened = self.open_checkpoint(&acceptance.checkpoint)?;
        self.check_leaves(file, || sha256(file), acceptance, &opened)
    }

    /// The same for one who knows the digest of what was sent.
    pub(crate) fn check_acceptance_of(&self, file: &[u8], digest: Digest, acceptance: &pb::Acceptance) -> Result<Acceptance, TrustError> {
        let opened = self.open_checkpoint(&acceptance.checkpoint)?;
        self.check_leaves(file, || digest, acceptance, &opened)
    }

    /// The same under a checkpoint that was opened; for the digest of the file is asked when there is a fact about it.
    fn check_leaves(
        &self,
        file: &[u8],
        digest: impl FnOnce() -> Digest,
        acceptance: &pb::Acceptance,
        opened: &Opened,
    ) -> Result<Acceptance, TrustError> {
        let statement = acceptance.statement.as_ref().ok_or_else(|| TrustError::invalid("an acceptance without the statement's place"))?;
        let leaf = self.check_leaf(file, statement, opened)?;
        let fact = acceptance.fact.as_ref().map(|fact| self.check_fact(digest(), leaf.index, fact, opened)).transpose()?;
        Ok(Acceptance { leaf, fact, checkpoint: acceptance.checkpoint.clone() })
    }

    /// The fact about an envelope: a leaf too, about the bytes with this digest at this place.
    fn check_fact(&self, envelope: Digest, leaf: LeafIndex, entry: &pb::LoggedEntry, opened: &Opened) -> Result<ProvenFact, TrustError> {
        if entry.entry.len() > FACT_BYTES_MAX {
            return Err(TrustError::invalid(format!("a fact of {} bytes, at most {FACT_BYTES_MAX} are taken", entry.entry.len())));
        }
        let fact_leaf = self.check_leaf(&entry.entry, entry, opened)?;
        let fact = match Fact::parse(&entry.entry) {
            Ok(Fact::Accepted(accepted)) => accepted,
            Ok(other) => return Err(TrustError::invalid(format!("the fact of an acceptance says {}", other.event().as_str()))),
            Err(cause) => return Err(TrustError::Invalid(cause.to_refusal())),
        };
        if fact.envelope != envelope || fact.leaf != leaf {
            return Err(TrustError::invalid(format!("the fact at leaf {} is about other bytes", entry.leaf)));
        }
        Ok(ProvenFact { fact, bytes: entry.entry.clone(), leaf: fact_leaf })
    }

    /// A document on offer, with everything that can be checked of it without its attachments. `agency` is the reader, `served_by` the directory.
    pub(crate) fn check_delivery(
        &self,
        agency: &AgencyCode,
        recipient: &OrganisationCode,
        queue_position: u64,
        acceptance: &pb::Acceptance,
    ) -> Result<VerifiedDelivery, TrustError> {
        let file = acceptance.statement.as_ref().map(|statement| statement.entry.clone()).unwrap_or_default();
        if file.is_empty() || file.len() > STATEMENT_FILE_BYTES_MAX {
            return Err(TrustError::invalid(format!("a delivery with an envelope of {} bytes", file.len())));
        }
        // First: two histories of the log are worse than whatever is wrong with the bytes.
        let opened = self.open_checkpoint(&acceptance.checkpoint)?;
        let Sealed { statement, digest, dsse } = open_sealed(&file).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        let Statement::Envelope(envelope) = statement else { return Err(TrustError::invalid("a delivery that is no envelope")) };
        let Acceptance { leaf, fact, checkpoint } = self.check_leaves(&file, || digest, acceptance, &opened)?;
        let proven = fact.ok_or_else(|| TrustError::invalid("a delivery without the axis fact"))?;
        let fact = &proven.fact;
        self.check_registry(fact.registry_version)?;
        self.check_seals(&dsse, &envelope.required_signers, &envelope.sender.agency, fact.block_time)?;
        let codes_match = envelope.recipients.iter().eq(fact.queue.iter().map(|queued| &queued.recipient));
        if fact.message_id != envelope.message_id || !codes_match {
            return Err(TrustError::invalid(format!("the fact about {} names another message or other recipients", envelope.message_id)));
        }
        let queued = fact.queue.iter().find(|queued| queued.recipient == *recipient && queued.agency == *agency);
        match queued {
            Some(queued) if queued.position.0 == queue_position => Ok(VerifiedDelivery { envelope, file, leaf, fact: proven, checkpoint }),
            Some(queued) => Err(TrustError::invalid(format!("queue position {queue_position}, the fact says {}", queued.position))),
            None => Err(TrustError::invalid(format!("{} is not for {recipient} of {agency}", envelope.message_id))),
        }
    }

    /// A receipt of the feed: it is in the log and its agency sealed it. That it is about documents of this agency is for the caller to check.
    pub(crate) fn check_receipt(&self, agency: &AgencyCode, at: Timestamp, item: &pb::FeedItem) -> Result<VerifiedReceipt, TrustError> {
        let opened = self.open_checkpoint(&item.checkpoint)?;
        let entry = item.statement.as_ref().ok_or_else(|| TrustError::invalid("a feed item without a statement"))?;
        let file = entry.entry.clone();
        let leaf = self.check_leaf(&file, entry, &opened)?;
        // Nothing names a receipt by its digest here.
        let dsse = DsseFile::parse(&file).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        let statement = Statement::parse(&dsse.payload).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        let Statement::Receipt(receipt) = statement else { return Err(TrustError::invalid("a feed item that is no receipt")) };
        if receipt.original_sender != *agency {
            return Err(TrustError::invalid(format!("receipt {} is about documents of {}", receipt.receipt_id, receipt.original_sender)));
        }
        // A receipt names no registry version and no time of the axis: its own time decides, and a key unknown here may be a new one.
        let at = receipt.created_at.min(at);
        self.check_seals(&dsse, &receipt.required_signers, &receipt.issuer, at)?;
        Ok(VerifiedReceipt { receipt, file, leaf, checkpoint: item.checkpoint.clone() })
    }

    fn check_registry(&self, needed: u64) -> Result<(), TrustError> {
        let known = self.registry().version();
        if needed > known { Err(TrustError::RegistryBehind { needed, known }) } else { Ok(()) }
    }

    /// Every seal is by a key of the agency that the statement is of.
    fn check_seals(&self, dsse: &DsseFile, signers: &[RequiredSigner], agency: &AgencyCode, at: Timestamp) -> Result<(), TrustError> {
        let registry = self.registry();
        let (known, keys) = (registry.version(), registry.keys());
        if signers.iter().any(|signer| keys.key(&signer.keyid).is_none()) {
            return Err(TrustError::RegistryBehind { needed: known + 1, known });
        }
        if let Some(signer) = signers.iter().find(|signer| keys.key(&signer.keyid).and_then(|key| key.agency()) != Some(agency)) {
            return Err(TrustError::invalid(format!("key {} does not belong to {agency}", signer.keyid)));
        }
        verify_seals(dsse, signers, at, |keyid| keys.key(keyid)).map_err(|cause| TrustError::Invalid(cause.to_refusal()))
    }
}
