//! Copies of a node's data folder: taken while it runs, verified byte for byte, restored, rehearsed.
//!
//! A backup is a folder with `manifest.json` and `files/<2 hex>/<SHA-256>`. The manifest is written last and by rename: with it the backup is
//! complete, without it there is none. The order in which a running node is copied, and why each prefix of it is consistent:
//!
//! 1. **Settings, certificates, trust, encrypted keys**: written once by `init`, only replaced while the node stands still.
//! 2. **The journal, up to the end of a durable block** ([`truc_journal::segment::snapshot`]): sealed segments are immutable, the growing one is
//!    cut at the end of a block, and a high-water mark is made for exactly that end.
//! 3. **Attachments, after the journal**: an entry that names one was accepted only after the attachment was durable, so whatever the copied
//!    entries name is there by now. Whoever deletes attachments later than a backup takes (the retention time is days) deletes none that the
//!    copied queues still need. They are named by their digest, so a second backup into the same folder copies only what is new.
//! 4. **The manifest**, with the size and SHA-256 of every file and position and root of the journal.
//!
//! Not copied: views (functions of the journal), locks, unfinished uploads (their owners resume them from the start). The copies are never hard
//! links: a backup that shares its blocks with the original is lost with it.

mod drill;
mod manifest;
mod restore;
mod store;
mod take;

pub use drill::{Drilled, Step, drill};
pub use manifest::{Kept, Manifest, Role};
pub use restore::{Restored, restore};
pub use take::{Taken, take};

use truc_journal::segment::OpenError;
use truc_types::{Reason, Refusal};

use crate::failure::Failure;

/// Files of one backup: a million attachments of open documents and as many marks of who brought them.
const FILES_MAX: usize = 4_000_000;

fn damaged(message: impl Into<String>) -> Failure {
    Failure::Refused(Refusal::new(Reason::BackupDamaged, message))
}

fn foreign(message: impl Into<String>) -> Failure {
    Failure::Refused(Refusal::new(Reason::BackupForeign, message))
}

fn journal(cause: &OpenError) -> Failure {
    let source = std::error::Error::source(cause).map(|source| format!(": {source}")).unwrap_or_default();
    Failure::Refused(Refusal::new(cause.reason(), format!("{cause}{source}")))
}
