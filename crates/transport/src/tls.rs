//! Mutual TLS: who may connect to whom. Revocation of TLS certificates is their short life; seals have their own rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tonic::Request;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use truc_signing::{Certificate as AxisCertificate, CertificateError, Owner};
use truc_types::names::{BROKER_DNS_NAME, OPERATOR_URN};
use truc_types::{AgencyCode, Reason, Refusal, Timestamp};

use crate::clock;

/// How long a stream may go on under a certificate that ended because the clock was set.
const END_LOOKED_AT: Duration = Duration::from_secs(5);

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

/// What a listener shows and trusts. It may change: connections that are open keep what they began with. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Shows and trusts what the files say: clients without a certificate of the authority are refused in the handshake.
    ///
    /// # Errors
    /// As [`server_config`].
    pub fn new(files: &TlsFiles) -> Result<Self, Refusal> {
        Ok(Self::with(server_config(files)?))
    }

    /// Shows and trusts what was made before.
    #[must_use]
    pub fn with(config: Arc<ServerConfig>) -> Self {
        Self { current: Arc::new(RwLock::new(config)) }
    }

    /// For the next handshake.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read())
    }

    /// For all handshakes from now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.current.write() = config;
    }
}

/// The broker's side of a handshake: clients without a certificate of the authority are refused in it.
///
/// # Errors
/// [`Reason::KeyUnreadable`] when a file is no PEM of its kind, or key and certificate do not belong together.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, Refusal> {
    config_for(&files.certificate_pem, &files.key_pem, Some(&files.authority_pem), &[&rustls::version::TLS13])
}

/// A server with a certificate of any authority; with `client_authority_pem`, clients without a certificate of it are refused in the handshake. Its clients
/// are not ours: TLS 1.2 is served as well.
///
/// # Errors
/// As [`server_config`].
pub fn server_for(certificate_pem: &str, key_pem: &str, client_authority_pem: Option<&str>) -> Result<Arc<ServerConfig>, Refusal> {
    config_for(certificate_pem, key_pem, client_authority_pem, rustls::DEFAULT_VERSIONS)
}

fn config_for(
    certificate_pem: &str,
    key_pem: &str,
    client_authority_pem: Option<&str>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ServerConfig>, Refusal> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|cause| wrong("key", &cause))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = builder.map_err(|cause| wrong("versions", &cause))?;
    let builder = match client_authority_pem {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("authority", authority)? {
                roots.add(authority).map_err(|cause| wrong("authority", &cause))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|cause| wrong("authority", &cause))?)
        }
    };
    let config = builder.with_single_cert(certificates("certificate", certificate_pem)?, key);
    let mut config = config.map_err(|cause| wrong("certificate", &cause))?;
    config.alpn_protocols.push(b"h2".to_vec());
    Ok(Arc::new(config))
}

fn wrong(what: &str, cause: &dyn fmt::Display) -> Refusal {
    Refusal::new(Reason::KeyUnreadable, format!("TLS {what}: {cause}"))
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.map_err(|cause| wrong(what, &cause))
}

/// What a client shows and trusts. It may change: the next connection uses it. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    current: Arc<RwLock<TlsFiles>>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Shows and trusts what the files say.
    #[must_use]
    pub fn new(files: TlsFiles) -> Self {
        Self { current: Arc::new(RwLock::new(files)) }
    }

    /// For the next connection.
    #[must_use]
    pub fn config(&self) -> ClientTlsConfig {
        client(&self.current.read())
    }

    /// The certificate that is shown.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.current.read().certificate_pem.clone()
    }

    /// The authority that is trusted.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        self.current.read().authority_pem.clone()
    }

    /// For all connections from now on.
    pub fn replace(&self, files: TlsFiles) {
        *self.current.write() = files;
    }
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
/// [`Reason::IdentityMissing`] without a client certificate or without an agency in it, [`Reason::IdentityExpired`] when it ended since the
/// handshake, [`Reason::SealWeakKey`] when anybody could have made the handshake with its key.
pub fn peer_agency<T>(request: &Request<T>) -> Result<AgencyCode, Refusal> {
    peer(request).map(|peer| peer.agency)
}

/// Who is on the other side of a stream, and for how long that stands.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The agency.
    pub agency: AgencyCode,
    not_after: Timestamp,
}

/// The same as [`peer_agency`] for a stream, which may outlive the certificate that it began under.
///
/// # Errors
/// As [`peer_agency`].
pub fn peer<T>(request: &Request<T>) -> Result<Peer, Refusal> {
    let certificate = peer_certificate(request)?;
    match certificate.owner {
        Owner::Agency(ref agency) => Ok(Peer { agency: agency.clone(), not_after: certificate.not_after() }),
        Owner::Operator | Owner::Broker => Err(missing("the client certificate names no agency (SAN URI urn:truc:agency:<code>)")),
    }
}

impl Peer {
    /// An agency that calls within the process: whoever runs the process vouches for it.
    #[must_use]
    pub const fn within(agency: AgencyCode) -> Self {
        Self { agency, not_after: Timestamp::from_millis(u64::MAX) }
    }

    /// Whether its certificate still holds.
    ///
    /// # Errors
    /// [`Reason::IdentityExpired`].
    pub fn check(&self) -> Result<(), Refusal> {
        check_end(self.not_after)
    }

    /// Waits until its certificate has ended, by the wall clock, which may be set meanwhile.
    pub async fn ended(&self) -> Refusal {
        loop {
            if let Err(refusal) = self.check() {
                return refusal;
            }
            let left = Duration::from_millis(self.not_after.millis_since(clock::now()).saturating_add(1));
            tokio::time::sleep(left.min(END_LOOKED_AT)).await;
        }
    }
}

/// Passes only a request whose client certificate is the operator's.
///
/// # Errors
/// [`Reason::IdentityMissing`] without a client certificate, [`Reason::OperatorOnly`] with that of anybody else; else as [`peer_agency`].
pub fn check_operator<T>(request: &Request<T>) -> Result<(), Refusal> {
    match peer_certificate(request)?.owner {
        Owner::Operator => Ok(()),
        other @ (Owner::Agency(_) | Owner::Broker) => {
            let found = other.urn();
            Err(Refusal::new(Reason::OperatorOnly, format!("the client certificate is of {found}, not of {OPERATOR_URN}"))
                .with("found", found))
        }
    }
}

/// The client certificate of a request. The handshake checked who issued it; that it still holds is asked at each call, because connections last.
fn peer_certificate<T>(request: &Request<T>) -> Result<AxisCertificate, Refusal> {
    let chain = request.peer_certs().ok_or_else(|| missing("the client showed no certificate"))?;
    let leaf = chain.first().ok_or_else(|| missing("the client showed no certificate"))?;
    let certificate = AxisCertificate::from_der(leaf.as_ref()).map_err(|cause| match cause {
        CertificateError::WeakKey => Refusal::new(Reason::SealWeakKey, "the key of the client certificate is weak: it proves nobody"),
        cause => missing(&format!("the client certificate is unreadable: {cause}")),
    })?;
    check_end(certificate.not_after()).map(|()| certificate)
}

fn check_end(not_after: Timestamp) -> Result<(), Refusal> {
    if clock::now() > not_after {
        let message = format!("the client certificate of this connection ended at {not_after}");
        return Err(Refusal::new(Reason::IdentityExpired, message).with("not_after", not_after));
    }
    Ok(())
}

fn missing(message: &str) -> Refusal {
    Refusal::new(Reason::IdentityMissing, message)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_key_exchange_that_is_offered_first_is_the_hybrid_one() {
        let groups = rustls::crypto::aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
