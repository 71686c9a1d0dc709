//! `apply`: what a record does to the rows. Deterministic: it reads the record and the rows, nothing else.

use std::sync::atomic::Ordering;

use truc_signing::statement::{Accepted, Envelope, Receipt, ReceiptEvent, Registry, RegistryEvent};
use truc_signing::{Certificate, DsseFile};
use truc_types::{AgencyCode, MessageId, OrganisationCode, Position, QueuePosition, SenderSeq, Timestamp};

use super::events::{EventRow, Kind};
use super::inside::{accepted_in, envelope_in, inside_of, receipt_in};
use super::rows::{
    AcceptedAt, CERTIFICATE, Event, INBOX, InboxRow, ItemRow, META, META_KEY, Meta, OPEN, ORGANISATION, OUTBOX, OutboxRow, PENDING,
    PendingRow, RECEIPT, REFERENCE, REGISTRY, ReceiptRow, RecipientRow, ReferenceRow, SealedAt, SeenCheckpoint, Step, Visibility,
    WATCH_KEY, WatchRow, inbox_key, open_key, pending_key,
};
use super::{State, StateError};
use crate::record::{Answer, Fate, GivenReason, Inside, Record};
use crate::trust::checkpoint::read_unverified;

/// Where a record stands, when its block was begun, and what happens at it.
struct Moment {
    position: Position,
    time: Timestamp,
    events: Vec<EventRow>,
}

impl Moment {
    /// About a document that was sent, which the DMS calls by its reference.
    fn event(&mut self, kind: Kind, message_id: &MessageId, at: Timestamp, reference: &str) {
        self.events.push(EventRow::new(kind, message_id, at).of(reference));
    }

    fn event_for(&mut self, kind: Kind, message_id: &MessageId, recipient: &OrganisationCode, at: Timestamp) {
        self.events.push(EventRow::new(kind, message_id, at).recipient(recipient));
    }
}

impl State {
    /// Applies the record at `position`, which must be the next one, in a block of this time.
    ///
    /// # Errors
    /// When the record does not follow from those before: damage, or a defect. Nothing may be answered from this state any more.
    pub(crate) fn apply(&self, position: Position, time: Timestamp, record: &Record) -> Result<(), StateError> {
        self.apply_read(position, time, record, None)
    }

    /// As [`State::apply`], with the statement in the record if it was read before.
    ///
    /// # Errors
    /// As [`State::apply`].
    pub(crate) fn apply_read(
        &self,
        position: Position,
        time: Timestamp,
        record: &Record,
        inside: Option<Inside>,
    ) -> Result<(), StateError> {
        debug_assert!(
            inside.as_ref().is_none_or(|inside| inside_of(record).is_ok_and(|found| found.as_ref() == Some(inside))),
            "what was read of a record is what its bytes read as"
        );
        if self.applied() != position {
            return Err(inconsistent(format!("record {position} after {}", self.applied())));
        }
        // Before the first row: who sees one waits until this record is durable.
        self.begun.store(position.next().0, Ordering::Release);
        let mut moment = Moment { position, time, events: Vec::new() };
        let inside = match inside {
            None => inside_of(record)?,
            known => known,
        };
        self.apply_record(&mut moment, record, inside)?;
        self.write_events(position, &moment.events)?;
        if !moment.events.is_empty() {
            self.tail.lock().push(position, moment.events);
        }
        self.applied.store(position.next().0, Ordering::Release);
        Ok(())
    }

