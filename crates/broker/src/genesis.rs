//! Genesis: the first entries of a new log, sealed by the operator: axis, directory, seal certificates. Written once, by `truc broker init`.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use truc_core::{Entry, State};
use truc_journal::Journal as _;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_ledger::{Frontier, LogSigner};
use truc_settings::{Override, Raw};
use truc_signing::statement::{
    AgencyJoined, CertificateAdded, Genesis, Organisation, PublishedLimits, Registry, RegistryEvent, SignerRole,
};
use truc_signing::{Authority, Certificate, SealKey, keyfile, seal};
use truc_transport::launch::title;
use truc_types::names::{AXIS_AGENCY_KIND, ENVELOPE_V1, FACT_V1, LOOPBACK_AGENCY, LOOPBACK_KIND, RECEIPT_V1, REGISTRY_V1, SENDER_HEAD_V1};
use truc_types::{BlockNumber, Position, Reason, Refusal, Term, Timestamp, limits};

use crate::block::{Filling, Tail};
use crate::committer::Closed;
use crate::config::{
    AUTHORITY_FILE, LOG_KEY_FILE, LOOPBACK_SEAL_CERTIFICATE_FILE, LOOPBACK_SEAL_KEY_FILE, LOOPBACK_TLS_CERTIFICATE_FILE,
    LOOPBACK_TLS_KEY_FILE, SETTINGS_FILE, TLS_CERTIFICATE_FILE, TLS_KEY_FILE,
};
use crate::glance::key_of;
use crate::settings::BrokerSettings;

/// What a new axis begins with.
pub struct Init {
    /// Name of the axis, for people.
    pub axis_name: String,
    /// Origin of the log, `truc.example/axis/<year>`.
    pub log_origin: String,
    /// Where edges connect, address:port.
    pub listen: String,
    /// Certificate authority, PEM.
    pub authority_pem: String,
    /// The operator's certificate, PEM.
    pub operator_pem: String,
    /// The operator's key file, encrypted PKCS#8.
    pub operator_key_pem: String,
    /// The log's key file, encrypted PKCS#8.
    pub log_key_pem: String,
    /// The broker's TLS certificate, PEM.
    pub tls_certificate_pem: String,
    /// The broker's TLS key file, encrypted PKCS#8.
    pub tls_key_pem: String,
    /// Opens the key files.
    pub password: zeroize::Zeroizing<Vec<u8>>,
    /// The agencies, each with its seal certificate (PEM).
    pub agencies: Vec<(AgencyJoined, String)>,
    /// Further organisations.
    pub organisations: Vec<Organisation>,
    /// Keys of the axis' own agency; without them the broker sends no loopback message.
    pub loopback: Option<LoopbackFiles>,
}

/// Certificates and encrypted keys of the agency that the axis itself is, PEM.
pub struct LoopbackFiles {
    /// Its transport seal.
    pub seal_certificate_pem: String,
    /// The key of it.
    pub seal_key_pem: String,
    /// Its side of mutual TLS.
    pub tls_certificate_pem: String,
    /// The key of it.
    pub tls_key_pem: String,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// Registry statements in the log.
    pub entries: u64,
    /// C2SP vkey of the log.
    pub log_vkey: String,
}

