//! Who may talk to the edge: loopback alone, or TLS with a token or a client certificate. Not what they may do: whoever is let in is the agency's DMS.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tonic::service::Interceptor;
use tonic::transport::ServerTlsConfig;
use tonic::{Request, Status};
use truc_signing::sha256;
use truc_transport::status::status;
use truc_transport::tls;
use truc_types::limits::{TOKEN_BYTES_MAX, TOKEN_BYTES_MIN, TOKENS_MAX};
use truc_types::{Digest, Reason, Refusal};
use zeroize::Zeroizing;

use crate::error::EdgeError;

/// How often the token file is looked at for a change.
const RELOAD_EVERY: Duration = Duration::from_secs(2);
/// Bytes of a token file: [`TOKENS_MAX`] lines of a token and a name.
const TOKEN_FILE_BYTES_MAX: u64 = (TOKENS_MAX * 2 * TOKEN_BYTES_MAX) as u64;
/// Bytes of a certificate or key file; far above any of them.
const PEM_BYTES_MAX: u64 = 64 * 1024;

/// How a DMS shows that it may talk to this edge.
#[derive(Debug, Clone, Default)]
pub struct DmsAccess {
    /// File with one `name token` a line; every call must then carry `authorization: Bearer <token>`.
    pub token_file: Option<PathBuf>,
    /// TLS; without it only loopback is served, in plain text.
    pub tls: Option<DmsTls>,
}

/// The TLS side that a DMS sees. Its authorities are the agency's own, not those of the axis.
#[derive(Clone)]
pub struct DmsTls {
    /// Certificate chain of the edge, PEM.
    pub certificate_pem: String,
    /// Its key, PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
    /// Authority of the certificates that a DMS must show, PEM; without it none is asked for.
    pub client_authority_pem: Option<String>,
}

impl fmt::Debug for DmsTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmsTls").field("client_authority", &self.client_authority_pem.is_some()).finish_non_exhaustive()
    }
}

impl DmsTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`EdgeError::File`] and [`EdgeError::Config`] with the file.
    pub fn read(certificate: &Path, key: &Path, client_authority: Option<&Path>) -> Result<Self, EdgeError> {
        Ok(Self {
            certificate_pem: read_text(certificate, PEM_BYTES_MAX)?,
            key_pem: Zeroizing::new(read_text(key, PEM_BYTES_MAX)?),
            client_authority_pem: client_authority.map(|path| read_text(path, PEM_BYTES_MAX)).transpose()?,
        })
    }

    pub(crate) fn server(&self) -> ServerTlsConfig {
        tls::server_for(&self.certificate_pem, &self.key_pem, self.client_authority_pem.as_deref())
    }
}

/// Plain text and no credentials only on loopback; anything else needs TLS, and a token or a client certificate.
pub(crate) fn check_listen(listen: SocketAddr, access: &DmsAccess) -> Result<(), EdgeError> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let wrong = |cause: String| Err(EdgeError::Config { setting: "listen", cause });
    match &access.tls {
        None => {
            wrong(format!("{listen} is no loopback address: give --dms-tls-cert and --dms-tls-key, plain text is served on loopback only"))
        }
        Some(tls) if access.token_file.is_none() && tls.client_authority_pem.is_none() => {
            wrong(format!("{listen} is no loopback address: give --token-file or --dms-client-ca, or anybody could send for the agency"))
        }
        Some(_) => Ok(()),
    }
}

/// Lets calls with a known token pass. Clones share the tokens.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    /// `None`: no token is asked for.
    tokens: Option<Arc<Tokens>>,
}

/// Names and digests of the tokens of a file.
#[derive(Debug)]
struct Tokens {
    path: PathBuf,
    known: RwLock<Vec<(String, Digest)>>,
}

impl Guard {
    /// Reads the token file, if there is one.
    pub(crate) fn open(access: &DmsAccess) -> Result<Self, EdgeError> {
        let Some(path) = access.token_file.clone() else { return Ok(Self { tokens: None }) };
        let known = RwLock::new(read_tokens(&path)?);
        Ok(Self { tokens: Some(Arc::new(Tokens { path, known })) })
    }

    /// Reads the file again whenever it has changed. A file that is wrong then changes nothing: a clerk's slip must not stop an agency.
    pub(crate) async fn keep_fresh(self) {
        let Some(tokens) = self.tokens else { return std::future::pending().await };
        let stamp = |path: &Path| fs::metadata(path).map(|found| (found.ino(), found.mtime(), found.mtime_nsec(), found.len())).ok();
        let mut seen = stamp(&tokens.path);
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            let now = stamp(&tokens.path);
            if now == seen {
                continue;
            }
            seen = now;
            match read_tokens(&tokens.path) {
                Ok(known) => {
                    tracing::info!(tokens = known.len(), "the token file was read again");
                    *tokens.known.write() = known;
                }
                Err(cause) => tracing::error!(%cause, "the token file is wrong: the tokens of before stay"),
            }
        }
    }

    fn check(&self, header: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let missing = || Refusal::new(Reason::IdentityTokenMissing, "the call has no `authorization: Bearer <token>`");
        let token = header.and_then(|header| header.strip_prefix(b"Bearer ")).ok_or_else(missing)?;
        let digest = sha256(token.get(..TOKEN_BYTES_MAX).unwrap_or(token));
        // All of them, without a branch on what matches: the time says nothing about the tokens.
        let same = |known: &Digest| known.0.iter().zip(digest.0).fold(0u8, |differ, (left, right)| differ | (left ^ right)) == 0;
        let found = tokens.known.read().iter().fold(false, |found, (_, known)| found | same(known));
        match found && token.len() <= TOKEN_BYTES_MAX {
            true => Ok(()),
            false => Err(Refusal::new(Reason::IdentityTokenUnknown, "the token of the call is not in the token file of this edge")),
        }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization").map(|value| value.as_bytes());
        match self.check(header) {
            Ok(()) => Ok(request),
            Err(refusal) => {
                tracing::warn!(reason = %refusal.reason, peer = ?request.remote_addr(), "a call was not let in");
                Err(status(&refusal))
            }
        }
    }
}

