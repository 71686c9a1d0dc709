//! Where a broker keeps its things and how it is told: the data folder that `truc broker init` makes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use truc_ledger::LogSigner;
use truc_signing::keyfile;
use truc_transport::tls::TlsFiles;
use truc_types::{Reason, Refusal};
use zeroize::Zeroizing;

/// Everything a broker runs with.
pub struct BrokerConfig {
    /// The data folder.
    pub data: PathBuf,
    /// Where edges connect.
    pub listen: SocketAddr,
    /// TLS certificate, key and authority.
    pub tls: TlsFiles,
    /// Signs checkpoints.
    pub signer: LogSigner,
    /// Every block takes so much longer to be durable; stands for a slower disk in benches. Zero in production.
    pub sync_delay: Duration,
}

/// `broker.json` in the data folder. Unknown fields are refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Address and port where edges connect; port 0 takes a free one.
    pub(crate) listen: String,
    /// Origin of the log and name of its key.
    pub(crate) log_origin: String,
}

pub(crate) const SETTINGS_FILE: &str = "broker.json";
pub(crate) const LOG_KEY_FILE: &str = "keys/log.key.pem";
pub(crate) const TLS_KEY_FILE: &str = "keys/tls.key.pem";
pub(crate) const TLS_CERTIFICATE_FILE: &str = "keys/tls.cert.pem";
pub(crate) const AUTHORITY_FILE: &str = "trust/ca.pem";

/// Reads the data folder. `listen` overrules the setting.
///
/// # Errors
/// When a file is missing or wrong, or the password does not open a key.
pub fn load(data: &Path, password: &[u8], listen: Option<SocketAddr>) -> Result<BrokerConfig, Refusal> {
    let settings: Settings = serde_json::from_str(&read(data, SETTINGS_FILE)?)
        .map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("{SETTINGS_FILE}: {cause}")))?;
    let listen = match listen {
        Some(listen) => listen,
        None => settings.listen.parse().map_err(|_| {
            Refusal::new(Reason::ConfigInvalid, format!("{SETTINGS_FILE}: listen is {:?}, expected address:port", settings.listen))
        })?,
    };
    let key = |file: &str| {
        let unreadable = |cause: String| Refusal::new(Reason::KeyUnreadable, format!("{file}: {cause}"));
        keyfile::read_encrypted(&read(data, file)?, password).map_err(|cause| unreadable(cause.to_string()))
    };
    let signer = LogSigner::new(&settings.log_origin, &key(LOG_KEY_FILE)?)
        .map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
    let key_pem: Zeroizing<String> =
        keyfile::write_plain(&key(TLS_KEY_FILE)?).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
    let tls = TlsFiles { certificate_pem: read(data, TLS_CERTIFICATE_FILE)?, key_pem, authority_pem: read(data, AUTHORITY_FILE)? };
    Ok(BrokerConfig { data: data.to_owned(), listen, tls, signer, sync_delay: Duration::ZERO })
}

fn read(data: &Path, file: &str) -> Result<String, Refusal> {
    let path = data.join(file);
    std::fs::read_to_string(&path).map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("{}: {cause}", path.display())))
}
