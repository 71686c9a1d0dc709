//! Hostile clients beside honest ones: what the others feel of a flood, a reader that stands still, a slow writer and bytes that are no protocol.
//! Prints the latencies; `cargo test --release -p truc-tests --test it hostile -- --nocapture --test-threads=1` gives the numbers of a release build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use truc_proto::broker::v1::log_service_client::LogServiceClient;
use truc_proto::broker::v1::submit_service_client::SubmitServiceClient;
use truc_proto::broker::v1::{self as pb, submit_response};
use truc_tests::bare::{Bare, HONEST, Keys};
use truc_tests::peer::{Peer, connect};
use truc_transport::{status, tls};
use truc_types::Reason;
use truc_types::limits::CONNECTIONS_PER_AGENCY_MAX;

/// Documents of the honest agencies in one measurement, and their pace: a busy hour of a large axis in small.
const DOCUMENTS: u32 = 100;
const PACE: Duration = Duration::from_millis(10);
/// What others may feel at most: five times as long as without the attacker, or where that is more so long, in the middle and at the slowest hundredth.
/// Attacker, honest and broker share the processors of the test with other tests, which alone takes some hundred milliseconds now and then; when
/// statements waited behind all of the attacker's, the middle was above 200 ms.
const TIMES_MAX: u32 = 5;
const MIDDLE_MAX: Duration = Duration::from_millis(150);
const SLOWEST_MAX: Duration = Duration::from_millis(600);
/// How often it is measured beside an attacker: what others do to the machine passes, what an attacker does stays.
const MEASURED_MAX: u32 = 3;

/// One measurement at a time: each would be an attacker of the other.
static ONE: Mutex<()> = Mutex::const_new(());

/// Latencies of documents at a steady pace from the agencies in turn, counted from when each was due; every one must be accepted.
async fn latencies(honest: &[Peer<'_>]) -> Vec<Duration> {
    let start = Instant::now();
    let turns = honest.iter().zip(honest.iter().cycle().skip(1)).cycle();
    let sending = (0..DOCUMENTS).zip(turns).map(|(number, (peer, to))| async move {
        let due = start + PACE * number;
        tokio::time::sleep_until(due).await;
        peer.submit(peer.sealed(&peer.envelope(&[to.keys.code.as_str()]).to_json())).await.expect("an honest document is accepted");
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
    let _one = ONE.lock().await;
    let bare = Bare::running();
    let mut honest = Vec::new();
    for code in HONEST {
        honest.push(Peer::open(&bare.url(), bare.keys(code), 1).await);
    }
    let alone = latencies(&honest).await;
    let mut attackers = JoinSet::new();
    attack(&bare, &mut attackers).await;
    let show = |latencies: &[Duration]| format!("p50 {:?} p99 {:?}", percentile(latencies, 50), percentile(latencies, 99));
    for measured in 1..=MEASURED_MAX {
        let attacked = latencies(&honest).await;
        println!("{name}: alone {}; beside it {}", show(&alone), show(&attacked));
        assert!(!attackers.is_empty(), "the attack was over before it was measured");
        let over = [(50, MIDDLE_MAX), (99, SLOWEST_MAX)].into_iter().find_map(|(percent, longest)| {
            let limit = (percentile(&alone, percent) * TIMES_MAX).max(longest);
            (percentile(&attacked, percent) >= limit).then(|| format!("p{percent} at most {limit:?}"))
        });
        match over {
            None => break,
            Some(over) => assert!(measured < MEASURED_MAX, "{name}: {} beside {}, {over}", show(&attacked), show(&alone)),
        }
    }
    attackers.abort_all();
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

/// Reads answers as long as there are some; counts those that say that the attacker floods.
fn read(mut answers: tonic::Streaming<pb::SubmitResponse>, attackers: &mut JoinSet<()>, told: Arc<AtomicU64>) {
    attackers.spawn(async move {
        while let Ok(Some(answer)) = answers.message().await {
            if let Some(submit_response::Outcome::Refused(refusal)) = answer.outcome {
                let refusal = status::from_proto(&refusal).expect("a reason of this release");
                told.fetch_add(u64::from(refusal.reason == Reason::FlowFlooding), Ordering::Relaxed);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_of_one_agency_does_not_drown_the_others_and_is_told_to_stop() {
    let told = Arc::<AtomicU64>::default();
    beside("flood", async |bare, attackers| {
        for _ in 0..4 {
            let channel = connect(&bare.url(), &bare.keys("H4").tls).await.unwrap();
            let answers = endless(channel.clone(), statement(bare.keys("H4"), channel)).await;
            read(answers, attackers, told.clone());
        }
    })
    .await;
    assert!(told.load(Ordering::Relaxed) > 0, "nobody told the attacker that it floods");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_a_document_that_is_in_the_log_does_not_drown_the_others() {
    let told = Arc::<AtomicU64>::default();
    beside("repeats", async |bare, attackers| {
        let keys = bare.keys("H4");
        let peer = Peer::open(&bare.url(), keys, 1).await;
        let file = bytes::Bytes::from(peer.sealed(&peer.envelope(&["H1"]).to_json()));
        peer.submit(file.clone()).await.unwrap();
        for _ in 0..4 {
            let channel = connect(&bare.url(), &keys.tls).await.unwrap();
            read(endless(channel, file.clone()).await, attackers, told.clone());
        }
    })
    .await;
    assert_eq!(told.load(Ordering::Relaxed), 0, "what is not refused is not told to stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_agency_beyond_its_places_are_closed_and_others_are_taken() {
    let bare = Bare::running();
    let checkpoint = async |code: &str| {
        let channel = connect(&bare.url(), &bare.keys(code).tls).await?;
        let answered = LogServiceClient::new(channel.clone()).get_checkpoint(pb::GetCheckpointRequest {}).await;
        // TLS 1.3: a client believes that it is connected before it hears that it is not.
        Ok::<_, tonic::transport::Error>(answered.is_ok().then_some(channel))
    };
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_PER_AGENCY_MAX {
        held.push(checkpoint("H4").await.unwrap().expect("a place is left"));
    }
    assert!(!matches!(checkpoint("H4").await, Ok(Some(_))), "a connection too many");
    assert!(bare.log().contains(Reason::FlowFlooding.code()), "{}", bare.log());
    checkpoint("H1").await.unwrap().expect("another agency is taken");
    held.pop();
    let freed = async { while !matches!(checkpoint("H4").await, Ok(Some(_))) {} };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("its place is free when the broker has seen the end");
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
