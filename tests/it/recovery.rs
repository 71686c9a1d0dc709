//! What an operator finds after something went wrong: lost views, lost journals, two processes on one folder, two edges of one agency.

use std::path::Path;
use std::process::Command;

use truc_proto::edge::v1::Stage;
use truc_tests::axis::Axis;
use truc_tests::daemon::Daemon;
use truc_tests::dms::{Letter, settled};
use truc_tests::tools::PASSWORD;
use truc_types::Reason;

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Sends a letter and sees it registered.
async fn round_trip(axis: &Axis, reference: &str) {
    let (sender, finance) = (axis.dms("G22"), axis.dms("G12"));
    let message_id = sender.send(&Letter::new(reference, &["G12"])).await.unwrap();
    let mut cursor = 0;
    loop {
        let arrived = finance.receive(Some(cursor), 1).await.unwrap().remove(0);
        cursor = arrived.cursor;
        if arrived.document.unwrap().message_id == message_id {
            break;
        }
    }
    finance.acknowledge(&message_id, "G12", "").await.unwrap();
    sender.watch(&message_id, settled).await.unwrap();
}

/// Runs a daemon that must not start; what it says.
fn refused_start(mut command: Command) -> String {
    let output = command.env("TRUC_KEY_PASSWORD", PASSWORD).output().unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stop_broker(axis: &mut Axis) {
    assert!(axis.take_broker().unwrap().terminate().success(), "{}", axis.log("broker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_deleted_old_or_damaged_come_back_from_the_journal() {
    let mut axis = Axis::running();
    round_trip(&axis, "before").await;
    // Left open on purpose: rows of open messages are what the views are for.
    let open = axis.dms("G22").send(&Letter::new("open", &["H53"])).await.unwrap();
    axis.dms("H53").receive(None, 1).await.unwrap();
    stop_broker(&mut axis);
    let (views, old) = (axis.path("broker/views"), axis.path("views-old"));
    copy(&views, &old);

    std::fs::remove_dir_all(&views).unwrap();
    axis.start_broker();
    round_trip(&axis, "deleted").await;
    stop_broker(&mut axis);

    std::fs::remove_dir_all(&views).unwrap();
    copy(&old, &views);
    axis.start_broker();
    round_trip(&axis, "older").await;
    stop_broker(&mut axis);

    let damaged = Command::new("find").arg(&views).args(["-type", "f", "-size", "+0", "-exec", "truncate", "-s", "7", "{}", ";"]).status();
    assert!(damaged.unwrap().success());
    axis.start_broker();
    round_trip(&axis, "damaged").await;
    axis.dms("H53").acknowledge(&open, "H53", "").await.unwrap();
    axis.dms("G22").watch(&open, settled).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_lost_its_tail_is_refused_by_the_broker_and_seen_by_the_edges() {
    let mut axis = Axis::running();
    round_trip(&axis, "first").await;
    stop_broker(&mut axis);
    let (journal, old) = (axis.path("broker/journal"), axis.path("journal-old"));
    copy(&journal, &old);
    axis.start_broker();
    round_trip(&axis, "second").await;
    stop_broker(&mut axis);

    std::fs::remove_dir_all(&journal).unwrap();
    copy(&old, &journal);
    let said = refused_start(axis.broker_command());
    assert!(said.contains(Reason::ViewAhead.code()), "{said}");

    // An operator who deletes the views to get it running does not get past the edges: they know the longer log.
    std::fs::remove_dir_all(axis.path("broker/views")).unwrap();
    axis.start_broker();
    let edge = axis.take_edge("G22").unwrap();
    assert!(!edge.wait().success());
    assert!(axis.log("edge-G22").contains(Reason::LogFork.code()), "{}", axis.log("edge-G22"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_folder_is_refused() {
    let axis = Axis::running();
    let said = refused_start(axis.broker_command());
    assert!(said.contains(Reason::JournalLocked.code()) || said.contains(Reason::ConfigInvalid.code()), "{said}");
    let mut elsewhere = Command::new(truc_tests::tools::truc());
    elsewhere.args(["broker", "run", "--listen", "127.0.0.1:0", "--data"]).arg(axis.path("broker"));
    let said = refused_start(elsewhere);
    assert!(said.contains(Reason::JournalLocked.code()), "{said}");
    let said = refused_start(axis.edge_command(&axis.edge_folder("G22")));
    assert!(said.contains(Reason::JournalLocked.code()), "{said}");
    round_trip(&axis, "unharmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_takes_over_fences_the_one_before() {
    let mut axis = Axis::running();
    round_trip(&axis, "before").await;
    // A copy of the folder, as after a restore from a backup, while the first edge still runs.
    let copied = axis.path("edge-copy");
    copy(&axis.edge_folder("G22"), &copied);
    let mut command = axis.edge_command(&copied);
    command.arg("--take-over");
    let second = Daemon::start(command, &axis.path("edge-copy.log"));
    let first = axis.take_edge("G22").unwrap();
    assert!(!first.wait().success());
    assert!(axis.log("edge-G22").contains(Reason::TermSuperseded.code()), "{}", axis.log("edge-G22"));
    let dms = truc_tests::dms::Dms::new(second.address());
    let message_id = dms.send(&Letter::new("after", &["G12"])).await.unwrap();
    dms.watch(&message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_end_in_order_when_they_are_told_to() {
    let mut axis = Axis::running();
    round_trip(&axis, "one").await;
    for agency in truc_tests::axis::AGENCIES {
        assert!(axis.take_edge(agency).unwrap().terminate().success(), "{}", axis.log(&format!("edge-{agency}")));
    }
    stop_broker(&mut axis);
    let clean = truc_tests::tools::run_truc(&["admin", "journal", "verify", "--data", axis.path("broker").to_str().unwrap()]);
    assert!(clean.status.success(), "{}", String::from_utf8_lossy(&clean.stdout));
}
