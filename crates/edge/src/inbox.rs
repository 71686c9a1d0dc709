//! The inbox loop: takes deliveries, checks and stores them, and passes receipts of the feed on. A delivery that came before is recognised.
//!
//! What arrives is not shown to the DMS before its `fetched` receipt is in the log: `receipts` brings it there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::deliver_request::{Credit, Open, Release, Request};
use truc_proto::broker::v1::deliver_response::Response;
use truc_signing::statement::{Accepted, Envelope};
use truc_transport::clock;
use truc_types::{EdgeTerm, OrganisationCode, QueuePosition, Reason, Refusal, Timestamp};

use crate::error::EdgeError;
use crate::groups::{SealedAlong, seal_along};
use crate::node::{LinkError, Node};
use crate::recent::RecentArrival;
use crate::record::{GivenReason, Inside, Record, Recorded};
use crate::session::Link;
use crate::state::{Event, PendingItem, PendingRow, State};
use crate::store::refusal_of;
use crate::trust::{ProvenFact, TrustError, VerifiedDelivery};
use crate::{edxml, feed, transfer, witness};

/// Deliveries in work at once.
const IN_HAND: u32 = 24;
/// Deliveries after which their room is given back to the axis: a message for several, and three times as much left meanwhile.
const CREDIT_STEP: u32 = IN_HAND / 4;
/// Feed items that wait to be stored: what the protocol lets the broker send unconfirmed.
const FEED_WAITING_MAX: usize = 256;
/// Pause after a delivery that could not be taken: the axis offers it again, and a full disk is not made worse.
const FAILED_PAUSE: Duration = Duration::from_secs(2);

/// Runs until the connection ends.
pub(crate) async fn run(node: Arc<Node>, link: Link, term: EdgeTerm) -> Result<Infallible, LinkError> {
    let feed_cursor = node.store.read(|state| state.meta()).await?.feed_cursor;
    let (requests, receiver) = mpsc::channel(64);
    let say = |request| pb::DeliverRequest { request: Some(request) };
    let gone = || LinkError::Away("the delivery stream ended".to_owned());
    requests.send(say(Request::Open(Open { edge_term: term.0, feed_cursor }))).await.map_err(|_| gone())?;
    requests.send(say(Request::Credit(Credit { deliveries: IN_HAND }))).await.map_err(|_| gone())?;
    let stream = link.delivery().deliver(ReceiverStream::new(receiver)).await.map_err(|status| opened_by_other(status.into(), term))?;
    let mut stream = stream.into_inner();
    let (feed_items, feed_receiver) = mpsc::channel(FEED_WAITING_MAX);
    let mut feed = JoinSet::new();
    feed.spawn(feed::run(Arc::clone(&node), link.clone(), feed_cursor, feed_receiver, requests.clone()));
    let (mut work, mut done_since) = (JoinSet::new(), 0);
    loop {
        tokio::select! {
            message = stream.message() => match message.map_err(|status| opened_by_other(status.into(), term))?.and_then(|message| message.response) {
                Some(Response::Opened(opened)) => {
                    node.trust.open_checkpoint(&opened.checkpoint)?;
                    tracing::info!(waiting = opened.waiting, "delivery stream open");
                }
                Some(Response::Delivery(delivery)) => {
                    if work.len() >= usize::try_from(IN_HAND).unwrap_or(usize::MAX) {
                        return Err(LinkError::Away("the broker sent more deliveries than there was credit for".to_owned()));
                    }
                    let (node, link) = (Arc::clone(&node), link.clone());
                    work.spawn(async move { (delivery.lease, take(&node, &link, delivery).await) });
                }
                Some(Response::Registry(changed)) => {
                    if node.trust.registry().version() < changed.version {
                        witness::read_registry(&node, &link).await?;
                        tracing::info!(version = node.trust.registry().version(), "registry read");
                    }
                }
                Some(Response::FeedItem(item)) => feed_items.send(item).await.map_err(|_| gone())?,
                None => return Err(gone()),
            },
            Some(done) = work.join_next() => {
                let (lease, taken) = done.map_err(|cause| LinkError::Away(cause.to_string()))?;
                let taken_ill = taken.is_err();
                if let Err(cause) = taken {
                    node.meters.given_back.inc();
                    if matches!(cause, LinkError::Untrusted(_)) {
                        node.meters.invalid.inc();
                    }
                    failed(lease, cause)?;
                    requests.send(say(Request::Release(Release { lease }))).await.map_err(|_| gone())?;
                } else {
                    node.meters.taken.inc();
                }
                done_since += 1;
                if done_since >= CREDIT_STEP || taken_ill {
                    requests.send(say(Request::Credit(Credit { deliveries: done_since }))).await.map_err(|_| gone())?;
                    done_since = 0;
                }
            }
            Some(ended) = feed.join_next() => return ended.map_err(|cause| LinkError::Away(cause.to_string()))?,
        }
    }
}

