//! What the entries of the log add up to: open messages, sender windows, counters. Changed by `apply` alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use truc_types::limits::OPEN_DELIVERIES_MAX;
use truc_types::{Digest, EdgeTerm, Lane, MessageId, OrganisationCode, Position, QueuePosition, SenderSeq, Timestamp};

use crate::brief::EnvelopeBrief;
use crate::open::OpenMessages;
use crate::registry::{AgencyIndex, Registry};
use crate::sequence::{Numbered, SequenceWindow};

/// The tentative state of the axis: everything that `decide` reads.
#[derive(Debug)]
pub struct State {
    pub(crate) next: Position,
    pub(crate) registry: Arc<Registry>,
    pub(crate) agencies: Vec<AgencyState>,
    pub(crate) open: OpenMessages,
    /// Not a fact: what `decide` refuses beyond. `apply` does not ask.
    pub(crate) open_deliveries_max: u64,
    /// Statements that are not open but not yet in the index of sealed segments either, so that a repetition is recognised.
    pub(crate) recent: HashMap<MessageId, Known>,
    pub(crate) recent_by_position: BTreeMap<Position, MessageId>,
    pub(crate) forgotten_through: Position,
    /// An envelope whose `accepted` fact is the next entry.
    pub(crate) pending: Option<PendingEnvelope>,
    pub(crate) changes: Changes,
}

/// What the axis knows of one agency beside its directory entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AgencyState {
    /// The edge term that is open; 0 before the first.
    pub(crate) term: EdgeTerm,
    pub(crate) window: SequenceWindow,
    /// The queue position that was given out last; 0 before the first.
    pub(crate) queue_last: QueuePosition,
    /// The feed cursor that was given out last; 0 before the first.
    pub(crate) feed_last: u64,
    /// Positions of the newest receipts for this agency; the last has the cursor `feed_last`. Trimmed by [`State::confirm_feed`].
    pub(crate) feed: VecDeque<Position>,
    /// The rows that the views have of it, without a gap between them.
    pub(crate) feed_rows: VecDeque<FeedRow>,
    /// Minute since the epoch, and the refusals logged in it.
    pub(crate) rejections: (u64, u32),
}

/// The cursors of a row of the feed: from the first to before the second. The oldest may have been confirmed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedRow {
    pub(crate) first: u64,
    pub(crate) until: u64,
}

/// A message that some recipient has neither acknowledged nor refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenMessage {
    /// Position of the envelope; its `accepted` fact is the next entry.
    pub position: Position,
    /// SHA-256 of the envelope file.
    pub digest: Digest,
    /// The agency that sealed it.
    pub sender: AgencyIndex,
    /// Its lane.
    pub lane: Lane,
    /// Block time of the acceptance.
    pub accepted_at: Timestamp,
    /// In the order of the envelope.
    pub recipients: Recipients,
}

/// The recipients of a message. Most messages have one: it takes no allocation of its own.
#[derive(Debug, Clone)]
pub struct Recipients(RecipientList);

#[derive(Debug, Clone)]
enum RecipientList {
    One(RecipientState),
    Many(Box<[RecipientState]>),
}

impl From<Vec<RecipientState>> for Recipients {
    fn from(mut all: Vec<RecipientState>) -> Self {
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Self(RecipientList::One(one)),
            (last, _) => {
                all.extend(last);
                Self(RecipientList::Many(all.into_boxed_slice()))
            }
        }
    }
}

impl Deref for Recipients {
    type Target = [RecipientState];

    fn deref(&self) -> &[RecipientState] {
        match &self.0 {
            RecipientList::One(one) => std::slice::from_ref(one),
            RecipientList::Many(all) => all,
        }
    }
}

impl DerefMut for Recipients {
    fn deref_mut(&mut self) -> &mut [RecipientState] {
        match &mut self.0 {
            RecipientList::One(one) => std::slice::from_mut(one),
            RecipientList::Many(all) => all,
        }
    }
}

