//! A disk that is really full, under a broker and under an edge: first below the reserve, where refusals name it, then to the last page. Nothing that was
//! acknowledged is lost, and with room everything goes on.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use truc_signing::sha256;
use truc_signing::statement::ReceiptEvent;
use truc_tests::axis::Axis;
use truc_tests::bare::Bare;
use truc_tests::dms::{Letter, PATIENCE};
use truc_tests::peer::Peer;
use truc_tests::small_disk::SmallDisk;
use truc_tests::watch::Watch;
use truc_transport::status;
use truc_types::{MessageId, Reason};

const DISK_BYTES: u64 = 32 * 1024 * 1024;
const RESERVE_BYTES: u64 = 8 * 1024 * 1024;
/// Less than the reserve, and room for receipts.
const LITTLE_BYTES: u64 = 2 * 1024 * 1024;
/// Documents whose receipts need more than the room that small blocks find behind the last one (256 KiB).
const DOCUMENTS: usize = 240;
/// What readiness promises.
const SHOWS_WITHIN: Duration = Duration::from_secs(15);

fn disk_reason(shown: &Value) -> Option<&str> {
    let checks = shown["checks"].as_array().unwrap();
    let disk = checks.iter().find(|check| check["name"] == "disk").unwrap();
    (disk["state"] == "failing").then(|| disk["reason"].as_str().unwrap())
}

/// Waits until readiness says that the disk is full, or that it is not.
fn until_full(watch: &Watch, full: bool) {
    let shown = watch.until(SHOWS_WITHIN, |shown| disk_reason(shown).is_some() == full);
    assert_eq!(disk_reason(&shown), full.then_some("disk.full"), "{shown}");
    assert!(!full || shown["ready"] == false, "{shown}");
}

/// A broker on a small disk, and what it told its submitters.
struct Small {
    bare: Bare,
    disk: SmallDisk,
    watch: Watch,
    metrics: String,
}

impl Small {
    fn running() -> Self {
        let bare = Bare::new();
        let disk = SmallDisk::over(&bare.data(), DISK_BYTES);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut small = Self { bare, disk, watch: Watch::new(address), metrics: address.to_string() };
        small.start();
        small
    }

    fn start(&mut self) {
        let mut command = self.bare.command();
        command.args(["--metrics-listen", &self.metrics, "--disk-reserve-bytes", &RESERVE_BYTES.to_string()]);
        self.bare.start(self.disk.command(&command));
    }
}

