//! A public-key infrastructure for development: one authority whose key lies in a file. Not for production, where keys live in an HSM.
//!
//! Ed25519 throughout; every private key is an encrypted PKCS#8 version 1 file, which `openssl` reads. Layout of the folder:
//!
//! ```text
//! ca.pem  ca.key.pem                              the authority
//! operator.cert.pem  operator.key.pem             seals the registry
//! operator.tls.cert.pem  operator.tls.key.pem     the operator's side of mutual TLS, for `truc admin`
//! broker.tls.cert.pem  broker.tls.key.pem         the broker's side of mutual TLS
//! log.key.pem  log.vkey                           signs checkpoints; the vkey is what auditors get
//! agencies/<CODE>/seal.cert.pem  seal.key.pem     the agency's transport seal
//! agencies/<CODE>/tls.cert.pem  tls.key.pem       its edge's side of mutual TLS
//! agencies/TRUC.LOOPBACK/                         the same for the axis itself, whose loopback messages the broker seals
//! ```

mod certify;
mod files;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use truc_ledger::LogVerifier;
use truc_signing::keyfile::{self, KeyFileError, PasswordSource};
use truc_transport::clock;
use truc_types::names::{LOG_ORIGIN_PREFIX, LOOPBACK_AGENCY};
use truc_types::{AgencyCode, Date, Reason, Timestamp};

use certify::Profile;

/// Longest axis name: what a common name may have (RFC 5280, `ub-common-name`), less the words beside it.
const AXIS_NAME_BYTES_MAX: usize = 40;
/// A certificate or key file.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why the PKI cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is something already; nothing is ever overwritten.
    #[error("{0} is there already; nothing was overwritten")]
    Exists(PathBuf),
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key file.
    #[error("{path}: {source}")]
    Key {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// The key and the certificate of the authority are not a pair.
    #[error("{0} is not the key of the certificate beside it")]
    NotAPair(PathBuf),
    /// The library cannot write the certificate.
    #[error("the certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The name does not fit into certificates.
    #[error("an axis name has 1 to {AXIS_NAME_BYTES_MAX} bytes without control characters")]
    AxisName,
    /// A code that is none.
    #[error(transparent)]
    Code(#[from] truc_types::CodeError),
    /// The log key cannot be named.
    #[error(transparent)]
    LogKey(#[from] truc_ledger::KeyError),
}

impl PkiError {
    /// The stable reason, for what is wrong with keys.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Key { .. } | Self::NotAPair(_) => Some(Reason::KeyUnreadable),
            Self::Exists(_) | Self::File { .. } | Self::Certificate(_) | Self::AxisName | Self::Code(_) | Self::LogKey(_) => None,
        }
    }
}

/// What [`init`] made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NewPki {
    /// The folder.
    pub folder: PathBuf,
    /// Origin of the log, which is the name of its key.
    pub log_origin: String,
    /// The key of the log as a C2SP vkey: what auditors get.
    pub log_vkey: String,
}

/// What [`issue`] made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NewAgency {
    /// Code of the agency.
    pub agency: String,
    /// Folder with its two certificates and keys.
    pub folder: PathBuf,
    /// Key id of the seal.
    pub seal_keyid: String,
}

/// The origin of the log of the year of `now`.
#[must_use]
pub fn log_origin(now: Timestamp) -> String {
    const DAY_MILLIS: u64 = 86_400_000;
    // Timestamps end in the year 9999, so the day is always one of the calendar.
    let day = u32::try_from(now.as_millis() / DAY_MILLIS).ok().and_then(Date::from_days_since_epoch);
    let year = day.map_or(9999, |day| day.parts().0);
    format!("{LOG_ORIGIN_PREFIX}{year:04}")
}

/// Makes authority, operator, broker and log keys in `folder`, which may exist but must hold none of the files.
///
/// # Errors
/// [`PkiError::Exists`] when there is a PKI already; what the file system or the certificate library refuse.
pub fn init(folder: &Path, axis: &str, password: &[u8], now: Timestamp) -> Result<NewPki, PkiError> {
    init_from(PasswordSource::Person, folder, axis, password, now)
}

