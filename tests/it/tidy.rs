//! The house: which crate may depend on which, and that every source file says what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use truc_tests::tools::root;

/// Normal dependencies among our own crates: exactly these, no fewer and no more.
const ALLOWED: &[(&str, &[&str])] = &[
    ("truc-types", &[]),
    ("truc-signing", &["truc-types"]),
    ("truc-ledger", &["truc-types"]),
    ("truc-core", &["truc-types", "truc-signing"]),
    ("truc-directory", &["truc-types", "truc-signing", "truc-core", "truc-proto"]),
    ("truc-journal", &["truc-types", "truc-ledger"]),
    ("truc-views", &["truc-types"]),
    ("truc-blobs", &["truc-types"]),
    ("truc-edxml", &["truc-types"]),
    ("truc-proto", &[]),
    ("truc-settings", &[]),
    ("truc-transport", &["truc-types", "truc-signing", "truc-proto", "truc-settings"]),
    (
        "truc-broker",
        &[
            "truc-types",
            "truc-signing",
            "truc-ledger",
            "truc-core",
            "truc-directory",
            "truc-journal",
            "truc-views",
            "truc-blobs",
            "truc-proto",
            "truc-settings",
            "truc-transport",
        ],
    ),
    (
        "truc-edge",
        &[
            "truc-types",
            "truc-signing",
            "truc-ledger",
            "truc-core",
            "truc-directory",
            "truc-journal",
            "truc-views",
            "truc-blobs",
            "truc-edxml",
            "truc-proto",
            "truc-settings",
            "truc-transport",
        ],
    ),
];

/// What the pure crates must not even reach.
const IMPURE: &[&str] = &["tokio", "tonic", "prost", "sled"];
const PURE: &[&str] = &["types", "signing", "ledger", "core", "edxml"];

fn metadata() -> serde_json::Value {
    let output =
        Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--no-deps", "--locked"]).current_dir(root()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn normal_dependencies(package: &serde_json::Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap();
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    let metadata = metadata();
    let packages: BTreeMap<_, _> =
        metadata["packages"].as_array().unwrap().iter().map(|package| (package["name"].as_str().unwrap(), package)).collect();
    for (name, allowed) in ALLOWED {
        let found: BTreeSet<String> = normal_dependencies(packages[name]).into_iter().filter(|found| found.starts_with("truc")).collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, allowed, "{name}");
    }
    let known: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| *name).chain(["truc", "truc-tests", "truc-benches", "truc-fuzz"]).collect();
    assert_eq!(packages.keys().copied().collect::<BTreeSet<_>>(), known, "a member without a line in the table");
}

#[test]
fn pure_crates_reach_no_io_and_read_no_clock() {
    for name in PURE {
        let package = if *name == "types" { "truc-types".to_owned() } else { format!("truc-{name}") };
        let arguments = ["tree", "-p", &package, "-e", "normal", "--prefix", "none", "--locked"];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success());
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(tree.lines().any(|line| line.starts_with(&package)), "cargo tree did not list {package}");
        for line in tree.lines() {
            let dependency = line.split(' ').next().unwrap();
            assert!(!IMPURE.contains(&dependency), "{package} reaches {dependency}");
        }
        for (path, text) in sources(&root().join("crates").join(name).join("src")) {
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in ["SystemTime", "Instant::now", "std::fs", "std::net", "std::env", "std::thread", "async fn", ".await", "getrandom"]
            {
                assert!(!code.contains(word), "{path} has {word}");
            }
        }
    }
}

#[test]
fn sled_batches_and_error_details_stand_in_one_place_each() {
    let only_in = |word: &str, place: &str| {
        let users: Vec<_> = all_sources().into_iter().filter(|(_, text)| text.contains(word)).map(|(path, _)| path).collect();
        assert!(!users.is_empty() || place.is_empty(), "nobody uses {word}: the test looks for the wrong word");
        assert!(users.iter().all(|path| path.contains(place) && !place.is_empty()), "{word} is used by {users:?}");
    };
    // Written apart, or this file would be found too.
    only_in(concat!("sled", "::"), "crates/views/");
    only_in(concat!("ErrorDetails::", "with_error_info"), "crates/transport/src/status.rs");
    only_in(concat!("verify", "_batch("), "");
    // After the first one every read of every view of the process takes a lock: crates/views/src/redo.rs.
    only_in(concat!("apply", "_batch("), "");
    only_in(concat!(".trans", "action("), "");
    // Accepts more than the strict one, unless what it leaves out is looked at beside it.
    only_in(concat!("multipart", "_verify"), "crates/signing/src/seal.rs");
    only_in(concat!("#[", "ignore"), "");
}

#[test]
fn every_source_file_says_what_is_in_it() {
    let sources = all_sources();
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    for (path, text) in &sources {
        assert!(text.starts_with("//!"), "{path} does not begin with //!");
        assert!(text.lines().count() <= 800, "{path} has more than 800 lines");
    }
}

#[test]
fn every_crate_stands_in_the_code_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not mention crates/{name}");
    }
}

fn all_sources() -> Vec<(String, String)> {
    ["crates", "tests", "benches"].iter().flat_map(|folder| sources(&root().join(folder))).collect()
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}
