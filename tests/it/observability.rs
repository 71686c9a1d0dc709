//! What operators see: metrics under the names that documentation, alerts and dashboard use, and readiness that follows the machine within 15 s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use truc_proto::edge::v1::Stage;
use truc_tests::axis::Axis;
use truc_tests::dms::{Letter, PATIENCE, settled};
use truc_tests::tools::{promtool, root};
use truc_tests::watch::Watch;

/// Within this a fault shows in `/readyz`.
const SHOWS_WITHIN: Duration = Duration::from_secs(15);

type Exported = BTreeMap<String, BTreeSet<String>>;

/// Names of metrics with the names of their labels.
fn exported(text: &str, into: &mut Exported) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let labels = rest.strip_prefix('{').map_or("", |rest| rest.split('}').next().unwrap());
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        // A scraper adds these two.
        into.entry(name.to_owned()).or_default().extend(labels.chain(["instance".to_owned(), "job".to_owned()]));
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn metrics_of(text: &str) -> Vec<&str> {
    words(text).filter(|word| ["truc_broker_", "truc_edge_", "process_"].iter().any(|prefix| word.starts_with(prefix))).collect()
}

/// Every metric of a query is exported, with every label that is matched beside it or grouped by.
fn check_query(query: &str, exported: &Exported) {
    let metrics = metrics_of(query);
    assert!(!metrics.is_empty() || words(query).any(|word| word == "up"), "no metric in {query}");
    let mut known: BTreeSet<&str> = ["instance", "job"].into();
    for metric in &metrics {
        let labels = exported.get(*metric).unwrap_or_else(|| panic!("{metric} of {query} is not exported"));
        known.extend(labels.iter().map(String::as_str));
        for after in query.split(metric).skip(1).filter_map(|after| after.strip_prefix('{')) {
            for matcher in after.split('}').next().unwrap().split(',') {
                let label = words(matcher).next().unwrap();
                assert!(labels.contains(label), "{metric} has no label {label}: {query}");
            }
        }
    }
    for keyword in ["by (", "on (", "without ("] {
        for list in query.split(keyword).skip(1) {
            for label in words(list.split(')').next().unwrap()) {
                assert!(known.contains(label), "nothing has the label {label}: {query}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documentation_alerts_and_dashboard_speak_of_what_running_daemons_export() {
    let mut axis = Axis::new();
    axis.start_broker();
    // Before any document: one that passes would make the loopback message unnecessary.
    axis.watch("broker").until_ready(true, PATIENCE);
    for agency in ["G22", "G12"] {
        axis.start_edge(agency);
    }
    let (sender, finance) = (axis.dms("G22"), axis.dms("G12"));
    let message_id = sender.send(&Letter::new("metrics", &["G12"])).await.unwrap();
    finance.receive(None, 1).await.unwrap();
    finance.acknowledge(&message_id, "G12", "").await.unwrap();
    sender.watch(&message_id, settled).await.unwrap();

    let (broker, edge) = (axis.watch("broker"), axis.watch("G22"));
    broker.until_ready(true, PATIENCE);
    edge.until_ready(true, PATIENCE);
    let (broker, edge) = (broker.metrics(), edge.metrics());
    let value = |text: &str, metric: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {metric} in\n{text}")).parse().unwrap()
    };
    assert!(value(&broker, "truc_broker_submissions_total{outcome=\"accepted\"}") >= 5.0, "two terms, a document, two receipts");
    assert_eq!(value(&broker, "truc_broker_fetched_total{}"), 1.0, "the loopback message is not counted");
    assert_eq!(value(&broker, "truc_broker_delivery_seconds_count{}"), 1.0);
    assert!(value(&broker, "truc_broker_loopback_total{outcome=\"passed\"}") >= 1.0);
    assert!(value(&broker, "truc_broker_connections{}") >= 2.0);
    assert_eq!(value(&edge, "truc_edge_link_connected{agency=\"G22\"}"), 1.0);
    assert!(value(&edge, "truc_edge_accepted_total{agency=\"G22\"}") >= 2.0);
    assert!(value(&edge, "truc_edge_uploaded_bytes_total{agency=\"G22\"}") > 0.0);
    for secret in ["thử nghiệm", "metrics", "TRUC.LOOPBACK", &message_id] {
        assert!(!broker.contains(secret) && !edge.contains(secret), "{secret} stands in the metrics");
    }

    let mut known = Exported::new();
    exported(&broker, &mut known);
    exported(&edge, &mut known);
    let documented = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let documented: BTreeSet<_> =
        documented.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let without_parts =
        |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned();
    let shown: BTreeSet<_> =
        known.keys().map(|name| if documented.contains(name.as_str()) { name.clone() } else { without_parts(name) }).collect();
    assert_eq!(shown.iter().map(String::as_str).filter(|name| !documented.contains(name)).collect::<Vec<_>>(), [""; 0], "not documented");
    let checks = ["disk", "keys", "clock", "sequencer", "loopback", "store", "link", "broker", "edge"];
    let missing: Vec<_> = documented.iter().filter(|name| !shown.contains(**name) && !checks.contains(name)).collect();
    assert!(missing.is_empty(), "documented and not exported: {missing:?}");

    let alerts = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let queries: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(queries.len(), alerts.matches("- alert: ").count(), "every query stands on one line");
    assert!(queries.len() >= 15);
    for query in queries {
        check_query(query, &known);
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("deploy/grafana/truc.json")).unwrap()).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() >= 40, "{} queries", queries.len());
    queries.into_iter().for_each(|query| check_query(query, &known));
    for name in shown.iter().filter(|name| name.starts_with("truc_")) {
        assert!(dashboard.to_string().contains(name.as_str()), "the dashboard does not show {name}");
    }
}

#[test]
fn the_rules_are_valid_and_fire_when_they_should() {
    let folder = root().join("deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"], ["check", "config", "prometheus.yaml"]] {
        let output = promtool().args(arguments).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("SUCCESS"), "promtool {arguments:?}: {said}");
    }
}

