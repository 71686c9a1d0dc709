//! `truc admin journal export`: entries byte for byte, one JSON object a line, for auditors who keep a mirror of the log and replay it. The last line
//! is what the log signed over them, so that the file verifies by itself.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use truc_journal::segment::export;
use truc_journal::{Block, JournalEnd};
use truc_ledger::{Checkpoint, LogSigner, checkpoint};
use truc_transport::daemon;
use truc_types::{Position, Reason, Refusal};

use super::JOURNAL_FOLDER;
use crate::backup::Role;
use crate::exported::{Entry, Line, Mirror, Signed};
use crate::failure::{Exit, Failure};
use crate::language::Language;
use crate::output::Output;

/// Write entries of a journal to a file, byte for byte, one JSON object a line: for auditors, who keep a mirror of the log. The last line is the newest
/// checkpoint, signed by the log: `truc admin journal verify-export` checks the file by itself. The node may run. A file that is there is continued.
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
    /// File with the password of the broker's keys: the log's key then signs the root of the entries, and the file verifies by itself. Without it
    /// TRUC_KEY_PASSWORD is read; without both there is no signature.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Summary<'a> {
    file: &'a Path,
    written: u64,
    next_position: u64,
    /// Leaves and root behind the block of the last entry.
    tree_size: Option<u64>,
    root: Option<String>,
    /// The file ends with the log's signature over that root.
    signed: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let folder = arguments.data.join(JOURNAL_FOLDER);
    if !folder.is_dir() {
        return Err(Failure::Usage(format!("{} holds no journal", arguments.data.display())));
    }
    // Before anything is written: a wrong password must not cost an export.
    let signer = signer(arguments)?;
    let path = &arguments.into;
    let fault = |source| Failure::file(path, source);
    let (file, mirror) = resume(path)?;
    let next = mirror.next.unwrap_or(arguments.from);
    let to = arguments.to.unwrap_or(u64::MAX);
    let mut writer = Writer { file: BufWriter::new(file), mirror, next, to, written: 0, failed: None };
    let end = export(&folder, Position(next), &mut |block| {
        if writer.written.is_multiple_of(1_000) {
            output.progress(&format!("{} {}", output.language().choose("position", "vị trí"), writer.next));
        }
        writer.block(&block)
    });
    let end = end.map_err(|cause| Failure::Refused(Refusal::new(cause.reason(), cause.to_string())))?;
    output.progress_end();
    if let Some(cause) = writer.failed.take() {
        return Err(fault(cause));
    }
    // Nothing new: what is there already ends where the journal does.
    let end = match end {
        None if next > 0 => at_end(&folder, next)?,
        end => end,
    };
    let whole = end.filter(|end| end.position.0 == writer.next);
    let signed = match (&whole, &signer) {
        (Some(end), Some(signer)) => writer.sign(end, signer)?,
        _ => false,
    };
    let Writer { mut file, next, written, .. } = writer;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(fault)?;
    let summary = Summary {
        file: path,
        written,
        next_position: next,
        tree_size: whole.as_ref().map(|end| end.tree_size),
        root: whole.as_ref().map(|end| end.root.to_hex()),
        signed,
    };
    output.data(&text(&summary, output.language()), &summary)?;
    if !signed {
        output.talk(output.language().choose(
            "no signed checkpoint ends the file, so it does not verify by itself: that needs the journal of a broker, the file from its first \
             entry to the end of a block, and the password of the keys (--password-file)",
            "tệp không kết thúc bằng điểm kiểm tra có chữ ký nên không tự kiểm chứng được: cần nhật ký của trục, tệp đủ từ bản ghi đầu tiên đến hết \
             một khối, và mật khẩu của khoá (--password-file)",
        ));
    }
    Ok(Exit::Done)
}

/// The end of the journal, if it is at this position.
fn at_end(folder: &Path, next: u64) -> Result<Option<JournalEnd>, Failure> {
    let last = Position(next.saturating_sub(1));
    let end = export(folder, last, &mut |_| ControlFlow::Continue(()));
    end.map_err(|cause| Failure::Refused(Refusal::new(cause.reason(), cause.to_string())))
}

