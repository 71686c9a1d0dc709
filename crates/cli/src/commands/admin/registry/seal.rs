//! `truc admin registry seal`: registry statements from the operator's directory files. Offline: the operator's key need not be where the broker is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use truc_signing::statement::{CertificateAdded, Registry, RegistryEvent, SignerRole};
use truc_signing::{Certificate, SealKey, keyfile, open_sealed, seal};
use truc_transport::{clock, daemon};
use truc_types::limits::ORGANISATIONS_PER_STATEMENT_MAX;
use truc_types::{Reason, Refusal};

use crate::directory;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::pki;

/// Seal a change of the registry: whoever stands in the files is added, or the entry is replaced. One file for each statement, named after the
/// version that it makes; append them in that order.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder with operator.cert.pem and operator.key.pem, as `truc pki init` makes it.
    #[arg(long, value_name = "DIR")]
    pki: PathBuf,
    /// The version of the registry that the change follows; `truc directory list` shows it.
    #[arg(long, value_name = "VERSION")]
    after: u64,
    /// Agencies: code,old_code,name_vi,name_en,kind,code_status.
    #[arg(long, value_name = "CSV", required_unless_present = "organisations")]
    agencies: Option<PathBuf>,
    /// Add the seal certificates of these agencies, too, from agencies/<CODE>/seal.cert.pem of the PKI folder: for agencies that join, or have a new key.
    #[arg(long, requires = "agencies")]
    certificates: bool,
    /// Organisations: code,old_code,served_by,name, and where the file has them parent,valid_from,valid_until,successors.
    #[arg(long, value_name = "CSV")]
    organisations: Option<PathBuf>,
    /// Folder for the statements; nothing in it is overwritten.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// File with the password of the operator's key; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(serde::Serialize)]
struct Made<'a> {
    file: &'a Path,
    version: u64,
    event: &'a str,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let events = events(arguments)?;
    if events.is_empty() {
        return Err(Failure::Usage("the files have no rows: there is nothing to seal".to_owned()));
    }
    let key = operator_key(arguments)?;
    std::fs::create_dir_all(&arguments.into).map_err(|cause| Failure::file(&arguments.into, cause))?;
    let first = arguments.after.saturating_add(1);
    for (version, event) in (first..).zip(events) {
        let name = event.name().as_str();
        let required_signers = vec![key.required_signer(SignerRole::Operator)];
        let file = seal(&Registry { version, at: clock::now(), event, required_signers }.to_json(), &[&key]);
        // Limits and forbidden characters are told here, and not only where the statement arrives.
        open_sealed(&file).map_err(|cause| Failure::Refused(cause.to_refusal()))?;
        let path = arguments.into.join(format!("registry-{version}.json"));
        let write = || OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(&file);
        write().map_err(|cause| Failure::file(&path, cause))?;
        output.data(&format!("{}  version {version}: {name}", path.display()), &Made { file: &path, version, event: name })?;
    }
    Ok(Exit::Done)
}

/// Agencies first, each with its certificate: an organisation may be served by one that joins.
fn events(arguments: &Arguments) -> Result<Vec<RegistryEvent>, Failure> {
    let mut events = Vec::new();
    for joined in arguments.agencies.as_deref().map_or_else(|| Ok(Vec::new()), directory::read_agencies)? {
        let agency = joined.agency.clone();
        events.push(RegistryEvent::AgencyJoined(joined));
        if arguments.certificates {
            let path = arguments.pki.join("agencies").join(agency.as_str()).join("seal.cert.pem");
            let certificate = certificate(&path)?.der().to_vec();
            events.push(RegistryEvent::CertificateAdded(CertificateAdded { agency, role: SignerRole::Seal, certificate }));
        }
    }
    let organisations = arguments.organisations.as_deref().map_or_else(|| Ok(Vec::new()), directory::read_organisations)?;
    for organisations in organisations.chunks(ORGANISATIONS_PER_STATEMENT_MAX) {
        events.push(RegistryEvent::OrganisationsAdded(organisations.to_vec()));
    }
    Ok(events)
}

fn operator_key(arguments: &Arguments) -> Result<SealKey, Failure> {
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let path = arguments.pki.join("operator.key.pem");
    let key = keyfile::read_encrypted(&pki::read_text(&path)?, &password).map_err(|cause| unreadable(&path, &cause))?;
    SealKey::new(key, &certificate(&arguments.pki.join("operator.cert.pem"))?).map_err(|cause| unreadable(&path, &cause))
}

fn certificate(path: &Path) -> Result<Certificate, Failure> {
    Certificate::from_pem(&pki::read_text(path)?).map_err(|cause| unreadable(path, &cause))
}

fn unreadable(path: &Path, cause: &dyn std::fmt::Display) -> Failure {
    Failure::Refused(Refusal::new(Reason::KeyUnreadable, format!("{}: {cause}", path.display())))
}
