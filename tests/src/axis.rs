//! An axis on loopback: a development PKI, a broker and edges, each a process with its own folder.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::dms::Dms;
use crate::tools::{root, truc, truc_ok};
use crate::watch::Watch;

/// The agencies of the small axis: Office of the Government, Ministry of Finance, People's Committee of Tây Ninh.
pub const AGENCIES: [&str; 3] = ["G22", "G12", "H53"];

/// An axis of real processes. Dropping it kills them and removes its folders.
pub struct Axis {
    folder: TempDir,
    broker_address: SocketAddr,
    broker: Option<Daemon>,
    edges: BTreeMap<String, Daemon>,
    /// Where `broker` and each edge show metrics and readiness.
    watched: BTreeMap<String, SocketAddr>,
}

impl Axis {
    /// Makes keys, certificates, genesis and folders; starts nothing.
    ///
    /// # Panics
    /// When a step fails; with what it said.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("truc-test-").expect("a scratch folder");
        // Held until all are known, or two would be the same. They are free then; a daemon that finds its port taken fails the test with the address.
        let bound: Vec<_> = (0..2 + AGENCIES.len()).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let mut free = bound.iter().map(|listener| listener.local_addr().expect("a bound port has an address"));
        let broker_address = free.next().expect("there is one for each");
        let watched = ["broker"].into_iter().chain(AGENCIES).map(str::to_owned).zip(free).collect();
        drop(bound);
        let axis = Self { folder, broker_address, broker: None, edges: BTreeMap::new(), watched };
        let pki = axis.path("pki");
        let pki = pki.to_str().expect("a UTF-8 path");
        truc_ok(&["pki", "init", pki]);
        for agency in AGENCIES {
            truc_ok(&["pki", "issue", pki, agency]);
        }
        let data = |name: &str| root().join("deploy/example-directory").join(name).to_str().expect("a UTF-8 path").to_owned();
        let (agencies, organisations) = (data("agencies.csv"), data("organisations.csv"));
        let broker = axis.path("broker");
        let broker = broker.to_str().expect("a UTF-8 path");
        truc_ok(&["broker", "init", "--data", broker, "--pki", pki, "--agencies", &agencies, "--organisations", &organisations]);
        let url = format!("https://{broker_address}");
        for agency in AGENCIES {
            let edge = axis.edge_folder(agency);
            let edge = edge.to_str().expect("a UTF-8 path");
            truc_ok(&["edge", "init", "--data", edge, "--pki", pki, "--agency", agency, "--broker", &url]);
        }
        axis
    }

    /// The same, with broker and edges running.
    #[must_use]
    pub fn running() -> Self {
        let mut axis = Self::new();
        axis.start_broker();
        for agency in AGENCIES {
            axis.start_edge(agency);
        }
        axis
    }

    /// A path inside the scratch folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder of an edge.
    #[must_use]
    pub fn edge_folder(&self, agency: &str) -> PathBuf {
        self.path(&format!("edge-{agency}"))
    }

    /// The command that runs the broker.
    #[must_use]
    pub fn broker_command(&self) -> Command {
        let mut command = Command::new(truc());
        command.args(["broker", "run", "--data"]).arg(self.path("broker")).arg("--listen").arg(self.broker_address.to_string());
        command
    }

    /// The command that runs an edge.
    #[must_use]
    pub fn edge_command(&self, data: &Path) -> Command {
        let mut command = Command::new(truc());
        command.args(["edge", "run", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command
    }

    /// Starts the broker.
    pub fn start_broker(&mut self) {
        self.start_broker_with(|_| ());
    }

    fn metrics_listen(&self, name: &str) -> Vec<String> {
        self.watched.get(name).map(|address| vec!["--metrics-listen".to_owned(), address.to_string()]).unwrap_or_default()
    }

    /// Watches the `broker` or the edge of an agency.
    ///
    /// # Panics
    /// When there is none of the name.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that watches nobody must fail")]
    pub fn watch(&self, name: &str) -> Watch {
        Watch::new(*self.watched.get(name).expect("the broker or an edge of the small axis"))
    }

    /// Starts the broker with a changed command.
    pub fn start_broker_with(&mut self, change: impl FnOnce(&mut Command)) {
        let mut command = self.broker_command();
        command.args(self.metrics_listen("broker"));
        change(&mut command);
        self.broker = Some(Daemon::start(command, &self.path("broker.log")));
    }

    /// SIGKILLs the broker.
    pub fn kill_broker(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.kill();
        }
    }

    /// Takes the broker out of the axis' care.
    pub const fn take_broker(&mut self) -> Option<Daemon> {
        self.broker.take()
    }

    /// The running broker.
    #[must_use]
    pub const fn broker(&self) -> Option<&Daemon> {
        self.broker.as_ref()
    }

    /// Starts the edge of an agency.
    pub fn start_edge(&mut self, agency: &str) {
        self.start_edge_as(agency, |command| command);
    }

    /// Starts the edge of an agency by another command than the one that is given.
    pub fn start_edge_as(&mut self, agency: &str, change: impl FnOnce(Command) -> Command) {
        let mut command = self.edge_command(&self.edge_folder(agency));
        command.args(self.metrics_listen(agency));
        let daemon = Daemon::start(change(command), &self.path(&format!("edge-{agency}.log")));
        self.edges.insert(agency.to_owned(), daemon);
    }

    /// Whether the edge of an agency has ended by itself.
    pub fn has_edge_ended(&mut self, agency: &str) -> bool {
        self.edges.get_mut(agency).is_none_or(Daemon::has_ended)
    }

    /// Starts the edge of an agency with arguments of its own; they say where it listens.
    pub fn start_edge_with(&mut self, agency: &str, arguments: &[&str]) {
        let mut command = Command::new(truc());
        command.args(["edge", "run", "--data"]).arg(self.edge_folder(agency)).args(arguments);
        let daemon = Daemon::start(command, &self.path(&format!("edge-{agency}.log")));
        self.edges.insert(agency.to_owned(), daemon);
    }

    /// SIGKILLs the edge of an agency.
    pub fn kill_edge(&mut self, agency: &str) {
        if let Some(edge) = self.edges.remove(agency) {
            edge.kill();
        }
    }

    /// Takes the edge of an agency out of the axis' care.
    pub fn take_edge(&mut self, agency: &str) -> Option<Daemon> {
        self.edges.remove(agency)
    }

    /// Where the broker listens, as edges and operators name it.
    #[must_use]
    pub fn broker_url(&self) -> String {
        format!("https://{}", self.broker_address)
    }

    /// Where the edge of an agency listens.
    ///
    /// # Panics
    /// When that edge does not run.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that talks to nobody must fail")]
    pub fn edge_url(&self, agency: &str) -> String {
        format!("http://{}", self.edges.get(agency).expect("the edge runs").address())
    }

    /// What the document-management system of an agency talks to.
    ///
    /// # Panics
    /// When that edge does not run.
    #[must_use]
    pub fn dms(&self, agency: &str) -> Dms {
        Dms::new(self.edge_address(agency))
    }

    /// Where the edge of an agency listens.
    ///
    /// # Panics
    /// When that edge does not run.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that talks to nobody must fail")]
    pub fn edge_address(&self, agency: &str) -> SocketAddr {
        self.edges.get(agency).expect("the edge runs").address()
    }

    /// The log of an edge, or of the `broker`.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }
}

impl Default for Axis {
    fn default() -> Self {
        Self::new()
    }
}
