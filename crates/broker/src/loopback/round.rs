//! One loopback message from the connection to its receipt in the feed. Each round connects anew: what a new edge would meet is what is tried.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use truc_ledger::{InclusionProof, LogVerifier, checkpoint, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::blob_service_client::BlobServiceClient;
use truc_proto::broker::v1::deliver_request::{Confirm, Credit, Open, Request};
use truc_proto::broker::v1::deliver_response::Response;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_signing::statement::Statement;
use truc_signing::{open_sealed, sha256};
use truc_transport::clock;
use truc_types::limits::GRPC_MESSAGE_BYTES_MAX;
use truc_types::{EdgeTerm, LeafIndex, MessageId, QueuePosition, SenderSeq};

use super::LoopbackKeys;
use super::statements::{CONTENT, content_digest};

/// Deliveries at once: the message of this round, and those that earlier rounds left behind.
const CREDIT: u32 = 8;
/// Requests of one round on one stream: term, message, and a receipt for each delivery.
const REQUESTS_MAX: usize = 64;

/// Where a round is, for the message of one that failed.
type Hop = Mutex<&'static str>;

/// Makes rounds, one after the other, all in one term.
pub(crate) struct Round {
    keys: LoopbackKeys,
    kind: String,
    log: LogVerifier,
    address: SocketAddr,
    /// The term, once it is open.
    term: Option<EdgeTerm>,
    /// A term that is known to be taken.
    taken: EdgeTerm,
    seq: SenderSeq,
    feed_cursor: u64,
}

/// A submit stream on which one statement after the other is answered.
struct Submits {
    requests: mpsc::Sender<pb::SubmitRequest>,
    answers: Streaming<pb::SubmitResponse>,
    request_id: u64,
}

