//! The command line of a running edge, for `truc edge run` and `truc-edge` alike.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use truc_settings::{Loaded, Override, Raw};
use truc_transport::daemon::{announce, password};
use truc_transport::descriptors;
use truc_transport::launch::{Launch, LaunchArgs};
use truc_transport::logging::{self, Logging};
use truc_transport::notify::Notify;
use truc_transport::reload::{Prepare, Reloader};
use truc_transport::shutdown::Shutdown;
use truc_transport::tls::server_config;
use truc_types::{Reason, Refusal};

use crate::access::DmsTls;
use crate::config::EdgeConfig;
use crate::init::{access, read_tls, seal_certificate_now};
use crate::settings::EdgeSettings;

/// The edge node of one agency: between its document-management system and the axis.
///
/// SIGTERM and SIGINT end it in order; SIGHUP reads the settings and certificates again. TRUC_LOG overrules the level of the log.
#[derive(Debug, clap::Parser)]
#[command(name = "truc-edge", version)]
pub struct Program {
    /// How it runs.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Runs an edge until it is told to stop.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Flags of every daemon.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// Address and port where the DMS connects; port 0 takes a free one. Anything but loopback needs TLS, and tokens or client certificates. Overrules
    /// edge.toml.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of the broker, https://host:port. Overrules edge.toml.
    #[arg(long, value_name = "URL")]
    pub broker: Option<String>,
    /// Address and port where metrics and readiness are read; no TLS. Overrules edge.toml.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Free bytes on the disk below which no new document is taken. Overrules edge.toml.
    #[arg(long, value_name = "BYTES")]
    pub disk_reserve_bytes: Option<u64>,
    /// File with one `name token` a line, mode 0600: every call must carry a token of it. Overrules edge.toml.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate chain that the DMS sees, PEM: serves TLS. Overrules edge.toml.
    #[arg(long, value_name = "FILE")]
    pub dms_tls_cert: Option<PathBuf>,
    /// Key of that certificate, PKCS#8 PEM. Overrules edge.toml.
    #[arg(long, value_name = "FILE")]
    pub dms_tls_key: Option<PathBuf>,
    /// Authority of the client certificates that a DMS must show, PEM. Overrules edge.toml.
    #[arg(long, value_name = "FILE")]
    pub dms_client_ca: Option<PathBuf>,
    /// Take over although another edge of this agency is connected; that one stops.
    #[arg(long)]
    pub take_over: bool,
    /// Watch a folder for national edXML files: dropped into DIR/in they are sent, what arrives is written to DIR/out. Overrules edge.toml.
    #[arg(long, value_name = "DIR", requires = "watch_secrecy")]
    pub watch: Option<PathBuf>,
    /// Secrecy mark of every document that is dropped, because edXML has no field for it. Only `none` travels on this axis; you must say it.
    #[arg(long, value_name = "MARK", requires = "watch")]
    pub watch_secrecy: Option<String>,
    /// Milliseconds between two scans of the watch folder.
    #[arg(long, value_name = "MILLIS", requires = "watch")]
    pub watch_poll_millis: Option<u64>,
    /// Milliseconds for which a dropped file must not have changed.
    #[arg(long, value_name = "MILLIS", requires = "watch")]
    pub watch_settle_millis: Option<u64>,
}

