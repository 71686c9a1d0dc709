//! The axis of a bench: agencies of the example directory with their keys in memory, and a broker's data folder under one temporary folder. Nothing
//! runs here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use truc_edge::TrustedLog;
use truc_ledger::LogVerifier;
use truc_signing::{Certificate, SealKey, keyfile};
use truc_transport::clock;
use truc_transport::tls::TlsFiles;
use truc_types::{AgencyCode, Reason, Refusal};
use zeroize::Zeroizing;

use crate::directory;
use crate::failure::Failure;
use crate::local::{Layout, free_address};
use crate::pki;

/// Agencies of the example directory: as many as the national axis has.
pub(super) const AGENCIES_MAX: i64 = 94;

/// An axis on disk, ready to run.
pub(super) struct Axis {
    folder: PathBuf,
    /// Where its parts lie.
    pub(super) layout: Layout,
    /// Opens all keys. They live as long as the temporary folder.
    pub(super) password: Zeroizing<String>,
    /// Where its broker listens, at every start.
    pub(super) broker: SocketAddr,
    /// The key of the log.
    pub(super) log: LogVerifier,
    /// The same as edges in this process trust it, together, as `truc edge host` does.
    pub(super) trusted_log: TrustedLog,
    /// The agencies, in the order of the directory.
    pub(super) agencies: Vec<Agency>,
}

/// What the edge of an agency has.
pub(super) struct Agency {
    pub(super) code: AgencyCode,
    pub(super) seal: SealKey,
    pub(super) tls: TlsFiles,
}

/// Makes an axis with so many agencies under `folder`.
pub(super) fn make(folder: &Path, agencies: u16) -> Result<Axis, Failure> {
    const NAME: &str = "Bench";
    let now = clock::now();
    let password = Zeroizing::new(clock::mint().to_string());
    let layout = Layout::of(folder);
    layout.write_directory()?;
    let joined = directory::read_agencies(&layout.agencies)?;
    let codes: Vec<AgencyCode> = joined.into_iter().map(|joined| joined.agency).take(usize::from(agencies)).collect();
    layout.issue(NAME, codes.iter(), &password, now)?;
    let broker = free_address()?;
    let (_, made) = layout.begin(NAME, broker, &password, now)?;
    let log: LogVerifier = made.log_vkey.parse().map_err(|cause| defect(&format!("{}: {cause}", made.log_vkey)))?;
    let agencies = codes.into_iter().map(|code| open(&layout, code, password.as_bytes())).collect::<Result<_, _>>()?;
    Ok(Axis { folder: folder.to_owned(), layout, password, broker, trusted_log: TrustedLog::new(log.clone()), log, agencies })
}

impl Axis {
    /// Where a daemon of this axis logs.
    pub(super) fn log_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// Reads what an agency was issued.
fn open(layout: &Layout, code: AgencyCode, password: &[u8]) -> Result<Agency, Failure> {
    let folder = layout.pki.join("agencies").join(code.as_str());
    let key = |name: &str| {
        let path = folder.join(name);
        keyfile::read_encrypted(&pki::read_text(&path)?, password).map_err(|cause| defect(&format!("{}: {cause}", path.display())))
    };
    let certificate = Certificate::from_pem(&pki::read_text(&folder.join("seal.cert.pem"))?).map_err(|cause| defect(&cause.to_string()))?;
    let seal = SealKey::new(key("seal.key.pem")?, &certificate).map_err(|cause| defect(&cause.to_string()))?;
    let key_pem = keyfile::write_plain(&key("tls.key.pem")?).map_err(|cause| defect(&cause.to_string()))?;
    let (certificate_pem, authority_pem) = (pki::read_text(&folder.join("tls.cert.pem"))?, pki::read_text(&layout.pki.join("ca.pem"))?);
    Ok(Agency { code, seal, tls: TlsFiles { certificate_pem, key_pem, authority_pem } })
}

/// What was made a moment ago does not fit together.
fn defect(message: &str) -> Failure {
    Failure::Refused(Refusal::new(Reason::ConfigInvalid, message))
}
