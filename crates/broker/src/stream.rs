//! The delivery stream of one edge, as the sequencer sees it: credit, feed, and what it is to send.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use truc_core::dispatch::LeaseId;
use truc_core::registry::AgencyIndex;
use truc_types::limits::DELIVERY_CREDIT_MAX;
use truc_types::{EdgeTerm, MessageId, OrganisationCode, Position, QueuePosition, Refusal, Timestamp};

/// Receipts that an edge may have unconfirmed.
pub(crate) const FEED_UNCONFIRMED_MAX: u32 = 256;

/// A place in the channel of a stream, taken before there is an item for it: an item that was decided always finds its way into the channel. An edge
/// that gives credit without end and reads nothing gets no place, so nothing is leased to it and its feed stands still.
pub(crate) type Place = mpsc::OwnedPermit<StreamItem>;

/// Places of one stream: what one full credit and one full feed need, and the items for opening, earlier receipts and closing.
pub(crate) const STREAM_ITEMS_MAX: usize = (DELIVERY_CREDIT_MAX + FEED_UNCONFIRMED_MAX + 4) as usize;

/// What the stream is to send.
#[derive(Debug)]
pub(crate) enum StreamItem {
    /// The stream is open.
    Opened {
        /// Documents that wait for the agency.
        waiting: u64,
    },
    /// A document.
    Delivery(Box<DeliveryItem>),
    /// A receipt.
    Feed {
        /// Its cursor.
        cursor: u64,
        /// Its position.
        position: Position,
    },
    /// Receipts that were confirmed once and are kept no more: the edge came back from an older copy, or was made anew.
    Earlier(Earlier),
    /// The registry has a new version.
    Registry {
        /// It.
        version: u64,
    },
    /// The stream ends.
    Closed(Refusal),
}

/// Receipts that are in the journal and in no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// For this agency.
    pub agency: AgencyIndex,
    /// The receipt that the edge has stored last.
    pub after: u64,
    /// The first one that is kept.
    pub until: u64,
}

/// A leased delivery.
#[derive(Debug)]
pub(crate) struct DeliveryItem {
    /// The lease.
    pub lease: LeaseId,
    /// How often it has been offered.
    pub attempt: u32,
    /// The message.
    pub message_id: MessageId,
    /// The recipient organisation, as the envelope spells it.
    pub recipient: OrganisationCode,
    /// Position in the queue.
    pub queue_position: QueuePosition,
    /// Position of the envelope; the fact is the next entry.
    pub envelope: Position,
}

/// Names one stream of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamId(pub u64);

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) id: StreamId,
    pub(crate) edge_term: EdgeTerm,
    /// Address of the other side, for the operator.
    pub(crate) peer: Option<SocketAddr>,
    /// When it was opened.
    pub(crate) since: Timestamp,
    pub(crate) items: mpsc::Sender<StreamItem>,
    /// For the reason why the stream is closed, however full it is.
    pub(crate) closing: Place,
    pub(crate) credit: u32,
    /// The receipt that was sent last.
    pub(crate) feed_sent: u64,
    /// The receipt that was confirmed last.
    pub(crate) feed_confirmed: u64,
}

impl OpenStream {
    /// Adds credit; more than the limit is not given.
    pub(crate) fn grant(&mut self, deliveries: u32) {
        self.credit = self.credit.saturating_add(deliveries).min(DELIVERY_CREDIT_MAX);
    }

    /// A place for one more item; none while the edge does not read, or once it has gone.
    pub(crate) fn place(&self) -> Option<Place> {
        self.items.clone().try_reserve_owned().ok()
    }

    /// How many more receipts may be sent before some are confirmed.
    pub(crate) const fn feed_room(&self) -> u64 {
        (FEED_UNCONFIRMED_MAX as u64).saturating_sub(self.feed_sent.saturating_sub(self.feed_confirmed))
    }
}
