//! `truc edxml check`: everything that is wrong with message files, as a vendor wants to read it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::Args;
use truc_edxml::{AttachmentSink, ReadError, read_message};
use truc_types::Digest;

use super::excerpt::excerpts;
use super::input::Input;
use super::report::{Report, Verdict};
use super::words::Words;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Say everything that is wrong with edXML files, where, and what to write instead.
///
/// Exit code 0: every file can be read, perhaps with warnings. 1: a file is refused. 2: usage. 5: there is no such file, or it cannot be read; those before
/// it were checked.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Refuse what only deserves a warning, too.
    #[arg(long)]
    pub strict: bool,
}

/// The attachments are looked at and let go.
struct Discard;

impl AttachmentSink for Discard {
    fn begin(&mut self, _index: usize) -> io::Result<()> {
        Ok(())
    }
    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let words = Words::of(output.language());
    let mut exit = Exit::Done;
    for path in &arguments.files {
        let mut input = Input::open(path)?;
        let read = read_message(input.bytes()?, &mut Discard);
        let report = Report::new(input.name.clone(), read, arguments.strict).map_err(|error| broken(&input, error))?;
        let excerpts = if output.is_json() {
            BTreeMap::new()
        } else {
            excerpts(input.bytes()?, report.points()).map_err(|cause| input.failure(cause))?
        };
        output.data(&report.text(&excerpts, words), &report)?;
        if report.verdict == Verdict::Refused {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// The file could not be read; that says nothing about the message.
pub(super) fn broken(input: &Input, error: ReadError) -> Failure {
    match error {
        ReadError::Input(cause) | ReadError::Sink(cause) => input.failure(cause),
        refused @ ReadError::Refused { .. } => input.failure(io::Error::other(refused.to_string())),
    }
}
