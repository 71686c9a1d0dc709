//! The connection of a verb to an edge. Plain HTTP/2 on the loopback interface: the DMS and its edge are one machine or one trust.

use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use truc_proto::edge::v1::directory_service_client::DirectoryServiceClient;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_types::limits::GRPC_MESSAGE_BYTES_MAX;

use crate::failure::Failure;

/// An edge on this machine answers at once or not at all.
const CONNECT_MILLIS_MAX: u64 = 5_000;

/// Which edge to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct EdgeAddress {
    /// The edge, as http://address:port.
    #[arg(id = "edge", long, value_name = "URL")]
    pub(crate) url: String,
}

pub(crate) type Client = DocumentServiceClient<Channel>;

impl EdgeAddress {
    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.channel().await?).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
    }

    /// Connects to the directory.
    pub(crate) async fn directory(&self) -> Result<DirectoryServiceClient<Channel>, Failure> {
        Ok(DirectoryServiceClient::new(self.channel().await?).max_decoding_message_size(GRPC_MESSAGE_BYTES_MAX))
    }

    /// The connection alone, for its other services.
    pub(crate) async fn channel(&self) -> Result<Channel, Failure> {
        let usage =
            || Failure::Usage(format!("--edge {:?} is not like http://127.0.0.1:7522; `truc edge run` prints address and port", self.url));
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| usage())?;
        // Without these the transport tries to connect, and its failure looks as if the edge were away.
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().port().is_none() {
            return Err(usage());
        }
        let channel = endpoint.connect_timeout(Duration::from_millis(CONNECT_MILLIS_MAX)).connect().await;
        channel.map_err(|cause| Failure::Unreachable { url: self.url.clone(), message: chain(&cause) })
    }

    /// The failure that a status of this edge is.
    pub(crate) fn failure(&self, status: &tonic::Status) -> Failure {
        Failure::of_status(&self.url, status)
    }
}

/// An error with its causes: the transport's own words are "transport error".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
