//! A journal's folder with hostile files: it opens or says why not, and what it reads stays within the limits of a block.
//!
//! The first byte of an input says which file the rest becomes; the other files are sound.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use truc_journal::segment::{SegmentJournal, SegmentOptions, scrub};
use truc_journal::{Block, BlockHeader, BlockKind, Journal as _};
use truc_ledger::{Frontier, leaf_hash};
use truc_types::limits::BLOCK_BYTES_MAX;
use truc_types::{BlockNumber, LeafIndex, Position, Term, Timestamp};

pub(super) fn folder(input: &[u8]) -> bool {
    let Some((which, content)) = input.split_first() else { return false };
    let Ok(folder) = TempDir::with_prefix("truc-fuzz-") else { return false };
    let names = sound(folder.path());
    let Some(name) = names.get(usize::from(*which) % names.len().max(1)) else { return false };
    if std::fs::write(folder.path().join(name), content).is_err() {
        return false;
    }
    drop(scrub(folder.path(), &mut |_| {}));
    let Ok((journal, report)) = SegmentJournal::open(folder.path(), options()) else { return false };
    let mut next = Position(0);
    for block in journal.reader().blocks_from(Position(0)) {
        let Ok(block) = block else { return false };
        assert_eq!(block.header.position, next, "blocks do not follow from each other");
        assert!(block.entries.iter().map(|entry| entry.len()).sum::<usize>() <= BLOCK_BYTES_MAX, "a block over its limit was read");
        next = next.plus(block.entries.len() as u64);
    }
    assert_eq!(next, report.end.position, "the journal ends elsewhere than it says");
    true
}

/// The files of a sound journal, each behind the byte that names it.
pub(super) fn folders() -> Vec<Vec<u8>> {
    let Ok(folder) = TempDir::with_prefix("truc-fuzz-") else { return Vec::new() };
    let names = sound(folder.path());
    (0u8..).zip(names).map(|(which, name)| [vec![which], std::fs::read(folder.path().join(name)).unwrap_or_default()].concat()).collect()
}

fn options() -> SegmentOptions {
    SegmentOptions::new(Arc::new(|entry| entry.first_chunk::<16>().copied()))
}

/// Writes a small journal; the names of its files, in order.
#[expect(clippy::expect_used, reason = "a fixture that does not stand has nothing to fuzz")]
fn sound(folder: &Path) -> Vec<String> {
    let (mut journal, _) = SegmentJournal::open(folder, options()).expect("an empty folder opens");
    let mut frontier = Frontier::new();
    for number in 0..3u64 {
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
    Box::new(journal).close().expect("the journal closes");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| !name.contains("lock")).collect();
    names.sort();
    names
}
