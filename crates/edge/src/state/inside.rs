//! The statements in records, for the state: read here in a replay, by whoever made the record in live work. All of them were verified before they were
//! recorded; what does not read is damage, or a defect.

use truc_signing::open_sealed;
use truc_signing::statement::{Accepted, Envelope, Fact, Receipt, Statement};

use super::StateError;
use super::apply::inconsistent;
use crate::record::{Inside, Record};

/// The envelope in a file that was verified before it was recorded.
fn envelope_of(file: &[u8]) -> Result<Envelope, StateError> {
    match open_sealed(file).map(|sealed| sealed.statement) {
        Ok(Statement::Envelope(envelope)) => Ok(*envelope),
        Ok(other) => Err(inconsistent(format!("an envelope is a {}", other.predicate_type()))),
        Err(cause) => Err(inconsistent(cause.to_string())),
    }
}

/// The acceptance in a fact that was verified before it was recorded.
fn accepted_fact(fact: &[u8]) -> Result<Accepted, StateError> {
    match Fact::parse(fact) {
        Ok(Fact::Accepted(accepted)) => Ok(accepted),
        Ok(other) => Err(inconsistent(format!("a fact says {}", other.event().as_str()))),
        Err(cause) => Err(inconsistent(cause.to_string())),
    }
}

/// The receipt in a file that was verified before it was recorded.
fn receipt_of(file: &[u8]) -> Result<Receipt, StateError> {
    match open_sealed(file).map(|sealed| sealed.statement) {
        Ok(Statement::Receipt(receipt)) => Ok(receipt),
        Ok(other) => Err(inconsistent(format!("a receipt is a {}", other.predicate_type()))),
        Err(cause) => Err(inconsistent(cause.to_string())),
    }
}

/// Reads the statement in a record that the state needs; it was verified before it was recorded.
pub(super) fn inside_of(record: &Record) -> Result<Option<Inside>, StateError> {
    Ok(Some(match record {
        Record::Drafted { draft, .. } => {
            Inside::Envelope(Box::new(Envelope::parse(draft).map_err(|cause| inconsistent(cause.to_string()))?))
        }
        Record::ArrivedEnvelope { file, .. } => Inside::Envelope(Box::new(envelope_of(file)?)),
        Record::Accepted { fact, .. } | Record::Arrived { fact, .. } => Inside::Accepted(accepted_fact(fact)?),
        Record::FeedReceipt { file, .. } | Record::ReceiptSealed { file, .. } => Inside::Receipt(Box::new(receipt_of(file)?)),
        _ => return Ok(None),
    }))
}

pub(super) fn envelope_in(inside: Option<Inside>) -> Result<Envelope, StateError> {
    match inside {
        Some(Inside::Envelope(envelope)) => Ok(*envelope),
        _ => Err(inconsistent("no envelope in a record that has one".to_owned())),
    }
}

pub(super) fn accepted_in(inside: Option<Inside>) -> Result<Accepted, StateError> {
    match inside {
        Some(Inside::Accepted(accepted)) => Ok(accepted),
        _ => Err(inconsistent("no acceptance in a record that has one".to_owned())),
    }
}

pub(super) fn receipt_in(inside: Option<Inside>) -> Result<Receipt, StateError> {
    match inside {
        Some(Inside::Receipt(receipt)) => Ok(*receipt),
        _ => Err(inconsistent("no receipt in a record that has one".to_owned())),
    }
}
