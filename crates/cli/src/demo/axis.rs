//! The axis of the demo: folders, keys, and the daemons as child processes of this binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use truc_transport::clock;
use truc_types::AgencyCode;
use zeroize::Zeroizing;

use super::Show;
use crate::commands::remote::{Client, EdgeAddress};
use crate::directory;
use crate::failure::Failure;
use crate::local::{Layout, Process, free_address, usage};

/// The agencies of the story, each with an edge in a process of its own: Office of the Government, Ministry of Finance, People's Committee of Tây Ninh.
const STORY: [&str; 3] = ["G22", "G12", "H53"];
/// The process with all other edges.
const HOST: &str = "others";

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
        let layout = Layout::of(folder);
        layout.write_directory()?;
        let agencies = agencies(&layout.agencies)?;
        layout.issue("Truc demo", agencies.iter().map(|agency| &agency.code), &password, now)?;
        let count = agencies.len();
        show.step(
            "pki",
            &format!("a certificate authority, and seal and TLS certificates for {count} agencies"),
            &format!("một tổ chức chứng thực, chứng thư đóng dấu và chứng thư TLS cho {count} cơ quan"),
        )?;

        let broker_address = free_address()?;
        let (genesis, made) = layout.begin("Truc demo", broker_address, &password, now)?;
        let organisations = genesis.organisations.len();
        show.step(
            "genesis",
            &format!("{} entries sealed by the operator begin the log: {count} agencies, {organisations} organisations", made.entries),
            &format!("{} bản ghi do đơn vị vận hành đóng dấu mở đầu nhật ký: {count} cơ quan, {organisations} đơn vị", made.entries),
        )?;

        for agency in &agencies {
            layout.make_edge(&agency.code, broker_address, SocketAddr::from(([127, 0, 0, 1], 0)), &password)?;
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
            let (pid, address) = (edge.id(), ready.first().map_or(self.broker_address, |(_, address)| *address));
            let text = format!("process {pid} on {address}");
            show.step("edge", &format!("edge of {agency}  {text}"), &format!("nút biên {agency}  tiến trình {pid} tại {address}"))?;
            self.addresses.insert(agency.to_owned(), address);
            self.edges.push((agency.to_owned(), edge));
        }
        let others: Vec<_> = self.agencies.iter().filter(|agency| !STORY.contains(&agency.code.as_str())).collect();
        let folders: Vec<_> = others.iter().map(|agency| self.folder.join(agency.code.as_str())).collect();
        let (host, ready) = self.spawn(&["edge", "host"], &folders, HOST, folders.len())?;
        let (pid, count) = (host.id(), ready.len());
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
        let broker = self.broker.as_ref().map(|broker| ("broker", broker.id()));
        self.edges.iter().map(|(name, edge)| (name.as_str(), edge.id())).chain(broker)
    }

    /// Starts the broker; its process id.
    pub(super) fn start_broker(&mut self) -> Result<u32, Failure> {
        let listen = self.broker_address.to_string();
        let data = self.folder.join("broker");
        let (broker, _) = self.spawn(&["broker", "run", "--listen", &listen, "--data"], &[data], "broker", 1)?;
        let pid = broker.id();
        self.broker = Some(broker);
        Ok(pid)
    }

    /// SIGKILLs the broker; its process id.
    pub(super) fn kill_broker(&mut self) -> Result<u32, Failure> {
        let broker = self.broker.take().ok_or_else(|| Failure::BadAnswer("no broker to kill".to_owned()))?;
        let pid = broker.id();
        self.broker_peak = self.broker_peak.max(usage::of(pid)?.resident_bytes_max);
        broker.kill()?;
        Ok(pid)
    }

    /// SIGTERM to every process; each must end in order.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let edges = std::mem::take(&mut self.edges);
        for (name, process) in edges.into_iter().chain(self.broker.take().map(|broker| ("broker".to_owned(), broker))) {
            process.end(&name, &self.log(&name)).await?;
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
        let url = self.addresses.get(agency).map(|address| format!("http://{address}")).unwrap_or_default();
        EdgeAddress { url, ..EdgeAddress::default() }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    fn spawn(&self, verb: &[&str], data: &[PathBuf], name: &str, edges: usize) -> Result<(Process, Vec<(String, SocketAddr)>), Failure> {
        Process::start(verb, data, &self.log(name), &self.password, edges)
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