/// Makes a data folder with a new log in it. Refuses a folder that has one.
///
/// # Errors
/// When the folder is in use, a file cannot be written, or keys, certificates and directory do not fit together.
pub fn init(data: &Path, init: &Init, now: Timestamp) -> Result<Initialised, Refusal> {
    if data.join(SETTINGS_FILE).exists() {
        return Err(Refusal::new(Reason::ConfigInvalid, format!("{} holds a broker already", data.display())));
    }
    let key_failed = |cause: keyfile::KeyFileError| Refusal::new(Reason::KeyUnreadable, cause.to_string());
    let log_key = keyfile::read_encrypted(&init.log_key_pem, &init.password).map_err(key_failed)?;
    let signer = LogSigner::new(&init.log_origin, &log_key).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
    let log_vkey = signer.verifier().to_string();
    let entries = statements(init, &log_vkey, now)?;

    // The journal and the attachments below are as confidential as the keys.
    for folder in ["", "keys", "trust"] {
        let folder = data.join(folder);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|cause| storage(&folder, &cause))?;
    }
    write(data, LOG_KEY_FILE, &init.log_key_pem)?;
    write(data, TLS_KEY_FILE, &init.tls_key_pem)?;
    write(data, TLS_CERTIFICATE_FILE, &init.tls_certificate_pem)?;
    write(data, AUTHORITY_FILE, &init.authority_pem)?;
    if let Some(loopback) = &init.loopback {
        write(data, LOOPBACK_SEAL_KEY_FILE, &loopback.seal_key_pem)?;
        write(data, LOOPBACK_SEAL_CERTIFICATE_FILE, &loopback.seal_certificate_pem)?;
        write(data, LOOPBACK_TLS_KEY_FILE, &loopback.tls_key_pem)?;
        write(data, LOOPBACK_TLS_CERTIFICATE_FILE, &loopback.tls_certificate_pem)?;
    }
    write_journal(data, init, &entries, now)?;
    // Last: a folder with settings is a complete one.
    let given = |key, value: &str| Override { key, value: Raw::Text(value.to_owned()) };
    let given = [given("listen", &init.listen), given("log_origin", &init.log_origin)];
    let settings = truc_settings::compose::<BrokerSettings>(&title("broker"), &data.join(SETTINGS_FILE), &given);
    let (settings, _) = settings.map_err(|mistakes| Refusal::new(Reason::ConfigInvalid, mistakes.to_string()))?;
    write(data, SETTINGS_FILE, &settings)?;
    Ok(Initialised { entries: entries.len() as u64, log_vkey })
}

/// The registry statements, checked by applying them.
fn statements(init: &Init, log_vkey: &str, now: Timestamp) -> Result<Vec<Entry>, Refusal> {
    let invalid = |cause: String| Refusal::new(Reason::ConfigInvalid, cause);
    let authority = Authority::from_pem(&init.authority_pem).map_err(|cause| invalid(format!("certificate authority: {cause}")))?;
    let operator = Certificate::from_pem(&init.operator_pem).map_err(|cause| invalid(format!("operator certificate: {cause}")))?;
    authority.check(&operator, now).map_err(|cause| invalid(format!("operator certificate: {cause}")))?;
    let operator_key = keyfile::read_encrypted(&init.operator_key_pem, &init.password);
    let operator_key = operator_key.map_err(|cause| Refusal::new(Reason::KeyUnreadable, format!("operator key: {cause}")))?;
    let operator_key = SealKey::new(operator_key, &operator).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;

    let mut events = vec![RegistryEvent::Genesis(Box::new(genesis(init, log_vkey, &operator)))];
    let own = init.loopback.as_ref().map(|loopback| axis_agency().map(|joined| (joined, loopback.seal_certificate_pem.clone())));
    let own = own.transpose()?;
    for (joined, certificate_pem) in init.agencies.iter().chain(&own) {
        let of = |cause: String| invalid(format!("seal certificate of {}: {cause}", joined.agency));
        let certificate = Certificate::from_pem(certificate_pem).map_err(|cause| of(cause.to_string()))?;
        authority.check(&certificate, now).map_err(|cause| of(cause.to_string()))?;
        events.push(RegistryEvent::AgencyJoined(joined.clone()));
        let certificate = certificate.der().to_vec();
        events.push(RegistryEvent::CertificateAdded(CertificateAdded {
            agency: joined.agency.clone(),
            role: SignerRole::Seal,
            certificate,
        }));
    }
    for organisations in init.organisations.chunks(limits::ORGANISATIONS_PER_STATEMENT_MAX) {
        events.push(RegistryEvent::OrganisationsAdded(organisations.to_vec()));
    }
    let (mut state, mut effects, mut entries) = (State::default(), Vec::new(), Vec::new());
    for (version, event) in (1..).zip(events) {
        let required_signers = vec![operator_key.required_signer(SignerRole::Operator)];
        let payload = Registry { version, at: now, event, required_signers }.to_json();
        let entry = Entry::parse(seal(&payload, &[&operator_key]).into())
            .map_err(|cause| invalid(format!("registry statement {version}: {cause}")))?;
        state.apply(state.next(), &entry, &mut effects).map_err(|cause| invalid(cause.to_string()))?;
        entries.push(entry);
    }
    Ok(entries)
}