/// The same, under a password from a source that is named: under a random one it takes a moment.
///
/// # Errors
/// As [`init`].
pub fn init_from(passwords: PasswordSource, folder: &Path, axis: &str, password: &[u8], now: Timestamp) -> Result<NewPki, PkiError> {
    if axis.is_empty() || axis.len() > AXIS_NAME_BYTES_MAX || axis.chars().any(char::is_control) {
        return Err(PkiError::AxisName);
    }
    files::make_folder(folder)?;
    let authority_key = new_key();
    let authority = certify::authority(&format!("{axis} development authority"), &authority_key, now)?;
    // The authority's certificate is claimed first: a second init stops here, before it has written anything.
    files::write_public(&folder.join("ca.pem"), &authority.pem())?;
    write_key(&folder.join("ca.key.pem"), &authority_key, password, passwords)?;
    let made = DevelopmentAuthority { folder: folder.to_owned(), key: authority_key, certificate_pem: authority.pem(), passwords };
    for (name, profile) in [("operator", Profile::Operator), ("operator.tls", Profile::OperatorClient), ("broker.tls", Profile::Broker)] {
        made.certify(folder, name, &profile, password, now)?;
    }
    let log_key = new_key();
    let log_origin = log_origin(now);
    let log_vkey = LogVerifier::new(&log_origin, log_key.verifying_key())?.to_string();
    write_key(&folder.join("log.key.pem"), &log_key, password, passwords)?;
    files::write_public(&folder.join("log.vkey"), &format!("{log_vkey}\n"))?;
    // What the operator publishes, and auditors give to `truc verify --trust`.
    let trust = folder.join("trust");
    files::make_new_folder(&trust)?;
    files::write_public(&trust.join("ca.pem"), &authority.pem())?;
    files::write_public(&trust.join("vkeys.txt"), &format!("{log_vkey}\n"))?;
    files::make_new_folder(&folder.join("agencies"))?;
    // The agency that the axis itself is: the broker holds its keys.
    made.issue(&LOOPBACK_AGENCY.parse()?, password, now)?;
    Ok(NewPki { folder: folder.to_owned(), log_origin, log_vkey })
}

/// Makes seal and TLS certificates with their keys for one agency under `folder/agencies/<CODE>`.
/// For many agencies open the authority once: [`DevelopmentAuthority::open`].
///
/// # Errors
/// As [`DevelopmentAuthority::open`] and [`DevelopmentAuthority::issue`].
pub fn issue(folder: &Path, agency: &AgencyCode, password: &[u8], now: Timestamp) -> Result<NewAgency, PkiError> {
    DevelopmentAuthority::open(folder, password)?.issue(agency, password, now)
}

/// Reads a certificate, key or vkey file of a PKI folder; at most 16 KiB.
///
/// # Errors
/// [`PkiError::File`].
pub fn read_text(path: &Path) -> Result<String, PkiError> {
    files::read_text(path, FILE_BYTES_MAX)
}

/// The authority with its key in memory.
pub struct DevelopmentAuthority {
    folder: PathBuf,
    key: SigningKey,
    certificate_pem: String,
    passwords: PasswordSource,
}

impl DevelopmentAuthority {
    /// Reads certificate and key of the authority.
    ///
    /// # Errors
    /// [`PkiError::File`], [`PkiError::Key`] (also for a wrong password), [`PkiError::NotAPair`].
    pub fn open(folder: &Path, password: &[u8]) -> Result<Self, PkiError> {
        let certificate_pem = read_text(&folder.join("ca.pem"))?;
        let path = folder.join("ca.key.pem");
        let key_pem = read_text(&path)?;
        let key = keyfile::read_encrypted(&key_pem, password).map_err(|source| PkiError::Key { path: path.clone(), source })?;
        if !certify::is_pair(&certificate_pem, &key) {
            return Err(PkiError::NotAPair(path));
        }
        Ok(Self { folder: folder.to_owned(), key, certificate_pem, passwords: PasswordSource::Person })
    }

    /// The passwords to come are random: keys for many agencies are made in a moment.
    #[must_use]
    pub const fn with_random_passwords(mut self) -> Self {
        self.passwords = PasswordSource::Random;
        self
    }

    /// Makes seal and TLS certificates with their keys for one agency.
    ///
    /// # Errors
    /// [`PkiError::Exists`] when the agency has a folder already; what the file system or the certificate library refuse.
    pub fn issue(&self, agency: &AgencyCode, password: &[u8], now: Timestamp) -> Result<NewAgency, PkiError> {
        let agencies = self.folder.join("agencies");
        files::make_folder(&agencies)?;
        // A code has only digits, capital letters and single dots inside: it is a safe name.
        let folder = agencies.join(agency.as_str());
        files::make_new_folder(&folder)?;
        let seal = self.certify(&folder, "seal", &Profile::Seal(agency), password, now)?;
        self.certify(&folder, "tls", &Profile::Client(agency), password, now)?;
        Ok(NewAgency { agency: agency.to_string(), folder, seal_keyid: truc_signing::spki_digest(&seal.verifying_key()).to_hex() })
    }

    fn certify(&self, folder: &Path, name: &str, profile: &Profile<'_>, password: &[u8], now: Timestamp) -> Result<SigningKey, PkiError> {
        let key = new_key();
        let certificate = certify::certificate(profile, &key, &self.certificate_pem, &self.key, now)?;
        files::write_public(&folder.join(format!("{name}.cert.pem")), &certificate.pem())?;
        write_key(&folder.join(format!("{name}.key.pem")), &key, password, self.passwords)?;
        Ok(key)
    }
}

fn new_key() -> SigningKey {
    let seed = zeroize::Zeroizing::new(clock::random::<32>());
    SigningKey::from_bytes(&seed)
}

fn write_key(path: &Path, key: &SigningKey, password: &[u8], source: PasswordSource) -> Result<(), PkiError> {
    let pem = keyfile::write_encrypted_from(source, key, password, clock::random(), clock::random());
    let pem = pem.map_err(|source| PkiError::Key { path: path.to_owned(), source })?;
    files::write_private(path, &pem)
}