    fn apply_record(&self, moment: &mut Moment, record: &Record, inside: Option<Inside>) -> Result<(), StateError> {
        let (position, now) = (moment.position, moment.time);
        match record {
            Record::TermOpening { term, .. } => self.change_meta(|meta| {
                (meta.term, meta.term_open, meta.seq) = (*term, false, SenderSeq(0));
            }),
            Record::TermOpened { term, .. } => self.change_meta(|meta| meta.term_open = meta.term == *term),
            Record::Drafted { message_id, reference, request, .. } => {
                let row = ReferenceRow { message_id: *message_id, request: *request };
                self.write(REFERENCE, reference.as_bytes(), &row)?;
                self.drafted(moment, message_id, reference, envelope_in(inside)?)
            }
            Record::Sealed { message_id, term, seq, .. } => self.sealed(moment, message_id, SealedAt { position, term: *term }, *seq),
            Record::Accepted { message_id, .. } => self.accepted(moment, message_id, accepted_in(inside)?),
            Record::RefusedByAxis { message_id, reason, message } => {
                self.notice(position)?;
                let refusal = Some((reason.clone(), message.clone()));
                let mut is_first = false;
                let row = self.change_outbox(message_id, |row| {
                    is_first = row.is_unanswered();
                    (row.refusal, row.refused_at) = (refusal, Some(position.0));
                })?;
                moment.events.push(EventRow::new(Kind::RefusedByAxis, message_id, now).reason(reason, message).of(&row.reference));
                self.answered_by_axis(is_first)?;
                self.delete(OPEN, &open_key(row.lane, message_id))
            }
            Record::FeedReceipt { cursor, .. } => self.feed_receipt(moment, *cursor, &receipt_in(inside)?),
            Record::ArrivedEnvelope { message_id, .. } => self.write_title(message_id, &envelope_in(inside)?),
            Record::Arrived { message_id, recipient, sender, queue_position, at, .. } => {
                let fact = accepted_in(inside)?;
                moment.event_for(Kind::Arrived, message_id, recipient, *at);
                let pending = PendingRow {
                    envelope: fact.envelope,
                    at: *at,
                    queue_position: *queue_position,
                    arrival_number: None,
                    reason: None,
                    alone: false,
                };
                self.arrived(position, message_id, recipient, sender, pending)
            }
            Record::Answered { message_id, recipient, at, answer } => {
                moment.events.push(EventRow::answered(message_id, recipient, *at, answer));
                self.answered(position, message_id, recipient, *at, answer)
            }
            Record::ReceiptSealed { receipt_id, .. } => self.receipt_sealed(position, receipt_id, receipt_in(inside)?),
            Record::ReceiptLogged { receipt_id, .. } => self.receipt_logged(moment, receipt_id),
            Record::ReceiptReturned { receipt_id, reason, culprit, apart } => {
                self.receipt_returned(moment, receipt_id, reason, *culprit, *apart)
            }
            Record::Confirmed { cursor } => self.change_meta(|meta| meta.confirmed = meta.confirmed.max(*cursor)),
            Record::CheckpointSeen { checkpoint } => {
                let checkpoint = read_unverified(checkpoint).map_err(|cause| inconsistent(cause.to_string()))?;
                let seen = SeenCheckpoint { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root };
                self.change_meta(|meta| meta.checkpoint = Some(seen.clone()))
            }
            Record::WatchWritten { arrivals, notices } => self.write(META, WATCH_KEY, &WatchRow { arrivals: *arrivals, notices: *notices }),
            Record::Declined { message_id, recipient, reason } => {
                let answer = Some(Answer::Refused(reason.clone()));
                self.change_inbox(message_id, recipient, |row| (row.answer, row.answer_at) = (answer, Some(position.0))).map(|_| ())
            }
            Record::RegistryEntry { version, leaf, file } => self.registry_entry(position, *version, leaf.index.0, file),
        }
    }

    /// Changes what there is one of: in memory, because nearly every record does. It is a row when the rows are written ([`State::take_rows`]).
    pub(super) fn change_meta(&self, change: impl FnOnce(&mut Meta)) -> Result<(), StateError> {
        let mut known = self.meta.write();
        let meta = match &mut *known {
            Some(meta) => meta,
            none => none.insert(self.read(META, META_KEY)?.unwrap_or_default()),
        };
        change(meta);
        self.meta_changed.store(true, Ordering::Release);
        Ok(())
    }

