//! The national edXML file at the edge: taken apart when the DMS hands one in, derived again where it arrives.
//!
//! One file travels, as it was received: `message.edxml`. What is in it stands in the sealed envelope with digest and length; the recipient's edge takes
//! its own copy apart and shows nothing before both agree. `read` maps a message to an envelope, `unpack` moves attachments, `derive` compares, `staged`
//! holds a file until it is known to be a document, `hand_in` makes a draft, `write` goes the other way. Not the format itself: that is `truc-edxml`.

mod derive;
mod hand_in;
mod read;
mod staged;
mod unpack;
mod write;

pub(crate) use derive::derive;
pub(crate) use hand_in::{Rejected, hand_in};
pub(crate) use read::supported;
pub(crate) use staged::Staged;
pub(crate) use write::{Event, write_document, write_status};
