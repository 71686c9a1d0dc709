//! Rebuildable views of a journal in sled, each with the position it has reached.
//!
//! A view holds rows that a journal can produce again, so anything odd about it is answered by deleting it and replaying. Keys, values and
//! tables are bytes here; what they mean is known to the owner of the view. Not here: the journal, and anything that exists only once.
//!
//! **Positions are exclusive.** A view at position *p* contains every entry below *p*; *p* is the next entry to replay.

mod batch;
mod changes;
mod contain;
mod disk;
mod error;
mod extent;
mod folder;
mod overlay;
mod range;
mod redo;
mod rows;
mod store;
mod writer;

pub use batch::{Op, Table, VALUE_BYTES_MAX, VIEW_KEY_BYTES_MAX, ViewBatch};
pub use error::ViewError;
pub use folder::{Opened, ViewFormat};
pub use overlay::{OVERLAY_BYTES_MAX, OVERLAY_ROWS_MAX, Overlay};
pub use range::{KeyRange, PAGE_BYTES_MAX, Page};
pub use store::ViewStore;
pub use writer::{WRITER_QUEUE_MAX, Writer};
