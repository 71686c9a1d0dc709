//! The protocol of the axis as pure functions: admit, decide, apply; and the queues that follow from the state.
//!
//! No async, IO, clock, randomness, protobuf, storage. `admit` checks a statement alone, `decide` says what it becomes given the state, `apply` is the
//! only way the state changes. An auditor replays the log through `apply` and must reach the broker's state.

mod admit;
mod apply;
mod brief;
mod chunked;
mod decide;
pub mod dispatch;
mod entry;
mod lane;
mod open;
mod operator;
pub mod registry;
pub mod rows;
mod sequence;
mod skim;
mod state;

pub use admit::{Admitted, admit, check_published_limits};
pub use apply::{ApplyError, Effect};
pub use brief::{Brief, EnvelopeBrief, ItemBrief, ReceiptBrief, ReceiptHead};
pub use chunked::ChunkedMap;
pub use decide::{Decision, Outcome, REJECTED_FACTS_PER_MINUTE_MAX, Submit, decide};
pub use entry::Entry;
pub use operator::{admit_registry, decide_registry};
pub use sequence::{Numbered, SequenceWindow};
pub use state::{DeliveryStep, Known, OpenMessage, RecipientState, Recipients, State};
