//! The sequencer's side of deliveries: streams of edges, leases within credit, the feed of receipts. What is decided here leaves with the block, too.
//!
//! Not which delivery is next: that is `truc_core::dispatch`.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use truc_core::dispatch::{AgencyQueue, LeaseId};
use truc_core::registry::AgencyIndex;
use truc_types::{EdgeTerm, Reason, Refusal};

use super::Sequencer;
use crate::committer::Output;
use crate::stream::{DeliveryItem, Earlier, OpenStream, StreamId, StreamItem};

impl Sequencer {
    pub(super) fn open_stream(
        &mut self,
        agency: AgencyIndex,
        edge_term: EdgeTerm,
        feed_cursor: u64,
        (id, peer): (StreamId, Option<SocketAddr>),
        items: mpsc::Sender<StreamItem>,
    ) {
        let open = self.state.edge_term(agency);
        if edge_term != open {
            let reason = if edge_term < open { Reason::TermSuperseded } else { Reason::TermNotOpen };
            let refusal = Refusal::new(reason, format!("the stream is of edge term {edge_term}, term {open} is open")).with("open", open);
            return self.turn_away(&items, refusal);
        }
        let feed_last = self.state.feed_last(agency);
        if feed_cursor > feed_last {
            let message = format!("the edge has stored receipt {feed_cursor}, this log ends at {feed_last}: it lost its tail");
            let refusal = Refusal::new(Reason::LogFork, message).with("feed_cursor", feed_cursor).with("feed_last", feed_last);
            tracing::error!(%refusal, "an edge knows more than the log");
            return self.turn_away(&items, refusal);
        }
        self.close_stream(agency, Some(Refusal::new(Reason::ShuttingDown, "this edge opened another delivery stream")));
        let place_for = || items.clone().try_reserve_owned();
        let (Ok(opening), Ok(earlier), Ok(closing)) = (place_for(), place_for(), place_for()) else {
            // The client has gone; its `Close` finds nothing to close.
            return;
        };
        let waiting = self.queue(agency).waiting() as u64;
        self.filling.output(Output::Stream { place: opening, item: StreamItem::Opened { waiting } });
        let since = self.now();
        let until = self.state.feed_first(agency);
        if feed_cursor + 1 < until {
            tracing::warn!(after = feed_cursor, until, "an edge has less receipts than it confirmed once: they are read from the journal");
            self.filling
                .output(Output::Stream { place: earlier, item: StreamItem::Earlier(Earlier { agency, after: feed_cursor, until }) });
        }
        let feed_sent = feed_cursor.max(until - 1);
        let stream = OpenStream { id, edge_term, peer, since, items, closing, credit: 0, feed_sent, feed_confirmed: feed_cursor };
        if let Some(place) = place(&mut self.streams, agency) {
            *place = Some(stream);
        }
        self.state.confirm_feed(agency, feed_cursor);
        self.feed(agency);
    }

    pub(super) fn close_stream(&mut self, agency: AgencyIndex, cause: Option<Refusal>) {
        if let Some(stream) = place(&mut self.streams, agency).and_then(Option::take) {
            self.queue(agency).release_all();
            let now = self.now();
            self.ended.insert(agency, now);
            if let Some(cause) = cause {
                self.filling.output(Output::Stream { place: stream.closing, item: StreamItem::Closed(cause) });
            }
        }
    }

    /// Another edge of the agency took over: what the old one still holds is worth nothing.
    pub(super) fn fence(&mut self, agency: AgencyIndex, term: EdgeTerm) {
        if self.connected_term(agency).is_some_and(|connected| connected < term) {
            let refusal = Refusal::new(Reason::TermSuperseded, format!("edge term {term} was opened")).with("open", term);
            self.close_stream(agency, Some(refusal));
        }
    }

