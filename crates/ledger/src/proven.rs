//! Many inclusion proofs against one root: where a proof meets the way of the one before it, the rest is not hashed again. For whoever gets the proofs of a
//! whole block, or of an envelope and the fact beside it.
//!
//! It accepts exactly what [`crate::InclusionProof::verify`] accepts.

use truc_types::{Digest, LeafIndex};

use crate::checkpoint::Checkpoint;
use crate::proof::{ProofError, climb};

/// A tree with one root, and the way of the last proof to it: at most 63 nodes and hashes, however many proofs it is given.
#[derive(Debug)]
pub struct ProvenTree {
    size: u64,
    root: Digest,
    /// The nodes on that way, from the leaf up. Each leads to the root by the last hashes of `path`, as many as remained there.
    nodes: Vec<Proven>,
    path: Vec<Digest>,
}

#[derive(Debug, Clone, Copy)]
struct Proven {
    /// Levels above the leaf, and the index among the nodes there.
    level: (u32, u64),
    hash: Digest,
    /// Hashes of the path that lead from here to the root.
    remaining: usize,
}

impl ProvenTree {
    /// The tree of a checkpoint whose signature was verified.
    #[must_use]
    pub fn new(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root, nodes: Vec::new(), path: Vec::new() }
    }

    /// Checks that a leaf is in the tree: by its path up to the first node of the last proof, or to the root.
    ///
    /// # Errors
    /// The first reason for which the proof does not hold, as [`crate::InclusionProof::verify`] has them. What was proven before stays so.
    pub fn verify(&mut self, leaf_index: LeafIndex, path: Vec<Digest>, leaf_hash: &Digest) -> Result<(), ProofError> {
        let (mut seen, mut above) = (Vec::with_capacity(path.len()), 0);
        let reached = climb(leaf_index, self.size, &path, leaf_hash, |step, hash| {
            above += self.nodes.iter().skip(above).take_while(|known| known.level.0 < step.level.0).count();
            let remaining = path.len().saturating_sub(step.used);
            let is_known = |known: &Proven| {
                // The same node and the same rest of the path lead to the same root.
                (known.level, known.hash, known.remaining) == (step.level, *hash, remaining)
                    && rest(&self.path, remaining) == rest(&path, remaining)
            };
            if self.nodes.get(above).is_some_and(is_known) {
                return true;
            }
            seen.push(Proven { level: step.level, hash: *hash, remaining });
            false
        })?;
        match reached {
            Some(computed) if computed != self.root => return Err(ProofError::RootMismatch { computed, expected: self.root }),
            // Below the node where they met, the old way is no way of the new path.
            Some(_) => {}
            None => seen.extend(self.nodes.drain(above..)),
        }
        (self.nodes, self.path) = (seen, path);
        Ok(())
    }
}

/// The last hashes of a path.
fn rest(path: &[Digest], remaining: usize) -> &[Digest] {
    path.get(path.len().saturating_sub(remaining)..).unwrap_or_default()
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

    #[test]
    fn the_way_of_an_earlier_proof_is_no_way_of_a_later_path() {
        let (checkpoint, leaves, paths) = tree(13);
        for (first, second) in
            (0..13).flat_map(|first| (0..13).map(move |second| (first, second))).filter(|(first, second)| first != second)
        {
            let mut proven = ProvenTree::new(&checkpoint);
            for leaf in [first, second] {
                assert_eq!(proven.verify(LeafIndex(leaf as u64), paths[leaf].clone(), &leaves[leaf]), Ok(()));
            }
            assert!(
                proven.verify(LeafIndex(first as u64), paths[second].clone(), &leaves[first]).is_err(),
                "{first} by the path of {second}"
            );
        }
    }
}