fn opened_by_other(cause: LinkError, own: EdgeTerm) -> LinkError {
    match cause {
        LinkError::Refused(refusal) if refusal.reason == Reason::TermSuperseded => {
            LinkError::Fatal(EdgeError::TermSuperseded { own, open: EdgeTerm(0) })
        }
        other => other,
    }
}

/// One delivery that could not be taken does not end the others, unless it is more than that.
fn failed(lease: u64, cause: LinkError) -> Result<(), LinkError> {
    match cause {
        LinkError::Fatal(_) => Err(cause),
        LinkError::Local(ref refusal) if refusal.reason == Reason::OutcomeUnknown => Err(cause),
        LinkError::Untrusted(cause) => {
            tracing::error!(lease, %cause, "a delivery does not hold; it is not taken");
            Ok(())
        }
        LinkError::Away(_) | LinkError::Refused(_) | LinkError::Local(_) => {
            tracing::warn!(lease, %cause, "a delivery could not be taken now; the axis offers it again");
            Ok(())
        }
    }
}

async fn take(node: &Arc<Node>, link: &Link, delivery: pb::Delivery) -> Result<(), LinkError> {
    let taken = take_now(node, link, delivery).await;
    if taken.is_err() {
        tokio::time::sleep(FAILED_PAUSE).await;
    }
    taken
}

/// Checks, downloads and stores a delivery.
async fn take_now(node: &Arc<Node>, link: &Link, delivery: pb::Delivery) -> Result<(), LinkError> {
    let acceptance = delivery.acceptance.ok_or_else(|| TrustError::invalid("a delivery without an acceptance"))?;
    let recipient: OrganisationCode =
        delivery.recipient.parse().map_err(|cause| TrustError::invalid(format!("a delivery for {:?}: {cause}", delivery.recipient)))?;
    let check = || node.trust.check_delivery(node.agency(), &recipient, delivery.queue_position, &acceptance);
    let checked = match check() {
        Err(TrustError::RegistryBehind { .. }) => {
            witness::read_registry(node, link).await?;
            check()
        }
        other => other,
    };
    let VerifiedDelivery { envelope, file, leaf, fact, checkpoint } = checked?;
    let message_id = envelope.message_id;
    // Nothing is said to the axis because of it but that there is room for the next one.
    if node.store.peek(|state| state.inbox(&message_id, &recipient))?.is_some() {
        // It is stored, and by the same record its receipt is on its way or in the log.
        tracing::debug!(%message_id, %recipient, attempt = delivery.attempt, "delivered again");
        return Ok(());
    }
    let registry = node.trust.registry();
    let serves = registry.organisation(&envelope.sender.organisation).and_then(|(_, organisation)| registry.agency(organisation.served_by));
    if serves.is_none_or(|agency| agency.code != envelope.sender.agency) {
        let message = format!("{message_id} is of {}, which {} does not serve", envelope.sender.organisation, envelope.sender.agency);
        return Err(TrustError::Invalid(Refusal::new(Reason::SenderUnknown, message)).into());
    }
    drop(registry);
    transfer::download_all(node, link, message_id, &envelope.carried()).await?;
    let declined = match edxml::derive(node, &envelope).await? {
        Ok(()) => None,
        Err(refusal) => {
            tracing::error!(%message_id, %recipient, reason = %refusal.reason, message = %refusal.message, "ALARM: the edge returns a document");
            let reason = GivenReason { code: refusal.reason.code().to_owned(), text: refusal.message };
            Some(Record::Declined { message_id, recipient: recipient.clone(), reason })
        }
    };
    let ProvenFact { fact, bytes: fact_bytes, leaf: fact_leaf } = fact;
    let (file, queue_position, at) = (file.to_vec(), QueuePosition(delivery.queue_position), clock::now());
    let record = Record::Arrived {
        message_id,
        recipient: recipient.clone(),
        sender: envelope.sender.agency.clone(),
        queue_position,
        at,
        envelope_leaf: leaf,
        fact: fact_bytes.to_vec(),
        fact_leaf,
        checkpoint,
    };
    store(node, Arrival { recipient: recipient.clone(), envelope, file, record, fact, queue_position, at, declined }).await?;
    tracing::debug!(%message_id, %recipient, queue_position = delivery.queue_position, "document stored");
    Ok(())
}