/// The key of the log, where there is one and a password for it was given.
fn signer(arguments: &Arguments) -> Result<Option<LogSigner>, Failure> {
    let given = arguments.password_file.is_some() || std::env::var_os(daemon::PASSWORD_VARIABLE).is_some();
    if !given || Role::of(&arguments.data) != Some(Role::Broker) {
        return Ok(None);
    }
    let password = daemon::password(arguments.password_file.as_deref()).map_err(Failure::Refused)?;
    let broker = truc_broker::load(&arguments.data, &password, None).map_err(Failure::Refused)?;
    Ok(Some(broker.signer))
}

fn text(summary: &Summary<'_>, language: Language) -> String {
    let Summary { file, written, next_position, tree_size, root, signed } = summary;
    let (file, entries) = (file.display(), language.count(*written, "entry", "entries", "bản ghi"));
    let root = match (root, tree_size) {
        (Some(root), Some(size)) => language.choose("; root ", "; gốc ").to_owned() + &format!("{root} / {size}"),
        _ => String::new(),
    };
    let signed = if *signed { language.choose(", signed", ", có chữ ký") } else { "" };
    match language {
        Language::En => format!("{entries} into {file}, the next is {next_position}{root}{signed}"),
        Language::Vi => format!("{entries} vào {file}, tiếp theo là {next_position}{root}{signed}"),
    }
}

/// What a file holds, and the file at the place where it goes on: behind its last whole entry. What an interrupted export left behind that is cut off,
/// and the checkpoint, which covers less than what follows.
fn resume(path: &Path) -> Result<(File, Mirror), Failure> {
    let fault = |source| Failure::file(path, source);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(fault)?;
    let mut mirror = Mirror::default();
    mirror.read(&mut BufReader::new(&mut file)).map_err(|fault| fault.of(path, Failure::Usage))?;
    mirror.checkpoint = None;
    file.set_len(mirror.bytes).and_then(|()| file.seek(SeekFrom::Start(mirror.bytes)).map(|_| ())).map_err(fault)?;
    Ok((file, mirror))
}

struct Writer {
    file: BufWriter<File>,
    mirror: Mirror,
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
            let leaf = header.leaf.0 + (position.0 - header.position.0);
            let line = Line::Entry(Entry::of(position.0, leaf, header.number.0, header.time.to_string(), entry));
            let taken = self.mirror.append(position.0, leaf, entry).map_err(std::io::Error::other);
            if let Err(cause) = taken.and_then(|()| self.line(&line)) {
                self.failed = Some(cause);
                return ControlFlow::Break(());
            }
            (self.next, self.written) = (position.0 + 1, self.written + 1);
        }
        if self.next >= self.to { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.file, line).map_err(std::io::Error::from)?;
        self.file.write_all(b"\n")
    }

    /// Ends the file with what the log signs over its entries; only over a root that was computed from them here.
    fn sign(&mut self, end: &JournalEnd, signer: &LogSigner) -> Result<bool, Failure> {
        let Some(tree) = self.mirror.tree.as_ref().filter(|tree| tree.size() == end.tree_size) else { return Ok(false) };
        if tree.root() != end.root {
            let message = format!("the entries give another root than the journal has at {} leaves", end.tree_size);
            return Err(Failure::Refused(Refusal::new(Reason::JournalCorrupt, message)));
        }
        let checkpoint = Checkpoint { origin: end.origin.clone(), size: end.tree_size, root: end.root };
        let unsigned = |cause: truc_ledger::CheckpointError| Failure::Refused(Refusal::new(Reason::KeyUnreadable, cause.to_string()));
        let checkpoint = checkpoint::sign(&checkpoint, signer).map_err(unsigned)?;
        self.line(&Line::Signed(Signed { checkpoint })).map_err(Failure::Output)?;
        Ok(true)
    }
}
