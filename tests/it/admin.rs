//! What the operator sees of a running axis: queues, traces with proofs, agencies, connections, attachments, findings; and who may not see it.

use std::process::Output;

use serde_json::Value;
use truc_proto::edge::v1::Stage;
use truc_tests::axis::{AGENCIES, Axis};
use truc_tests::dms::{Letter, settled};
use truc_tests::tools::run_truc;
use truc_types::Reason;

fn admin(axis: &Axis, verb: &[&str]) -> Output {
    let (url, pki) = (axis.broker_url(), axis.path("pki"));
    run_truc(&[&["admin"], verb, &["--broker", &url, "--pki", pki.to_str().unwrap()]].concat())
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One document to G12, which registers it, and to H53, whose edge is away.
async fn half_delivered(axis: &mut Axis) -> String {
    axis.kill_edge("H53");
    let sender = axis.dms("G22");
    let letter = Letter { urgency: truc_proto::edge::v1::Urgency::Flash, ..Letter::new("traced", &["G12", "H53"]) };
    let message_id = sender.send(&letter).await.unwrap();
    sender.watch(&message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
    axis.dms("G12").receive(None, 1).await.unwrap();
    axis.dms("G12").acknowledge(&message_id, "G12", "").await.unwrap();
    let registered = |status: &truc_proto::edge::v1::DocumentStatus| {
        status.recipients.iter().any(|recipient| recipient.step() == truc_proto::edge::v1::Step::Acknowledged)
    };
    sender.watch(&message_id, registered).await.unwrap();
    message_id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_queues_agencies_connections_and_every_step_with_its_proof() {
    let mut axis = Axis::running();
    let message_id = half_delivered(&mut axis).await;

    let queues = lines(&admin(&axis, &["queues", "--json"]));
    assert_eq!((queues[0]["agency"].as_str(), queues[0]["waiting"].as_u64()), (Some("H53"), Some(1)), "the oldest first: {queues:?}");
    assert_eq!(queues[0]["lanes"][0], serde_json::json!({ "lane": "flash", "waiting": 1, "oldest_at": queues[0]["oldest_at"] }));
    assert_eq!(queues[0]["connected"], false);
    assert!(queues.iter().skip(1).all(|queue| queue["waiting"] == 0));
    let one = lines(&admin(&axis, &["queues", "--agency", "G12", "--json"]));
    assert_eq!((one.len(), one[0]["agency"].as_str()), (1, Some("G12")));
    assert!(text(&admin(&axis, &["queues"])).contains("1 delivery waits in 3 queues"));

    let agencies = lines(&admin(&axis, &["agencies", "--json"]));
    assert_eq!(agencies.iter().map(|agency| agency["code"].as_str().unwrap()).collect::<Vec<_>>(), ["G12", "G22", "H53"]);
    assert!(agencies.iter().all(|agency| agency["keys"].as_array().unwrap().len() == 1));
    assert!(agencies[0]["edge_term"] == 1 && agencies[0]["connected_since"] != "" && agencies[0]["away_since"] == "");
    assert!(agencies[2]["connected_since"] == "" && agencies[2]["away_since"] != "");

    let connections = lines(&admin(&axis, &["connections", "--json"]));
    assert_eq!(connections.iter().map(|connection| connection["agency"].as_str().unwrap()).collect::<Vec<_>>(), ["G12", "G22"]);
    assert!(connections.iter().all(|connection| connection["peer"].as_str().unwrap().starts_with("127.0.0.1:")));

    let blobs = lines(&admin(&axis, &["blobs", "--json"]));
    assert_eq!((blobs[0]["blobs"].as_u64(), blobs[0]["pinned"].as_u64()), (Some(2), Some(0)));

    let trace = lines(&admin(&axis, &["trace", &message_id, "--json"]));
    let steps: Vec<_> = trace.iter().map(|hop| (hop["step"].as_str().unwrap(), hop["recipient"].as_str().unwrap_or_default())).collect();
    let expected =
        [("envelope", ""), ("accepted", "G12"), ("accepted", "H53"), ("waiting", "H53"), ("fetched", "G12"), ("acknowledged", "G12")];
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let mut wanted = expected.to_vec();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted, "{trace:?}");
    assert!(trace.iter().all(|hop| hop["step"] == "waiting" || hop["proof"] == "verified"), "{trace:?}");

    // Closed messages are traced as well, and the recipient's edge shows its own steps.
    axis.start_edge("H53");
    axis.dms("H53").receive(None, 1).await.unwrap();
    axis.dms("H53").acknowledge(&message_id, "H53", "").await.unwrap();
    axis.dms("G22").watch(&message_id, settled).await.unwrap();
    let closed = text(&admin(&axis, &["trace", &message_id]));
    assert_eq!(closed.matches("acknowledged").count(), 2, "{closed}");
    let edge = axis.edge_url("H53");
    // The sender may know before the recipient's edge has noted that its answer is in the log.
    let is_logged = |(_, event): &(u64, truc_proto::edge::v1::Event)| event.kind() == truc_proto::edge::v1::event::Kind::AnswerLogged;
    axis.dms("H53").events(0, Some(&|events| events.iter().any(is_logged))).await.unwrap();
    let local = lines(&run_truc(&["admin", "trace", &message_id, "--edge", &edge, "--json"]));
    let steps: Vec<_> = local.iter().map(|hop| hop["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["arrived", "shown", "answered", "answer_logged"]);
    assert!(local.iter().all(|hop| !hop["at"].as_str().unwrap().is_empty()), "a hop without a time: {local:?}");
    let edge = axis.edge_url("G22");
    let local = lines(&run_truc(&["admin", "trace", &message_id, "--edge", &edge, "--json"]));
    let steps: Vec<_> = local.iter().map(|hop| hop["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["stored", "sealed", "accepted", "receipt", "receipt", "receipt", "receipt"]);
    assert!(local.iter().all(|hop| !hop["at"].as_str().unwrap().is_empty()), "a hop without a time: {local:?}");
    assert_eq!(local.iter().filter(|hop| hop["detail"] == "acknowledged").count(), 2, "{local:?}");
    let unknown = admin(&axis, &["trace", "01ARYZ6S41TSV4RRFFQ69G5FAV"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains(Reason::MessageUnknown.code()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_checked_with_another_log_key_says_that_no_proof_holds() {
    let mut axis = Axis::running();
    let message_id = half_delivered(&mut axis).await;
    let (vkey, other) = (axis.path("pki/log.vkey"), Axis::new());
    let own = std::fs::read(&vkey).unwrap();
    std::fs::copy(other.path("pki/log.vkey"), &vkey).unwrap();
    let trace = admin(&axis, &["trace", &message_id]);
    assert_eq!(trace.status.code(), Some(1));
    assert!(text(&trace).contains("the checkpoint does not hold") && !text(&trace).contains("verified"), "{}", text(&trace));
    let check = admin(&axis, &["check"]);
    assert!(check.status.code() == Some(1) && text(&check).contains("PROBLEM  log.checkpoint"), "{}", text(&check));
    std::fs::write(&vkey, own).unwrap();
    assert_eq!(admin(&axis, &["trace", &message_id]).status.code(), Some(0));
}

#[test]
fn nobody_but_the_operator_may_look() {
    let axis = Axis::running();
    // An agency's TLS certificate under the operator's file names.
    let disguised = axis.path("disguised");
    std::fs::create_dir(&disguised).unwrap();
    let from = axis.path("pki");
    for (name, to) in [
        ("ca.pem", "ca.pem"),
        ("log.vkey", "log.vkey"),
        ("agencies/G12/tls.cert.pem", "operator.tls.cert.pem"),
        ("agencies/G12/tls.key.pem", "operator.tls.key.pem"),
    ] {
        std::fs::copy(from.join(name), disguised.join(to)).unwrap();
    }
    let (url, pki) = (axis.broker_url(), disguised.to_str().unwrap().to_owned());
    for verb in [&["queues"][..], &["agencies"], &["connections"], &["blobs"], &["trace", "01ARYZ6S41TSV4RRFFQ69G5FAV"]] {
        let refused = run_truc(&[&["admin"], verb, &["--broker", &url, "--pki", &pki]].concat());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains(Reason::OperatorOnly.code()), "{verb:?}: {said}");
    }
    // The operator's sealing certificate is no client certificate: the handshake ends.
    for (name, to) in [("operator.cert.pem", "operator.tls.cert.pem"), ("operator.key.pem", "operator.tls.key.pem")] {
        std::fs::copy(from.join(name), disguised.join(to)).unwrap();
    }
    let refused = run_truc(&["admin", "queues", "--broker", &url, "--pki", &pki]);
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn the_check_names_what_is_wrong_and_ends_with_the_exit_code_for_it() {
    let mut axis = Axis::running();
    let states = |output: &Output| -> Vec<(String, String)> {
        let state = |finding: &Value| (finding["finding"].as_str().unwrap().to_owned(), finding["state"].as_str().unwrap().to_owned());
        lines(output).iter().map(state).collect()
    };
    let has = |states: &[(String, String)], finding: &str, state: &str| states.contains(&(finding.to_owned(), state.to_owned()));
    let backup = axis.path("backup");
    let taken = run_truc(&["admin", "backup", axis.path("broker").to_str().unwrap(), "--into", backup.to_str().unwrap()]);
    assert!(taken.status.success());
    axis.kill_edge("G12");
    let well = admin(&axis, &["check", "--json"]);
    let found = states(&well);
    // The disk of the machine that runs the tests is not this test's business.
    let problems: Vec<_> = found.iter().filter(|(_, state)| state == "problem").collect();
    assert!(problems.iter().all(|(finding, _)| finding == "disk.space"), "{found:?}");
    assert_eq!(well.status.code(), Some(i32::from(!problems.is_empty())), "{found:?}");
    for finding in ["connect", "ready", "clock.skew", "log.checkpoint", "certificate.tls", "certificate.seals", "backup.age", "queues.age"]
    {
        assert!(has(&found, finding, "ok"), "{finding}: {found:?}");
    }
    assert!(has(&found, "edges.away", "warning"), "{found:?}");

    for agency in AGENCIES.iter().filter(|agency| **agency != "G12") {
        let edge = axis.edge_url(agency);
        let found = states(&run_truc(&["admin", "check", "--edge", &edge, "--json"]));
        assert!(has(&found, "axis.connection", "ok") && has(&found, "backup.age", "warning"), "{found:?}");
    }
    axis.kill_broker();
    let away = admin(&axis, &["check", "--json"]);
    assert_eq!((away.status.code(), has(&states(&away), "connect", "problem")), (Some(1), true));
}
