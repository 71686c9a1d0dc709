//! `apply`: the only way the state changes. Deterministic; reads no clock and no configuration; never fails on what `decide` produced.

use std::sync::Arc;

use truc_signing::statement::{self as st, Fact, ReceiptEvent, SenderHeadEvent, Statement};
use truc_types::{MessageId, OrganisationCode, Position, QueuePosition};

use crate::dispatch::Delivery;
use crate::entry::Entry;
use crate::registry::AgencyIndex;
use crate::sequence::SequenceWindow;
use crate::state::{DeliveryStep, Known, OpenMessage, PendingEnvelope, RecipientState, State};

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
    /// An `accepted` fact without its envelope before it, or an envelope without its fact after it.
    #[error("entry {position}: an envelope and its accepted fact stand apart")]
    Unpaired {
        /// Position of the entry.
        position: Position,
    },
    /// A receipt for a delivery that does not exist or is elsewhere in its life.
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
    /// # Errors
    /// When the entry does not follow from the ones before it. The state is then unusable.
    pub fn apply(&mut self, position: Position, entry: &Entry, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        if position != self.next {
            return Err(ApplyError::Gap { expected: self.next, found: position });
        }
        let known = Known { position, digest: entry.digest };
        let is_accepted_fact = matches!(&entry.statement, Statement::Fact(Fact::Accepted(_)));
        if self.pending.is_some() != is_accepted_fact {
            return Err(ApplyError::Unpaired { position });
        }
        match &entry.statement {
            Statement::Envelope(envelope) => self.apply_envelope(known, envelope)?,
            Statement::Fact(fact) => self.apply_fact(position, fact, effects)?,
            Statement::Receipt(receipt) => self.apply_receipt(known, receipt, effects)?,
            Statement::SenderHead(head) => self.apply_sender_head(known, head)?,
            Statement::Registry(registry) => {
                Arc::make_mut(&mut self.registry).apply(position, registry)?;
                effects.push(Effect::RegistryChanged);
            }
        }
        self.next = position.next();
        Ok(())
    }

    fn index_of(&self, position: Position, code: &truc_types::AgencyCode) -> Result<AgencyIndex, ApplyError> {
        self.registry.agency_index(code).ok_or_else(|| ApplyError::UnknownAgency { position, agency: code.to_string() })
    }

    fn apply_envelope(&mut self, known: Known, envelope: &st::Envelope) -> Result<(), ApplyError> {
        self.pending = Some(PendingEnvelope {
            message_id: envelope.message_id,
            known,
            sender: self.index_of(known.position, &envelope.sender.agency)?,
            seq: envelope.sender_seq,
            lane: envelope.doc.urgency.lane(),
            recipients: envelope.recipients.clone(),
        });
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
        if pending.message_id != accepted.message_id || pending.recipients.len() != accepted.queue.len() {
            return Err(unpaired);
        }
        let mut recipients = Vec::with_capacity(accepted.queue.len());
        for (i, (organisation, queued)) in (0u16..).zip(pending.recipients.into_iter().zip(&accepted.queue)) {
            let agency = self.index_of(position, &queued.agency)?;
            self.agency_mut(agency).queue_last = queued.position;
            let delivery = Delivery { message_id: pending.message_id, recipient: i, lane: pending.lane };
            effects.push(Effect::Queued { agency, position: queued.position, delivery });
            recipients.push(RecipientState { organisation, agency, queue_position: queued.position, step: DeliveryStep::Waiting });
        }
        self.agency_mut(pending.sender).window.mark(pending.seq);
        self.changes.messages.insert(pending.message_id);
        self.open.insert(
            pending.message_id,
            OpenMessage {
                position: pending.known.position,
                digest: pending.known.digest,
                sender: pending.sender,
                lane: pending.lane,
                accepted_at: accepted.block_time,
                recipients: recipients.into_boxed_slice(),
            },
        );
        Ok(())
    }

    fn apply_receipt(&mut self, known: Known, receipt: &st::Receipt, effects: &mut Vec<Effect>) -> Result<(), ApplyError> {
        let position = known.position;
        for item in &receipt.items {
            let misfit = || ApplyError::Receipt { position, message_id: item.message_id, recipient: item.recipient.clone() };
            let message = self.open.get_mut(&item.message_id).ok_or_else(misfit)?;
            let recipient = message.recipients.iter_mut().find(|recipient| recipient.organisation == item.recipient).ok_or_else(misfit)?;
            let step = step_after(recipient.step, receipt.event).ok_or_else(misfit)?;
            if recipient.step == DeliveryStep::Waiting {
                effects.push(Effect::Dequeued { agency: recipient.agency, position: recipient.queue_position });
            }
            recipient.step = step;
            if message.recipients.iter().all(|recipient| recipient.step.is_final()) {
                let closed = Known { position: message.position, digest: message.digest };
                self.open.remove(&item.message_id);
                self.remember_unless_indexed(item.message_id, closed);
            }
            self.changes.messages.insert(item.message_id);
        }
        let sender = self.index_of(position, &receipt.original_sender)?;
        let feed = self.agency_mut(sender);
        feed.feed_last += 1;
        feed.feed.push_back(position);
        effects.push(Effect::Fed { agency: sender, cursor: feed.feed_last, position });
        self.remember(receipt.receipt_id, known);
        Ok(())
    }

    fn apply_sender_head(&mut self, known: Known, head: &st::SenderHead) -> Result<(), ApplyError> {
        let agency = self.index_of(known.position, &head.agency)?;
        if let SenderHeadEvent::TermOpened { .. } = head.event {
            let state = self.agency_mut(agency);
            state.term = head.edge_term;
            state.window = SequenceWindow::default();
        }
        self.remember(head.statement_id, known);
        Ok(())
    }

    /// A message that closes after its segment was sealed is in the index already.
    fn remember_unless_indexed(&mut self, id: MessageId, known: Known) {
        if known.position >= self.forgotten_through {
            self.remember(id, known);
        }
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