/// Waits until readiness is as wanted, and says which check fails.
fn within(watch: &Watch, ready: bool) -> serde_json::Value {
    let begun = Instant::now();
    let shown = watch.until_ready(ready, SHOWS_WITHIN);
    assert!(begun.elapsed() < SHOWS_WITHIN, "{:?}", begun.elapsed());
    shown
}

fn failing(shown: &serde_json::Value) -> Vec<(&str, &str)> {
    let checks = shown["checks"].as_array().unwrap().iter().filter(|check| check["state"] == "failing" && check["required"] == true);
    checks.map(|check| (check["name"].as_str().unwrap(), check["reason"].as_str().unwrap())).collect()
}

/// Takes the disk's probe and a certificate away from a running daemon, and gives them back.
fn break_and_mend(watch: &Watch, folder: &Path, certificate: &str) {
    watch.until_ready(true, PATIENCE);
    // A folder in the place of the probe: a file cannot be written there, whoever runs the test.
    let probe = folder.join("probe");
    std::fs::create_dir(&probe).unwrap();
    assert_eq!(failing(&within(watch, false)), [("disk", "journal.storage")]);
    std::fs::remove_dir(&probe).unwrap();
    within(watch, true);

    let (certificate, aside) = (folder.join(certificate), folder.join("aside.pem"));
    std::fs::rename(&certificate, &aside).unwrap();
    assert_eq!(failing(&within(watch, false)), [("keys", "key.unreadable")]);
    std::fs::rename(&aside, &certificate).unwrap();
    within(watch, true);
}

#[test]
fn readiness_ends_within_15_seconds_of_a_fault_and_comes_back_with_its_end() {
    let mut axis = Axis::new();
    axis.start_broker();
    axis.start_edge("G22");
    std::thread::scope(|scope| {
        let broker = scope.spawn(|| break_and_mend(&axis.watch("broker"), &axis.path("broker"), "keys/tls.cert.pem"));
        let edge = scope.spawn(|| break_and_mend(&axis.watch("G22"), &axis.edge_folder("G22"), "keys/seal.cert.pem"));
        for ended in [broker.join(), edge.join()] {
            ended.unwrap();
        }
    });
    axis.kill_broker();
    let edge = axis.watch("G22");
    edge.until(PATIENCE, |shown| {
        shown["checks"].as_array().unwrap().iter().any(|check| check["name"] == "link" && check["state"] == "failing")
    });
    assert_eq!(edge.readiness()["ready"], true, "an edge is ready without the axis");
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_disk_reserve_nothing_new_is_taken_in_until_there_is_room() {
    let mut axis = Axis::new();
    axis.start_broker_with(|command| {
        command.args(["--disk-reserve-bytes", &u64::MAX.to_string()]);
    });
    axis.start_edge("G22");
    let shown = axis.watch("broker").until(PATIENCE, |shown| !failing(shown).is_empty());
    assert_eq!(failing(&shown), [("disk", "disk.full")]);
    let dms = axis.dms("G22");
    let message_id = dms.send(&Letter::new("full", &["G12"])).await.unwrap();
    // The edge is connected: receipts and terms are taken. The document waits, and the log of the edge says why.
    let begun = Instant::now();
    while !axis.log("edge-G22").contains("disk.full") {
        assert!(begun.elapsed() < PATIENCE, "{}", axis.log("edge-G22"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(dms.status(&message_id).await.unwrap().stage() < Stage::Accepted);
    axis.kill_broker();
    axis.start_broker();
    dms.watch(&message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
    axis.watch("broker").until_ready(true, PATIENCE);
}
