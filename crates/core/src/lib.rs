//! The protocol of the axis as pure functions: decide and apply.