/// A delivery that was checked, with all attachments.
struct Arrival {
    recipient: OrganisationCode,
    envelope: Box<Envelope>,
    file: Vec<u8>,
    record: Record,
    fact: Accepted,
    queue_position: QueuePosition,
    at: Timestamp,
    declined: Option<Record>,
}

/// Records an arrival that is new, and its `fetched` receipt with it where no other one of the sender is on its way.
async fn store(node: &Arc<Node>, arrival: Arrival) -> Result<(), Refusal> {
    let Arrival { recipient, envelope, file, record, fact, queue_position, at, declined } = arrival;
    let (message_id, sender) = (envelope.message_id, envelope.sender.agency.clone());
    let (deciding, recent) = (Arc::clone(node), Arc::clone(&node.recent));
    let decide = move |state: &State| {
        let arrivals = state.arrivals_of(&message_id).map_err(refusal_of)?;
        if arrivals.iter().any(|(known, _)| *known == recipient) {
            return Ok((Vec::new(), None));
        }
        if arrivals.iter().any(|(_, row)| row.envelope != fact.envelope) {
            return Err(Refusal::new(Reason::MessageIdConflict, format!("{message_id} arrived before with other bytes")));
        }
        let row = PendingRow { envelope: fact.envelope, at, queue_position, arrival_number: None, reason: None, alone: false };
        let recent = RecentArrival {
            message_id,
            recipient: recipient.clone(),
            envelope: envelope.clone(),
            bytes: file.len(),
            accepted_at: fact.block_time,
            at,
        };
        let mut records = Vec::with_capacity(4);
        if arrivals.is_empty() {
            let record = Record::ArrivedEnvelope { message_id, file };
            records.push(Recorded { record, inside: Some(Inside::Envelope(envelope)) });
        }
        records.push(Recorded { record, inside: Some(Inside::Accepted(fact)) });
        records.extend(declined.map(Recorded::from));
        let item = PendingItem { message_id, recipient, row };
        let along = seal_along(&deciding, state, (Event::Fetched, sender), item, records.len() as u64);
        let along = along.map(|(record, along)| {
            records.push(record);
            along
        });
        Ok((records, Some((recent, along))))
    };
    let then = move |stored: Option<(RecentArrival, Option<SealedAlong>)>| {
        if let Some((arrival, along)) = stored {
            recent.put(arrival);
            along.into_iter().for_each(SealedAlong::hand_over);
        }
    };
    node.store.record_paced(decide, then).await
}
