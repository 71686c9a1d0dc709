//! `decide`: what a command becomes, given the state. Pure: no clock, no IO; it changes nothing, `apply` does.

use truc_signing::statement::{
    Accepted, Business, Envelope, Fact, QueueEntry, Receipt, ReceiptEvent, Rejected, SenderHead, SenderHeadEvent, Statement,
};
use truc_types::names::ENVELOPE_V1;
use truc_types::{LeafIndex, OrganisationCode, Position, QueuePosition, Reason, Refusal, Retry, Timestamp};

use crate::admit::{Admitted, check_signers, edge_term};
use crate::apply::step_after;
use crate::entry::Entry;
use crate::registry::{AgencyIndex, Organisation, Registry};
use crate::sequence::Numbered;
use crate::state::{DeliveryStep, Known, State};

/// Refusals of one agency that are logged in one minute; more are answered but leave no fact.
pub const REJECTED_FACTS_PER_MINUTE_MAX: u32 = 60;

/// A statement that an agency submits, and what the shell found out about it.
#[derive(Debug)]
pub struct Submit {
    /// The statement.
    pub admitted: Admitted,
    /// What the index of sealed segments knows under its id.
    pub indexed: Option<Known>,
    /// How far that index reached when it was asked.
    pub indexed_through: Position,
    /// What the shell has against it: attachments that are not there.
    pub objection: Option<Refusal>,
    /// An edge of an older term is connected now, and nobody forced the takeover.
    pub older_term_connected: bool,
}

impl Submit {
    /// The index of sealed segments has moved on since it was asked: ask it again before deciding.
    #[must_use]
    pub fn is_stale(&self, state: &State) -> bool {
        self.indexed_through < state.forgotten_through
    }
}

/// What a command becomes.
#[derive(Debug)]
pub struct Decision {
    /// The entries to append, in order; empty for most refusals and for repetitions.
    pub entries: Vec<Entry>,
    /// What to answer, once the state it rests on is durable.
    pub outcome: Outcome,
}

/// What to answer.
#[derive(Debug)]
pub enum Outcome {
    /// The statement is an entry now.
    Accepted {
        /// Position of the statement.
        statement: Position,
        /// The fact about it is the next entry.
        has_fact: bool,
    },
    /// The same bytes are in the log already: the answer is the original acceptance.
    Repeated {
        /// Position of the statement.
        statement: Position,
        /// The fact about it is the next entry.
        has_fact: bool,
    },
    /// Not accepted.
    Refused(Refusal),
}

/// Decides on a submission. `block_time` is the time of the block that its entries go into, `shard_start` the position of the shard's first leaf.
///
/// The caller has looked a submission that [`Submit::is_stale`] up again: otherwise a repetition could pass as new.
#[must_use]
pub fn decide(block_time: Timestamp, shard_start: Position, state: &State, submit: Submit) -> Decision {
    debug_assert!(!submit.is_stale(state), "the index was asked before the state forgot");
    let has_fact = matches!(submit.admitted.entry.statement, Statement::Envelope(_));
    if let Some(known) = state.known(&submit.admitted.id).or(submit.indexed) {
        return if known.digest == submit.admitted.entry.digest() {
            Decision { entries: Vec::new(), outcome: Outcome::Repeated { statement: known.position, has_fact } }
        } else {
            let message = format!("{} belongs to other bytes, which are in the log at position {}", submit.admitted.id, known.position);
            let refusal = Refusal::new(Reason::MessageIdConflict, message).with("id", submit.admitted.id).with("position", known.position);
            refuse(block_time, state, &submit.admitted, refusal)
        };
    }
    match check(block_time, state, &submit) {
        Ok(queue) => accept(block_time, shard_start, state, submit.admitted, queue),
        Err(refusal) => refuse(block_time, state, &submit.admitted, refusal),
    }
}

