//! Events and notices: what a record means to a DMS, kept by the position of the record. Not how they travel (`grpc::events`), nor where notices are written
//! (`watch`).
//!
//! The events of records that follow each other share a row of [`EVENTS`], the notices of 128 positions a row of [`NOTICE`]: rows cost more than bytes.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use truc_signing::statement::ReceiptItem;
use truc_types::{MessageId, OrganisationCode, Position, Timestamp};
use truc_views::KeyRange;

use super::rows::{EVENTS, NOTICE, to_row};
use super::{State, StateError, unreadable};
use crate::record::Answer;
use crate::wire;

/// Positions that share a row of events, at most.
const ROW_POSITIONS_MAX: u64 = 16;
/// Rows that are read at once.
const PAGE_ROWS: usize = 16;
/// Bytes of a row to which more is added: with what comes to it a common row is not split by the view.
const ROW_BYTES_MAX: usize = 3 * 1024;
/// Positions that share a row of notices: one bit for each.
const NOTICE_POSITIONS: u64 = 128;

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Stored,
    Sealed,
    Accepted,
    RefusedByAxis,
    Queued,
    Fetched,
    Acknowledged,
    Refused,
    Arrived,
    Shown,
    Discarded,
    AnsweredAcknowledged,
    AnsweredRefused,
    AnswerLogged,
    AnswerDropped,
}

/// Something that happened to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRow {
    pub(crate) kind: Kind,
    #[serde(with = "wire::message_id")]
    pub(crate) message_id: MessageId,
    /// Empty: the document as a whole.
    pub(crate) recipient: String,
    #[serde(with = "wire::time")]
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
    pub(crate) reason_text: String,
    pub(crate) arrival_number: String,
    /// The reference of the DMS for a document that was sent, as long as it is known without asking the rows.
    #[serde(skip)]
    pub(crate) reference: Option<String>,
}

impl EventRow {
    pub(super) fn new(kind: Kind, message_id: &MessageId, at: Timestamp) -> Self {
        let (recipient, reason, reason_text, arrival_number) = Default::default();
        Self { kind, message_id: *message_id, recipient, at, reason, reason_text, arrival_number, reference: None }
    }

    pub(super) fn of(self, reference: &str) -> Self {
        Self { reference: Some(reference.to_owned()), ..self }
    }

    /// About what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.recipient, &self.reason, &self.reason_text, &self.arrival_number].into_iter().chain(&self.reference);
        size_of::<Self>() + texts.map(String::len).sum::<usize>()
    }

    pub(super) fn recipient(self, recipient: &OrganisationCode) -> Self {
        Self { recipient: recipient.to_string(), ..self }
    }

    pub(super) fn reason(self, reason: &str, text: &str) -> Self {
        Self { reason: reason.to_owned(), reason_text: text.to_owned(), ..self }
    }

    /// What a recipient's receipt says.
    pub(super) fn receipted(kind: Kind, item: &ReceiptItem) -> Self {
        let event = Self::new(kind, &item.message_id, item.event_time).recipient(&item.recipient);
        let event = Self { arrival_number: item.arrival_number.clone().unwrap_or_default(), ..event };
        match &item.reason {
            Some(reason) => event.reason(&reason.code, &reason.text),
            None => event,
        }
    }

    /// What the DMS of this edge answered.
    pub(super) fn answered(message_id: &MessageId, recipient: &OrganisationCode, at: Timestamp, answer: &Answer) -> Self {
        let event = |kind| Self::new(kind, message_id, at).recipient(recipient);
        match answer {
            Answer::Acknowledged { arrival_number } => {
                Self { arrival_number: arrival_number.clone().unwrap_or_default(), ..event(Kind::AnsweredAcknowledged) }
            }
            Answer::Refused(reason) => event(Kind::AnsweredRefused).reason(&reason.code, &reason.text),
        }
    }
}

impl State {
    /// Adds the events of a record to the last row, or begins a new one.
    pub(super) fn write_events(&self, position: Position, events: &[EventRow]) -> Result<(), StateError> {
        if events.is_empty() {
            return Ok(());
        }
        let item = to_row(&(position.0, events)).map_err(|cause| unreadable(EVENTS, &cause))?;
        let first = self.last_events(position)?;
        if position.0.checked_sub(first).is_some_and(|after| after < ROW_POSITIONS_MAX)
            && let Some(mut row) = self.rows.get(EVENTS, &first.to_be_bytes())?
            && row.len() + item.len() <= ROW_BYTES_MAX
        {
            row.extend_from_slice(&item);
            return Ok(self.rows.put(EVENTS, &first.to_be_bytes(), row)?);
        }
        self.last_events.store(position.0, Ordering::Release);
        Ok(self.rows.put(EVENTS, &position.0.to_be_bytes(), item)?)
    }

