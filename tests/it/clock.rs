//! Somebody sets the clock of a machine on which a broker or an edge runs: readiness and metrics say so, and every document still arrives once.

use std::time::Duration;

use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::delivery_service_client::DeliveryServiceClient;
use truc_proto::broker::v1::{deliver_request, deliver_response};
use truc_tests::axis::Axis;
use truc_tests::bare::Bare;
use truc_tests::dms::{Letter, PATIENCE};
use truc_tests::peer::Peer;
use truc_tests::stepped::SteppedClock;
use truc_tests::watch::Watch;

/// What readiness promises.
const SHOWS_WITHIN: Duration = Duration::from_secs(15);

/// The reason that the check of the clock gives while it fails.
fn clock_fails(shown: &serde_json::Value) -> Option<&str> {
    let checks = shown["checks"].as_array().unwrap();
    let clock = checks.iter().find(|check| check["name"] == "clock").unwrap();
    (clock["state"] == "failing").then(|| clock["reason"].as_str().unwrap())
}

fn value(watch: &Watch, metric: &str) -> f64 {
    let text = watch.metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {metric} in\n{text}")).parse().unwrap()
}

/// Sets a clock and waits until the process counts the jump; the reason that it is not ready for.
fn step(clock: &SteppedClock, ahead: i64, watch: &Watch, metric: &str) -> String {
    let before = value(watch, metric);
    clock.set_ahead(ahead);
    let begun = tokio::time::Instant::now();
    while value(watch, metric) <= before {
        assert!(begun.elapsed() < SHOWS_WITHIN, "{metric} does not show the step to {ahead} s ahead");
        std::thread::sleep(Duration::from_millis(100));
    }
    let shown = watch.until(SHOWS_WITHIN.saturating_sub(begun.elapsed()), |shown| clock_fails(shown).is_some());
    assert_eq!(shown["ready"], false);
    clock_fails(&shown).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_in_either_direction_shows_and_every_document_arrives_once() {
    let mut axis = Axis::new();
    let (broker_clock, edge_clock) = (SteppedClock::new(&axis.path("broker.clock")), SteppedClock::new(&axis.path("edge.clock")));
    axis.start_broker_with(|command| broker_clock.give(command));
    axis.start_edge("G22");
    axis.start_edge_as("G12", |mut command| {
        edge_clock.give(&mut command);
        command
    });
    let (sender, stepped) = (axis.dms("G22"), axis.dms("G12"));
    let (broker, edge) = (axis.watch("broker"), axis.watch("G12"));
    broker.until_ready(true, PATIENCE);
    edge.until_ready(true, PATIENCE);
    let mut there = vec![sender.exchange(&Letter::new("before", &["G12"]), &stepped).await.unwrap()];
    let mut back = Vec::new();

    // Two minutes: the axis takes what is at most five in its future.
    for (name, ahead) in [("edge forwards", 120), ("edge backwards", -120)] {
        let reason = step(&edge_clock, ahead, &edge, "truc_edge_clock_jumps_total{agency=\"G12\"}");
        assert_eq!(reason, "clock.jumped");
        there.push(sender.exchange(&Letter::new(name, &["G12"]), &stepped).await.unwrap());
        back.push(stepped.exchange(&Letter::new(name, &["G22"]), &sender).await.unwrap());
    }
    edge_clock.set_ahead(0);

    // An hour, and back: the blocks of the hour lie in the broker's future then.
    for (name, ahead, expected) in [("broker forwards", 3_600, "clock.jumped"), ("broker backwards", 0, "clock.jumped")] {
        let reason = step(&broker_clock, ahead, &broker, "truc_broker_clock_jumps_total{}");
        assert_eq!(reason, expected);
        assert_eq!(value(&broker, "truc_broker_check_passing{check=\"clock\"}"), 0.0);
        there.push(sender.exchange(&Letter::new(name, &["G12"]), &stepped).await.unwrap());
        back.push(stepped.exchange(&Letter::new(name, &["G22"]), &sender).await.unwrap());
    }
    assert!(value(&broker, "truc_broker_block_time_ahead_seconds{}") > 3_000.0, "block time does not go backwards");

    // What the queues hold across it: leases and pauses do not wait for the clock of the day.
    axis.kill_edge("G12");
    let waiting = sender.send(&Letter::new("while away", &["G12"])).await.unwrap();
    axis.start_edge("G12");
    let stepped = axis.dms("G12");
    stepped.receive_message(&waiting).await.unwrap();
    there.push(waiting);
    for (dms, sent) in [(&stepped, there), (&sender, back)] {
        let arrived = dms.arrived().await.unwrap().into_iter().map(|shown| shown.document.unwrap().message_id);
        let mut arrived: Vec<_> = arrived.collect();
        let mut sent = sent;
        arrived.sort_unstable();
        sent.sort_unstable();
        assert_eq!(arrived, sent, "each once");
    }
    for name in ["broker", "edge-G12", "edge-G22"] {
        assert!(!axis.log(name).contains("panicked"), "{}", axis.log(name));
    }
}

/// The next delivery on a stream.
async fn delivery(stream: &mut tonic::Streaming<pb::DeliverResponse>) -> pb::Delivery {
    let next = async {
        loop {
            if let Some(deliver_response::Response::Delivery(delivery)) = stream.message().await.unwrap().unwrap().response {
                return delivery;
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("the delivery is offered")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_was_given_back_does_not_wait_for_a_clock_that_was_set_back() {
    let mut bare = Bare::new();
    let clock = SteppedClock::new(&bare.pki().join("broker.clock"));
    clock.set_ahead(3_600);
    let mut command = bare.command();
    clock.give(&mut command);
    bare.start(command);
    let sender = Peer::open(&bare.url(), bare.keys("H1"), 1).await;
    let recipient = Peer::open(&bare.url(), bare.keys("H2"), 1).await;
    sender.submit(sender.sealed(&sender.envelope(&["H2"]).to_json())).await.unwrap();
    clock.set_ahead(0);
    let stepped = async {
        while !bare.log().contains("the clock of this machine stepped") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stepped).await.expect("the broker sees the step");

    let (requests, sent) = tokio::sync::mpsc::channel(4);
    let say = |request| pb::DeliverRequest { request: Some(request) };
    let open = deliver_request::Open { edge_term: 1, feed_cursor: 0 };
    requests.send(say(deliver_request::Request::Open(open))).await.unwrap();
    requests.send(say(deliver_request::Request::Credit(deliver_request::Credit { deliveries: 8 }))).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut stream = DeliveryServiceClient::new(recipient.channel.clone()).deliver(stream).await.unwrap().into_inner();
    for attempt in 1..=2 {
        let delivery = delivery(&mut stream).await;
        assert_eq!(delivery.attempt, attempt);
        requests.send(say(deliver_request::Request::Release(deliver_request::Release { lease: delivery.lease }))).await.unwrap();
    }
}
