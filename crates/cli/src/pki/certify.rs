//! What stands in the certificates of the development PKI (RFC 5280 profiles, RFC 8410 keys). Not the files they go to.

use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use truc_signing::{Authority, Owner};
use truc_transport::clock;
use truc_types::names::BROKER_DNS_NAME;
use truc_types::{AgencyCode, Timestamp};

const DAY_MILLIS: u64 = 86_400_000;
/// The authority outlives every seal made in its first eight years.
const AUTHORITY_DAYS: u64 = 3_650;
/// Seals live two years, like those of the national authority.
const SEAL_DAYS: u64 = 730;
/// TLS certificates are renewed yearly in development; production makes it 90 days.
const TLS_DAYS: u64 = 365;
/// Certificates begin an hour ago: machines of a development axis may not agree on the minute.
const BEFORE_MILLIS: u64 = 3_600_000;
/// id-kp-documentSigning (RFC 9336).
const DOCUMENT_SIGNING: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];

/// Whose certificate it is and what for.
pub(super) enum Profile<'a> {
    /// Seals the registry.
    Operator,
    /// The broker's side of mutual TLS.
    Broker,
    /// The operator's side of mutual TLS: `truc admin`.
    OperatorClient,
    /// An agency's transport seal.
    Seal(&'a AgencyCode),
    /// An edge's side of mutual TLS.
    Client(&'a AgencyCode),
}

impl Profile<'_> {
    fn owner(&self) -> Owner {
        match self {
            Self::Operator | Self::OperatorClient => Owner::Operator,
            Self::Broker => Owner::Broker,
            Self::Seal(agency) | Self::Client(agency) => Owner::Agency((*agency).clone()),
        }
    }

    fn common_name(&self) -> String {
        match self {
            Self::Operator => "operator".to_owned(),
            Self::OperatorClient => "operator admin".to_owned(),
            Self::Broker => BROKER_DNS_NAME.to_owned(),
            Self::Seal(agency) => format!("{agency} seal"),
            Self::Client(agency) => format!("{agency} edge"),
        }
    }

    fn purpose(&self) -> ExtendedKeyUsagePurpose {
        match self {
            Self::Operator | Self::Seal(_) => ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNING.to_vec()),
            Self::Broker => ExtendedKeyUsagePurpose::ServerAuth,
            Self::Client(_) | Self::OperatorClient => ExtendedKeyUsagePurpose::ClientAuth,
        }
    }

    const fn days(&self) -> u64 {
        match self {
            Self::Operator | Self::Seal(_) => SEAL_DAYS,
            Self::Broker | Self::Client(_) | Self::OperatorClient => TLS_DAYS,
        }
    }

    fn names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let uri = SanType::URI(Ia5String::try_from(self.owner().urn())?);
        match self {
            Self::Broker => Ok(vec![SanType::DnsName(Ia5String::try_from(BROKER_DNS_NAME)?), uri]),
            _ => Ok(vec![uri]),
        }
    }
}

/// A key in the shape that the certificate library asks for. It signs here, so no key file format comes between.
pub(super) struct CertificateKey<'a> {
    key: &'a SigningKey,
    public: [u8; 32],
}

impl<'a> CertificateKey<'a> {
    pub(super) fn new(key: &'a SigningKey) -> Self {
        Self { key, public: key.verifying_key().to_bytes() }
    }
}

impl PublicKeyData for CertificateKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for CertificateKey<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_bytes().to_vec())
    }
}

/// The authority's own certificate.
pub(super) fn authority(name: &str, key: &SigningKey, now: Timestamp) -> Result<Certificate, rcgen::Error> {
    let mut parameters = parameters(name, AUTHORITY_DAYS, now);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.self_signed(&CertificateKey::new(key))
}

/// A certificate for `key`, signed by the authority.
pub(super) fn certificate(
    profile: &Profile<'_>,
    key: &SigningKey,
    authority_pem: &str,
    authority_key: &SigningKey,
    now: Timestamp,
) -> Result<Certificate, rcgen::Error> {
    let mut parameters = parameters(&profile.common_name(), profile.days(), now);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![profile.purpose()];
    parameters.subject_alt_names = profile.names()?;
    parameters.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_pem(authority_pem, CertificateKey::new(authority_key))?;
    parameters.signed_by(&CertificateKey::new(key), &issuer)
}

/// Whether the certificate holds the public half of the key: 32 bytes that do not occur by chance.
pub(super) fn is_pair(authority_pem: &str, key: &SigningKey) -> bool {
    let Ok(authority) = Authority::from_pem(authority_pem) else { return false };
    let public = key.verifying_key().to_bytes();
    authority.der().windows(public.len()).any(|window| window == public)
}

fn parameters(name: &str, days: u64, now: Timestamp) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let from = now.as_millis().saturating_sub(BEFORE_MILLIS);
    let mut parameters = CertificateParams::default();
    parameters.not_before = epoch + Duration::from_millis(from);
    parameters.not_after = epoch + Duration::from_millis(from + days * DAY_MILLIS);
    parameters.serial_number = Some(SerialNumber::from(clock::random::<16>().to_vec()));
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
