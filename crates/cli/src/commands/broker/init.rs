//! `truc broker init`: a data folder with a new log, from a PKI folder and the operator's directory files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use truc_broker::{Init, Initialised, LoopbackFiles};
use truc_signing::statement::AgencyJoined;
use truc_transport::{clock, daemon};
use truc_types::names::LOOPBACK_AGENCY;
use zeroize::Zeroizing;

use crate::directory;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Make a data folder with a new log: its first entries say which agencies and organisations there are. Agencies without certificates in the
/// PKI folder are left out.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder that `truc pki init` and `truc pki issue` filled.
    #[arg(long, value_name = "DIR")]
    pub pki: PathBuf,
    /// Agencies: code,old_code,name_vi,name_en,kind,code_status.
    #[arg(long, value_name = "CSV")]
    pub agencies: PathBuf,
    /// Organisations: code,old_code,served_by,name.
    #[arg(long, value_name = "CSV")]
    pub organisations: Option<PathBuf>,
    /// Name of the axis, for people.
    #[arg(long, value_name = "NAME", default_value = "Truc")]
    pub axis: String,
    /// Address and port where edges connect; port 0 takes a free one at every start.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// File with the password of the private keys; without it TRUC_KEY_PASSWORD is read.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(serde::Serialize)]
struct Made<'a> {
    data: &'a Path,
    entries: u64,
    log_vkey: &'a str,
    agencies: usize,
    organisations: usize,
    left_out: &'a [String],
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let (init, left_out) = prepare(arguments, password)?;
    let Initialised { entries, log_vkey } = truc_broker::init(&arguments.data, &init, clock::now()).map_err(Failure::Refused)?;
    if !left_out.is_empty() {
        output.talk(&left_out_text(&left_out, &arguments.pki));
    }
    let made = Made {
        data: &arguments.data,
        entries,
        log_vkey: &log_vkey,
        agencies: init.agencies.len(),
        organisations: init.organisations.len(),
        left_out: &left_out,
    };
    let text = format!("{} agencies and {} organisations in {entries} entries; log key {log_vkey}", made.agencies, made.organisations);
    output.data(&text, &made)?;
    Ok(Exit::Done)
}

/// One line, however long the national directory is.
fn left_out_text(left_out: &[String], pki: &Path) -> String {
    const NAMED: usize = 5;
    let named = left_out.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if left_out.len() > NAMED { ", …" } else { "" };
    format!("{} agencies are left out with their organisations, without certificates in {}: {named}{more}", left_out.len(), pki.display())
}

/// What the broker begins with, and the codes of agencies without certificates.
///
/// # Errors
/// When a file cannot be read, or the directory names something that is no code.
pub fn prepare(arguments: &Arguments, password: Zeroizing<Vec<u8>>) -> Result<(Init, Vec<String>), Failure> {
    let pki = &arguments.pki;
    let log_vkey = read(&pki.join("log.vkey"))?;
    let log_origin = log_vkey.split('+').next().unwrap_or_default().to_owned();
    let (mut agencies, mut left_out): (Vec<(AgencyJoined, String)>, Vec<String>) = (Vec::new(), Vec::new());
    for joined in directory::read_agencies(&arguments.agencies)? {
        let path = pki.join("agencies").join(joined.agency.as_str()).join("seal.cert.pem");
        if path.exists() {
            agencies.push((joined, read(&path)?));
        } else {
            left_out.push(joined.agency.to_string());
        }
    }
    let mut organisations = arguments.organisations.as_deref().map_or_else(|| Ok(Vec::new()), directory::read_organisations)?;
    // Who is served by an agency that did not join cannot be reached.
    organisations.retain(|organisation| agencies.iter().any(|(joined, _)| joined.agency == organisation.served_by));
    let init = Init {
        axis_name: arguments.axis.clone(),
        log_origin,
        listen: arguments.listen.to_string(),
        authority_pem: read(&pki.join("ca.pem"))?,
        operator_pem: read(&pki.join("operator.cert.pem"))?,
        operator_key_pem: read(&pki.join("operator.key.pem"))?,
        log_key_pem: read(&pki.join("log.key.pem"))?,
        tls_certificate_pem: read(&pki.join("broker.tls.cert.pem"))?,
        tls_key_pem: read(&pki.join("broker.tls.key.pem"))?,
        password,
        agencies,
        organisations,
        loopback: loopback(&pki.join("agencies").join(LOOPBACK_AGENCY))?,
    };
    Ok((init, left_out))
}

/// The keys of the axis' own agency; a PKI folder of an earlier release has none.
fn loopback(folder: &Path) -> Result<Option<LoopbackFiles>, Failure> {
    if !folder.is_dir() {
        return Ok(None);
    }
    Ok(Some(LoopbackFiles {
        seal_certificate_pem: read(&folder.join("seal.cert.pem"))?,
        seal_key_pem: read(&folder.join("seal.key.pem"))?,
        tls_certificate_pem: read(&folder.join("tls.cert.pem"))?,
        tls_key_pem: read(&folder.join("tls.key.pem"))?,
    }))
}

fn read(path: &Path) -> Result<String, Failure> {
    Ok(crate::pki::read_text(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_directory_does_not_fill_the_terminal() {
        let codes: Vec<String> = (1..=92).map(|number| format!("H{number:02}")).collect();
        let text = left_out_text(&codes, Path::new("pki"));
        assert_eq!(text, "92 agencies are left out with their organisations, without certificates in pki: H01, H02, H03, H04, H05, …");
        assert!(left_out_text(&codes[..2], Path::new("pki")).ends_with(": H01, H02"));
    }
}
