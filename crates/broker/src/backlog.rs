//! What the deliveries of a backlog share: blocks and chunks of leaf hashes that were read from the journal a moment ago. Not the newest entries, which
//! never leave memory before they are older (`published`).
//!
//! After an outage thousands of deliveries lie beside each other in old blocks. Read one by one, each would decode its block anew for its envelope and its
//! fact, and hash 256 entries for each of their proofs.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use truc_journal::{Block, JournalReader, ReadError};
use truc_ledger::leaf_hash;
use truc_ledger::store::CHUNK_LEAVES;
use truc_types::{Digest, Position};

use crate::published::block_bytes;

/// Bytes of the blocks that are kept: 16 of the largest.
const BLOCKS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Blocks that are kept, however small.
const BLOCKS_MAX: usize = 256;
/// Chunks that are kept, of 8 KiB: one for each agency that drains, and a few.
const CHUNKS_MAX: usize = 128;

/// Blocks and chunks, the ones that were used last first.
#[derive(Default)]
pub(crate) struct Backlog {
    blocks: Mutex<VecDeque<Block>>,
    chunks: Mutex<VecDeque<(u64, Arc<[Digest]>)>>,
}

impl Backlog {
    /// The bytes of an old entry.
    ///
    /// # Errors
    /// When the journal does not have it or cannot be read.
    pub(crate) fn entry(&self, reader: &dyn JournalReader, position: Position) -> Result<Arc<[u8]>, ReadError> {
        let found = take_up(&mut self.blocks.lock(), |block| entry_of(block, position));
        if let Some(entry) = found {
            return Ok(entry);
        }
        let block = reader.block_at(position)?;
        let entry = entry_of(&block, position);
        self.keep(block);
        entry.ok_or_else(|| ReadError::NotDurable { position, end: reader.durable_end().position })
    }

    /// The leaf hashes of a chunk of a shard that begins at `shard_start`.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(crate) fn chunk(&self, reader: &dyn JournalReader, shard_start: Position, chunk: u64) -> Result<Arc<[Digest]>, ReadError> {
        let found = take_up(&mut self.chunks.lock(), |(number, leaves)| (*number == chunk).then(|| leaves.clone()));
        if let Some(leaves) = found {
            return Ok(leaves);
        }
        let first = shard_start.plus(chunk * CHUNK_LEAVES);
        let wanted = first.0..first.plus(CHUNK_LEAVES).0;
        let mut leaves = Vec::new();
        for block in reader.blocks_from(first) {
            let block = block?;
            if block.header.position.0 >= wanted.end {
                break;
            }
            leaves.extend(block.positioned().filter(|(position, _)| wanted.contains(&position.0)).map(|(_, entry)| leaf_hash(entry)));
            self.keep(block);
        }
        let leaves: Arc<[Digest]> = leaves.into();
        let mut chunks = self.chunks.lock();
        chunks.push_front((chunk, leaves.clone()));
        chunks.truncate(CHUNKS_MAX);
        Ok(leaves)
    }

    fn keep(&self, block: Block) {
        let mut blocks = self.blocks.lock();
        if block.entries.is_empty() || blocks.iter().any(|kept| kept.header.number == block.header.number) {
            return;
        }
        blocks.push_front(block);
        blocks.truncate(BLOCKS_MAX);
        let mut bytes = 0;
        let fits = blocks.iter().take_while(|block| {
            bytes += block_bytes(block);
            bytes <= BLOCKS_BYTES_MAX
        });
        let fits = fits.count();
        blocks.truncate(fits.max(1));
    }
}

/// What is wanted of the items, which moves to the front.
fn take_up<T, R>(items: &mut VecDeque<T>, wanted: impl Fn(&T) -> Option<R>) -> Option<R> {
    let (at, found) = items.iter().enumerate().find_map(|(at, item)| wanted(item).map(|found| (at, found)))?;
    if let Some(item) = items.remove(at) {
        items.push_front(item);
    }
    Some(found)
}

fn entry_of(block: &Block, position: Position) -> Option<Arc<[u8]>> {
    let index = usize::try_from(position.0.checked_sub(block.header.position.0)?).ok()?;
    block.entries.get(index).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::proofs::Growing;

    #[test]
    fn what_lies_beside_each_other_is_read_once_and_little_is_kept() {
        let mut log = Growing::new();
        (0..400).for_each(|_| log.grow());
        let (reader, backlog) = (log.reader(), Backlog::default());
        let first = backlog.entry(&*reader, Position(40)).unwrap();
        assert_eq!(*first, *reader.entry(Position(40)).unwrap());
        assert!(Arc::ptr_eq(&first, &backlog.entry(&*reader, Position(40)).unwrap()));
        assert_eq!(backlog.blocks.lock().len(), 1, "its neighbours came with it");
        let chunk = backlog.chunk(&*reader, Position(0), 3).unwrap();
        assert_eq!((chunk.len(), chunk[5]), (256, leaf_hash(&reader.entry(Position(3 * 256 + 5)).unwrap())));
        assert!(Arc::ptr_eq(&chunk, &backlog.chunk(&*reader, Position(0), 3).unwrap()));
        for position in (0..400 * 37).step_by(37) {
            backlog.entry(&*reader, Position(position)).unwrap();
        }
        assert_eq!(backlog.blocks.lock().len(), BLOCKS_MAX);
        assert!(matches!(backlog.entry(&*reader, Position(400 * 37)), Err(ReadError::NotDurable { .. })));
    }
}
