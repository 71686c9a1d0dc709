//! Who sealed a statement: required signers, their certificates up to the authority, and strict signatures. Not what the statement says.

use truc_signing::statement::{RequiredSigner, SignerRole};
use truc_signing::{Certificate, KeyRing, Owner, Sealed};
use truc_types::{AgencyCode, Timestamp};
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::report::Report;
use super::trust::Trust;

/// id-kp-documentSigning (RFC 9336).
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");

/// Why a seal does not count.
enum Fault {
    /// Something needed for the check is not there.
    Missing(String),
    /// The seal is wrong.
    Wrong(String),
}

/// Checks that `agency` sealed the statement with certificates that were valid at `at`, and records it under `check`.
pub(super) fn check(
    check: &'static str,
    file: &str,
    sealed: &Sealed,
    agency: &AgencyCode,
    at: Timestamp,
    trust: &Trust,
    report: &mut Report,
) {
    match verify(sealed, agency, at, trust) {
        Ok(signers) => report.passed(check, file, format!("sealed by {agency}, {signers} signers, certificates valid at {at}")),
        Err(Fault::Missing(what)) => report.indeterminate(check, file, what),
        Err(Fault::Wrong(what)) => report.failed(check, file, what),
    }
}

fn verify(sealed: &Sealed, agency: &AgencyCode, at: Timestamp, trust: &Trust) -> Result<usize, Fault> {
    let required = sealed.statement.required_signers();
    if required.iter().all(|signer| signer.role != SignerRole::Seal) {
        return Err(Fault::Wrong("the statement asks for no agency seal".to_owned()));
    }
    let mut ring = KeyRing::default();
    for signer in required {
        let certificate = certificate(signer, agency, at, trust)?;
        ring.add(certificate.trusted_key(signer.role));
    }
    sealed.verify(at, |keyid| ring.key(keyid)).map_err(|fault| Fault::Wrong(fault.to_string()))?;
    Ok(required.len())
}

/// The certificate that the statement names, once everything about it was checked.
fn certificate<'t>(signer: &RequiredSigner, agency: &AgencyCode, at: Timestamp, trust: &'t Trust) -> Result<&'t Certificate, Fault> {
    let named = trust.signers.iter().find(|certificate| certificate.sha256 == signer.cert_sha256);
    let certificate =
        named.ok_or_else(|| Fault::Missing(format!("the certificate {} of a signer is not in trust/chain.pem", signer.cert_sha256)))?;
    if certificate.owner != Owner::Agency(agency.clone()) {
        return Err(Fault::Wrong(format!("the signer is {}, expected the agency {agency}", certificate.owner.urn())));
    }
    if !may_sign_documents(certificate) {
        return Err(Fault::Wrong(format!("the certificate of key {} is not for documents", certificate.keyid)));
    }
    if trust.authorities.is_empty() {
        return Err(Fault::Missing("there is no authority to check the signer's certificate with".to_owned()));
    }
    let mut refused = None;
    for authority in &trust.authorities {
        match authority.check(certificate, at) {
            Ok(()) => return Ok(certificate),
            Err(fault) => refused = Some(fault),
        }
    }
    let fault = refused.map(|fault| fault.to_string()).unwrap_or_default();
    Err(Fault::Wrong(format!("certificate of key {}: {fault}", certificate.keyid)))
}

/// Whether extended key usage allows document signing; where it is absent everything is allowed (RFC 5280 section 4.2.1.12). Without this
/// an edge's TLS key, which lies in the reach of more people, could seal.
fn may_sign_documents(certificate: &Certificate) -> bool {
    let Ok(parsed) = x509_cert::Certificate::from_der(certificate.der()) else { return false };
    match parsed.tbs_certificate().get_extension::<ExtendedKeyUsage>() {
        Ok(usage) => usage.is_none_or(|(_, usage)| usage.0.contains(&DOCUMENT_SIGNING)),
        Err(_) => false,
    }
}
