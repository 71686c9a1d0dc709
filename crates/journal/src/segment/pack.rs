//! Packing a sealed segment into bundles, off the commit path: on a thread of its own that lives while there is something to pack.
//!
//! Not reading them (`unpack`), and never the growing segment. One segment at a time; memory is one bundle, its frame and the rows.
//!
//! What a crash or a failure leaves, step by step:
//! 1. the bundled file under a temporary name, any part of it: the next packing of the segment writes it anew;
//! 2. synced, read back from its first to its last byte and found to hold the same blocks: as 1;
//! 3. renamed and the folder synced: both forms are there, the plain one counts, and it is packed once more;
//! 4. published to the readers: memory only;
//! 5. the plain file removed: it may come back with a power cut before the folder is synced, and is packed once more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use truc_ledger::store::CHUNK_LEAVES;
use truc_ledger::{Frontier, leaf_hash};
use truc_types::{BlockNumber, Digest, Position};

use super::bundle::{BUNDLED_FORMAT, BlockRow, BundleRow, Footer, wide};
use super::disk::{Disk, WriteFile};
use super::error::OpenError;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::reader::{Form, SegmentReader};
use super::unpack::{Bundled, UnpackError};
use super::walk::{Cursor, Depth, Seen, SegmentFile, bundled_name, read_segment_header, walk};
use crate::block::{BlockKind, JournalEnd};

/// Of zstd: a seventh of the size of a full loop's entries, as level 3 makes of them in a third more time; the levels below 1 are twice as fast and a third larger.
const LEVEL: i32 = 1;
/// Bytes after which what was written is synced: one sync of everything would hold up the commits beside it.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Behind everything that somebody waits for.
const NICE: i32 = 10;

/// Why a segment stays plain. Nothing is lost by it but space.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    #[error(transparent)]
    Storage(#[from] OpenError),
    #[error("the segment is damaged or holds two shards: {0}")]
    Unfit(String),
    #[error("what was written does not read back as the same blocks")]
    Different,
    #[error("the journal is being closed")]
    Stopped,
}

/// The thread that packs, while there is one.
#[derive(Default)]
pub(super) struct Packer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Whether the thread will look again before it ends.
    looks: Mutex<bool>,
}

impl Packer {
    /// There may be something to pack.
    pub(super) fn wake(&mut self, disk: &Arc<dyn Disk>, folder: &Path, reader: &Arc<SegmentReader>) {
        let mut looks = self.shared.looks.lock();
        if *looks || self.shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let (shared, disk, folder, reader) = (self.shared.clone(), disk.clone(), folder.to_owned(), reader.clone());
        let thread = std::thread::Builder::new().name("journal-pack".to_owned());
        match thread.spawn(move || pack_while_there_is(&shared, &*disk, &folder, &reader)) {
            Ok(thread) => (self.thread, *looks) = (Some(thread), true),
            Err(error) => tracing::warn!(%error, "no thread for packing sealed segments; the next seal asks again"),
        }
    }

    /// Waits until nothing is left to pack, or the thread has given up.
    #[cfg(test)]
    pub(super) fn finish(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that packs sealed segments panicked");
        }
    }
}

/// A thread that panics looks no more; the next seal starts another one.
struct Looking<'a>(&'a Shared);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.looks.lock() = false;
        }
    }
}

fn pack_while_there_is(shared: &Shared, disk: &dyn Disk, folder: &Path, reader: &SegmentReader) {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "packing goes on at the common priority");
    }
    let _looking = Looking(shared);
    let mut skipped = Vec::new();
    loop {
        let next = {
            let mut looks = shared.looks.lock();
            let next = next_plain(reader, &skipped);
            *looks = next.is_some();
            next
        };
        let Some((number, path)) = next else { return };
        match pack_one(disk, folder, reader, number, &path, &shared.stop) {
            Ok(()) => {}
            Err(PackError::Stopped) => return,
            Err(error @ (PackError::Unfit(_) | PackError::Different)) => {
                tracing::error!(segment = %path.display(), %error, "a sealed segment is not packed; run the full check of the journal");
                skipped.push(number);
            }
            Err(error @ PackError::Storage(_)) => {
                tracing::warn!(segment = %path.display(), %error, "a sealed segment could not be packed; the next seal tries again");
                *shared.looks.lock() = false;
                return;
            }
        }
    }
}

/// The first sealed segment that is plain.
pub(super) fn next_plain(reader: &SegmentReader, skipped: &[BlockNumber]) -> Option<(BlockNumber, PathBuf)> {
    let published = reader.published.read();
    let is_next = |segment: &&super::reader::SegmentInfo| {
        segment.sealed.is_some() && matches!(segment.form, Form::Plain(_)) && !skipped.contains(&segment.header.number)
    };
    published.segments.iter().find(is_next).map(|segment| (segment.header.number, segment.path.clone()))
}

