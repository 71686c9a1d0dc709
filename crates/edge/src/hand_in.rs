//! Unfinished hand-ins: the attachments' bytes of a document as far as they have come, kept by client reference so that a cut costs nothing.
//!
//! ```text
//! <root>/<SHA-256 of the reference>/header   digest of the header, and the boot of the machine in which the bytes were written
//! <root>/<SHA-256 of the reference>/<n>      the bytes of attachment n, from 0; each comes when the one before it is whole
//! <root>/<SHA-256 of the reference>/synced   how many bytes of all of them are on stable storage
//! ```
//!
//! After a crash of the process the lengths of the files are what has come, because the kernel has it; after a crash of the machine only what was synced
//! counts. Each file is hashed as it is written and becomes the attachment itself when the document is whole. Not the document: that is a record once it is complete. Nor a small one as long as its line holds: its bytes are in memory (`grpc::small`).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, watch};
use truc_blobs::write_back;
use truc_signing::sha256;
use truc_types::limits::{ATTACHMENTS_MAX, BLOB_CHUNK_BYTES, HAND_IN_AGE_MILLIS_MAX, HAND_INS_MAX};
use truc_types::{Digest, Reason, Refusal};

/// What one boot of the machine is told apart by; Linux keeps it here.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What the name of a file or folder begins with that nobody needs once the process has ended.
pub(crate) const DROPPED_PREFIX: &str = "dropped-";

/// Every unfinished hand-in of one edge.
#[derive(Debug)]
pub(crate) struct HandIns {
    root: PathBuf,
    boot: String,
    active: Mutex<HashMap<Digest, Active>>,
    /// Those that have a folder: nearly none, and every hand-in asks.
    kept: Mutex<HashSet<Digest>>,
}

/// The calls that hand in under one reference: the newest has it, one at a time writes.
#[derive(Debug, Default)]
struct Active {
    /// Those that write or wait: without one, nothing is remembered of the reference.
    calls: usize,
    newest: watch::Sender<u64>,
    writer: Arc<tokio::sync::Mutex<()>>,
}

/// One call in the table, from its beginning until it ends or nobody waits for it any more.
#[derive(Debug)]
struct Claim {
    ins: Arc<HandIns>,
    key: Digest,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Entry::Occupied(mut active) = self.ins.active.lock().entry(self.key) {
            active.get_mut().calls = active.get().calls.saturating_sub(1);
            if active.get().calls == 0 {
                active.remove();
            }
        }
    }
}

/// One of the streams of the DMS that are taken at a time; given back with the last clone.
pub(crate) type Turn = Arc<OwnedSemaphorePermit>;

/// The right of one call to write. Whoever holds it writes alone.
#[derive(Debug)]
pub(crate) struct HandIn {
    /// Of the stream that it comes by: writing may go on after the call was given up.
    _turn: Turn,
    /// Given back before the claim: whoever comes after that finds nobody writing.
    _alone: OwnedMutexGuard<()>,
    claim: Claim,
}

/// Tells a call that another one took over.
#[derive(Debug)]
pub(crate) struct Takeover {
    newest: watch::Receiver<u64>,
    mine: u64,
}

