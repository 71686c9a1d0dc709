//! How fast do attachments of 50 MiB pass through reader and writer, raw and as archives, and how much memory does that take? Each row runs in a
//! process of its own, because the peak is the process's own. Content comes from memory-free generators and goes nowhere: no disk is measured.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::{Command, ExitCode};
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use truc_edxml::{AttachmentInfo, AttachmentSink, AttachmentSource, Document, Message, read_message, write_message};
use truc_types::Digest;

const SAMPLE: &[u8] = include_bytes!("../../../testdata/edxml/made/04-reply.edxml");
/// Bytes of the attachment.
const FULL_BYTES: u64 = 50 << 20;
/// The same where only the bench itself is tried.
const SMALL_BYTES: u64 = 1 << 20;
/// Memory that a row may take beyond what the process had before it.
const GROWTH_KIB_MAX: u64 = 16 * 1024;
const ROWS: [(&str, &str); 4] = [("write", "a.pdf"), ("write", "a.csv"), ("read", "a.pdf"), ("read", "a.csv")];

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Bytes that compress about as an office file does: half of each 16 is noise.
struct Content {
    left: u64,
    state: u64,
}

impl Content {
    const fn new(bytes: u64) -> Self {
        Self { left: bytes, state: 0x5eed }
    }
}

impl Read for Content {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let bytes = out.get_mut(..count).unwrap_or_default();
        for group in bytes.chunks_mut(16) {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let noise = self.state.to_le_bytes();
            group.iter_mut().zip(noise.into_iter().chain(*b"van ban ")).for_each(|(to, from)| *to = from);
        }
        self.left -= u64::try_from(count).unwrap_or(self.left);
        Ok(count)
    }
}

struct Source(u64);

impl AttachmentSource for Source {
    fn open(&mut self, _index: usize) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(BufReader::with_capacity(32 * 1024, Content::new(self.0))))
    }
}

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

fn message(name: &str, bytes: u64) -> Outcome<Message> {
    let Message::Document(document) = read_message(SAMPLE, &mut Discard)?.message else { return Err("the sample is a document".into()) };
    let mut hasher = Sha256::new();
    let mut reader = BufReader::with_capacity(32 * 1024, Content::new(bytes));
    let mut chunk = [0; 16 * 1024];
    loop {
        match reader.read(&mut chunk)? {
            0 => break,
            count => hasher.update(chunk.get(..count).unwrap_or_default()),
        }
    }
    let attachment = AttachmentInfo {
        name: name.to_owned(),
        description: None,
        media_type: "application/octet-stream".to_owned(),
        content_id: "1".to_owned(),
        size: bytes,
        sha256: Digest(hasher.finalize().into()),
    };
    Ok(Message::Document(Box::new(Document { attachments: vec![attachment], ..*document })))
}

/// The largest resident size so far.
fn peak_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn seconds(run: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// One row, in this process: MB/s of attachment and KiB of growth.
#[expect(clippy::print_stdout, reason = "the row is what the bench says")]
fn row(direction: &str, name: &str, bytes: u64) -> Outcome<()> {
    let message = message(name, bytes)?;
    let mut file = tempfile()?;
    let (seconds, before) = if direction == "write" {
        let before = peak_kib()?;
        (seconds(|| Ok(write_message(&message, &mut Source(bytes), &mut io::sink())?))?, before)
    } else {
        let mut out = BufWriter::new(&mut file);
        write_message(&message, &mut Source(bytes), &mut out)?;
        out.flush()?;
        drop(out);
        io::Seek::rewind(&mut file)?;
        let before = peak_kib()?;
        let reading = seconds(|| {
            read_message(BufReader::with_capacity(64 * 1024, &file), &mut Discard)?;
            Ok(())
        })?;
        (reading, before)
    };
    let grown = peak_kib()? - before;
    let megabytes = f64::from(u32::try_from(bytes)?) / 1e6;
    println!("| {direction} | {} | {:.0} MB/s | {grown} KiB |", if name.ends_with("pdf") { "raw" } else { "archive" }, megabytes / seconds);
    if grown > GROWTH_KIB_MAX {
        return Err(format!("{grown} KiB, at most {GROWTH_KIB_MAX} are allowed").into());
    }
    Ok(())
}

/// A file without a name under the target folder.
fn tempfile() -> io::Result<std::fs::File> {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("edxml-{}", std::process::id()));
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is what the bench says")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let bytes = if arguments.iter().any(|argument| argument == "--bench") { FULL_BYTES } else { SMALL_BYTES };
    if let Some([_, direction, name, ..]) = arguments.get(1..).filter(|rest| rest.first().is_some_and(|first| first == "row")) {
        return row(direction, name, bytes).map_or_else(
            |error| {
                eprintln!("{direction} {name}: {error}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    println!("| direction | attachment of {} MiB | speed | memory beside the process |\n|---|---|---|---|", bytes >> 20);
    let all = ROWS.iter().all(|(direction, name)| {
        let mut child = Command::new(arguments.first().map_or("", String::as_str));
        child.args(["row", direction, name]).args(arguments.iter().filter(|argument| *argument == "--bench"));
        child.status().is_ok_and(|status| status.success())
    });
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
