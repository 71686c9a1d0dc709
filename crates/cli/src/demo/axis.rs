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
use crate::directory;
use crate::failure::Failure;
use crate::pki::{self, DevelopmentAuthority};

/// The agencies of the story, each with an edge in a process of its own: Office of the Government, Ministry of Finance, People's Committee of Tây Ninh.
const STORY: [&str; 3] = ["G22", "G12", "H53"];
/// The process with all other edges.
const HOST: &str = "others";

const AGENCIES_CSV: &str = include_str!("../../../../deploy/example-directory/agencies.csv");
const ORGANISATIONS_CSV: &str = include_str!("../../../../deploy/example-directory/organisations.csv");

/// The axis of the demo. Dropping it kills the processes.
pub(super) struct Axis {
    folder: PathBuf,
    password: Zeroizing<String>,
    broker_address: SocketAddr,
    agencies: Vec<Agency>,
    broker: Option<Process>,
    edges: Vec<(String, Process)>,
    addresses: BTreeMap<String, SocketAddr>,
    /// The most memory that the broker had before it was killed.
    pub(super) broker_peak: u64,
}

/// An agency of the example directory.
#[derive(Debug, Clone)]
pub(super) struct Agency {
    pub(super) code: AgencyCode,
    pub(super) name: String,
    /// Public sources confirm the code; every other is shown with a mark.
    pub(super) is_code_official: bool,
}

