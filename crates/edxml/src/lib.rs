//! The national edXML message format (QCVN 102:2016): a hardened, tolerant reader of new documents that streams their attachments.
//!
//! What is read, tolerated and refused stands in `docs/spec/edxml.md`. The reader is pure: bytes in, values and attachment bytes out; no file, network
//! or clock. It does not write edXML yet, and it refuses status packets, recalls, updates and replacements by name.
//!
//! Layers, lowest first: `input` (caps), `xml` (elements), `tree` and `section` (the envelope's fields), `header` and `manifest` (their meaning),
//! `base64_stream`, `zip_stream` and `content` (an attachment's bytes), `attachments`, `reader`.

mod attachments;
mod base64_stream;
mod content;
mod date;
mod diagnostic;
mod error;
mod header;
mod input;
pub mod limits;
mod manifest;
mod message;
mod reader;
mod rule;
mod section;
mod tree;
mod xml;
mod zip_stream;

pub use content::AttachmentSink;
pub use diagnostic::Diagnostic;
pub use error::{Packet, ReadError};
pub use message::{
    AnsweredDocument, AttachmentInfo, Business, BusinessKind, DocumentType, LocalTime, Message, Party, Signer, Staff, TraceHop,
};
pub use reader::read_message;
pub use rule::{Rule, Severity};
