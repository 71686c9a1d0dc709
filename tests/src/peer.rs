//! A raw client of the broker: it seals, uploads and submits what it is told to, right or wrong. Not an edge: it checks nothing and repeats nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::blob_service_client::BlobServiceClient;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_proto::broker::v1::{submit_response, upload_request};
use truc_signing::statement::{
    Attachment, Business, Doc, Encoding, Envelope, Receipt, ReceiptEvent, ReceiptItem, Sender, SenderHead, SenderHeadEvent, SignerRole,
};
use truc_signing::{SealKey, seal, sha256};
use truc_transport::tls::{self, TlsFiles};
use truc_transport::{clock, status};
use truc_types::limits::{BLOB_CHUNK_BYTES, GRPC_MESSAGE_BYTES_MAX};
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, OrganisationCode, Refusal, SenderSeq};

use crate::bare::Keys;

/// The attachment of every honest document.
pub const ATTACHMENT: &[u8] = b"%PDF-1.7 an attachment";

/// One connection of an agency.
pub struct Peer<'a> {
    /// Its keys.
    pub keys: &'a Keys,
    /// The connection.
    pub channel: Channel,
    /// The term in which it seals.
    pub term: EdgeTerm,
    next_seq: AtomicU64,
}

/// Connects with a certificate.
///
/// # Errors
/// When the broker does not take it.
pub async fn connect(url: &str, files: &TlsFiles) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(url.to_owned())?.tls_config(tls::client(files))?.tcp_nodelay(true).connect().await
}

impl<'a> Peer<'a> {
    /// Connects an agency, opens its next term and uploads [`ATTACHMENT`].
    ///
    /// # Panics
    /// When the broker does not take one of it.
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub async fn open(url: &str, keys: &'a Keys, term: u64) -> Self {
        let channel = connect(url, &keys.tls).await.expect("the broker takes the certificate");
        let peer = Self { term: EdgeTerm(term), ..Self::connected(keys, channel) };
        peer.submit(peer.sealed(&peer.opening(term).to_json())).await.expect("the term opens");
        let uploaded = peer.upload(sha256(ATTACHMENT), ATTACHMENT.len() as u64, 0, ATTACHMENT).await.expect("the upload is taken");
        assert!(uploaded.complete, "the upload is not complete");
        peer
    }

    /// On a connection that is there already; opens no term.
    #[must_use]
    pub const fn connected(keys: &'a Keys, channel: Channel) -> Self {
        Self { keys, channel, term: EdgeTerm(1), next_seq: AtomicU64::new(1) }
    }

    /// Submits one statement on a stream of its own.
    ///
    /// # Errors
    /// The refusal in the stream, or the one of the stream.
    ///
    /// # Panics
    /// When the stream ends without a reason.
    #[expect(clippy::panic, reason = "a status without a reason must fail the test")]
    pub async fn submit(&self, file: impl Into<bytes::Bytes>) -> Result<pb::Acceptance, Refusal> {
        self.submit_or_lost(file).await.map_err(|refusal| refusal.unwrap_or_else(|| panic!("the stream ended without a reason")))
    }

