//! The command line of a running broker, for `truc broker run` and `truc-broker` alike.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use truc_settings::{Loaded, Override, Raw};
use truc_transport::daemon::{announce, password};
use truc_transport::descriptors;
use truc_transport::launch::{Launch, LaunchArgs};
use truc_transport::logging::{self, Logging};
use truc_transport::notify::Notify;
use truc_transport::reload::{Prepare, Reloader};
use truc_transport::shutdown::Shutdown;
use truc_transport::tls::{ServerTls, server_config};
use truc_types::{Reason, Refusal};

use crate::config::read_tls;
use crate::settings::BrokerSettings;

/// The broker of an axis: takes sealed documents, logs them, delivers them.
///
/// SIGTERM and SIGINT end it in order; SIGHUP reads the settings and certificates again. TRUC_LOG overrules the level of the log.
#[derive(Debug, clap::Parser)]
#[command(name = "truc-broker", version)]
pub struct Program {
    /// How it runs.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Runs a broker until it is told to stop.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Flags of every daemon.
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// Address and port where edges connect; port 0 takes a free one. Overrules broker.toml.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address and port where metrics and readiness are read; no TLS. Overrules broker.toml.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Free bytes on the disk below which nothing new is taken in. Overrules broker.toml.
    #[arg(long, value_name = "BYTES")]
    pub disk_reserve_bytes: Option<u64>,
    /// Seconds without a real document after which the broker sends a signed message to itself; 0 turns that off. Overrules broker.toml.
    #[arg(long, value_name = "SECONDS")]
    pub loopback_idle_seconds: Option<u64>,
    /// For benches: every block takes so many milliseconds longer to be durable, like a slower disk.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub sync_delay_ms: u64,
}

/// Runs until SIGTERM, SIGINT or a failure. Prints one line with the address to standard output once edges can connect.
///
/// # Errors
/// Why it could not start, or why it had to end.
pub fn run(args: &RunArgs) -> Result<(), Refusal> {
    let address = |key, address: Option<SocketAddr>| address.map(|address| Override { key, value: Raw::Text(address.to_string()) });
    let number = |key, number: Option<u64>| number.map(|number| Override { key, value: Raw::Integer(number.into()) });
    let overrides = [
        address("listen", args.listen),
        address("metrics_listen", args.metrics_listen),
        number("disk_reserve_bytes", args.disk_reserve_bytes),
        number("loopback_idle_seconds", args.loopback_idle_seconds),
    ];
    let overrides = overrides.into_iter().flatten().collect();
    let check = |settings: &BrokerSettings, password: &[u8]| crate::open(settings, password).map(drop);
    let launch = args.launch.settings("broker", overrides, check, |settings| settings.password_file.as_deref())?;
    let Launch::Run(loaded, source) = launch else { return Ok(()) };
    let Loaded { settings, entries } = *loaded;
    let logging = logging::start(settings.log.format, settings.log.level);
    descriptors::raise();
    let failed = |cause: std::io::Error| Refusal::new(Reason::ConfigInvalid, format!("cannot start: {cause}"));
    let notify = Notify::from_environment().map_err(failed)?;
    let password = password(settings.password_file.as_deref())?;
    let mut config = crate::open(&settings, &password)?;
    config.sync_delay = Duration::from_millis(args.sync_delay_ms);
    config.notify = notify.clone();
    let reloader = Reloader { source, entries, prepare: prepare(logging, config.tls.clone()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let json = args.launch.json;
    let ended = runtime.block_on(async move {
        let shutdown = Shutdown::on_signals().map_err(failed)?;
        reloader.start(notify).map_err(failed)?;
        crate::run(config, shutdown, |address| announce(address, json)).await
    });
    // Not dropped: that would wait for a thread that a dead disk holds.
    runtime.shutdown_background();
    ended
}

/// What a running broker takes over: the certificates of its listener, and how much it logs.
fn prepare(logging: Logging, tls: ServerTls) -> Prepare<BrokerSettings> {
    let logging = Arc::new(logging);
    Box::new(move |settings| {
        let password = password(settings.password_file.as_deref())?;
        let config = server_config(&read_tls(&settings.data, &password)?)?;
        let (tls, logging, level) = (tls.clone(), Arc::clone(&logging), settings.log.level);
        Ok(Box::new(move || {
            tls.replace(config);
            logging.set_level(level);
            vec!["TLS certificates"]
        }))
    })
}