impl Takeover {
    /// Returns once another call hands in under the same reference.
    pub(crate) async fn happened(&mut self) {
        let mine = self.mine;
        // The sender lives as long as a call under this reference; if it goes, nobody took over.
        if self.newest.wait_for(|newest| *newest > mine).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn storage(cause: &io::Error) -> Refusal {
    Refusal::new(Reason::BlobStorage, format!("an unfinished hand-in: {cause}"))
}

/// Another call took over.
pub(crate) fn superseded() -> Refusal {
    Refusal::new(Reason::HandInSuperseded, "another call hands the document of this client reference in")
}

impl HandIns {
    /// Opens the folder, and drops what is too old. Blocking.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        let ins = Self { root: root.to_owned(), boot, active: Mutex::default(), kept: Mutex::default() };
        ins.sweep()?;
        for entry in fs::read_dir(root)? {
            let name = entry?.file_name();
            ins.kept.lock().extend(name.to_str().and_then(|name| name.parse::<Digest>().ok()));
        }
        Ok(ins)
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the right to write under a reference, from whoever has it.
    pub(crate) async fn enter(self: &Arc<Self>, reference: &str, turn: Turn) -> Result<(HandIn, Takeover), Refusal> {
        let key = sha256(reference.as_bytes());
        let (claim, writer, mut takeover) = {
            let mut table = self.active.lock();
            let active = table.entry(key).or_default();
            active.calls += 1;
            let mut mine = 0;
            active.newest.send_modify(|newest| {
                *newest += 1;
                mine = *newest;
            });
            let takeover = Takeover { newest: active.newest.subscribe(), mine };
            (Claim { ins: Arc::clone(self), key }, Arc::clone(&active.writer), takeover)
        };
        let alone = tokio::select! {
            alone = writer.lock_owned() => alone,
            () = takeover.happened() => return Err(superseded()),
        };
        Ok((HandIn { _turn: turn, _alone: alone, claim }, takeover))
    }

    /// How many bytes are kept under a reference. Blocking.
    pub(crate) fn kept(&self, reference: &str) -> Result<Option<u64>, Refusal> {
        let folder = self.folder(&sha256(reference.as_bytes()));
        self.kept_in(&folder).map(|kept| kept.map(|(_, kept)| kept)).map_err(|cause| storage(&cause))
    }

    fn folder(&self, key: &Digest) -> PathBuf {
        self.root.join(key.to_hex())
    }

    /// Digest of the header and the bytes that count.
    fn kept_in(&self, folder: &Path) -> io::Result<Option<(Digest, u64)>> {
        let Some(header) = read_small(&folder.join("header"))? else { return Ok(None) };
        // A header that a crash cut off belongs to bytes that do not count.
        let Some((digest, boot)) = header.split_once(' ') else { return Ok(None) };
        let Ok(digest) = digest.parse() else { return Ok(None) };
        let length = lengths(folder).map(|(_, length)| length).sum::<u64>();
        if boot == self.boot && !boot.is_empty() {
            return Ok(Some((digest, length)));
        }
        let synced = read_small(&folder.join("synced"))?.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(Some((digest, synced.min(length))))
    }

    /// Drops what is older than [`HAND_IN_AGE_MILLIS_MAX`], and the oldest above [`HAND_INS_MAX`]; never one that a call writes. Blocking.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let mut idle = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(DROPPED_PREFIX) {
                // Of a life that was cut off. A file without a folder lost its name at once: this removes one that is about to.
                if entry.file_type()?.is_dir() {
                    remove_folder(&path)?
                } else {
                    removed(fs::remove_file(&path))?
                }
                continue;
            }
            // The folder's own time changes only when a file comes or goes; that of the attachment that came last with each byte.
            let last = lengths(&path).last().map_or_else(|| path.clone(), |(last, _)| last);
            let changed = fs::metadata(last).and_then(|found| found.modified());
            if let Ok(changed) = changed {
                idle.push((changed, path));
            }
        }
        idle.sort();
        let age = Duration::from_millis(HAND_IN_AGE_MILLIS_MAX);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(truc_transport::clock::now().as_millis());
        let over = idle.len().saturating_sub(HAND_INS_MAX);
        for (index, (changed, path)) in idle.into_iter().enumerate() {
            let old = now.duration_since(changed).is_ok_and(|since| since > age);
            // Names that are not ours stay.
            let key = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<Digest>().ok());
            if let Some(key) = key.filter(|_| old || index < over)
                && let Some(dropped) = self.set_aside(&key, &path)?
            {
                remove_folder(&dropped)?;
                tracing::info!("an unfinished hand-in was dropped");
            }
        }
        Ok(())
    }

    /// Takes a folder away from calls that may come for it, unless one has it. Holding the table keeps a new call from entering meanwhile, and calls wait
    /// for the table: a rename is short, removing a gigabyte is not.
    fn set_aside(&self, key: &Digest, path: &Path) -> io::Result<Option<PathBuf>> {
        let active = self.active.lock();
        if active.contains_key(key) {
            return Ok(None);
        }
        let dropped = self.root.join(format!("{DROPPED_PREFIX}{}", key.to_hex()));
        match fs::rename(path, &dropped) {
            Ok(()) => {
                self.kept.lock().remove(key);
                Ok(Some(dropped))
            }
            // Another sweep was quicker.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    removed(fs::remove_dir_all(path))
}

/// It is no matter who did it.
fn removed(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

impl HandIn {
    fn folder(&self) -> PathBuf {
        self.claim.ins.folder(&self.claim.key)
    }

    /// Prepares the bytes: from the beginning, or from `resume` on. Answers where the next byte goes. Blocking.
    pub(crate) fn begin(&self, header: Digest, resume: Option<u64>) -> Result<u64, Refusal> {
        let folder = self.folder();
        let kept = self.claim.ins.kept_in(&folder).map_err(|cause| storage(&cause))?;
        let from = match (resume, kept) {
            (None | Some(0), None) | (None, Some(_)) => 0,
            (Some(_), Some((found, _))) if found != header => {
                let message = "the header is another one than that of the hand-in which is to go on";
                return Err(Refusal::new(Reason::ReferenceConflict, message).with("field", "document"));
            }
            (Some(from), Some((_, kept))) if from <= kept => from,
            (Some(from), kept) => {
                let kept = kept.map_or(0, |(_, kept)| kept);
                let message = format!("resume_from is byte {from} of the attachments, {kept} are kept");
                return Err(Refusal::new(Reason::HandInPosition, message)
                    .with("field", "resume_from")
                    .with("found", from)
                    .with("kept", kept));
            }
        };
        self.prepare(&folder, header, from).map_err(|cause| storage(&cause))?;
        Ok(from)
    }

    fn prepare(&self, folder: &Path, header: Digest, from: u64) -> io::Result<()> {
        self.claim.ins.kept.lock().insert(self.claim.key);
        fs::create_dir_all(folder)?;
        // Before the bytes that it speaks of go.
        let synced = read_small(&folder.join("synced"))?.and_then(|text| text.parse::<u64>().ok());
        if synced.is_some_and(|synced| synced > from) {
            fs::remove_file(folder.join("synced"))?;
        }
        let mut left = from;
        // Also behind one that is missing, because it became an attachment before the document could not be recorded.
        for path in (0..ATTACHMENTS_MAX).map(|index| piece(folder, index)) {
            let Ok(length) = fs::metadata(&path).map(|found| found.len()) else { continue };
            if left == 0 {
                fs::remove_file(path)?;
            } else if left < length {
                File::options().write(true).open(path)?.set_len(left)?;
            }
            left = left.saturating_sub(length);
        }
        fs::write(folder.join("header"), format!("{} {}", header.to_hex(), self.claim.ins.boot))
    }

    /// Takes the bytes of attachments of these sizes from byte `from` of all of them on. What came before a cut is on stable storage then. Blocking.
    pub(crate) fn take(&self, sizes: &[u64], from: u64, reader: &mut dyn BufRead) -> Result<Taken, Refusal> {
        let mut taken = Taken { bytes: 0, digests: Vec::with_capacity(sizes.len()) };
        let mut take = || {
            for (index, size) in sizes.iter().enumerate() {
                let mut piece = Piece::open(&self.piece(index), from.saturating_sub(taken.bytes).min(*size))?;
                piece.take(*size, reader)?;
                taken.bytes += piece.length;
                if piece.length < *size {
                    return self.sync(index + 1, taken.bytes);
                }
                taken.digests.push(Digest(piece.hasher.finalize().into()));
            }
            Ok(())
        };
        take().map_err(|cause| storage(&cause))?;
        Ok(taken)
    }

    /// Brings what has come to stable storage: so many bytes, of so many attachments. When that fails, nothing of it counts: the kernel says once that it
    /// could not write, and a second look would find everything in order. Blocking.
    pub(crate) fn sync(&self, attachments: usize, bytes: u64) -> io::Result<()> {
        let synced = (0..attachments).try_for_each(|index| File::open(self.piece(index))?.sync_data());
        let synced = synced.and_then(|()| mark(&self.folder(), bytes));
        if synced.is_err() {
            remove_folder(&self.folder())?;
        }
        synced
    }

    /// Where the bytes of an attachment are.
    pub(crate) fn piece(&self, index: usize) -> PathBuf {
        piece(&self.folder(), index)
    }

    /// The line broke: bytes are kept, and others may have to go for them. Blocking.
    pub(crate) fn cut(&self) {
        if let Err(cause) = self.claim.ins.sweep() {
            tracing::warn!(%cause, "unfinished hand-ins could not be swept");
        }
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.claim.ins.kept.lock().contains(&self.claim.key)
    }

    /// The document is recorded, or can never be: nothing is kept. Blocking.
    pub(crate) fn forget(&self) {
        if let Err(cause) = remove_folder(&self.folder()) {
            tracing::warn!(%cause, "a finished hand-in stays until it is swept");
            return;
        }
        self.claim.ins.kept.lock().remove(&self.claim.key);
    }
}

/// What has come of the attachments of a hand-in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// Of those that are whole.
    pub(crate) digests: Vec<Digest>,
}

/// One attachment that comes.
struct Piece {
    file: File,
    length: u64,
    hasher: Sha256,
}

impl Piece {
    /// Goes on behind the first `length` bytes, which are hashed anew.
    fn open(path: &Path, length: u64) -> io::Result<Self> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        let (mut there, mut hasher) = ((&mut file).take(length), Sha256::new());
        let mut buffer = vec![0; BLOB_CHUNK_BYTES.min(usize::try_from(length).unwrap_or(BLOB_CHUNK_BYTES))];
        loop {
            let read = there.read(&mut buffer)?;
            if read == 0 {
                return Ok(Self { file, length, hasher });
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
    }

    /// Takes bytes until there are `size`, or no more come.
    fn take(&mut self, size: u64, reader: &mut dyn BufRead) -> io::Result<()> {
        while self.length < size {
            let bytes = reader.fill_buf()?;
            let room = usize::try_from(size - self.length).unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes.get(..room).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            self.file.write_all(bytes)?;
            self.hasher.update(bytes);
            reader.consume(room);
            let until = self.length + u64::try_from(room).unwrap_or(u64::MAX);
            write_back(&self.file, self.length, until);
            self.length = until;
        }
        Ok(())
    }
}

fn piece(folder: &Path, index: usize) -> PathBuf {
    folder.join(index.to_string())
}

/// The attachments of which something came, in their order, with what came of each.
fn lengths(folder: &Path) -> impl Iterator<Item = (PathBuf, u64)> {
    let found = (0..ATTACHMENTS_MAX).map(|index| piece(folder, index));
    found.map_while(|path| fs::metadata(&path).ok().map(|found| (path, found.len())))
}

/// Notes durably how many bytes are durable.
fn mark(folder: &Path, bytes: u64) -> io::Result<()> {
    let (new, path) = (folder.join("synced.new"), folder.join("synced"));
    let mut file = File::create(&new)?;
    file.write_all(bytes.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(folder.join("header"))?.sync_all()?;
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(root) => File::open(root)?.sync_all(),
        None => Ok(()),
    }
}

/// A file of a few bytes; `None` if there is none.
fn read_small(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(1_024).read_to_string(&mut text).map(|_| Some(text)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn turn() -> Turn {
        Arc::new(Arc::new(tokio::sync::Semaphore::new(1)).try_acquire_owned().unwrap())
    }

    fn header(text: &str) -> Digest {
        sha256(text.as_bytes())
    }

    #[tokio::test]
    async fn what_could_not_be_synced_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
        assert_eq!(hand_in.begin(header("a"), None).unwrap(), 0);
        hand_in.take(&[3, 7], 0, &mut b"12345".as_slice()).unwrap();
        assert_eq!(ins.kept("HS-1").unwrap(), Some(5));
        // The third attachment has no file.
        assert!(hand_in.sync(3, 5).is_err());
        assert_eq!(ins.kept("HS-1").unwrap(), None);
        assert_eq!(hand_in.begin(header("a"), None).unwrap(), 0, "and begins anew");
    }

    #[tokio::test]
    async fn what_came_before_a_cut_is_kept_and_a_machine_that_fell_keeps_what_was_synced() {
        let folder = tempfile::tempdir().unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
        assert_eq!(hand_in.begin(header("a"), None).unwrap(), 0);
        // Three attachments, the second of which is empty.
        let sizes = [3, 0, 7];
        let whole = [&b"123"[..], b"", b"4567890"].map(sha256);
        let taken = hand_in.take(&sizes, 0, &mut b"12345".as_slice()).unwrap();
        assert_eq!(taken, Taken { bytes: 5, digests: whole[..2].to_vec() });
        assert_eq!(hand_in.begin(header("b"), Some(5)).unwrap_err().reason, Reason::ReferenceConflict);
        assert_eq!(hand_in.begin(header("a"), Some(6)).unwrap_err().reason, Reason::HandInPosition);
        drop(hand_in);
        // More bytes that no sync followed, and another boot.
        let path = folder.path().join(header("HS-1").to_hex());
        fs::write(path.join("2"), b"45678").unwrap();
        assert_eq!(HandIns::open(folder.path()).unwrap().kept("HS-1").unwrap(), Some(8));
        fs::write(path.join("header"), format!("{} another-boot", header("a").to_hex())).unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        assert_eq!(ins.kept("HS-1").unwrap(), Some(5));
        for from in [4_u8, 3, 1] {
            let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
            assert_eq!(hand_in.begin(header("a"), Some(from.into())).unwrap(), u64::from(from));
            assert_eq!(ins.kept("HS-1").unwrap(), Some(from.into()));
            let mut rest = &b"1234567890"[from.into()..];
            assert_eq!(hand_in.take(&sizes, from.into(), &mut rest).unwrap(), Taken { bytes: 10, digests: whole.to_vec() });
            assert_eq!(fs::read(hand_in.piece(2)).unwrap(), b"4567890");
        }
        let (hand_in, _) = ins.enter("HS-1", turn()).await.unwrap();
        // The first one became an attachment, and the edge ended: what is left alone is of no use.
        fs::remove_file(hand_in.piece(0)).unwrap();
        assert_eq!(ins.kept("HS-1").unwrap(), Some(0));
        assert_eq!(hand_in.begin(header("c"), None).unwrap(), 0);
        assert_eq!(hand_in.take(&[4, 4], 0, &mut b"12".as_slice()).unwrap().bytes, 2);
        assert_eq!(ins.kept("HS-1").unwrap(), Some(2));
        hand_in.forget();
        assert_eq!(ins.kept("HS-1").unwrap(), None);
    }

    #[tokio::test]
    async fn a_second_call_takes_over_from_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        let (first, mut takeover) = ins.enter("HS-1", turn()).await.unwrap();
        let second = tokio::spawn({
            let ins = Arc::clone(&ins);
            async move { ins.enter("HS-1", turn()).await.map(|(hand_in, _)| hand_in) }
        });
        takeover.happened().await;
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert!(ins.active.lock().contains_key(&header("HS-1")));
        drop(second);
        assert!(ins.active.lock().is_empty());
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_is_forgotten_and_never_makes_two_writers() {
        let folder = tempfile::tempdir().unwrap();
        let ins = Arc::new(HandIns::open(folder.path()).unwrap());
        let (first, mut takeover) = ins.enter("HS-1", turn()).await.unwrap();
        let waiting = tokio::spawn({
            let ins = Arc::clone(&ins);
            async move { ins.enter("HS-1", turn()).await.map(|_| ()) }
        });
        takeover.happened().await;
        // The line of the second call breaks while it waits: the first still writes, and whoever comes now has to wait for it.
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        let third = tokio::spawn({
            let ins = Arc::clone(&ins);
            async move { ins.enter("HS-1", turn()).await.map(|(hand_in, _)| hand_in) }
        });
        while ins.active.lock().get(&header("HS-1")).map(|active| active.calls) != Some(2) {
            tokio::task::yield_now().await;
        }
        assert!(!third.is_finished());
        drop(first);
        drop(third.await.unwrap().unwrap());
        assert!(ins.active.lock().is_empty(), "what is in the table is never swept");
    }

    #[test]
    fn only_so_many_are_kept_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..HAND_INS_MAX + 3 {
            let path = folder.path().join(header(&number.to_string()).to_hex());
            fs::create_dir(&path).unwrap();
            let data = File::create(path.join("0")).unwrap();
            let minutes = u64::try_from(number).unwrap();
            // One of them is older than allowed, all others of today.
            let age = if number == 10 { 8 * 24 * 60 } else { 100 - minutes };
            let now = SystemTime::UNIX_EPOCH + Duration::from_millis(truc_transport::clock::now().as_millis());
            data.set_modified(now - Duration::from_secs(60 * age)).unwrap();
        }
        fs::create_dir(folder.path().join(format!("{DROPPED_PREFIX}{}", header("cut off").to_hex()))).unwrap();
        HandIns::open(folder.path()).unwrap();
        let there = |number: usize| folder.path().join(header(&number.to_string()).to_hex()).exists();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), HAND_INS_MAX);
        assert!(!there(0) && !there(1) && !there(10) && there(2) && there(HAND_INS_MAX + 2));
    }
}
