//! Codes, ids, limits, names and time values that every part of Trục shares.
//!
//! No IO, no clock, no randomness, no protobuf. Everything here is a value that cannot be wrong once it exists: parsing is where limits hold.

mod blame;
mod code;
mod digest;
mod id;
pub mod limits;
pub mod names;
mod position;
mod reason;
mod refusal;
mod time;
mod urgency;

pub use blame::{Blame, Retry};
pub use code::{AgencyCode, CodeError, OrganisationCode};
pub use digest::{Digest, HexError};
pub use id::{IdError, MessageId};
pub use position::{BlockNumber, EdgeTerm, LeafIndex, Position, QueuePosition, SenderSeq, Term};
pub use reason::{Reason, UnknownReason};
pub use refusal::Refusal;
pub use time::{Date, TimeError, Timestamp};
pub use urgency::{Lane, Urgency};
