//! The state as rows of a view: what is written off the commit path, and how a state comes back from it. Not facts: the journal has those.
//!
//! Only messages that are still open when the rows are taken get one. A state restored from rows of position p and caught up from p equals one
//! replayed from the start.

use serde::{Deserialize, Serialize};
use truc_types::{Digest, EdgeTerm, Lane, MessageId, Position, QueuePosition, Timestamp, Urgency};

use crate::entry::Entry;
use crate::registry::AgencyIndex;
use crate::sequence::SequenceWindow;
use crate::state::{AgencyState, DeliveryStep, Known, OpenMessage, RecipientState, State};

/// Changes since the rows were taken last.
#[derive(Debug, Default)]
pub struct Rows {
    /// The state is that before this position.
    pub position: Position,
    /// Positions of the registry statements.
    pub registry: Vec<Position>,
    /// Agencies that changed.
    pub agencies: Vec<(AgencyIndex, AgencyRow)>,
    /// Messages that changed; `None` where the row goes.
    pub messages: Vec<(MessageId, Option<MessageRow>)>,
}

/// An agency's counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgencyRow {
    term: u64,
    window: SequenceWindow,
    queue_last: u64,
    feed_last: u64,
    feed: Vec<u64>,
    rejections: (u64, u32),
}

/// An open message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    position: u64,
    digest: [u8; 32],
    sender: u16,
    urgency_lane: u8,
    accepted_at: u64,
    /// Code, agency, queue position, step.
    recipients: Vec<(String, u16, u64, u8)>,
}

/// Why rows do not make a state: the view is damaged and has to be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A value that no state writes.
    #[error("a row of the view has an impossible {0}")]
    Impossible(&'static str),
    /// The registry statements do not follow from each other.
    #[error("the registry does not replay: {0}")]
    Registry(String),
}

impl State {
    /// Takes the rows that changed since the last time.
    pub fn take_rows(&mut self) -> Rows {
        let changed = std::mem::take(&mut self.changes.messages);
        let mut messages = Vec::with_capacity(changed.len());
        for id in changed {
            match self.open.get(&id) {
                Some(open) => {
                    self.changes.viewed.insert(id);
                    messages.push((id, Some(MessageRow::of(open))));
                }
                None if self.changes.viewed.remove(&id) => messages.push((id, None)),
                None => {}
            }
        }
        let agencies = std::mem::take(&mut self.changes.agencies);
        let agencies = agencies.into_iter().filter_map(|index| self.agency(index).map(|agency| (index, AgencyRow::of(agency)))).collect();
        Rows { position: self.next, registry: self.registry.entries().to_vec(), agencies, messages }
    }

    /// A state from all rows of a view and the registry statements at the positions that it names.
    ///
    /// # Errors
    /// When the rows contradict themselves.
    pub fn restore(
        position: Position,
        registry: impl IntoIterator<Item = (Position, Entry)>,
        agencies: impl IntoIterator<Item = (AgencyIndex, AgencyRow)>,
        messages: impl IntoIterator<Item = (MessageId, MessageRow)>,
    ) -> Result<Self, RowError> {
        let mut state = Self::default();
        let mut effects = Vec::new();
        for (at, entry) in registry {
            state.next = at;
            state.apply(at, &entry, &mut effects).map_err(|cause| RowError::Registry(cause.to_string()))?;
        }
        for (index, row) in agencies {
            *state.agency_mut(index) = row.into_state();
        }
        for (id, row) in messages {
            state.open.insert(id, row.into_message()?);
            state.changes.viewed.insert(id);
        }
        state.changes.agencies.clear();
        state.next = position;
        Ok(state)
    }

    /// Keeps an entry's id while a restored state catches up with the part of the journal that has no index yet.
    pub fn remember_entry(&mut self, position: Position, entry: &Entry) {
        if let Some(id) = entry.id()
            && !self.open.contains_key(&id)
        {
            self.remember(id, Known { position, digest: entry.digest });
        }
    }
}

impl AgencyRow {
    fn of(agency: &AgencyState) -> Self {
        Self {
            term: agency.term.0,
            window: agency.window.clone(),
            queue_last: agency.queue_last.0,
            feed_last: agency.feed_last,
            feed: agency.feed.iter().map(|position| position.0).collect(),
            rejections: agency.rejections,
        }
    }

    fn into_state(self) -> AgencyState {
        AgencyState {
            term: EdgeTerm(self.term),
            window: self.window,
            queue_last: QueuePosition(self.queue_last),
            feed_last: self.feed_last,
            feed: self.feed.into_iter().map(Position).collect(),
            rejections: self.rejections,
        }
    }
}

impl MessageRow {
    fn of(open: &OpenMessage) -> Self {
        let step = |step: DeliveryStep| match step {
            DeliveryStep::Waiting => 0,
            DeliveryStep::Fetched => 1,
            DeliveryStep::Acknowledged => 2,
            DeliveryStep::Refused => 3,
        };
        let recipient = |recipient: &RecipientState| {
            (recipient.organisation.to_string(), recipient.agency.0, recipient.queue_position.0, step(recipient.step))
        };
        Self {
            position: open.position.0,
            digest: open.digest.0,
            sender: open.sender.0,
            urgency_lane: open.lane as u8,
            accepted_at: open.accepted_at.as_millis(),
            recipients: open.recipients.iter().map(recipient).collect(),
        }
    }

    fn into_message(self) -> Result<OpenMessage, RowError> {
        let recipient = |(organisation, agency, queue_position, step): (String, u16, u64, u8)| {
            let step = match step {
                0 => DeliveryStep::Waiting,
                1 => DeliveryStep::Fetched,
                2 => DeliveryStep::Acknowledged,
                3 => DeliveryStep::Refused,
                _ => return Err(RowError::Impossible("step")),
            };
            Ok(RecipientState {
                organisation: organisation.parse().map_err(|_| RowError::Impossible("code"))?,
                agency: AgencyIndex(agency),
                queue_position: QueuePosition(queue_position),
                step,
            })
        };
        let lane: Lane = Urgency::from_digit(self.urgency_lane).ok_or(RowError::Impossible("lane"))?.lane();
        Ok(OpenMessage {
            position: Position(self.position),
            digest: Digest(self.digest),
            sender: AgencyIndex(self.sender),
            lane,
            accepted_at: Timestamp::from_millis(self.accepted_at),
            recipients: self.recipients.into_iter().map(recipient).collect::<Result<_, _>>()?,
        })
    }
}
