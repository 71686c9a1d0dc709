//! The command line of a running broker, for `truc broker run` and `truc-broker` alike.

use std::net::SocketAddr;
use std::path::PathBuf;
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
use truc_transport::tls::{ClientTls, ServerTls, server_config};
use truc_types::{Reason, Refusal};

use crate::config::{read_loopback_tls, read_tls};
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
    let certificates = Certificates {
        data: settings.data.clone(),
        password_file: settings.password_file.clone(),
        listener: config.tls.clone(),
        loopback: config.loopback.as_ref().map(|loopback| loopback.tls.clone()),
    };
    let reloader = Reloader { source, entries, prepare: prepare(logging, certificates) };
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

/// What a running broker takes over: the certificates of its listener and of the message that it sends to itself, and how much it logs. Where the files
/// lie is what the broker was started with, whatever the settings say now.
fn prepare(logging: Logging, certificates: Certificates) -> Prepare<BrokerSettings> {
    let logging = Arc::new(logging);
    Box::new(move |settings| {
        let renew = certificates.read()?;
        let (logging, level) = (Arc::clone(&logging), settings.log.level);
        Ok(Box::new(move || {
            renew();
            logging.set_level(level);
            vec!["TLS certificates"]
        }))
    })
}

/// What shows and trusts certificates in a running broker, and where they come from.
struct Certificates {
    data: PathBuf,
    password_file: Option<PathBuf>,
    listener: ServerTls,
    loopback: Option<ClientTls>,
}

impl Certificates {
    /// Reads all of them; what comes back puts them in use.
    fn read(&self) -> Result<impl FnOnce() + use<>, Refusal> {
        let password = password(self.password_file.as_deref())?;
        let config = server_config(&read_tls(&self.data, &password)?)?;
        let loopback = match &self.loopback {
            Some(tls) => {
                let files = read_loopback_tls(&self.data, &password)?;
                // Whether key and certificate belong together a client says only when it connects.
                server_config(&files)?;
                Some((tls.clone(), files))
            }
            None => None,
        };
        let listener = self.listener.clone();
        Ok(move || {
            listener.replace(config);
            if let Some((tls, files)) = loopback {
                tls.replace(files);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ed25519_dalek::SigningKey;
    use truc_signing::keyfile;

    use super::*;
    use crate::config::{AUTHORITY_FILE, LOOPBACK_TLS_CERTIFICATE_FILE, LOOPBACK_TLS_KEY_FILE, TLS_CERTIFICATE_FILE, TLS_KEY_FILE};
    use crate::tests::axis::certificate_pem_of;

    const PASSWORD: &[u8] = b"a password";

    /// Puts certificate and key of an agency of the tests into the folder, for both sides.
    fn put(data: &Path, agency: usize, key_of: usize) {
        let pem = certificate_pem_of(agency);
        let key = SigningKey::from_bytes(&[u8::try_from(key_of).unwrap() + 1; 32]);
        let key = keyfile::write_encrypted(&key, PASSWORD, [1; 16], [2; 16]).unwrap();
        std::fs::create_dir_all(data.join("keys")).unwrap();
        std::fs::create_dir_all(data.join("trust")).unwrap();
        for file in [TLS_CERTIFICATE_FILE, LOOPBACK_TLS_CERTIFICATE_FILE, AUTHORITY_FILE] {
            std::fs::write(data.join(file), &pem).unwrap();
        }
        std::fs::write(data.join(TLS_KEY_FILE), key.as_bytes()).unwrap();
        std::fs::write(data.join(LOOPBACK_TLS_KEY_FILE), key.as_bytes()).unwrap();
    }

    #[test]
    fn a_reload_renews_listener_and_loopback_together_or_neither() {
        let folder = tempfile::tempdir().unwrap();
        let (data, password_file) = (folder.path().to_owned(), folder.path().join("password"));
        std::fs::write(&password_file, PASSWORD).unwrap();
        put(&data, 0, 0);
        let listener = ServerTls::new(&read_tls(&data, PASSWORD).unwrap()).unwrap();
        let loopback = ClientTls::new(read_loopback_tls(&data, PASSWORD).unwrap());
        let (before, shown) = (listener.current(), loopback.certificate_pem());
        let (watched, client) = (listener.clone(), loopback.clone());
        let certificates = Certificates { data: data.clone(), password_file: Some(password_file), listener, loopback: Some(loopback) };
        put(&data, 1, 1);
        std::fs::write(data.join(LOOPBACK_TLS_KEY_FILE), "no key").unwrap();
        assert_eq!(certificates.read().map(drop).unwrap_err().reason, Reason::KeyUnreadable);
        put(&data, 1, 0);
        assert_eq!(certificates.read().map(drop).unwrap_err().reason, Reason::KeyUnreadable, "key and certificate of two agencies");
        assert!(Arc::ptr_eq(&watched.current(), &before) && client.certificate_pem() == shown, "nothing has changed");
        put(&data, 1, 1);
        certificates.read().unwrap()();
        assert!(!Arc::ptr_eq(&watched.current(), &before));
        assert_eq!((client.certificate_pem(), client.authority_pem()), (certificate_pem_of(1), certificate_pem_of(1)));
    }
}