/// Reads `name token` lines; empty ones and those that begin with `#` are passed over.
fn read_tokens(path: &Path) -> Result<Vec<(String, Digest)>, EdgeError> {
    let mode = fs::metadata(path).map_err(|source| EdgeError::File { path: path.to_owned(), source })?.mode();
    let wrong = |cause: String| EdgeError::Config { setting: "token-file", cause: format!("{}: {cause}", path.display()) };
    if mode & 0o077 != 0 {
        return Err(wrong(format!("mode {:04o} lets others read it: chmod 600", mode & 0o7777)));
    }
    let text = Zeroizing::new(read_text(path, TOKEN_FILE_BYTES_MAX)?);
    let mut tokens: Vec<(String, Digest)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, token) = line.split_once(char::is_whitespace).ok_or_else(|| wrong(format!("line {number} is not `name token`")))?;
        let token = token.trim();
        if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let rule = format!("{TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} visible ASCII characters");
            return Err(wrong(format!("the token in line {number} does not have {rule}")));
        }
        if tokens.iter().any(|(known, _)| known == name) || tokens.len() >= TOKENS_MAX {
            return Err(wrong(format!("line {number} repeats the name {name:?}, or there are more than {TOKENS_MAX} tokens")));
        }
        tokens.push((name.to_owned(), sha256(token.as_bytes())));
    }
    match tokens.is_empty() {
        true => Err(wrong("there is no token in it".to_owned())),
        false => Ok(tokens),
    }
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, EdgeError> {
    let file = |source| EdgeError::File { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(file)?.len();
    if length > bytes_max {
        let cause = format!("{} has {length} bytes, at most {bytes_max} are read", path.display());
        return Err(EdgeError::Config { setting: "file", cause });
    }
    fs::read_to_string(path).map_err(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access(tokens: bool, tls: bool, client_authority: bool) -> DmsAccess {
        let tls = tls.then(|| DmsTls {
            certificate_pem: String::new(),
            key_pem: Zeroizing::new(String::new()),
            client_authority_pem: client_authority.then(String::new),
        });
        DmsAccess { token_file: tokens.then(PathBuf::new), tls }
    }

    #[test]
    fn addresses_that_would_be_open_to_others_are_refused() {
        for (open, access, allowed) in [
            ("127.0.0.1:0", access(false, false, false), true),
            ("[::1]:7001", access(true, false, false), true),
            ("0.0.0.0:7001", access(false, false, false), false),
            ("192.168.1.5:7001", access(true, false, false), false),
            ("[::]:7001", access(false, true, false), false),
            ("[::]:7001", access(true, true, false), true),
            ("192.168.1.5:7001", access(false, true, true), true),
        ] {
            let checked = check_listen(open.parse().unwrap(), &access);
            assert_eq!(checked.is_ok(), allowed, "{open} {access:?}");
            assert!(matches!(checked, Ok(()) | Err(EdgeError::Config { setting: "listen", .. })));
        }
    }

    #[test]
    fn only_tokens_of_the_file_pass() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let token = "0123456789abcdef0123456789abcdef";
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&format!("# comment\n\nvoffice {token}\n"), 0o600);
        let guard = Guard::open(&DmsAccess { token_file: Some(path.clone()), tls: None }).unwrap();
        let reason = |header: Option<&str>| guard.check(header.map(str::as_bytes)).map_err(|refusal| refusal.reason);
        assert_eq!(reason(None), Err(Reason::IdentityTokenMissing));
        assert_eq!(reason(Some(token)), Err(Reason::IdentityTokenMissing));
        assert_eq!(reason(Some("Bearer voffice")), Err(Reason::IdentityTokenUnknown));
        assert_eq!(reason(Some(&format!("Bearer {token}0"))), Err(Reason::IdentityTokenUnknown));
        assert_eq!(reason(Some(&format!("Bearer {}", "x".repeat(100_000)))), Err(Reason::IdentityTokenUnknown));
        assert_eq!(reason(Some(&format!("Bearer {token}"))), Ok(()));
        for (text, mode) in [("a short", 0o600), ("", 0o600), (token, 0o600), (format!("voffice {token}").as_str(), 0o644)] {
            write(text, mode);
            assert!(matches!(read_tokens(&path), Err(EdgeError::Config { setting: "token-file", .. })), "{text:?}");
        }
        write(&format!("a {token}\na {token}"), 0o600);
        assert!(read_tokens(&path).is_err());
    }
}