/// Everything that needs the state. For an envelope, the queue positions that it gets.
fn check(block_time: Timestamp, state: &State, submit: &Submit) -> Result<Vec<QueueEntry>, Refusal> {
    let admitted = &submit.admitted;
    // Again, and at the time that the fact will state: the registry may have moved since admission, a certificate may have ended. An auditor
    // verifies the seal at the block time.
    check_signers(block_time, state.registry(), &admitted.entry.statement)?;
    if let Statement::SenderHead(head) = &admitted.entry.statement {
        return check_sender_head(state, admitted.agency, head, submit.older_term_connected).map(|()| Vec::new());
    }
    check_term(state, admitted)?;
    if let Some(objection) = &submit.objection {
        return Err(objection.clone());
    }
    match &admitted.entry.statement {
        Statement::Envelope(envelope) => check_envelope(state, admitted.agency, envelope),
        Statement::Receipt(receipt) => check_receipt(state, admitted.agency, receipt).map(|()| Vec::new()),
        Statement::SenderHead(_) | Statement::Fact(_) | Statement::Registry(_) => Ok(Vec::new()),
    }
}

fn check_term(state: &State, admitted: &Admitted) -> Result<(), Refusal> {
    let (open, found) = (state.edge_term(admitted.agency), edge_term(&admitted.entry.statement));
    let reason = match found.cmp(&open) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => Reason::TermSuperseded,
        std::cmp::Ordering::Greater => Reason::TermNotOpen,
    };
    Err(Refusal::new(reason, format!("sealed in edge term {found}, term {open} is open")).with("found", found).with("open", open))
}

fn check_sender_head(state: &State, agency: AgencyIndex, head: &SenderHead, older_connected: bool) -> Result<(), Refusal> {
    let open = state.edge_term(agency);
    match head.event {
        SenderHeadEvent::TermOpened { .. } if head.edge_term <= open => {
            let message = format!("term {} cannot be opened, term {open} is open", head.edge_term);
            Err(Refusal::new(Reason::TermSuperseded, message).with("found", head.edge_term).with("open", open))
        }
        SenderHeadEvent::TermOpened { .. } if older_connected => {
            let message = format!("the edge of term {open} is connected now");
            Err(Refusal::new(Reason::TermConnected, message).with("open", open))
        }
        SenderHeadEvent::TermOpened { .. } => Ok(()),
        SenderHeadEvent::Head { .. } if head.edge_term == open => Ok(()),
        SenderHeadEvent::Head { .. } => {
            let reason = if head.edge_term < open { Reason::TermSuperseded } else { Reason::TermNotOpen };
            Err(Refusal::new(reason, format!("head of edge term {}, term {open} is open", head.edge_term)).with("open", open))
        }
    }
}

fn check_envelope(state: &State, agency: AgencyIndex, envelope: &Envelope) -> Result<Vec<QueueEntry>, Refusal> {
    let registry = state.registry();
    if !matches!(envelope.business, Business::New | Business::Reply) || envelope.expires_at.is_some() {
        return Err(Refusal::new(Reason::BusinessUnsupported, "this release routes new documents and replies without an expiry"));
    }
    let sender = &envelope.sender.organisation;
    if registry.organisation(sender).is_none_or(|(_, organisation)| organisation.served_by != agency) {
        let message = format!("{} does not serve {sender}", envelope.sender.agency);
        return Err(Refusal::new(Reason::SenderUnknown, message).with("sender", sender).with("agency", &envelope.sender.agency));
    }
    let recipients: Vec<_> = envelope.recipients.iter().map(|code| registry.organisation(code)).collect();
    check_loopback(registry, agency, envelope, &recipients)?;
    let seq = envelope.sender_seq;
    match state.look(agency, seq) {
        Numbered::Free => {}
        Numbered::Used => {
            return Err(
                Refusal::new(Reason::SequenceReused, format!("sequence number {seq} was used by another document")).with("sender_seq", seq)
            );
        }
        Numbered::Outside => {
            let highest = state.agency(agency).map_or(0, |agency| agency.window.highest().0);
            let message = format!("sequence number {seq} is outside the window around {highest}");
            return Err(Refusal::new(Reason::SequenceOutsideWindow, message).with("sender_seq", seq).with("highest", highest));
        }
    }
    check_room(state, agency, envelope)?;
    route(state, envelope, &recipients)
}

