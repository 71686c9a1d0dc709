//! Key files and certificates of a running process: still there, and valid now. Not what they are used for: whether the process has taken a renewed file
//! over shows the connection.

use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use truc_signing::Certificate;
use truc_types::{Reason, Refusal, Timestamp};

/// One file that the process was started from.
#[derive(Debug)]
struct Watched {
    /// What it is for, as metrics call it.
    role: &'static str,
    path: PathBuf,
    /// End of the certificate in it when it was read last; none for keys, and for certificates of an algorithm that only TLS reads.
    ends: Option<Mutex<Timestamp>>,
}

/// The files of one process.
#[derive(Debug, Default)]
pub struct KeyFiles(Vec<Watched>);

impl KeyFiles {
    /// Adds a private key.
    #[must_use]
    pub fn key(mut self, role: &'static str, path: &Path) -> Self {
        self.0.push(Watched { role, path: path.to_owned(), ends: None });
        self
    }

    /// Adds a certificate.
    #[must_use]
    pub fn certificate(mut self, role: &'static str, path: &Path) -> Self {
        let ends = read(path).ok().map(|certificate| Mutex::new(certificate.not_after()));
        self.0.push(Watched { role, path: path.to_owned(), ends });
        self
    }

    /// When the certificates end, by what was read last.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        self.0.iter().filter_map(|watched| Some((watched.role, *watched.ends.as_ref()?.lock())))
    }

    /// Every file can be read, every certificate is valid at `now`. Reads the disk.
    ///
    /// # Errors
    /// [`Reason::KeyUnreadable`] and [`Reason::CertificateEnded`] with the file.
    pub fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        self.0.iter().try_for_each(|watched| watched.check(now))
    }
}

impl Watched {
    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        let path = self.path.display();
        let unreadable = |cause: String| Refusal::new(Reason::KeyUnreadable, format!("{path}: {cause}"));
        let Some(ends) = &self.ends else {
            return File::open(&self.path).map(drop).map_err(|cause| unreadable(cause.to_string()));
        };
        let certificate = read(&self.path).map_err(unreadable)?;
        *ends.lock() = certificate.not_after();
        let ended = |when: String| Err(Refusal::new(Reason::CertificateEnded, format!("{path} {when}")));
        if now < certificate.not_before() {
            ended(format!("is valid from {}", certificate.not_before()))
        } else if now > certificate.not_after() {
            ended(format!("ended at {}", certificate.not_after()))
        } else {
            Ok(())
        }
    }
}

fn read(path: &Path) -> Result<Certificate, String> {
    let pem = std::fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    Certificate::from_pem(&pem).map_err(|cause| cause.to_string())
}
