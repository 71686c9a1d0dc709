//! Keys and certificates for the tests: one authority, an operator, a broker and agencies. Encrypted under [`PASSWORD`].

use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SanType};
use truc_signing::{Owner, keyfile};
use truc_transport::clock;
use truc_types::AgencyCode;
use truc_types::names::BROKER_DNS_NAME;

pub(crate) const PASSWORD: &[u8] = b"truc";

struct CertificateKey<'a>(&'a SigningKey, [u8; 32]);

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.1
    }
    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

/// A key and its certificate.
pub(crate) struct Identity {
    pub(crate) key_pem: String,
    pub(crate) certificate_pem: String,
}

pub(crate) struct Pki {
    authority_key: SigningKey,
    authority: CertificateParams,
    pub(crate) authority_pem: String,
    pub(crate) operator: Identity,
    pub(crate) broker: Identity,
    pub(crate) log_key_pem: String,
}

fn encrypted(key: &SigningKey) -> String {
    keyfile::write_encrypted(key, PASSWORD, clock::random(), clock::random()).unwrap().to_string()
}

fn new_key() -> SigningKey {
    SigningKey::from_bytes(&clock::random())
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

impl Pki {
    pub(crate) fn new() -> Self {
        let authority_key = new_key();
        let mut parameters = named("Test authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let public = authority_key.verifying_key().to_bytes();
        let authority_pem = parameters.self_signed(&CertificateKey(&authority_key, public)).unwrap().pem();
        let authority = parameters;
        let seal = ExtendedKeyUsagePurpose::EmailProtection;
        let operator = issue(&authority_key, &authority, &Owner::Operator, seal, None);
        let broker = issue(&authority_key, &authority, &Owner::Broker, ExtendedKeyUsagePurpose::ServerAuth, Some(BROKER_DNS_NAME));
        Self { authority_key, authority, authority_pem, operator, broker, log_key_pem: encrypted(&new_key()) }
    }

    pub(crate) fn seal(&self, agency: &AgencyCode) -> Identity {
        let owner = Owner::Agency(agency.clone());
        issue(&self.authority_key, &self.authority, &owner, ExtendedKeyUsagePurpose::EmailProtection, None)
    }

    pub(crate) fn client(&self, agency: &AgencyCode) -> Identity {
        let owner = Owner::Agency(agency.clone());
        issue(&self.authority_key, &self.authority, &owner, ExtendedKeyUsagePurpose::ClientAuth, None)
    }
}

fn issue(
    authority: &SigningKey,
    authority_parameters: &CertificateParams,
    owner: &Owner,
    purpose: ExtendedKeyUsagePurpose,
    dns: Option<&str>,
) -> Identity {
    let key = new_key();
    let mut parameters = named(&owner.urn());
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![purpose];
    parameters.subject_alt_names = vec![SanType::URI(Ia5String::try_from(owner.urn()).unwrap())];
    parameters.subject_alt_names.extend(dns.map(|name| SanType::DnsName(Ia5String::try_from(name).unwrap())));
    parameters.use_authority_key_identifier_extension = true;
    let authority_public = authority.verifying_key().to_bytes();
    let issuer = Issuer::from_params(authority_parameters, CertificateKey(authority, authority_public));
    let public = key.verifying_key().to_bytes();
    let certificate = parameters.signed_by(&CertificateKey(&key, public), &issuer).unwrap();
    Identity { key_pem: encrypted(&key), certificate_pem: certificate.pem() }
}

/// Writes a file and gives its path.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
