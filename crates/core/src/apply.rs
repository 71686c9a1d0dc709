//! `apply`: the only way the state changes. Deterministic; reads no clock and no configuration; never fails on what `decide` produced.

use std::sync::Arc;

use truc_signing::statement::{self as st, Fact, ReceiptEvent, SenderHeadEvent, Statement};
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, OrganisationCode, Position, QueuePosition, SenderSeq, Timestamp};

use crate::brief::{Brief, EnvelopeBrief, ReceiptBrief, ReceiptHead};
use crate::dispatch::Delivery;
use crate::entry::Entry;
use crate::registry::AgencyIndex;
use crate::sequence::{Numbered, SequenceWindow};
use crate::state::{DeliveryStep, Known, OpenMessage, PendingEnvelope, RecipientState, Recipients, State};

/// Why an entry does not follow from the ones before it. Only damage or a defect gets here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Entries must be applied one after another.
    #[error("entry {found} was applied where {expected} was next")]
    Gap {
        /// The next position.
        expected: Position,
        /// The position of the entry.
        found: Position,
    },
    /// Registry versions are counted without gaps.
    #[error("registry statement at {position} has version {found}, expected {expected}")]
    RegistryVersion {
        /// Position of the entry.
        position: Position,
        /// The next version.
        expected: u64,
        /// The version of the entry.
        found: u64,
    },
    /// A registry statement contradicts the registry.
    #[error("registry statement at {position}: {cause}")]
    RegistryContent {
        /// Position of the entry.
        position: Position,
        /// The contradiction.
        cause: String,
    },
    /// An agency that the registry does not know.
    #[error("entry {position} names agency {agency}, which the registry does not know")]
    UnknownAgency {
        /// Position of the entry.
        position: Position,
        /// The code.
        agency: String,
    },
    /// An `accepted` fact without its envelope before it, an envelope without its fact after it, or a fact that says something else than its envelope.
    #[error("entry {position}: an envelope and its accepted fact stand apart or differ")]
    Unpaired {
        /// Position of the entry.
        position: Position,
    },
    /// The id of an earlier statement.
    #[error("entry {position} has the id {id} of an earlier statement")]
    IdRepeated {
        /// Position of the entry.
        position: Position,
        /// The id.
        id: MessageId,
    },
    /// A statement of an edge term that is not open, or the opening of one that is not above it.
    #[error("entry {position} is of edge term {found} of {agency}, term {open} is open")]
    Term {
        /// Position of the entry.
        position: Position,
        /// The agency.
        agency: AgencyCode,
        /// The term of the entry.
        found: EdgeTerm,
        /// The term that is open; 0 for none.
        open: EdgeTerm,
    },
    /// An envelope under a sequence number that was used or lies outside the window.
    #[error("envelope at {position} has the sequence number {seq} of {agency}, which is not free")]
    Sequence {
        /// Position of the entry.
        position: Position,
        /// The agency.
        agency: AgencyCode,
        /// The number.
        seq: SenderSeq,
    },
    /// Queue positions are given out without gaps.
    #[error("fact at {position} gives queue position {found} of {agency}, expected {expected}")]
    QueueGap {
        /// Position of the entry.
        position: Position,
        /// The agency of the queue.
        agency: AgencyCode,
        /// The next queue position.
        expected: QueuePosition,
        /// The one that the fact gives.
        found: QueuePosition,
    },
    /// A receipt for a delivery that does not exist, is of others or is elsewhere in its life.
    #[error("receipt at {position} does not fit message {message_id} for {recipient}")]
    Receipt {
        /// Position of the entry.
        position: Position,
        /// The message.
        message_id: MessageId,
        /// The recipient.
        recipient: OrganisationCode,
    },
}

/// What an entry changes for those who deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A delivery entered the queue of an agency.
    Queued {
        /// The agency.
        agency: AgencyIndex,
        /// Position in its queue.
        position: QueuePosition,
        /// What to deliver.
        delivery: Delivery,
    },
    /// The agency's edge has it: the delivery leaves the queue.
    Dequeued {
        /// The agency.
        agency: AgencyIndex,
        /// Position in its queue.
        position: QueuePosition,
        /// Block time of the acceptance: since then it waited.
        accepted_at: Timestamp,
    },
    /// A receipt for an agency.
    Fed {
        /// The agency.
        agency: AgencyIndex,
        /// Its cursor.
        cursor: u64,
        /// Position of the receipt.
        position: Position,
    },
    /// The registry has a new version.
    RegistryChanged,
}

