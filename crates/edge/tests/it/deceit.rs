//! A sender whose edge lies: its edXML file is not what its sealed envelope says. It speaks to the real broker with real keys, without our edge.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use truc_edge::{EdgeConfig, load};
use truc_edxml::{AttachmentSink, Document, Message, read_message};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::blob_service_client::BlobServiceClient;
use truc_proto::broker::v1::deliver_request::{Credit, Open, Request};
use truc_proto::broker::v1::deliver_response::Response;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_proto::edge::v1 as edge_pb;
use truc_signing::statement::*;
use truc_signing::{DsseFile, seal, sha256};
use truc_transport::clock;
use truc_types::{Digest, EdgeTerm, MessageId, Reason, SenderSeq};

use crate::journey::{Axis, reason};
use crate::pki::PASSWORD;

const SAMPLE: &[u8] = include_bytes!("../../../../testdata/edxml/sdk/edoc_new.edxml");
const SOON: Duration = Duration::from_secs(30);

struct Liar {
    config: EdgeConfig,
    channel: Channel,
    requests: mpsc::Sender<pb::SubmitRequest>,
    answers: Streaming<pb::SubmitResponse>,
    seq: u64,
}

impl Liar {
    async fn connect(axis: &Axis, agency: &str) -> Self {
        let config = load(&axis.scratch.path().join(format!("edge-{agency}")), PASSWORD).unwrap();
        let endpoint = Endpoint::from(config.broker.clone()).tls_config(config.tls.config()).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let (requests, receiver) = mpsc::channel(8);
        let answers = SubmitServiceClient::new(channel.clone()).submit(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        let mut liar = Self { config, channel, requests, answers, seq: 0 };
        let head = SenderHead {
            statement_id: clock::mint(),
            agency: liar.config.agency.clone(),
            edge_term: EdgeTerm(1),
            event: SenderHeadEvent::TermOpened { previous_term: None },
            feed_cursor: None,
            created_at: clock::now(),
            nonce: clock::random(),
            observed_log: None,
            required_signers: liar.signers(),
        };
        liar.accepted(head.to_json()).await;
        liar
    }

    fn signers(&self) -> Vec<RequiredSigner> {
        vec![self.config.seal.required_signer(SignerRole::Seal)]
    }

    /// Seals a payload and submits it; the axis must accept it.
    async fn accepted(&mut self, payload: Vec<u8>) {
        let statement = seal(&payload, &[&*self.config.seal]).into();
        self.requests.send(pb::SubmitRequest { request_id: 1, statement, force_takeover: false }).await.unwrap();
        let answer = tokio::time::timeout(SOON, self.answers.message()).await.unwrap().unwrap().unwrap();
        assert!(matches!(answer.outcome, Some(Outcome::Accepted(_))), "{answer:?}");
    }

    async fn upload(&self, bytes: &[u8]) {
        use pb::upload_request::{Begin, Request};
        let begin = Begin { sha256: Bytes::copy_from_slice(&sha256(bytes).0), size: bytes.len() as u64, offset: 0 };
        let request = |request| pb::UploadRequest { request: Some(request) };
        let chunks = bytes.chunks(200_000).map(|chunk| request(Request::Data(Bytes::copy_from_slice(chunk))));
        let requests: Vec<_> = std::iter::once(request(Request::Begin(begin))).chain(chunks).collect();
        let answer = BlobServiceClient::new(self.channel.clone()).upload(tokio_stream::iter(requests)).await.unwrap();
        assert!(answer.into_inner().complete);
    }

    /// Sends `file` with the envelope that an honest edge makes of the sample, changed.
    async fn send(&mut self, file: &[u8], change: impl FnOnce(&mut Envelope)) -> MessageId {
        self.upload(file).await;
        self.seq += 1;
        let mut envelope = honest(&self.config);
        envelope.edxml = Some(EdxmlSource { sha256: sha256(file), size: file.len() as u64 });
        envelope.sender_seq = SenderSeq(self.seq);
        envelope.required_signers = self.signers();
        change(&mut envelope);
        self.accepted(envelope.to_json()).await;
        envelope.message_id
    }

    /// The next receipt about what it sent.
    async fn receipt(&self, feed_cursor: u64) -> Receipt {
        let say = |request| pb::DeliverRequest { request: Some(request) };
        let (requests, receiver) = mpsc::channel(4);
        requests.send(say(Request::Open(Open { edge_term: 1, feed_cursor }))).await.unwrap();
        requests.send(say(Request::Credit(Credit { deliveries: 1 }))).await.unwrap();
        let stream = DeliveryServiceClient::new(self.channel.clone()).deliver(ReceiverStream::new(receiver)).await.unwrap();
        let mut stream = stream.into_inner();
        loop {
            let message = tokio::time::timeout(SOON, stream.message()).await.unwrap().unwrap().unwrap();
            if let Some(Response::FeedItem(item)) = message.response {
                let payload = DsseFile::parse(&item.statement.unwrap().entry).unwrap().payload;
                return Receipt::parse(&payload).unwrap();
            }
        }
    }
}

/// Attachments are not looked at.
pub(crate) struct Nothing;

impl AttachmentSink for Nothing {
    fn begin(&mut self, _index: usize) -> std::io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> std::io::Result<()> {
        Ok(())
    }
}

fn sample() -> Document {
    match read_message(SAMPLE, &mut Nothing).unwrap().message {
        Message::Document(document) => *document,
        Message::Status(_) => panic!("the sample is a document"),
    }
}

/// What the sample says, field by field.
fn honest(config: &EdgeConfig) -> Envelope {
    let message = sample();
    let attachment = |info: &truc_edxml::AttachmentInfo| Attachment {
        name: info.name.clone(),
        media_type: "application/pdf".to_owned(),
        size: info.size,
        sha256: info.sha256,
        encoding: Encoding::Identity,
        commit: None,
    };
    Envelope {
        message_id: clock::mint(),
        sender: Sender { organisation: message.from.code.clone(), agency: config.agency.clone() },
        recipients: message.to.iter().map(|party| party.code.clone()).collect(),
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc {
            document_id: message.document_id.clone(),
            issued_on: Some(message.promulgation_date),
            due_on: message.due_date,
            urgency: message.priority,
            ..Doc::new(&message.number, &message.notation, &message.subject)
        },
        attachments: message.attachments.iter().map(attachment).collect(),
        edxml: None,
        contact: None,
        created_at: clock::now(),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(1),
        nonce: clock::random(),
        observed_log: None,
        required_signers: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_differs_from_its_envelope_is_returned_by_the_edge_and_never_shown() {
    let sample = sample();
    let (from, to) = (sample.from.code.as_str(), sample.to[0].code.as_str());
    let axis = Axis::with_organisations(&["G12", "H53"], &[(from, "G12"), (to, "H53")]).await;
    let mut liar = Liar::connect(&axis, "G12").await;
    let mut recipient = axis.edge("H53").await;

    let other = [b"no edXML ", SAMPLE].concat();
    type Change = Box<dyn FnOnce(&mut Envelope)>;
    let lies: Vec<(&str, &[u8], Change)> = vec![
        ("edxml.differs", SAMPLE, Box::new(|envelope| envelope.attachments[0].sha256 = sha256(b"other"))),
        ("edxml.differs", SAMPLE, Box::new(|envelope| envelope.attachments[0].size -= 1)),
        ("edxml.differs", SAMPLE, Box::new(|envelope| envelope.attachments.extend(envelope.attachments.clone()))),
        ("edxml.differs", SAMPLE, Box::new(|envelope| envelope.doc.number = Some("9999".to_owned()))),
        ("edxml.unreadable", &other, Box::new(|_| {})),
    ];
    let count = lies.len();
    for (number, (code, file, change)) in (0u64..).zip(lies) {
        let message_id = liar.send(file, change).await;
        let fetched = liar.receipt(2 * number).await;
        assert_eq!((fetched.event, fetched.items[0].message_id), (ReceiptEvent::Fetched, message_id), "lie {number}");
        let refused = liar.receipt(2 * number + 1).await;
        assert_eq!((refused.event, refused.items[0].message_id), (ReceiptEvent::Refused, message_id), "lie {number}");
        let given = refused.items[0].reason.as_ref().unwrap();
        assert_eq!(given.code, code, "lie {number}: {}", given.text);
        let request = edge_pb::AcknowledgeRequest { message_id: message_id.to_string(), recipient: to.to_owned(), ..Default::default() };
        assert_eq!(reason(&recipient.dms.acknowledge(request).await.unwrap_err()), Reason::MessageUnknown);
    }
    // An honest one comes through, as the first that is shown, also after a restart.
    let honest = liar.send(SAMPLE, |_| {}).await.to_string();
    for _ in 0..2 {
        let [shown] = recipient.receive(0, 1).await.try_into().unwrap();
        assert_eq!((shown.cursor, shown.document.unwrap().message_id), (1, honest.clone()), "after {count} lies");
        recipient.stop().await;
        recipient = axis.edge("H53").await;
    }
    recipient.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_lists_a_strangers_file_as_derived_opens_no_way_to_it() {
    let sample = sample();
    let (from, to) = (sample.from.code.as_str(), sample.to[0].code.as_str());
    let axis = Axis::with_organisations(&["G12", "H53", "A80"], &[(from, "G12"), (to, "H53")]).await;
    let stranger = Liar::connect(&axis, "A80").await;
    stranger.upload(b"a document of others").await;
    let mut liar = Liar::connect(&axis, "G12").await;
    let wanted = sha256(b"a document of others");
    let message_id = liar.send(SAMPLE, |envelope| envelope.attachments[0].sha256 = wanted).await;
    // Its accomplice is the recipient.
    let accomplice = Liar::connect(&axis, "H53").await;
    let ask = |digest: Digest| {
        let mut blobs = BlobServiceClient::new(accomplice.channel.clone());
        let request = pb::DownloadRequest { message_id: message_id.to_string(), sha256: Bytes::copy_from_slice(&digest.0), offset: 0 };
        async move { blobs.download(request).await }
    };
    assert_eq!(reason(&ask(wanted).await.unwrap_err()), Reason::BlobUnknown);
    ask(sha256(SAMPLE)).await.unwrap();
    axis.broker_shutdown.begin();
}