    fn change_outbox(&self, message_id: &MessageId, change: impl FnOnce(&mut OutboxRow)) -> Result<OutboxRow, StateError> {
        let mut row = self.outbox(message_id)?.ok_or_else(|| inconsistent(format!("{message_id} was never handed in")))?;
        change(&mut row);
        self.write(OUTBOX, &message_id.to_bytes(), &row)?;
        Ok(row)
    }

    fn drafted(&self, moment: &mut Moment, message_id: &MessageId, reference: &str, envelope: Envelope) -> Result<(), StateError> {
        self.write_title(message_id, &envelope)?;
        let listed = self.list(message_id, None, moment.time)?;
        moment.event(Kind::Stored, message_id, moment.time, reference);
        let waiting = |code: OrganisationCode| RecipientRow {
            code,
            agency: String::new(),
            step: Step::Waiting,
            at: Timestamp::default(),
            queue_position: QueuePosition(0),
            arrival_number: None,
            reason: None,
            receipts: Vec::new(),
        };
        let lane = envelope.urgency().lane() as u8;
        let row = OutboxRow {
            reference: reference.to_owned(),
            lane,
            drafted: moment.position,
            sealed: None,
            accepted: None,
            refusal: None,
            refused_at: None,
            listed,
            recipients: envelope.recipients.into_iter().map(waiting).collect(),
        };
        self.write(OUTBOX, &message_id.to_bytes(), &row)?;
        self.rows.put(OPEN, &open_key(lane, message_id), Vec::new()).map_err(Into::into)
    }

    fn sealed(&self, moment: &mut Moment, message_id: &MessageId, sealed: SealedAt, seq: SenderSeq) -> Result<(), StateError> {
        let mut is_first = false;
        let row = self.change_outbox(message_id, |row| is_first = row.sealed.replace(sealed).is_none())?;
        moment.event(Kind::Sealed, message_id, moment.time, &row.reference);
        self.change_meta(|meta| {
            meta.seq = meta.seq.max(seq);
            meta.unanswered += u64::from(is_first);
        })
    }

    /// A sealed document has its answer, perhaps once more.
    fn answered_by_axis(&self, is_first: bool) -> Result<(), StateError> {
        if is_first { self.change_meta(|meta| meta.unanswered = meta.unanswered.saturating_sub(1)) } else { Ok(()) }
    }

    fn accepted(&self, moment: &mut Moment, message_id: &MessageId, fact: Accepted) -> Result<(), StateError> {
        let mut is_first = false;
        let row = self.change_outbox(message_id, |row| {
            is_first = row.is_unanswered();
            let at = fact.block_time;
            moment.event(Kind::Accepted, message_id, at, &row.reference);
            row.accepted = Some(AcceptedAt { position: moment.position, leaf: fact.leaf, at, envelope: fact.envelope });
            for (recipient, queued) in row.recipients.iter_mut().zip(&fact.queue) {
                recipient.agency = queued.agency.to_string();
                recipient.queue_position = queued.position;
                // A receipt can be stored before the answer to a repeated submission is.
                if recipient.step == Step::Waiting {
                    (recipient.step, recipient.at) = (Step::Queued, at);
                    moment.events.push(EventRow::new(Kind::Queued, message_id, at).recipient(&recipient.code).of(&row.reference));
                }
            }
        })?;
        self.answered_by_axis(is_first)?;
        self.delete(OPEN, &open_key(row.lane, message_id))
    }