/// Packs a segment, publishes its new form and removes the old one.
pub(super) fn pack_one(
    disk: &dyn Disk,
    folder: &Path,
    reader: &SegmentReader,
    number: BlockNumber,
    path: &Path,
    stop: &AtomicBool,
) -> Result<(), PackError> {
    let length = disk.open(path).and_then(|file| file.metadata()).map_err(OpenError::storage(path))?.len();
    let plain = SegmentFile { path: path.to_owned(), number, length, is_bundled: false };
    let name = bundled_name(number);
    let (temporary, target) = (folder.join(format!("{name}.new")), folder.join(&name));
    let sealed_at = {
        let published = reader.published.read();
        let segment = published.segments.iter().find(|segment| segment.header.number == number);
        segment.and_then(|segment| segment.sealed.as_ref()).map(|(end, _)| *end)
    };
    let written = write(disk, &plain, sealed_at, &temporary, stop);
    let bundled = match written {
        Ok(bundled) => bundled,
        Err(error) => {
            // Best effort: the next packing would write it anew, but until then it takes room.
            drop(disk.remove(&temporary));
            return Err(error);
        }
    };
    disk.rename(&temporary, &target).map_err(OpenError::storage(&target))?;
    disk.sync_folder(folder).map_err(OpenError::storage(folder))?;
    {
        let mut published = reader.published.write();
        if let Some(segment) = published.segments.iter_mut().find(|segment| segment.header.number == number) {
            (segment.path, segment.form) = (target, Form::Bundled(Arc::new(bundled)));
        }
    }
    reader.close(path);
    disk.remove(path).map_err(OpenError::storage(path))?;
    disk.sync_folder(folder).map_err(OpenError::storage(folder))?;
    Ok(())
}

/// What blocks have in common in both forms: a checksum over everything that they say.
#[derive(Default)]
struct Fingerprint(crc32fast::Hasher, Vec<u8>);

impl Fingerprint {
    fn add(&mut self, seen: &Seen<'_>) {
        self.1.clear();
        BlockRow::of(seen.header, u16::try_from(seen.entries.len()).unwrap_or(u16::MAX)).encode(&mut self.1);
        self.0.update(&self.1);
        for entry in seen.entries {
            self.0.update(&wide(entry.len()).to_be_bytes());
            self.0.update(entry);
        }
    }
}

/// Writes the bundled form of a plain segment, syncs it and reads it back.
fn write(disk: &dyn Disk, plain: &SegmentFile, sealed_at: Option<Position>, to: &Path, stop: &AtomicBool) -> Result<Bundled, PackError> {
    let file = disk.open(&plain.path).map_err(OpenError::storage(&plain.path))?;
    let header = read_segment_header(&file, plain).map_err(OpenError::storage(&plain.path))?;
    let header = header.map_err(|error| PackError::Unfit(error.to_string()))?;
    let mut writing = Writing::begin(disk, to, header.clone())?;
    let mut fingerprint = Fingerprint::default();
    let end = read(&file, plain, &header, stop, &mut |seen| {
        fingerprint.add(seen);
        writing.block(seen)
    })?;
    // Zeros in the place of blocks would pass for room behind the last one.
    if sealed_at.is_some_and(|sealed_at| sealed_at != end.position) {
        return Err(PackError::Unfit(format!("its blocks end at position {}", end.position)));
    }
    let (footer, roots) = writing.finish(end)?;
    let file = disk.open(to).map_err(OpenError::storage(to))?;
    let length = file.metadata().map_err(OpenError::storage(to))?.len();
    let back = SegmentFile { path: to.to_owned(), number: plain.number, length, is_bundled: true };
    let mut again = Fingerprint::default();
    read(&file, &back, &header, stop, &mut |seen| {
        again.add(seen);
        Ok(())
    })?;
    let bundled = match Bundled::open(&file, length) {
        Ok(bundled) => bundled,
        Err(UnpackError::Storage(error)) => return Err(OpenError::storage(to)(error).into()),
        Err(UnpackError::Wrong { .. }) => return Err(PackError::Different),
    };
    // What was read back is what was hashed, so the roots need not be computed a second time.
    match bundled.check_rows(&file, &roots) {
        Ok(()) => {}
        Err(UnpackError::Storage(error)) => return Err(OpenError::storage(to)(error).into()),
        Err(UnpackError::Wrong { .. }) => return Err(PackError::Different),
    }
    if bundled.footer != footer || again.0.finalize() != fingerprint.0.finalize() {
        return Err(PackError::Different);
    }
    Ok(bundled)
}

