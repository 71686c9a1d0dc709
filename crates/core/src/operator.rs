//! A registry statement on its way into a log that runs: what must hold of it alone, then what the registry that it follows says to it.
//!
//! Not genesis, which begins a log, and not the statements of agencies: those are `admit` and `decide`.

use std::sync::Arc;

use truc_signing::statement::{self as st, CertificateAdded, RegistryEvent, Statement};
use truc_signing::{Authority, Certificate, CertificateError, TrustedKey, open_sealed};
use truc_types::limits::{CLOCK_SKEW_MILLIS_MAX, STATEMENT_FILE_BYTES_MAX};
use truc_types::{AgencyCode, OrganisationCode, Reason, Refusal, Timestamp};

use crate::apply::ApplyError;
use crate::decide::{Decision, Outcome};
use crate::entry::Entry;
use crate::registry::Registry;
use crate::state::State;

/// Checks a registry statement that the operator brings: form, kind, seal of the operator that genesis names, certificates in it.
///
/// # Errors
/// The first thing that is wrong. Nothing of it is in the log.
pub fn admit_registry(now: Timestamp, registry: &Registry, file: Arc<[u8]>) -> Result<Entry, Refusal> {
    if file.len() > STATEMENT_FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, {STATEMENT_FILE_BYTES_MAX} are taken", file.len());
        return Err(Refusal::new(Reason::StatementTooLarge, message).with("found", file.len()).with("limit", STATEMENT_FILE_BYTES_MAX));
    }
    let sealed = open_sealed(&file).map_err(|cause| cause.to_refusal())?;
    let Statement::Registry(statement) = &sealed.statement else {
        let message = format!("{} is no registry statement", sealed.statement.predicate_type());
        return Err(Refusal::new(Reason::StatementUnsupported, message));
    };
    let operator = operator_key(registry)?;
    let known = |keyid: &truc_types::Digest| (*keyid == operator.keyid).then_some(&operator);
    // Edges verify it at the time that it states, an auditor at the time of its block.
    for at in [statement.at, now] {
        sealed.verify(at, known).map_err(|cause| cause.to_refusal())?;
    }
    let ahead = statement.at.millis_since(now);
    if ahead > CLOCK_SKEW_MILLIS_MAX {
        let message = format!("{} is {ahead} ms ahead of the axis, which has {now}", statement.at);
        return Err(Refusal::new(Reason::MessageFromFuture, message).with("found", statement.at).with("axis_time", now));
    }
    match &statement.event {
        RegistryEvent::AgencyJoined(_) | RegistryEvent::OrganisationsAdded(_) => {}
        RegistryEvent::CertificateAdded(added) => check_certificate(now, registry, added)?,
        event @ (RegistryEvent::Genesis(_) | RegistryEvent::CertificateRevoked(_)) => {
            let message = format!("a log that runs takes no statement {:?}", event.name().as_str());
            return Err(Refusal::new(Reason::StatementUnsupported, message).with("event", event.name().as_str()));
        }
    }
    Ok(Entry { bytes: file, digest: Some(sealed.digest), statement: sealed.statement })
}

/// Decides on a statement that [`admit_registry`] let through. Nothing is logged of one that is refused: the operator brought it, and is told.
#[must_use]
pub fn decide_registry(block_time: Timestamp, state: &State, entry: Entry) -> Decision {
    match check_next(block_time, state, &entry) {
        Ok(()) => Decision { entries: vec![entry], outcome: Outcome::Accepted { statement: state.next(), has_fact: false } },
        Err(refusal) => Decision { entries: Vec::new(), outcome: Outcome::Refused(refusal) },
    }
}

fn check_next(block_time: Timestamp, state: &State, entry: &Entry) -> Result<(), Refusal> {
    let registry = state.registry();
    let Statement::Registry(statement) = &entry.statement else {
        return Err(Refusal::new(Reason::StatementUnsupported, "no registry statement"));
    };
    let (found, expected) = (statement.version, registry.version() + 1);
    if found != expected {
        let message = format!("the statement makes version {found} of the registry, the next one is {expected}");
        return Err(Refusal::new(Reason::RegistryVersion, message).with("found", found).with("expected", expected));
    }
    operator_key(registry)?.check_time(block_time).map_err(|cause| cause.to_refusal())?;
    check_keeps(registry, &statement.event)?;
    // A statement that does not apply leaves a registry unusable: it is tried on another one, which shares what is large.
    match Registry::clone(registry).apply(state.next(), statement) {
        Ok(()) => Ok(()),
        Err(ApplyError::RegistryContent { cause, .. }) => Err(Refusal::new(Reason::RegistryContradiction, cause)),
        Err(cause) => Err(Refusal::new(Reason::RegistryContradiction, cause.to_string())),
    }
}

