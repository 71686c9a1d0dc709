//! `truc evidence`: writes the evidence folder of a document that was sent. What is in it, `truc verify` checks; here only its paths are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use truc_proto::edge::v1 as pb;
use truc_types::limits::{ATTACHMENTS_BYTES_MAX, EDXML_BYTES_MAX};

use super::remote::EdgeAddress;
use crate::failure::{Exit, Failure};
use crate::measure;
use crate::output::Output;

/// Files of one evidence folder: twice what the largest legal one has.
const FILES_MAX: usize = 1_000;
/// Bytes of one evidence folder: all attachments, the edXML file, and 64 MiB of statements and proofs.
const BYTES_MAX: u64 = ATTACHMENTS_BYTES_MAX + EDXML_BYTES_MAX + 64 * 1024 * 1024;
/// A path inside the folder: the longest are under 40 bytes.
const PATH_BYTES_MAX: usize = 100;

/// Write the evidence of a document that was sent, for one recipient: what `truc verify` and an auditor's own tools check offline.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    edge: EdgeAddress,
    /// The message id.
    message: String,
    /// Code of the recipient.
    #[arg(long, value_name = "CODE")]
    recipient: String,
    /// Folder to write: a new or an empty one.
    folder: PathBuf,
}

#[derive(serde::Serialize)]
struct Written<'a> {
    folder: &'a Path,
    files: usize,
    bytes: u64,
}

pub(super) async fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let folder = arguments.folder.as_path();
    let (files, bytes) = write(&arguments.edge, &arguments.message, &arguments.recipient, folder).await?;
    let language = output.language();
    let count = language.count(u64::try_from(files).unwrap_or(u64::MAX), "file", "files", "tệp");
    let (size, inside) = (measure::bytes(bytes), language.choose("in", "trong"));
    output.data(&format!("{count}, {size} {inside} {}", folder.display()), &Written { folder, files, bytes })?;
    Ok(Exit::Done)
}

/// Writes the evidence of a document for one recipient into a new or empty folder; how many files and bytes.
pub(crate) async fn write(edge: &EdgeAddress, message_id: &str, recipient: &str, folder: &Path) -> Result<(usize, u64), Failure> {
    // Nothing is made before the edge has evidence to give: a refused call leaves no empty folder behind.
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(Failure::Usage(format!("{} is not empty", folder.display()))),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(Failure::file(folder, source)),
    }
    let mut client = edge.connect().await?;
    let request = pb::GetEvidenceRequest { message_id: message_id.to_owned(), recipient: recipient.to_owned() };
    let mut pieces = client.get_evidence(request).await.map_err(|status| edge.failure(&status))?.into_inner();
    let mut writer = Writer { folder, current: None, files: 0, bytes: 0 };
    while let Some(piece) = pieces.message().await.map_err(|status| edge.failure(&status))? {
        writer.take(&piece)?;
    }
    let (files, bytes) = writer.finish()?;
    if files == 0 {
        return Err(Failure::BadAnswer("no files".to_owned()));
    }
    Ok((files, bytes))
}

/// Writes pieces to files, one after another.
struct Writer<'a> {
    folder: &'a Path,
    current: Option<(String, File)>,
    files: usize,
    bytes: u64,
}

impl Writer<'_> {
    fn take(&mut self, piece: &pb::GetEvidenceResponse) -> Result<(), Failure> {
        let pb::GetEvidenceResponse { path, data } = piece;
        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.bytes > BYTES_MAX || self.files > FILES_MAX {
            return Err(Failure::BadAnswer("more than an evidence folder may have".to_owned()));
        }
        if self.current.as_ref().is_none_or(|(current, _)| current != path) {
            self.close()?;
            self.current = Some((path.clone(), self.create(path)?));
            self.files += 1;
        }
        match &mut self.current {
            Some((_, file)) => file.write_all(data).map_err(|source| Failure::file(&self.folder.join(path), source)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(usize, u64), Failure> {
        self.close()?;
        Ok((self.files, self.bytes))
    }

    fn create(&self, path: &str) -> Result<File, Failure> {
        if !is_inside(path) {
            return Err(Failure::BadAnswer(format!("the path {:?}", path.chars().take(PATH_BYTES_MAX).collect::<String>())));
        }
        let path = self.folder.join(path);
        let create = || -> io::Result<File> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            OpenOptions::new().write(true).create_new(true).open(&path)
        };
        create().map_err(|source| Failure::file(&path, source))
    }

    fn close(&mut self) -> Result<(), Failure> {
        match self.current.take() {
            Some((path, file)) => file.sync_all().map_err(|source| Failure::file(&self.folder.join(path), source)),
            None => Ok(()),
        }
    }
}

/// Whether a path stays inside the folder: at most two parts of lower-case letters, digits, `-`, `_`, `.`, none of which begins with a dot.
/// Upper case only in `VERIFY.txt`.
fn is_inside(path: &str) -> bool {
    let part = |part: &str| {
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(letter)
    };
    path == "VERIFY.txt" || (path.len() <= PATH_BYTES_MAX && path.split('/').count() <= 2 && path.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in ["envelope.dsse.json", "receipts/01-fetched.tlog-proof", "VERIFY.txt", "attachments/00"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../x", "a/./x", ".bashrc", "a//b", "a/", "a/b/c", "A", "a\\b", "a\0", "trust/..", "ü"] {
            assert!(!is_inside(path), "{path}");
        }
    }

    #[test]
    fn a_file_is_never_written_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer { folder: folder.path(), current: None, files: 0, bytes: 0 };
        let piece = |path: &str| pb::GetEvidenceResponse { path: path.to_owned(), data: b"x".to_vec().into() };
        writer.take(&piece("a/b")).unwrap();
        writer.take(&piece("a/b")).unwrap();
        writer.take(&piece("c")).unwrap();
        assert!(matches!(writer.take(&piece("a/b")), Err(Failure::Exists(_))));
        assert_eq!(fs::read(folder.path().join("a/b")).unwrap(), b"xx");
    }
}
