//! `truc admin journal export`: entries byte for byte, one JSON object a line, for auditors who keep a mirror of the log and replay it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use truc_journal::Block;
use truc_journal::segment::export;
use truc_types::{Digest, Position};

use super::JOURNAL_FOLDER;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// A line of an export: an entry of 64 KiB in base64, and the rest.
const LINE_BYTES_MAX: u64 = 100 * 1024;

/// Write entries of a journal to a file, byte for byte, one JSON object a line: for auditors, who keep a mirror of the log, compute its tree
/// themselves and compare the root with the signed checkpoints they get elsewhere. The node may run. A file that is there is continued.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The file to write or to continue.
    #[arg(long, value_name = "FILE")]
    pub into: PathBuf,
    /// Position of the first entry; a file that is continued goes on behind its last line instead.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub from: u64,
    /// Position behind the last entry; without it everything that is durable.
    #[arg(long, value_name = "POSITION")]
    pub to: Option<u64>,
}

/// One line.
#[derive(Serialize, Deserialize)]
struct Line {
    position: u64,
    leaf: u64,
    block: u64,
    block_time: String,
    sha256: String,
    entry: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    file: &'a Path,
    written: u64,
    next_position: u64,
    /// Leaves and root behind the block of the last entry.
    tree_size: Option<u64>,
    root: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let folder = arguments.data.join(JOURNAL_FOLDER);
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("{} holds no journal", arguments.data.display())));
    }
    let path = &arguments.into;
    let fault = |source| Failure::file(path, source);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(fault)?;
    let next = resume(&mut file, path)?.unwrap_or(arguments.from);
    let to = arguments.to.unwrap_or(u64::MAX);
    let mut writer = Writer { file: BufWriter::new(file), next, to, written: 0, failed: None };
    let end = export(&folder, Position(next), &mut |block| {
        if writer.written.is_multiple_of(1_000) {
            output.progress(&format!("position {}", writer.next));
        }
        writer.block(&block)
    });
    let end = end.map_err(|cause| Failure::Refused(truc_types::Refusal::new(cause.reason(), cause.to_string())))?;
    output.progress_end();
    if let Some(cause) = writer.failed.take() {
        return Err(fault(cause));
    }
    let Writer { mut file, next, written, .. } = writer;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(fault)?;
    let whole = end.filter(|end| end.position.0 == next);
    let summary = Summary {
        file: path,
        written,
        next_position: next,
        tree_size: whole.as_ref().map(|end| end.tree_size),
        root: whole.as_ref().map(|end| end.root.to_hex()),
    };
    let root = whole.map(|end| format!("; root {} of {} leaves", end.root, end.tree_size)).unwrap_or_default();
    output.data(&format!("{written} entries into {}, the next is {next}{root}", path.display()), &summary)?;
    Ok(Exit::Done)
}

/// Where a file goes on: behind its last whole line; what an interrupted export left behind that is cut off. `None` for an empty file.
fn resume(file: &mut File, path: &Path) -> Result<Option<u64>, Failure> {
    let fault = |source| Failure::file(path, source);
    let (mut reader, mut kept, mut last) = (BufReader::new(&mut *file), 0u64, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(fault)?;
        if line.last() != Some(&b'\n') {
            if u64::try_from(read) == Ok(LINE_BYTES_MAX) {
                return Err(Failure::Usage(format!("{} is no export: a line of it is longer than any entry", path.display())));
            }
            break;
        }
        let parsed: Line = serde_json::from_slice(&line)
            .map_err(|cause| Failure::Usage(format!("{} is no export: at byte {kept}: {cause}", path.display())))?;
        if last.is_some_and(|last: u64| last.checked_add(1) != Some(parsed.position)) {
            return Err(Failure::Usage(format!("{} has a gap before position {}", path.display(), parsed.position)));
        }
        last = Some(parsed.position);
        kept = kept.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    file.set_len(kept).and_then(|()| file.seek(SeekFrom::Start(kept)).map(|_| ())).map_err(fault)?;
    Ok(last.map(|last| last.saturating_add(1)))
}

struct Writer {
    file: BufWriter<File>,
    next: u64,
    to: u64,
    written: u64,
    failed: Option<std::io::Error>,
}

impl Writer {
    fn block(&mut self, block: &Block) -> ControlFlow<()> {
        let (header, from) = (&block.header, self.next);
        for (position, entry) in block.positioned().filter(|(position, _)| position.0 >= from) {
            if position.0 >= self.to {
                return ControlFlow::Break(());
            }
            let line = Line {
                position: position.0,
                leaf: header.leaf.0 + (position.0 - header.position.0),
                block: header.number.0,
                block_time: header.time.to_string(),
                sha256: Digest(Sha256::digest(entry).into()).to_hex(),
                entry: STANDARD.encode(entry),
            };
            let written = serde_json::to_writer(&mut self.file, &line).map_err(std::io::Error::from);
            if let Err(cause) = written.and_then(|()| self.file.write_all(b"\n")) {
                self.failed = Some(cause);
                return ControlFlow::Break(());
            }
            (self.next, self.written) = (position.0 + 1, self.written + 1);
        }
        if self.next >= self.to { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
