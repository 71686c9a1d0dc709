//! Events: what a record means to a DMS, kept by the position of the record. Not how they travel (`grpc::events`).

use serde::{Deserialize, Serialize};
use truc_signing::statement::ReceiptItem;
use truc_types::{MessageId, OrganisationCode, Position, Timestamp};
use truc_views::KeyRange;

use super::rows::{EVENTS, from_row};
use super::{State, StateError, unreadable};
use crate::record::Answer;
use crate::wire;

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
}

impl EventRow {
    pub(super) fn new(kind: Kind, message_id: &MessageId, at: Timestamp) -> Self {
        let (recipient, reason, reason_text, arrival_number) = Default::default();
        Self { kind, message_id: *message_id, recipient, at, reason, reason_text, arrival_number }
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
    /// The events of the records after a cursor, which is the position after a record; each with the cursor that goes on after it.
    pub(crate) fn events_after(&self, cursor: u64, limit: usize) -> Result<Vec<(u64, Vec<EventRow>)>, StateError> {
        let page = self.scan(EVENTS, &KeyRange::between(&cursor.to_be_bytes(), &[0xff; 9]), limit)?;
        let events = |(key, row): (Vec<u8>, Vec<u8>)| {
            let position = u64::from_be_bytes(key.try_into().map_err(|_| unreadable(EVENTS, "its key"))?);
            Ok((Position(position).next().0, from_row(&row).map_err(|cause| unreadable(EVENTS, &cause))?))
        };
        page.rows.into_iter().map(events).collect()
    }
}
