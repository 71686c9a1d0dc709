//! Makes a data folder from key and trust files, and loads it again. Both check that the files fit together, so that a mistake is found before
//! anything is sealed.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_ledger::LogVerifier;
use truc_settings::{Override, Raw, Source};
use truc_signing::statement::SignerRole;
use truc_signing::{Authority, Certificate, CertificateError, Owner, SealKey, TrustedKey, keyfile};
use truc_transport::clock;
use truc_transport::launch::title;
use truc_transport::notify::Notify;
use truc_transport::tls::{ClientTls, TlsFiles};
use truc_types::AgencyCode;
use zeroize::Zeroizing;

use crate::access::{DmsAccess, DmsTls, check_listen};
use crate::config::{EdgeConfig, Layout, parse_broker};
use crate::error::EdgeError;
use crate::settings::EdgeSettings;
use crate::trust::TrustedLog;
use crate::watch::WatchFolder;

/// Bytes of a key, certificate or trust file; far above any of them.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a new data folder is made from. The files are copied, not moved.
#[derive(Debug, Clone)]
pub struct InitFiles {
    /// The agency that the edge will serve.
    pub agency: AgencyCode,
    /// Address of the broker, `https://host:port`.
    pub broker: String,
    /// Where the DMS connects; a run on anything but loopback asks for TLS and credentials.
    pub listen: SocketAddr,
    /// Encrypted PKCS#8 PEM of the seal key.
    pub seal_key: PathBuf,
    /// PEM of its certificate, which names the agency.
    pub seal_certificate: PathBuf,
    /// PKCS#8 PEM of the TLS key; an encrypted one has the same password and is an Ed25519 key.
    pub tls_key: PathBuf,
    /// PEM of the TLS certificate chain.
    pub tls_certificate: PathBuf,
    /// PEM of the axis' certificate authority.
    pub authority: PathBuf,
    /// PEM of the operator's certificate.
    pub operator_certificate: PathBuf,
    /// C2SP verifier key of the log.
    pub log_key: PathBuf,
}

/// Makes a data folder. An existing one is refused, whatever is in it.
///
/// # Errors
/// [`EdgeError::Config`], [`EdgeError::Key`] and [`EdgeError::File`]: nothing is left behind but possibly an incomplete folder without `edge.toml`.
pub fn init(data: &Path, files: &InitFiles, password: &[u8]) -> Result<(), EdgeError> {
    let layout = Layout::of(data);
    if layout.settings().exists() {
        return Err(EdgeError::Config { setting: "data", cause: format!("{} is an edge's data folder already", data.display()) });
    }
    make_folder(data)?;
    let given = |key, value: String| Override { key, value: Raw::Text(value) };
    let given =
        [given("agency", files.agency.to_string()), given("broker", files.broker.clone()), given("listen", files.listen.to_string())];
    let (text, settings) =
        truc_settings::compose::<EdgeSettings>(&title("edge"), &layout.settings(), &given).map_err(EdgeError::Settings)?;
    make_folder(&layout.keys())?;
    make_folder(&layout.trust())?;
    let copies = [
        (&files.seal_key, layout.seal_key()),
        (&files.seal_certificate, layout.seal_certificate()),
        (&files.tls_key, layout.tls_key()),
        (&files.tls_certificate, layout.tls_certificate()),
        (&files.authority, layout.authority()),
        (&files.operator_certificate, layout.operator_certificate()),
        (&files.log_key, layout.log_key()),
    ];
    for (from, to) in copies {
        write_private(&to, read_text(from)?.as_bytes())?;
    }
    open(&settings, password)?;
    // Last: a folder with settings is a complete one.
    write_private(&layout.settings(), text.as_bytes())
}

/// Loads a data folder that [`init`] made, with its own settings file.
///
/// # Errors
/// [`EdgeError::Settings`], [`EdgeError::Config`], [`EdgeError::Key`] and [`EdgeError::File`].
pub fn load(data: &Path, password: &[u8]) -> Result<EdgeConfig, EdgeError> {
    let source = Source { file: Layout::of(data).settings(), overrides: Vec::new() };
    open(&truc_settings::load::<EdgeSettings>(&source).map_err(EdgeError::Settings)?.settings, password)
}

