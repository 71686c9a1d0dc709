//! Who may talk to the edge: loopback alone, or TLS with a token or a client certificate. Not what they may do: whoever is let in is the agency's DMS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::service::Interceptor;
use tonic::{Request, Status};
use truc_signing::sha256;
use truc_transport::status::status;
use truc_transport::tls::{self, ServerTls};
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

/// The TLS side that a DMS sees. Its authorities are the agency's own, not those of the axis. Clones share what a reload changes.
#[derive(Debug, Clone)]
pub struct DmsTls {
    server: ServerTls,
    /// Whether a DMS must show a certificate. That does not change while the edge runs.
    asks_for_certificate: bool,
}

impl DmsTls {
    /// Reads the files: certificate chain of the edge, its PKCS#8 key, and the authority of the certificates that a DMS must show; without it none is asked
    /// for.
    ///
    /// # Errors
    /// [`EdgeError::File`] and [`EdgeError::Config`] with the file.
    pub fn read(certificate: &Path, key: &Path, client_authority: Option<&Path>) -> Result<Self, EdgeError> {
        let certificate_pem = read_text(certificate, PEM_BYTES_MAX)?;
        let key_pem = Zeroizing::new(read_text(key, PEM_BYTES_MAX)?);
        let authority_pem = client_authority.map(|path| read_text(path, PEM_BYTES_MAX)).transpose()?;
        let config = tls::server_for(&certificate_pem, &key_pem, authority_pem.as_deref());
        let config = config.map_err(|refusal| EdgeError::Config { setting: "dms_tls_cert", cause: refusal.message })?;
        Ok(Self { server: ServerTls::with(config), asks_for_certificate: client_authority.is_some() })
    }

    pub(crate) const fn server(&self) -> &ServerTls {
        &self.server
    }

    /// Shows and trusts from the next handshake on what was read anew.
    pub(crate) fn replace(&self, read: &Self) {
        self.server.replace(read.server.current());
    }
}

/// Plain text and no credentials only on loopback; anything else needs TLS, and a token or a client certificate.
pub(crate) fn check_listen(listen: SocketAddr, access: &DmsAccess) -> Result<(), EdgeError> {
    check_open(listen, access.token_file.is_some(), access.tls.as_ref().map(|tls| tls.asks_for_certificate))
}

/// `certificate`: whether TLS asks for one; nothing without TLS.
fn check_open(listen: SocketAddr, token: bool, certificate: Option<bool>) -> Result<(), EdgeError> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let wrong = |cause: String| Err(EdgeError::Config { setting: "listen", cause });
    match certificate {
        None => {
            wrong(format!("{listen} is no loopback address: give --dms-tls-cert and --dms-tls-key, plain text is served on loopback only"))
        }
        Some(false) if !token => {
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
    known: watch::Sender<Vec<(String, Digest)>>,
}

/// By which token a call came in: it may go on as long as that is in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(Option<(Arc<Tokens>, Digest)>);

impl Admission {
    /// What the guard noted at a request.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Does the work of a call, unless its token goes meanwhile.
    ///
    /// # Errors
    /// [`Reason::IdentityTokenUnknown`].
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::select! {
            done = work => Ok(done),
            () = self.withdrawn() => Err(Refusal::new(Reason::IdentityTokenUnknown, "the token of the call was taken out of the token file of this edge")),
        }
    }

    async fn withdrawn(&self) {
        if let Some((tokens, own)) = &self.0
            && tokens.known.subscribe().wait_for(|known| known.iter().all(|(_, known)| known != own)).await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Guard {
    /// Reads the token file, if there is one.
    pub(crate) fn open(access: &DmsAccess) -> Result<Self, EdgeError> {
        let Some(path) = access.token_file.clone() else { return Ok(Self { tokens: None }) };
        let known = watch::Sender::new(read_tokens(&path)?);
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
                    tokens.known.send_replace(known);
                }
                Err(cause) => tracing::error!(%cause, "the token file is wrong: the tokens of before stay"),
            }
        }
    }

    fn check(&self, header: Option<&[u8]>) -> Result<Admission, Refusal> {
        let Some(tokens) = &self.tokens else { return Ok(Admission::default()) };
        let missing = || Refusal::new(Reason::IdentityTokenMissing, "the call has no `authorization: Bearer <token>`");
        let token = header.and_then(|header| header.strip_prefix(b"Bearer ")).ok_or_else(missing)?;
        let digest = sha256(token.get(..TOKEN_BYTES_MAX).unwrap_or(token));
        // All of them, without a branch on what matches: the time says nothing about the tokens.
        let same = |known: &Digest| known.0.iter().zip(digest.0).fold(0u8, |differ, (left, right)| differ | (left ^ right)) == 0;
        let found = tokens.known.borrow().iter().fold(false, |found, (_, known)| found | same(known));
        match found && token.len() <= TOKEN_BYTES_MAX {
            true => Ok(Admission(Some((Arc::clone(tokens), digest)))),
            false => Err(Refusal::new(Reason::IdentityTokenUnknown, "the token of the call is not in the token file of this edge")),
        }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization").map(|value| value.as_bytes());
        match self.check(header) {
            Ok(admission) => {
                request.extensions_mut().insert(admission);
                Ok(request)
            }
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

    #[test]
    fn addresses_that_would_be_open_to_others_are_refused() {
        for (open, token, certificate, allowed) in [
            ("127.0.0.1:0", false, None, true),
            ("[::1]:7001", true, None, true),
            ("0.0.0.0:7001", false, None, false),
            ("192.168.1.5:7001", true, None, false),
            ("[::]:7001", false, Some(false), false),
            ("[::]:7001", true, Some(false), true),
            ("192.168.1.5:7001", false, Some(true), true),
        ] {
            let checked = check_open(open.parse().unwrap(), token, certificate);
            assert_eq!(checked.is_ok(), allowed, "{open} {token} {certificate:?}");
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
        let reason = |header: Option<&str>| guard.check(header.map(str::as_bytes)).map(drop).map_err(|refusal| refusal.reason);
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

    #[tokio::test]
    async fn a_call_ends_when_its_token_is_taken_out_and_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let [leaked, kept] = ["leaked-0123456789abcdef0123456789", "kept-0123456789abcdef0123456789ab"];
        fs::write(&path, format!("old {leaked}\nnew {kept}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let guard = Guard::open(&DmsAccess { token_file: Some(path.clone()), tls: None }).unwrap();
        let admitted = |token: &str| guard.check(Some(format!("Bearer {token}").as_bytes())).unwrap();
        let (leaked, kept) = (admitted(leaked), admitted(kept));
        let cut = tokio::spawn(async move { leaked.during(std::future::pending::<()>()).await.map_err(|refusal| refusal.reason) });
        fs::write(&path, "new kept-0123456789abcdef0123456789ab\n").unwrap();
        let tokens = guard.tokens.clone().unwrap();
        tokens.known.send_replace(read_tokens(&path).unwrap());
        assert_eq!(cut.await.unwrap(), Err(Reason::IdentityTokenUnknown));
        assert_eq!(kept.during(async { 7 }).await, Ok(7));
        assert_eq!(Admission::default().during(async { 8 }).await, Ok(8));
    }
}