/// All blocks of a segment file, in full; where they end.
fn read(
    file: &std::fs::File,
    segment: &SegmentFile,
    header: &SegmentHeader,
    stop: &AtomicBool,
    on_block: &mut dyn FnMut(&Seen<'_>) -> Result<(), PackError>,
) -> Result<JournalEnd, PackError> {
    let mut cursor = Cursor { end: header.start(), offset: wide(SEGMENT_HEADER_BYTES) };
    let mut failed = None;
    let bad = walk(file, segment, &header.origin, &mut cursor, Depth::Full, &mut |seen| {
        let is_inner_shard = seen.header.kind == BlockKind::Shard && seen.header.number != header.number;
        let outcome = if stop.load(Ordering::Relaxed) {
            Err(PackError::Stopped)
        } else if is_inner_shard {
            Err(PackError::Unfit(format!("a shard begins with block {}", seen.header.number)))
        } else {
            on_block(seen)
        };
        outcome.map_err(|error| {
            let cause = error.to_string();
            failed = Some(error);
            cause
        })
    });
    let bad = bad.map_err(OpenError::storage(&segment.path))?;
    match (failed, bad) {
        (Some(error), _) => Err(error),
        (None, Some(bad)) => Err(PackError::Unfit(bad.damage(segment, &cursor).to_string())),
        (None, None) => Ok(cursor.end),
    }
}

/// A bundled file that grows.
struct Writing<'a> {
    path: &'a Path,
    file: Box<dyn WriteFile>,
    compressor: zstd::bulk::Compressor<'static>,
    header: SegmentHeader,
    offset: u64,
    synced: u64,
    /// The bundle that is being filled.
    bundle: Vec<u8>,
    entries: u16,
    first: Position,
    tree: Frontier,
    bundle_rows: Vec<u8>,
    /// The roots in those rows: 32 bytes for 256 entries.
    roots: Vec<Digest>,
    block_rows: Vec<u8>,
    bundles: u32,
    blocks: u32,
    entry_bytes: u64,
}

impl<'a> Writing<'a> {
    fn begin(disk: &dyn Disk, path: &'a Path, header: SegmentHeader) -> Result<Self, PackError> {
        let mut file = disk.create(path).map_err(OpenError::storage(path))?;
        let head = header.encode(BUNDLED_FORMAT);
        file.append(&head).map_err(OpenError::storage(path))?;
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(OpenError::storage(path))?;
        Ok(Self {
            path,
            file,
            compressor,
            first: header.position,
            header,
            offset: wide(head.len()),
            synced: 0,
            bundle: Vec::new(),
            entries: 0,
            tree: Frontier::new(),
            bundle_rows: Vec::new(),
            roots: Vec::new(),
            block_rows: Vec::new(),
            bundles: 0,
            blocks: 0,
            entry_bytes: 0,
        })
    }

    fn block(&mut self, seen: &Seen<'_>) -> Result<(), PackError> {
        BlockRow::of(seen.header, u16::try_from(seen.entries.len()).unwrap_or(u16::MAX)).encode(&mut self.block_rows);
        self.blocks += 1;
        for entry in seen.entries {
            self.bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
            self.bundle.extend_from_slice(entry);
            self.tree.append(leaf_hash(entry));
            self.entry_bytes += wide(entry.len());
            self.entries += 1;
            let behind = self.first.plus(u64::from(self.entries)).0 - self.header.position.0 + self.header.leaf.0;
            if behind.is_multiple_of(CHUNK_LEAVES) {
                self.close_bundle()?;
            }
        }
        Ok(())
    }

    fn close_bundle(&mut self) -> Result<(), PackError> {
        if self.entries == 0 {
            return Ok(());
        }
        let frame = self.compressor.compress(&self.bundle).map_err(OpenError::storage(self.path))?;
        let row = BundleRow {
            offset: self.offset,
            bytes: frame.len(),
            unpacked: self.bundle.len(),
            position: self.first,
            entries: self.entries,
            root: std::mem::replace(&mut self.tree, Frontier::new()).root(),
            checksum: crc32fast::hash(&frame),
        };
        row.encode(&mut self.bundle_rows);
        self.roots.push(row.root);
        self.append(&frame)?;
        self.first = row.end();
        self.bundles += 1;
        self.entries = 0;
        self.bundle.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.file.append(bytes).map_err(OpenError::storage(self.path))?;
        self.offset += wide(bytes.len());
        if self.offset - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), PackError> {
        self.synced = self.offset;
        Ok(self.file.sync().map_err(OpenError::storage(self.path))?)
    }

    fn finish(mut self, end: JournalEnd) -> Result<(Footer, Vec<Digest>), PackError> {
        self.close_bundle()?;
        let rows_offset = self.offset;
        let footer = Footer { bundles: self.bundles, blocks: self.blocks, rows_offset, end, entry_bytes: self.entry_bytes };
        let mut rest = std::mem::take(&mut self.bundle_rows);
        rest.append(&mut self.block_rows);
        footer.encode(&mut rest);
        self.append(&rest)?;
        self.sync()?;
        Ok((footer, self.roots))
    }
}
