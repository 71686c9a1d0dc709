//! State and tree from the entries of the journal: those behind the views, or all of them. Not what is decided about the result (`boot`).
//!
//! One thread reads and unpacks blocks, some parse and hash their entries, and this one applies them in order: the only part that cannot be divided. At
//! most some batches of blocks wait at each step.
//!
//! Entries that are packed, or of an earlier shard, are read in brief (`truc_core::Brief`): they were read strictly when they were admitted, their segment was
//! verified against its root when it was packed, and each bundle, or block, has a checksum. Those behind them are read strictly.

use std::sync::mpsc::sync_channel;

use truc_core::{Brief, Entry, State};
use truc_journal::{Block, JournalReader, ReadError};
use truc_ledger::{TreeStore, leaf_hash};
use truc_types::limits::BLOCK_BYTES_MAX;
use truc_types::{Digest, Position, Reason, Refusal};
use truc_views::{ViewBatch, ViewStore};

use crate::published::{block_bytes, storage};
use crate::rows;

/// Batches that wait in front of and behind each parser: a megabyte each at most.
const BATCHES_WAITING_MAX: usize = 4;
/// Entries or bytes that are handed on at once: one block of what came singly would be more waking of threads than parsing.
const BATCH_ENTRIES: usize = 512;
const BATCH_BYTES: usize = BLOCK_BYTES_MAX;
/// Parsers; more than the one who applies can take in would only wait.
const PARSERS_MAX: usize = 8;
/// Entries after which the rows of a rebuilt view are written: what is held back for them stays small, and they need not all be taken in one piece.
const ROWS_ENTRIES: u64 = 524_288;
/// Messages after whose change they are, too: receipts change up to 100 each.
const ROWS_MESSAGES: usize = 131_072;

/// Blocks in order, or what is wrong behind them.
type Batch = Vec<Result<Block, ReadError>>;

/// An entry, as far as it is needed: the tree has the roots of what is packed, and the views what was applied before.
struct Parsed {
    position: Position,
    leaf: Option<Digest>,
    entry: Option<Brief>,
}

/// From where on what is needed.
#[derive(Clone, Copy)]
struct Needed {
    /// Entries.
    entries: Position,
    /// Not only in brief: before, they are packed or of an earlier shard, and their ids are in the index of sealed segments.
    whole: Position,
    /// Leaves.
    leaves: Position,
}

/// The state: from the views and the entries behind them, or from all entries. The tree: from what the journal keeps of packed leaves, and the leaves
/// behind it. With `views`, what a long replay makes of the state is written to them on the way.
pub(crate) fn replay(reader: &dyn JournalReader, mut state: State, views: Option<&ViewStore>) -> Result<(State, TreeStore), Refusal> {
    let end = reader.durable_end();
    let mut tree = TreeStore::from_chunks(reader.chunk_roots().map_err(|cause| storage(&cause))?);
    let tree_from = Position(end.position.0.saturating_sub(end.tree_size)).plus(tree.size());
    let (restored_to, indexed_through) = (state.next(), reader.indexed_through());
    // What the index has need not be kept, not even while catching up.
    state.forget(indexed_through);
    let state_from = restored_to.min(indexed_through);
    let needed = Needed { entries: state_from, whole: tree_from.min(indexed_through), leaves: tree_from };
    let parsers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(PARSERS_MAX);
    std::thread::scope(|scope| {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for _ in 0..parsers {
            let (input, blocks) = sync_channel(BATCHES_WAITING_MAX);
            let (parsed, output) = sync_channel(BATCHES_WAITING_MAX);
            scope.spawn(move || {
                for batch in blocks {
                    if parsed.send(parse(batch, needed)).is_err() {
                        return;
                    }
                }
            });
            inputs.push(input);
            outputs.push(output);
        }
        scope.spawn(move || {
            // In turns, and collected in the same turns.
            for (batch, input) in batches(reader.blocks_from(state_from.min(tree_from))).zip(inputs.iter().cycle()) {
                if input.send(batch).is_err() {
                    return;
                }
            }
        });
        let rows = views.map(|views| {
            // The disk is waited for beside applying. None wait: one that is written and one that was taken are what memory holds.
            let (rows, batches) = sync_channel(0);
            scope.spawn(move || batches.into_iter().for_each(|batch| write(views, batch)));
            rows
        });
        let mut effects = Vec::new();
        let mut written = state.next();
        for output in outputs.iter().cycle() {
            let Ok(parsed) = output.recv() else { break };
            for Parsed { position, leaf, entry } in parsed? {
                if let Some(leaf) = leaf {
                    tree.push(leaf);
                }
                let applied = match entry {
                    None => continue,
                    Some(Brief::Whole(entry)) if position < restored_to => {
                        state.remember_entry(position, &entry);
                        continue;
                    }
                    Some(Brief::Whole(entry)) => state.apply(position, &entry, &mut effects),
                    // In brief nothing is read that the index has and the views have, too: `state_from` is behind that.
                    Some(brief) => state.apply_brief(position, brief, &mut effects),
                };
                applied.map_err(|cause| corrupt(position, &cause))?;
                effects.clear();
            }
            if let Some(rows) = &rows
                && (state.next().0.saturating_sub(written.0) >= ROWS_ENTRIES || state.messages_changed() >= ROWS_MESSAGES)
                && state.is_between_decisions()
            {
                written = state.next();
                // That no thread writes them any more would be told where it is joined.
                let _is_waited_for = rows.send(rows::take(&mut state));
            }
        }
        Ok((state, tree))
    })
}

/// A view that fails is rebuilt at the next start, as ever; the state is good without it.
fn write(views: &ViewStore, batch: ViewBatch) {
    if !views.is_broken()
        && let Err(cause) = views.write(batch)
    {
        tracing::error!(%cause, "the views cannot be written while they are rebuilt");
    }
}

/// The blocks, gathered to batches.
fn batches(mut blocks: impl Iterator<Item = Result<Block, ReadError>>) -> impl Iterator<Item = Batch> {
    std::iter::from_fn(move || {
        let (mut batch, mut entries, mut bytes) = (Vec::new(), 0, 0);
        while entries < BATCH_ENTRIES && bytes < BATCH_BYTES {
            let Some(block) = blocks.next() else { break };
            let size = block.as_ref().ok().map(|block| (block.entries.len(), block_bytes(block)));
            batch.push(block);
            // Behind what cannot be read there is nothing.
            let Some(size) = size else { break };
            (entries, bytes) = (entries + size.0, bytes + size.1);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

fn parse(batch: Batch, needed: Needed) -> Result<Vec<Parsed>, Refusal> {
    let mut parsed = Vec::with_capacity(BATCH_ENTRIES);
    for block in batch {
        let block = block.map_err(|cause| storage(&cause))?;
        for (position, bytes) in block.positioned() {
            let leaf = (position >= needed.leaves).then(|| leaf_hash(bytes));
            let read = || {
                if position < needed.whole {
                    return Brief::read(bytes);
                }
                Entry::parse(bytes.clone()).map(|entry| Brief::Whole(Box::new(entry)))
            };
            let entry = (position >= needed.entries).then(read).transpose();
            parsed.push(Parsed { position, leaf, entry: entry.map_err(|cause| corrupt(position, &cause))? });
        }
    }
    Ok(parsed)
}

fn corrupt(position: Position, cause: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Reason::JournalCorrupt, format!("entry {position}: {cause}")).with("position", position)
}