/// What is in the log already must go on meaning what it meant: documents that wait for an organisation are fetched by the agency that served it when they
/// were accepted, and their seals are verified with the certificates that they name. Moving an organisation and renewing the certificate of a key would
/// strand them. `apply` does not ask: it takes what a log has.
fn check_keeps(registry: &Registry, event: &RegistryEvent) -> Result<(), Refusal> {
    match event {
        RegistryEvent::AgencyJoined(joined) => {
            let (code, old_code) = (OrganisationCode::from(&joined.agency), joined.old_code.as_ref().map(OrganisationCode::from));
            check_organisation(registry, &code, old_code.as_ref(), &joined.agency)
        }
        RegistryEvent::OrganisationsAdded(added) => {
            for organisation in added {
                let st::Organisation { code, old_code, served_by, .. } = organisation;
                check_organisation(registry, code, old_code.as_ref(), served_by)?;
                if added.iter().any(|other| other.code != *code && Some(&other.code) == old_code.as_ref()) {
                    return contradiction(format!("the old code of {code} is the code of another organisation of this statement"));
                }
            }
            Ok(())
        }
        RegistryEvent::CertificateAdded(added) => check_new_key(registry, added),
        RegistryEvent::Genesis(_) | RegistryEvent::CertificateRevoked(_) => Ok(()),
    }
}

fn check_organisation(
    registry: &Registry,
    code: &OrganisationCode,
    old_code: Option<&OrganisationCode>,
    served_by: &AgencyCode,
) -> Result<(), Refusal> {
    if let Some((own, organisation)) = registry.organisation(code) {
        if own != code {
            return contradiction(format!("{code} is the old code of {own}"));
        }
        // What is wrong with changing the axis itself, `apply` says better.
        let is_axis = registry.axis_agency() == Some(organisation.served_by);
        if !is_axis && registry.agency_index(served_by) != Some(organisation.served_by) {
            let serves = registry.agency(organisation.served_by).map_or("another agency", |agency| agency.code.as_str());
            return contradiction(format!("{code} is served by {serves}: this release does not move it to {served_by}"));
        }
    }
    match old_code.and_then(|old| registry.organisation(old)) {
        Some((own, _)) if own != code => contradiction(format!("the old code of {code} leads to {own}")),
        _ => Ok(()),
    }
}

fn check_new_key(registry: &Registry, added: &CertificateAdded) -> Result<(), Refusal> {
    let Ok(certificate) = Certificate::from_der(&added.certificate) else {
        return contradiction(format!("the certificate of {} is none", added.agency));
    };
    let key = certificate.trusted_key(added.role);
    match registry.keys().key(&key.keyid) {
        Some(known) if (&known.owner, known.role, known.cert_sha256) != (&key.owner, key.role, key.cert_sha256) => contradiction(format!(
            "key {} has another certificate already: a new certificate of {} needs a new key",
            key.keyid, added.agency
        )),
        _ => Ok(()),
    }
}

fn contradiction<T>(message: String) -> Result<T, Refusal> {
    Err(Refusal::new(Reason::RegistryContradiction, message))
}

fn operator_key(registry: &Registry) -> Result<TrustedKey, Refusal> {
    let missing = |cause: String| Refusal::new(Reason::JournalCorrupt, cause);
    let key = registry.operator_key().ok_or_else(|| missing("the log has no genesis".to_owned()))?;
    key.map_err(|cause| missing(format!("operator certificate of genesis: {cause}")))
}

/// What genesis asks of certificates, too: of the authority, valid now, with a key that nobody else can seal with.
fn check_certificate(now: Timestamp, registry: &Registry, added: &CertificateAdded) -> Result<(), Refusal> {
    let of = |cause: String| Refusal::new(Reason::RegistryContradiction, format!("certificate of {}: {cause}", added.agency));
    let certificate = Certificate::from_der(&added.certificate).map_err(|cause| match cause {
        CertificateError::WeakKey => {
            let refusal = Refusal::new(Reason::SealWeakKey, format!("certificate of {}: {cause}", added.agency));
            refusal.with("agency", &added.agency)
        }
        cause => of(cause.to_string()),
    })?;
    let genesis = registry.genesis().ok_or_else(|| of("the log has no genesis".to_owned()))?;
    let authority = Authority::from_pem(&genesis.ca_pem).map_err(|cause| of(format!("authority of genesis: {cause}")))?;
    authority.check(&certificate, now).map_err(|cause| of(cause.to_string()))
}
