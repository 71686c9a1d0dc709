//! The state as rows of a view: what is written off the commit path, and how a state comes back from it. Not facts: the journal has those.
//!
//! Only messages that are still open when the rows are taken get one. A state restored from rows of position p and caught up from p equals one
//! replayed from the start.

use std::collections::VecDeque;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use truc_signing::statement::Statement;
use truc_types::{Digest, EdgeTerm, Lane, MessageId, OrganisationCode, Position, QueuePosition, Timestamp};

use crate::entry::Entry;
use crate::open::{GROUP_PLACES, OpenMessages, SHARED_RECIPIENTS_MAX};
use crate::registry::AgencyIndex;
use crate::sequence::SequenceWindow;
use crate::state::{AgencyState, DeliveryStep, FeedRow, Known, OpenMessage, RecipientState, Recipients, State};

/// Rows of confirmed receipts that go in one write: an edge that was away for a year may confirm a million at once. The rest goes with later writes;
/// until then a restored state offers those receipts once more, which their edge recognises.
const FEED_ROWS_REMOVED_MAX: usize = 10_000;
/// Receipts that share a row of the feed: 4 kB.
const FEED_ROW_RECEIPTS_MAX: usize = 512;

/// Changes since the rows were taken last.
#[derive(Debug, Default)]
pub struct Rows<G = GroupRow, M = MessageRow> {
    /// The state is that before this position.
    pub position: Position,
    /// Positions of all registry statements, in order, if there are new ones; empty otherwise.
    pub registry: Vec<Position>,
    /// Agencies that changed.
    pub agencies: Vec<(AgencyIndex, AgencyRow)>,
    /// Receipts for agencies, by the cursor of the first in the row; `None` where the row goes: the edge has stored all of them. What is new shares a row,
    /// because a row costs far more to write than its bytes do; none grows later.
    pub feed: Vec<(AgencyIndex, u64, Option<Vec<Position>>)>,
    /// Groups of open messages that changed; `None` where the row goes.
    pub groups: Vec<(u32, Option<G>)>,
    /// Open messages of many recipients that changed, by place; `None` where the row goes.
    pub apart: Vec<(u32, Option<M>)>,
}

/// An agency's counters. At most about 700 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgencyRow {
    term: u64,
    window: SequenceWindow,
    queue_last: u64,
    feed_last: u64,
    rejections: (u64, u32),
}

/// Open messages that lie beside each other and have few recipients. At most about 8 kB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow(Vec<(u8, MessageRow)>);

/// An open message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    id: [u8; 16],
    position: u64,
    digest: [u8; 32],
    sender: u16,
    lane: u8,
    accepted_at: u64,
    /// Code, agency, queue position, step.
    recipients: Vec<(CodeText, u16, u64, u8)>,
}

/// A code, written as its text: a text of its own for each of 94 recipients costs more than the rest of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CodeText(OrganisationCode);

