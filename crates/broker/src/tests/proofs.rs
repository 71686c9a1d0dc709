//! Proofs of leaves whose lower nodes are forgotten, read back from the journal, while the log grows.

use std::sync::Arc;

use truc_journal::memory::MemoryJournal;
use truc_journal::{BlockKind, Journal, JournalReader};
use truc_ledger::{Checkpoint, Frontier, TreeStore, checkpoint, leaf_hash};
use truc_types::{BlockNumber, Position, Term, Timestamp};

use super::axis::{ORIGIN, signer};
use crate::block::{Filling, Tail};
use crate::committer::Closed;
use crate::published::{Checkpointed, Published};

/// A log of opaque entries that grows by blocks of 37: no chunk begins where a block does.
pub(crate) struct Growing {
    journal: MemoryJournal,
    published: Arc<Published>,
    tail: Tail,
    frontier: Frontier,
}

fn entry(position: u64) -> Arc<[u8]> {
    format!("entry {position}").into_bytes().into()
}

impl Growing {
    pub(crate) fn new() -> Self {
        let journal = MemoryJournal::new();
        let checkpointed = Checkpointed { note: "".into(), size: 0 };
        let published = Published::new(journal.reader(), Position(0), TreeStore::new(256), checkpointed, Arc::default());
        let tail = Tail {
            number: BlockNumber(0),
            position: Position(0),
            shard_start: Position(0),
            origin: ORIGIN.to_owned(),
            term: Term(0),
            time: Timestamp::from_millis(1),
        };
        Self { journal, published: Arc::new(published), tail, frontier: Frontier::new() }
    }

    pub(crate) fn reader(&self) -> Arc<dyn JournalReader> {
        self.journal.reader()
    }

    pub(crate) fn grow(&mut self) {
        let mut filling = Filling::default();
        let first = self.tail.position.0;
        for position in first..first + 37 {
            filling.push(entry(position), None);
        }
        let Closed { mut block, leaves, .. } = filling.close(&mut self.tail, &mut self.frontier).block.unwrap();
        if first == 0 {
            block.header.kind = BlockKind::Shard;
        }
        self.journal.append(block.clone()).unwrap();
        let newest = Checkpoint { origin: ORIGIN.into(), size: block.header.tree_size, root: block.header.root };
        let note = checkpoint::sign(&newest, &signer()).unwrap().into();
        self.published.publish_block(block, &leaves, Checkpointed { note, size: newest.size });
    }
}

fn check(published: &Published, positions: &[u64]) {
    let (proven, against) = published.prove(positions.iter().copied().map(Position)).unwrap();
    let root = checkpoint::open(against.note.as_bytes(), signer().verifier()).unwrap().root;
    for (position, proven) in positions.iter().zip(proven) {
        assert_eq!(proven.entry, entry(*position));
        proven.proof.verify(&leaf_hash(&proven.entry), &root).unwrap();
    }
}

#[test]
fn leaves_on_both_sides_of_every_chunk_are_proven_from_the_journal() {
    let mut log = Growing::new();
    while log.tail.position.0 < 1_500 {
        log.grow();
    }
    check(&log.published, &[0, 255, 256, 511, 512, 767, 768, 1_023, 1_024, 1_279, 1_280, log.tail.position.0 - 1]);
    let size = log.tail.position.0;
    for old in [1, 255, 256, 257, 700, size] {
        log.published.prove_consistency(old, size).unwrap();
    }
}

#[test]
fn only_what_is_in_memory_with_its_proof_is_shown_without_the_journal() {
    let mut log = Growing::new();
    assert!(!log.published.remembers(Position(0)));
    while log.tail.position.0 < 1_500 {
        log.grow();
    }
    let end = log.tail.position.0;
    // The tree of this log remembers the lower nodes of one complete chunk and the open one.
    let remembered: Vec<_> = (0..end + 2).filter(|position| log.published.remembers(Position(*position))).collect();
    assert_eq!(remembered, (end / 256 * 256 - 256..end).collect::<Vec<_>>());
    assert!(log.published.entry(Position(0)).is_ok(), "entries are kept for longer");
}

#[test]
fn proofs_hold_while_blocks_are_published() {
    let mut log = Growing::new();
    while log.tail.position.0 < 600 {
        log.grow();
    }
    let published = log.published.clone();
    let proving = std::thread::spawn(move || {
        while published.checkpoint().size < 3_000 {
            check(&published, &[3, 300, 599]);
        }
    });
    while log.tail.position.0 < 3_000 {
        log.grow();
    }
    proving.join().unwrap();
}
