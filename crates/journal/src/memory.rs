//! The engine in memory: the contract without a disk, with faults on request, for the tests of what stands above a journal.
//!
//! Not durable, and without an index of ids.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use truc_types::{BlockNumber, Position};

use crate::block::{Block, JournalEnd};
use crate::contract::{AppendError, Blocks, Journal, JournalReader, ReadError, check_append, first_block_from};

/// How an append fails: either way it reports [`AppendError::Unknown`] and poisons the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The block is there when the journal is opened anew.
    Persisted,
    /// It is not.
    NotPersisted,
}

#[derive(Debug)]
struct Stored {
    blocks: Vec<Block>,
    /// Blocks below this count are visible to readers; a persisted fault leaves one more behind it.
    durable: usize,
}

impl Stored {
    fn end(&self) -> JournalEnd {
        self.durable.checked_sub(1).and_then(|last| self.blocks.get(last)).map_or_else(JournalEnd::empty, Block::end)
    }
}

/// A journal in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    stored: Arc<RwLock<Stored>>,
    faults: HashMap<BlockNumber, Fault>,
    poison: Option<Arc<io::Error>>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Vec::new())
    }

    fn of(blocks: Vec<Block>) -> Self {
        let durable = blocks.len();
        Self { stored: Arc::new(RwLock::new(Stored { blocks, durable })), faults: HashMap::new(), poison: None }
    }

    /// Lets the append of the block with this number fail, once.
    pub fn fail_append(&mut self, number: BlockNumber, fault: Fault) {
        self.faults.insert(number, fault);
    }

    /// The journal as the process finds it after exit and restart: with the block of a persisted fault, without poison and faults.
    /// Readers of the old one stay with the old one.
    #[must_use]
    pub fn reopen(self) -> Self {
        Self::of(self.stored.read().blocks.clone())
    }

    fn check_poison(&self) -> Result<(), AppendError> {
        self.poison.as_ref().map_or(Ok(()), |source| Err(AppendError::Unknown { source: source.clone() }))
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, block: Block) -> Result<(), AppendError> {
        self.check_poison()?;
        let mut stored = self.stored.write();
        check_append(&stored.end(), &block)?;
        if let Some(fault) = self.faults.remove(&block.header.number) {
            if fault == Fault::Persisted {
                stored.blocks.push(block);
            }
            let source = Arc::new(io::Error::other("the fault that was asked for"));
            self.poison = Some(source.clone());
            return Err(AppendError::Unknown { source });
        }
        stored.blocks.push(block);
        stored.durable = stored.blocks.len();
        Ok(())
    }

    fn end(&self) -> JournalEnd {
        self.stored.read().end()
    }

    fn reader(&self) -> Arc<dyn JournalReader> {
        Arc::new(MemoryReader { stored: self.stored.clone() })
    }

    fn settle(&mut self) -> Result<(), AppendError> {
        self.check_poison()
    }

    fn close(self: Box<Self>) -> Result<(), AppendError> {
        self.check_poison()
    }
}

#[derive(Debug)]
struct MemoryReader {
    stored: Arc<RwLock<Stored>>,
}

impl MemoryReader {
    fn first_from(&self, position: Position) -> usize {
        let stored = self.stored.read();
        let first_position = |index: usize| stored.blocks.get(index).map_or(Position(u64::MAX), |block| block.header.position);
        first_block_from(stored.durable, first_position, stored.end().position, position)
    }

    fn durable_block(&self, index: usize) -> Option<Block> {
        let stored = self.stored.read();
        stored.blocks.get(index).filter(|_| index < stored.durable).cloned()
    }
}

impl JournalReader for MemoryReader {
    fn durable_end(&self) -> JournalEnd {
        self.stored.read().end()
    }

    fn block_at(&self, position: Position) -> Result<Block, ReadError> {
        self.blocks_from(position)
            .find(|block| block.as_ref().map_or(true, |block| !block.entries.is_empty()))
            .unwrap_or_else(|| Err(ReadError::NotDurable { position, end: self.durable_end().position }))
    }

    fn entry(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        let block = self.block_at(position)?;
        let found = block.positioned().find(|(at, _)| *at == position).map(|(_, entry)| entry.to_vec());
        found.ok_or_else(|| ReadError::NotDurable { position, end: self.durable_end().position })
    }

    fn blocks_from(&self, position: Position) -> Blocks<'_> {
        Box::new((self.first_from(position)..).map_while(|index| self.durable_block(index).map(Ok)))
    }

    fn find(&self, _id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        Ok(None)
    }

    fn indexed_through(&self) -> Position {
        Position(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, sample_block};

    #[test]
    fn the_engine_in_memory_keeps_the_contract() {
        conformance::check_engine(|| (), |()| Box::new(MemoryJournal::new()), false);
    }

    #[test]
    fn a_fault_reports_unknown_poisons_and_leaves_what_was_asked_for() {
        for (fault, blocks) in [(Fault::Persisted, 2), (Fault::NotPersisted, 1)] {
            let mut journal = MemoryJournal::new();
            let first = sample_block(&journal.end(), 3, 1);
            journal.append(first.clone()).unwrap();
            journal.fail_append(BlockNumber(1), fault);
            let second = sample_block(&journal.end(), 2, 2);
            assert!(matches!(journal.append(second.clone()), Err(AppendError::Unknown { .. })));
            assert!(matches!(journal.append(second), Err(AppendError::Unknown { .. })));
            assert!(matches!(journal.settle(), Err(AppendError::Unknown { .. })));
            assert_eq!(journal.reader().durable_end(), first.end());
            assert_eq!(journal.reader().blocks_from(Position(0)).count(), 1);
            let journal = journal.reopen();
            assert_eq!(journal.end().number, BlockNumber(blocks));
            assert_eq!(journal.reader().blocks_from(Position(0)).count(), usize::try_from(blocks).unwrap());
        }
    }
}