impl<'a> IntoIterator for &'a Recipients {
    type Item = &'a RecipientState;
    type IntoIter = std::slice::Iter<'a, RecipientState>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Recipients {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Recipients {}

impl Default for State {
    fn default() -> Self {
        Self {
            next: Position::default(),
            registry: Arc::default(),
            agencies: Vec::new(),
            open: OpenMessages::default(),
            open_deliveries_max: OPEN_DELIVERIES_MAX,
            recent: HashMap::new(),
            recent_by_position: BTreeMap::new(),
            forgotten_through: Position::default(),
            pending: None,
            changes: Changes::default(),
        }
    }
}

/// One delivery of an open message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientState {
    /// The organisation, as the envelope spells it.
    pub organisation: OrganisationCode,
    /// The agency that serves it.
    pub agency: AgencyIndex,
    /// Position in that agency's queue.
    pub queue_position: QueuePosition,
    /// How far it has come.
    pub step: DeliveryStep,
}

/// How far a delivery has come, by the receipts in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryStep {
    /// In the queue.
    Waiting,
    /// The recipient's edge has it.
    Fetched,
    /// The recipient registered it (03).
    Acknowledged,
    /// The recipient returned it (02).
    Refused,
}

impl AgencyState {
    /// The cursor of the oldest receipt that is kept; that of the next one if none is.
    pub(crate) fn feed_first(&self) -> u64 {
        self.feed_last - self.feed.len() as u64 + 1
    }
}

impl DeliveryStep {
    /// Nothing more is expected of the recipient.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Refused)
    }
}

/// Where a statement stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its position.
    pub position: Position,
    /// SHA-256 of its file.
    pub digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingEnvelope {
    pub(crate) position: Position,
    pub(crate) sender: AgencyIndex,
    pub(crate) envelope: EnvelopeBrief,
}

/// What has changed since the views were written last, but for the open messages: they know it themselves.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) agencies: ChangedAgencies,
    /// There are new registry statements.
    pub(crate) registry: bool,
}

/// Agencies that changed, each once. A document to all of them changes all of them, so it is a mark that is set, not a search.
#[derive(Debug, Default)]
pub(crate) struct ChangedAgencies {
    marks: Vec<bool>,
    list: Vec<AgencyIndex>,
}

impl ChangedAgencies {
    pub(crate) fn insert(&mut self, agency: AgencyIndex) {
        let at = usize::from(agency.0);
        if at >= self.marks.len() {
            self.marks.resize(at + 1, false);
        }
        if let Some(mark) = self.marks.get_mut(at).filter(|mark| !**mark) {
            *mark = true;
            self.list.push(agency);
        }
    }

    /// They, in order; none is left.
    pub(crate) fn take(&mut self) -> Vec<AgencyIndex> {
        self.marks.clear();
        let mut taken = std::mem::take(&mut self.list);
        taken.sort_unstable();
        taken
    }
}

impl State {
    /// The position that the next entry gets.
    #[must_use]
    pub const fn next(&self) -> Position {
        self.next
    }

    /// The registry. Cheap to clone and never changed in place while others hold it.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// An open message.
    #[must_use]
    pub fn message(&self, id: &MessageId) -> Option<&OpenMessage> {
        self.open.get(id)
    }

    /// Number of open messages.
    #[must_use]
    pub fn open_messages(&self) -> usize {
        self.open.len()
    }

    /// Whether no envelope waits for its fact: between the two, rows cannot be taken.
    #[must_use]
    pub const fn is_between_decisions(&self) -> bool {
        self.pending.is_none()
    }

    /// Number of recipients of open messages.
    #[must_use]
    pub const fn open_deliveries(&self) -> u64 {
        self.open.deliveries()
    }

    /// Has `decide` refuse documents that would make more open deliveries than this. What is open already stays.
    pub const fn limit_open_deliveries(&mut self, max: u64) {
        self.open_deliveries_max = max;
    }

    /// All open messages, in no order.
    pub fn messages(&self) -> impl Iterator<Item = (&MessageId, &OpenMessage)> {
        self.open.iter()
    }

    /// A statement that is open or recent.
    #[must_use]
    pub fn known(&self, id: &MessageId) -> Option<Known> {
        let open = self.open.get(id).map(|open| Known { position: open.position, digest: open.digest });
        open.or_else(|| self.recent.get(id).copied())
    }

    /// The edge term that an agency has open; 0 for none.
    #[must_use]
    pub fn edge_term(&self, agency: AgencyIndex) -> EdgeTerm {
        self.agency(agency).map_or(EdgeTerm(0), |agency| agency.term)
    }

