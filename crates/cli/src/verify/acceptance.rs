//! What the sender said and what the axis said of it: the envelope, the accepted fact that names it, and later facts.
//!
//! Not what the recipients said: `receipts.rs`.

use truc_signing::statement::{Accepted, Envelope, Fact, FactEvent, ObservedLog, QueueEntry, RecipientFact};
use truc_signing::{Sealed, Statement, open_sealed};
use truc_types::Timestamp;
use truc_types::limits::{CLOCK_SKEW_MILLIS_MAX, ENVELOPE_AGE_DAYS_MAX};

use super::folder::{ENVELOPE, Folder, Logged};
use super::log::{Log, Place};
use super::report::Report;
use super::seals;
use super::trust::Trust;

const DAY_MILLIS: u64 = 86_400_000;

/// The envelope as it was read.
pub(super) struct Sent {
    pub(super) envelope: Envelope,
    pub(super) sealed: Sealed,
}

/// What the axis said, as far as it holds.
#[derive(Default)]
pub(super) struct Acceptance {
    /// Time of the accepted fact.
    pub(super) block_time: Option<Timestamp>,
    /// Who is served by whom, successors of dead codes included.
    pub(super) queue: Vec<QueueEntry>,
    place: Option<Place>,
}

impl Acceptance {
    /// Whether a place is in the log after the accepted fact; `true` where that cannot be told.
    pub(super) fn is_before(&self, place: &Place) -> bool {
        self.place.as_ref().is_none_or(|accepted| place.is_after(accepted))
    }
}

/// Reads the envelope.
pub(super) fn read_envelope(folder: &Folder, report: &mut Report) -> Option<Sent> {
    // That it is missing was recorded with its proof.
    let bytes = folder.envelope.statement.as_deref()?;
    let read = open_sealed(bytes).map_err(|fault| fault.to_string()).and_then(|sealed| match &sealed.statement {
        Statement::Envelope(envelope) => Ok(Sent { envelope: Envelope::clone(envelope), sealed }),
        other => Err(format!("it is a statement of type {}", other.predicate_type())),
    });
    match read {
        Ok(sent) => {
            let Envelope { message_id, sender, recipients, .. } = &sent.envelope;
            let detail =
                format!("message {message_id} from {} ({}) to {} recipients", sender.organisation, sender.agency, recipients.len());
            report.passed("envelope.form", ENVELOPE, detail);
            Some(sent)
        }
        Err(fault) => {
            report.failed("envelope.form", ENVELOPE, fault);
            None
        }
    }
}

/// Checks the facts against the envelope, and the envelope's seal and times against the accepted fact.
pub(super) fn check(folder: &Folder, sent: &Sent, trust: &Trust, log: &Log, report: &mut Report) -> Acceptance {
    let facts = read_facts(folder, report);
    let acceptance = check_accepted(&facts, sent, log, report);
    for (logged, fact) in &facts {
        if fact.event() != FactEvent::Accepted {
            report.result("fact.later", &logged.path, check_later(fact, log.places.get(&logged.path), sent, &acceptance));
        }
    }
    let envelope = &sent.envelope;
    if let Some(block_time) = acceptance.block_time {
        seals::check("envelope.seal", ENVELOPE, &sent.sealed, &envelope.sender.agency, block_time, trust, report);
        report.result("envelope.time", ENVELOPE, check_time(envelope, block_time));
    } else {
        report.indeterminate("envelope.seal", ENVELOPE, "without an accepted fact there is no time to judge the certificate at");
    }
    if let Some(place) = log.places.get(ENVELOPE) {
        check_observed(ENVELOPE, envelope.observed_log.as_ref(), place, log, report);
    }
    acceptance
}

/// Checks that the checkpoint its signer had seen is of the same history and older than the statement.
pub(super) fn check_observed(file: &str, observed: Option<&ObservedLog>, place: &Place, log: &Log, report: &mut Report) {
    let Some(observed) = observed else { return };
    let ObservedLog { origin, size, root } = observed;
    let result = if *origin > place.checkpoint.origin {
        Err(format!("it was sealed after the log {origin} began, but stands in {}", place.checkpoint.origin))
    } else if *origin == place.checkpoint.origin && *size > place.leaf.0 {
        Err(format!("it was sealed when the log had {size} leaves, but is leaf {}", place.leaf))
    } else if log.root(origin, *size).is_some_and(|known| known != *root) {
        Err(format!("it saw another root of {size} leaves than the log signed: two histories"))
    } else {
        Ok(format!("sealed after the log had {size} leaves"))
    };
    report.result("log.observed", file, result);
}