    fn feed_receipt(&self, moment: &mut Moment, cursor: u64, receipt: &Receipt) -> Result<(), StateError> {
        self.notice(moment.position)?;
        self.change_meta(|meta| meta.feed_cursor = cursor)?;
        let (step, kind) = match receipt.event {
            ReceiptEvent::Fetched => (Step::Fetched, Kind::Fetched),
            ReceiptEvent::Acknowledged => (Step::Acknowledged, Kind::Acknowledged),
            ReceiptEvent::Refused => (Step::Refused, Kind::Refused),
            ReceiptEvent::Status | ReceiptEvent::RecallAgreed | ReceiptEvent::RecallRefused => return Ok(()),
        };
        for item in &receipt.items {
            // A folder that was made anew may be offered receipts about documents of an earlier life; they have no row.
            let Some(mut row) = self.outbox(&item.message_id)? else { continue };
            for recipient in row.recipients.iter_mut().filter(|recipient| recipient.code == item.recipient) {
                recipient.receipts.push(moment.position.0);
                if step > recipient.step {
                    moment.events.push(EventRow::receipted(kind, item).of(&row.reference));
                    (recipient.step, recipient.at) = (step, item.event_time);
                    recipient.arrival_number.clone_from(&item.arrival_number);
                    recipient.reason =
                        item.reason.as_ref().map(|reason| GivenReason { code: reason.code.clone(), text: reason.text.clone() });
                }
            }
            self.write(OUTBOX, &item.message_id.to_bytes(), &row)?;
        }
        Ok(())
    }

    fn arrived(
        &self,
        position: Position,
        message_id: &MessageId,
        recipient: &OrganisationCode,
        sender: &AgencyCode,
        pending: PendingRow,
    ) -> Result<(), StateError> {
        // The envelope is the record before, or that of an earlier arrival of the same message.
        let earlier = self.arrivals_of(message_id)?.into_iter().next();
        let before = position.0.checked_sub(1).map(Position);
        let envelope_at = earlier.map(|(_, row)| row.envelope_at).or(before);
        let row = InboxRow {
            envelope_at: envelope_at.ok_or_else(|| inconsistent("an arrival without an envelope".to_owned()))?,
            arrived_at: position,
            envelope: pending.envelope,
            sender: sender.clone(),
            queue_position: pending.queue_position,
            visibility: Visibility::Stored,
            visible_at: None,
            listed: None,
            answer: None,
            answered_at: Timestamp::default(),
            answer_at: None,
            answer_logged_at: None,
        };
        self.write(INBOX, &inbox_key(message_id, recipient), &row)?;
        self.pend(Event::Fetched, sender, (message_id, recipient), &pending)
    }

    /// Something has to stand in a receipt.
    fn pend(
        &self,
        event: Event,
        sender: &AgencyCode,
        (message_id, recipient): (&MessageId, &OrganisationCode),
        row: &PendingRow,
    ) -> Result<(), StateError> {
        let group = (event, sender.clone());
        let mut pending = self.pending.lock();
        self.write(PENDING, &pending_key(event, sender, message_id, recipient), row)?;
        if let Some(counts) = &mut *pending {
            *counts.entry(group.clone()).or_default() += 1;
        }
        drop(pending);
        self.touched.lock().insert(group);
        Ok(())
    }

    fn answered(
        &self,
        position: Position,
        message_id: &MessageId,
        recipient: &OrganisationCode,
        at: Timestamp,
        answer: &Answer,
    ) -> Result<(), StateError> {
        let row = self.change_inbox(message_id, recipient, |row| {
            (row.answer, row.answered_at, row.answer_at) = (Some(answer.clone()), at, Some(position.0));
        })?;
        let (event, pending) = pending_answer(&row, at, answer);
        self.pend(event, &row.sender, (message_id, recipient), &pending)
    }

    fn change_inbox(
        &self,
        message_id: &MessageId,
        recipient: &OrganisationCode,
        change: impl FnOnce(&mut InboxRow),
    ) -> Result<InboxRow, StateError> {
        let row = self.inbox(message_id, recipient)?;
        let mut row = row.ok_or_else(|| inconsistent(format!("{message_id} never arrived for {recipient}")))?;
        change(&mut row);
        self.write(INBOX, &inbox_key(message_id, recipient), &row)?;
        Ok(row)
    }

