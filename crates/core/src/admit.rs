//! Admission: everything that can be checked of a statement without the tentative state. Pure and without order, so many threads may do it.
//!
//! Order of the checks: size → DSSE shell → strict payload → identity → seals → limits of the axis. Not here: who the recipients are, ids and
//! sequence numbers (they need the state, `decide` does it), and whether attachments are there (that needs the disk).

use std::sync::Arc;

use truc_signing::open_sealed;
use truc_signing::statement::{Envelope, Receipt, RequiredSigner, Statement};
use truc_types::limits::{CLOCK_SKEW_MILLIS_MAX, ENVELOPE_AGE_DAYS_MAX};
use truc_types::{AgencyCode, EdgeTerm, MessageId, Reason, Refusal, Timestamp};

use crate::entry::Entry;
use crate::registry::{AgencyIndex, Registry};

/// A statement that passed admission.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The statement, ready to become an entry.
    pub entry: Entry,
    /// Its id.
    pub id: MessageId,
    /// The agency that sealed it, which is the one that is connected.
    pub agency: AgencyIndex,
    /// The registry that was used; `decide` checks the keys again if it has moved.
    pub registry_version: u64,
}

/// Checks a statement that an agency submits.
///
/// # Errors
/// The first thing that is wrong. Nothing of it is in the log.
pub fn admit(now: Timestamp, registry: &Registry, connected: &AgencyCode, file: Arc<[u8]>) -> Result<Admitted, Refusal> {
    let sealed = open_sealed(&file).map_err(|cause| cause.to_refusal())?;
    let (id, issuer) = match &sealed.statement {
        Statement::Envelope(envelope) => (envelope.message_id, &envelope.sender.agency),
        Statement::Receipt(receipt) => (receipt.receipt_id, &receipt.issuer),
        Statement::SenderHead(head) => (head.statement_id, &head.agency),
        Statement::Fact(_) | Statement::Registry(_) => {
            return Err(Refusal::new(Reason::StatementUnsupported, "an agency submits envelopes, receipts and sender heads only"));
        }
    };
    if issuer != connected {
        let refusal = Refusal::new(Reason::IdentityMismatch, format!("the statement is of {issuer}, the connection is of {connected}"));
        return Err(refusal.with("statement_agency", issuer).with("connected_agency", connected));
    }
    let agency = registry.agency_index(issuer).ok_or_else(|| unknown_agency(issuer))?;
    sealed.verify(now, |keyid| registry.keys().key(keyid)).map_err(|cause| cause.to_refusal())?;
    check_signers(now, registry, &sealed.statement)?;
    match &sealed.statement {
        Statement::Envelope(envelope) => check_envelope(now, registry, envelope)?,
        Statement::Receipt(receipt) => check_receipt(now, receipt)?,
        Statement::SenderHead(_) | Statement::Fact(_) | Statement::Registry(_) => {}
    }
    let digest = sealed.digest;
    let entry = Entry { bytes: file, digest, statement: sealed.statement };
    Ok(Admitted { entry, id, agency, registry_version: registry.version() })
}

/// The signers that a statement names must be keys of the agency it is of, valid now.
pub(crate) fn check_signers(now: Timestamp, registry: &Registry, statement: &Statement) -> Result<(), Refusal> {
    let Some((issuer, signers)) = issuer_and_signers(statement) else { return Ok(()) };
    for signer in signers {
        let key = registry.keys().key(&signer.keyid).ok_or_else(|| {
            Refusal::new(Reason::SealForeign, format!("key {} is not in the registry", signer.keyid)).with("keyid", signer.keyid)
        })?;
        if key.agency() != Some(issuer) {
            let refusal = Refusal::new(Reason::SealForeign, format!("key {} does not belong to {issuer}", signer.keyid));
            return Err(refusal.with("keyid", signer.keyid).with("agency", issuer));
        }
        key.check_time(now).map_err(|cause| cause.to_refusal())?;
    }
    Ok(())
}

/// The edge term that a statement was sealed in.
pub(crate) fn edge_term(statement: &Statement) -> EdgeTerm {
    match statement {
        Statement::Envelope(envelope) => envelope.edge_term,
        Statement::Receipt(receipt) => receipt.edge_term,
        Statement::SenderHead(head) => head.edge_term,
        Statement::Fact(_) | Statement::Registry(_) => EdgeTerm(0),
    }
}

fn issuer_and_signers(statement: &Statement) -> Option<(&AgencyCode, &[RequiredSigner])> {
    match statement {
        Statement::Envelope(envelope) => Some((&envelope.sender.agency, &envelope.required_signers)),
        Statement::Receipt(receipt) => Some((&receipt.issuer, &receipt.required_signers)),
        Statement::SenderHead(head) => Some((&head.agency, &head.required_signers)),
        Statement::Fact(_) | Statement::Registry(_) => None,
    }
}

fn unknown_agency(code: &AgencyCode) -> Refusal {
    Refusal::new(Reason::SenderUnknown, format!("agency {code} is not on this axis")).with("agency", code)
}

fn check_envelope(now: Timestamp, registry: &Registry, envelope: &Envelope) -> Result<(), Refusal> {
    check_not_from_future(now, envelope.created_at)?;
    let age_days = now.millis_since(envelope.created_at) / 86_400_000;
    if age_days >= ENVELOPE_AGE_DAYS_MAX {
        let message = format!("the envelope was created {age_days} days ago, at most {ENVELOPE_AGE_DAYS_MAX} are remembered");
        return Err(Refusal::new(Reason::MessageTooOld, message).with("age_days", age_days).with("limit", ENVELOPE_AGE_DAYS_MAX));
    }
    let Some(genesis) = registry.genesis() else { return Ok(()) };
    let limits = &genesis.limits;
    if envelope.attachments.len() as u64 > limits.attachments {
        let message = format!("{} attachments, this axis takes {}", envelope.attachments.len(), limits.attachments);
        return Err(Refusal::new(Reason::AttachmentTooMany, message).with("found", envelope.attachments.len()).with("limit", limits.attachments));
    }
    if let Some(attachment) = envelope.attachments.iter().find(|attachment| attachment.size > limits.attachment_bytes) {
        let message = format!("an attachment has {} bytes, this axis takes {}", attachment.size, limits.attachment_bytes);
        return Err(Refusal::new(Reason::AttachmentTooLarge, message).with("found", attachment.size).with("limit", limits.attachment_bytes));
    }
    Ok(())
}

fn check_receipt(now: Timestamp, receipt: &Receipt) -> Result<(), Refusal> {
    check_not_from_future(now, receipt.created_at)?;
    receipt.items.iter().try_for_each(|item| check_not_from_future(now, item.event_time))
}

fn check_not_from_future(now: Timestamp, time: Timestamp) -> Result<(), Refusal> {
    let ahead = time.millis_since(now);
    if ahead > CLOCK_SKEW_MILLIS_MAX {
        let message = format!("{time} is {ahead} ms ahead of the axis, which has {now}");
        return Err(Refusal::new(Reason::MessageFromFuture, message).with("found", time).with("axis_time", now));
    }
    Ok(())
}
