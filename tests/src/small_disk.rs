//! A disk of a few megabytes over a data folder, seen by one process only: a tmpfs in a mount namespace of its own, so that it can really be full.
//!
//! Nobody needs to be root: a user namespace gives the right to mount. Where the system forbids those, root mounts without one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::tools::program;

/// What is mounted, and when it is there. It ends with its standard input: with the test.
const HOLD: &str = "set -e; mkdir -p \"$0.small\"; mount -t tmpfs -o size=$1,mode=0700 small \"$0.small\"; cp -a \"$0/.\" \"$0.small\"; \
    mount --bind \"$0.small\" \"$0\"; echo mounted; exec cat";

/// The disk. Dropping it takes it away.
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
    enter: &'static [&'static str],
}

impl SmallDisk {
    /// A disk of so many bytes over a folder, with what is in the folder.
    ///
    /// # Panics
    /// When the system lets neither this user nor root mount anything.
    #[must_use]
    #[expect(clippy::panic, reason = "a test whose preparation failed must fail")]
    pub fn over(folder: &Path, bytes: u64) -> Self {
        let ways: [(&[&str], &'static [&'static str]); 2] =
            [(&["--user", "--map-root-user", "--mount"], &["--user", "--preserve-credentials", "--mount"]), (&["--mount"], &["--mount"])];
        for (namespaces, enter) in ways {
            if let Some(holder) = hold(namespaces, folder, bytes) {
                return Self { holder, folder: folder.to_owned(), enter };
            }
        }
        panic!("no file system can be mounted here: allow user namespaces, or run the tests as root with the right to mount");
    }

    /// The same command, in a process that sees the disk.
    #[must_use]
    pub fn command(&self, inner: &Command) -> Command {
        let mut command = program("nsenter");
        command.arg("--target").arg(self.holder.id().to_string()).args(self.enter).arg("--");
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    /// Fills it but for so many bytes, a whole number of pages.
    ///
    /// # Panics
    /// When it does not become full.
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub fn fill(&self, leaving: u64) {
        let mut ballast = File::create(self.ballast()).expect("a file on the disk");
        let page = [0u8; 4096];
        let full = loop {
            if let Err(cause) = ballast.write_all(&page) {
                break cause;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        let bytes = ballast.metadata().expect("its size").len();
        ballast.set_len(bytes.saturating_sub(leaving)).expect("it can be made shorter");
    }

    /// Takes away what fills it.
    ///
    /// # Panics
    /// When nothing did.
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inside = self.folder.strip_prefix("/").map(|folder| root.join(folder)).unwrap_or_default();
        inside.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is what is wanted.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// A process that holds the mount; none where these namespaces are not allowed.
#[expect(clippy::expect_used, reason = "a test without its tool must fail")]
fn hold(namespaces: &[&str], folder: &Path, bytes: u64) -> Option<Child> {
    let mut command = program("unshare");
    command.args(namespaces).args(["sh", "-c", HOLD]).arg(folder).arg(bytes.to_string());
    let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare starts");
    let output = holder.stdout.take().expect("its output is a pipe");
    let mounted = BufReader::new(output).lines().next().is_some_and(|line| line.is_ok_and(|line| line == "mounted"));
    if !mounted {
        holder.kill().and_then(|()| holder.wait()).expect("it can be reaped");
        return None;
    }
    Some(holder)
}
