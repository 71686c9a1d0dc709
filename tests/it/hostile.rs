//! Hostile clients beside honest ones: what the others feel of a flood, a reader that stands still, a slow writer and bytes that are no protocol.
//! Prints the latencies; `cargo test --release -p truc-tests --test it hostile -- --nocapture --test-threads=1` gives the numbers of a release build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::log_service_client::LogServiceClient;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_tests::bare::{Bare, Keys};
use truc_tests::peer::{Peer, connect};
use truc_transport::tls;

/// Documents of the honest agencies in one measurement, and their pace: a busy hour of a large axis in small.
const DOCUMENTS: u32 = 100;
const PACE: Duration = Duration::from_millis(10);
/// What others may feel at most: ten times as long as without the attacker, or two seconds where that is more: attacker, honest and broker share
/// the processors of the test, and a broker that lets one drown the others would not answer at all while the attack lasts.
const TIMES_MAX: u32 = 10;
const LATENCY_MAX: Duration = Duration::from_secs(2);

/// Latencies of documents at a steady pace from two agencies in turn, counted from when each was due; every one must be accepted.
async fn latencies(honest: &[&Peer<'_>; 2]) -> Vec<Duration> {
    let start = Instant::now();
    let sending = (0..DOCUMENTS).zip(honest.iter().cycle()).map(|(number, peer)| async move {
        let due = start + PACE * number;
        tokio::time::sleep_until(due).await;
        let to = if peer.keys.code.as_str() == "H1" { "H2" } else { "H1" };
        peer.submit(peer.sealed(&peer.envelope(&[to]).to_json())).await.expect("an honest document is accepted");
        due.elapsed()
    });
    let mut latencies = futures(sending).await;
    latencies.sort_unstable();
    latencies
}

/// Runs all of them at once on this task.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|one| Some(Box::pin(one))).collect();
    let mut done = Vec::with_capacity(waiting.len());
    std::future::poll_fn(|context| {
        for slot in &mut waiting {
            if let Some(one) = slot
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                done.push(value);
                *slot = None;
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Measures the honest alone and beside each attacker.
async fn beside(name: &str, attack: impl AsyncFnOnce(&Bare, &mut JoinSet<()>)) {
    let bare = Bare::running();
    let (h1, h2) = (Peer::open(&bare.url(), bare.keys("H1"), 1).await, Peer::open(&bare.url(), bare.keys("H2"), 1).await);
    let honest = [&h1, &h2];
    let alone = latencies(&honest).await;
    let mut attackers = JoinSet::new();
    attack(&bare, &mut attackers).await;
    let attacked = latencies(&honest).await;
    assert!(!attackers.is_empty(), "the attack was over before it was measured");
    attackers.abort_all();
    let show = |latencies: &[Duration]| format!("p50 {:?} p99 {:?}", percentile(latencies, 50), percentile(latencies, 99));
    println!("{name}: alone {}; beside it {}", show(&alone), show(&attacked));
    let limit = (percentile(&alone, 99) * TIMES_MAX).max(LATENCY_MAX);
    assert!(percentile(&attacked, 99) < limit, "{name}: {} beside {}, at most {limit:?}", show(&attacked), show(&alone));
    // A newcomer is let in, too.
    let newcomer = connect(&bare.url(), &bare.keys("H1").other_tls).await.expect("a new connection is taken");
    LogServiceClient::new(newcomer).get_checkpoint(pb::GetCheckpointRequest {}).await.expect("a new connection is served");
    assert!(!bare.log().contains("panicked"), "{}", bare.log());
}

/// A submit stream whose requests never end; the answers are given to `answers`.
async fn endless(channel: Channel, statement: bytes::Bytes) -> tonic::Streaming<pb::SubmitResponse> {
    let number = AtomicU64::new(0);
    let requests = tokio_stream::iter(std::iter::repeat_with(move || pb::SubmitRequest {
        request_id: number.fetch_add(1, Ordering::Relaxed),
        statement: statement.clone(),
        force_takeover: false,
    }));
    SubmitServiceClient::new(channel).submit(requests).await.expect("the stream opens").into_inner()
}

fn statement(keys: &Keys, channel: Channel) -> bytes::Bytes {
    let peer = Peer::connected(keys, channel);
    // The term was never opened: refused after everything else was checked, the dearest refusal.
    peer.sealed(&peer.envelope(&["H1"]).to_json()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_agency_does_not_drown_the_others() {
    beside("flood", async |bare, attackers| {
        for _ in 0..4 {
            let channel = connect(&bare.url(), &bare.keys("H4").tls).await.unwrap();
            let mut answers = endless(channel.clone(), statement(bare.keys("H4"), channel)).await;
            attackers.spawn(async move { while answers.message().await.is_ok_and(|answer| answer.is_some()) {} });
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_up_nobody_else() {
    beside("stalled", async |bare, attackers| {
        for _ in 0..8 {
            // Windows of nothing: the broker may send headers and not one byte of an answer.
            let endpoint = Endpoint::from_shared(bare.url()).unwrap().tls_config(tls::client(&bare.keys("H4").tls)).unwrap();
            let channel = endpoint.initial_stream_window_size(0).connect().await.unwrap();
            let unread = endless(channel.clone(), statement(bare.keys("H4"), channel.clone())).await;
            let mut silent = Vec::new();
            for _ in 0..50 {
                let stream = SubmitServiceClient::new(channel.clone()).submit(tokio_stream::pending()).await.unwrap();
                silent.push(stream);
            }
            attackers.spawn(async move {
                let _held = (unread, silent);
                std::future::pending::<()>().await;
            });
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_write_a_byte_at_a_time_hold_up_nobody_else() {
    beside("slow", async |bare, attackers| {
        let address = bare.broker().address();
        for _ in 0..100 {
            attackers.spawn(async move {
                // The beginning of a handshake, a byte now and then.
                let Ok(mut stream) = TcpStream::connect(address).await else { return };
                for byte in [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().cycle() {
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            });
        }
        let channel = connect(&bare.url(), &bare.keys("H4").tls).await.unwrap();
        for number in 0..30u8 {
            let begin = pb::upload_request::Begin { sha256: vec![number; 32].into(), size: 10_000, offset: 0 };
            let first = pb::UploadRequest { request: Some(pb::upload_request::Request::Begin(begin)) };
            let (sender, bytes) = tokio::sync::mpsc::channel(1);
            attackers.spawn(async move {
                let byte = || pb::UploadRequest { request: Some(pb::upload_request::Request::Data(vec![7].into())) };
                while sender.send(byte()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            let bytes = tokio_stream::wrappers::ReceiverStream::new(bytes);
            let mut client = pb::blob_service_client::BlobServiceClient::new(channel.clone());
            attackers.spawn(async move { drop(client.upload(tokio_stream::once(first).chain(bytes)).await) });
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_protocol_and_headers_without_end_hold_up_nobody_else() {
    beside("malicious", async |bare, attackers| {
        let address = bare.broker().address();
        for number in 0..32u64 {
            attackers.spawn(async move {
                let garbage: Vec<u8> = (0..4_096u64).map(|n| u8::try_from((n * n + number) % 251).unwrap()).collect();
                loop {
                    // Garbage, a broken record, or a request in the clear; then the next connection.
                    let Ok(mut stream) = TcpStream::connect(address).await else { return };
                    let sent: &[u8] = match number % 3 {
                        0 => &garbage,
                        1 => b"\x16\x03\x01\xff\xff\x01",
                        _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    };
                    if stream.write_all(sent).await.is_ok() && number % 3 != 1 {
                        drop(stream.read(&mut [0; 64]).await);
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        let channel = connect(&bare.url(), &bare.keys("H4").tls).await.unwrap();
        let refused = Arc::new(AtomicU64::new(0));
        for _ in 0..8 {
            let (channel, refused) = (channel.clone(), refused.clone());
            attackers.spawn(async move {
                loop {
                    let mut request = tonic::Request::new(pb::GetCheckpointRequest {});
                    let huge = "x".repeat(64 * 1024).parse().expect("a header");
                    request.metadata_mut().insert("x-huge", huge);
                    let answer = LogServiceClient::new(channel.clone()).get_checkpoint(request).await;
                    refused.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
                    assert!(answer.is_err(), "64 KiB of headers were taken");
                }
            });
        }
        while refused.load(Ordering::Relaxed) == 0 && attackers.len() == 40 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_limit_of_a_connection_wait_and_others_go_on() {
    beside("ten thousand calls", async |bare, attackers| {
        let channel = connect(&bare.url(), &bare.keys("H4").tls).await.unwrap();
        for _ in 0..10_000 {
            let mut client = SubmitServiceClient::new(channel.clone());
            attackers.spawn(async move {
                let _held = client.submit(tokio_stream::pending()).await;
                std::future::pending::<()>().await;
            });
        }
    })
    .await;
}