impl State {
    /// Applies the next entry and appends what it changes for those who deliver to `effects`.
    ///
    /// What `decide` promises is checked again, because an auditor applies what others decided: ids and sequence numbers are used once, edge terms
    /// rise, queue positions have no gaps, receipts are of the recipient. Seals, leaves and block times are not looked at here.
    ///
    /// # Errors
    /// When the entry does not follow from the ones before it. The state is then unusable.
    pub fn apply(&mut self, position: Position, entry: &Entry, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        self.check_follows(position, matches!(&entry.statement, Statement::Fact(Fact::Accepted(_))), entry.id())?;
        let known = || Known { position, digest: entry.digest() };
        match &entry.statement {
            Statement::Envelope(envelope) => self.apply_envelope(position, EnvelopeBrief::of(envelope, entry.digest()))?,
            Statement::Fact(fact) => self.apply_fact(position, fact, effects)?,
            Statement::Receipt(receipt) => {
                let items = receipt.items.iter().map(|item| (item.message_id, &item.envelope, &item.recipient));
                self.apply_receipt(position, &ReceiptHead::of(receipt), items, effects)?;
                self.remember(receipt.receipt_id, known());
            }
            Statement::SenderHead(head) => self.apply_sender_head(known(), head)?,
            Statement::Registry(registry) => {
                Arc::make_mut(&mut self.registry).apply(position, registry)?;
                self.changes.registry = true;
                effects.push(Effect::RegistryChanged);
            }
        }
        self.next = position.next();
        Ok(())
    }

    /// Applies the next entry from what was read of it in brief: the same as [`State::apply`] with the whole entry, but for the id of a receipt, which is
    /// not kept. Only for entries that are forgotten already ([`State::forget`]): of those no ids are kept anyway.
    ///
    /// # Errors
    /// As [`State::apply`].
    pub fn apply_brief(&mut self, position: Position, brief: Brief, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        debug_assert!(position < self.forgotten_through, "the index has the ids of what is read in brief");
        match brief {
            Brief::Whole(entry) => return self.apply(position, &entry, effects),
            Brief::Envelope(envelope) => {
                self.check_follows(position, false, Some(envelope.message_id))?;
                self.apply_envelope(position, envelope)?;
            }
            Brief::Accepted(accepted) => {
                self.check_follows(position, true, None)?;
                self.apply_accepted(position, &accepted, effects)?;
            }
            Brief::Receipt(ReceiptBrief { head, items }) => {
                self.check_follows(position, false, Some(head.receipt_id))?;
                let items = items.iter().map(|item| (item.message_id, &item.envelope, &item.recipient));
                self.apply_receipt(position, &head, items, effects)?;
            }
        }
        self.next = position.next();
        Ok(())
    }

    /// What must hold of every entry: that it is the next one, a fact of acceptance exactly behind an envelope, and its id a new one.
    fn check_follows(&self, position: Position, is_accepted_fact: bool, id: Option<MessageId>) -> Result<(), ApplyError> {
        if position != self.next {
            return Err(ApplyError::Gap { expected: self.next, found: position });
        }
        if self.pending.is_some() != is_accepted_fact {
            return Err(ApplyError::Unpaired { position });
        }
        match id.filter(|id| self.known(id).is_some()) {
            Some(id) => Err(ApplyError::IdRepeated { position, id }),
            None => Ok(()),
        }
    }

    fn index_of(&self, position: Position, code: &AgencyCode) -> Result<AgencyIndex, ApplyError> {
        self.registry.agency_index(code).ok_or_else(|| ApplyError::UnknownAgency { position, agency: code.to_string() })
    }

    /// The agency that issued a statement, if the statement is of the term that it has open.
    fn issuer(&self, position: Position, code: &AgencyCode, found: EdgeTerm) -> Result<AgencyIndex, ApplyError> {
        let agency = self.index_of(position, code)?;
        match self.edge_term(agency) {
            open if open == found => Ok(agency),
            open => Err(ApplyError::Term { position, agency: code.clone(), found, open }),
        }
    }

    fn apply_envelope(&mut self, position: Position, envelope: EnvelopeBrief) -> Result<(), ApplyError> {
        let sender = self.issuer(position, &envelope.sender, envelope.edge_term)?;
        if self.look(sender, envelope.seq) != Numbered::Free {
            return Err(ApplyError::Sequence { position, agency: envelope.sender, seq: envelope.seq });
        }
        self.pending = Some(PendingEnvelope { position, sender, envelope });
        Ok(())
    }

    fn apply_fact(&mut self, position: Position, fact: &Fact, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        match fact {
            Fact::Accepted(accepted) => self.apply_accepted(position, accepted, effects),
            Fact::Rejected(rejected) => {
                let agency = self.index_of(position, &rejected.agency)?;
                let minute = rejected.block_time.as_millis() / 60_000;
                let rejections = &mut self.agency_mut(agency).rejections;
                *rejections = if rejections.0 == minute { (minute, rejections.1.saturating_add(1)) } else { (minute, 1) };
                Ok(())
            }
            // Facts of the lifecycle to come: no decision of this release rests on them, and none makes them.
            Fact::Expired(_) | Fact::Parked(_) | Fact::Forwarded(_) => Ok(()),
        }
    }

