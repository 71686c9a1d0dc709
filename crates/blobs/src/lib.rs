//! Attachments as content-addressed files: streamed, resumable, owned, pinned.
//!
//! [`BlobStore`] is the contract, [`FolderStore`] keeps it in one folder. Synchronous: async callers use blocking threads. Not here: who may download what
//! (the journal knows the recipients), and how chunks travel.

mod contract;
mod error;
mod files;
mod folder;
mod pins;
mod publish;
mod reader;
mod seen;
mod upload;
mod usage;

pub use contract::{BlobStore, Stored, UploadState};
pub use error::BlobError;
pub use folder::FolderStore;
pub use pins::BlobPin;
pub use reader::BlobReader;
pub use upload::{OPEN_UPLOADS_PER_AGENCY_MAX, write_back};
pub use usage::{AgencyUploads, Usage};
