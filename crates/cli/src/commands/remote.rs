//! The connection of a verb to an edge: plain HTTP/2 on loopback, TLS elsewhere, with the token or client certificate that the edge asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use truc_proto::edge::v1::directory_service_client::DirectoryServiceClient;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_types::limits::GRPC_MESSAGE_BYTES_MAX;
use zeroize::Zeroizing;

use crate::failure::{Failure, Peer, chain};

/// An edge answers at once or not at all.
const CONNECT_MILLIS_MAX: u64 = 5_000;

/// Which edge to talk to, and how to show who asks.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EdgeAddress {
    /// The edge, as http://address:port, or https://name:port where it serves TLS.
    #[arg(id = "edge", long, value_name = "URL")]
    pub(crate) url: String,
    /// File with the token that the edge asks for: the last word of its first line that is no comment.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Authority of the edge's certificate, PEM; for https.
    #[arg(long, value_name = "FILE")]
    pub(crate) edge_ca: Option<PathBuf>,
    /// Client certificate chain, PEM; for https.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Key of the client certificate, PKCS#8 PEM.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
}

/// A connection that shows who calls.
pub(crate) type Line = InterceptedService<Channel, Bearer>;
pub(crate) type Client = DocumentServiceClient<Line>;

/// Puts the token, if there is one, beside every call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl EdgeAddress {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.channel().await?).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
    }

    /// Connects to the directory.
    pub(crate) async fn directory(&self) -> Result<DirectoryServiceClient<Line>, Failure> {
        Ok(DirectoryServiceClient::new(self.channel().await?).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
    }

    /// The connection alone, for its other services.
    pub(crate) async fn channel(&self) -> Result<Line, Failure> {
        let usage =
            || Failure::Usage(format!("--edge {:?} is not like http://127.0.0.1:7522; `truc edge run` prints address and port", self.url));
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| usage())?;
        // Without these the transport tries to connect, and its failure looks as if the edge were away.
        if endpoint.uri().port().is_none() {
            return Err(usage());
        }
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") if self.edge_ca.is_none() && self.client_cert.is_none() => endpoint,
            Some("https") => {
                let tls = self.tls()?;
                endpoint.tls_config(tls).map_err(|cause| Failure::Usage(format!("the certificates for {}: {}", self.url, chain(&cause))))?
            }
            _ => return Err(usage()),
        };
        let bearer = Bearer(self.token_file.as_deref().map(token).transpose()?);
        let channel = endpoint.connect_timeout(Duration::from_millis(CONNECT_MILLIS_MAX)).connect().await;
        let channel = channel.map_err(|cause| Failure::no_answer(&self.url, Peer::Edge, chain(&cause)))?;
        Ok(InterceptedService::new(channel, bearer))
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let Some(authority) = &self.edge_ca else {
            return Err(Failure::Usage("https needs --edge-ca, the authority of the edge's certificate".to_owned()));
        };
        let read = |path: &Path| fs::read(path).map(Zeroizing::new).map_err(|source| Failure::file(path, source));
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authority)?.as_slice()));
        match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => Ok(tls.identity(Identity::from_pem(read(certificate)?.as_slice(), read(key)?.as_slice()))),
            _ => Ok(tls),
        }
    }

    /// The failure that a status of this edge is.
    pub(crate) fn failure(&self, status: &tonic::Status) -> Failure {
        Failure::of_status(&self.url, status)
    }
}

/// The token of a file: alone in a line, or after its name as in the edge's own file.
fn token(path: &Path) -> Result<MetadataValue<Ascii>, Failure> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|source| Failure::file(path, source))?);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let word = line.and_then(|line| line.split_whitespace().next_back());
    let value = word.and_then(|token| format!("Bearer {token}").parse::<MetadataValue<Ascii>>().ok());
    let mut value = value.ok_or_else(|| Failure::Usage(format!("{} holds no token", path.display())))?;
    value.set_sensitive(true);
    Ok(value)
}
