//! Registry statements: in the log, sealed by the operator, one version after the other; and the keys that follow from them.

use std::sync::Arc;

use truc_proto::broker::v1 as pb;
use truc_signing::open_sealed;
use truc_signing::statement::{Registry, RegistryEvent, Statement};
use truc_types::{LeafIndex, Position};

use super::{Trust, TrustError};
use crate::record::Leaf;

/// A registry statement whose seal and proof hold.
#[derive(Debug, Clone)]
pub(crate) struct VerifiedEntry {
    /// The registry's version after it.
    pub(crate) version: u64,
    /// Where it stands.
    pub(crate) leaf: Leaf,
    /// The DSSE file.
    pub(crate) file: Vec<u8>,
    /// What it says.
    pub(crate) statement: Registry,
}

impl Trust {
    /// Checks statements from the line that should follow version `after`; statements at or below it are passed over.
    pub(crate) fn check_registry_entries(
        &self,
        after: u64,
        entries: &[pb::LoggedEntry],
        checkpoint: &str,
    ) -> Result<Vec<VerifiedEntry>, TrustError> {
        let mut verified = Vec::with_capacity(entries.len());
        if entries.is_empty() {
            return Ok(verified);
        }
        let opened = self.open_checkpoint(checkpoint)?;
        let mut next = after + 1;
        for entry in entries {
            let leaf = self.check_leaf(&entry.entry, entry, &opened)?;
            let statement = self.check_registry_statement(&entry.entry)?;
            if statement.version < next {
                continue;
            }
            if statement.version != next {
                return Err(TrustError::invalid(format!("version {} of the registry after {}", statement.version, next - 1)));
            }
            next += 1;
            verified.push(VerifiedEntry { version: statement.version, leaf, file: entry.entry.to_vec(), statement });
        }
        Ok(verified)
    }

    fn check_registry_statement(&self, file: &[u8]) -> Result<Registry, TrustError> {
        let sealed = open_sealed(file).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        let Statement::Registry(registry) = &sealed.statement else { return Err(TrustError::invalid("a registry entry of another kind")) };
        let registry = registry.clone();
        let operator = |keyid: &truc_types::Digest| (*keyid == self.operator.keyid).then_some(&self.operator);
        sealed.verify(registry.at, operator).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        if let RegistryEvent::Genesis(genesis) = &registry.event {
            let log = self.log.key().to_string();
            if genesis.log_vkey.trim_end() != log || genesis.operator_keyid != self.operator.keyid {
                return Err(TrustError::invalid("genesis names another log key or operator than this edge trusts"));
            }
        }
        Ok(registry)
    }

    /// Takes up a statement that was verified before it was recorded.
    pub(crate) fn adopt_recorded(&self, leaf: LeafIndex, file: &[u8]) -> Result<(), TrustError> {
        let sealed = open_sealed(file).map_err(|cause| TrustError::Invalid(cause.to_refusal()))?;
        match &sealed.statement {
            Statement::Registry(registry) => self.adopt(leaf, registry),
            other => Err(TrustError::invalid(format!("a registry entry that is a {}", other.predicate_type()))),
        }
    }

    /// Makes the next version. One that does not follow changes nothing.
    pub(crate) fn adopt(&self, leaf: LeafIndex, statement: &Registry) -> Result<(), TrustError> {
        let mut current = self.registry.write();
        // A connection that broke between this and the record: the next one reads the statement again.
        if statement.version <= current.version() {
            return Ok(());
        }
        // Readers keep the version that they have; what does not change is shared with it.
        let mut next = truc_core::registry::Registry::clone(&current);
        next.apply(Position(leaf.0), statement).map_err(|cause| TrustError::invalid(cause.to_string()))?;
        *current = Arc::new(next);
        Ok(())
    }
}
