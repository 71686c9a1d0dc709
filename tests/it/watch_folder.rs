//! The watch folder with real processes: what is dropped is sent once, what arrives is picked up whole, through kills of the edge.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use truc_tests::axis::Axis;
use truc_tests::daemon::Daemon;
use truc_tests::dms::PATIENCE;
use truc_tests::tools::{root, run_truc};
use truc_transport::clock;

/// From G12 to H53, with one attachment.
fn sample(number: usize) -> String {
    let reply = fs::read_to_string(root().join("testdata/edxml/made/04-reply.edxml")).unwrap();
    // The sample goes from H53 to G12; the first of each code is the one in From and To.
    reply.replacen("<edXML:CodeNumber>", &format!("<edXML:CodeNumber>{number}"), 1)
}

fn watching(axis: &Axis, agency: &str) -> Command {
    let mut command = axis.edge_command(&axis.edge_folder(agency));
    command.arg("--watch").arg(folder(axis, agency));
    command.args(["--watch-secrecy", "none", "--watch-poll-millis", "50", "--watch-settle-millis", "100"]);
    command
}

fn start(axis: &Axis, agency: &str) -> Daemon {
    Daemon::start(watching(axis, agency), &axis.path(&format!("edge-{agency}.log")))
}

fn folder(axis: &Axis, agency: &str) -> PathBuf {
    axis.path(&format!("watch-{agency}"))
}

/// Puts a whole file into `in/`, as a careful system does.
fn drop_in(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join("in").join(format!("{name}.part")), bytes).unwrap();
    fs::rename(folder.join("in").join(format!("{name}.part")), folder.join("in").join(name)).unwrap();
}

