//! What the operator sees of queues and streams. Copied out in one piece, so that the numbers of an answer fit each other; the answer leaves with the
//! block, like every output.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use truc_core::DeliveryStep;
use truc_core::dispatch::DeliveryStanding;
use truc_core::registry::AgencyIndex;
use truc_transport::clock;
use truc_types::{EdgeTerm, Lane, MessageId, OrganisationCode, Position, QueuePosition, Timestamp};

use super::Sequencer;
use crate::committer::Output;

/// All queues and streams at one moment.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// In the order of the registry.
    pub(crate) agencies: Vec<InspectedAgency>,
    /// Behind the last decided entry.
    pub(crate) decided: Position,
    /// Messages that some recipient has not answered.
    pub(crate) open_messages: usize,
    pub(crate) views_broken: bool,
}

/// One agency.
#[derive(Debug)]
pub(crate) struct InspectedAgency {
    pub(crate) agency: AgencyIndex,
    pub(crate) edge_term: EdgeTerm,
    /// By [`Lane::index`]: how many, and when the oldest was accepted.
    pub(crate) lanes: [(usize, Option<Timestamp>); Lane::COUNT],
    pub(crate) leased: usize,
    pub(crate) paused: usize,
    pub(crate) redelivered: usize,
    pub(crate) receipts_waiting: usize,
    pub(crate) stream: Option<InspectedStream>,
    /// When its last stream ended, if it had one since the start of the process.
    pub(crate) ended: Option<Timestamp>,
}

/// One delivery stream.
#[derive(Debug)]
pub(crate) struct InspectedStream {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) since: Timestamp,
    pub(crate) edge_term: EdgeTerm,
    pub(crate) credit: u32,
    pub(crate) receipts_unconfirmed: u64,
    pub(crate) items_waiting: usize,
}

/// A delivery that nobody has fetched.
#[derive(Debug)]
pub(crate) struct InspectedDelivery {
    pub(crate) recipient: OrganisationCode,
    pub(crate) agency: AgencyIndex,
    pub(crate) queue_position: QueuePosition,
    pub(crate) lane: Lane,
    pub(crate) standing: DeliveryStanding,
    pub(crate) connected: bool,
}

impl InspectedAgency {
    /// Deliveries of all lanes.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.iter().map(|(waiting, _)| waiting).sum()
    }

    /// When the oldest delivery was accepted.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(|(_, oldest)| *oldest).min()
    }
}

impl Sequencer {
    pub(super) fn inspect(&mut self, reply: oneshot::Sender<Inspection>) {
        let count = u16::try_from(self.state.registry().agencies().len()).unwrap_or(u16::MAX);
        let agencies = (0..count).map(|index| self.inspect_agency(AgencyIndex(index))).collect();
        let inspection =
            Inspection { agencies, decided: self.state.next(), open_messages: self.state.open_messages(), views_broken: self.views_broken };
        self.tell(reply, inspection);
    }

    pub(super) fn inspect_message(&mut self, message_id: &MessageId, reply: oneshot::Sender<Vec<InspectedDelivery>>) {
        let Some(message) = self.state.message(message_id) else { return self.tell(reply, Vec::new()) };
        let waiting = message.recipients.iter().filter(|recipient| recipient.step == DeliveryStep::Waiting);
        // Leases and pauses end by the clock that only counts; people read the other one.
        let (now, counted) = (clock::now(), self.counted());
        let shown = |mut standing: DeliveryStanding| {
            standing.until = standing.until.map(|until| now.plus_millis(until.millis_since(counted)));
            standing
        };
        let deliveries = waiting
            .filter_map(|recipient| {
                Some(InspectedDelivery {
                    recipient: recipient.organisation.clone(),
                    agency: recipient.agency,
                    queue_position: recipient.queue_position,
                    lane: message.lane,
                    standing: shown(self.queues.get(usize::from(recipient.agency.0))?.delivery(recipient.queue_position)),
                    connected: self.connected_term(recipient.agency).is_some(),
                })
            })
            .collect();
        self.tell(reply, deliveries);
    }

    fn inspect_agency(&self, agency: AgencyIndex) -> InspectedAgency {
        let standing = self.queues.get(usize::from(agency.0)).map(truc_core::dispatch::AgencyQueue::standing).unwrap_or_default();
        let accepted = |message_id: MessageId| self.state.message(&message_id).map(|message| message.accepted_at);
        let stream = self.streams.get(usize::from(agency.0)).and_then(Option::as_ref);
        InspectedAgency {
            agency,
            edge_term: self.state.edge_term(agency),
            lanes: standing.lanes.map(|lane| (lane.waiting, lane.oldest.and_then(|(_, message_id)| accepted(message_id)))),
            leased: standing.leased,
            paused: standing.paused,
            redelivered: standing.redelivered,
            receipts_waiting: self.state.feed_waiting(agency),
            stream: stream.map(|stream| InspectedStream {
                peer: stream.peer,
                since: stream.since,
                edge_term: stream.edge_term,
                credit: stream.credit,
                receipts_unconfirmed: stream.feed_sent.saturating_sub(stream.feed_confirmed),
                items_waiting: stream.items.max_capacity().saturating_sub(stream.items.capacity() + 1),
            }),
            ended: self.ended.get(&agency).copied(),
        }
    }

    fn tell<T: Send + 'static>(&mut self, reply: oneshot::Sender<T>, value: T) {
        let told = move || {
            if reply.send(value).is_err() {
                tracing::debug!("nobody waits for an inspection any more");
            }
        };
        self.filling.output(Output::Told(Box::new(told)));
    }
}
