//! The manifest of a backup: what was copied, and the digest by which every byte of it is checked. Not the files themselves.
//!
//! The file is one JSON object, `{"sha256":"<64 hex>","backup":{…}}`; the digest is that of the exact bytes of the inner object, so that a
//! manifest in which one digit changed is told from the one that was written.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use truc_types::{BlockNumber, Digest};

use super::{FILES_MAX, damaged};
use crate::failure::Failure;
use crate::language::Language;

/// Name of the manifest in the folder of a backup.
pub(super) const MANIFEST_FILE: &str = "manifest.json";
const FORMAT: u32 = 1;
const HEAD: &str = "{\"sha256\":\"";
const MIDDLE: &str = "\",\"backup\":";
const END: &str = "}\n";
/// A manifest: [`FILES_MAX`] rows of at most 300 bytes.
const MANIFEST_BYTES_MAX: u64 = FILES_MAX as u64 * 300;

/// Whose data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The broker of an axis.
    Broker,
    /// The edge of an agency.
    Edge,
}

impl Role {
    /// The role of a data folder, by its settings.
    #[must_use]
    pub fn of(data: &Path) -> Option<Self> {
        [Self::Broker, Self::Edge].into_iter().find(|role| data.join(format!("{}.toml", role.name())).is_file())
    }

    /// As people say it.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        let vietnamese = match self {
            Self::Broker => "trục",
            Self::Edge => "nút biên",
        };
        language.choose(self.name(), vietnamese)
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Edge => "edge",
        }
    }
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Where it belongs in the data folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, by which it is stored.
    pub sha256: String,
    /// It never changes any more: a later backup does not read it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this object.
    pub format: u32,
    /// Release that wrote it.
    pub release: String,
    /// When the copying began: everything acknowledged before is in it.
    pub begun_at: String,
    /// Whose data.
    pub role: Role,
    /// Origin of the journal.
    pub origin: String,
    /// Blocks of the journal.
    pub blocks: u64,
    /// Position of the next entry.
    pub position: u64,
    /// Leaves of the current shard.
    pub tree_size: u64,
    /// Root of its tree, in hexadecimal.
    pub root: String,
    /// Time of the last block.
    pub block_time: String,
    /// Attachments that were damaged at the source and are missing here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged_at_source: Vec<String>,
    /// Everything that was copied.
    pub files: Vec<Kept>,
}

impl Manifest {
    /// The format of this release.
    pub(super) const FORMAT: u32 = FORMAT;

    /// Reads the manifest of a backup; `None` if the folder has none.
    ///
    /// # Errors
    /// `backup.damaged` when it is not what was written.
    pub fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(MANIFEST_FILE);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Failure::file(&path, source)),
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| Failure::file(&path, source))?;
        Self::parse(&bytes).map(Some).map_err(|cause| damaged(format!("{}: {cause}", path.display())))
    }

    /// The manifest in the bytes of its file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let shell = text.strip_prefix(HEAD).and_then(|rest| rest.split_at_checked(64));
        let inner = shell.and_then(|(sum, rest)| Some((sum, rest.strip_prefix(MIDDLE)?.strip_suffix(END)?)));
        let (sum, inner) = inner.ok_or("it does not have the shell that every manifest has")?;
        if sum != sha256(inner.as_bytes()).to_hex() {
            return Err("its bytes do not have the SHA-256 that it names".to_owned());
        }
        let manifest: Self = serde_json::from_str(inner).map_err(|cause| cause.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!("format {}, this release reads {FORMAT}", manifest.format));
        }
        for kept in &manifest.files {
            if !is_inside(&kept.path) || kept.sha256.parse::<Digest>().is_err() {
                return Err(format!("{:?} is no file of a data folder", kept.path));
            }
        }
        Ok(manifest)
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let inner = serde_json::to_string(self).map_err(|cause| damaged(format!("the manifest cannot be written: {cause}")))?;
        Ok(Self::sealed(&inner).into_bytes())
    }

    /// The file around the object `backup`.
    #[must_use]
    pub fn sealed(inner: &str) -> String {
        format!("{HEAD}{}{MIDDLE}{inner}{END}", sha256(inner.as_bytes()).to_hex())
    }

    /// The files by path.
    pub(super) fn by_path(&self) -> HashMap<&str, &Kept> {
        self.files.iter().map(|kept| (kept.path.as_str(), kept)).collect()
    }

    /// Blocks and root of the journal.
    pub(super) fn journal_end(&self) -> Option<(BlockNumber, Digest)> {
        Some((BlockNumber(self.blocks), self.root.parse().ok()?))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|kept| kept.bytes).sum()
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A manifest may come from elsewhere: none of its paths leaves the folder that is restored into.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_manifest_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { path: "journal/high-water".to_owned(), bytes: 84, sha256: "0".repeat(64), sealed: false };
        let manifest = Manifest {
            format: FORMAT,
            release: "0".to_owned(),
            begun_at: "2026-01-01T00:00:00Z".to_owned(),
            role: Role::Broker,
            origin: "log".to_owned(),
            blocks: 1,
            position: 2,
            tree_size: 2,
            root: "1".repeat(64),
            block_time: "2026-01-01T00:00:00Z".to_owned(),
            damaged_at_source: Vec::new(),
            files: vec![kept],
        };
        let bytes = manifest.to_bytes().unwrap();
        let path = folder.path().join(MANIFEST_FILE);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(Manifest::read(folder.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(!is_inside(path), "{path}");
        }
        assert!(is_inside("blobs/owners/G22/00"));
    }
}
