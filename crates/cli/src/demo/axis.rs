//! The axis of the demo: folders, keys, and the daemons as child processes of this binary.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use truc_edge::InitFiles;
use truc_transport::clock;
use truc_transport::daemon::PASSWORD_VARIABLE;
use truc_types::AgencyCode;
use zeroize::Zeroizing;

use super::Show;
use crate::commands::broker::init;
use crate::commands::remote::{Client, EdgeAddress};
use crate::failure::Failure;
use crate::pki::{self, DevelopmentAuthority};

/// Office of the Government, Ministry of Finance, People's Committee of Tây Ninh.
pub(super) const AGENCIES: [&str; 3] = ["G22", "G12", "H53"];

const AGENCIES_CSV: &str = include_str!("../../../../deploy/example-directory/agencies.csv");
const ORGANISATIONS_CSV: &str = include_str!("../../../../deploy/example-directory/organisations.csv");

/// The axis of the demo. Dropping it kills the processes.
pub(super) struct Axis {
    folder: PathBuf,
    password: Zeroizing<String>,
    broker_address: SocketAddr,
    broker: Option<Process>,
    edges: BTreeMap<&'static str, Process>,
}

impl Axis {
    /// Makes keys, genesis and data folders.
    pub(super) fn make(folder: &Path, show: &mut Show<'_>) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).map_err(|source| Failure::file(folder, source))?;
        if std::fs::read_dir(folder).map_err(|source| Failure::file(folder, source))?.next().is_some() {
            return Err(Failure::Usage(format!("{} is not empty", folder.display())));
        }
        let now = clock::now();
        // Nobody needs it again: it opens the keys of this demo only.
        let password = Zeroizing::new(clock::mint().to_string());
        let (keys, directory) = (folder.join("pki"), folder.join("directory"));
        pki::init(&keys, "Truc demo", password.as_bytes(), now)?;
        let authority = DevelopmentAuthority::open(&keys, password.as_bytes())?;
        for agency in AGENCIES {
            authority.issue(&code(agency)?, password.as_bytes(), now)?;
        }
        show.step("pki", &format!("a certificate authority, and seal and TLS certificates for {}", AGENCIES.join(", ")))?;

        std::fs::create_dir(&directory).map_err(|source| Failure::file(&directory, source))?;
        let (agencies, organisations) = (directory.join("agencies.csv"), directory.join("organisations.csv"));
        std::fs::write(&agencies, AGENCIES_CSV).map_err(|source| Failure::file(&agencies, source))?;
        std::fs::write(&organisations, ORGANISATIONS_CSV).map_err(|source| Failure::file(&organisations, source))?;
        let broker_address = free_address()?;
        let arguments = init::Arguments {
            data: folder.join("broker"),
            pki: keys.clone(),
            agencies,
            organisations: Some(organisations),
            axis: "Truc demo".to_owned(),
            listen: broker_address,
            password_file: None,
        };
        let (genesis, _) = init::prepare(&arguments, Zeroizing::new(password.as_bytes().to_vec()))?;
        let made = truc_broker::init(&arguments.data, &genesis, now).map_err(Failure::Refused)?;
        show.step("genesis", &format!("{} entries sealed by the operator begin the log {}", made.entries, made.log_vkey))?;

        for agency in AGENCIES {
            let own = keys.join("agencies").join(agency);
            let files = InitFiles {
                agency: code(agency)?,
                broker: format!("https://{broker_address}"),
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                seal_key: own.join("seal.key.pem"),
                seal_certificate: own.join("seal.cert.pem"),
                tls_key: own.join("tls.key.pem"),
                tls_certificate: own.join("tls.cert.pem"),
                authority: keys.join("ca.pem"),
                operator_certificate: keys.join("operator.cert.pem"),
                log_key: keys.join("log.vkey"),
            };
            truc_edge::init(&folder.join(agency), &files, password.as_bytes()).map_err(|cause| Failure::Refused(cause.to_refusal()))?;
        }
        Ok(Self { folder: folder.to_owned(), password, broker_address, broker: None, edges: BTreeMap::new() })
    }

