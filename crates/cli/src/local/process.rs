//! A daemon of this binary as a child process: started until it says where it listens, ended or killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use truc_transport::daemon::PASSWORD_VARIABLE;
use truc_types::{Reason, Refusal};

use crate::failure::Failure;

/// A daemon that runs. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a daemon and waits for its ready lines, each an address, after the agency where the process has several. What it logs goes to the end of
    /// `log`.
    pub(crate) fn start(
        verb: &[&str],
        data: &[PathBuf],
        log: &Path,
        password: &str,
        listeners: usize,
    ) -> Result<(Self, Vec<(String, SocketAddr)>), Failure> {
        Self::start_program(&own()?, verb, data, log, password, listeners)
    }

    /// The same of another build of this program.
    pub(crate) fn start_program(
        program: &Path,
        verb: &[&str],
        data: &[PathBuf],
        log: &Path,
        password: &str,
        listeners: usize,
    ) -> Result<(Self, Vec<(String, SocketAddr)>), Failure> {
        Self::spawn(command(program, verb, data, password), verb, log, listeners)
    }

    /// As [`Process::start`], for one listener; Ctrl-C at the terminal reaches only who started it, who then ends it in order.
    pub(crate) fn start_apart(verb: &[&str], data: &Path, log: &Path, password: &str) -> Result<(Self, SocketAddr), Failure> {
        let mut command = command(&own()?, verb, &[data.to_owned()], password);
        command.process_group(0);
        let (process, ready) = Self::spawn(command, verb, log, 1)?;
        let address = ready.into_iter().next().map(|(_, address)| address);
        Ok((process, address.ok_or_else(|| Failure::BadAnswer("no address".to_owned()))?))
    }

    fn spawn(mut command: Command, verb: &[&str], log: &Path, listeners: usize) -> Result<(Self, Vec<(String, SocketAddr)>), Failure> {
        let talk = File::options().create(true).append(true).open(log).map_err(|source| Failure::file(log, source))?;
        let program = PathBuf::from(command.get_program());
        let child = command.stderr(talk).spawn().map_err(|source| Failure::file(&program, source))?;
        let mut process = Self { child };
        let mut lines = process.child.stdout.take().map(|stdout| BufReader::new(stdout).lines()).into_iter().flatten();
        let address = |line: String| {
            let (agency, address) = line.split_once("listening on ")?;
            Some((agency.trim().to_owned(), address.parse().ok()?))
        };
        let ready: Vec<_> = lines.by_ref().map_while(Result::ok).filter_map(address).take(listeners).collect();
        if ready.len() < listeners {
            let name = verb.join(" ");
            let status = process.child.wait().map_err(|source| Failure::file(Path::new(&name), source))?;
            // Why stands in its last words.
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let message = format!("`truc {name}` ended with {status} before it listened: {last} (all of it: {})", log.display());
            return Err(Failure::Refused(Refusal::new(Reason::ConfigInvalid, message)));
        }
        // A daemon must never wait for somebody who reads what it prints.
        std::thread::spawn(move || lines.for_each(drop));
        Ok((process, ready))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed.map(drop).map_err(|source| Failure::file(Path::new("truc"), source))
    }

    /// SIGTERM, and waits for the end, which must be an orderly one.
    pub(crate) async fn end(mut self, name: &str, log: &Path) -> Result<(), Failure> {
        // Not on the runtime's thread: it has connections to close, which the processes wait for.
        let ended = tokio::task::spawn_blocking(move || {
            let pid = self.child.id().to_string();
            Command::new("kill").args(["-TERM", &pid]).status().and_then(|_| self.child.wait())
        });
        let failed = |source| Failure::file(Path::new(name), source);
        let status = ended.await.map_err(|cause| failed(std::io::Error::other(cause)))?.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Ended(format!("{name} ended with {status}; its log is {}", log.display())))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// This program.
fn own() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|source| Failure::file(Path::new("truc"), source))
}

fn command(program: &Path, verb: &[&str], data: &[PathBuf], password: &str) -> Command {
    let mut command = Command::new(program);
    command.args(verb).args(data).env(PASSWORD_VARIABLE, password).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
