//! A daemon of the product as a child process: started until it says where it listens, killed or ended.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::tools::PASSWORD;

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Daemon {
    /// Starts a command and waits for its line `listening on ADDRESS`. What it logs goes to the end of `log`.
    ///
    /// # Panics
    /// When it ends before that line; with what it logged.
    #[must_use]
    pub fn start(command: Command, log: &Path) -> Self {
        Self::start_host(command, log, 1).0
    }

    /// The same for a process with several edges, each with its own line `AGENCY listening on ADDRESS`; their agencies and addresses.
    ///
    /// # Panics
    /// When it ends before the last of them; with what it logged.
    #[must_use]
    #[expect(clippy::expect_used, clippy::panic, reason = "a test whose preparation failed must fail")]
    pub fn start_host(mut command: Command, log: &Path, edges: usize) -> (Self, Vec<(String, SocketAddr)>) {
        let mut file = File::options().create(true).append(true).open(log).expect("the log can be written");
        let from = file.seek(SeekFrom::End(0)).expect("the log can be read");
        let child = command.env("TRUC_KEY_PASSWORD", PASSWORD).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn();
        let mut child = child.expect("the daemon starts");
        let stdout = child.stdout.take().expect("its output is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let address = |line: String| {
            let (agency, address) = line.split_once("listening on ")?;
            Some((agency.trim().to_owned(), address.trim().parse().expect("an address")))
        };
        let ready: Vec<(String, SocketAddr)> = lines.by_ref().map_while(Result::ok).filter_map(address).take(edges).collect();
        let Some((_, address)) = ready.last().filter(|_| ready.len() == edges).cloned() else {
            let status = child.wait().expect("it has ended");
            panic!("the daemon ended with {status} before it listened: {}", log_from(log, from));
        };
        // A daemon must never wait for somebody who reads what it prints.
        std::thread::spawn(move || lines.for_each(drop));
        (Self { child, address, log: log.to_owned() }, ready)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        log_from(&self.log, 0)
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// When it cannot be sent.
    #[expect(clippy::expect_used, reason = "a test that cannot signal must fail")]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "SIG{name} was not sent to {}", self.pid());
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When the process cannot be reaped.
    #[expect(clippy::expect_used, reason = "a test that cannot kill must fail")]
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be reaped");
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn terminate(self) -> ExitStatus {
        let pid = self.pid().to_string();
        self.terminate_process(&pid)
    }

    /// SIGTERM to the one process that this one runs, and waits for the end of this one: a tracer does not listen to signals itself.
    ///
    /// # Panics
    /// When there is no such process, or the signal cannot be sent.
    #[expect(clippy::expect_used, reason = "a test that cannot end its daemon must fail")]
    pub fn terminate_traced(self) -> ExitStatus {
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children", pid = self.pid())).expect("its children are known");
        self.terminate_process(children.trim())
    }

    #[expect(clippy::expect_used, reason = "a test that cannot end its daemon must fail")]
    fn terminate_process(mut self, pid: &str) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", pid]).status().expect("kill runs");
        assert!(sent.success(), "SIGTERM was not sent to {pid}");
        self.child.wait().expect("it can be reaped")
    }

    /// Waits for the end; for daemons that end by themselves.
    ///
    /// # Panics
    /// When the process cannot be reaped.
    #[expect(clippy::expect_used, reason = "a test that cannot wait must fail")]
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("it can be reaped")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log_from(log: &Path, from: u64) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(log)
        && file.seek(SeekFrom::Start(from)).is_ok()
        && file.read_to_string(&mut text).is_err()
    {
        text.push_str("(the log is not UTF-8)");
    }
    text
}
