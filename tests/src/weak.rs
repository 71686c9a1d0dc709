//! Keys of small order: certificates of the axis' own authority for a key that is nobody's secret, and a TLS client that signs with it. Everybody can:
//! the signature of a neutral point and zero verifies for every message where a verifier does not look.

use std::sync::Arc;

use ed25519_dalek::Signer as _;
use hyper_util::rt::TokioIo;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ClientConfig, RootCertStore, SignatureAlgorithm, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use truc_signing::Certificate;
use truc_types::names::BROKER_DNS_NAME;

use crate::bare::Bare;

/// The neutral point: the public key of small order that every signature of itself and zero fits.
const NEUTRAL: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 1;
    point
};

/// A certificate of the authority like the newest one of an agency (`seal` or `tls`), but for the weak key; DER.
///
/// # Panics
/// When the certificate has not the form that the authority gives it.
#[must_use]
#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
pub fn certificate(bare: &Bare, code: &str, name: &str) -> Vec<u8> {
    let honest: Certificate = bare.certificate(code, name);
    let (key, mut der) = (honest.key().to_bytes(), honest.der().to_vec());
    let at = der.windows(32).position(|window| window == key).expect("the key stands in the certificate");
    der.splice(at..at + 32, NEUTRAL);
    // SEQUENCE { SEQUENCE { what is signed }, algorithm, BIT STRING }: both lengths take two bytes, the signature is the end.
    let signed = |der: &[u8]| -> Option<Vec<u8>> {
        let header = der.get(4..8)?;
        let [0x30, 0x82, high, low] = *header else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        der.get(4..8 + length).map(<[u8]>::to_vec)
    };
    let signature = bare.authority_key().sign(&signed(&der).expect("the signed part")).to_bytes();
    let end = der.len() - signature.len();
    der.splice(end.., signature);
    der
}

/// Connects with a weak TLS certificate of an agency.
///
/// # Errors
/// When the handshake fails.
///
/// # Panics
/// When the client cannot be made.
#[expect(clippy::expect_used, reason = "a test whose preparation failed must fail")]
pub async fn connect(bare: &Bare, code: &str) -> Result<Channel, tonic::transport::Error> {
    let mut roots = RootCertStore::empty();
    let authority = bare.operator_tls().authority_pem;
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("an authority");
    let certified = CertifiedKey::new(vec![certificate(bare, code, "tls").into()], Arc::new(Anybody));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).expect("TLS 1.3");
    let mut config = builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(Shows(Arc::new(certified))));
    config.alpn_protocols.push(b"h2".to_vec());
    let (connector, address) = (TlsConnector::from(Arc::new(config)), bare.broker().address());
    let connect = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from(BROKER_DNS_NAME).map_err(std::io::Error::other)?;
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("http://weak").connect_with_connector(connect).await
}

/// Shows one certificate.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// Signs without a secret.
#[derive(Debug)]
struct Anybody;

impl SigningKey for Anybody {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Anybody {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok([NEUTRAL, [0; 32]].concat())
    }
    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
