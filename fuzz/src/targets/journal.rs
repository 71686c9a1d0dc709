//! A journal's folder with hostile files, as it grows and with packed segments: it opens or says why not, and what it reads stays within the limits of a
//! block.
//!
//! The first byte of an input says which file the rest becomes; the other files are sound.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use truc_journal::segment::{SegmentJournal, SegmentOptions, scrub};
use truc_journal::{Block, BlockHeader, BlockKind, Journal as _};
use truc_ledger::{Frontier, leaf_hash};
use truc_types::limits::BLOCK_BYTES_MAX;
use truc_types::{BlockNumber, LeafIndex, Position, Term, Timestamp};

/// A sound journal: its files by name.
type Files = Vec<(String, Vec<u8>)>;

/// One segment that still grows.
static GROWING: LazyLock<Files> = LazyLock::new(|| sound(BLOCKS_GROWING, &SegmentOptions { packs: false, ..options() }));
/// Segments of one block each, all but the last packed.
static PACKED: LazyLock<Files> = LazyLock::new(|| sound(BLOCKS_PACKED, &SegmentOptions { segment_bytes_max: 1, ..options() }));

const BLOCKS_GROWING: u64 = 3;
const BLOCKS_PACKED: u64 = 4;

pub(super) fn growing(input: &[u8]) -> bool {
    folder(&GROWING, input)
}

pub(super) fn packed(input: &[u8]) -> bool {
    folder(&PACKED, input)
}

fn folder(files: &Files, input: &[u8]) -> bool {
    let Some((which, content)) = input.split_first() else { return false };
    let Ok(folder) = TempDir::with_prefix("truc-fuzz-") else { return false };
    let which = usize::from(*which) % files.len().max(1);
    for (number, (name, sound)) in files.iter().enumerate() {
        let bytes = if number == which { content } else { sound.as_slice() };
        if std::fs::write(folder.path().join(name), bytes).is_err() {
            return false;
        }
    }
    drop(scrub(folder.path(), &mut |_| {}));
    let Ok((journal, report)) = SegmentJournal::open(folder.path(), SegmentOptions { packs: false, ..options() }) else { return false };
    let reader = journal.reader();
    drop(reader.chunk_roots());
    for number in 0..BLOCKS_PACKED {
        drop(reader.find(&[u8::try_from(number).unwrap_or_default(); 16]));
    }
    let mut next = Position(0);
    for block in reader.blocks_from(Position(0)) {
        let Ok(block) = block else { return false };
        assert_eq!(block.header.position, next, "blocks do not follow from each other");
        assert!(block.entries.iter().map(|entry| entry.len()).sum::<usize>() <= BLOCK_BYTES_MAX, "a block over its limit was read");
        next = next.plus(block.entries.len() as u64);
    }
    assert_eq!(next, report.end.position, "the journal ends elsewhere than it says");
    true
}

/// Each file of the sound journals, behind the byte that names it.
pub(super) fn growing_files() -> Vec<Vec<u8>> {
    named(&GROWING)
}

pub(super) fn packed_files() -> Vec<Vec<u8>> {
    named(&PACKED)
}

fn named(files: &Files) -> Vec<Vec<u8>> {
    (0u8..).zip(files).map(|(which, (_, bytes))| [&[which], bytes.as_slice()].concat()).collect()
}

fn options() -> SegmentOptions {
    SegmentOptions::new(Arc::new(|entry| entry.first_chunk::<16>().copied()))
}

/// Writes a small journal and reads its files.
#[expect(clippy::expect_used, reason = "a fixture that does not stand has nothing to fuzz")]
fn sound(blocks: u64, options: &SegmentOptions) -> Files {
    let folder = TempDir::with_prefix("truc-fuzz-").expect("a folder");
    let (mut journal, _) = SegmentJournal::open(folder.path(), options.clone()).expect("an empty folder opens");
    let mut frontier = Frontier::new();
    for number in 0..blocks {
        let entry: Arc<[u8]> = [u8::try_from(number).unwrap_or_default(); 40].as_slice().into();
        frontier.append(leaf_hash(&entry));
        let header = BlockHeader {
            kind: if number == 0 { BlockKind::Shard } else { BlockKind::Entries },
            number: BlockNumber(number),
            position: Position(number),
            leaf: LeafIndex(number),
            origin: "truc.example/axis/2026".to_owned(),
            term: Term(1),
            time: Timestamp::from_millis(1_000 + number),
            tree_size: number + 1,
            root: frontier.root(),
        };
        journal.append(Block { header, entries: vec![entry] }).expect("the block is the next");
    }
    // The journal's own thread packs; only the last segment stays as it is.
    let packed = || names(folder.path()).iter().filter(|name| name.ends_with(".bundles")).count() as u64;
    while options.packs && packed() + 1 < blocks {
        std::thread::yield_now();
    }
    Box::new(journal).close().expect("the journal closes");
    read(folder.path())
}

#[expect(clippy::expect_used, reason = "a fixture that does not stand has nothing to fuzz")]
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| !name.contains("lock")).collect()
}

#[expect(clippy::expect_used, reason = "a fixture that does not stand has nothing to fuzz")]
fn read(folder: &Path) -> Files {
    let file = |name: String| (name.clone(), std::fs::read(folder.join(name)).expect("a file of the journal"));
    let mut files: Files = names(folder).into_iter().map(file).collect();
    files.sort();
    files
}
