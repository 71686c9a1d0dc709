//! A broker that lies, for tests: it shows the certificate of a broker and answers as one does, but for the lie. Shows that no lie gets into a figure.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use truc_ledger::{Checkpoint, Extension, Frontier, LogSigner, checkpoint, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_proto::broker::v1::submit_service_server::{SubmitService, SubmitServiceServer};
use truc_signing::keyfile;
use truc_signing::sha256;
use truc_signing::statement::{Accepted, Fact, QueueEntry};
use truc_transport::accept;
use truc_transport::tls::{ServerTls, TlsFiles};
use truc_types::{EdgeTerm, LeafIndex, MessageId, QueuePosition, Reason, Timestamp};

use super::axis::{self, Axis};
use super::drive;
use super::load::{Lane, streams};
use super::phase::{self, Course, Pace, Verify, WARM_UP};
use super::stock::preseal;
use crate::failure::Failure;
use crate::pki::read_text;

const ORIGIN: &str = "truc.example/axis/2026";

pub(super) fn signer(seed: u8) -> LogSigner {
    LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[seed; 32])).unwrap()
}

/// What a broker with this log key answers to `file`, the first entry of its log, stating that it accepted the envelope `named`.
pub(super) fn answer(file: &[u8], named: &[u8], signer: &LogSigner) -> pb::Acceptance {
    let fact = Fact::Accepted(Accepted {
        message_id: MessageId::from_bytes([1; 16]),
        envelope: sha256(named),
        leaf: LeafIndex(0),
        block_time: Timestamp::from_millis(1),
        registry_version: 1,
        queue: vec![QueueEntry { recipient: "H2".parse().unwrap(), agency: "H2".parse().unwrap(), position: QueuePosition(1) }],
    });
    let fact = fact.to_json();
    let extension = Extension::new(&Frontier::new(), &[leaf_hash(file), leaf_hash(&fact)]);
    let signed = Checkpoint { origin: ORIGIN.to_owned(), size: extension.size(), root: extension.root() };
    let logged = |leaf: u64, entry: Vec<u8>| {
        let path = extension.inclusion_proof(LeafIndex(leaf)).unwrap().path;
        let path: Vec<u8> = path.iter().flat_map(|digest| digest.0).collect();
        Some(pb::LoggedEntry { entry: entry.into(), leaf, path: path.into() })
    };
    let checkpoint = checkpoint::sign(&signed, signer).unwrap();
    pb::Acceptance { statement: logged(0, Vec::new()), fact: logged(1, fact), checkpoint }
}

pub(super) fn flip(bytes: &mut bytes::Bytes) {
    let mut changed = bytes.to_vec();
    changed[0] ^= 1;
    *bytes = changed.into();
}

/// Answers every statement as if it were the first of the log, and then lies.
struct Liar {
    lie: fn(&mut pb::Acceptance),
}

#[tonic::async_trait]
impl SubmitService for Liar {
    type SubmitStream = ReceiverStream<Result<pb::SubmitResponse, Status>>;

    async fn submit(&self, request: Request<Streaming<pb::SubmitRequest>>) -> Result<Response<Self::SubmitStream>, Status> {
        let (answers, answered) = mpsc::channel(8);
        let (mut requests, lie) = (request.into_inner(), self.lie);
        tokio::spawn(async move {
            while let Ok(Some(pb::SubmitRequest { request_id, statement, .. })) = requests.message().await {
                let mut acceptance = answer(&statement, &statement, &signer(1));
                lie(&mut acceptance);
                let response = pb::SubmitResponse { request_id, outcome: Some(Outcome::Accepted(acceptance)) };
                if answers.send(Ok(response)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answered)))
    }
}

/// Runs a phase of so many documents against a broker with this lie; the documents that were verified.
fn verified(documents: u64, course: Course, lie: fn(&mut pb::Acceptance)) -> Result<u64, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let axis = axis::make(folder.path(), 2).unwrap();
    drive::runtime().unwrap().block_on(async {
        let broker = start(&axis, lie).await;
        let lanes = [Lane::connect(broker, &axis.agencies[0], 1 << 20).await.unwrap()];
        let stocks = preseal(&axis.agencies[..1], EdgeTerm(1), documents, 0);
        phase::run(streams(&lanes).await?, stocks, course, signer(1).verifier()).await.map(|measured| measured.verified)
    })
}

async fn start(axis: &Axis, lie: fn(&mut pb::Acceptance)) -> SocketAddr {
    let file = |name: &str| read_text(&axis.layout.pki.join(name)).unwrap();
    let key = keyfile::read_encrypted(&file("broker.tls.key.pem"), axis.password.as_bytes()).unwrap();
    let key = keyfile::write_plain(&key).unwrap();
    let files = TlsFiles { certificate_pem: file("broker.tls.cert.pem"), key_pem: key, authority_pem: file("ca.pem") };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(SubmitServiceServer::new(Liar { lie }));
    tokio::spawn(server.serve_with_incoming(accept::tls(listener, ServerTls::new(&files).unwrap())));
    address
}

const CLOSED: Course =
    Course { pace: Pace::Closed { in_flight: 1 }, warm_up: WARM_UP, count_for: Duration::from_secs(1), verify: Verify::Live };
const OPEN: Course = Course { pace: Pace::Open { interval: Duration::from_millis(1) }, ..CLOSED };
const VERIFIED_AFTERWARDS: Course = Course { verify: Verify::Afterwards, ..CLOSED };
const COURSES: [Course; 3] = [CLOSED, OPEN, VERIFIED_AFTERWARDS];

fn reason(documents: u64, course: Course, lie: fn(&mut pb::Acceptance)) -> Option<Reason> {
    verified(documents, course, lie).unwrap_err().reason()
}

#[test]
fn an_honest_broker_has_figures() {
    for course in COURSES {
        assert_eq!(verified(1, course, |_| {}).unwrap(), 1, "{course:?}");
    }
}

#[test]
fn one_bad_proof_ends_the_run_without_figures() {
    for course in COURSES {
        assert_eq!(reason(1, course, |answer| flip(&mut answer.statement.as_mut().unwrap().path)), Some(Reason::LogProofInvalid));
        assert_eq!(reason(1, course, |answer| flip(&mut answer.fact.as_mut().unwrap().entry)), Some(Reason::LogProofInvalid));
        assert_eq!(reason(1, course, |answer| answer.fact = None), Some(Reason::LogProofInvalid));
    }
}

#[test]
fn two_histories_end_the_run_without_figures() {
    // Every document is the first of a log of its own.
    for course in [CLOSED, VERIFIED_AFTERWARDS] {
        assert_eq!(reason(2, course, |_| {}), Some(Reason::LogFork));
    }
}
