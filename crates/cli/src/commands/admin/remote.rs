//! The connection of the operator to the broker: mutual TLS with the operator's client certificate.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use truc_ledger::LogVerifier;
use truc_proto::admin::v1::broker_admin_service_client::BrokerAdminServiceClient;
use truc_signing::keyfile;
use truc_transport::daemon;
use truc_transport::tls::{self, TlsFiles};
use truc_types::limits::GRPC_MESSAGE_BYTES_MAX;
use truc_types::{Reason, Refusal, Timestamp};

use crate::commands::remote::EdgeAddress;
use crate::failure::{Failure, Peer, chain};
use crate::language::Language;
use crate::measure;
use crate::pki;

/// Time for the connection to come about, and for each answer: a broker that takes longer has a problem that should be seen.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Pages of a list that are read: more rows than any axis has agencies.
pub(super) const PAGES_MAX: usize = 1_000;

/// Which broker to look at, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerAddress {
    /// The broker, as https://host:port.
    #[arg(id = "broker", long, value_name = "URL")]
    pub(crate) url: String,
    /// Folder with operator.tls.cert.pem, operator.tls.key.pem, ca.pem and log.vkey, as `truc pki init` makes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) pki: PathBuf,
    /// File with the password of the key; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Whom to ask: a broker, an edge, or both.
#[derive(Debug, Args)]
pub(crate) struct Node {
    /// The broker, as https://host:port.
    #[arg(long, value_name = "URL", requires = "pki", required_unless_present = "edge")]
    broker: Option<String>,
    /// Folder with operator.tls.cert.pem, operator.tls.key.pem, ca.pem and log.vkey, as `truc pki init` makes it.
    #[arg(long, value_name = "DIR")]
    pki: Option<PathBuf>,
    /// File with the password of the key; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// An edge, as http://address:port, or https://name:port where it serves TLS.
    #[arg(long, value_name = "URL")]
    edge: Option<String>,
    /// File with the token that the edge asks for.
    #[arg(long, value_name = "FILE", requires = "edge")]
    token_file: Option<PathBuf>,
    /// Authority of the edge's certificate, PEM; for https.
    #[arg(long, value_name = "FILE", requires = "edge")]
    edge_ca: Option<PathBuf>,
}

impl Node {
    /// The broker that was named.
    pub(super) fn broker(&self) -> Option<BrokerAddress> {
        let (url, pki) = self.broker.clone().zip(self.pki.clone())?;
        Some(BrokerAddress { url, pki, password_file: self.password_file.clone() })
    }

    /// The edge that was named.
    pub(super) fn edge(&self) -> Option<EdgeAddress> {
        let (token_file, edge_ca) = (self.token_file.clone(), self.edge_ca.clone());
        self.edge.clone().map(|url| EdgeAddress { url, token_file, edge_ca, ..EdgeAddress::default() })
    }
}

pub(crate) type Client = BrokerAdminServiceClient<Channel>;

impl BrokerAddress {
    /// Connects as the operator.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let usage = || Failure::Usage(format!("--broker {:?} is not like https://host:port", self.url));
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| usage())?;
        if endpoint.uri().scheme_str() != Some("https") || endpoint.uri().port().is_none() {
            return Err(usage());
        }
        let files = self.files()?;
        let endpoint = endpoint.tls_config(tls::client(&files)).map_err(|cause| self.unreachable(&cause))?;
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).timeout(ANSWER_MAX).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|cause| self.unreachable(&cause))?;
        Ok(Client::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
    }

    /// The key of the log: what proofs are checked with.
    pub(crate) fn log_key(&self) -> Result<LogVerifier, Failure> {
        let path = self.pki.join("log.vkey");
        let text = pki::read_text(&path)?;
        let unreadable = |cause| Failure::Refused(Refusal::new(Reason::KeyUnreadable, format!("{}: {cause}", path.display())));
        text.trim_end().parse().map_err(unreadable)
    }

    /// The failure that a status of this broker is.
    pub(crate) fn failure(&self, status: &tonic::Status) -> Failure {
        Failure::of_broker_status(&self.url, status)
    }

    fn files(&self) -> Result<TlsFiles, Failure> {
        let password = daemon::password(self.password_file.as_deref()).map_err(Failure::Refused)?;
        let path = self.pki.join("operator.tls.key.pem");
        let unreadable = |cause| Failure::Refused(Refusal::new(Reason::KeyUnreadable, format!("{}: {cause}", path.display())));
        let key = keyfile::read_encrypted(&pki::read_text(&path)?, &password).map_err(unreadable)?;
        Ok(TlsFiles {
            certificate_pem: pki::read_text(&self.pki.join("operator.tls.cert.pem"))?,
            key_pem: keyfile::write_plain(&key).map_err(unreadable)?,
            authority_pem: pki::read_text(&self.pki.join("ca.pem"))?,
        })
    }

    fn unreachable(&self, cause: &tonic::transport::Error) -> Failure {
        Failure::no_answer(&self.url, Peer::Broker, chain(cause))
    }
}

/// How long ago a time of an answer was, by the clock of the answer; a dash for none.
pub(super) fn age(at: &str, now: &str) -> String {
    age_millis(at, now).map_or_else(|| "-".to_owned(), measure::millis)
}

/// The same in milliseconds; `None` where either is no time.
pub(super) fn age_millis(at: &str, now: &str) -> Option<u64> {
    let (at, now): (Timestamp, Timestamp) = (at.parse().ok()?, now.parse().ok()?);
    Some(now.millis_since(at))
}

/// The head of a table, in English or Vietnamese.
pub(super) fn heads<const N: usize>(language: Language, heads: [(&str, &str); N]) -> Vec<String> {
    heads.map(|(english, vietnamese)| language.choose(english, vietnamese).to_owned()).to_vec()
}

/// Whether an edge is there.
pub(super) const fn presence(connected: bool, language: Language) -> &'static str {
    if connected { language.choose("connected", "đang kết nối") } else { language.choose("away", "vắng") }
}

/// A row of a table.
pub(super) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}