impl Serialize for CodeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for CodeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
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
        self.take_rows_as(|row| row, |row| row)
    }

    /// The same; each row of messages becomes what its writer needs before the next one is made: together they are a multiple of their bytes.
    pub fn take_rows_as<G, M>(&mut self, group: impl Fn(GroupRow) -> G, apart: impl Fn(MessageRow) -> M) -> Rows<G, M> {
        debug_assert!(self.pending.is_none(), "rows are taken between decisions");
        let changed = self.open.take_changed();
        let groups = changed.groups.into_iter().map(|number| (number, GroupRow::of(&self.open, number).map(&group))).collect();
        let message = |at| self.open.apart(at).map(|(id, message)| apart(MessageRow::of(id, message)));
        let apart = changed.apart.into_iter().map(|at| (at, message(at))).collect();
        let agencies = self.changes.agencies.take();
        let feed = self.take_feed_rows(&agencies);
        let agencies = agencies.into_iter().filter_map(|index| self.agency(index).map(|agency| (index, AgencyRow::of(agency)))).collect();
        let registry = if std::mem::take(&mut self.changes.registry) { self.registry.entries().to_vec() } else { Vec::new() };
        Rows { position: self.next, registry, agencies, feed, groups, apart }
    }

    /// Open messages that came, changed or went since rows were taken.
    #[must_use]
    pub fn messages_changed(&self) -> usize {
        self.open.changed_len()
    }

    /// What changed in the feeds of these agencies. All that is new; of what was confirmed as much as one write takes, lowest cursors first, so that
    /// the rows of a feed have no gap.
    fn take_feed_rows(&mut self, changed: &[AgencyIndex]) -> Vec<(AgencyIndex, u64, Option<Vec<Position>>)> {
        let (mut rows, mut room) = (Vec::new(), FEED_ROWS_REMOVED_MAX);
        for index in changed {
            let Some(agency) = self.agencies.get_mut(usize::from(index.0)) else { continue };
            let first = agency.feed_first();
            let until = agency.feed_rows.back().map_or(first, |row| row.until);
            // Where what is left has no receipt in common with what is new, all of it goes: a gap would read as damage.
            let has_gap = first > until;
            while let Some(row) = agency.feed_rows.front().filter(|row| row.until <= first && (room > 0 || has_gap)) {
                rows.push((*index, row.first, None));
                room = room.saturating_sub(1);
                agency.feed_rows.pop_front();
            }
            let is_left = agency.feed_rows.front().is_some_and(|row| row.until <= first);
            let mut next = until.max(first);
            let new: Vec<_> = agency.feed.iter().skip(usize::try_from(next - first).unwrap_or(usize::MAX)).copied().collect();
            for positions in new.chunks(FEED_ROW_RECEIPTS_MAX) {
                let row = FeedRow { first: next, until: next + positions.len() as u64 };
                rows.push((*index, row.first, Some(positions.to_vec())));
                next = row.until;
                agency.feed_rows.push_back(row);
            }
            if is_left {
                self.changes.agencies.insert(*index);
            }
        }
        rows
    }

    /// A state from all rows of a view and the registry statements at the positions that it names. Each message comes with its place.
    ///
    /// # Errors
    /// When the rows contradict themselves.
    pub fn restore(
        position: Position,
        registry: impl IntoIterator<Item = (Position, Entry)>,
        agencies: impl IntoIterator<Item = (AgencyIndex, AgencyRow)>,
        feed: impl IntoIterator<Item = (AgencyIndex, u64, Vec<Position>)>,
        messages: impl IntoIterator<Item = (u32, MessageRow)>,
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
        for (place, row) in messages {
            let id = MessageId::from_bytes(row.id);
            let message = row.into_message()?;
            state.check_agency(message.sender)?;
            message.recipients.iter().try_for_each(|recipient| state.check_agency(recipient.agency))?;
            if message.position >= position {
                return Err(RowError::Impossible("position of a message"));
            }
            if !state.open.restore(place, id, message) {
                return Err(RowError::Impossible("place or id"));
            }
        }
        state.open.settle();
        state.restore_feed(position, feed)?;
        state.changes.agencies.take();
        state.changes.registry = false;
        state.next = position;
        Ok(state)
    }

    /// The receipts that wait, ordered by agency and cursor: without gaps up to the last one that was given out.
    fn restore_feed(&mut self, end: Position, feed: impl IntoIterator<Item = (AgencyIndex, u64, Vec<Position>)>) -> Result<(), RowError> {
        for (index, first, positions) in feed {
            self.check_agency(index)?;
            let agency = self.agency_mut(index);
            let follows = agency.feed_rows.back().is_none_or(|before| before.until == first);
            let until = first.checked_add(positions.len() as u64).filter(|until| *until <= agency.feed_last.saturating_add(1));
            let (Some(until), true) = (until, follows && first > 0 && !positions.is_empty()) else {
                return Err(RowError::Impossible("feed"));
            };
            for position in positions {
                if position >= end || agency.feed.back().is_some_and(|last| *last >= position) {
                    return Err(RowError::Impossible("feed"));
                }
                agency.feed.push_back(position);
            }
            agency.feed_rows.push_back(FeedRow { first, until });
        }
        let is_whole =
            |agency: &AgencyState| agency.feed_rows.back().is_none_or(|last| Some(last.until) == agency.feed_last.checked_add(1));
        if self.agencies.iter().all(is_whole) { Ok(()) } else { Err(RowError::Impossible("feed")) }
    }

    /// Keeps an entry's id for a restored state: of the entries below its position that are in no index yet. Those above it are applied, which keeps
    /// their ids too.
    pub fn remember_entry(&mut self, position: Position, entry: &Entry) {
        if position < self.next
            && let Some(id) = entry.id()
            && !self.open.contains(&id)
        {
            self.remember(id, Known { position, digest: entry.digest() });
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
            rejections: agency.rejections,
        }
    }

    fn into_state(self) -> Result<AgencyState, RowError> {
        if !self.window.is_whole() {
            return Err(RowError::Impossible("sequence window"));
        }
        Ok(AgencyState {
            term: EdgeTerm(self.term),
            window: self.window,
            queue_last: QueuePosition(self.queue_last),
            feed_last: self.feed_last,
            feed: VecDeque::new(),
            feed_rows: VecDeque::new(),
            rejections: self.rejections,
        })
    }
}