/// Memory is bounded by configuration, not by load. The axis' own message tests the path and always has room.
fn check_room(state: &State, agency: AgencyIndex, envelope: &Envelope) -> Result<(), Refusal> {
    let (open, max) = (state.open_deliveries(), state.open_deliveries_max);
    if open.saturating_add(envelope.recipients.len() as u64) <= max || state.registry().axis_agency() == Some(agency) {
        return Ok(());
    }
    let message = format!("{open} deliveries are open, at most {max} may be");
    Err(Refusal::new(Reason::BusyQueues, message).with("open", open).with("limit", max))
}

/// The axis' agency sends its loopback message to itself and nothing else; nobody else sends one, or anything to it.
fn check_loopback(registry: &Registry, agency: AgencyIndex, envelope: &Envelope, recipients: &[Found<'_>]) -> Result<(), Refusal> {
    let is_axis = registry.axis_agency() == Some(agency);
    let kind = envelope.doc.doc_type.name.as_deref();
    let is_reserved = registry.genesis().is_some_and(|genesis| kind == Some(genesis.loopback_kind.as_str()));
    if is_reserved != is_axis {
        let message = format!("document type {kind:?} is that of the axis' own loopback message, which only the axis sends");
        return Err(Refusal::new(Reason::DocumentKindReserved, message));
    }
    for (code, found) in envelope.recipients.iter().zip(recipients) {
        let served_by = found.map(|(_, organisation)| organisation.served_by);
        if served_by.is_some() && (served_by == registry.axis_agency()) != is_axis {
            return Err(Refusal::new(Reason::RecipientUnknown, format!("no organisation has the code {code}")).with("recipient", code));
        }
    }
    Ok(())
}

/// What the registry has under a recipient's code: its own code, and the organisation.
type Found<'a> = Option<(&'a OrganisationCode, &'a Organisation)>;

/// The queue position of each recipient.
fn route(state: &State, envelope: &Envelope, recipients: &[Found<'_>]) -> Result<Vec<QueueEntry>, Refusal> {
    let registry = state.registry();
    let mut last: Vec<Option<QueuePosition>> = vec![None; registry.agencies().len()];
    let mut queue = Vec::with_capacity(envelope.recipients.len());
    for (code, found) in envelope.recipients.iter().zip(recipients) {
        let unknown = || Refusal::new(Reason::RecipientUnknown, format!("no organisation has the code {code}")).with("recipient", code);
        let (own_code, organisation) = found.ok_or_else(unknown)?;
        // Only where its agency was named before can it have been; and the registry has each of its codes once.
        let is_first_of_agency = last.get(usize::from(organisation.served_by.0)).is_some_and(Option::is_none);
        let mut before = recipients.iter().take(queue.len()).flatten();
        if !is_first_of_agency && before.any(|(known, _)| std::ptr::eq(*known, own_code)) {
            return Err(Refusal::new(Reason::RecipientTwice, format!("{code} is named twice")).with("recipient", code));
        }
        let agency = registry.agency(organisation.served_by).ok_or_else(unknown)?;
        if !agency.predicates.iter().any(|predicate| predicate == ENVELOPE_V1) {
            let message = format!("the edge of {} does not read {ENVELOPE_V1}", agency.code);
            return Err(Refusal::new(Reason::RecipientCannotRead, message).with("recipient", code).with("agency", &agency.code));
        }
        let last = last.get_mut(usize::from(organisation.served_by.0)).ok_or_else(unknown)?;
        let before = last.or_else(|| state.agency(organisation.served_by).map(|agency| agency.queue_last)).unwrap_or_default();
        *last = Some(before.next());
        queue.push(QueueEntry { recipient: code.clone(), agency: agency.code.clone(), position: before.next() });
    }
    Ok(queue)
}

fn check_receipt(state: &State, agency: AgencyIndex, receipt: &Receipt) -> Result<(), Refusal> {
    if !matches!(receipt.event, ReceiptEvent::Fetched | ReceiptEvent::Acknowledged | ReceiptEvent::Refused) {
        return Err(Refusal::new(Reason::BusinessUnsupported, "this release takes the receipts fetched, acknowledged and refused"));
    }
    // That no item stands there twice is a rule of the statement.
    for item in &receipt.items {
        let refusal =
            |reason, message: String| Refusal::new(reason, message).with("message_id", item.message_id).with("recipient", &item.recipient);
        let Some(message) = state.message(&item.message_id) else {
            // One answer for closed and never seen: which of the two it is depends on what the state still remembers.
            return Err(refusal(Reason::MessageUnknown, format!("{} is not open: nobody sent it, or it is closed", item.message_id)));
        };
        let recipient = message.recipients.iter().find(|recipient| recipient.agency == agency && recipient.organisation == item.recipient);
        let Some(recipient) = recipient else {
            return Err(refusal(
                Reason::ReceiptNotRecipient,
                format!("{} was not sent to {} of {}", item.message_id, item.recipient, receipt.issuer),
            ));
        };
        if message.digest != item.envelope {
            return Err(refusal(
                Reason::ReceiptDigestMismatch,
                format!("the envelope of {} has the digest {}", item.message_id, message.digest),
            ));
        }
        if state.registry().agency(message.sender).is_none_or(|sender| sender.code != receipt.original_sender) {
            return Err(refusal(Reason::ReceiptMixedSenders, format!("{} was not sent by {}", item.message_id, receipt.original_sender)));
        }
        if step_after(recipient.step, receipt.event).is_none() {
            return Err(refusal(
                misplaced(recipient.step, receipt.event),
                format!("{} is {:?} for {}", item.message_id, recipient.step, item.recipient),
            ));
        }
        if item.queue_position.is_some_and(|position| position != recipient.queue_position) {
            return Err(refusal(
                Reason::ReceiptNotRecipient,
                format!("{} has queue position {}", item.message_id, recipient.queue_position),
            ));
        }
    }
    Ok(())
}

const fn misplaced(step: DeliveryStep, event: ReceiptEvent) -> Reason {
    match (step, event) {
        (DeliveryStep::Waiting, _) => Reason::ReceiptOutOfOrder,
        (DeliveryStep::Acknowledged, ReceiptEvent::Refused) | (DeliveryStep::Refused, ReceiptEvent::Acknowledged) => {
            Reason::ReceiptOutOfOrder
        }
        _ => Reason::ReceiptRepeated,
    }
}

fn accept(block_time: Timestamp, shard_start: Position, state: &State, admitted: Admitted, queue: Vec<QueueEntry>) -> Decision {
    let statement = state.next();
    let fact = match &admitted.entry.statement {
        Statement::Envelope(envelope) => Some(Fact::Accepted(Accepted {
            message_id: envelope.message_id,
            envelope: admitted.entry.digest(),
            leaf: LeafIndex(statement.0 - shard_start.0),
            block_time,
            registry_version: state.registry().version(),
            queue,
        })),
        _ => None,
    };
    let has_fact = fact.is_some();
    let mut entries = vec![admitted.entry];
    entries.extend(fact.map(Entry::of_fact));
    Decision { entries, outcome: Outcome::Accepted { statement, has_fact } }
}

/// A refusal that will never change is a fact, so that refusals can be counted and none can be denied; within the rate limit of the agency.
fn refuse(block_time: Timestamp, state: &State, admitted: &Admitted, refusal: Refusal) -> Decision {
    let minute = block_time.as_millis() / 60_000;
    let (logged_minute, logged) = state.agency(admitted.agency).map_or((0, 0), |agency| agency.rejections);
    let within_rate = logged_minute != minute || logged < REJECTED_FACTS_PER_MINUTE_MAX;
    let agency = state.registry().agency(admitted.agency);
    let entries = match agency {
        Some(agency) if refusal.reason.retry() == Retry::No && within_rate => vec![Entry::of_fact(Fact::Rejected(Rejected {
            digest: admitted.entry.digest(),
            agency: agency.code.clone(),
            message_id: Some(admitted.id),
            reason: refusal.reason,
            block_time,
        }))],
        _ => Vec::new(),
    };
    Decision { entries, outcome: Outcome::Refused(refusal) }
}
