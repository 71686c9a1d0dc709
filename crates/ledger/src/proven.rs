//! Many inclusion proofs against one root: what one proof has shown is not hashed again for the next. For whoever gets the proofs of a whole block.
//!
//! It accepts exactly what [`crate::InclusionProof::verify`] accepts; one proof alone is checked faster there.

use std::collections::HashMap;

use truc_types::{Digest, LeafIndex};

use crate::checkpoint::Checkpoint;
use crate::proof::{ProofError, climb};

/// A tree with one root, and the nodes that proofs have shown to be in it. Grows with the proofs that it is given, by about 1 KiB for each: to be kept no
/// longer than those of its block arrive.
#[derive(Debug)]
pub struct ProvenTree {
    size: u64,
    root: Digest,
    /// Nodes that lead to the root, by level and index.
    nodes: HashMap<(u32, u64), Proven>,
    paths: Vec<Vec<Digest>>,
}

#[derive(Debug, Clone, Copy)]
struct Proven {
    hash: Digest,
    /// Where the rest of its path stands.
    path: usize,
    used: usize,
}

impl ProvenTree {
    /// The tree of a checkpoint whose signature was verified.
    #[must_use]
    pub fn new(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root, nodes: HashMap::new(), paths: Vec::new() }
    }

    /// Checks that a leaf is in the tree: by its path up to the first node that was proven before, or to the root.
    ///
    /// # Errors
    /// The first reason for which the proof does not hold, as [`crate::InclusionProof::verify`] has them.
    pub fn verify(&mut self, leaf_index: LeafIndex, path: Vec<Digest>, leaf_hash: &Digest) -> Result<(), ProofError> {
        let (number, mut seen) = (self.paths.len(), Vec::with_capacity(path.len()));
        let reached = climb(leaf_index, self.size, &path, leaf_hash, |step, hash| {
            if let Some(known) = self.nodes.get(&step.level) {
                let rest = self.paths.get(known.path).and_then(|path| path.get(known.used..));
                // The same node and the same rest of the path lead to the same root.
                if known.hash == *hash && rest.is_some() && rest == path.get(step.used..) {
                    return true;
                }
            }
            seen.push((step.level, Proven { hash: *hash, path: number, used: step.used }));
            false
        })?;
        match reached {
            Some(computed) if computed != self.root => return Err(ProofError::RootMismatch { computed, expected: self.root }),
            _ => {}
        }
        self.nodes.extend(seen);
        self.paths.push(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Extension, Frontier, InclusionProof, leaf_hash};

    /// A tree of so many leaves with the proofs of all.
    fn tree(size: u64) -> (Checkpoint, Vec<Digest>, Vec<Vec<Digest>>) {
        let leaves: Vec<_> = (0..size).map(|leaf| leaf_hash(&leaf.to_le_bytes())).collect();
        let extension = Extension::new(&Frontier::new(), &leaves);
        let paths = (0..size).map(|leaf| extension.inclusion_proof(LeafIndex(leaf)).unwrap().path).collect();
        (Checkpoint { origin: "a".to_owned(), size, root: extension.root() }, leaves, paths)
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_whatever_came_before_it() {
        for size in 1..=33 {
            let (checkpoint, leaves, paths) = tree(size);
            for step in [1, 2, 5, 7] {
                let mut proven = ProvenTree::new(&checkpoint);
                for turn in 0..2 * size {
                    let leaf = turn * step % size;
                    let at = usize::try_from(leaf).unwrap();
                    assert_eq!(proven.verify(LeafIndex(leaf), paths[at].clone(), &leaves[at]), Ok(()), "{leaf} of {size}");
                }
            }
        }
    }

    #[test]
    fn what_a_proof_alone_does_not_show_it_does_not_show_after_others() {
        for size in [2, 3, 8, 13] {
            let (checkpoint, leaves, paths) = tree(size);
            let mut proven = ProvenTree::new(&checkpoint);
            for (leaf, (hash, path)) in (0..).zip(leaves.iter().zip(&paths)) {
                assert_eq!(proven.verify(LeafIndex(leaf), path.clone(), hash), Ok(()));
            }
            let mut check = |leaf: u64, path: Vec<Digest>, hash: &Digest| {
                let alone =
                    InclusionProof { leaf_index: LeafIndex(leaf), tree_size: size, path: path.clone() }.verify(hash, &checkpoint.root);
                assert!(alone.is_err());
                assert_eq!(proven.verify(LeafIndex(leaf), path, hash), alone, "leaf {leaf} of {size}");
            };
            for (leaf, (hash, path)) in (0..).zip(leaves.iter().zip(&paths)) {
                check(leaf, path.clone(), &Digest([9; 32]));
                check(leaf + size, path.clone(), hash);
                check(leaf, path[1..].to_vec(), hash);
                check(leaf, [&path[..], &[Digest([1; 32])]].concat(), hash);
                for broken in 0..path.len() {
                    let mut path = path.clone();
                    path[broken].0[31] ^= 1;
                    check(leaf, path, hash);
                }
            }
        }
    }
}
