//! The truc command as a library: the development PKI, the offline verifier and the verbs that stand between people and the daemons.
//!
//! Nothing of the protocol is decided here: daemons live in `truc-broker` and `truc-edge`, formats in `truc-signing` and `truc-ledger`.

pub mod args;
pub mod backup;
pub mod bench;
pub mod commands;
pub mod demo;
pub mod directory;
pub mod exported;
pub mod failure;
mod hashing;
pub mod language;
mod local;
pub mod measure;
mod media;
pub mod output;
pub mod pki;
pub mod probe;
pub mod verify;
