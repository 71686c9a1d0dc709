//! The contract as tests: every engine runs [`check_engine`] in its own test suite.
//!
//! It checks what a caller can see. Power cuts and damage are the engine's own tests: they depend on what it stores where.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a suite of tests fails by panicking")]

use std::sync::Arc;

use truc_types::limits::{BLOCK_BYTES_MAX, BLOCK_ENTRIES_MAX, ENTRY_BYTES_MAX};
use truc_types::{Digest, LeafIndex, Position, Term};

use crate::block::{Block, BlockHeader, BlockKind, BlockRefusal, JournalEnd};
use crate::contract::{AppendError, Journal, ReadError};

/// The origin that the sample blocks carry.
pub const SAMPLE_ORIGIN: &str = "truc.example/axis/2026";

/// A block that continues `end` with so many entries of different lengths. Different seeds give different bytes. Its root is made up.
#[must_use]
pub fn sample_block(end: &JournalEnd, entries: usize, seed: u64) -> Block {
    let entries: Vec<Arc<[u8]>> = (0..entries)
        .map(|index| {
            let text = format!("entry {index} of block {} with seed {seed};", end.number);
            Arc::from(text.repeat(1 + (index + usize::try_from(seed).unwrap_or(0)) % 5).into_bytes())
        })
        .collect();
    block_of(end, if entries.is_empty() { BlockKind::Fence } else { BlockKind::Entries }, entries)
}

/// A block of this kind that continues `end` with these entries.
#[must_use]
pub fn block_of(end: &JournalEnd, kind: BlockKind, entries: Vec<Arc<[u8]>>) -> Block {
    let leaf = if kind == BlockKind::Shard { 0 } else { end.tree_size };
    let tree_size = leaf + u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let mut root = [0u8; 32];
    for (to, from) in root.iter_mut().zip(end.number.0.to_be_bytes().into_iter().chain(tree_size.to_be_bytes())) {
        *to = from;
    }
    let origin = if end.origin.is_empty() { SAMPLE_ORIGIN.to_owned() } else { end.origin.clone() };
    let header = BlockHeader {
        kind,
        number: end.number,
        position: end.position,
        leaf: LeafIndex(leaf),
        origin,
        term: end.term,
        time: end.time.plus_millis(100),
        tree_size,
        root: Digest(root),
    };
    Block { header, entries }
}

/// Runs the whole suite. `place` makes a fresh place to store in, `open` opens the journal there (again); `keeps` says whether a journal
/// that was closed is found again.
///
/// # Panics
/// Where the engine breaks the contract.
pub fn check_engine<P>(place: impl Fn() -> P, open: impl Fn(&P) -> Box<dyn Journal>, keeps: bool) {
    for check in [empty, read_back, conflicts, refusals, terms, shards, iterators, positions_without_gaps, hidden_until_durable] {
        let place = place();
        check(open(&place).as_mut());
    }
    if keeps {
        reopened(&place(), &open);
    }
}

fn append(journal: &mut dyn Journal, entries: usize, seed: u64) -> Block {
    let block = sample_block(&journal.end(), entries, seed);
    journal.append(block.clone()).expect("a block that continues the journal is taken");
    block
}

fn all(journal: &dyn Journal, from: Position) -> Vec<Block> {
    journal.reader().blocks_from(from).collect::<Result<_, _>>().expect("durable blocks can be read")
}

fn empty(journal: &mut dyn Journal) {
    assert_eq!(journal.end(), JournalEnd::empty());
    let reader = journal.reader();
    assert_eq!(reader.durable_end(), JournalEnd::empty());
    assert_eq!(reader.blocks_from(Position(0)).count(), 0);
    assert!(matches!(reader.entry(Position(0)), Err(ReadError::NotDurable { .. })));
    assert_eq!(reader.find(&[7; 16]).expect("an empty index answers"), None);
    journal.settle().expect("nothing is behind");
}

