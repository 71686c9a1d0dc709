//! Backups of running nodes: whole, incremental, verified, restored; and what the edges say of a broker that lost what it had acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use truc_proto::edge::v1::Stage;
use truc_tests::axis::Axis;
use truc_tests::dms::{Dms, Letter, settled};
use truc_tests::tools::{run_truc, truc_ok};
use truc_types::Reason;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn backup(data: &Path, into: &Path) -> Value {
    serde_json::from_str(&truc_ok(&["admin", "backup", text(data), "--into", text(into), "--json"])).unwrap()
}

fn restore(from: &Path, into: &Path) {
    truc_ok(&["admin", "restore", "--from", text(from), "--into", text(into)]);
}

fn drill(from: &Path) -> String {
    truc_ok(&["admin", "drill", "--from", text(from)])
}

async fn accepted(dms: &Dms, reference: &str, to: &str) -> (String, u64) {
    let message_id = dms.send(&Letter::new(reference, &[to])).await.unwrap();
    let status = dms.watch(&message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
    (message_id, status.leaf)
}

/// Sends a letter from G22 to G12 and sees it registered.
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

fn segments(journal: &Path) -> Vec<u8> {
    let mut paths: Vec<PathBuf> = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_of(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_everything_that_was_acknowledged_before_it_began() {
    let mut axis = Axis::running();
    let sender = axis.dms("G22");
    let mut leaf_last = 0;
    for number in 0..20 {
        leaf_last = accepted(&sender, &format!("before-{number}"), "G12").await.1;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (sender, stop) = (sender.clone(), stop.clone());
        tokio::spawn(async move {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                sender.send(&Letter::new(&format!("during-{sent}"), &["G12", "H53"])).await.unwrap();
                sent += 1;
            }
            sent
        })
    };
    let (data, into) = (axis.path("broker"), axis.path("backup"));
    let first = backup(&data, &into);
    let second = backup(&data, &into);
    stop.store(true, Ordering::Relaxed);
    assert!(load.await.unwrap() > 0, "nothing was sent meanwhile");
    assert!(first["tree_size"].as_u64().unwrap() > leaf_last, "{first}");
    assert!(second["position"].as_u64() > first["position"].as_u64(), "the journal grew between the two: {first} {second}");
    assert!(second["files_copied"].as_u64() < second["files"].as_u64(), "the second copied everything again: {second}");
    assert!(drill(&into).contains("brings the broker back"));

    let restored = axis.path("restored");
    restore(&into, &restored);
    let (whole, part) = (segments(&data.join("journal")), segments(&restored.join("journal")));
    assert!(whole.starts_with(&part), "the restored journal is no beginning of the original");
    assert!(restored.join("views").symlink_metadata().is_err(), "views were copied");
    assert!(!files_of(&into).iter().any(|file| fs::read(file).unwrap().starts_with(b"-----BEGIN PRIVATE KEY")));
    // It starts, and has what was acknowledged: the drill replayed it, the broker serves it.
    axis.kill_broker();
    let mut command = std::process::Command::new(truc_tests::tools::truc());
    command.args(["broker", "run", "--listen", "127.0.0.1:0", "--data"]).arg(&restored);
    let broker = truc_tests::daemon::Daemon::start(command, &axis.path("restored.log"));
    assert!(broker.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_go_on_with_a_restored_broker_that_lost_nothing() {
    let mut axis = Axis::running();
    round_trip(&axis, "before").await;
    // Waits in the queue, with its attachment, for an edge that is away.
    axis.kill_edge("H53");
    let (waiting, _) = accepted(&axis.dms("G22"), "waits", "H53").await;
    let (data, into) = (axis.path("broker"), axis.path("backup"));
    backup(&data, &into);
    axis.kill_broker();
    fs::rename(&data, axis.path("broker-lost")).unwrap();
    restore(&into, &data);
    axis.start_broker();
    axis.start_edge("H53");
    let arrived = axis.dms("H53").receive(None, 1).await.unwrap().remove(0).document.unwrap();
    assert_eq!(arrived.message_id, waiting);
    assert_eq!(axis.dms("H53").attachment(&waiting, 0, 0).await.unwrap(), Letter::new("waits", &["H53"]).attachment);
    round_trip(&axis, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_refuse_a_broker_that_lost_acknowledged_entries_until_the_newer_journal_is_back() {
    let mut axis = Axis::running();
    round_trip(&axis, "first").await;
    let (data, into) = (axis.path("broker"), axis.path("backup"));
    backup(&data, &into);
    round_trip(&axis, "lost").await;
    assert!(axis.take_broker().unwrap().terminate().success());
    let lost = axis.path("broker-lost");
    fs::rename(&data, &lost).unwrap();
    let said = truc_ok(&["admin", "restore", "--from", text(&into), "--into", text(&data)]);
    assert!(said.contains(Reason::LogFork.code()) && said.contains("KNOWS NOTHING"), "{said}");
    axis.start_broker();
    assert!(!axis.take_edge("G22").unwrap().wait().success());
    assert!(axis.log("edge-G22").contains(Reason::LogFork.code()), "{}", axis.log("edge-G22"));

    // The way out of docs/backup.md: the newer folder goes back in place, and everybody goes on.
    axis.kill_broker();
    fs::rename(&data, axis.path("broker-too-old")).unwrap();
    fs::rename(&lost, &data).unwrap();
    axis.start_broker();
    for agency in ["G22", "G12"] {
        axis.kill_edge(agency);
        axis.start_edge(agency);
    }
    round_trip(&axis, "again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_comes_back_from_its_backup_under_a_new_term() {
    let mut axis = Axis::running();
    round_trip(&axis, "before").await;
    let (data, into) = (axis.edge_folder("G22"), axis.path("backup"));
    backup(&data, &into);
    assert!(drill(&into).contains("brings the edge back"));
    // After the backup, so the restored edge knows nothing of it; its number must not be used a second time.
    let (unknown, _) = accepted(&axis.dms("G22"), "after-the-backup", "G12").await;
    // Its receipts are confirmed to the axis, which keeps them no more; the restored edge needs them all the same.
    round_trip(&axis, "confirmed").await;
    axis.kill_edge("G22");
    fs::rename(&data, axis.path("edge-lost")).unwrap();
    restore(&into, &data);
    axis.start_edge("G22");
    round_trip(&axis, "after").await;
    // The DMS sends again what the edge forgot: another message, because the id is gone with the folder.
    let (again, _) = accepted(&axis.dms("G22"), "after-the-backup", "G12").await;
    assert_ne!(again, unknown);
}

#[test]
fn one_damaged_byte_in_any_file_of_a_backup_is_refused_by_name() {
    let axis = Axis::new();
    let (data, into) = (axis.path("broker"), axis.path("backup"));
    backup(&data, &into);
    let files: Vec<_> = files_of(&into).into_iter().filter(|file| file.file_name().is_some_and(|name| name != "lock")).collect();
    assert!(files.len() >= 7, "settings, keys, trust, segment, mark, manifest: {files:?}");
    let target = axis.path("restored");
    for (number, file) in files.iter().enumerate() {
        let whole = fs::read(file).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(file, &damaged).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let verbs =
            [vec!["admin", "restore", "--from", text(&into), "--into", text(&target)], vec!["admin", "drill", "--from", text(&into)]];
        // Both verbs read through the same code; each file once through one of them, the manifest through both.
        for verb in verbs.iter().skip(number % 2).take(if name == "manifest.json" { 2 } else { 1 }) {
            let refused = run_truc(verb);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && said.contains(Reason::BackupDamaged.code()) && said.contains(name), "{name}: {said}");
        }
        assert!(!target.exists(), "a folder was left behind");
        fs::write(file, &whole).unwrap();
    }
    restore(&into, &target);
    let again = run_truc(&["admin", "restore", "--from", text(&into), "--into", text(&target)]);
    assert!(!again.status.success(), "a folder that is not empty was overwritten");
}

#[test]
fn a_backup_folder_of_something_else_is_not_touched() {
    let (one, other) = (Axis::new(), Axis::new());
    let into = one.path("backup");
    backup(&one.path("broker"), &into);
    // Another axis, and an edge.
    for data in [other.path("broker"), one.edge_folder("G22")] {
        let refused = run_truc(&["admin", "backup", text(&data), "--into", text(&into)]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(Reason::BackupForeign.code()), "{said}");
    }
    assert!(drill(&into).contains("brings the broker back"));
    let strange = one.path("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("letter.pdf"), "x").unwrap();
    let refused = run_truc(&["admin", "backup", text(&one.path("broker")), "--into", text(&strange)]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("letter.pdf"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_backup_finds_bytes_that_changed_on_its_disk_and_copies_them_again() {
    let axis = Axis::running();
    round_trip(&axis, "first").await;
    let (data, into) = (axis.path("broker"), axis.path("backup"));
    assert_eq!(backup(&data, &into)["damaged_in_backup"], serde_json::json!([]));
    // One byte of the attachment, which never changes and which no later backup would copy again; and a file that is gone.
    let attachment = Letter::new("first", &["G12"]).attachment;
    let mut kept = files_of(&into.join("files"));
    kept.sort();
    let rotten = kept.iter().find(|file| fs::read(file).unwrap() == attachment).unwrap();
    let mut bytes = attachment.clone();
    bytes[0] ^= 1;
    fs::write(rotten, &bytes).unwrap();
    // One that stands still: the end of the journal and its mark are other files at the next backup.
    let authority = fs::read(data.join("trust/ca.pem")).unwrap();
    let lost = kept.iter().find(|file| fs::read(file).unwrap() == authority).unwrap();
    fs::remove_file(lost).unwrap();

    let command = ["admin", "backup", text(&data), "--into", text(&into), "--json"];
    let trusting = run_truc(&[&command[..], &["--trust-copies"]].concat());
    assert_eq!(trusting.status.code(), Some(0));
    assert_eq!(fs::read(rotten).unwrap(), bytes, "only lengths were looked at");
    // What was missing is there again: a length can be seen without reading.
    fs::remove_file(lost).unwrap();
    let again = run_truc(&command);
    let told: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(told["damaged_in_backup"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(again.status.code(), Some(1), "somebody has to look at that disk");
    assert_eq!(fs::read(rotten).unwrap(), attachment);
    assert!(drill(&into).contains("brings the broker back"));
    assert_eq!(run_truc(&command).status.code(), Some(0), "the backup is whole again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_journal_verifies_by_itself_and_is_continued() {
    let axis = Axis::running();
    round_trip(&axis, "first").await;
    let (data, file, key) = (axis.path("broker"), axis.path("log.jsonl"), axis.path("pki/log.vkey"));
    let export = |into: &Path| truc_ok(&["admin", "journal", "export", "--data", text(&data), "--into", text(into), "--json"]);
    // What was committed within the last second may lie above the mark, and is not exported yet.
    let export_all = |into: &Path| {
        let end = truc_ok(&["admin", "journal", "verify", "--data", text(&data), "--json"]);
        let end: Value = serde_json::from_str(end.lines().last().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let told: Value = serde_json::from_str(&export(into)).unwrap();
            if told["next_position"].as_u64().unwrap() >= end["position"].as_u64().unwrap() {
                return told;
            }
            assert!(Instant::now() < deadline, "{told} of {end}");
        }
    };
    let verify = |file: &Path, more: &[&str]| {
        let output = run_truc(&[&["admin", "journal", "verify-export", text(file), "--json"], more].concat());
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let first = export_all(&file);
    assert_eq!(first["signed"], true, "{first}");
    let (code, told) = verify(&file, &["--log-key", text(&key)]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["root"], &told["key_trusted"]), (0, &first["root"], &Value::Bool(true)), "{told}");
    assert_eq!(verify(&file, &[]).0, 0, "the key of the genesis in the file");

    round_trip(&axis, "second").await;
    let second = export_all(&file);
    assert!(
        second["tree_size"].as_u64() >= first["tree_size"].as_u64().map(|before| before + 4),
        "envelope, fact and two receipts: {second}"
    );
    let whole = fs::read_to_string(&file).unwrap();
    assert_eq!(whole.matches("\"checkpoint\"").count(), 1, "the old one was replaced");
    assert_eq!(verify(&file, &["--log-key", text(&key)]).0, 0);
    // The same again: nothing is written, and the signature is there again.
    assert_eq!(serde_json::from_str::<Value>(&export(&file)).unwrap()["written"], 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);

    let lines: Vec<&str> = whole.lines().collect();
    let spoilt = axis.path("spoilt.jsonl");
    let check = |lines: &[&str], expected: i32, why: &str| {
        fs::write(&spoilt, lines.join("\n") + "\n").unwrap();
        assert_eq!(verify(&spoilt, &["--log-key", text(&key)]).0, expected, "{why}");
    };
    check(&lines[..lines.len() - 1], 3, "without the checkpoint");
    check(&lines[1..], 3, "without the first entry");
    check(&[&lines[..3], &lines[4..]].concat(), 1, "with a gap");
    check(&[&lines[..lines.len() - 2], &lines[lines.len() - 1..]].concat(), 1, "without the last entry");
    let changed = lines[3].replacen("\"entry\":\"e", "\"entry\":\"f", 1);
    assert_ne!(changed, lines[3]);
    check(&[&lines[..3], &[changed.as_str()], &lines[4..]].concat(), 1, "with another byte");
}
