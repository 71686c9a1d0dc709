//! What an edge runs with, and the layout of its data folder. Written once by `init`, read by `load`; the settings are declared in `settings`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tonic::transport::Uri;
use truc_signing::{Certificate, SealKey, TrustedKey};
use truc_transport::metrics::Metrics;
use truc_transport::notify::Notify;
use truc_transport::tls::ClientTls;
use truc_types::AgencyCode;

use crate::access::DmsAccess;
use crate::trust::TrustedLog;
use crate::watch::WatchFolder;

/// Everything one edge needs; made by [`crate::load`].
#[derive(Clone)]
pub struct EdgeConfig {
    /// The data folder.
    pub data: PathBuf,
    /// The agency that this edge serves.
    pub agency: AgencyCode,
    /// Address of the broker, `https://host:port`.
    pub broker: Uri,
    /// Where the DMS connects: a loopback address, unless [`access`](Self::access) says how a DMS shows who it is. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How a DMS shows that it may talk to this edge.
    pub access: DmsAccess,
    /// The seal key. It never leaves this process.
    pub seal: Arc<SealKey>,
    /// Its certificate.
    pub seal_certificate: Certificate,
    /// Certificate, key and authority of the connection to the broker.
    pub tls: ClientTls,
    /// The operator's key: seals the registry.
    pub operator: TrustedKey,
    /// The axis' log: its key, and what is known of it. Edges of one process may share it ([`TrustedLog::beside`]).
    pub log: TrustedLog,
    /// Take over although the edge of the older term is connected.
    pub take_over: bool,
    /// A folder that is watched for national edXML files, for a DMS that can only drop and pick up files.
    pub watch: Option<WatchFolder>,
    /// Whether the port describes its services to tools.
    pub reflection: bool,
    /// The service manager of this process.
    pub notify: Notify,
    /// Counts for this edge; edges of one process may share one ([`crate::metrics::new`]).
    pub metrics: Metrics,
    /// Where metrics and readiness are read; nowhere without it. A loopback or management address: it has no TLS.
    pub metrics_listen: Option<SocketAddr>,
    /// Free bytes on the disk of the data folder below which no new document is taken from the DMS.
    pub disk_reserve_bytes: u64,
}

impl fmt::Debug for EdgeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EdgeConfig");
        shown.field("data", &self.data).field("agency", &self.agency).field("broker", &self.broker).field("listen", &self.listen);
        shown.field("take_over", &self.take_over).field("watch", &self.watch).finish_non_exhaustive()
    }
}

/// Where everything is in a data folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn of(data: &Path) -> Self {
        Self(data.to_owned())
    }
    pub(crate) fn settings(&self) -> PathBuf {
        self.0.join("edge.toml")
    }
    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }
    pub(crate) fn seal_key(&self) -> PathBuf {
        self.keys().join("seal.key.pem")
    }
    pub(crate) fn seal_certificate(&self) -> PathBuf {
        self.keys().join("seal.cert.pem")
    }
    pub(crate) fn tls_key(&self) -> PathBuf {
        self.keys().join("tls.key.pem")
    }
    pub(crate) fn tls_certificate(&self) -> PathBuf {
        self.keys().join("tls.cert.pem")
    }
    pub(crate) fn trust(&self) -> PathBuf {
        self.0.join("trust")
    }
    pub(crate) fn authority(&self) -> PathBuf {
        self.trust().join("ca.pem")
    }
    pub(crate) fn operator_certificate(&self) -> PathBuf {
        self.trust().join("operator.cert.pem")
    }
    pub(crate) fn log_key(&self) -> PathBuf {
        self.trust().join("log.vkey")
    }
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }
    pub(crate) fn views(&self) -> PathBuf {
        self.0.join("views")
    }
    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }
    pub(crate) fn hand_ins(&self) -> PathBuf {
        self.0.join("hand-ins")
    }
}

/// The address of the broker, which must be reached over TLS; or what is wrong with it.
pub(crate) fn parse_broker(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|cause| format!("is {text:?}, which is no address: {cause}"))?;
    if uri.scheme_str() != Some("https") || uri.authority().is_none() {
        return Err(format!("is {text:?}, expected https://host:port"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_reached_over_tls_only() {
        assert!(parse_broker("https://broker.example:7000").is_ok());
        for wrong in ["http://broker.example:7000", "broker.example:7000", "https://", "::"] {
            assert!(parse_broker(wrong).unwrap_err().contains(wrong));
        }
    }
}