impl Round {
    pub(crate) fn new(keys: LoopbackKeys, kind: String, log: LogVerifier, address: SocketAddr) -> Self {
        let address = match address {
            SocketAddr::V4(address) if address.ip().is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
            SocketAddr::V6(address) if address.ip().is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())),
            address => address,
        };
        Self { keys, kind, log, address, term: None, taken: EdgeTerm(0), seq: SenderSeq(0), feed_cursor: 0 }
    }

    /// Sends one and waits for it.
    ///
    /// # Errors
    /// What went wrong at the hop.
    pub(crate) async fn run(&mut self, hop: &Hop) -> Result<(), String> {
        let channel = self.connect().await?;
        *hop.lock() = "open term";
        let mut submits = Submits::open(&channel).await?;
        let term = self.open_term(&mut submits).await?;
        *hop.lock() = "upload";
        upload(&channel).await?;
        *hop.lock() = "open delivery stream";
        let (requests, mut stream) = self.open_stream(&channel, term).await?;
        *hop.lock() = "submit";
        self.seq = self.seq.next();
        let (message_id, file) = self.keys.sealer.message(&self.kind, term, self.seq);
        let acceptance = submits.submit(&file).await?.map_err(|refusal| refused(&refusal))?;
        self.check(&file, &acceptance)?;
        *hop.lock() = "delivery";
        loop {
            let message = stream.message().await.map_err(status)?.and_then(|message| message.response);
            match message.ok_or_else(|| "the delivery stream ended".to_owned())? {
                Response::Opened(_) | Response::Registry(_) => {}
                Response::Delivery(delivery) => {
                    let arrived = delivery.acceptance.unwrap_or_default().statement.map(|statement| statement.entry).unwrap_or_default();
                    let fetched = self.fetched(&arrived, delivery.queue_position, term)?;
                    if arrived == file {
                        *hop.lock() = "download";
                        download(&channel, message_id).await?;
                        *hop.lock() = "receipt";
                    }
                    // One that an earlier round left behind is cleared away.
                    submits.submit(&fetched).await?.map_err(|refusal| refused(&refusal))?;
                    say(&requests, Request::Credit(Credit { deliveries: 1 })).await?;
                    if arrived == file {
                        *hop.lock() = "feed";
                    }
                }
                Response::FeedItem(item) => {
                    self.feed_cursor = item.cursor;
                    say(&requests, Request::Confirm(Confirm { feed_cursor: item.cursor })).await?;
                    if is_about(&item.statement.unwrap_or_default().entry, message_id) {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn connect(&self) -> Result<Channel, String> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).map_err(|cause| causes(&cause))?;
        let endpoint = endpoint.tls_config(self.keys.tls.config()).map_err(|cause| causes(&cause))?;
        endpoint.tcp_nodelay(true).connect().await.map_err(|cause| causes(&cause))
    }

    /// Seconds since 1970 are above every earlier term without asking for it; a clock that went back meets the one that is open.
    async fn open_term(&mut self, submits: &mut Submits) -> Result<EdgeTerm, String> {
        if let Some(term) = self.term {
            return Ok(term);
        }
        let term = EdgeTerm(clock::now().as_millis() / 1_000).max(self.taken.next());
        match submits.submit(&self.keys.sealer.term_opened(term)).await? {
            Ok(_) => {
                self.term = Some(term);
                Ok(term)
            }
            Err(refusal) => {
                let open = refusal.values.get("open").and_then(|open| open.parse().ok()).unwrap_or(0);
                self.taken = self.taken.max(EdgeTerm(open));
                Err(refused(&refusal))
            }
        }
    }

    async fn open_stream(
        &self,
        channel: &Channel,
        term: EdgeTerm,
    ) -> Result<(mpsc::Sender<pb::DeliverRequest>, Streaming<pb::DeliverResponse>), String> {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        say(&requests, Request::Open(Open { edge_term: term.0, feed_cursor: self.feed_cursor })).await?;
        say(&requests, Request::Credit(Credit { deliveries: CREDIT })).await?;
        let mut client = DeliveryServiceClient::new(channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
        let stream = client.deliver(ReceiverStream::new(receiver)).await.map_err(status)?.into_inner();
        Ok((requests, stream))
    }

    /// The acceptance is what it says: the statement is a leaf under a checkpoint of this log.
    fn check(&self, file: &[u8], acceptance: &pb::Acceptance) -> Result<(), String> {
        let checkpoint = checkpoint::open(acceptance.checkpoint.as_bytes(), &self.log).map_err(|cause| cause.to_string())?;
        let leaf = acceptance.statement.as_ref().ok_or_else(|| "an acceptance without the statement's place".to_owned())?;
        let path = leaf.path.chunks(32).map(|digest| digest.try_into().map(truc_types::Digest)).collect::<Result<_, _>>();
        let path = path.map_err(|_| "a proof that is no list of digests".to_owned())?;
        let proof = InclusionProof { leaf_index: LeafIndex(leaf.leaf), tree_size: checkpoint.size, path };
        proof.verify(&leaf_hash(file), &checkpoint.root).map_err(|cause| cause.to_string())
    }

    fn fetched(&self, envelope: &[u8], queue_position: u64, term: EdgeTerm) -> Result<Vec<u8>, String> {
        let sealed = open_sealed(envelope).map_err(|cause| format!("a delivery that is no statement: {cause}"))?;
        let Statement::Envelope(envelope_of) = &sealed.statement else { return Err("a delivery that is no envelope".to_owned()) };
        Ok(self.keys.sealer.fetched(envelope_of.message_id, sha256(envelope), QueuePosition(queue_position), term))
    }
}

impl Submits {
    async fn open(channel: &Channel) -> Result<Self, String> {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let mut client = SubmitServiceClient::new(channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
        let answers = client.submit(ReceiverStream::new(receiver)).await.map_err(status)?.into_inner();
        Ok(Self { requests, answers, request_id: 0 })
    }

    async fn submit(&mut self, file: &[u8]) -> Result<Result<pb::Acceptance, pb::Refusal>, String> {
        self.request_id += 1;
        let statement = Bytes::copy_from_slice(file);
        let request = pb::SubmitRequest { request_id: self.request_id, statement, force_takeover: true };
        self.requests.send(request).await.map_err(|_| "the submit stream ended".to_owned())?;
        match self.answers.message().await.map_err(status)?.and_then(|answer| answer.outcome) {
            Some(Outcome::Accepted(acceptance)) => Ok(Ok(acceptance)),
            Some(Outcome::Refused(refusal)) => Ok(Err(refusal)),
            None => Err("the submit stream ended".to_owned()),
        }
    }
}

async fn say(requests: &mpsc::Sender<pb::DeliverRequest>, request: Request) -> Result<(), String> {
    requests.send(pb::DeliverRequest { request: Some(request) }).await.map_err(|_| "the delivery stream ended".to_owned())
}

/// Uploads the attachment, once for the life of the store.
async fn upload(channel: &Channel) -> Result<(), String> {
    use pb::upload_request::{Begin, Request};
    let (sha256, size) = (Bytes::copy_from_slice(&content_digest().0), CONTENT.len() as u64);
    let mut client = BlobServiceClient::new(channel.clone());
    let found = client.get_upload(pb::GetUploadRequest { sha256: sha256.clone(), size }).await.map_err(status)?.into_inner();
    if found.complete {
        return Ok(());
    }
    let rest = usize::try_from(found.offset).ok().and_then(|offset| CONTENT.get(offset..)).unwrap_or_default();
    let requests = [Request::Begin(Begin { sha256, size, offset: found.offset }), Request::Data(Bytes::from_static(rest))];
    let requests = requests.map(|request| pb::UploadRequest { request: Some(request) });
    let done = client.upload(tokio_stream::iter(requests)).await.map_err(status)?.into_inner();
    if done.complete { Ok(()) } else { Err(format!("the upload stands at {} of {size} bytes", done.offset)) }
}

async fn download(channel: &Channel, message_id: MessageId) -> Result<(), String> {
    let sha256 = Bytes::copy_from_slice(&content_digest().0);
    let request = pb::DownloadRequest { message_id: message_id.to_string(), sha256, offset: 0 };
    let mut client = BlobServiceClient::new(channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
    let mut chunks = client.download(request).await.map_err(status)?.into_inner();
    let mut content = Vec::with_capacity(CONTENT.len());
    while let Some(chunk) = chunks.message().await.map_err(status)? {
        content.extend_from_slice(&chunk.data);
        if content.len() > CONTENT.len() {
            break;
        }
    }
    if content == CONTENT { Ok(()) } else { Err("the attachment came back with other bytes".to_owned()) }
}

fn is_about(receipt: &[u8], message_id: MessageId) -> bool {
    open_sealed(receipt).is_ok_and(|sealed| match &sealed.statement {
        Statement::Receipt(receipt) => receipt.items.iter().any(|item| item.message_id == message_id),
        _ => false,
    })
}

fn refused(refusal: &pb::Refusal) -> String {
    format!("{}: {}", refusal.reason, refusal.message)
}

fn status(status: tonic::Status) -> String {
    format!("{}: {}", status.code(), status.message())
}

/// A connection says why only in its causes.
fn causes(cause: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(cause), |cause| cause.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