/// Runs until SIGTERM, SIGINT or a failure. Prints one line with the address to standard output once the DMS can connect.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(args: &RunArgs) -> Result<(), Refusal> {
    let refusal = |cause: crate::EdgeError| cause.to_refusal();
    let listen = args.listen.map(|listen| Override { key: "listen", value: Raw::Text(listen.to_string()) });
    let broker = args.broker.clone().map(|broker| Override { key: "broker", value: Raw::Text(broker) });
    let metrics = args.metrics_listen.map(|address| Override { key: "metrics_listen", value: Raw::Text(address.to_string()) });
    let reserve = args.disk_reserve_bytes.map(|bytes| Override { key: "disk_reserve_bytes", value: Raw::Integer(bytes.into()) });
    let files = [
        ("token_file", &args.token_file),
        ("dms_tls_cert", &args.dms_tls_cert),
        ("dms_tls_key", &args.dms_tls_key),
        ("dms_client_ca", &args.dms_client_ca),
        ("watch.folder", &args.watch),
    ];
    let file = |(key, path): (&'static str, &Option<PathBuf>)| {
        path.as_ref().map(|path| Override { key, value: Raw::Text(path.display().to_string()) })
    };
    let secrecy = args.watch_secrecy.clone().map(|mark| Override { key: "watch.declare_secrecy", value: Raw::Text(mark) });
    let millis = |key, millis: Option<u64>| millis.map(|millis| Override { key, value: Raw::Integer(millis.into()) });
    let poll = millis("watch.poll_millis", args.watch_poll_millis);
    let settle = millis("watch.settle_millis", args.watch_settle_millis);
    let overrides =
        [listen, broker, metrics, reserve, secrecy, poll, settle].into_iter().flatten().chain(files.into_iter().filter_map(file)).collect();
    let check = |settings: &EdgeSettings, password: &[u8]| crate::open(settings, password).map(drop).map_err(refusal);
    let launch = args.launch.settings("edge", overrides, check, |settings| settings.password_file.as_deref())?;
    let Launch::Run(loaded, source) = launch else { return Ok(()) };
    let Loaded { settings, entries } = *loaded;
    let logging = logging::start(settings.log.format, settings.log.level);
    descriptors::raise();
    let failed = |cause: std::io::Error| Refusal::new(Reason::ConfigInvalid, format!("cannot start: {cause}"));
    let notify = Notify::from_environment().map_err(failed)?;
    let password = password(settings.password_file.as_deref())?;
    let mut config = crate::open(&settings, &password).map_err(refusal)?;
    config.take_over = args.take_over;
    config.notify = notify.clone();
    let reloader = Reloader { source, entries, prepare: prepare(logging, &config, &settings) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let json = args.launch.json;
    runtime.block_on(async move {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        reloader.start(notify).map_err(failed)?;
        crate::run(config, shutdown, |address| announce(address, json)).await.map_err(refusal)
    })
}

/// What a running edge takes over: the certificate of its next connection to the broker, the one that a DMS sees, and how much it logs.
fn prepare(logging: Logging, config: &EdgeConfig, started: &EdgeSettings) -> Prepare<EdgeSettings> {
    let logging = Arc::new(logging);
    let (tls, dms, seal) = (config.tls.clone(), config.access.tls.clone(), config.seal_certificate.keyid);
    let files_of = |settings: &EdgeSettings| [settings.dms_tls_cert.clone(), settings.dms_tls_key.clone(), settings.dms_client_ca.clone()];
    let dms_files = files_of(started);
    Box::new(move |settings| {
        let password = password(settings.password_file.as_deref())?;
        let files = read_tls(settings, &password).map_err(|cause| cause.to_refusal())?;
        // A client needs the same three files as a server, and they must fit together alike.
        server_config(&files)?;
        // Other files than at the start are settings that need a restart.
        let same = dms_files == files_of(settings);
        let read = if same { access(settings).map_err(|cause| cause.to_refusal())?.tls } else { None };
        let dms: Option<(DmsTls, DmsTls)> = dms.clone().zip(read);
        let seal_is_new = seal_certificate_now(settings).map_err(|cause| cause.to_refusal())?.keyid != seal;
        let (tls, logging, level) = (tls.clone(), Arc::clone(&logging), settings.log.level);
        Ok(Box::new(move || {
            tls.replace(files);
            logging.set_level(level);
            let mut taken = vec!["TLS certificates"];
            if let Some((serving, read)) = dms {
                serving.replace(&read);
                taken.push("DMS certificates");
            }
            if seal_is_new {
                tracing::warn!(files = "keys/seal.cert.pem", "changed files need a restart");
            }
            taken
        }))
    })
}
