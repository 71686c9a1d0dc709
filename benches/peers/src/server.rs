//! A peer's server process on loopback: started, waited for, asked what it used, stopped by SIGTERM. With a log it runs under strace, which writes
//! down what the server syncs. Not what it is asked: `jetstream.rs`, `quorum.rs`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::failure::Failure;

/// A virtual machine of Erlang with compilers beside it takes half of this.
const START_MAX: Duration = Duration::from_secs(90);
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// `USER_HZ` of proc(5): 100 on every architecture that NATS and Erlang are built for.
const TICKS_A_SECOND: f64 = 100.0;
/// What is written down: the calls that make data durable, and how files were opened (O_SYNC and O_DSYNC sync without a call).
const TRACED_CALLS: &str = "trace=fsync,fdatasync,sync_file_range,msync,openat";

/// A server that runs; stopped when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// The server itself: the child, or the child of strace.
    pid: u32,
}

/// A port on loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::Process)?;
    Ok(listener.local_addr().map_err(Failure::Process)?.port())
}

/// The command, or strace with the command in it.
pub(crate) fn command(program: &Path, strace_log: Option<&Path>) -> Command {
    let Some(log) = strace_log else { return Command::new(program) };
    let mut command = Command::new("strace");
    command.args(["--quiet=all", "--follow-forks", "--seccomp-bpf", "-e", TRACED_CALLS, "-o"]).arg(log).arg("--").arg(program);
    command
}

impl Server {
    /// Starts a server whose output goes to `output`.
    pub(crate) fn start(mut command: Command, output: &Path) -> Result<Self, Failure> {
        let output = std::fs::File::create(output).map_err(|cause| Failure::File { path: output.to_owned(), cause })?;
        let errors = output.try_clone().map_err(Failure::Process)?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().map_err(Failure::Process)?;
        let pid = child.id();
        Ok(Self { child, pid })
    }

    /// Waits until it listens.
    pub(crate) async fn ready(&mut self, name: &'static str, port: u16) -> Result<(), Failure> {
        let give_up = Instant::now() + START_MAX;
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.is_err() {
            if Instant::now() > give_up || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(Failure::NotReady(name));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let traced = std::fs::read_to_string(format!("/proc/{own}/comm")).is_ok_and(|name| name.trim() == "strace");
        if let (true, Some(Ok(pid))) = (traced, children.split(' ').next().map(str::parse)) {
            self.pid = pid;
        }
        Ok(())
    }

    /// Seconds of processor time that it used so far, user and system.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The name before the fields is in parentheses and may hold anything; the two are the 14th and 15th of all.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_A_SECOND
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let asked = process.is_some_and(|process| rustix::process::kill_process(process, rustix::process::Signal::TERM).is_ok());
        // Both servers end at SIGTERM; what could not even be asked is killed.
        let killed = if asked { Ok(()) } else { self.child.kill() };
        if let Err(cause) = killed.and_then(|()| self.child.wait().map(drop)) {
            eprintln!("process {} could not be stopped: {cause}", self.pid);
        }
    }
}