    fn receipt_sealed(&self, position: Position, receipt_id: &MessageId, receipt: Receipt) -> Result<(), StateError> {
        let event = match receipt.event {
            ReceiptEvent::Fetched => Event::Fetched,
            ReceiptEvent::Acknowledged => Event::Acknowledged,
            ReceiptEvent::Refused => Event::Refused,
            ReceiptEvent::Status | ReceiptEvent::RecallAgreed | ReceiptEvent::RecallRefused => {
                return Err(inconsistent(format!("receipt {receipt_id} of this edge says {}", receipt.event.as_str())));
            }
        };
        let group = (event, receipt.original_sender.clone());
        let mut items = Vec::with_capacity(receipt.items.len());
        let mut counts = self.pending.lock();
        for item in receipt.items {
            let key = pending_key(event, &receipt.original_sender, &item.message_id, &item.recipient);
            let pending = self.read(PENDING, &key)?.ok_or_else(|| inconsistent(format!("{} was not pending", item.message_id)))?;
            self.delete(PENDING, &key)?;
            items.push(ItemRow { message_id: item.message_id, recipient: item.recipient, pending });
        }
        if let Some(count) = counts.as_mut().and_then(|counts| counts.get_mut(&group)) {
            *count = count.saturating_sub(items.len());
        }
        drop(counts);
        let row = ReceiptRow { position, term: receipt.edge_term, event, sender: receipt.original_sender, items };
        // Whoever sealed it goes on with what did not fit.
        self.touched.lock().remove(&group);
        self.write(RECEIPT, &receipt_id.to_bytes(), &row)
    }

    fn take_receipt(&self, receipt_id: &MessageId) -> Result<ReceiptRow, StateError> {
        let row = self.read(RECEIPT, &receipt_id.to_bytes())?;
        self.delete(RECEIPT, &receipt_id.to_bytes())?;
        row.ok_or_else(|| inconsistent(format!("receipt {receipt_id} was not waiting")))
    }

    fn receipt_logged(&self, moment: &mut Moment, receipt_id: &MessageId) -> Result<(), StateError> {
        let receipt = self.take_receipt(receipt_id)?;
        receipt.items.iter().try_for_each(|item| self.logged(moment, receipt.event, item))
    }

    /// An event is in the log: a fetched document becomes visible, under the next cursor, unless the edge itself returns it.
    fn logged(&self, moment: &mut Moment, event: Event, item: &ItemRow) -> Result<(), StateError> {
        if event != Event::Fetched {
            moment.event_for(Kind::AnswerLogged, &item.message_id, &item.recipient, moment.time);
            let logged = |row: &mut InboxRow| row.answer_logged_at = Some(moment.position.0);
            return self.change_inbox(&item.message_id, &item.recipient, logged).map(|_| ());
        }
        if let Some(InboxRow { answer: Some(Answer::Refused(reason)), .. }) = self.inbox(&item.message_id, &item.recipient)? {
            moment.event_for(Kind::Discarded, &item.message_id, &item.recipient, moment.time);
            let row = self.change_inbox(&item.message_id, &item.recipient, |row| row.decided(Visibility::Discarded, moment.position))?;
            let pending = PendingRow { arrival_number: None, reason: Some(reason), alone: false, ..item.pending.clone() };
            return self.pend(Event::Refused, &row.sender, (&item.message_id, &item.recipient), &pending);
        }
        self.shown.store(true, Ordering::Release);
        moment.event_for(Kind::Shown, &item.message_id, &item.recipient, moment.time);
        let listed = self.list(&item.message_id, Some(&item.recipient), moment.time)?;
        let cursor = self.meta()?.arrival_cursor + 1;
        self.change_meta(|meta| meta.arrival_cursor = cursor)?;
        self.change_inbox(&item.message_id, &item.recipient, |row| {
            row.decided(Visibility::Shown(cursor), moment.position);
            row.listed = Some(listed);
        })?;
        self.write_arrival(cursor, &inbox_key(&item.message_id, &item.recipient))
    }

