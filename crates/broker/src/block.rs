//! The block that is being filled, and how it closes: header, tree, outputs. Not the committing.

use std::sync::Arc;

use truc_journal::{Block, BlockHeader, BlockKind, EntryId};
use truc_ledger::{Extension, Frontier, leaf_hash};
use truc_types::limits::{BLOCK_BYTES_MAX, BLOCK_COMMANDS_MAX, BLOCK_ENTRIES_MAX, ENTRY_BYTES_MAX, STATEMENT_FILE_BYTES_MAX};
use truc_types::{BlockNumber, Digest, LeafIndex, MessageId, Position, Term, Timestamp};

use crate::committer::{Closed, Job, Output};
use crate::meters::Tally;

/// What one command may add: a statement of the largest size and a fact of the largest.
const DECISION_BYTES_MAX: usize = STATEMENT_FILE_BYTES_MAX + ENTRY_BYTES_MAX + 4;
const DECISION_ENTRIES_MAX: usize = 2;

/// Entries and outputs that wait for the block before them.
#[derive(Default)]
pub(crate) struct Filling {
    /// Time of the block; set by the first command that is decided into it.
    pub(crate) time: Option<Timestamp>,
    entries: Vec<Arc<[u8]>>,
    ids: Vec<Option<EntryId>>,
    leaves: Vec<Digest>,
    bytes: usize,
    outputs: Vec<Output>,
    /// Those that answer a statement.
    answers: usize,
    /// What is counted once the block is durable.
    pub(crate) tally: Tally,
}

/// Where the journal ends once everything that was handed over is durable.
#[derive(Debug, Clone)]
pub(crate) struct Tail {
    pub(crate) number: BlockNumber,
    pub(crate) position: Position,
    pub(crate) shard_start: Position,
    pub(crate) origin: String,
    pub(crate) term: Term,
    pub(crate) time: Timestamp,
}

impl Filling {
    /// An empty one with room for as much: blocks in a row are of one size, and growing to it copies everything several times.
    pub(crate) fn as_large_as(other: &Self) -> Self {
        Self {
            entries: Vec::with_capacity(other.entries.len()),
            ids: Vec::with_capacity(other.ids.len()),
            leaves: Vec::with_capacity(other.leaves.len()),
            outputs: Vec::with_capacity(other.outputs.len()),
            ..Self::default()
        }
    }

    /// Adds an entry with its id, if it has one.
    pub(crate) fn push(&mut self, entry: Arc<[u8]>, id: Option<MessageId>) {
        self.bytes += entry.len() + 2;
        self.leaves.push(leaf_hash(&entry));
        self.ids.push(id.map(|id| id.to_bytes()));
        self.entries.push(entry);
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.answers += usize::from(matches!(output, Output::Accepted { .. } | Output::Repeated { .. } | Output::Refused { .. }));
        self.outputs.push(output);
    }

    /// Another command may not fit.
    pub(crate) const fn is_full(&self) -> bool {
        self.entries.len() + DECISION_ENTRIES_MAX > BLOCK_ENTRIES_MAX
            || self.bytes + DECISION_BYTES_MAX > BLOCK_BYTES_MAX
            || self.outputs.len() >= 4 * BLOCK_COMMANDS_MAX
    }

    /// Things that leave with it: an answer for each command, and deliveries.
    pub(crate) const fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Answers to statements among them.
    pub(crate) const fn answers(&self) -> usize {
        self.answers
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.outputs.is_empty()
    }

    /// What was to leave, without the block it rested on.
    pub(crate) fn into_outputs(self) -> Vec<Output> {
        self.outputs
    }

    /// The job for the committer. Moves tail and frontier behind the block.
    pub(crate) fn close(self, tail: &mut Tail, frontier: &mut Frontier) -> Job {
        if self.entries.is_empty() {
            return Job { block: None, outputs: self.outputs, tally: self.tally };
        }
        let extension = Extension::new(frontier, &self.leaves);
        let header = BlockHeader {
            kind: BlockKind::Entries,
            number: tail.number,
            position: tail.position,
            leaf: LeafIndex(tail.position.0 - tail.shard_start.0),
            origin: tail.origin.clone(),
            term: tail.term,
            time: self.time.unwrap_or(tail.time),
            tree_size: extension.size(),
            root: extension.root(),
        };
        tail.number = tail.number.next();
        tail.position = tail.position.plus(self.entries.len() as u64);
        tail.time = header.time;
        *frontier = extension.frontier().clone();
        let closed = Closed { block: Block { header, entries: self.entries }, ids: self.ids, extension, leaves: self.leaves };
        Job { block: Some(closed), outputs: self.outputs, tally: self.tally }
    }
}