    /// Starts everything.
    pub(super) fn start(&mut self, show: &mut Show<'_>) -> Result<(), Failure> {
        let pid = self.start_broker()?;
        show.step("broker", &format!("broker  process {pid} on {}", self.broker_address))?;
        for agency in AGENCIES {
            let edge = self.spawn("edge", agency, &["--listen", "127.0.0.1:0"])?;
            show.step("edge", &format!("edge of {agency}  process {} on {}", edge.child.id(), edge.address))?;
            self.edges.insert(agency, edge);
        }
        Ok(())
    }

    /// Starts the broker; its process id.
    pub(super) fn start_broker(&mut self) -> Result<u32, Failure> {
        let listen = self.broker_address.to_string();
        let broker = self.spawn("broker", "broker", &["--listen", &listen])?;
        let pid = broker.child.id();
        self.broker = Some(broker);
        Ok(pid)
    }

    /// SIGKILLs the broker; its process id.
    pub(super) fn kill_broker(&mut self) -> Result<u32, Failure> {
        let mut broker = self.broker.take().ok_or_else(|| Failure::BadAnswer("no broker to kill".to_owned()))?;
        let pid = broker.child.id();
        broker.child.kill().and_then(|()| broker.child.wait()).map_err(|source| Failure::file(Path::new("broker"), source))?;
        Ok(pid)
    }

    /// SIGTERM to every process; each must end in order.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let edges = std::mem::take(&mut self.edges);
        for (name, mut process) in edges.into_iter().chain(self.broker.take().map(|broker| ("broker", broker))) {
            // Not on the runtime's thread: it has connections to close, which the processes wait for.
            let ended = tokio::task::spawn_blocking(move || {
                let pid = process.child.id().to_string();
                Command::new("kill").args(["-TERM", &pid]).status().and_then(|_| process.child.wait())
            });
            let failed = |source| Failure::file(Path::new(name), source);
            let status = ended.await.map_err(|cause| failed(std::io::Error::other(cause)))?.map_err(failed)?;
            if !status.success() {
                return Err(Failure::BadAnswer(format!("{name} ended with {status}; its log is {}", self.log(name).display())));
            }
        }
        Ok(())
    }

    /// A path in the demo's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A connection to the edge of an agency, as a document-management system has it.
    pub(super) async fn dms(&self, agency: &str) -> Result<Client, Failure> {
        self.edge(agency).connect().await
    }

    /// The address of the edge of an agency, for commands.
    pub(super) fn edge(&self, agency: &str) -> EdgeAddress {
        EdgeAddress { url: self.edges.get(agency).map(|edge| format!("http://{}", edge.address)).unwrap_or_default() }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts a daemon of this binary and waits for its ready line.
    fn spawn(&self, kind: &str, name: &str, more: &[&str]) -> Result<Process, Failure> {
        let log = self.log(name);
        let own = std::env::current_exe().map_err(|source| Failure::file(Path::new("truc"), source))?;
        let talk = File::options().create(true).append(true).open(&log).map_err(|source| Failure::file(&log, source))?;
        let mut command = Command::new(own);
        command.args([kind, "run", "--data"]).arg(self.folder.join(name)).args(more).env(PASSWORD_VARIABLE, self.password.as_str());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(talk);
        let mut child = command.spawn().map_err(|source| Failure::file(Path::new("truc"), source))?;
        let mut lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines()).into_iter().flatten();
        let ready = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
        let Some(address) = ready else {
            let status = child.wait().map_err(|source| Failure::file(Path::new(kind), source))?;
            return Err(Failure::BadAnswer(format!("{name} ended with {status} before it listened; its log is {}", log.display())));
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Process { child, address })
    }
}

/// A daemon that runs. Dropping it kills it.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn code(agency: &str) -> Result<AgencyCode, Failure> {
    agency.parse().map_err(|cause| Failure::Usage(format!("{agency}: {cause}")))
}

fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|source| Failure::file(Path::new("127.0.0.1"), source))
}
