//! `truc edxml extract`: the attachments of a message as files, under names that are safe whatever the sender called them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;
use truc_edxml::{AttachmentSink, Message, ReadError, Reading, read_message};
use truc_types::Digest;

use super::check::broken;
use super::input::Input;
use super::report::Report;
use super::words::Words;
use crate::commands::inbox::save::safe_name;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Write the attachments of an edXML file to a folder, decoded and unpacked. Each is numbered; nothing is overwritten.
///
/// Nothing is written when the message is refused: exit code 1, and what is wrong on standard error.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Folder to write to; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

/// Attachments under names of no meaning; they disappear with this value unless they are kept.
struct Files<'a> {
    folder: &'a Path,
    files: Vec<NamedTempFile>,
}

impl AttachmentSink for Files<'_> {
    fn begin(&mut self, _index: usize) -> io::Result<()> {
        self.files.push(NamedTempFile::new_in(self.folder)?);
        Ok(())
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.last_mut().ok_or_else(|| io::Error::other("bytes before an attachment"))?.write_all(bytes)
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
        self.files.last_mut().map_or(Ok(()), |file| file.as_file().sync_all())
    }
}

#[derive(serde::Serialize)]
struct Extracted<'a> {
    path: &'a Path,
    name: &'a str,
    size: u64,
    sha256: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { file, into } = arguments;
    let mut input = Input::open(file)?;
    fs::create_dir_all(into).map_err(|cause| Failure::file(into, cause))?;
    let mut files = Files { folder: into, files: Vec::new() };
    let read = read_message(input.bytes()?, &mut files);
    let attachments = match read {
        Ok(Reading { message: Message::Document(document), .. }) => document.attachments,
        Ok(Reading { message: Message::Status(_), .. }) => Vec::new(),
        Err(ReadError::Sink(cause)) => return Err(Failure::file(into, cause)),
        refused => {
            let report = Report::new(input.name.clone(), refused, false).map_err(|error| broken(&input, error))?;
            let why = match output.is_json() {
                true => serde_json::json!(report).to_string(),
                false => report.text(&std::collections::BTreeMap::new(), Words::of(output.language())),
            };
            output.talk(&why);
            return Ok(Exit::Failed);
        }
    };
    let names = (0..).zip(&attachments).map(|(index, attachment)| into.join(safe_name(index, &attachment.name)));
    let paths: Vec<PathBuf> = names.collect();
    if let Some(taken) = paths.iter().find(|path| path.exists()) {
        return Err(Failure::Exists(taken.clone()));
    }
    for ((file, path), attachment) in files.files.into_iter().zip(&paths).zip(&attachments) {
        file.persist_noclobber(path).map_err(|error| Failure::file(path, error.error))?;
        let extracted = Extracted { path, name: &attachment.name, size: attachment.size, sha256: attachment.sha256.to_hex() };
        output.data(&path.display().to_string(), &extracted)?;
    }
    Ok(Exit::Done)
}