    fn apply_accepted(&mut self, position: Position, accepted: &st::Accepted, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        let unpaired = ApplyError::Unpaired { position };
        let pending = self.pending.take().ok_or_else(|| unpaired.clone())?;
        let PendingEnvelope { position: envelope_position, sender, envelope } = pending;
        let is_same_envelope = envelope.message_id == accepted.message_id && envelope.digest == accepted.envelope;
        let is_routed = envelope.recipients.iter().eq(accepted.queue.iter().map(|queued| &queued.recipient));
        if !is_same_envelope || !is_routed || accepted.registry_version != self.registry.version() {
            return Err(unpaired);
        }
        let mut recipients = Vec::with_capacity(accepted.queue.len());
        for (i, (organisation, queued)) in (0u16..).zip(envelope.recipients.into_iter().zip(&accepted.queue)) {
            let agency = self.index_of(position, &queued.agency)?;
            let queue_last = &mut self.agency_mut(agency).queue_last;
            let (expected, found) = (queue_last.next(), queued.position);
            if found != expected {
                return Err(ApplyError::QueueGap { position, agency: queued.agency.clone(), expected, found });
            }
            *queue_last = found;
            let delivery = Delivery { message_id: envelope.message_id, recipient: i, lane: envelope.lane };
            effects.push(Effect::Queued { agency, position: queued.position, delivery });
            recipients.push(RecipientState { organisation, agency, queue_position: queued.position, step: DeliveryStep::Waiting });
        }
        self.agency_mut(sender).window.mark(envelope.seq);
        let message = OpenMessage {
            position: envelope_position,
            digest: envelope.digest,
            sender,
            lane: envelope.lane,
            accepted_at: accepted.block_time,
            recipients: Recipients::from(recipients),
        };
        self.open.insert(envelope.message_id, message);
        Ok(())
    }

    fn apply_receipt<'a>(
        &mut self,
        position: Position,
        head: &ReceiptHead,
        items: impl Iterator<Item = (MessageId, &'a Digest, &'a OrganisationCode)>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ApplyError> {
        let issuer = self.issuer(position, &head.issuer, head.edge_term)?;
        let sender = self.index_of(position, &head.original_sender)?;
        let axis = self.registry.axis_agency();
        for (message_id, envelope, organisation) in items {
            let misfit = || ApplyError::Receipt { position, message_id, recipient: organisation.clone() };
            let message = self.open.get_mut(&message_id).ok_or_else(misfit)?;
            if message.digest != *envelope || message.sender != sender {
                return Err(misfit());
            }
            let mut recipients = message.recipients.iter_mut();
            let recipient = recipients.find(|recipient| recipient.agency == issuer && recipient.organisation == *organisation);
            let recipient = recipient.ok_or_else(misfit)?;
            let step = step_after(recipient.step, head.event).ok_or_else(misfit)?;
            if recipient.step == DeliveryStep::Waiting {
                let (agency, position) = (recipient.agency, recipient.queue_position);
                effects.push(Effect::Dequeued { agency, position, accepted_at: message.accepted_at });
            }
            recipient.step = step;
            // The axis registers no documents: its own message has done its work once it is fetched.
            if message.recipients.iter().all(|recipient| recipient.step.is_final() || Some(recipient.agency) == axis) {
                let closed = Known { position: message.position, digest: message.digest };
                self.open.remove(&message_id);
                // Unless it closes after its segment was sealed: then it is in the index already.
                self.remember(message_id, closed);
            }
        }
        let feed = self.agency_mut(sender);
        feed.feed_last += 1;
        feed.feed.push_back(position);
        effects.push(Effect::Fed { agency: sender, cursor: feed.feed_last, position });
        Ok(())
    }

    fn apply_sender_head(&mut self, known: Known, head: &st::SenderHead) -> Result<(), ApplyError> {
        let (position, found) = (known.position, head.edge_term);
        match head.event {
            SenderHeadEvent::TermOpened { .. } => {
                let agency = self.index_of(position, &head.agency)?;
                let open = self.edge_term(agency);
                if found <= open {
                    return Err(ApplyError::Term { position, agency: head.agency.clone(), found, open });
                }
                let state = self.agency_mut(agency);
                state.term = found;
                state.window = SequenceWindow::default();
            }
            SenderHeadEvent::Head { .. } => {
                self.issuer(position, &head.agency, found)?;
            }
        }
        self.remember(head.statement_id, known);
        Ok(())
    }
}

/// The step after an event, if the event is legal there (Decision 28/2018 art. 9.1: checked first, then accepted or returned).
pub(crate) const fn step_after(step: DeliveryStep, event: ReceiptEvent) -> Option<DeliveryStep> {
    match (step, event) {
        (DeliveryStep::Waiting, ReceiptEvent::Fetched) => Some(DeliveryStep::Fetched),
        (DeliveryStep::Fetched, ReceiptEvent::Acknowledged) => Some(DeliveryStep::Acknowledged),
        (DeliveryStep::Fetched, ReceiptEvent::Refused) => Some(DeliveryStep::Refused),
        _ => None,
    }
}
