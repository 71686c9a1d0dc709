//! The durable journal: its contract, its conformance suite and its engines.
//!
//! Every accepted fact is an entry, appended in blocks; one block is one group commit, one sync, one checkpoint. What an entry means is not
//! known here, and nothing here is a queue or an index of its own right: those are views of the entries.

mod block;
pub mod conformance;
mod contract;
pub mod memory;
pub mod segment;

pub use block::{Block, BlockHeader, BlockKind, BlockRefusal, JournalEnd};
pub use contract::{AppendError, Blocks, Damage, EntryId, Journal, JournalReader, Place, ReadError};
pub use truc_ledger::EMPTY_ROOT;
