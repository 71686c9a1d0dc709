//! Where the programs are that the tests start. A missing one fails with what to run; nothing is skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Password of every key file of the tests.
pub const PASSWORD: &str = "for tests only";

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// The `truc` binary of this build: beside the folder of the test binaries.
///
/// # Panics
/// When it was not built: `cargo test --workspace` builds it.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without the product must fail")]
pub fn truc() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.parent().and_then(Path::parent).map(|folder| folder.join("truc")).unwrap_or_default();
    assert!(path.is_file(), "{} is missing: run `cargo test --workspace`, which builds it", path.display());
    path
}

/// The Python of the tests' virtual environment.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn python() -> PathBuf {
    let path = root().join(".test-tools/venv/bin/python");
    assert!(path.exists(), "{} is missing: run scripts/test-tools.sh", path.display());
    path
}

/// The checker of Prometheus' rules.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn promtool() -> Command {
    let path = root().join(".test-tools/prometheus/promtool");
    assert!(path.exists(), "{} is missing: run scripts/test-tools.sh", path.display());
    Command::new(path)
}

/// The library that shows a process another time of the day than the machine has.
///
/// # Panics
/// When it is missing.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its tool must fail")]
pub fn libfaketime() -> PathBuf {
    let folders = ["/usr/lib", "/usr/local/lib"].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let folders = folders.filter_map(Result::ok).map(|entry| entry.path()).chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    let mut files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|file| file.is_file());
    files.next().expect("libfaketime is not installed: run scripts/test-tools.sh")
}

/// The packages of the Node.js example.
///
/// # Panics
/// When they are missing.
#[must_use]
pub fn node_modules() -> PathBuf {
    let path = root().join(".test-tools/node/node_modules");
    assert!(path.exists(), "{} is missing: run scripts/test-tools.sh", path.display());
    path
}

/// A program of the system that a test needs.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn program(name: &str) -> Command {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output().is_ok_and(|output| output.status.success());
    assert!(found, "{name} is not installed: run scripts/test-tools.sh");
    Command::new(name)
}

/// Runs a command of `truc` to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without the product must fail")]
pub fn run_truc(arguments: &[&str]) -> Output {
    Command::new(truc()).args(arguments).env("TRUC_KEY_PASSWORD", PASSWORD).output().expect("truc starts")
}

/// Runs a command of `truc` that must succeed; gives its standard output.
///
/// # Panics
/// When it fails; with what it said.
pub fn truc_ok(arguments: &[&str]) -> String {
    let output = run_truc(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "truc {} ended with {}: {said}", arguments.join(" "), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
