//! `write_message`: a message as the national library would write it. Values are checked first, attachments pass as a stream.
//!
//! It is strict where the reader is tolerant: one order, one spelling, one form of each value. It signs nothing.

mod archive;
mod attachments;
mod base64_text;
mod document;
mod error;
mod fields;
mod status;

use std::io::{self, Read, Write};

pub use error::WriteError;

use crate::limits::HEADER_BYTES_MAX;
use crate::message::Message;
use fields::Fields;

/// Where the bytes of attachments come from.
pub trait AttachmentSource {
    /// The bytes of the attachment with this index (from 0) in the message, from their start. Called once for each, in order.
    ///
    /// # Errors
    /// Any error ends the writing with [`WriteError::Source`].
    fn open(&mut self, index: usize) -> io::Result<Box<dyn Read + '_>>;
}

/// Writes one message to `out`: what [`read_message`](crate::read_message) reads to an equal message, with no diagnostic about its form.
///
/// The same message gives the same bytes. Memory is bounded by the header; attachments pass in pieces and are compared with the size and the
/// digest that the message names. `out` is flushed at the end, and not otherwise.
///
/// # Errors
/// [`WriteError`]; all but its last four kinds come before anything is written.
pub fn write_message(message: &Message, attachments: &mut dyn AttachmentSource, out: &mut dyn Write) -> Result<(), WriteError> {
    let mut envelope = Fields::new();
    match message {
        Message::Document(document) => {
            document::envelope(document, &mut envelope)?;
            let envelope = checked(envelope)?;
            let heads = attachments::heads(&document.attachments)?;
            out.write_all(envelope.as_bytes()).map_err(WriteError::Output)?;
            attachments::write(&document.attachments, &heads, attachments, out)?;
        }
        Message::Status(status) => {
            status::envelope(status, &mut envelope)?;
            out.write_all(checked(envelope)?.as_bytes()).map_err(WriteError::Output)?;
        }
    }
    out.write_all(b"</edXML>\n").and_then(|()| out.flush()).map_err(WriteError::Output)
}

/// The envelope's text, if the reader would take so much.
fn checked(envelope: Fields) -> Result<String, WriteError> {
    let text = envelope.finish();
    if text.len() > HEADER_BYTES_MAX {
        return Err(WriteError::TooLong { field: "edXMLEnvelope".to_owned(), bytes: text.len(), limit: HEADER_BYTES_MAX });
    }
    Ok(text)
}