    /// The same with a broker that may end meanwhile.
    ///
    /// # Errors
    /// The refusal; none when the connection broke.
    ///
    /// # Panics
    /// When the broker answers what it must not.
    #[expect(clippy::expect_used, reason = "an answer that means nothing must fail the test")]
    pub async fn submit_or_lost(&self, file: impl Into<bytes::Bytes>) -> Result<pb::Acceptance, Option<Refusal>> {
        let request = pb::SubmitRequest { request_id: 7, statement: file.into(), force_takeover: false };
        let ended = |status: Status| status::refusal(&status);
        let mut client = SubmitServiceClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX);
        let mut answers = client.submit(tokio_stream::iter([request])).await.map_err(ended)?.into_inner();
        let answer = answers.message().await.map_err(ended)?.ok_or(None)?;
        assert_eq!(answer.request_id, 7, "an answer to another request");
        match answer.outcome.expect("an outcome") {
            submit_response::Outcome::Accepted(acceptance) => Ok(acceptance),
            submit_response::Outcome::Refused(refusal) => Err(Some(status::from_proto(&refusal).expect("a reason of this release"))),
        }
    }

    /// Uploads bytes under a digest and size that may be wrong.
    ///
    /// # Errors
    /// What the broker answers.
    pub async fn upload(&self, digest: Digest, size: u64, offset: u64, bytes: &[u8]) -> Result<pb::UploadResponse, Status> {
        let begin = upload_request::Begin { sha256: digest.0.to_vec().into(), size, offset };
        let mut requests = vec![upload_request::Request::Begin(begin)];
        requests.extend(bytes.chunks(BLOB_CHUNK_BYTES).map(|chunk| upload_request::Request::Data(chunk.to_vec().into())));
        self.upload_requests(requests).await
    }

    /// Sends these requests as one upload.
    ///
    /// # Errors
    /// What the broker answers.
    pub async fn upload_requests(&self, requests: Vec<upload_request::Request>) -> Result<pb::UploadResponse, Status> {
        let requests = tokio_stream::iter(requests).map(|request| pb::UploadRequest { request: Some(request) });
        BlobServiceClient::new(self.channel.clone()).upload(requests).await.map(tonic::Response::into_inner)
    }

    /// Downloads an attachment.
    ///
    /// # Errors
    /// What the broker answers.
    pub async fn download(&self, message_id: &str, digest: &[u8], offset: u64) -> Result<Vec<u8>, Status> {
        let request = pb::DownloadRequest { message_id: message_id.to_owned(), sha256: digest.to_vec().into(), offset };
        let mut chunks = BlobServiceClient::new(self.channel.clone()).download(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.message().await? {
            bytes.extend_from_slice(&chunk.data);
        }
        Ok(bytes)
    }

    /// An honest document to these recipients, with the next sequence number.
    ///
    /// # Panics
    /// When a recipient is no code.
    #[expect(clippy::expect_used, reason = "codes of the tests are codes")]
    pub fn envelope(&self, recipients: &[&str]) -> Envelope {
        Envelope {
            message_id: clock::mint(),
            sender: Sender { organisation: OrganisationCode::from(&self.keys.code), agency: self.keys.code.clone() },
            recipients: recipients.iter().map(|code| code.parse().expect("a code")).collect(),
            business: Business::New,
            business_reason: None,
            in_reply_to: Vec::new(),
            thread: None,
            recalls: None,
            updates: None,
            replaces: Vec::new(),
            doc: Doc::new("4127", "BTC-NSNN", "Về việc kiểm thử"),
            attachments: vec![attachment(sha256(ATTACHMENT), ATTACHMENT.len() as u64)],
            edxml: None,
            contact: None,
            created_at: clock::now(),
            expires_at: None,
            edge_term: self.term,
            sender_seq: SenderSeq(self.next_seq.fetch_add(1, Ordering::Relaxed)),
            nonce: clock::random(),
            observed_log: None,
            required_signers: vec![self.keys.seal.required_signer(SignerRole::Seal)],
        }
    }

    /// A receipt of this agency for one document of `sender`.
    #[must_use]
    pub fn receipt(&self, event: ReceiptEvent, sender: &AgencyCode, message_id: MessageId, envelope: Digest) -> Receipt {
        let item = ReceiptItem {
            message_id,
            envelope,
            recipient: OrganisationCode::from(&self.keys.code),
            event_time: clock::now(),
            queue_position: None,
            arrival_number: None,
            reason: None,
            status_code: None,
        };
        Receipt {
            receipt_id: clock::mint(),
            event,
            issuer: self.keys.code.clone(),
            original_sender: sender.clone(),
            items: vec![item],
            copy_destroyed: false,
            contact: None,
            created_at: clock::now(),
            edge_term: self.term,
            nonce: clock::random(),
            observed_log: None,
            queue_contiguous: None,
            required_signers: vec![self.keys.seal.required_signer(SignerRole::Seal)],
        }
    }

    /// The statement that opens a term.
    #[must_use]
    pub fn opening(&self, term: u64) -> SenderHead {
        SenderHead {
            statement_id: clock::mint(),
            agency: self.keys.code.clone(),
            edge_term: EdgeTerm(term),
            event: SenderHeadEvent::TermOpened { previous_term: None },
            feed_cursor: None,
            created_at: clock::now(),
            nonce: clock::random(),
            observed_log: None,
            required_signers: vec![self.keys.seal.required_signer(SignerRole::Seal)],
        }
    }

    /// A payload under the registered seal.
    #[must_use]
    pub fn sealed(&self, payload: &[u8]) -> Vec<u8> {
        seal(payload, &[&self.keys.seal])
    }

    /// A payload under other seals.
    #[must_use]
    pub fn sealed_with(&self, payload: &[u8], keys: &[&SealKey]) -> Vec<u8> {
        seal(payload, keys)
    }
}

/// An attachment that names these bytes.
#[must_use]
pub fn attachment(sha256: Digest, size: u64) -> Attachment {
    Attachment {
        name: "cong-van.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        size,
        sha256,
        encoding: Encoding::Identity,
        commit: None,
    }
}
