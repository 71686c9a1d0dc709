//! The state as rows of a view: what is written off the commit path, and how a state comes back from it. Not facts: the journal has those.
//!
//! Only messages that are still open when the rows are taken get one. A state restored from rows of position p and caught up from p equals one
//! replayed from the start.

use serde::{Deserialize, Serialize};
use truc_signing::statement::Statement;
use truc_types::{Digest, EdgeTerm, Lane, MessageId, Position, QueuePosition, Timestamp};

use crate::entry::Entry;
use crate::registry::AgencyIndex;
use crate::sequence::SequenceWindow;
use crate::state::{AgencyState, DeliveryStep, Known, OpenMessage, RecipientState, State};

/// Changes since the rows were taken last.
#[derive(Debug, Default)]
pub struct Rows {
    /// The state is that before this position.
    pub position: Position,
    /// Positions of all registry statements, in order, if there are new ones; empty otherwise.
    pub registry: Vec<Position>,
    /// Agencies that changed.
    pub agencies: Vec<(AgencyIndex, AgencyRow)>,
    /// Messages that changed, by id; `None` where the row goes.
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
    lane: u8,
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
    /// Takes the rows that changed since the last time. Not between an envelope and its fact: what lies between the two is in no row.
    pub fn take_rows(&mut self) -> Rows {
        debug_assert!(self.pending.is_none(), "rows are taken between decisions");
        let mut changed: Vec<_> = std::mem::take(&mut self.changes.messages).into_iter().collect();
        changed.sort_unstable();
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
        let mut agencies: Vec<_> = std::mem::take(&mut self.changes.agencies).into_iter().collect();
        agencies.sort_unstable();
        let agencies = agencies.into_iter().filter_map(|index| self.agency(index).map(|agency| (index, AgencyRow::of(agency)))).collect();
        let registry = if std::mem::take(&mut self.changes.registry) { self.registry.entries().to_vec() } else { Vec::new() };
        Rows { position: self.next, registry, agencies, messages }
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
            if !matches!(entry.statement, Statement::Registry(_)) || at < state.next || at >= position {
                return Err(RowError::Impossible("position of a registry statement"));
            }
            state.next = at;
            state.apply(at, &entry, &mut effects).map_err(|cause| RowError::Registry(cause.to_string()))?;
        }
        for (index, row) in agencies {
            state.check_agency(index)?;
            *state.agency_mut(index) = row.into_state()?;
        }
        for (id, row) in messages {
            let message = row.into_message()?;
            state.check_agency(message.sender)?;
            message.recipients.iter().try_for_each(|recipient| state.check_agency(recipient.agency))?;
            if message.position >= position {
                return Err(RowError::Impossible("position of a message"));
            }
            state.open.insert(id, message);
            state.changes.viewed.insert(id);
        }
        state.changes.agencies.clear();
        state.changes.registry = false;
        state.next = position;
        Ok(state)
    }

    /// Keeps an entry's id for a restored state: of the entries below its position that are in no index yet. Those above it are applied, which keeps
    /// their ids too.
    pub fn remember_entry(&mut self, position: Position, entry: &Entry) {
        if position < self.next
            && let Some(id) = entry.id()
            && !self.open.contains_key(&id)
        {
            self.remember(id, Known { position, digest: entry.digest });
        }
    }

    fn check_agency(&self, index: AgencyIndex) -> Result<(), RowError> {
        self.registry.agency(index).map(|_| ()).ok_or(RowError::Impossible("agency"))
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

    fn into_state(self) -> Result<AgencyState, RowError> {
        if !self.window.is_whole() {
            return Err(RowError::Impossible("sequence window"));
        }
        if self.feed.len() as u64 > self.feed_last {
            return Err(RowError::Impossible("feed"));
        }
        Ok(AgencyState {
            term: EdgeTerm(self.term),
            window: self.window,
            queue_last: QueuePosition(self.queue_last),
            feed_last: self.feed_last,
            feed: self.feed.into_iter().map(Position).collect(),
            rejections: self.rejections,
        })
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
            lane: open.lane as u8,
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
        let lane = Lane::DRAIN_ORDER.into_iter().find(|lane| *lane as u8 == self.lane).ok_or(RowError::Impossible("lane"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut MessageRow)) -> Result<OpenMessage, RowError> {
        let recipients = vec![("H53".to_owned(), 0, 1, 3)];
        let mut row = MessageRow { position: 7, digest: [1; 32], sender: 0, lane: 3, accepted_at: 9, recipients };
        change(&mut row);
        row.into_message()
    }

    fn agency(change: impl FnOnce(&mut AgencyRow)) -> Result<AgencyState, RowError> {
        let mut row = AgencyRow::of(&AgencyState { feed_last: 1, feed: [Position(4)].into(), ..AgencyState::default() });
        change(&mut row);
        row.into_state()
    }

    #[test]
    fn every_lane_and_step_reads_back() {
        for lane in Lane::DRAIN_ORDER {
            for step in [DeliveryStep::Waiting, DeliveryStep::Fetched, DeliveryStep::Acknowledged, DeliveryStep::Refused] {
                let mut open = message(|_| {}).unwrap();
                open.lane = lane;
                open.recipients[0].step = step;
                assert_eq!(MessageRow::of(&open).into_message(), Ok(open));
            }
        }
    }

    #[test]
    fn values_that_no_state_writes_are_refused() {
        assert_eq!(message(|row| row.lane = 4), Err(RowError::Impossible("lane")));
        assert_eq!(message(|row| row.recipients[0].3 = 4), Err(RowError::Impossible("step")));
        assert_eq!(message(|row| row.recipients[0].0 = "h53".to_owned()), Err(RowError::Impossible("code")));
        assert!(agency(|_| {}).is_ok());
        assert_eq!(agency(|row| row.feed_last = 0), Err(RowError::Impossible("feed")));
        assert_eq!(agency(|row| row.feed.push(5)), Err(RowError::Impossible("feed")));
    }
}
