//! Why a message was not written. Everything about values is found before the first byte goes out; only attachments can fail later.

use std::io;

/// Why [`write_message`](crate::write_message) stopped. What it wrote until then is no message and is to be thrown away.
///
/// Fields are named by their path from `MessageHeader`, `TraceHeaderList` or `AttachmentEncoded`; values are never shown: they may be personal.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A required field says nothing.
    #[error("{field} is missing")]
    Missing {
        /// Which.
        field: String,
    },
    /// A text is longer than the reader takes.
    #[error("{field} has {bytes} bytes, at most {limit} are written")]
    TooLong {
        /// Which.
        field: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A list is longer than the reader takes.
    #[error("{field} has {items} items, at most {limit} are written")]
    TooMany {
        /// Which.
        field: String,
        /// How many there are.
        items: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A character that XML 1.0 cannot carry, not even as a reference (section 2.2).
    #[error("{field} holds U+{:04X}, which XML cannot carry", u32::from(*.character))]
    Character {
        /// Which.
        field: String,
        /// The character.
        character: char,
    },
    /// A number or a time that the format cannot hold.
    #[error("{field} is {value}, which the format cannot hold")]
    OutOfRange {
        /// Which.
        field: String,
        /// The value.
        value: String,
    },
    /// Two recipients with one code, or two attachments with one ContentId.
    #[error("{field} repeats the one of an earlier item")]
    Repeated {
        /// Which.
        field: String,
    },
    /// The name of an attachment leads out of a folder: receivers that trust names would be harmed.
    #[error("{field} leads out of a folder")]
    NameTraversal {
        /// Which.
        field: String,
    },
    /// An attachment is larger than [`ATTACHMENT_BYTES_MAX`](truc_types::limits::ATTACHMENT_BYTES_MAX).
    #[error("attachment {index} has {bytes} bytes, at most {limit} are written")]
    AttachmentTooLarge {
        /// From 0.
        index: usize,
        /// Its size as the message says.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The source gave other bytes than the message says: size or digest differ.
    #[error("the bytes of attachment {index} are not those that the message names")]
    AttachmentDiffers {
        /// From 0.
        index: usize,
    },
    /// The source of an attachment failed.
    #[error("reading attachment {index} failed: {source}")]
    Source {
        /// From 0.
        index: usize,
        /// As it came.
        source: io::Error,
    },
    /// The output failed.
    #[error("writing the edXML message failed: {0}")]
    Output(#[source] io::Error),
}