    /// The cursor of the newest receipt for an agency; 0 before the first.
    #[must_use]
    pub fn feed_last(&self, agency: AgencyIndex) -> u64 {
        self.agency(agency).map_or(0, |agency| agency.feed_last)
    }

    /// The cursor of the oldest receipt for an agency that is kept; that of the next one if none is. Those before it were confirmed.
    #[must_use]
    pub fn feed_first(&self, agency: AgencyIndex) -> u64 {
        self.agency(agency).map_or(1, AgencyState::feed_first)
    }

    /// How many receipts for an agency its edge has not confirmed.
    #[must_use]
    pub fn feed_waiting(&self, agency: AgencyIndex) -> usize {
        self.agency(agency).map_or(0, |agency| agency.feed.len())
    }

    /// The receipts for an agency after a cursor: their cursors and positions, oldest first.
    pub fn feed_after(&self, agency: AgencyIndex, cursor: u64) -> impl Iterator<Item = (u64, Position)> {
        let (feed, last) = self.agency(agency).map_or((None, 0), |agency| (Some(&agency.feed), agency.feed_last));
        let first = last - feed.map_or(0, |feed| feed.len() as u64) + 1;
        // The cursor comes from outside: it may be any number.
        let skip = usize::try_from(cursor.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        feed.into_iter().flatten().enumerate().skip(skip).map(move |(i, position)| (first + i as u64, *position))
    }

    /// The agency's edge has stored the receipts up to a cursor: they need not be kept in memory. Not a fact; forgetting it costs a repetition.
    pub fn confirm_feed(&mut self, agency: AgencyIndex, cursor: u64) {
        let Some(state) = self.agencies.get_mut(usize::from(agency.0)) else { return };
        let first = state.feed_first();
        let confirmed = (cursor.min(state.feed_last) + 1).saturating_sub(first);
        if confirmed > 0 {
            state.feed.drain(..usize::try_from(confirmed).unwrap_or(usize::MAX).min(state.feed.len()));
            self.changes.agencies.insert(agency);
        }
    }

    /// Statements below `through` are in the index of sealed segments: they need not be kept in memory. Commands admitted with an older index are
    /// stale ([`crate::Submit::is_stale`]) and need another look-up. Whoever only replays forgets everything that is applied.
    pub fn forget(&mut self, through: Position) {
        while let Some(first) = self.recent_by_position.first_entry() {
            if *first.key() >= through {
                break;
            }
            self.recent.remove(first.get());
            first.remove();
        }
        self.forgotten_through = self.forgotten_through.max(through);
    }

    /// Keeps a statement that is not open, unless it is in the index: [`State::forget`] before a replay keeps its memory bounded.
    pub fn remember(&mut self, id: MessageId, known: Known) {
        if known.position < self.forgotten_through {
            return;
        }
        if self.recent.insert(id, known).is_none() {
            self.recent_by_position.insert(known.position, id);
        }
    }

    /// What is to be said of a sequence number of an agency in the term that it has open.
    pub(crate) fn look(&self, agency: AgencyIndex, seq: SenderSeq) -> Numbered {
        self.agency(agency).map_or(Numbered::Outside, |agency| agency.window.look(seq))
    }

    pub(crate) fn agency(&self, index: AgencyIndex) -> Option<&AgencyState> {
        self.agencies.get(usize::from(index.0))
    }

    pub(crate) fn agency_mut(&mut self, index: AgencyIndex) -> &mut AgencyState {
        self.changes.agencies.insert(index);
        let at = usize::from(index.0);
        if at >= self.agencies.len() {
            self.agencies.resize_with(at + 1, AgencyState::default);
        }
        #[expect(clippy::indexing_slicing, reason = "the line above makes it long enough")]
        &mut self.agencies[at]
    }

    /// The facts of the state, for comparison: everything but what is only kept in memory for a while.
    #[must_use]
    pub fn facts_equal(&self, other: &Self) -> bool {
        let agencies = |state: &Self| -> Vec<_> {
            let counters =
                |agency: &AgencyState| (agency.term, agency.window.clone(), agency.queue_last, agency.feed_last, agency.rejections);
            state.agencies.iter().map(counters).collect()
        };
        self.next == other.next
            && self.open == other.open
            && agencies(self) == agencies(other)
            && self.registry.version() == other.registry.version()
            && self.registry.agencies() == other.registry.agencies()
            && self.registry.organisations() == other.registry.organisations()
    }
}
