//! `DeliveryService`: what the axis holds for an agency, pushed to its one active edge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use truc_core::dispatch::LeaseId;
use truc_core::registry::AgencyIndex;
use truc_proto::broker::v1::delivery_service_server::DeliveryService;
use truc_proto::broker::v1::{self as pb, deliver_request, deliver_response};
use truc_transport::shutdown::Shutdown;
use truc_transport::{status, tls};
use truc_types::limits::{LEASE_MILLIS, STALLED_MILLIS_MAX};
use truc_types::{EdgeTerm, Position, Reason, Refusal};

use crate::admission::agency_index;
use crate::earlier::Search;
use crate::published::Published;
use crate::sequencer::Command;
use crate::stream::{DeliveryItem, Earlier, STREAM_ITEMS_MAX, StreamId, StreamItem};

/// Responses that wait for a slow connection; what waits before them is bounded by credit.
const RESPONSES_WAITING_MAX: usize = 16;

pub(crate) struct Deliveries {
    pub(crate) published: Arc<Published>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) last_stream: AtomicU64,
    pub(crate) shutdown: Shutdown,
}

type Responses = mpsc::Sender<Result<pb::DeliverResponse, Status>>;

#[tonic::async_trait]
impl DeliveryService for Deliveries {
    type DeliverStream = ReceiverStream<Result<pb::DeliverResponse, Status>>;

    async fn deliver(&self, request: Request<Streaming<pb::DeliverRequest>>) -> Result<Response<Self::DeliverStream>, Status> {
        let of = tls::peer(&request).map_err(|refusal| status::status(&refusal))?;
        let agency = agency_index(&self.published, &of.agency).map_err(|refusal| status::status(&refusal))?;
        let id = StreamId(self.last_stream.fetch_add(1, Ordering::Relaxed) + 1);
        let (items, wanted) = mpsc::channel(STREAM_ITEMS_MAX);
        let (responses, answered) = mpsc::channel(RESPONSES_WAITING_MAX);
        let peer = request.remote_addr();
        let reader = Reader { agency, id, peer, commands: self.commands.clone(), items };
        let shutdown = self.shutdown.clone();
        tokio::spawn(write(self.published.clone(), wanted, responses.clone()));
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = reader.read(request.into_inner()) => ended,
                refusal = of.ended() => Err(refusal),
                () = responses.closed() => Ok(()),
                () = shutdown.begun() => Ok(()),
            };
            // Before the refusal, which an edge that reads nothing may never take.
            let close = Command::Close { agency, id };
            if reader.commands.send(close).await.is_err() {
                tracing::debug!("the broker ended before a delivery stream");
            }
            if let Err(refusal) = ended {
                let patience = Duration::from_millis(STALLED_MILLIS_MAX);
                let told = tokio::time::timeout(patience, responses.send(Err(status::status(&refusal)))).await;
                tracing::debug!(told = matches!(told, Ok(Ok(()))), %refusal, "a delivery stream was ended");
            }
        });
        Ok(Response::new(ReceiverStream::new(answered)))
    }
}

/// Reads what the edge says on its stream.
struct Reader {
    agency: AgencyIndex,
    id: StreamId,
    peer: Option<std::net::SocketAddr>,
    commands: mpsc::Sender<Command>,
    items: mpsc::Sender<StreamItem>,
}

impl Reader {
    async fn read(&self, mut requests: Streaming<pb::DeliverRequest>) -> Result<(), Refusal> {
        let mut opened = false;
        while let Ok(Some(request)) = requests.message().await {
            let command = match (request.request, opened) {
                (Some(deliver_request::Request::Open(open)), false) => {
                    opened = true;
                    Command::Open {
                        agency: self.agency,
                        edge_term: EdgeTerm(open.edge_term),
                        feed_cursor: open.feed_cursor,
                        id: self.id,
                        peer: self.peer,
                        items: self.items.clone(),
                    }
                }
                (Some(deliver_request::Request::Credit(credit)), true) => {
                    Command::Credit { agency: self.agency, id: self.id, deliveries: credit.deliveries }
                }
                (Some(deliver_request::Request::Confirm(confirm)), true) => {
                    Command::Confirm { agency: self.agency, id: self.id, feed_cursor: confirm.feed_cursor }
                }
                (Some(deliver_request::Request::Release(release)), true) => {
                    Command::Release { agency: self.agency, id: self.id, lease: LeaseId(release.lease) }
                }
                (Some(deliver_request::Request::Open(_)), true) => {
                    return Err(Refusal::new(Reason::RequestInvalid, "`open` comes once, as the first request"));
                }
                (_, false) => return Err(Refusal::new(Reason::RequestInvalid, "the first request is `open`")),
                (None, true) => return Err(Refusal::new(Reason::RequestInvalid, "a request without content")),
            };
            if self.commands.send(command).await.is_err() {
                return Err(Refusal::new(Reason::ShuttingDown, "the broker ends"));
            }
        }
        Ok(())
    }
}

