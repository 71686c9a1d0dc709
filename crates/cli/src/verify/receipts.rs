//! What the recipients said: each receipt is about this envelope, from the agency that serves the recipient, and in a possible order.
//!
//! A receipt is its recipient's word and nobody else's: the axis cannot make one, and its seal is judged at the time it was sealed.

use std::collections::BTreeMap;

use truc_signing::statement::{QueueEntry, Receipt, ReceiptEvent, ReceiptItem};
use truc_signing::{Sealed, Statement, open_sealed};
use truc_types::limits::CLOCK_SKEW_MILLIS_MAX;
use truc_types::{OrganisationCode, Timestamp};

use super::acceptance::{Acceptance, Sent, check_observed};
use super::folder::{Folder, Logged};
use super::log::{Log, Place};
use super::report::Report;
use super::seals;
use super::trust::Trust;

/// What is known of one recipient, in the order of the receipts.
#[derive(Default)]
struct Steps {
    events: Vec<(ReceiptEvent, Timestamp)>,
    arrival_number: Option<String>,
}

/// Checks all receipts and tells per recipient what they prove.
pub(super) fn check(folder: &Folder, sent: &Sent, acceptance: &Acceptance, trust: &Trust, log: &Log, report: &mut Report) {
    let mut recipients: BTreeMap<OrganisationCode, Steps> = BTreeMap::new();
    let mut last: Option<&Place> = None;
    for logged in folder.receipts.values() {
        let Some((receipt, sealed)) = read(logged, report) else { continue };
        seals::check("receipt.seal", &logged.path, &sealed, &receipt.issuer, receipt.created_at, trust, report);
        report.result("receipt.subject", &logged.path, check_subject(&receipt, sent, acceptance));
        report.result("receipt.time", &logged.path, check_time(&receipt, sent, acceptance));
        if let Some(place) = log.places.get(&logged.path) {
            report.result("receipt.place", &logged.path, check_place(place, last, acceptance));
            check_observed(&logged.path, receipt.observed_log.as_ref(), place, log, report);
            last = Some(place);
        }
        for item in items(&receipt, sent) {
            let steps = recipients.entry(item.recipient.clone()).or_default();
            steps.events.push((receipt.event, item.event_time));
            steps.arrival_number = item.arrival_number.clone().or_else(|| steps.arrival_number.take());
        }
    }
    for (recipient, steps) in &recipients {
        check_order(recipient, steps, report);
    }
    for entry in &acceptance.queue {
        if !recipients.contains_key(&entry.recipient) {
            let detail = format!("in the queue of {} at position {}; no receipt here", entry.agency, entry.position);
            report.note("recipient.story", entry.recipient.as_str(), detail);
        }
    }
}

fn read(logged: &Logged, report: &mut Report) -> Option<(Receipt, Sealed)> {
    // That it is missing was recorded with its proof.
    let bytes = logged.statement.as_deref()?;
    let read = open_sealed(bytes).map_err(|fault| fault.to_string()).and_then(|sealed| match &sealed.statement {
        Statement::Receipt(receipt) if receipt.event.as_str() == logged.event => Ok((receipt.clone(), sealed)),
        Statement::Receipt(receipt) => Err(format!("the receipt says {}", receipt.event.as_str())),
        other => Err(format!("it is a statement of type {}", other.predicate_type())),
    });
    read.map_err(|fault| report.failed("receipt.form", &logged.path, fault)).ok()
}

/// The items about this message; a receipt may speak of others of the same sender.
fn items<'r>(receipt: &'r Receipt, sent: &Sent) -> impl Iterator<Item = &'r ReceiptItem> {
    let message_id = sent.envelope.message_id;
    receipt.items.iter().filter(move |item| item.message_id == message_id)
}

fn check_subject(receipt: &Receipt, sent: &Sent, acceptance: &Acceptance) -> Result<String, String> {
    let sender = &sent.envelope.sender.agency;
    if receipt.original_sender != *sender {
        return Err(format!("it is about documents of {}, this one is from {sender}", receipt.original_sender));
    }
    let mut about = Vec::new();
    for item in items(receipt, sent) {
        if item.envelope != sent.sealed.digest {
            return Err(format!("it is about the digest {}, the envelope has {}", item.envelope, sent.sealed.digest));
        }
        about.push(item.recipient.as_str());
        if acceptance.block_time.is_none() {
            // Without an accepted fact nobody knows who is served by whom; that it is missing is recorded.
            continue;
        }
        let entry = acceptance.queue.iter().find(|entry| entry.recipient == item.recipient);
        let QueueEntry { agency, position, .. } =
            entry.ok_or_else(|| format!("the axis did not queue the message for {}", item.recipient))?;
        if *agency != receipt.issuer {
            return Err(format!("{} is served by {agency}, but {} issued the receipt", item.recipient, receipt.issuer));
        }
        if item.queue_position.is_some_and(|found| found != *position) {
            return Err(format!("it names another queue position than {position}"));
        }
    }
    if about.is_empty() {
        return Err("it is not about this message".to_owned());
    }
    Ok(format!("{} by {} for {}", receipt.event.as_str(), receipt.issuer, about.join(", ")))
}

fn check_time(receipt: &Receipt, sent: &Sent, acceptance: &Acceptance) -> Result<String, String> {
    let created_at = receipt.created_at;
    let after = |later: Timestamp, earlier: Timestamp| earlier.millis_since(later) <= CLOCK_SKEW_MILLIS_MAX;
    for item in items(receipt, sent) {
        if acceptance.block_time.is_some_and(|accepted| !after(item.event_time, accepted)) {
            return Err(format!("the event at {} is before the acceptance", item.event_time));
        }
        if !after(created_at, item.event_time) {
            return Err(format!("sealed at {created_at}, before the event at {}", item.event_time));
        }
    }
    Ok(format!("sealed at {created_at}"))
}

fn check_place(place: &Place, last: Option<&Place>, acceptance: &Acceptance) -> Result<String, String> {
    if !acceptance.is_before(place) {
        return Err("it stands in the log before the acceptance".to_owned());
    }
    if last.is_some_and(|last| !place.is_after(last)) {
        return Err("it stands in the log before the receipt with the number below".to_owned());
    }
    Ok(format!("leaf {} follows", place.leaf))
}

/// fetched first and once; then acknowledged or refused, once; statuses after that.
fn check_order(recipient: &OrganisationCode, steps: &Steps, report: &mut Report) {
    use ReceiptEvent::{Acknowledged, Fetched, Refused, Status};
    let file = recipient.as_str();
    let count = |event| steps.events.iter().filter(|(found, _)| *found == event).count();
    let (fetched, answered) = (count(Fetched), count(Acknowledged) + count(Refused));
    if fetched > 1 || answered > 1 {
        report.failed("recipient.story", file, "a document is fetched once, and acknowledged or refused once");
        return;
    }
    if fetched == 0 && (answered > 0 || count(Status) > 0) {
        report.indeterminate("recipient.story", file, "the receipt that the document was fetched is missing");
        return;
    }
    let rank = |event| match event {
        Fetched => 0,
        Acknowledged | Refused => 1,
        _ => 2,
    };
    if !steps.events.is_sorted_by_key(|(event, _)| rank(*event)) {
        report.failed("recipient.story", file, "fetched comes first, then acknowledged or refused, then what follows");
        return;
    }
    let told: Vec<String> = steps.events.iter().map(|(event, at)| format!("{} {at}", event.as_str())).collect();
    let number = steps.arrival_number.as_ref().map(|number| format!(", arrival number {number}")).unwrap_or_default();
    report.passed("recipient.story", file, format!("{}{number}", told.join(", ")));
}
