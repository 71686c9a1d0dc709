//! `truc sandbox`: an axis on this machine to develop a document-management system against. Unlike the demo it keeps what it was given, and its
//! addresses stay the same unless others are asked for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use truc_transport::clock;
use truc_transport::shutdown::Shutdown;
use truc_types::AgencyCode;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::local::{self, Layout, Process};
use crate::output::Output;

/// Where edges connect to the broker.
const BROKER_PORT: u16 = 7443;
/// Office of the Government, Ministry of Finance, People's Committee of Tây Ninh, each with the port of its edge.
const EDGES: [(&str, u16, &str); 3] = [("G22", 7522, "Văn phòng Chính phủ"), ("G12", 7512, "Bộ Tài chính"), ("H53", 7553, "Tây Ninh")];
/// The password of its keys; for a sandbox, a file beside them is good enough.
const PASSWORD_FILE: &str = "password";
/// How often the daemons are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Run an axis to develop against: a broker and three edges on loopback, until Ctrl-C. The same folder goes on where it was.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of the sandbox: a new or empty one, or that of an earlier sandbox.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The ports: the broker on this one, the edges on the next three; 0 takes free ones. Without it 7443 for the broker, and 7522, 7512, 7553.
    #[arg(long, value_name = "PORT", value_parser = port_base)]
    pub port_base: Option<u16>,
}

fn port_base(text: &str) -> Result<u16, String> {
    let port: u16 = text.parse().map_err(|cause| format!("{cause}"))?;
    match port {
        0 | 1_024..=65_532 => Ok(port),
        _ => Err("it is 0, or 1024 to 65532: three more follow it".to_owned()),
    }
}

/// Where the daemons of a sandbox listen.
struct Ports {
    broker: SocketAddr,
    edges: [u16; EDGES.len()],
}

impl Ports {
    fn of(base: Option<u16>) -> Result<Self, Failure> {
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Ok(match base {
            None => Self { broker: loopback(BROKER_PORT), edges: EDGES.map(|(_, port, _)| port) },
            // The edges have to know the broker's port before it listens; their own they choose themselves.
            Some(0) => Self { broker: local::free_address()?, edges: [0; EDGES.len()] },
            Some(base) => Self { broker: loopback(base), edges: [base + 1, base + 2, base + 3] },
        })
    }
}

#[derive(serde::Serialize)]
struct Line<'a> {
    agency: &'a str,
    edge: String,
    log: &'a Path,
}

/// Runs until a signal, or until a daemon ends by itself.
///
/// # Errors
/// What could not be made or started, or which daemon ended.
pub async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals().map_err(|source| Failure::file(Path::new("signals"), source))?;
    let folder = &arguments.data;
    let password = open_or_make(folder)?;
    let log = |name: &str| folder.join(format!("{name}.log"));
    let Ports { broker, edges } = Ports::of(arguments.port_base)?;
    let (listen, url) = (broker.to_string(), format!("https://{broker}"));
    let verb = ["broker", "run", "--listen", &listen, "--data"];
    let mut processes = vec![("broker", Process::start_apart(&verb, &folder.join("broker"), &log("broker"), &password)?.0)];
    for ((agency, _, name), port) in EDGES.into_iter().zip(edges) {
        let listen = format!("127.0.0.1:{port}");
        let verb = ["edge", "run", "--listen", &listen, "--broker", &url, "--data"];
        let (edge, address) = Process::start_apart(&verb, &folder.join(agency), &log(agency), &password)?;
        processes.push((agency, edge));
        let line = Line { agency, edge: format!("http://{address}"), log: &log(agency) };
        output.data(&format!("{agency}  {}  {name}", line.edge), &line)?;
    }
    output.talk(match output.language() {
        Language::En => "Ready until Ctrl-C. docs/dms-guide.md says what to do with it.",
        Language::Vi => "Sẵn sàng cho đến khi bấm Ctrl-C. Xem docs/dms-guide.vi.md.",
    });
    let ended = loop {
        match tokio::time::timeout(LOOK, shutdown.begun()).await {
            Ok(()) => break None,
            Err(_) => {
                let ended = processes.iter_mut().find_map(|(name, process)| process.has_ended().then_some(*name));
                if ended.is_some() {
                    break ended;
                }
            }
        }
    };
    if let Some(name) = ended {
        return Err(Failure::Ended(format!("{name} ended by itself; its log is {}", log(name).display())));
    }
    // The edges first: they have something to tell the broker.
    for (name, process) in processes.into_iter().rev() {
        process.end(name, &log(name)).await?;
    }
    Ok(Exit::Done)
}

/// The password of a sandbox that is there, or of one that is made now.
fn open_or_make(folder: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = folder.join(PASSWORD_FILE);
    match std::fs::read_to_string(&file) {
        Ok(text) => return Ok(Zeroizing::new(text)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(Failure::file(&file, source)),
    }
    std::fs::create_dir_all(folder).map_err(|source| Failure::file(folder, source))?;
    if std::fs::read_dir(folder).map_err(|source| Failure::file(folder, source))?.next().is_some() {
        return Err(Failure::Usage(format!(
            "{} is neither empty nor a whole sandbox; name another folder, or remove it",
            folder.display()
        )));
    }
    let now = clock::now();
    let password = Zeroizing::new(clock::mint().to_string());
    let layout = Layout::of(folder);
    layout.write_directory()?;
    let agencies: Vec<(AgencyCode, u16)> = EDGES
        .into_iter()
        .map(|(code, port, _)| code.parse().map(|code| (code, port)).map_err(|cause| Failure::Usage(format!("{code}: {cause}"))))
        .collect::<Result<_, _>>()?;
    layout.issue("Truc sandbox", agencies.iter().map(|(code, _)| code), &password, now)?;
    let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    layout.begin("Truc sandbox", loopback(BROKER_PORT), &password, now)?;
    for (code, port) in &agencies {
        layout.make_edge(code, loopback(BROKER_PORT), loopback(*port), &password)?;
    }
    // Last: a folder with a password is a whole sandbox.
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut temporary| {
        std::io::Write::write_all(&mut temporary, password.as_bytes())?;
        temporary.persist(&file).map_err(|cause| cause.error)
    });
    written.map_err(|source| Failure::file(&file, source))?;
    Ok(password)
}
