//! Whom the verifier believes: the authority, the keys of the log, and the certificates of the signers, each read strictly.
//!
//! Not whom a statement needs as its signers: `seals.rs`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_ledger::LogVerifier;
use truc_signing::{Authority, Certificate, CertificateError};

use super::folder::{self, AUTHORITY, CHAIN, Folder, LOG_KEYS};
use super::report::Report;

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
const PEM_END: &str = "-----END CERTIFICATE-----\n";
/// A file of a trust folder.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Whom the verifier believes.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// The authority's certificates; empty when there are none to believe.
    pub(super) authorities: Vec<Authority>,
    /// Keys of the logs, by year.
    pub(super) log_keys: Vec<LogVerifier>,
    /// Certificates that came with the evidence. They count only as far as an authority signed them.
    pub(super) signers: Vec<Certificate>,
}

/// Reads the trust of the evidence and, where the verifier has trust of its own, that one instead, and compares the two.
pub(super) fn read(folder: &Folder, own: Option<&Path>, report: &mut Report) -> Trust {
    let brought = Trust {
        authorities: part(report, "trust.authority", AUTHORITY, folder.authority.as_deref(), read_authorities).unwrap_or_default(),
        log_keys: part(report, "trust.log_keys", LOG_KEYS, folder.log_keys.as_deref(), read_log_keys).unwrap_or_default(),
        signers: part(report, "trust.signers", CHAIN, folder.chain.as_deref(), read_signers).unwrap_or_default(),
    };
    if !brought.authorities.is_empty() && !brought.signers.is_empty() {
        report.result("trust.issued", CHAIN, check_issued(&brought));
    }
    let Some(own) = own else {
        let detail =
            "this evidence brings its own trust: the verdict says that it agrees with itself; give --trust DIR to check against yours";
        report.note("trust.source", "trust", detail);
        return brought;
    };
    match read_own(own) {
        Ok((authorities, log_keys)) => {
            report.result("trust.source", "trust", compare(&brought, &authorities, &log_keys));
            Trust { authorities, log_keys, signers: brought.signers }
        }
        Err(fault) => {
            report.indeterminate("trust.source", &own.to_string_lossy(), fault);
            Trust { signers: brought.signers, ..Trust::default() }
        }
    }
}

fn part<T>(
    report: &mut Report,
    check: &'static str,
    file: &str,
    bytes: Option<&[u8]>,
    read: impl Fn(&str) -> Result<Vec<T>, String>,
) -> Option<Vec<T>> {
    let Some(bytes) = bytes else {
        report.indeterminate(check, file, "the file is missing");
        return None;
    };
    match std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned()).and_then(read) {
        Ok(read) => {
            report.passed(check, file, format!("{} read", read.len()));
            Some(read)
        }
        Err(fault) => {
            report.failed(check, file, fault);
            None
        }
    }
}

fn read_own(own: &Path) -> Result<(Vec<Authority>, Vec<LogVerifier>), String> {
    let text = |name: &str| -> Result<String, String> {
        let bytes = folder::read(&own.join(name), FILE_BYTES_MAX).map_err(|fault| format!("{name}: {fault}"))?;
        String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))
    };
    Ok((read_authorities(&text("ca.pem")?)?, read_log_keys(&text("vkeys.txt")?)?))
}

/// Every certificate that came along was signed by an authority that came along, whether a statement needs it or not: no byte of the file is
/// free. Its validity is judged later, at the time that the evidence proves.
fn check_issued(brought: &Trust) -> Result<String, String> {
    for certificate in &brought.signers {
        let signed = |authority: &Authority| match authority.check(certificate, certificate.not_before()) {
            Ok(()) | Err(CertificateError::NotYetValid { .. } | CertificateError::Expired { .. }) => true,
            Err(_) => false,
        };
        if !brought.authorities.iter().any(signed) {
            return Err(format!("the certificate of key {} is not signed by the authority", certificate.keyid));
        }
    }
    Ok("signed by the authority".to_owned())
}

/// Evidence may know less than the verifier, never something else.
fn compare(brought: &Trust, authorities: &[Authority], log_keys: &[LogVerifier]) -> Result<String, String> {
    if let Some(foreign) = brought.log_keys.iter().find(|key| !log_keys.contains(key)) {
        return Err(format!("the evidence brings the log key {foreign}, which your trust folder does not have"));
    }
    if brought.authorities.iter().any(|brought| authorities.iter().all(|own| own.der() != brought.der())) {
        return Err("the evidence brings an authority that your trust folder does not have".to_owned());
    }
    Ok("authority and log keys of your trust folder were used; those of the evidence are the same".to_owned())
}

/// A root that signed itself, and authorities below it. The signature of the root on itself protects every byte of it.
fn read_authorities(pem: &str) -> Result<Vec<Authority>, String> {
    let blocks = blocks(pem)?;
    let root = blocks.first().ok_or("no certificate")?;
    // Each block must be signed by one before it: with the root in front of the file, the root by itself.
    let chain = Authority::chain_from_pem(&format!("{root}{pem}")).map_err(|fault| fault.to_string())?;
    Ok(chain.into_iter().skip(1).collect())
}

fn read_signers(pem: &str) -> Result<Vec<Certificate>, String> {
    blocks(pem)?.into_iter().map(|block| Certificate::from_pem(block).map_err(|fault| fault.to_string())).collect()
}

/// vkeys, one a line, each ended by a line feed.
fn read_log_keys(text: &str) -> Result<Vec<LogVerifier>, String> {
    let lines = text.strip_suffix('\n').ok_or("the last line does not end")?;
    lines.split('\n').map(|line| line.parse::<LogVerifier>().map_err(|fault| fault.to_string())).collect()
}

/// The PEM blocks of a text, in the one spelling of RFC 7468 section 3 (strict): another spelling of the same certificate is refused, so that
/// no byte of the file is free.
fn blocks(pem: &str) -> Result<Vec<&str>, String> {
    let blocks: Vec<&str> = pem.split_inclusive(PEM_END).collect();
    for block in &blocks {
        let body =
            block.strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END)).ok_or("not a PEM text of certificates only")?;
        let encoded: String = body.split('\n').collect();
        let der = STANDARD.decode(&encoded).map_err(|_| "a PEM block is not base64")?;
        if wrapped(&STANDARD.encode(der)) != body {
            return Err("a PEM block is not written in lines of 64 characters".to_owned());
        }
    }
    Ok(blocks)
}

fn wrapped(encoded: &str) -> String {
    let mut body = String::with_capacity(encoded.len() + encoded.len() / 64 + 1);
    for (index, letter) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            body.push('\n');
        }
        body.push(letter);
    }
    body.push('\n');
    body
}
