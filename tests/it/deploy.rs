//! What `deploy/` hands out: units that systemd reads and finds well closed, and example settings that are those of this release.

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use truc_tests::axis::Axis;
use truc_tests::tools::{program, root, truc, truc_ok};

/// What `systemd-analyze security` may give a unit: 0 is closed, 10 is open; a unit without any setting has 9.6.
const EXPOSURE_MAX: f64 = 2.0;

fn units() -> Vec<(String, String)> {
    ["truc-broker.service", "truc-edge.service", "truc-edge@.service"]
        .map(|name| (name.to_owned(), std::fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap()))
        .to_vec()
}

#[test]
fn systemd_reads_the_units_and_finds_them_closed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in units() {
        // An instance of the template, and a program that exists on this machine.
        let file = folder.path().join(name.replace("@.", "@G22."));
        let own = truc();
        let text = ["/usr/bin/truc-broker", "/usr/bin/truc-edge"].iter().fold(text, |text, path| text.replace(path, own.to_str().unwrap()));
        std::fs::write(&file, text).unwrap();
        let verified = program("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains(&name), "{name}: {said}");
        let rated = program("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&rated.stdout).into_owned();
        let last = said.lines().rev().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{name}: {said}"));
        let exposure: f64 = last.split("service: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        println!("{}", last.trim());
        assert!(exposure <= EXPOSURE_MAX, "{name} has an exposure of {exposure}");
    }
}

#[test]
fn every_unit_says_ready_lives_under_a_watchdog_and_reads_its_password_from_a_credential() {
    for (name, text) in units() {
        for line in
            ["Type=notify", "WatchdogSec=30", "Restart=on-failure", "ProtectSystem=strict", "NoNewPrivileges=yes", "CapabilityBoundingSet="]
        {
            assert!(text.lines().any(|found| found == line), "{name} lacks {line}");
        }
        assert!(
            text.contains("LoadCredential=key-password:/etc/truc/")
                && text.contains("--password-file ${CREDENTIALS_DIRECTORY}/key-password")
        );
    }
}

/// The example is what `init` writes, for the folders of the units; and it passes the check of the program.
fn example(kind: &str, written: &Path, data: &str, values: &[(&str, &str)]) {
    let text = std::fs::read_to_string(written.join(format!("{kind}.toml"))).unwrap();
    let origin = |text: &str| text.lines().find(|line| line.starts_with("log_origin")).unwrap_or_default().to_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, value) in [("data", data)].iter().chain(values) {
        let of_key = |line: &&mut String| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        *lines.iter_mut().find(of_key).unwrap() = format!("{key} = \"{value}\"");
    }
    let example: PathBuf = root().join(format!("deploy/{kind}.toml"));
    expect_file![example.clone()].assert_eq(&(lines.join("\n") + "\n"));
    let here = std::fs::read_to_string(&example).unwrap().replace(&format!("\"{data}\""), &format!("{written:?}"));
    // The keys of this axis belong to its own log, whose name has the year.
    let here = if origin(&text).is_empty() { here } else { here.replace(&origin(&here), &origin(&text)) };
    let copy = written.join("example.toml");
    std::fs::write(&copy, here).unwrap();
    let said = truc_ok(&[kind, "run", "--config", copy.to_str().unwrap(), "--check-config"]);
    assert!(said.contains("no mistake; keys checked"), "{said}");
}

#[test]
fn the_example_settings_are_those_of_this_release() {
    let axis = Axis::new();
    example(
        "broker",
        &axis.path("broker"),
        "/var/lib/truc-broker",
        &[("listen", "0.0.0.0:7443"), ("log_origin", "truc.example/axis/2026")],
    );
    let edge = [("listen", "127.0.0.1:7522"), ("broker", "https://broker.example:7443")];
    example("edge", &axis.edge_folder("G22"), "/var/lib/truc-edge", &edge);
}
