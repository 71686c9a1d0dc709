//! An axis on this machine: its folders, made from the example directory, and its daemons as child processes of this binary. For demo,
//! sandbox and benches; nothing here is for production.

mod process;
pub(crate) mod usage;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use truc_broker::{Init, Initialised};
use truc_edge::InitFiles;
use truc_signing::keyfile::PasswordSource;
use truc_types::{AgencyCode, Timestamp};
use zeroize::Zeroizing;

pub(crate) use self::process::Process;
use crate::commands::broker::init;
use crate::failure::Failure;
use crate::pki::{self, DevelopmentAuthority};

const AGENCIES_CSV: &str = include_str!("../../../../deploy/example-directory/agencies.csv");
const ORGANISATIONS_CSV: &str = include_str!("../../../../deploy/example-directory/organisations.csv");

/// Where the parts of a local axis lie.
pub(crate) struct Layout {
    folder: PathBuf,
    /// The development PKI.
    pub(crate) pki: PathBuf,
    /// The example directory.
    pub(crate) agencies: PathBuf,
    organisations: PathBuf,
    /// The broker's data folder.
    pub(crate) broker: PathBuf,
}

/// An address that was free a moment ago, for a daemon that others have to know before it runs.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map_err(|source| Failure::file(Path::new("127.0.0.1"), source))
}

impl Layout {
    /// The layout below a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        let directory = folder.join("directory");
        Self {
            folder: folder.to_owned(),
            pki: folder.join("pki"),
            agencies: directory.join("agencies.csv"),
            organisations: directory.join("organisations.csv"),
            broker: folder.join("broker"),
        }
    }

    /// Writes the example directory.
    pub(crate) fn write_directory(&self) -> Result<(), Failure> {
        for (path, text) in [(&self.agencies, AGENCIES_CSV), (&self.organisations, ORGANISATIONS_CSV)] {
            let folder = path.parent().unwrap_or(path);
            std::fs::create_dir_all(folder).map_err(|source| Failure::file(folder, source))?;
            std::fs::write(path, text).map_err(|source| Failure::file(path, source))?;
        }
        Ok(())
    }

    /// Makes an authority, and certificates for the agencies under a random password.
    pub(crate) fn issue<'a>(
        &self,
        axis: &str,
        agencies: impl Iterator<Item = &'a AgencyCode>,
        password: &Zeroizing<String>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        pki::init_from(PasswordSource::Random, &self.pki, axis, password.as_bytes(), now)?;
        let authority = DevelopmentAuthority::open(&self.pki, password.as_bytes())?.with_random_passwords();
        for agency in agencies {
            authority.issue(agency, password.as_bytes(), now)?;
        }
        Ok(())
    }

    /// Makes the broker's folder with a new log of the agencies that have certificates.
    pub(crate) fn begin(
        &self,
        axis: &str,
        listen: SocketAddr,
        password: &Zeroizing<String>,
        now: Timestamp,
    ) -> Result<(Init, Initialised), Failure> {
        let arguments = init::Arguments {
            data: self.broker.clone(),
            pki: self.pki.clone(),
            agencies: self.agencies.clone(),
            organisations: Some(self.organisations.clone()),
            axis: axis.to_owned(),
            listen,
            password_file: None,
        };
        let (genesis, _) = init::prepare(&arguments, Zeroizing::new(password.as_bytes().to_vec()))?;
        let made = truc_broker::init(&arguments.data, &genesis, now).map_err(Failure::Refused)?;
        Ok((genesis, made))
    }

    /// The data folder of an agency's edge.
    pub(crate) fn edge(&self, agency: &AgencyCode) -> PathBuf {
        self.folder.join(agency.as_str())
    }

    /// Makes the folder of an agency's edge.
    pub(crate) fn make_edge(
        &self,
        agency: &AgencyCode,
        broker: SocketAddr,
        listen: SocketAddr,
        password: &Zeroizing<String>,
    ) -> Result<(), Failure> {
        let own = self.pki.join("agencies").join(agency.as_str());
        let files = InitFiles {
            agency: agency.clone(),
            broker: format!("https://{broker}"),
            listen,
            seal_key: own.join("seal.key.pem"),
            seal_certificate: own.join("seal.cert.pem"),
            tls_key: own.join("tls.key.pem"),
            tls_certificate: own.join("tls.cert.pem"),
            authority: self.pki.join("ca.pem"),
            operator_certificate: self.pki.join("operator.cert.pem"),
            log_key: self.pki.join("log.vkey"),
        };
        let made = truc_edge::init(&self.edge(agency), &files, password.as_bytes());
        made.map_err(|cause| Failure::Refused(cause.to_refusal()))
    }
}