/// Turns items into responses. Reading an old entry or proof may touch the disk, so it happens on a blocking thread; what is in memory, as nearly
/// everything is on its way, does not: giving the worker away and back takes longer than all the rest.
async fn write(published: Arc<Published>, mut items: mpsc::Receiver<StreamItem>, responses: Responses) {
    while let Some(item) = items.recv().await {
        if let StreamItem::Earlier(earlier) = item {
            if let Err(refusal) = write_earlier(&published, earlier, &responses).await {
                let told = responses.send(Err(status::status(&refusal))).await;
                tracing::error!(told = told.is_ok(), %refusal, "earlier receipts cannot be read from the journal");
                break;
            }
            continue;
        }
        let last = matches!(item, StreamItem::Closed(_));
        let reads = match &item {
            StreamItem::Delivery(item) => !published.remembers(item.envelope),
            StreamItem::Feed { position, .. } => !published.remembers(*position),
            StreamItem::Opened { .. } | StreamItem::Earlier(_) | StreamItem::Registry { .. } | StreamItem::Closed(_) => false,
        };
        let response = if reads { tokio::task::block_in_place(|| response(&published, item)) } else { response(&published, item) };
        if responses.send(response.map_err(|refusal| status::status(&refusal))).await.is_err() || last {
            break;
        }
    }
}

/// Sends what is searched for in the journal, at the pace at which the edge reads. What comes after it in the stream waits.
async fn write_earlier(published: &Published, earlier: Earlier, responses: &Responses) -> Result<(), Refusal> {
    let mut search = Search::new(published, earlier)?;
    while !search.is_done() {
        for (cursor, position) in search.step(published).await? {
            let response = tokio::task::block_in_place(|| feed_item(published, cursor, position))?;
            if responses.send(Ok(pb::DeliverResponse { response: Some(response) })).await.is_err() {
                return Ok(());
            }
        }
        if responses.is_closed() {
            return Ok(());
        }
    }
    Ok(())
}

fn feed_item(published: &Published, cursor: u64, position: Position) -> Result<deliver_response::Response, Refusal> {
    let (proven, checkpoint) = published.prove([position])?;
    let statement = proven.first().map(super::logged_proven);
    Ok(deliver_response::Response::FeedItem(pb::FeedItem { cursor, statement, checkpoint: checkpoint.note.to_string() }))
}

fn response(published: &Published, item: StreamItem) -> Result<pb::DeliverResponse, Refusal> {
    let response = match item {
        StreamItem::Opened { waiting } => {
            deliver_response::Response::Opened(deliver_response::Opened { waiting, checkpoint: published.checkpoint().note.to_string() })
        }
        StreamItem::Delivery(item) => deliver_response::Response::Delivery(delivery(published, &item)?),
        StreamItem::Feed { cursor, position } => feed_item(published, cursor, position)?,
        StreamItem::Earlier(earlier) => return Err(Refusal::new(Reason::OutcomeUnknown, format!("{earlier:?} is many responses"))),
        StreamItem::Registry { version } => deliver_response::Response::Registry(deliver_response::Registry { version }),
        StreamItem::Closed(refusal) => return Err(refusal),
    };
    Ok(pb::DeliverResponse { response: Some(response) })
}

fn delivery(published: &Published, item: &DeliveryItem) -> Result<pb::Delivery, Refusal> {
    tracing::debug!(message_id = %item.message_id, recipient = %item.recipient, attempt = item.attempt, "delivering");
    let (proven, checkpoint) = published.prove([item.envelope, item.envelope.next()])?;
    Ok(pb::Delivery {
        lease: item.lease.0,
        lease_millis: LEASE_MILLIS,
        attempt: item.attempt,
        recipient: item.recipient.to_string(),
        queue_position: item.queue_position.0,
        acceptance: Some(super::acceptance_of(&proven, &checkpoint)),
    })
}