fn read_facts<'f>(folder: &'f Folder, report: &mut Report) -> Vec<(&'f Logged, Fact)> {
    let mut facts = Vec::new();
    for logged in folder.facts.values() {
        let Some(bytes) = logged.statement.as_deref() else { continue };
        match Fact::parse(bytes) {
            Ok(fact) if fact.event().as_str() == logged.event => facts.push((logged, fact)),
            Ok(fact) => report.failed("fact.form", &logged.path, format!("the fact is {}", fact.event().as_str())),
            Err(fault) => report.failed("fact.form", &logged.path, fault),
        }
    }
    facts
}

fn check_accepted(facts: &[(&Logged, Fact)], sent: &Sent, log: &Log, report: &mut Report) -> Acceptance {
    let mut accepted = facts.iter().filter_map(|(logged, fact)| match fact {
        Fact::Accepted(accepted) => Some((*logged, accepted)),
        _ => None,
    });
    let Some((logged, fact)) = accepted.next() else {
        report.indeterminate("fact.accepted", "facts", "the axis' fact that it accepted the envelope is missing");
        return Acceptance::default();
    };
    if let Some((again, _)) = accepted.next() {
        report.failed("fact.accepted", &again.path, "a message is accepted once");
    }
    let place = log.places.get(&logged.path);
    report.result("fact.accepted", &logged.path, compare(fact, sent, log.places.get(ENVELOPE), place));
    let forwarded = facts.iter().filter_map(|(_, fact)| match fact {
        Fact::Forwarded(forwarded) => Some(forwarded.to.clone()),
        _ => None,
    });
    Acceptance { block_time: Some(fact.block_time), queue: fact.queue.iter().cloned().chain(forwarded).collect(), place: place.cloned() }
}

/// Checks that the fact is about this envelope, at its place, for all its recipients.
fn compare(fact: &Accepted, sent: &Sent, envelope_place: Option<&Place>, fact_place: Option<&Place>) -> Result<String, String> {
    let envelope = &sent.envelope;
    if (fact.message_id, fact.envelope) != (envelope.message_id, sent.sealed.digest) {
        return Err(format!("it accepts message {} with digest {}, which is another envelope", fact.message_id, fact.envelope));
    }
    if let Some(place) = envelope_place {
        if place.leaf != fact.leaf {
            return Err(format!("it says that the envelope is leaf {}, but the envelope is proved at leaf {}", fact.leaf, place.leaf));
        }
        if fact_place.is_some_and(|fact| fact.checkpoint.origin != place.checkpoint.origin || !fact.is_after(place)) {
            return Err("it does not stand after the envelope in the same log".to_owned());
        }
    }
    if !fact.queue.iter().map(|entry| &entry.recipient).eq(&envelope.recipients) {
        return Err("its recipients are not those of the envelope".to_owned());
    }
    Ok(format!("accepted at {} as leaf {}, queued for {} recipients", fact.block_time, fact.leaf, fact.queue.len()))
}

fn check_later(fact: &Fact, place: Option<&Place>, sent: &Sent, acceptance: &Acceptance) -> Result<String, String> {
    let RecipientFact { message_id, envelope, recipient, block_time, .. } = match fact {
        Fact::Expired(fact) | Fact::Parked(fact) => fact,
        Fact::Forwarded(fact) => &fact.from,
        Fact::Accepted(_) | Fact::Rejected(_) => return Err("it has no place in the evidence of an accepted document".to_owned()),
    };
    if (*message_id, *envelope) != (sent.envelope.message_id, sent.sealed.digest) {
        return Err(format!("it is about message {message_id}, which is another envelope"));
    }
    if acceptance.queue.iter().all(|entry| entry.recipient != *recipient) {
        return Err(format!("{recipient} is none of the recipients"));
    }
    if acceptance.block_time.is_some_and(|accepted| *block_time < accepted) || place.is_some_and(|place| !acceptance.is_before(place)) {
        return Err("it comes before the acceptance".to_owned());
    }
    Ok(format!("{} for {recipient} at {block_time}", fact.event().as_str()))
}

fn check_time(envelope: &Envelope, block_time: Timestamp) -> Result<String, String> {
    let created_at = envelope.created_at;
    if created_at.millis_since(block_time) > CLOCK_SKEW_MILLIS_MAX {
        return Err(format!("sealed at {created_at}, which is after its acceptance at {block_time}"));
    }
    if block_time.millis_since(created_at) > ENVELOPE_AGE_DAYS_MAX * DAY_MILLIS {
        return Err(format!("sealed at {created_at}, more than {ENVELOPE_AGE_DAYS_MAX} days before its acceptance at {block_time}"));
    }
    Ok(format!("sealed at {created_at}, accepted at {block_time}"))
}
