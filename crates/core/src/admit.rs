//! Admission: everything that can be checked of a statement without the tentative state. Pure and without order, so many threads may do it.
//!
//! Order of the checks: size → DSSE shell → strict payload → identity → seals → limits of the axis. Not here: who the recipients are, ids and
//! sequence numbers (they need the state, `decide` does it), and whether attachments are there (that needs the disk). The limits of the axis are the
//! ones that genesis publishes; those of the format hold beside them.

use std::sync::Arc;

use truc_signing::statement::{Envelope, PublishedLimits, Receipt, RequiredSigner, SignerRole, Statement};
use truc_signing::{SealError, open_sealed};
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
    let limits = registry.genesis().map(|genesis| &genesis.limits);
    if let Some(limits) = limits {
        check_limit("statement bytes", file.len(), limits.statement_bytes, Reason::StatementTooLarge)?;
    }
    match &sealed.statement {
        Statement::Envelope(envelope) => check_envelope(now, limits, envelope)?,
        Statement::Receipt(receipt) => check_receipt(now, limits, receipt)?,
        Statement::SenderHead(head) => check_not_from_future(now, head.created_at)?,
        Statement::Fact(_) | Statement::Registry(_) => {}
    }
    let digest = Some(sealed.digest);
    let entry = Entry { bytes: file, digest, statement: sealed.statement };
    Ok(Admitted { entry, id, agency })
}

/// The signers that a statement names must be keys of the agency it is of, under the certificate that the registry holds, valid at `now`; one of them
/// must be its seal. An approver alone seals nothing.
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
        if key.cert_sha256 != signer.cert_sha256 || key.role != signer.role {
            let (keyid, expected, found) = (signer.keyid, key.cert_sha256, signer.cert_sha256);
            return Err(SealError::CertificateSwapped { keyid, expected, found }.to_refusal());
        }
        key.check_time(now).map_err(|cause| cause.to_refusal())?;
    }
    if signers.iter().all(|signer| signer.role != SignerRole::Seal) {
        return Err(SealError::Missing.to_refusal());
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

fn check_envelope(now: Timestamp, limits: Option<&PublishedLimits>, envelope: &Envelope) -> Result<(), Refusal> {
    check_not_from_future(now, envelope.created_at)?;
    let age_days = now.millis_since(envelope.created_at) / 86_400_000;
    let age_days_max = limits.map_or(ENVELOPE_AGE_DAYS_MAX, |limits| limits.envelope_age_days.min(ENVELOPE_AGE_DAYS_MAX));
    if age_days >= age_days_max {
        let message = format!("the envelope was created {age_days} days ago, below {age_days_max} are taken");
        return Err(Refusal::new(Reason::MessageTooOld, message).with("age_days", age_days).with("limit", age_days_max));
    }
    limits.map_or(Ok(()), |limits| check_published_limits(limits, envelope))
}

/// The counts and sizes of an envelope against the limits that genesis publishes. For the broker, and for edges before they take the attachments.
///
/// # Errors
/// The first that is over, with the limit.
pub fn check_published_limits(limits: &PublishedLimits, envelope: &Envelope) -> Result<(), Refusal> {
    check_limit("recipients", envelope.recipients.len(), limits.recipients, Reason::StatementTooLong)?;
    check_limit("attachments", envelope.attachments.len(), limits.attachments, Reason::AttachmentTooMany)?;
    if let Some(attachment) = envelope.attachments.iter().find(|attachment| attachment.size > limits.attachment_bytes) {
        let message = format!("an attachment has {} bytes, this axis takes {}", attachment.size, limits.attachment_bytes);
        return Err(Refusal::new(Reason::AttachmentTooLarge, message)
            .with("found", attachment.size)
            .with("limit", limits.attachment_bytes));
    }
    Ok(())
}

fn check_receipt(now: Timestamp, limits: Option<&PublishedLimits>, receipt: &Receipt) -> Result<(), Refusal> {
    check_not_from_future(now, receipt.created_at)?;
    if let Some(limits) = limits {
        check_limit("receipt items", receipt.items.len(), limits.receipt_items, Reason::StatementTooLong)?;
    }
    receipt.items.iter().try_for_each(|item| check_not_from_future(now, item.event_time))
}

fn check_limit(what: &str, found: usize, limit: u64, reason: Reason) -> Result<(), Refusal> {
    if found as u64 > limit {
        return Err(Refusal::new(reason, format!("{found} {what}, this axis takes {limit}")).with("found", found).with("limit", limit));
    }
    Ok(())
}

fn check_not_from_future(now: Timestamp, time: Timestamp) -> Result<(), Refusal> {
    let ahead = time.millis_since(now);
    if ahead > CLOCK_SKEW_MILLIS_MAX {
        let message = format!("{time} is {ahead} ms ahead of the axis, which has {now}");
        return Err(Refusal::new(Reason::MessageFromFuture, message).with("found", time).with("axis_time", now));
    }
    Ok(())
}
