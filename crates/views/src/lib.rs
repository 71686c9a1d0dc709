//! Rebuildable views of a journal in sled, each with the position it has reached.