    fn receipt_returned(
        &self,
        moment: &mut Moment,
        receipt_id: &MessageId,
        reason: &str,
        culprit: Option<(u32, Fate)>,
        apart: bool,
    ) -> Result<(), StateError> {
        let receipt = self.take_receipt(receipt_id)?;
        for (index, item) in (0u32..).zip(&receipt.items) {
            match culprit {
                Some((at, Fate::LoggedBefore)) if at == index => self.logged(moment, receipt.event, item)?,
                Some((at, Fate::Dropped)) if at == index && receipt.event == Event::Fetched => {
                    moment.event_for(Kind::Discarded, &item.message_id, &item.recipient, moment.time);
                    self.change_inbox(&item.message_id, &item.recipient, |row| row.decided(Visibility::Discarded, moment.position))?;
                }
                Some((at, Fate::Dropped)) if at == index => {
                    let event = EventRow::new(Kind::AnswerDropped, &item.message_id, moment.time).recipient(&item.recipient);
                    moment.events.push(event.reason(reason, ""));
                }
                _ => {
                    let row = PendingRow { alone: item.pending.alone || apart, ..item.pending.clone() };
                    self.pend(receipt.event, &receipt.sender, (&item.message_id, &item.recipient), &row)?;
                }
            }
        }
        Ok(())
    }

    fn registry_entry(&self, position: Position, version: u64, leaf: u64, file: &[u8]) -> Result<(), StateError> {
        let payload = DsseFile::parse(file).map_err(|cause| inconsistent(cause.to_string()))?.payload;
        let registry = Registry::parse(&payload).map_err(|cause| inconsistent(cause.to_string()))?;
        self.change_meta(|meta| (meta.registry_version, meta.registry_next_leaf) = (version, leaf + 1))?;
        self.write(REGISTRY, &version.to_be_bytes(), &position.0)?;
        match registry.event {
            RegistryEvent::AgencyJoined(joined) => {
                let codes = [Some(joined.agency.clone()), joined.old_code];
                codes.iter().flatten().try_for_each(|code| self.serve(&OrganisationCode::from(code), &joined.agency))
            }
            RegistryEvent::OrganisationsAdded(added) => added.iter().try_for_each(|organisation| {
                let codes = [Some(&organisation.code), organisation.old_code.as_ref()];
                codes.into_iter().flatten().try_for_each(|code| self.serve(code, &organisation.served_by))
            }),
            RegistryEvent::CertificateAdded(added) => {
                let certificate = Certificate::from_der(&added.certificate).map_err(|cause| inconsistent(cause.to_string()))?;
                self.write(CERTIFICATE, &certificate.keyid.0, &position.0)
            }
            RegistryEvent::Genesis(_) | RegistryEvent::CertificateRevoked(_) => Ok(()),
        }
    }

    fn serve(&self, organisation: &OrganisationCode, agency: &AgencyCode) -> Result<(), StateError> {
        Ok(self.rows.put(ORGANISATION, organisation.as_str().as_bytes(), agency.as_str().as_bytes().to_vec())?)
    }
}

/// What has to stand in a receipt because the DMS answered.
pub(crate) fn pending_answer(row: &InboxRow, at: Timestamp, answer: &Answer) -> (Event, PendingRow) {
    let (event, arrival_number, reason) = match answer {
        Answer::Acknowledged { arrival_number } => (Event::Acknowledged, arrival_number.clone(), None),
        Answer::Refused(reason) => (Event::Refused, None, Some(reason.clone())),
    };
    (event, PendingRow { envelope: row.envelope, at, queue_position: row.queue_position, arrival_number, reason, alone: false })
}

pub(super) fn inconsistent(cause: String) -> StateError {
    StateError::Inconsistent(cause)
}