    /// Leases what the agency's edge has credit for.
    pub(super) fn deliver(&mut self, agency: AgencyIndex) {
        if !self.streams.get(usize::from(agency.0)).is_some_and(Option::is_some) {
            return;
        }
        let now = self.counted();
        loop {
            let Some(Some(stream)) = self.streams.get_mut(usize::from(agency.0)) else { return };
            let Some(queue) = self.queues.get_mut(usize::from(agency.0)) else { return };
            if stream.credit == 0 || !queue.is_ready() {
                return;
            }
            // Without a place there is no lease. The next tick asks again.
            let Some(place) = stream.place() else { return };
            let Some(grant) = queue.grant(now, LeaseId(self.last_lease + 1)) else { return };
            self.last_lease += 1;
            let message = self.state.message(&grant.delivery.message_id);
            let recipient =
                message.and_then(|message| message.recipients.get(usize::from(grant.delivery.recipient)).map(|r| (message.position, r)));
            let Some((envelope, recipient)) = recipient else {
                queue.remove(grant.position);
                continue;
            };
            stream.credit -= 1;
            if self.state.registry().axis_agency() != Some(agency) {
                self.filling.tally.deliveries += 1;
                self.filling.tally.redeliveries += u32::from(grant.attempt > 1);
            }
            let item = DeliveryItem {
                lease: grant.lease,
                attempt: grant.attempt,
                message_id: grant.delivery.message_id,
                recipient: recipient.organisation.clone(),
                queue_position: grant.position,
                envelope,
            };
            self.filling.output(Output::Stream { place, item: StreamItem::Delivery(Box::new(item)) });
        }
    }

    /// Sends the receipts that the agency's edge has room for.
    pub(super) fn feed(&mut self, agency: AgencyIndex) {
        let Some(Some(stream)) = self.streams.get_mut(usize::from(agency.0)) else { return };
        let room = usize::try_from(stream.feed_room()).unwrap_or(usize::MAX);
        for (cursor, position) in self.state.feed_after(agency, stream.feed_sent).take(room) {
            let Some(place) = stream.place() else { return };
            stream.feed_sent = cursor;
            self.filling.output(Output::Stream { place, item: StreamItem::Feed { cursor, position } });
        }
    }

    /// Says why there is no stream.
    fn turn_away(&mut self, items: &mpsc::Sender<StreamItem>, refusal: Refusal) {
        if let Ok(place) = items.clone().try_reserve_owned() {
            self.filling.output(Output::Stream { place, item: StreamItem::Closed(refusal) });
        }
    }

    pub(super) fn connected_term(&self, agency: AgencyIndex) -> Option<EdgeTerm> {
        self.streams.get(usize::from(agency.0))?.as_ref().map(|stream| stream.edge_term)
    }

    pub(super) fn stream(&mut self, agency: AgencyIndex, id: StreamId) -> Option<&mut OpenStream> {
        self.streams.get_mut(usize::from(agency.0))?.as_mut().filter(|stream| stream.id == id)
    }

    pub(super) fn queue(&mut self, agency: AgencyIndex) -> &mut AgencyQueue {
        let at = usize::from(agency.0);
        if at >= self.queues.len() {
            self.queues.resize_with(at + 1, AgencyQueue::default);
        }
        #[expect(clippy::indexing_slicing, reason = "the line above makes it long enough")]
        &mut self.queues[at]
    }

    /// The queues that follow from the open messages: what nobody has fetched.
    pub(super) fn fill_queues(&mut self) {
        let mut waiting = Vec::new();
        for (message_id, message) in self.state.messages() {
            for (i, recipient) in (0u16..).zip(&message.recipients) {
                if recipient.step == truc_core::DeliveryStep::Waiting {
                    let delivery = truc_core::dispatch::Delivery { message_id: *message_id, recipient: i, lane: message.lane };
                    waiting.push((recipient.agency, recipient.queue_position, delivery));
                }
            }
        }
        // In order a queue takes them as rows.
        waiting.sort_unstable_by_key(|(agency, position, _)| (*agency, *position));
        for (agency, position, delivery) in waiting {
            self.queue(agency).push(position, delivery);
        }
    }
}

fn place(streams: &mut Vec<Option<OpenStream>>, agency: AgencyIndex) -> Option<&mut Option<OpenStream>> {
    let at = usize::from(agency.0);
    if at >= streams.len() {
        streams.resize_with(at + 1, || None);
    }
    streams.get_mut(at)
}
