//! Questions to the directory and their answers, for broker and edge alike: lists, look-up of either code scheme, changes, and whether a document can
//! be sent to whom it names. Pure functions of a [`Registry`](truc_core::registry::Registry); not the registry itself, which is `truc-core`'s.

mod fold;
mod lists;
mod look_up;
mod messages;
mod near;
mod sendable;
#[cfg(test)]
mod tests;

pub use fold::fold;
pub use lists::{Filter, Page, Paging, agencies, changes, organisations};
pub use look_up::{Found, look_up};
pub use messages::axis;
pub use near::near;
pub use sendable::check_sendable;