impl GroupRow {
    /// The row of a group; none where nothing shares it.
    fn of(open: &OpenMessages, group: u32) -> Option<Self> {
        let messages: Vec<_> = open.group(group).map(|(place, id, message)| (place, MessageRow::of(id, message))).collect();
        (!messages.is_empty()).then_some(Self(messages))
    }

    /// The messages of the row of this group, with their places.
    ///
    /// # Errors
    /// When no group has such a row.
    pub fn into_messages(self, group: u32) -> Result<impl Iterator<Item = (u32, MessageRow)>, RowError> {
        let Self(messages) = self;
        let is_of_group = messages.iter().all(|(place, message)| u32::from(*place) < GROUP_PLACES && !message.stands_apart());
        let first = group.checked_mul(GROUP_PLACES).filter(|_| is_of_group).ok_or(RowError::Impossible("group"))?;
        Ok(messages.into_iter().map(move |(place, message)| (first + u32::from(place), message)))
    }
}

impl MessageRow {
    /// Whether such a message has a row of its own.
    #[must_use]
    pub const fn stands_apart(&self) -> bool {
        self.recipients.len() > SHARED_RECIPIENTS_MAX
    }

    fn of(id: &MessageId, open: &OpenMessage) -> Self {
        let step = |step: DeliveryStep| match step {
            DeliveryStep::Waiting => 0,
            DeliveryStep::Fetched => 1,
            DeliveryStep::Acknowledged => 2,
            DeliveryStep::Refused => 3,
        };
        let recipient = |recipient: &RecipientState| {
            let code = CodeText(recipient.organisation.clone());
            (code, recipient.agency.0, recipient.queue_position.0, step(recipient.step))
        };
        Self {
            id: id.to_bytes(),
            position: open.position.0,
            digest: open.digest.0,
            sender: open.sender.0,
            lane: open.lane as u8,
            accepted_at: open.accepted_at.as_millis(),
            recipients: open.recipients.iter().map(recipient).collect(),
        }
    }

    fn into_message(self) -> Result<OpenMessage, RowError> {
        let recipient = |(CodeText(organisation), agency, queue_position, step): (CodeText, u16, u64, u8)| {
            let step = match step {
                0 => DeliveryStep::Waiting,
                1 => DeliveryStep::Fetched,
                2 => DeliveryStep::Acknowledged,
                3 => DeliveryStep::Refused,
                _ => return Err(RowError::Impossible("step")),
            };
            Ok(RecipientState { organisation, agency: AgencyIndex(agency), queue_position: QueuePosition(queue_position), step })
        };
        let lane = Lane::DRAIN_ORDER.into_iter().find(|lane| *lane as u8 == self.lane).ok_or(RowError::Impossible("lane"))?;
        Ok(OpenMessage {
            position: Position(self.position),
            digest: Digest(self.digest),
            sender: AgencyIndex(self.sender),
            lane,
            accepted_at: Timestamp::from_millis(self.accepted_at),
            recipients: Recipients::from(self.recipients.into_iter().map(recipient).collect::<Result<Vec<_>, _>>()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::value::BorrowedStrDeserializer;

    fn message(change: impl FnOnce(&mut MessageRow)) -> Result<OpenMessage, RowError> {
        let recipients = vec![(CodeText("H53".parse().unwrap()), 0, 1, 3)];
        let mut row = MessageRow { id: [5; 16], position: 7, digest: [1; 32], sender: 0, lane: 3, accepted_at: 9, recipients };
        change(&mut row);
        row.into_message()
    }

    #[test]
    fn every_lane_and_step_reads_back() {
        for lane in Lane::DRAIN_ORDER {
            for step in [DeliveryStep::Waiting, DeliveryStep::Fetched, DeliveryStep::Acknowledged, DeliveryStep::Refused] {
                let mut open = message(|_| {}).unwrap();
                open.lane = lane;
                open.recipients[0].step = step;
                assert_eq!(MessageRow::of(&MessageId::from_bytes([5; 16]), &open).into_message(), Ok(open));
            }
        }
    }

    #[test]
    fn values_that_no_state_writes_are_refused() {
        assert_eq!(message(|row| row.lane = 4), Err(RowError::Impossible("lane")));
        assert_eq!(message(|row| row.recipients[0].3 = 4), Err(RowError::Impossible("step")));
        let code = |text| CodeText::deserialize(BorrowedStrDeserializer::<serde::de::value::Error>::new(text));
        assert_eq!(code("H53"), Ok(CodeText("H53".parse().unwrap())));
        assert!(code("h53").is_err(), "no code");
    }
}
