//! Mutual TLS: who may connect to whom. Revocation of TLS certificates is their short life; seals have their own rules.

use std::time::Duration;

use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};
use truc_signing::{Certificate as AxisCertificate, Owner};
use truc_types::limits::HANDSHAKE_MILLIS_MAX;
use truc_types::names::BROKER_DNS_NAME;
use truc_types::{AgencyCode, Reason, Refusal};

/// A party's certificate chain, its private key and the authority it trusts, as PEM texts in memory.
#[derive(Clone)]
pub struct TlsFiles {
    /// Own certificate chain.
    pub certificate_pem: String,
    /// Own private key, PKCS#8 version 1, not encrypted (it was decrypted while being read).
    pub key_pem: zeroize::Zeroizing<String>,
    /// Certificate authority of the axis.
    pub authority_pem: String,
}

/// The broker's side: clients without a certificate of the authority are refused in the handshake.
#[must_use]
pub fn server(files: &TlsFiles) -> ServerTlsConfig {
    ServerTlsConfig::new()
        .identity(Identity::from_pem(&files.certificate_pem, files.key_pem.as_str()))
        .client_ca_root(Certificate::from_pem(&files.authority_pem))
        .timeout(Duration::from_millis(HANDSHAKE_MILLIS_MAX))
}

/// The edge's side: the server must be the broker of this authority.
#[must_use]
pub fn client(files: &TlsFiles) -> ClientTlsConfig {
    ClientTlsConfig::new()
        .domain_name(BROKER_DNS_NAME)
        .identity(Identity::from_pem(&files.certificate_pem, files.key_pem.as_str()))
        .ca_certificate(Certificate::from_pem(&files.authority_pem))
}

/// The agency that the client certificate of a request names.
///
/// # Errors
/// [`Reason::IdentityMissing`] without a client certificate or without an agency in it.
pub fn peer_agency<T>(request: &Request<T>) -> Result<AgencyCode, Refusal> {
    let missing = |message: &str| Refusal::new(Reason::IdentityMissing, message);
    let chain = request.peer_certs().ok_or_else(|| missing("the client showed no certificate"))?;
    let leaf = chain.first().ok_or_else(|| missing("the client showed no certificate"))?;
    let certificate =
        AxisCertificate::from_der(leaf.as_ref()).map_err(|cause| missing(&format!("the client certificate is unreadable: {cause}")))?;
    match certificate.owner {
        Owner::Agency(agency) => Ok(agency),
        Owner::Operator | Owner::Broker => Err(missing("the client certificate names no agency (SAN URI urn:truc:agency:<code>)")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_exchange_that_is_offered_first_is_the_hybrid_one() {
        let groups = rustls::crypto::aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