/// Reads the keys and certificates that the settings point to, and checks that they fit together.
///
/// # Errors
/// [`EdgeError::Config`], [`EdgeError::Key`] and [`EdgeError::File`].
pub fn open(settings: &EdgeSettings, password: &[u8]) -> Result<EdgeConfig, EdgeError> {
    let layout = &Layout::of(&settings.data);
    let config = |setting, cause: String| EdgeError::Config { setting, cause };
    let agency: AgencyCode = settings.agency.parse().map_err(|cause| config("agency", format!("{cause}")))?;
    let broker = parse_broker(&settings.broker).map_err(|cause| config("broker", cause))?;
    let access = access(settings)?;
    check_listen(settings.listen, &access)?;
    let authority_pem = read_text(&layout.authority())?;
    let authorities = Authority::chain_from_pem(&authority_pem).map_err(|cause| config("trust/ca.pem", cause.to_string()))?;
    let (seal, seal_certificate) = seal_key(layout, &agency, &authorities, password)?;
    let operator = operator_key(layout, &authorities)?;
    let log = read_text(&layout.log_key())?;
    let log: LogVerifier = log.trim_end().parse().map_err(|cause| config("trust/log.vkey", format!("{cause}")))?;
    let tls = tls_files(layout, &agency, authority_pem, password)?;
    Ok(EdgeConfig {
        data: settings.data.clone(),
        agency,
        broker,
        listen: settings.listen,
        access,
        seal: Arc::new(seal),
        seal_certificate,
        tls: ClientTls::new(tls),
        operator,
        log: TrustedLog::new(log),
        take_over: false,
        watch: settings.watch.folder.as_ref().map(|path| WatchFolder {
            path: path.clone(),
            declare_secrecy: settings.watch.declare_secrecy.clone(),
            poll_millis: settings.watch.poll_millis,
            settle_millis: settings.watch.settle_millis,
            patience_millis: settings.watch.patience_millis,
        }),
        reflection: settings.reflection,
        notify: Notify::default(),
        metrics: crate::metrics::new(),
        metrics_listen: settings.metrics_listen,
        disk_reserve_bytes: settings.disk_reserve_bytes,
    })
}

/// How a DMS shows who it is: at the start, and again at a reload.
pub(crate) fn access(settings: &EdgeSettings) -> Result<DmsAccess, EdgeError> {
    let tls = match (&settings.dms_tls_cert, &settings.dms_tls_key) {
        (Some(certificate), Some(key)) => Some(DmsTls::read(certificate, key, settings.dms_client_ca.as_deref())?),
        (None, None) if settings.dms_client_ca.is_none() => None,
        _ => {
            let cause = "dms_tls_cert and dms_tls_key belong together, and dms_client_ca needs both".to_owned();
            return Err(EdgeError::Config { setting: "dms_tls_cert", cause });
        }
    };
    Ok(DmsAccess { token_file: settings.token_file.clone(), tls })
}

fn seal_key(layout: &Layout, agency: &AgencyCode, authorities: &[Authority], password: &[u8]) -> Result<(SealKey, Certificate), EdgeError> {
    let setting = "keys/seal.cert.pem";
    let certificate = issued(setting, &read_text(&layout.seal_certificate())?, authorities)?;
    if certificate.owner != Owner::Agency(agency.clone()) {
        let cause = format!("the certificate is of {}, the edge is of {agency}", certificate.owner.urn());
        return Err(EdgeError::Config { setting, cause });
    }
    let path = layout.seal_key();
    let key = keyfile::read_encrypted(&read_text(&path)?, password);
    let key = key.map_err(|cause| EdgeError::Key { path: path.clone(), cause: cause.to_string() })?;
    match SealKey::new(key, &certificate) {
        Ok(seal) => Ok((seal, certificate)),
        Err(_) => Err(EdgeError::Key { path, cause: "the key does not belong to keys/seal.cert.pem".to_owned() }),
    }
}