    /// The first position of the last row. Found in the rows once: a replay adds to the same ones.
    fn last_events(&self, position: Position) -> Result<u64, StateError> {
        let known = self.last_events.load(Ordering::Acquire);
        if known != u64::MAX {
            return Ok(known);
        }
        let from = position.0.saturating_sub(ROW_POSITIONS_MAX);
        let page = self.scan(EVENTS, &KeyRange::between(&from.to_be_bytes(), &[0xff; 9]), PAGE_ROWS)?;
        // Without one nothing can be added to.
        page.rows.last().map_or(Ok(u64::MAX), |(key, _)| position_of(key))
    }

    /// The events of the records after a cursor, which is the position after a record; each with the cursor that goes on after it. Fewer than `limit` are all.
    pub(crate) fn events_after(&self, cursor: u64, limit: usize) -> Result<Vec<(u64, Vec<EventRow>)>, StateError> {
        let newest = self.tail.lock().after(cursor, limit);
        newest.map_or_else(|| self.stored_events_after(cursor, limit), Ok)
    }

    /// The same from the rows.
    pub(super) fn stored_events_after(&self, cursor: u64, limit: usize) -> Result<Vec<(u64, Vec<EventRow>)>, StateError> {
        let from = cursor.saturating_sub(ROW_POSITIONS_MAX - 1);
        let mut range = KeyRange::between(&from.to_be_bytes(), &[0xff; 9]);
        let mut found = Vec::new();
        loop {
            let page = self.scan(EVENTS, &range, PAGE_ROWS.min(limit))?;
            for (_, row) in &page.rows {
                let items = items(row)?.into_iter().filter(|(position, _)| *position >= cursor);
                found.extend(items.map(|(position, events)| (position + 1, events)));
            }
            match page.rows.last() {
                // Who gets fewer than asked for has all of them.
                Some((key, _)) if page.more && found.len() < limit => range = range.after(key),
                _ => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// A record tells the sender of a document something about it.
    pub(super) fn notice(&self, position: Position) -> Result<(), StateError> {
        let key = (position.0 / NOTICE_POSITIONS).to_be_bytes();
        let noticed = self.rows.get(NOTICE, &key)?.map_or(Ok(0), |row| bits(&row))?;
        let noticed = noticed | (1 << (position.0 % NOTICE_POSITIONS));
        Ok(self.rows.put(NOTICE, &key, noticed.to_be_bytes().to_vec())?)
    }

    /// Records after a position that tell the sender of a document something about it.
    pub(crate) fn notices_after(&self, position: Position, limit: usize) -> Result<Vec<Position>, StateError> {
        let from = position.0.saturating_add(1);
        let range = KeyRange::between(&(from / NOTICE_POSITIONS).to_be_bytes(), &[0xff; 9]);
        // The first row may have earlier ones only.
        let page = self.scan(NOTICE, &range, limit.saturating_add(1))?;
        let mut found = Vec::new();
        for (key, row) in &page.rows {
            let (first, noticed) = (position_of(key)?.saturating_mul(NOTICE_POSITIONS), bits(row)?);
            let positions = (0..NOTICE_POSITIONS).filter(|bit| noticed & (1 << bit) != 0).map(|bit| first + bit);
            found.extend(positions.filter(|position| *position >= from).map(Position));
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn position_of(key: &[u8]) -> Result<u64, StateError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| unreadable(EVENTS, "its key"))
}

fn bits(row: &[u8]) -> Result<u128, StateError> {
    row.try_into().map(u128::from_be_bytes).map_err(|_| unreadable(NOTICE, "its value"))
}

/// The positions of a row of events, with theirs.
fn items(mut row: &[u8]) -> Result<Vec<(u64, Vec<EventRow>)>, StateError> {
    let mut items = Vec::new();
    while !row.is_empty() {
        let (item, rest) = postcard::take_from_bytes(row).map_err(|cause| unreadable(EVENTS, &cause.to_string()))?;
        items.push(item);
        row = rest;
    }
    Ok(items)
}