fn read_back(journal: &mut dyn Journal) {
    let largest = [&[9u8; ENTRY_BYTES_MAX][..]].repeat(7).into_iter().map(Arc::from).collect();
    let blocks = [append(journal, 3, 1), append(journal, 1, 2), append(journal, 0, 3), append(journal, BLOCK_ENTRIES_MAX, 4)];
    let large = block_of(&journal.end(), BlockKind::Entries, largest);
    journal.append(large.clone()).expect("a block at the limits is taken");
    let reader = journal.reader();
    for block in blocks.iter().chain([&large]) {
        for (position, entry) in block.positioned() {
            assert_eq!(reader.entry(position).expect("a durable entry"), entry.to_vec());
            assert_eq!(&reader.block_at(position).expect("a durable block"), block);
        }
    }
    assert_eq!(all(journal, Position(0)), [&blocks[..], &[large]].concat());
}

fn unchanged(journal: &mut dyn Journal, block: &Block, is_expected: impl Fn(&AppendError) -> bool) {
    let (end, blocks) = (journal.end(), all(journal, Position(0)));
    match journal.append(block.clone()) {
        Err(error) if is_expected(&error) => {}
        other => panic!("{other:?} for {:?}", block.header),
    }
    assert_eq!((journal.end(), all(journal, Position(0))), (end, blocks), "a block that was not taken left a trace");
}

fn conflicts(journal: &mut dyn Journal) {
    append(journal, 2, 1);
    append(journal, 2, 2);
    let good = sample_block(&journal.end(), 2, 3);
    let is_conflict =
        |error: &AppendError| matches!(error, AppendError::Conflict { expected, .. } if expected.number.0 == 2 && expected.position.0 == 4);
    for (number, position) in [(1, 4), (3, 4), (2, 3), (2, 5), (0, 0), (u64::MAX, 4), (2, u64::MAX)] {
        let mut block = good.clone();
        (block.header.number.0, block.header.position.0) = (number, position);
        unchanged(journal, &block, is_conflict);
    }
    journal.append(good.clone()).expect("a conflict does not poison");
    let again = journal.append(good);
    assert!(matches!(again, Err(AppendError::Conflict { .. })), "the same block twice: {again:?}");
}

type IsExpected = fn(&BlockRefusal) -> bool;

fn refusals(journal: &mut dyn Journal) {
    append(journal, 2, 1);
    let end = journal.end();
    let good = sample_block(&end, 2, 2);
    let of = |entries| block_of(&end, BlockKind::Entries, entries);
    let entry = |bytes: usize| Arc::<[u8]>::from(vec![1u8; bytes]);
    let with = |change: &dyn Fn(&mut BlockHeader)| {
        let mut block = good.clone();
        change(&mut block.header);
        block
    };
    let cases: [(Block, IsExpected); 12] = [
        (of(vec![]), |refusal| matches!(refusal, BlockRefusal::NoEntries)),
        (of(vec![entry(1); BLOCK_ENTRIES_MAX + 1]), |refusal| matches!(refusal, BlockRefusal::TooManyEntries { .. })),
        (of(vec![entry(1), entry(0)]), |refusal| matches!(refusal, BlockRefusal::EntryLength { index: 1, bytes: 0 })),
        (of(vec![entry(ENTRY_BYTES_MAX + 1)]), |refusal| matches!(refusal, BlockRefusal::EntryLength { .. })),
        (of(vec![entry(BLOCK_BYTES_MAX / 16 + 1); 16]), |refusal| matches!(refusal, BlockRefusal::TooLong { .. })),
        (with(&|header| header.origin.clear()), |refusal| matches!(refusal, BlockRefusal::OriginLength { .. })),
        (with(&|header| header.origin = "o".repeat(129)), |refusal| matches!(refusal, BlockRefusal::OriginLength { .. })),
        (with(&|header| header.origin.push('7')), |refusal| matches!(refusal, BlockRefusal::OriginChanged { .. })),
        (with(&|header| (header.leaf.0, header.tree_size) = (0, 2)), |refusal| matches!(refusal, BlockRefusal::Leaf { .. })),
        (with(&|header| header.leaf.0 = u64::MAX), |refusal| matches!(refusal, BlockRefusal::TreeSize { .. })),
        (with(&|header| header.tree_size += 1), |refusal| matches!(refusal, BlockRefusal::TreeSize { .. })),
        (with(&|header| header.time = JournalEnd::empty().time), |refusal| matches!(refusal, BlockRefusal::TimeFalls { .. })),
    ];
    for (block, is_expected) in cases {
        unchanged(journal, &block, |error| matches!(error, AppendError::Refused(refusal) if is_expected(refusal)));
    }
    journal.append(good).expect("a refusal does not poison");
}