/// The visible files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Waits until a question about files is answered yes: nothing tells of them but a look.
fn until(what: &str, axis: &Axis, mut holds: impl FnMut() -> bool) {
    let begun = clock::now();
    while !holds() {
        let waited = Duration::from_millis(clock::now().millis_since(begun));
        assert!(waited < PATIENCE, "{what} did not come about; {}\n{}", axis.log("edge-H53"), axis.log("edge-G12"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn note(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_dropped_file_is_sent_and_arrives_byte_for_byte_and_statuses_come_back() {
    let mut axis = Axis::new();
    axis.start_broker();
    let (sender, recipient) = (start(&axis, "H53"), start(&axis, "G12"));
    let (from, to) = (folder(&axis, "H53"), folder(&axis, "G12"));
    let file = sample(1);
    drop_in(&from, "công văn.edxml", file.as_bytes());
    until("the document in out/", &axis, || names(&to.join("out")).len() == 1);
    let handed_in = note(&from.join("done/công văn.edxml.json"));
    let message_id = handed_in["message_id"].as_str().unwrap();
    assert_eq!(names(&to.join("out")), [format!("{message_id}.G12.edxml")]);
    assert!(fs::read(to.join(format!("out/{message_id}.G12.edxml"))).unwrap() == file.as_bytes());
    assert_eq!(names(&from.join("done")), ["công văn.edxml", "công văn.edxml.json"]);
    assert!(names(&from.join("in")).is_empty());

    // Dropped again, it is the same document; under the same name, other bytes are another.
    drop_in(&from, "công văn.edxml", file.as_bytes());
    until("the second move", &axis, || names(&from.join("in")).is_empty());
    assert_eq!(note(&from.join(format!("done/công văn.{message_id}.edxml.json")))["message_id"], message_id);
    drop_in(&from, "công văn.edxml", sample(2).as_bytes());
    until("the second document", &axis, || names(&to.join("out")).len() == 2);

    // Status 01 by machine, 03 by the clerk.
    let status = |code: &str| from.join(format!("out/{message_id}.G12.status-{code}.edxml"));
    until("status 01", &axis, || status("01").exists());
    let edge = format!("http://{}", recipient.address());
    let acknowledged = run_truc(&["inbox", "ack", message_id, "--recipient", "G12", "--arrival-number", "152", "--edge", &edge]);
    assert!(acknowledged.status.success(), "{}", String::from_utf8_lossy(&acknowledged.stderr));
    until("status 03", &axis, || status("03").exists());
    let packet = fs::read_to_string(status("03")).unwrap();
    assert!(packet.contains("<edXML:StatusCode>03</edXML:StatusCode>") && packet.contains("152"), "{packet}");

    // Evidence of a document that came as edXML verifies offline.
    let (evidence, edge) = (axis.path("evidence"), format!("http://{}", sender.address()));
    let taken = run_truc(&["evidence", message_id, "--recipient", "G12", "--edge", &edge, evidence.to_str().unwrap()]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    let verified = run_truc(&["verify", evidence.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(evidence.join("message.edxml").exists() && evidence.join("attachments/00").exists());
}

#[test]
fn a_bad_file_fails_with_its_diagnostics_delays_no_other_and_a_growing_one_is_taken_once() {
    let mut axis = Axis::new();
    axis.start_broker();
    let (_sender, _recipient) = (start(&axis, "H53"), start(&axis, "G12"));
    let (from, to) = (folder(&axis, "H53"), folder(&axis, "G12"));
    let (half, rest) = {
        let file = sample(3);
        let at = file.len() / 2;
        (file[..at].to_owned(), file[at..].to_owned())
    };
    fs::write(from.join("in/growing.edxml"), &half).unwrap();
    fs::write(axis.path("secret.edxml"), sample(9)).unwrap();
    std::os::unix::fs::symlink(axis.path("secret.edxml"), from.join("in/link.edxml")).unwrap();
    drop_in(&from, "broken.edxml", sample(4).replace("<edXML:OrganId>G12<", "<edXML:OrganId>không phải mã<").as_bytes());
    drop_in(&from, "recall.edxml", &fs::read(root().join("testdata/edxml/made/03-recall.edxml")).unwrap());
    drop_in(&from, "good.edxml", sample(5).as_bytes());
    until("the good one", &axis, || names(&to.join("out")).len() == 1);
    until("the bad ones", &axis, || names(&from.join("failed")).len() == 6);
    let told = note(&from.join("failed/broken.edxml.diagnostics.json"));
    assert!(told["diagnostics"].as_array().unwrap().iter().any(|found| found["rule"] == "edxml.code_invalid"), "{told}");
    let text = fs::read_to_string(from.join("failed/broken.edxml.diagnostics.txt")).unwrap();
    assert!(text.contains("KHÔNG được gửi") && text.contains("NOT sent") && text.contains("dòng"), "{text}");
    assert_eq!(note(&from.join("failed/recall.edxml.diagnostics.json"))["reason"], "edxml.unsupported_type");

    // Half of it has been there for many scans; now it is whole.
    assert_eq!(names(&from.join("in")), ["growing.edxml", "link.edxml"]);
    fs::write(from.join("in/growing.edxml"), half + &rest).unwrap();
    until("the grown one", &axis, || names(&to.join("out")).len() == 2);
    until("its move", &axis, || names(&from.join("in")) == ["link.edxml"]);
    assert_eq!(names(&from.join("done")), ["good.edxml", "good.edxml.json", "growing.edxml", "growing.edxml.json"]);
}

#[test]
fn a_file_that_the_axis_refused_is_not_called_done_when_it_is_dropped_again() {
    let mut axis = Axis::new();
    // The edge has a broker's address and has never met it: it knows no directory, and takes what is well-formed.
    axis.start_broker();
    axis.kill_broker();
    let _sender = start(&axis, "H53");
    let from = folder(&axis, "H53");
    let file = sample(4).replace("<edXML:OrganId>G12<", "<edXML:OrganId>G12.99<");
    drop_in(&from, "a.edxml", file.as_bytes());
    until("the file in done/", &axis, || names(&from.join("done")).len() == 2);
    axis.start_broker();
    until("the refusal in out/", &axis, || names(&from.join("out")).iter().any(|name| name.ends_with(".refused-by-axis.json")));
    drop_in(&from, "a.edxml", file.as_bytes());
    until("the file in failed/", &axis, || names(&from.join("failed")).len() == 3);
    let failed = note(&from.join("failed/a.edxml.diagnostics.json"));
    let message_id = note(&from.join("done/a.edxml.json"))["message_id"].as_str().unwrap().to_owned();
    assert_eq!(failed["reason"], "reference.conflict", "{failed}");
    assert!(failed["message"].as_str().unwrap().contains(&message_id), "{failed}");
}

#[test]
fn thirty_files_through_ten_kills_of_either_edge_arrive_once_each() {
    let mut axis = Axis::new();
    axis.start_broker();
    let mut edges: BTreeMap<&str, Daemon> = ["H53", "G12"].map(|agency| (agency, start(&axis, agency))).into();
    let (from, to) = (folder(&axis, "H53"), folder(&axis, "G12"));
    let files: Vec<String> = (100..130).map(sample).collect();
    for round in 0..10usize {
        for (number, file) in files.iter().enumerate().skip(round * 3).take(3) {
            drop_in(&from, &format!("{number:02}.edxml"), file.as_bytes());
        }
        // Somewhere between settling, storing, recording, noting, moving, and writing out.
        let moment = u64::from_le_bytes(clock::random()) % 250_000;
        std::thread::sleep(Duration::from_micros(moment));
        let agency = ["H53", "G12", "H53"][round % 3];
        edges.remove(agency).unwrap().kill();
        edges.insert(agency, start(&axis, agency));
    }
    until("all in done/", &axis, || names(&from.join("in")).is_empty());
    until("all in out/", &axis, || names(&to.join("out")).len() >= files.len());
    let ids: Vec<String> = (0..files.len())
        .map(|number| note(&from.join(format!("done/{number:02}.edxml.json")))["message_id"].as_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<String> = ids.iter().map(|id| format!("{id}.G12.edxml")).collect();
    expected.sort();
    assert_eq!(names(&to.join("out")), expected, "each once, and nothing else");
    for (id, file) in ids.iter().zip(&files) {
        assert!(fs::read(to.join(format!("out/{id}.G12.edxml"))).unwrap() == file.as_bytes(), "{id} has other bytes");
    }
    assert!(names(&from.join("failed")).is_empty());
    // The inbox agrees: nothing was sent under a second id.
    let inbox = run_truc(&["inbox", "list", "--json", "--edge", &format!("http://{}", edges["G12"].address())]);
    assert_eq!(String::from_utf8_lossy(&inbox.stdout).lines().count(), files.len());
}