/// Sends a document; its file and the leaf that the broker answered.
async fn accepted(sender: &Peer<'_>) -> (Vec<u8>, MessageId, u64) {
    let envelope = sender.envelope(&["H2"]);
    let file = sender.sealed(&envelope.to_json());
    let acceptance = sender.submit(file.clone()).await.unwrap();
    (file, envelope.message_id, acceptance.statement.unwrap().leaf)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_disk_is_full_refuses_by_name_loses_nothing_and_goes_on_with_room() {
    let mut small = Small::running();
    let mut acknowledged = Vec::new();
    {
        let sender = Peer::open(&small.bare.url(), small.bare.keys("H1"), 1).await;
        let recipient = Peer::open(&small.bare.url(), small.bare.keys("H2"), 1).await;
        for _ in 0..DOCUMENTS {
            acknowledged.push(accepted(&sender).await);
        }
        let fetched = |(file, id, _): &(Vec<u8>, MessageId, u64)| {
            let receipt = recipient.receipt(ReceiptEvent::Fetched, &sender.keys.code, *id, sha256(file));
            recipient.sealed(&receipt.to_json())
        };
        small.disk.fill(LITTLE_BYTES);
        until_full(&small.watch, true);
        let refused = sender.submit(sender.sealed(&sender.envelope(&["H2"]).to_json())).await.unwrap_err();
        assert_eq!(refused.reason, Reason::DiskFull, "{refused}");
        let refused = sender.upload(sha256(b"new"), 3, 0, b"new").await.unwrap_err();
        assert_eq!(status::refusal(&refused).map(|refusal| refusal.reason), Some(Reason::DiskFull), "{refused:?}");
        // What is in goes on its way.
        recipient.submit(fetched(&acknowledged[0])).await.unwrap();
        small.disk.free();
        until_full(&small.watch, false);
        acknowledged.push(accepted(&sender).await);

        // To the last page: receipts need some, too.
        small.disk.fill(0);
        let mut lost = None;
        for document in &acknowledged[1..] {
            if let Err(refusal) = recipient.submit_or_lost(fetched(document)).await {
                lost = Some(refusal);
                break;
            }
        }
        let refusal = lost.expect("the journal finds no room for so many receipts");
        assert!(refusal.as_ref().is_none_or(|refusal| refusal.reason == Reason::OutcomeUnknown), "{refusal:?}");
    }
    assert!(!small.bare.take_broker().wait().success());
    assert!(small.bare.log().contains(Reason::DiskFull.code()), "{}", small.bare.log());

    small.disk.free();
    small.start();
    let again = Peer::open(&small.bare.url(), small.bare.keys("H1"), 2).await;
    for (file, _, leaf) in acknowledged {
        assert_eq!(again.submit(file).await.unwrap().statement.unwrap().leaf, leaf);
    }
    accepted(&again).await;
    small.watch.until_ready(true, PATIENCE);
    assert!(!small.bare.log().contains("panicked"), "{}", small.bare.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_whose_disk_is_full_refuses_by_name_loses_nothing_and_goes_on_with_room() {
    let mut axis = Axis::new();
    axis.start_broker();
    axis.start_edge("G22");
    let disk = SmallDisk::over(&axis.edge_folder("H53"), DISK_BYTES);
    let on_disk = |mut command: std::process::Command| {
        command.args(["--disk-reserve-bytes", &RESERVE_BYTES.to_string()]);
        disk.command(&command)
    };
    axis.start_edge_as("H53", on_disk);
    let (ministry, mut province, watch) = (axis.dms("G22"), axis.dms("H53"), axis.watch("H53"));
    let mut there = vec![ministry.exchange(&Letter::new("before", &["H53"]), &province).await.unwrap()];
    province.exchange(&Letter::new("answer", &["G22"]), &ministry).await.unwrap();

    disk.fill(LITTLE_BYTES);
    until_full(&watch, true);
    let refused = province.send(&Letter::new("full", &["G22"])).await.unwrap_err();
    assert_eq!(status::refusal(&refused).map(|refusal| refusal.reason), Some(Reason::DiskFull), "{refused:?}");
    // What is small enough still arrives, and its answers leave.
    there.push(ministry.exchange(&Letter::new("below the reserve", &["H53"]), &province).await.unwrap());

    disk.fill(0);
    let large = Letter { attachment: vec![7; 1_000_000], ..Letter::new("too large for now", &["H53"]) };
    let waiting = ministry.send(&large).await.unwrap();
    ministry.watch(&waiting, |status| !status.accepted_at.is_empty()).await.unwrap();
    // It is offered and cannot be taken; or the edge could not even note that, and ended.
    let begun = tokio::time::Instant::now();
    while !axis.log("edge-H53").contains("a delivery could not be taken now") && !axis.has_edge_ended("H53") {
        assert!(begun.elapsed() < PATIENCE, "{}", axis.log("edge-H53"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    disk.free();
    // A supervisor would do the same.
    let ended = tokio::time::timeout(Duration::from_secs(3), async {
        while !axis.has_edge_ended("H53") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if ended.await.is_ok() {
        assert!(axis.log("edge-H53").contains(Reason::DiskFull.code()), "{}", axis.log("edge-H53"));
        axis.start_edge_as("H53", on_disk);
        province = axis.dms("H53");
    }
    let document = province.receive_message(&waiting).await.unwrap();
    assert_eq!(province.attachment(&waiting, 0, 0).await.unwrap(), large.attachment);
    province.acknowledge(&waiting, &document.recipient, "1").await.unwrap();
    ministry.watch(&waiting, truc_tests::dms::settled).await.unwrap();
    there.push(waiting);
    until_full(&watch, false);
    province.exchange(&Letter::new("full", &["G22"]), &ministry).await.unwrap();
    let arrived: Vec<_> = province.arrived().await.unwrap().into_iter().map(|shown| shown.document.unwrap().message_id).collect();
    assert_eq!(arrived, there, "each once, in the order in which they came");
    assert!(!axis.log("edge-H53").contains("panicked"), "{}", axis.log("edge-H53"));
}