/// The seal certificate that a start would use now.
pub(crate) fn seal_certificate_now(settings: &EdgeSettings) -> Result<Certificate, EdgeError> {
    let pem = read_text(&Layout::of(&settings.data).seal_certificate())?;
    Certificate::from_pem(&pem).map_err(|cause| EdgeError::Config { setting: "keys/seal.cert.pem", cause: cause.to_string() })
}

fn operator_key(layout: &Layout, authorities: &[Authority]) -> Result<TrustedKey, EdgeError> {
    let setting = "trust/operator.cert.pem";
    let certificate = issued(setting, &read_text(&layout.operator_certificate())?, authorities)?;
    if certificate.owner == Owner::Operator {
        return Ok(certificate.trusted_key(SignerRole::Operator));
    }
    Err(EdgeError::Config { setting, cause: format!("the certificate is of {}", certificate.owner.urn()) })
}

/// A certificate that one of the authorities issued. An ended one passes: the edge must be able to start and say what happened to its documents.
fn issued(setting: &'static str, pem: &str, authorities: &[Authority]) -> Result<Certificate, EdgeError> {
    let certificate = Certificate::from_pem(pem).map_err(|cause| EdgeError::Config { setting, cause: cause.to_string() })?;
    let now = clock::now();
    let mut cause = CertificateError::Issuer;
    for authority in authorities {
        match authority.check(&certificate, now) {
            Ok(()) => return Ok(certificate),
            Err(ended @ (CertificateError::Expired { .. } | CertificateError::NotYetValid { .. })) => {
                tracing::warn!(certificate = setting, cause = %ended, "a certificate is outside its validity");
                return Ok(certificate);
            }
            Err(other) => cause = other,
        }
    }
    Err(EdgeError::Config { setting, cause: cause.to_string() })
}

/// The files of the connection to the broker: at a reload.
pub(crate) fn read_tls(settings: &EdgeSettings, password: &[u8]) -> Result<TlsFiles, EdgeError> {
    let layout = Layout::of(&settings.data);
    let agency = settings.agency.parse();
    let agency: AgencyCode = agency.map_err(|cause| EdgeError::Config { setting: "agency", cause: format!("{cause}") })?;
    tls_files(&layout, &agency, read_text(&layout.authority())?, password)
}

fn tls_files(layout: &Layout, agency: &AgencyCode, authority_pem: String, password: &[u8]) -> Result<TlsFiles, EdgeError> {
    let certificate_pem = read_text(&layout.tls_certificate())?;
    // A TLS key may have another algorithm than seals; then the broker is who finds out whose certificate it is.
    if let Ok(certificate) = Certificate::from_pem(&certificate_pem)
        && certificate.owner != Owner::Agency(agency.clone())
    {
        let cause = format!("the certificate is of {}, the edge is of {agency}", certificate.owner.urn());
        return Err(EdgeError::Config { setting: "keys/tls.cert.pem", cause });
    }
    let path = layout.tls_key();
    let mut key_pem = Zeroizing::new(read_text(&path)?);
    if key_pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        let decrypted = keyfile::read_encrypted(&key_pem, password).and_then(|key| keyfile::write_plain(&key));
        key_pem = decrypted.map_err(|cause| EdgeError::Key { path, cause: cause.to_string() })?;
    }
    Ok(TlsFiles { certificate_pem, key_pem, authority_pem })
}

fn make_folder(path: &Path) -> Result<(), EdgeError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| EdgeError::File { path: path.to_owned(), source })
}

/// Writes a new file that only this user can read.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EdgeError> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| EdgeError::File { path: path.to_owned(), source })
}

fn read_text(path: &Path) -> Result<String, EdgeError> {
    let file = |source| EdgeError::File { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > FILE_BYTES_MAX {
        let cause = format!("{} has {length} bytes, at most {FILE_BYTES_MAX} are read", path.display());
        return Err(EdgeError::Config { setting: "file", cause });
    }
    fs::read_to_string(path).map_err(file)
}
