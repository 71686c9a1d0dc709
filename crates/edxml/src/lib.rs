//! The national edXML message format (QCVN 102:2016): a hardened, tolerant reader and a strict writer that stream attachments.
//!
//! What is read, tolerated, refused and written stands in `docs/spec/edxml.md`. The crate is pure: bytes in, values out, and back; no file, network or
//! clock. It decides nothing about delivery, and it neither verifies nor makes signatures.
//!
//! The model: `message`, `business`, `status`. The reader, lowest layer first: `input` (caps), `xml` (elements), `tree` and `section` (the envelope's
//! fields), `header`, `trace`, `status_fields` and `manifest` (their meaning), `base64_stream`, `zip_stream` and `content` (an attachment's bytes),
//! `attachments`, `reader`. The writer is in `write`.

mod attachments;
mod base64_stream;
mod business;
mod content;
mod date;
mod diagnostic;
mod error;
mod header;
mod input;
pub mod limits;
mod manifest;
mod media;
mod message;
mod reader;
mod rule;
mod section;
mod status;
mod status_fields;
mod trace;
mod tree;
mod write;
mod xml;
mod zip_stream;

pub use business::{Business, BusinessKind, ReceiverChange, Replacement, Update};
pub use content::AttachmentSink;
pub use diagnostic::Diagnostic;
pub use error::ReadError;
pub use message::{
    AnsweredDocument, AttachmentInfo, Document, DocumentType, LocalTime, Message, MessageKind, Party, Signer, Staff, Task, TraceHop,
};
pub use reader::{Reading, read_message};
pub use rule::{Rule, Severity};
pub use status::{Status, StatusCode};
pub use write::{AttachmentSource, WriteError, write_message};
