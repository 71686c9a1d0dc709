//! The harness of the end-to-end tests: an axis of real processes on loopback, and what a document-management system does with it.
//!
//! No part of the product is replaced: the processes are the `truc` binary that the same build made.

pub mod axis;
pub mod bare;
pub mod daemon;
pub mod dms;
pub mod manager;
pub mod operator;
pub mod peer;
pub mod small_disk;
pub mod stepped;
pub mod tools;
pub mod watch;
pub mod weak;
