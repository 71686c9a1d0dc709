//! Settings files with the real programs: every mistake at once before anything is touched, and a dump that reads back to itself.

use std::path::Path;

use truc_tests::axis::Axis;
use truc_tests::tools::{run_truc, truc_ok};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_init_wrote_passes_the_check_and_its_dump_reads_back_to_the_same_bytes() {
    let axis = Axis::new();
    for (kind, folder) in [("broker", axis.path("broker")), ("edge", axis.edge_folder("G22"))] {
        let said = truc_ok(&[kind, "run", "--data", text(&folder), "--check-config"]);
        assert!(said.contains("no mistake; keys checked"), "{said}");
        let first = truc_ok(&[kind, "run", "--data", text(&folder), "--dump-config", "--log-json"]);
        assert!(first.contains("\nformat = \"json\"\n"), "a flag overrules the file: {first}");
        // Elsewhere: what is dumped names every path in full.
        let copy = axis.path("copy.toml");
        std::fs::write(&copy, &first).unwrap();
        assert_eq!(truc_ok(&[kind, "run", "--config", text(&copy), "--dump-config"]), first);
    }
}

#[test]
fn every_mistake_is_told_with_its_line_before_anything_is_touched() {
    let axis = Axis::new();
    let folder = axis.edge_folder("G22");
    let file = folder.join("edge.toml");
    std::fs::write(
        &file,
        "agency = \"không phải mã\"\nlisten = \"0.0.0.0\"\nbroker = \"http://x:1\"\nlisen = 1\n[log]\nlevel = \"loud\"\n",
    )
    .unwrap();
    let checked = run_truc(&["edge", "run", "--data", text(&folder), "--check-config"]);
    assert_eq!(checked.status.code(), Some(5));
    let said = String::from_utf8(checked.stdout).unwrap();
    for (line, what) in said.lines().zip([
        ":1:10: agency: is \"không phải mã\"",
        ":2:10: listen: is \"0.0.0.0\"",
        ":3:10: broker: is \"http://x:1\", expected https://host:port",
        ":4:1: lisen: there is no such setting; did you mean listen?",
        ":6:9: log.level: is \"loud\", expected \"error\"",
    ]) {
        assert!(line.starts_with(text(&file)) && line.contains(what), "{line} lacks {what}");
    }
    assert_eq!(said.lines().count(), 5);
    let json = run_truc(&["edge", "run", "--data", text(&folder), "--check-config", "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(object["mistakes"][3]["key"], "lisen");
    assert_eq!(object["mistakes"][3]["line"], 4);
    // The same at a start, which must leave no trace.
    let started = run_truc(&["edge", "run", "--data", text(&folder)]);
    assert_eq!(started.status.code(), Some(5));
    assert!(String::from_utf8(started.stderr).unwrap().contains("did you mean listen?"));
    assert!(!folder.join("journal").exists(), "nothing may be touched before the settings are right");
}

#[test]
fn a_check_opens_the_keys_too() {
    let axis = Axis::new();
    let folder = axis.path("broker");
    let wrong = axis.path("wrong-password");
    std::fs::write(&wrong, "another one\n").unwrap();
    let checked = run_truc(&["broker", "run", "--data", text(&folder), "--check-config", "--password-file", text(&wrong)]);
    assert_eq!(checked.status.code(), Some(5));
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("keys/log.key.pem: the password is wrong"), "{said}");
}