impl Axis {
    /// Makes keys, genesis and data folders.
    pub(super) fn make(folder: &Path, show: &mut Show<'_>) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).map_err(|source| Failure::file(folder, source))?;
        if std::fs::read_dir(folder).map_err(|source| Failure::file(folder, source))?.next().is_some() {
            return Err(Failure::Usage(format!("{} is not empty", folder.display())));
        }
        let now = clock::now();
        // Nobody needs it again: it opens the keys of this demo only. 80 random bits need no dear key derivation, which 188 keys would feel.
        let password = Zeroizing::new(clock::mint().to_string());
        let (keys, directory) = (folder.join("pki"), folder.join("directory"));
        std::fs::create_dir(&directory).map_err(|source| Failure::file(&directory, source))?;
        let files = (directory.join("agencies.csv"), directory.join("organisations.csv"));
        std::fs::write(&files.0, AGENCIES_CSV).map_err(|source| Failure::file(&files.0, source))?;
        std::fs::write(&files.1, ORGANISATIONS_CSV).map_err(|source| Failure::file(&files.1, source))?;
        let agencies = agencies(&files.0)?;

        pki::init(&keys, "Truc demo", password.as_bytes(), now)?;
        let authority = DevelopmentAuthority::open(&keys, password.as_bytes())?.with_random_passwords();
        for agency in &agencies {
            authority.issue(&agency.code, password.as_bytes(), now)?;
        }
        let count = agencies.len();
        show.step(
            "pki",
            &format!("a certificate authority, and seal and TLS certificates for {count} agencies"),
            &format!("một tổ chức chứng thực, chứng thư đóng dấu và chứng thư TLS cho {count} cơ quan"),
        )?;

        let broker_address = free_address()?;
        let arguments = init::Arguments {
            data: folder.join("broker"),
            pki: keys.clone(),
            agencies: files.0,
            organisations: Some(files.1),
            axis: "Truc demo".to_owned(),
            listen: broker_address,
            password_file: None,
        };
        let (genesis, _) = init::prepare(&arguments, Zeroizing::new(password.as_bytes().to_vec()))?;
        let made = truc_broker::init(&arguments.data, &genesis, now).map_err(Failure::Refused)?;
        let organisations = genesis.organisations.len();
        show.step(
            "genesis",
            &format!("{} entries sealed by the operator begin the log: {count} agencies, {organisations} organisations", made.entries),
            &format!("{} bản ghi do đơn vị vận hành đóng dấu mở đầu nhật ký: {count} cơ quan, {organisations} đơn vị", made.entries),
        )?;

        let broker = format!("https://{broker_address}");
        for agency in &agencies {
            let files = edge_files(&keys, &agency.code, &broker);
            let made = truc_edge::init(&folder.join(agency.code.as_str()), &files, password.as_bytes());
            made.map_err(|cause| Failure::Refused(cause.to_refusal()))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            password,
            broker_address,
            agencies,
            broker: None,
            edges: Vec::new(),
            addresses: BTreeMap::new(),
            broker_peak: 0,
        })
    }

    /// Starts everything.
    pub(super) fn start(&mut self, show: &mut Show<'_>) -> Result<(), Failure> {
        let pid = self.start_broker()?;
        let address = self.broker_address;
        show.step("broker", &format!("broker  process {pid} on {address}"), &format!("trục  tiến trình {pid} tại {address}"))?;
        for agency in STORY {
            let data = self.folder.join(agency);
            let (edge, ready) = self.spawn(&["edge", "run", "--listen", "127.0.0.1:0", "--data"], &[data], agency, 1)?;
            let (pid, address) = (edge.child.id(), ready.first().map_or(self.broker_address, |(_, address)| *address));
            let text = format!("process {pid} on {address}");
            show.step("edge", &format!("edge of {agency}  {text}"), &format!("nút biên {agency}  tiến trình {pid} tại {address}"))?;
            self.addresses.insert(agency.to_owned(), address);
            self.edges.push((agency.to_owned(), edge));
        }
        let others: Vec<_> = self.agencies.iter().filter(|agency| !STORY.contains(&agency.code.as_str())).collect();
        let folders: Vec<_> = others.iter().map(|agency| self.folder.join(agency.code.as_str())).collect();
        let (host, ready) = self.spawn(&["edge", "host"], &folders, HOST, folders.len())?;
        let (pid, count) = (host.child.id(), ready.len());
        self.addresses.extend(ready);
        self.edges.push((HOST.to_owned(), host));
        show.step(
            "edges",
            &format!("{count} more edges  process {pid}, each with its own keys, folder, address and connection"),
            &format!("{count} nút biên khác  tiến trình {pid}, mỗi nút có khoá, thư mục, địa chỉ và kết nối riêng"),
        )
    }

    /// All agencies, by code.
    pub(super) fn agencies(&self) -> &[Agency] {
        &self.agencies
    }

    /// The processes that run, by name.
    pub(super) fn processes(&self) -> impl Iterator<Item = (&str, u32)> {
        let broker = self.broker.as_ref().map(|broker| ("broker", broker.child.id()));
        self.edges.iter().map(|(name, edge)| (name.as_str(), edge.child.id())).chain(broker)
    }

    /// Starts the broker; its process id.
    pub(super) fn start_broker(&mut self) -> Result<u32, Failure> {
        let listen = self.broker_address.to_string();
        let data = self.folder.join("broker");
        let (broker, _) = self.spawn(&["broker", "run", "--listen", &listen, "--data"], &[data], "broker", 1)?;
        let pid = broker.child.id();
        self.broker = Some(broker);
        Ok(pid)
    }

    /// SIGKILLs the broker; its process id.
    pub(super) fn kill_broker(&mut self) -> Result<u32, Failure> {
        let mut broker = self.broker.take().ok_or_else(|| Failure::BadAnswer("no broker to kill".to_owned()))?;
        let pid = broker.child.id();
        self.broker_peak = self.broker_peak.max(super::memory::peak_bytes(pid)?);
        broker.child.kill().and_then(|()| broker.child.wait()).map_err(|source| Failure::file(Path::new("broker"), source))?;
        Ok(pid)
    }

    /// SIGTERM to every process; each must end in order.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let edges = std::mem::take(&mut self.edges);
        for (name, mut process) in edges.into_iter().chain(self.broker.take().map(|broker| ("broker".to_owned(), broker))) {
            // Not on the runtime's thread: it has connections to close, which the processes wait for.
            let ended = tokio::task::spawn_blocking(move || {
                let pid = process.child.id().to_string();
                Command::new("kill").args(["-TERM", &pid]).status().and_then(|_| process.child.wait())
            });
            let failed = |source| Failure::file(Path::new(&name), source);
            let status = ended.await.map_err(|cause| failed(std::io::Error::other(cause)))?.map_err(failed)?;
            if !status.success() {
                return Err(Failure::BadAnswer(format!("{name} ended with {status}; its log is {}", self.log(&name).display())));
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
        EdgeAddress { url: self.addresses.get(agency).map(|address| format!("http://{address}")).unwrap_or_default() }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts a daemon of this binary and waits for its ready lines, each an address, after the agency where the process has several.
    fn spawn(&self, verb: &[&str], data: &[PathBuf], name: &str, edges: usize) -> Result<(Process, Vec<(String, SocketAddr)>), Failure> {
        let log = self.log(name);
        let own = std::env::current_exe().map_err(|source| Failure::file(Path::new("truc"), source))?;
        let talk = File::options().create(true).append(true).open(&log).map_err(|source| Failure::file(&log, source))?;
        let mut command = Command::new(own);
        command.args(verb).args(data).env(PASSWORD_VARIABLE, self.password.as_str());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(talk);
        let child = command.spawn().map_err(|source| Failure::file(Path::new("truc"), source))?;
        let mut process = Process { child };
        let mut lines = process.child.stdout.take().map(|stdout| BufReader::new(stdout).lines()).into_iter().flatten();
        let address = |line: String| {
            let (agency, address) = line.split_once("listening on ")?;
            Some((agency.trim().to_owned(), address.parse().ok()?))
        };
        let ready: Vec<_> = lines.by_ref().map_while(Result::ok).filter_map(address).take(edges).collect();
        if ready.len() < edges {
            let status = process.child.wait().map_err(|source| Failure::file(Path::new(name), source))?;
            return Err(Failure::BadAnswer(format!("{name} ended with {status} before it listened; its log is {}", log.display())));
        }
        std::thread::spawn(move || lines.for_each(drop));
        Ok((process, ready))
    }
}

/// A daemon that runs. Dropping it kills it.
struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The agencies of the example directory, by code.
fn agencies(csv: &Path) -> Result<Vec<Agency>, Failure> {
    let agency = |joined: truc_signing::statement::AgencyJoined| Agency {
        is_code_official: joined.code_status == "confirmed",
        code: joined.agency,
        name: joined.name_vi,
    };
    Ok(directory::read_agencies(csv)?.into_iter().map(agency).collect())
}

fn edge_files(keys: &Path, agency: &AgencyCode, broker: &str) -> InitFiles {
    let own = keys.join("agencies").join(agency.as_str());
    InitFiles {
        agency: agency.clone(),
        broker: broker.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        seal_key: own.join("seal.key.pem"),
        seal_certificate: own.join("seal.cert.pem"),
        tls_key: own.join("tls.key.pem"),
        tls_certificate: own.join("tls.cert.pem"),
        authority: keys.join("ca.pem"),
        operator_certificate: keys.join("operator.cert.pem"),
        log_key: keys.join("log.vkey"),
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|source| Failure::file(Path::new("127.0.0.1"), source))
}