/// The agency that the axis itself is.
fn axis_agency() -> Result<AgencyJoined, Refusal> {
    Ok(AgencyJoined {
        agency: LOOPBACK_AGENCY.parse().map_err(|cause| Refusal::new(Reason::ConfigInvalid, format!("{LOOPBACK_AGENCY}: {cause}")))?,
        old_code: None,
        name_vi: "Trục liên thông (thông điệp tự kiểm tra)".to_owned(),
        name_en: Some("The axis itself (loopback messages)".to_owned()),
        kind: AXIS_AGENCY_KIND.to_owned(),
        code_status: "reserved".to_owned(),
        valid_from: None,
        predicates: vec![ENVELOPE_V1.to_owned(), RECEIPT_V1.to_owned()],
    })
}

fn genesis(init: &Init, log_vkey: &str, operator: &Certificate) -> Genesis {
    Genesis {
        axis_name: init.axis_name.clone(),
        log_origin: init.log_origin.clone(),
        log_vkey: log_vkey.to_owned(),
        ca_pem: init.authority_pem.clone(),
        operator_keyid: operator.keyid,
        operator_pem: init.operator_pem.clone(),
        limits: PublishedLimits {
            attachment_bytes: limits::ATTACHMENT_BYTES_MAX,
            attachments: limits::ATTACHMENTS_MAX as u64,
            recipients: limits::ENVELOPE_CODES_MAX as u64,
            statement_bytes: limits::STATEMENT_FILE_BYTES_MAX as u64,
            receipt_items: limits::RECEIPT_ITEMS_MAX as u64,
            envelope_age_days: limits::ENVELOPE_AGE_DAYS_MAX,
        },
        loopback_kind: LOOPBACK_KIND.to_owned(),
        predicates: [ENVELOPE_V1, RECEIPT_V1, FACT_V1, REGISTRY_V1, SENDER_HEAD_V1].map(str::to_owned).to_vec(),
    }
}

fn write_journal(data: &Path, init: &Init, entries: &[Entry], now: Timestamp) -> Result<(), Refusal> {
    let opened = SegmentJournal::open(&data.join("journal"), SegmentOptions::new(Arc::new(key_of)));
    let (mut journal, _) = opened.map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
    if journal.end().position != Position(0) {
        return Err(Refusal::new(Reason::ConfigInvalid, "the journal has entries already; remove the unfinished folder and begin anew"));
    }
    let mut frontier = Frontier::new();
    let mut tail = Tail {
        number: BlockNumber(0),
        position: Position(0),
        shard_start: Position(0),
        origin: init.log_origin.clone(),
        term: Term(1),
        time: now,
    };
    let mut filling = Filling::default();
    for (i, entry) in entries.iter().enumerate() {
        filling.push(entry.bytes.clone(), entry.id());
        if (filling.is_full() || i + 1 == entries.len())
            && let Some(Closed { block, .. }) = std::mem::take(&mut filling).close(&mut tail, &mut frontier).block
        {
            journal.append(block).map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))?;
        }
    }
    Box::new(journal).close().map_err(|cause| Refusal::new(cause.reason(), cause.to_string()))
}

fn write(data: &Path, file: &str, text: &str) -> Result<(), Refusal> {
    let path = data.join(file);
    fs::write(&path, text).map_err(|cause| storage(&path, &cause))?;
    if file.ends_with(".key.pem") {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|cause| storage(&path, &cause))?;
    }
    Ok(())
}

fn storage(path: &Path, cause: &std::io::Error) -> Refusal {
    Refusal::new(Reason::of_system(cause, Reason::FileUnusable), format!("{}: {cause}", path.display()))
}
