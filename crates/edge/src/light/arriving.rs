//! The delivery stream of a light edge: documents are verified and put down for a receipt, receipts are verified and confirmed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::deliver_request::{Confirm, Credit, Open, Request};
use truc_proto::broker::v1::deliver_response::Response;
use truc_signing::statement::Envelope;
use truc_transport::clock;
use truc_types::limits::DELIVERY_CREDIT_MAX;
use truc_types::{Digest, MessageId, OrganisationCode, QueuePosition};

use super::Inner;
use crate::feed::CONFIRM_STEP;
use crate::node::LinkError;
use crate::state::{Event, PendingItem, PendingRow};
use crate::transfer;
use crate::trust::{TrustError, VerifiedDelivery};

/// Credit that is given back at once: the broker never runs out, and is not told of every delivery.
const CREDIT_STEP: u32 = DELIVERY_CREDIT_MAX / 8;
/// Words to the broker that wait for the line.
const REQUESTS_WAITING_MAX: usize = 64;

pub(super) async fn run(edge: Arc<Inner>) -> Result<Infallible, LinkError> {
    let gone = || LinkError::Away("the delivery stream ended".to_owned());
    let (requests, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
    let say = |request| requests.send(pb::DeliverRequest { request: Some(request) });
    say(Request::Open(Open { edge_term: edge.term.0, feed_cursor: 0 })).await.map_err(|_| gone())?;
    say(Request::Credit(Credit { deliveries: DELIVERY_CREDIT_MAX })).await.map_err(|_| gone())?;
    let mut stream = edge.link.delivery().deliver(ReceiverStream::new(receiver)).await?.into_inner();
    let (mut used, mut cursor) = (0, 0);
    while let Some(message) = stream.message().await? {
        match message.response {
            Some(Response::Opened(opened)) => drop(edge.trust.open_checkpoint(&opened.checkpoint)?),
            Some(Response::Delivery(delivery)) => {
                edge.take(delivery).await?;
                used += 1;
                if used == CREDIT_STEP {
                    say(Request::Credit(Credit { deliveries: std::mem::take(&mut used) })).await.map_err(|_| gone())?;
                }
            }
            Some(Response::FeedItem(item)) => {
                if item.cursor != cursor + 1 {
                    return Err(LinkError::Away(format!("receipt {} of the feed after {cursor}", item.cursor)));
                }
                cursor = item.cursor;
                edge.feed(&item).await?;
                if cursor.is_multiple_of(CONFIRM_STEP) {
                    say(Request::Confirm(Confirm { feed_cursor: cursor })).await.map_err(|_| gone())?;
                }
            }
            Some(Response::Registry(_)) => edge.read_registry().await?,
            None => return Err(gone()),
        }
    }
    Err(gone())
}

impl Inner {
    /// Verifies a delivery and puts it down for a `fetched` receipt.
    async fn take(self: &Arc<Self>, delivery: pb::Delivery) -> Result<(), LinkError> {
        let acceptance = delivery.acceptance.ok_or_else(|| TrustError::invalid("a delivery without an acceptance"))?;
        let recipient: OrganisationCode =
            delivery.recipient.parse().map_err(|cause| TrustError::invalid(format!("a delivery for {:?}: {cause}", delivery.recipient)))?;
        let check = || self.trust.check_delivery(&self.agency, &recipient, delivery.queue_position, &acceptance);
        let checked = match check() {
            Err(TrustError::RegistryBehind { .. }) => {
                self.read_registry().await?;
                check()
            }
            other => other,
        };
        let VerifiedDelivery { envelope, fact, .. } = checked?;
        let message_id = envelope.message_id;
        if !self.arrived.lock().insert((message_id, recipient.clone())) {
            return Ok(());
        }
        self.check_sender(&envelope)?;
        let missing: BTreeSet<_> = envelope.carried().into_iter().filter(|(digest, _)| !self.held.lock().contains(digest)).collect();
        let download = |(digest, size)| {
            let edge = Arc::clone(self);
            async move { edge.download(message_id, digest, size).await }
        };
        if !missing.is_empty() {
            transfer::each(missing, download).await?;
        }
        self.counts.arrived.fetch_add(1, Ordering::Relaxed);
        let row = PendingRow {
            envelope: fact.fact.envelope,
            at: clock::now(),
            queue_position: QueuePosition(delivery.queue_position),
            arrival_number: None,
            reason: None,
            alone: false,
        };
        self.put_down(Event::Fetched, envelope.sender.agency, [PendingItem { message_id, recipient, row }]);
        Ok(())
    }

    /// The sender's organisation is one that its agency serves.
    fn check_sender(&self, envelope: &Envelope) -> Result<(), TrustError> {
        let registry = self.trust.registry();
        let serves = registry.organisation(&envelope.sender.organisation).map(|(_, organisation)| organisation.served_by);
        if serves.is_some() && serves == registry.agency_index(&envelope.sender.agency) {
            return Ok(());
        }
        let (message_id, sender) = (envelope.message_id, &envelope.sender);
        Err(TrustError::invalid(format!("{message_id} is of {}, which {} does not serve", sender.organisation, sender.agency)))
    }

    /// Downloads a content and verifies length and digest; the bytes themselves are of no use here.
    async fn download(&self, message_id: MessageId, digest: Digest, size: u64) -> Result<(), LinkError> {
        let sha256 = Bytes::copy_from_slice(&digest.0);
        let request = pb::DownloadRequest { message_id: message_id.to_string(), sha256, offset: 0 };
        let mut chunks = self.link.blobs().download(request).await?.into_inner();
        let (mut found, mut hasher) = (0, Sha256::new());
        while let Some(chunk) = chunks.message().await? {
            found += chunk.data.len() as u64;
            hasher.update(&chunk.data);
            if found > size {
                return Err(TrustError::invalid(format!("more than the {size} bytes of {digest}")).into());
            }
        }
        if found != size || Digest(hasher.finalize().into()) != digest {
            return Err(TrustError::invalid(format!("{found} bytes that are not {digest}")).into());
        }
        self.held.lock().insert(digest);
        Ok(())
    }

    async fn feed(&self, item: &pb::FeedItem) -> Result<(), LinkError> {
        let check = || self.trust.check_receipt(&self.agency, clock::now(), item);
        let verified = match check() {
            Err(TrustError::RegistryBehind { .. }) => {
                self.read_registry().await?;
                check()
            }
            other => other,
        }?;
        self.receipted(&verified.receipt)
    }
}
