//! SIGKILL at random moments under load: every document that an edge took is at its recipients' systems exactly once, and its evidence verifies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use truc_tests::axis::{AGENCIES, Axis};
use truc_tests::dms::{Dms, Letter, PATIENCE, settled};
use truc_tests::tools::run_truc;

/// Where the edges listen now: a restarted edge has another port.
type Addresses = Arc<Mutex<BTreeMap<String, Dms>>>;

/// What was handed in: message id → recipients.
type Sent = BTreeMap<String, (String, Vec<String>)>;

struct Load {
    addresses: Addresses,
    stop: Arc<AtomicBool>,
    handed_in: watch::Receiver<u64>,
    senders: Vec<JoinHandle<Sent>>,
    registrars: Vec<JoinHandle<()>>,
}

/// Every agency sends to the others and registers what arrives, through kills and restarts.
fn load(axis: &Axis) -> Load {
    let addresses: Addresses = Arc::new(Mutex::new(AGENCIES.iter().map(|agency| ((*agency).to_owned(), axis.dms(agency))).collect()));
    let stop = Arc::new(AtomicBool::new(false));
    let (count, handed_in) = watch::channel(0u64);
    let count = Arc::new(count);
    let senders = AGENCIES.iter().map(|agency| tokio::spawn(send(agency, addresses.clone(), stop.clone(), count.clone()))).collect();
    let registrars = AGENCIES.iter().map(|agency| tokio::spawn(register(agency, addresses.clone()))).collect();
    Load { addresses, stop, handed_in, senders, registrars }
}

async fn send(agency: &'static str, addresses: Addresses, stop: Arc<AtomicBool>, count: Arc<watch::Sender<u64>>) -> Sent {
    let others: Vec<&str> = AGENCIES.iter().copied().filter(|other| *other != agency).collect();
    let mut sent = Sent::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let recipients = if number % 3 == 0 { others.clone() } else { vec![others[number % 2]] };
        let letter = Letter {
            urgency: truc_proto::edge::v1::Urgency::try_from(i32::try_from(number % 4).unwrap() + 1).unwrap(),
            ..Letter::new(&format!("{agency}-{number}"), &recipients)
        };
        // The system of an agency keeps asking with the same reference until its edge has answered.
        let message_id = loop {
            let dms = addresses.lock().await[agency].clone();
            match dms.send(&letter).await {
                Ok(message_id) => break message_id,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        sent.insert(message_id, (agency.to_owned(), letter.recipients));
        count.send_modify(|count| *count += 1);
    }
    sent
}

async fn register(agency: &'static str, addresses: Addresses) {
    let mut cursor = 0;
    loop {
        let dms = addresses.lock().await[agency].clone();
        let Ok(documents) = dms.receive(Some(cursor), 1).await else {
            tokio::task::yield_now().await;
            continue;
        };
        for arrived in documents {
            let document = arrived.document.unwrap();
            if dms.acknowledge(&document.message_id, &document.recipient, "").await.is_ok() {
                cursor = arrived.cursor;
            }
        }
    }
}

impl Load {
    /// Waits until so many more documents were handed in.
    async fn progress(&mut self, documents: u64) {
        let target = *self.handed_in.borrow() + documents;
        let reached = tokio::time::timeout(PATIENCE, self.handed_in.wait_for(|count| *count >= target)).await;
        reached.expect("documents are handed in").unwrap();
    }

    async fn finish(self) -> (Addresses, Sent, Vec<JoinHandle<()>>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut sent = Sent::new();
        for sender in self.senders {
            sent.extend(sender.await.unwrap());
        }
        (self.addresses, sent, self.registrars)
    }
}

/// Everything that was handed in is there once, nothing else is, every sender knows, and a sample verifies offline.
async fn check(axis: &Axis, load: Load) {
    let (addresses, sent, registrars) = load.finish().await;
    let addresses = addresses.lock().await.clone();
    for (message_id, (sender, _)) in &sent {
        addresses[sender].watch(message_id, settled).await.unwrap_or_else(|cause| panic!("{message_id} of {sender}: {cause}"));
    }
    for registrar in registrars {
        registrar.abort();
    }
    let mut deliveries = 0;
    for agency in AGENCIES {
        let arrived = addresses[agency].arrived().await.unwrap();
        let ids: BTreeSet<_> = arrived.iter().map(|arrived| arrived.document.as_ref().unwrap().message_id.clone()).collect();
        assert_eq!(ids.len(), arrived.len(), "{agency} was shown a document twice");
        let expected: BTreeSet<_> =
            sent.iter().filter(|(_, (_, recipients))| recipients.iter().any(|code| code == agency)).map(|(id, _)| id.clone()).collect();
        assert_eq!(ids, expected, "{agency} has other documents than were sent to it");
        deliveries += arrived.len();
    }
    let sample: Vec<_> = sent.iter().step_by((sent.len() / 8).max(1)).collect();
    for (message_id, (sender, recipients)) in &sample {
        for recipient in recipients {
            let folder = axis.path(&format!("evidence-{message_id}-{recipient}"));
            addresses[sender].evidence(message_id, recipient, &folder);
            let verified = run_truc(&["verify", folder.to_str().unwrap()]);
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        }
    }
    println!("{} documents, {deliveries} deliveries, each once; evidence of {} documents verifies", sent.len(), sample.len());
}

/// A number below `bound` from the operating system's randomness: which moment a kill hits.
fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(truc_transport::clock::random()) % bound
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_broker_kills_lose_and_double_nothing() {
    let mut axis = Axis::running();
    let mut load = load(&axis);
    for _ in 0..20 {
        load.progress(5 + random_below(30)).await;
        // The kill hits some moment of the next few milliseconds, not the one after an answer.
        tokio::time::sleep(Duration::from_micros(random_below(20_000))).await;
        axis.kill_broker();
        axis.start_broker();
    }
    check(&axis, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_edge_kills_lose_and_double_nothing() {
    let mut axis = Axis::running();
    let mut load = load(&axis);
    for round in 0..10 {
        load.progress(5 + random_below(20)).await;
        tokio::time::sleep(Duration::from_micros(random_below(20_000))).await;
        let agency = AGENCIES[round % AGENCIES.len()];
        axis.kill_edge(agency);
        axis.start_edge(agency);
        load.addresses.lock().await.insert(agency.to_owned(), axis.dms(agency));
    }
    check(&axis, load).await;
}
