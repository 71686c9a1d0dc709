//! A development axis for benches: PKI, agencies and a broker's data folder under one temporary folder. Nothing runs here.

use std::path::{Path, PathBuf};

use truc_broker::Init;
use truc_ledger::LogVerifier;
use truc_signing::keyfile::PasswordSource;
use truc_signing::statement::AgencyJoined;
use truc_signing::{Certificate, SealKey, keyfile};
use truc_transport::clock;
use truc_transport::tls::TlsFiles;
use truc_types::names::{ENVELOPE_V1, RECEIPT_V1};
use truc_types::{AgencyCode, Reason, Refusal};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::pki::{self, DevelopmentAuthority};

/// The keys live as long as the temporary folder, so the password protects nothing, and need not be dear to try.
const PASSWORD: &[u8] = b"bench";

/// An axis on disk, ready to run.
pub(super) struct Axis {
    /// The broker's data folder.
    pub(super) data: PathBuf,
    /// File with the password of its keys.
    pub(super) password_file: PathBuf,
    /// The key of the log.
    pub(super) log: LogVerifier,
    /// The agencies.
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
    let now = clock::now();
    let (keys, data, password_file) = (folder.join("pki"), folder.join("broker"), folder.join("password"));
    let made = pki::init_from(PasswordSource::Random, &keys, "Bench", PASSWORD, now)?;
    let authority = DevelopmentAuthority::open(&keys, PASSWORD)?.with_random_passwords();
    let authority_pem = read(&keys.join("ca.pem"))?;
    let (mut joined, mut edges) = (Vec::new(), Vec::new());
    for number in 1..=agencies {
        let code: AgencyCode = format!("H{number}").parse().map_err(|cause| defect(&format!("H{number}: {cause}")))?;
        let folder = authority.issue(&code, PASSWORD, now)?.folder;
        let seal_pem = read(&folder.join("seal.cert.pem"))?;
        let certificate = Certificate::from_pem(&seal_pem).map_err(|cause| defect(&cause.to_string()))?;
        let seal = SealKey::new(key(&folder.join("seal.key.pem"))?, &certificate).map_err(|cause| defect(&cause.to_string()))?;
        let key_pem = keyfile::write_plain(&key(&folder.join("tls.key.pem"))?).map_err(|cause| defect(&cause.to_string()))?;
        let tls = TlsFiles { certificate_pem: read(&folder.join("tls.cert.pem"))?, key_pem, authority_pem: authority_pem.clone() };
        joined.push((joins(&code), seal_pem));
        edges.push(Agency { code, seal, tls });
    }
    std::fs::write(&password_file, PASSWORD).map_err(|cause| Failure::file(&password_file, cause))?;
    std::fs::create_dir(&data).map_err(|cause| Failure::file(&data, cause))?;
    let init = Init {
        axis_name: "Bench".to_owned(),
        log_origin: made.log_origin,
        listen: "127.0.0.1:0".to_owned(),
        authority_pem,
        operator_pem: read(&keys.join("operator.cert.pem"))?,
        operator_key_pem: read(&keys.join("operator.key.pem"))?,
        log_key_pem: read(&keys.join("log.key.pem"))?,
        tls_certificate_pem: read(&keys.join("broker.tls.cert.pem"))?,
        tls_key_pem: read(&keys.join("broker.tls.key.pem"))?,
        password: Zeroizing::new(PASSWORD.to_vec()),
        agencies: joined,
        organisations: Vec::new(),
        loopback: None,
    };
    let made = truc_broker::init(&data, &init, now).map_err(Failure::Refused)?;
    let log = made.log_vkey.parse().map_err(|cause| defect(&format!("{}: {cause}", made.log_vkey)))?;
    Ok(Axis { data, password_file, log, agencies: edges })
}

fn joins(code: &AgencyCode) -> AgencyJoined {
    AgencyJoined {
        agency: code.clone(),
        old_code: None,
        name_vi: format!("Cơ quan {code}"),
        name_en: None,
        kind: "province".to_owned(),
        code_status: "confirmed".to_owned(),
        valid_from: None,
        predicates: vec![ENVELOPE_V1.to_owned(), RECEIPT_V1.to_owned()],
    }
}

fn key(path: &Path) -> Result<ed25519_dalek::SigningKey, Failure> {
    keyfile::read_encrypted(&read(path)?, PASSWORD).map_err(|cause| defect(&format!("{}: {cause}", path.display())))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|cause| Failure::file(path, cause))
}

/// What was made a moment ago does not fit together.
fn defect(message: &str) -> Failure {
    Failure::Refused(Refusal::new(Reason::ConfigInvalid, message))
}
