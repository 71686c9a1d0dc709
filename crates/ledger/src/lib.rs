//! The RFC 9162 Merkle tree, C2SP checkpoints and inclusion proofs.
