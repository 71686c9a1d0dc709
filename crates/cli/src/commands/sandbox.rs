//! `truc sandbox`: an axis on this machine to develop a document-management system against. Unlike the demo it keeps what it was given, and its
//! addresses stay the same.

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
use crate::local::{Layout, Process};
use crate::output::Output;

/// Where edges connect to the broker.
const BROKER_PORT: u16 = 7443;
/// Office of the Government, Ministry of Finance, People's Committee of Tây Ninh, each with the port of its edge.
const EDGES: [(&str, u16, &str); 3] = [("G22", 7522, "Văn phòng Chính phủ"), ("G12", 7512, "Bộ Tài chính"), ("H53", 7553, "Tây Ninh")];
/// The password of its keys; for a sandbox, a file beside them is good enough.
const PASSWORD_FILE: &str = "password";
/// How often the daemons are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Run an axis to develop against: a broker and three edges on fixed loopback ports, until Ctrl-C. The same folder goes on where it was.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of the sandbox: a new or empty one, or that of an earlier sandbox.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
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
    let mut processes =
        vec![("broker", Process::start(&["broker", "run", "--data"], &[folder.join("broker")], &log("broker"), &password, 1)?.0)];
    for (agency, port, name) in EDGES {
        let (edge, _) = Process::start(&["edge", "run", "--data"], &[folder.join(agency)], &log(agency), &password, 1)?;
        processes.push((agency, edge));
        let line = Line { agency, edge: format!("http://127.0.0.1:{port}"), log: &log(agency) };
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
        return Err(Failure::BadAnswer(format!("{name} ended by itself; its log is {}", log(name).display())));
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
