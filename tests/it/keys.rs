//! Keys and certificates that stop counting while they are in use, or should never have counted: over mutual TLS against a running broker. After each
//! the broker serves others. Not the ones that were wrong from the start, which are rows of `refusals`.

use std::time::Duration;

use tonic::Code;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::log_service_client::LogServiceClient;
use truc_signing::statement::{CertificateAdded, RegistryEvent, SignerRole};
use truc_tests::bare::{Bare, Keys};
use truc_tests::dms::PATIENCE;
use truc_tests::operator::Operator;
use truc_tests::peer::{Peer, connect};
use truc_tests::weak;
use truc_transport::{clock, status};
use truc_types::{Reason, Refusal, Timestamp};

/// How long a certificate lives that is to end during a test. Certificates count in seconds.
const LIVES_MILLIS: u64 = 8_000;
/// How often a test asks whether it has ended.
const ASKED_EVERY: Duration = Duration::from_millis(50);

fn refusal(answered: &tonic::Status) -> Refusal {
    status::refusal(answered).unwrap_or_else(|| panic!("no reason in {answered:?}"))
}

async fn passes(honest: &Peer<'_>) {
    honest.submit(honest.sealed(&honest.envelope(&["H6"]).to_json())).await.unwrap();
}

fn added(bare: &Bare, code: &str, certificate: Vec<u8>) -> RegistryEvent {
    let agency = bare.keys(code).code.clone();
    RegistryEvent::CertificateAdded(CertificateAdded { agency, role: SignerRole::Seal, certificate })
}

/// Submits until something is refused.
async fn submit_until_refused(peer: &Peer<'_>) -> Refusal {
    let refused = async {
        loop {
            match peer.submit(peer.sealed(&peer.envelope(&["H2"]).to_json())).await {
                Ok(_) => tokio::time::sleep(ASKED_EVERY).await,
                Err(refusal) => return refusal,
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("the certificate ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_certificate_that_ends_during_a_connection_ends_calls_and_streams_and_others_go_on() {
    let bare = Bare::running();
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    let end = clock::now().plus_millis(LIVES_MILLIS);
    let short = bare.issue_tls_until("H1", end);
    // The seal stays the one that the registry knows: only the connection's certificate ends.
    let short = Keys { seal: bare.seal_again("H1"), ..short };
    let peer = Peer::open(&bare.url(), &short, 1).await;
    let (requests, sent) = tokio::sync::mpsc::channel(4);
    let open = pb::deliver_request::Request::Open(pb::deliver_request::Open { edge_term: 1, feed_cursor: 0 });
    requests.send(pb::DeliverRequest { request: Some(open) }).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut deliveries = DeliveryServiceClient::new(peer.channel.clone()).deliver(stream).await.unwrap().into_inner();
    assert!(deliveries.message().await.unwrap().is_some(), "the stream is open");

    let refused = submit_until_refused(&peer).await;
    assert_eq!(refused.reason, Reason::IdentityExpired, "{refused}");
    assert!(clock::now() > end, "refused before the certificate ended");
    assert!(refused.value("not_after").is_some_and(|not_after| not_after.parse::<Timestamp>().is_ok()), "{refused:?}");
    // The stream that was open says the same by itself.
    let ended = tokio::time::timeout(PATIENCE, deliveries.message()).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), refusal(&ended).reason), (Code::Unauthenticated, Reason::IdentityExpired));
    let called = LogServiceClient::new(peer.channel.clone()).get_checkpoint(pb::GetCheckpointRequest {}).await.unwrap_err();
    assert_eq!(refusal(&called).reason, Reason::IdentityExpired);
    passes(&honest).await;

    // And before the next connection: in the handshake.
    let refused = match connect(&bare.url(), &peer.keys.tls).await {
        Err(_) => true,
        // TLS 1.3 tells a client that its certificate is refused only after the client believes that it is connected.
        Ok(channel) => LogServiceClient::new(channel).get_checkpoint(pb::GetCheckpointRequest {}).await.is_err(),
    };
    assert!(refused, "the broker took a certificate that has ended");
    passes(&honest).await;
    let renewed = Peer::open(&bare.url(), bare.keys("H1"), 2).await;
    passes(&renewed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_certificate_that_ends_is_refused_from_then_on_and_a_new_one_counts_at_once() {
    let bare = Bare::running();
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    let operator = Operator::connect(&bare).await;
    let end = clock::now().plus_millis(LIVES_MILLIS);
    let short = bare.issue_seal_until("H1", end);
    operator.append_next(added(&bare, "H1", bare.certificate("H1", "seal").der().to_vec())).await.unwrap();
    let short = Keys { tls: bare.keys("H1").tls.clone(), ..short };
    let peer = Peer::open(&bare.url(), &short, 1).await;
    let refused = submit_until_refused(&peer).await;
    assert_eq!(refused.reason, Reason::SealExpiredReseal, "{refused}");
    assert!(clock::now() > end, "refused before the certificate ended");
    assert_eq!(refused.value("keyid"), Some(short.seal.keyid().to_string().as_str()));
    passes(&honest).await;

    // A new certificate, brought while everything runs.
    let new = bare.issue("H1", clock::now());
    let new = Keys { tls: bare.keys("H1").tls.clone(), ..new };
    let sealed = Peer::connected(&new, peer.channel.clone());
    let envelope = || truc_signing::statement::Envelope { sender_seq: truc_types::SenderSeq(400), ..sealed.envelope(&["H2"]) };
    let unknown = sealed.submit(sealed.sealed(&envelope().to_json())).await.unwrap_err();
    assert_eq!(unknown.reason, Reason::SealForeign);
    operator.append_next(added(&bare, "H1", bare.certificate("H1", "seal").der().to_vec())).await.unwrap();
    sealed.submit(sealed.sealed(&envelope().to_json())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_small_order_is_refused_by_name_as_seal_and_as_client_certificate() {
    let bare = Bare::running();
    let honest = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    let operator = Operator::connect(&bare).await;
    // As a seal: it never gets into the registry, whoever signed the certificate.
    let refused = operator.append_next(added(&bare, "H1", weak::certificate(&bare, "H1", "seal"))).await.unwrap_err();
    assert_eq!((refused.reason, refused.value("agency")), (Reason::SealWeakKey, Some("H1")), "{refused}");
    passes(&honest).await;
    // As the key of a connection: the handshake proves nothing, so no call passes.
    let channel = weak::connect(&bare, "H1").await.unwrap();
    let called = LogServiceClient::new(channel.clone()).get_checkpoint(pb::GetCheckpointRequest {}).await.unwrap_err();
    assert_eq!((called.code(), refusal(&called).reason), (Code::PermissionDenied, Reason::SealWeakKey));
    let keys = bare.keys("H1");
    let peer = Peer::connected(keys, channel);
    let refused = peer.submit(peer.sealed(&peer.opening(1).to_json())).await.unwrap_err();
    assert_eq!(refused.reason, Reason::SealWeakKey, "{refused}");
    passes(&honest).await;
    assert!(!bare.log().contains("panicked"), "{}", bare.log());
}
