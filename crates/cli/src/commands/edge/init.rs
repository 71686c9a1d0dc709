//! `truc edge init`: the data folder of an edge, from a PKI folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use truc_edge::InitFiles;
use truc_types::{AgencyCode, Refusal};

use truc_transport::daemon;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Make the data folder of an agency's edge. Keys, certificates and trust are copied into it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder that `truc pki init` and `truc pki issue` filled.
    #[arg(long, value_name = "DIR")]
    pub pki: PathBuf,
    /// Code of the agency.
    #[arg(long, value_name = "CODE")]
    pub agency: AgencyCode,
    /// The broker, as https://host:port.
    #[arg(long, value_name = "URL")]
    pub broker: String,
    /// Loopback address and port where the DMS connects; port 0 takes a free one at every start.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// File with the password of the private keys; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

impl Arguments {
    /// Where the files lie in the PKI folder.
    #[must_use]
    pub fn files(&self) -> InitFiles {
        let agency = self.pki.join("agencies").join(self.agency.as_str());
        InitFiles {
            agency: self.agency.clone(),
            broker: self.broker.clone(),
            listen: self.listen,
            seal_key: agency.join("seal.key.pem"),
            seal_certificate: agency.join("seal.cert.pem"),
            tls_key: agency.join("tls.key.pem"),
            tls_certificate: agency.join("tls.cert.pem"),
            authority: self.pki.join("ca.pem"),
            operator_certificate: self.pki.join("operator.cert.pem"),
            log_key: self.pki.join("log.vkey"),
        }
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let files = arguments.files();
    if !files.seal_certificate.is_file() {
        let Arguments { pki, agency, .. } = arguments;
        let pki = pki.display();
        return Err(Failure::Usage(format!("{pki} holds no certificates of {agency}: `truc pki issue {pki} {agency}` makes them")));
    }
    let made = truc_edge::init(&arguments.data, &files, &password);
    made.map_err(|cause| Failure::Refused(Refusal::new(cause.reason(), cause.to_string())))?;
    let object = serde_json::json!({ "agency": arguments.agency.as_str(), "data": arguments.data, "broker": arguments.broker });
    output.data(&format!("edge of {} in {}", arguments.agency, arguments.data.display()), &object)?;
    Ok(Exit::Done)
}
