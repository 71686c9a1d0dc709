//! What a broker runs with, made of its settings and of the data folder that `truc broker init` makes. The settings are declared in `settings`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use truc_ledger::LogSigner;
use truc_settings::{Override, Raw, Source};
use truc_signing::keyfile;
use truc_transport::notify::Notify;
use truc_transport::tls::{ServerTls, TlsFiles};
use truc_types::{Reason, Refusal};
use zeroize::Zeroizing;

use crate::loopback::LoopbackKeys;
use crate::settings::BrokerSettings;

/// Everything a broker runs with.
pub struct BrokerConfig {
    /// The data folder.
    pub data: PathBuf,
    /// Where edges connect.
    pub listen: SocketAddr,
    /// What the listener shows and trusts.
    pub tls: ServerTls,
    /// Signs checkpoints.
    pub signer: LogSigner,
    /// Every block takes so much longer to be durable; stands for a slower disk in benches. Zero in production.
    pub sync_delay: Duration,
    /// Where metrics and readiness are read; nowhere without it. A loopback or management address: it has no TLS.
    pub metrics_listen: Option<SocketAddr>,
    /// Free bytes on the disk of the data folder below which nothing new is taken in.
    pub disk_reserve_bytes: u64,
    /// Open deliveries beyond which no new document is taken in.
    pub open_deliveries_max: u64,
    /// Keys of the axis' own agency, for the loopback message; an axis that was made without has none.
    pub loopback: Option<LoopbackKeys>,
    /// Time without a real document through the whole path after which a loopback message is sent; zero turns it off.
    pub loopback_idle: Duration,
    /// Whether the port describes its services to tools.
    pub reflection: bool,
    /// The service manager of this process.
    pub notify: Notify,
}

pub(crate) const SETTINGS_FILE: &str = "broker.toml";
pub(crate) const LOG_KEY_FILE: &str = "keys/log.key.pem";
pub(crate) const TLS_KEY_FILE: &str = "keys/tls.key.pem";
pub(crate) const TLS_CERTIFICATE_FILE: &str = "keys/tls.cert.pem";
pub(crate) const LOOPBACK_SEAL_KEY_FILE: &str = "keys/loopback.seal.key.pem";
pub(crate) const LOOPBACK_SEAL_CERTIFICATE_FILE: &str = "keys/loopback.seal.cert.pem";
pub(crate) const LOOPBACK_TLS_KEY_FILE: &str = "keys/loopback.tls.key.pem";
pub(crate) const LOOPBACK_TLS_CERTIFICATE_FILE: &str = "keys/loopback.tls.cert.pem";
pub(crate) const AUTHORITY_FILE: &str = "trust/ca.pem";

/// Reads a data folder with its own settings file. `listen` overrules the setting.
///
/// # Errors
/// When a file is missing or wrong, or the password does not open a key.
pub fn load(data: &Path, password: &[u8], listen: Option<SocketAddr>) -> Result<BrokerConfig, Refusal> {
    let listen = listen.map(|listen| Override { key: "listen", value: Raw::Text(listen.to_string()) });
    let source = Source { file: data.join(SETTINGS_FILE), overrides: listen.into_iter().collect() };
    let loaded = truc_settings::load::<BrokerSettings>(&source);
    open(&loaded.map_err(|mistakes| Refusal::new(Reason::ConfigInvalid, mistakes.to_string()))?.settings, password)
}

/// Reads the keys and certificates that the settings point to.
///
/// # Errors
/// When a file is missing or wrong, or the password does not open a key.
pub fn open(settings: &BrokerSettings, password: &[u8]) -> Result<BrokerConfig, Refusal> {
    let key = keyfile::read_encrypted(&read(&settings.data, LOG_KEY_FILE)?, password);
    let key = key.map_err(|cause| unreadable(LOG_KEY_FILE, &cause))?;
    let signer = LogSigner::new(&settings.log_origin, &key).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
    let tls = ServerTls::new(&read_tls(&settings.data, password)?)?;
    let has_loopback = settings.data.join(LOOPBACK_SEAL_CERTIFICATE_FILE).exists();
    let loopback = if has_loopback { Some(read_loopback(&settings.data, password)?) } else { None };
    Ok(BrokerConfig {
        data: settings.data.clone(),
        listen: settings.listen,
        tls,
        signer,
        sync_delay: Duration::ZERO,
        reflection: settings.reflection,
        notify: Notify::default(),
        metrics_listen: settings.metrics_listen,
        disk_reserve_bytes: settings.disk_reserve_bytes,
        open_deliveries_max: settings.open_deliveries_max,
        loopback,
        loopback_idle: Duration::from_secs(settings.loopback_idle_seconds),
    })
}

/// The files of the listener: at the start, and again at a reload.
pub(crate) fn read_tls(data: &Path, password: &[u8]) -> Result<TlsFiles, Refusal> {
    tls_files(data, TLS_CERTIFICATE_FILE, TLS_KEY_FILE, password)
}

/// The same of the axis' own agency, which connects to the listener.
pub(crate) fn read_loopback_tls(data: &Path, password: &[u8]) -> Result<TlsFiles, Refusal> {
    tls_files(data, LOOPBACK_TLS_CERTIFICATE_FILE, LOOPBACK_TLS_KEY_FILE, password)
}

/// The keys of the axis' own agency.
fn read_loopback(data: &Path, password: &[u8]) -> Result<LoopbackKeys, Refusal> {
    let certificate = read(data, LOOPBACK_SEAL_CERTIFICATE_FILE)?;
    let key = keyfile::read_encrypted(&read(data, LOOPBACK_SEAL_KEY_FILE)?, password);
    let key = key.map_err(|cause| unreadable(LOOPBACK_SEAL_KEY_FILE, &cause))?;
    LoopbackKeys::new(&certificate, key, read_loopback_tls(data, password)?)
}

fn tls_files(data: &Path, certificate: &str, key: &str, password: &[u8]) -> Result<TlsFiles, Refusal> {
    let key_pem = keyfile::read_encrypted(&read(data, key)?, password).and_then(|key| keyfile::write_plain(&key));
    let key_pem: Zeroizing<String> = key_pem.map_err(|cause| unreadable(key, &cause))?;
    Ok(TlsFiles { certificate_pem: read(data, certificate)?, key_pem, authority_pem: read(data, AUTHORITY_FILE)? })
}

fn unreadable(file: &str, cause: &keyfile::KeyFileError) -> Refusal {
    Refusal::new(Reason::KeyUnreadable, format!("{file}: {cause}"))
}

fn read(data: &Path, file: &str) -> Result<String, Refusal> {
    let path = data.join(file);
    std::fs::read_to_string(&path).map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("{}: {cause}", path.display())))
}
