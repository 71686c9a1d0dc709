//! Certificates, made by `rcgen` as the development PKI makes them.

use rcgen::*;
use truc_signing::statement::SignerRole;
use truc_signing::{Authority, Certificate, CertificateError, Owner, SealError, SealKey, keyfile, sha256};
use truc_types::Timestamp;

use crate::samples;

fn parameters(uris: &[&str]) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_before = date_time_ymd(2026, 1, 1);
    parameters.not_after = date_time_ymd(2026, 12, 31);
    parameters.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    parameters
}

fn authority(name: &str) -> (rcgen::Certificate, Issuer<'static, KeyPair>) {
    let mut parameters = parameters(&[]);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    (parameters.self_signed(&key).unwrap(), Issuer::new(parameters, key))
}

fn issued(uris: &[&str], issuer: &Issuer<'_, KeyPair>) -> (String, KeyPair) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    (parameters(uris).signed_by(&key, issuer).unwrap().pem(), key)
}

fn at(text: &str) -> Timestamp {
    samples::time(text)
}

const DURING: &str = "2026-06-01T00:00:00.000Z";

#[test]
fn a_certificate_names_its_owner_and_stands_under_its_authority() {
    let (ca, issuer) = authority("CA");
    let ca = Authority::from_pem(&ca.pem()).unwrap();
    let owners = [
        ("urn:truc:agency:H53", Owner::Agency("H53".parse().unwrap())),
        ("urn:truc:operator", Owner::Operator),
        ("urn:truc:broker", Owner::Broker),
    ];
    for (uri, owner) in owners {
        let certificate = Certificate::from_pem(&issued(&[uri], &issuer).0).unwrap();
        assert_eq!((certificate.owner.urn(), &certificate.owner), (uri.to_owned(), &owner));
        assert_eq!(certificate.sha256, sha256(certificate.der()));
        assert_eq!(Certificate::from_der(certificate.der()).unwrap().keyid, certificate.keyid);
        assert_eq!(ca.check(&certificate, at(DURING)), Ok(()));
        assert!(matches!(ca.check(&certificate, at("2025-12-31T23:59:59.999Z")), Err(CertificateError::NotYetValid { .. })));
        assert!(matches!(ca.check(&certificate, at("2027-01-01T00:00:00.000Z")), Err(CertificateError::Expired { .. })));
    }
}

#[test]
fn another_authority_is_told_apart_by_name_and_by_signature() {
    let (_, issuer) = authority("CA");
    let certificate = Certificate::from_pem(&issued(&["urn:truc:broker"], &issuer).0).unwrap();
    let (same_name, other_name) = (authority("CA").0, authority("other").0);
    assert_eq!(Authority::from_pem(&same_name.pem()).unwrap().check(&certificate, at(DURING)), Err(CertificateError::Signature));
    assert_eq!(Authority::from_pem(&other_name.pem()).unwrap().check(&certificate, at(DURING)), Err(CertificateError::Issuer));
}

#[test]
fn names_roles_and_algorithms_that_do_not_fit_are_refused() {
    let (ca, issuer) = authority("CA");
    let read = |uris: &[&str]| Certificate::from_pem(&issued(uris, &issuer).0).map(|_| ());
    assert_eq!(read(&[]), Err(CertificateError::Names { found: 0 }));
    assert_eq!(read(&["https://example.vn/"]), Err(CertificateError::Names { found: 0 }));
    assert_eq!(read(&["urn:truc:broker", "urn:truc:operator"]), Err(CertificateError::Names { found: 2 }));
    assert!(matches!(read(&["urn:truc:agency:h53"]), Err(CertificateError::Agency(_))));
    assert_eq!(Certificate::from_pem(&ca.pem()).map(|_| ()), Err(CertificateError::BasicConstraints));
    let leaf = issued(&["urn:truc:broker"], &issuer).0;
    assert_eq!(Authority::from_pem(&leaf).map(|_| ()), Err(CertificateError::BasicConstraints));
    let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = parameters(&["urn:truc:broker"]).signed_by(&ecdsa, &issuer).unwrap().pem();
    assert!(matches!(Certificate::from_pem(&pem), Err(CertificateError::Algorithm { .. })));
}

#[test]
fn a_chain_reads_root_first_and_refuses_a_stranger() {
    let (root, _) = authority("CA");
    assert_eq!(Authority::chain_from_pem(&root.pem()).unwrap().len(), 1);
    let stranger = authority("other").0.pem();
    assert_eq!(Authority::chain_from_pem(&(root.pem() + &stranger)).map(|_| ()), Err(CertificateError::Issuer));
}

#[test]
fn a_seal_key_is_made_only_with_its_own_certificate() {
    let (_, issuer) = authority("CA");
    let (pem, _) = issued(&["urn:truc:agency:H53"], &issuer);
    let certificate = Certificate::from_pem(&pem).unwrap();
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    assert!(matches!(SealKey::new(stranger.clone(), &certificate), Err(SealError::Foreign { .. })));
    let pair = KeyPair::from_pem(&keyfile::write_plain(&stranger).unwrap()).unwrap();
    let own = parameters(&["urn:truc:agency:H53"]).signed_by(&pair, &issuer).unwrap().pem();
    let certificate = Certificate::from_pem(&own).unwrap();
    let key = SealKey::new(stranger, &certificate).unwrap();
    assert_eq!(key.keyid(), certificate.trusted_key(SignerRole::Seal).keyid);
}

#[test]
fn a_changed_byte_of_a_certificate_never_passes_its_authority() {
    let (ca, issuer) = authority("CA");
    let ca = Authority::from_pem(&ca.pem()).unwrap();
    let good = Certificate::from_pem(&issued(&["urn:truc:agency:H53"], &issuer).0).unwrap();
    for index in 0..good.der().len() {
        let mut der = good.der().to_vec();
        der[index] ^= 1;
        let passed = Certificate::from_der(&der).is_ok_and(|certificate| ca.check(&certificate, at(DURING)).is_ok());
        assert!(!passed, "byte {index}");
    }
}
