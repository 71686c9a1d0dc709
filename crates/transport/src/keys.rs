//! Key files and certificates of a running process: still there, and valid now. Not what they are used for.

use std::fs::File;
use std::path::{Path, PathBuf};

use truc_signing::Certificate;
use truc_types::{Reason, Refusal, Timestamp};

/// One file that the process was started from.
#[derive(Debug)]
struct Watched {
    /// What it is for, as metrics call it.
    role: &'static str,
    path: PathBuf,
    /// Its certificate as the process has it in use; none for keys, and for certificates of an algorithm that only TLS reads.
    in_use: Option<Certificate>,
}

/// The files of one process.
#[derive(Debug, Default)]
pub struct KeyFiles(Vec<Watched>);

impl KeyFiles {
    /// Adds a private key.
    #[must_use]
    pub fn key(mut self, role: &'static str, path: &Path) -> Self {
        self.0.push(Watched { role, path: path.to_owned(), in_use: None });
        self
    }

    /// Adds a certificate that is in use.
    #[must_use]
    pub fn certificate(mut self, role: &'static str, path: &Path, pem: &str) -> Self {
        self.0.push(Watched { role, path: path.to_owned(), in_use: Certificate::from_pem(pem).ok() });
        self
    }

    /// The same, of one that was read already.
    #[must_use]
    pub fn in_use(mut self, role: &'static str, path: &Path, certificate: Certificate) -> Self {
        self.0.push(Watched { role, path: path.to_owned(), in_use: Some(certificate) });
        self
    }

    /// When the certificates in use end.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        self.0.iter().filter_map(|watched| Some((watched.role, watched.in_use.as_ref()?.not_after())))
    }

    /// Every file can be read; every certificate, in use and in its file, is valid at `now`. Reads the disk.
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
        let Some(in_use) = &self.in_use else {
            return File::open(&self.path).map(drop).map_err(|cause| unreadable(cause.to_string()));
        };
        check_time(in_use, now).map_err(|when| ended(&format!("the {} certificate in use {when}", self.role)))?;
        let pem = std::fs::read_to_string(&self.path).map_err(|cause| unreadable(cause.to_string()))?;
        let stored = Certificate::from_pem(&pem).map_err(|cause| unreadable(cause.to_string()))?;
        check_time(&stored, now).map_err(|when| ended(&format!("{path} {when}")))
    }
}

fn check_time(certificate: &Certificate, now: Timestamp) -> Result<(), String> {
    if now < certificate.not_before() {
        Err(format!("is valid from {}", certificate.not_before()))
    } else if now > certificate.not_after() {
        Err(format!("ended at {}", certificate.not_after()))
    } else {
        Ok(())
    }
}

fn ended(message: &str) -> Refusal {
    Refusal::new(Reason::CertificateEnded, message)
}