fn terms(journal: &mut dyn Journal) {
    let mut opening = sample_block(&journal.end(), 0, 1);
    (opening.header.kind, opening.header.term) = (BlockKind::Term, Term(5));
    journal.append(opening).expect("a higher term is taken");
    assert_eq!(journal.end().term, Term(5));
    let mut stale = sample_block(&journal.end(), 1, 2);
    stale.header.term = Term(4);
    unchanged(journal, &stale, |error| matches!(error, AppendError::Conflict { expected, .. } if expected.term == Term(5)));
    append(journal, 1, 3);
}

fn shards(journal: &mut dyn Journal) {
    let first = append(journal, 3, 1);
    let mut shard = block_of(&journal.end(), BlockKind::Shard, vec![Arc::from(&b"first of its year"[..])]);
    shard.header.origin = "truc.example/axis/2027".to_owned();
    journal.append(shard.clone()).expect("a shard block may change the origin");
    assert_eq!((journal.end().position, journal.end().tree_size), (Position(4), 1));
    let next = append(journal, 2, 2);
    assert_eq!((next.header.origin.as_str(), next.header.leaf), ("truc.example/axis/2027", LeafIndex(1)));
    assert_eq!(all(journal, Position(0)), [first, shard, next]);
}

fn iterators(journal: &mut dyn Journal) {
    let blocks: Vec<_> = [2, 0, 3, 0, 0, 1, 0].into_iter().map(|entries| append(journal, entries, 1)).collect();
    // The first block of the iteration from each position; the end is 6.
    for (position, first) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (6, 6), (7, 7), (u64::MAX, 7)] {
        assert_eq!(all(journal, Position(position)), blocks[first..], "from position {position}");
    }
}

fn positions_without_gaps(journal: &mut dyn Journal) {
    let mut next = Position(0);
    for entries in [1, 4, 0, 2, 7] {
        let block = append(journal, entries, 1);
        for (position, _) in block.positioned() {
            assert_eq!(position, next);
            next = next.next();
        }
        assert_eq!(journal.end().position, next);
        assert_eq!(journal.end(), block.end());
    }
    assert!(matches!(journal.reader().entry(next), Err(ReadError::NotDurable { end, .. }) if end == next));
    assert!(matches!(journal.reader().block_at(Position(u64::MAX)), Err(ReadError::NotDurable { .. })));
}

fn hidden_until_durable(journal: &mut dyn Journal) {
    let reader = journal.reader();
    let mut blocks = reader.blocks_from(Position(0));
    assert!(blocks.next().is_none());
    drop(blocks);
    let first = append(journal, 2, 1);
    assert_eq!(reader.durable_end(), first.end(), "a reader from before sees what is durable now");
    let mut blocks = reader.blocks_from(Position(0));
    assert_eq!(blocks.next().map(|block| block.expect("a durable block")), Some(first));
    let second = append(journal, 1, 2);
    assert_eq!(blocks.next().map(|block| block.expect("a durable block")), Some(second), "an iterator goes up to the end of the moment");
    let mut wrong = sample_block(&journal.end(), 1, 3);
    wrong.header.number.0 += 1;
    assert!(journal.append(wrong).is_err());
    assert!(blocks.next().is_none());
}

fn reopened<P>(place: &P, open: &impl Fn(&P) -> Box<dyn Journal>) {
    let mut blocks = Vec::new();
    for round in 0..5 {
        let mut journal = open(place);
        assert_eq!(all(journal.as_ref(), Position(0)), blocks, "round {round}");
        assert_eq!(journal.end(), blocks.last().map_or_else(JournalEnd::empty, Block::end));
        for entries in [3, 0, 2] {
            blocks.push(append(journal.as_mut(), entries, round));
        }
        if round % 2 == 0 {
            journal.close().expect("a healthy journal closes");
        }
    }
}
