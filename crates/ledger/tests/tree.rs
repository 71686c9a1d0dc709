//! The tree against two other implementations: exhaustively up to 300 leaves, and every changed proof refused.
#![cfg(test)]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use std::convert::Infallible;
use tlog_tiles::tlog;
use truc_ledger::plan::root_nodes;
use truc_ledger::store::CHUNK_LEAVES;
use truc_ledger::tree::{FRONTIER_SIZE_MAX, TREE_SIZE_MAX};
use truc_ledger::{
    ConsistencyPlan, ConsistencyProof, EMPTY_ROOT, Extension, Frontier, InclusionPlan, InclusionProof, Lookup, NodeId, PlanError,
    ProofError, ProveError, TreeStore, chunk_node, leaf_hash,
};
use truc_types::{Digest, LeafIndex, Reason};

const SIZE_MAX: u64 = 300;

/// The leaves of all tests: their own number in decimal.
fn leaf(index: u64) -> Vec<u8> {
    index.to_string().into_bytes()
}

fn hashes(range: std::ops::Range<u64>) -> Vec<Digest> {
    range.map(|index| leaf_hash(&leaf(index))).collect()
}

fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::new();
    for hash in hashes(0..size) {
        frontier.append(hash);
    }
    frontier
}

fn store(size: u64, recent_leaves: u64) -> TreeStore {
    let mut store = TreeStore::new(recent_leaves);
    for hash in hashes(0..size) {
        store.push(hash);
    }
    store
}

/// Reads a chunk of the test's leaves, as the journal would.
fn read_chunk(chunk: u64) -> Result<Vec<Digest>, Infallible> {
    Ok(hashes(chunk * CHUNK_LEAVES..(chunk + 1) * CHUNK_LEAVES))
}

/// Hashes of nodes by definition: from nothing but the leaves.
fn nodes_from_leaves(nodes: &[NodeId]) -> Vec<Digest> {
    let root = |node: &NodeId| {
        let mut frontier = Frontier::new();
        for hash in hashes(node.index << node.level..(node.index + 1) << node.level) {
            frontier.append(hash);
        }
        frontier.root()
    };
    nodes.iter().map(root).collect()
}

/// The hash storage of Go's tlog, ported.
#[derive(Default)]
struct Tlog {
    stored: Vec<tlog::Hash>,
    size: u64,
}

impl tlog::HashReader for Tlog {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|&index| self.stored[usize::try_from(index).unwrap()]).collect())
    }
}

impl Tlog {
    fn push(&mut self, data: &[u8]) {
        let more = tlog::stored_hashes(self.size, data, self).unwrap();
        self.stored.extend(more);
        self.size += 1;
    }
}

fn theirs(digest: Digest) -> tlog::Hash {
    tlog::Hash(digest.0)
}

fn path(hashes: &[Digest]) -> Vec<tlog::Hash> {
    hashes.iter().copied().map(theirs).collect()
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn every_root_and_inclusion_proof_up_to_300_leaves_is_that_of_two_other_implementations() {
    let (mut other, mut go, mut ours) = (MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new(), Tlog::default(), Frontier::new());
    let (grown, forgetful) = (store(SIZE_MAX, 65_536), store(SIZE_MAX, 0));
    assert_eq!(ours.root(), EMPTY_ROOT);
    let mut proofs = 0;
    for size in 1..=SIZE_MAX {
        other.push(leaf(size - 1));
        go.push(&leaf(size - 1));
        ours.append(leaf_hash(&leaf(size - 1)));
        let root = ours.root();
        assert_eq!(root.0.as_slice(), other.root().as_bytes().as_slice(), "size {size}");
        assert_eq!(theirs(root), tlog::tree_hash(size, &go).unwrap(), "size {size}");
        for index in 0..size {
            let proof = grown.prove_inclusion(LeafIndex(index), size, read_chunk).unwrap();
            assert_eq!(forgetful.prove_inclusion(LeafIndex(index), size, read_chunk), Ok(proof.clone()), "leaf {index} of {size}");
            assert_eq!(bytes(&proof.path), other.prove_inclusion(usize::try_from(index).unwrap()).as_bytes(), "leaf {index} of {size}");
            let hash = leaf_hash(&leaf(index));
            assert_eq!(proof.verify(&hash, &root), Ok(()), "leaf {index} of {size}");
            tlog::check_record(&path(&proof.path), size, theirs(root), index, theirs(hash)).unwrap();
            proofs += 1;
        }
    }
    assert_eq!(proofs, 45_150);
}

#[test]
fn every_consistency_proof_up_to_300_leaves_is_that_of_two_other_implementations() {
    let (mut other, mut go) = (MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new(), Tlog::default());
    let roots: Vec<Digest> = (0..=SIZE_MAX).map(|size| frontier(size).root()).collect();
    let (grown, forgetful) = (store(SIZE_MAX, 65_536), store(SIZE_MAX, 0));
    let root = |size: u64| roots[usize::try_from(size).unwrap()];
    for new in 0..=SIZE_MAX {
        if new > 0 {
            other.push(leaf(new - 1));
            go.push(&leaf(new - 1));
        }
        for old in 0..=new {
            let proof = grown.prove_consistency(old, new, read_chunk).unwrap();
            assert_eq!(forgetful.prove_consistency(old, new, read_chunk), Ok(proof.clone()), "{old} to {new}");
            assert_eq!(proof.verify(&root(old), &root(new)), Ok(()), "{old} to {new}");
            if old == 0 {
                assert_eq!(proof.path, []);
                continue;
            }
            tlog::check_tree(&path(&proof.path), new, theirs(root(new)), old, theirs(root(old))).unwrap();
            let added = usize::try_from(new - old).unwrap();
            assert_eq!(bytes(&proof.path), other.prove_consistency(added).as_bytes(), "{old} to {new}");
        }
    }
}

#[test]
fn every_extension_up_to_300_leaves_gives_the_proofs_of_the_store() {
    let grown = store(SIZE_MAX, 65_536);
    let all = hashes(0..SIZE_MAX);
    let mut proofs = 0;
    for old in 0..=SIZE_MAX {
        let before = frontier(old);
        for new in old..=SIZE_MAX {
            let block = &all[usize::try_from(old).unwrap()..usize::try_from(new).unwrap()];
            let extension = Extension::new(&before, block);
            assert_eq!((extension.old_size(), extension.size()), (old, new));
            assert_eq!(Some(extension.root()), grown.root_at(new), "{old} to {new}");
            assert_eq!(extension.consistency_proof(), grown.prove_consistency(old, new, read_chunk).unwrap(), "{old} to {new}");
            // All leaves of short blocks and of every 16th pair: 45,150 pairs have millions of leaves.
            if new - old > 3 && (old + 5 * new) % 16 != 0 {
                continue;
            }
            let found: Vec<_> = extension.inclusion_proofs().collect();
            let expected: Vec<_> = (old..new).map(|leaf| grown.prove_inclusion(LeafIndex(leaf), new, read_chunk).unwrap()).collect();
            assert_eq!(found, expected, "{old} to {new}");
            proofs += found.len();
            assert_eq!(extension.inclusion_proof(LeafIndex(new)), None);
            assert!(old == 0 || extension.inclusion_proof(LeafIndex(old - 1)).is_none());
            let next = extension.into_frontier();
            assert_eq!(next, frontier_of(&grown, new), "{old} to {new}");
        }
    }
    assert!(proofs > 100_000, "{proofs}");
}

fn frontier_of(store: &TreeStore, size: u64) -> Frontier {
    let peaks = root_nodes(size).into_iter().map(|node| if let Lookup::Hash(hash) = store.node(node) { hash } else { panic!("{node:?}") });
    Frontier::from_peaks(size, peaks.collect()).unwrap()
}

#[test]
fn plans_name_complete_nodes_whose_hashes_make_the_proofs() {
    let grown = store(SIZE_MAX, 65_536);
    for size in [1, 2, 3, 5, 8, 13, 100, 255, 256, 257, 300] {
        for index in (0..size).step_by(7) {
            let plan = InclusionPlan::new(LeafIndex(index), size).unwrap();
            assert!(plan.nodes().iter().all(|node| node.is_complete_in(size)));
            let proof = plan.assemble(&nodes_from_leaves(plan.nodes())).unwrap();
            assert_eq!(proof, grown.prove_inclusion(LeafIndex(index), size, read_chunk).unwrap());
            let plan = ConsistencyPlan::new(index, size).unwrap();
            assert!(plan.nodes().iter().all(|node| node.is_complete_in(size)));
            let proof = plan.assemble(&nodes_from_leaves(plan.nodes())).unwrap();
            assert_eq!(proof, grown.prove_consistency(index, size, read_chunk).unwrap());
            let expected = plan.nodes().len();
            let wrong = PlanError::HashCount { expected, found: expected + 1 };
            assert_eq!(plan.assemble(&vec![EMPTY_ROOT; expected + 1]), Err(wrong));
        }
    }
}

#[test]
fn plans_refuse_leaves_outside_reversed_sizes_and_trees_past_the_limit() {
    assert_eq!(InclusionPlan::new(LeafIndex(0), 0), Err(PlanError::LeafOutside { leaf: LeafIndex(0), size: 0 }));
    assert_eq!(InclusionPlan::new(LeafIndex(9), 9), Err(PlanError::LeafOutside { leaf: LeafIndex(9), size: 9 }));
    assert_eq!(ConsistencyPlan::new(9, 8), Err(PlanError::SizesReversed { old_size: 9, new_size: 8 }));
    let size = TREE_SIZE_MAX + 1;
    assert_eq!(InclusionPlan::new(LeafIndex(0), size), Err(PlanError::TreeTooLarge { size }));
    assert_eq!(ConsistencyPlan::new(0, size), Err(PlanError::TreeTooLarge { size }));
    assert_eq!(InclusionPlan::new(LeafIndex(0), TREE_SIZE_MAX).unwrap().nodes().len(), 63);
}

#[test]
fn a_store_of_many_chunks_proves_old_leaves_with_at_most_two_reads() {
    let (size, recent) = (5_000, 512);
    let forgetful = store(size, recent);
    let remembering = store(size, size);
    let mut most = 0;
    for at in (1..=size).step_by(61).chain([256, 512, 4_864, size]) {
        let root = frontier(at).root();
        assert_eq!(forgetful.read_root_at(at, read_chunk), Ok(root));
        assert_eq!(remembering.root_at(at), Some(root));
        for index in (0..at).step_by(379).chain([at - 1]) {
            let mut reads = 0;
            let count = |chunk| {
                reads += 1;
                read_chunk(chunk)
            };
            let proof = forgetful.prove_inclusion(LeafIndex(index), at, count).unwrap();
            assert_eq!(proof.verify(&leaf_hash(&leaf(index)), &root), Ok(()));
            assert_eq!(remembering.prove_inclusion(LeafIndex(index), at, no_read), Ok(proof));
            let consistency = forgetful.prove_consistency(index, at, read_chunk).unwrap();
            assert_eq!(consistency.verify(&forgetful.read_root_at(index, read_chunk).unwrap(), &root), Ok(()));
            most = most.max(reads);
        }
    }
    assert_eq!(most, 2);
    assert_eq!(forgetful.frontier(), frontier(size));
    // The newest 512 leaves and the open chunk need no reading.
    for index in size - recent..size {
        assert!(forgetful.prove_inclusion(LeafIndex(index), size, no_read).is_ok(), "leaf {index}");
    }
    for index in 0..size + 2 {
        let reads_nothing = forgetful.prove_inclusion(LeafIndex(index), size, no_read).is_ok();
        assert_eq!(forgetful.remembers(LeafIndex(index)), reads_nothing, "leaf {index}");
    }
}

fn no_read(chunk: u64) -> Result<Vec<Digest>, u64> {
    Err(chunk)
}

#[test]
fn the_store_answers_for_every_node_and_chunks_give_what_it_forgot() {
    let forgetful = store(1_100, 256);
    let remembering = store(1_100, 1_100);
    let (mut known, mut forgotten) = (0, 0);
    for level in 0..=11u8 {
        for index in 0..=1_100u64 >> level {
            let node = NodeId { level, index };
            match (forgetful.node(node), remembering.node(node)) {
                (Lookup::NeedChunk(chunk), Lookup::Hash(hash)) => {
                    assert!(chunk < 3 && level < 8);
                    assert_eq!(chunk_node(&read_chunk(chunk).unwrap(), node), Some(hash), "{node:?}");
                    forgotten += 1;
                }
                (Lookup::Hash(one), Lookup::Hash(other)) => {
                    assert_eq!(one, other);
                    known += 1;
                }
                (Lookup::Incomplete, Lookup::Incomplete) => assert!(!node.is_complete_in(1_100)),
                other => panic!("{node:?}: {other:?}"),
            }
        }
    }
    assert_eq!((known > 500, forgotten), (true, 3 * 510));
    for node in [NodeId { level: 255, index: 0 }, NodeId { level: 64, index: 0 }, NodeId { level: 0, index: u64::MAX }] {
        assert_eq!(forgetful.node(node), Lookup::Incomplete);
    }
    assert_eq!(chunk_node(&[EMPTY_ROOT; 256], NodeId { level: 9, index: 0 }), None);
    assert_eq!(chunk_node(&[EMPTY_ROOT; 3], NodeId { level: 1, index: 1 }), None);
    assert_eq!(chunk_node(&[], NodeId { level: 0, index: u64::MAX }), None);
}

#[test]
fn the_store_names_what_is_wrong_with_a_chunk_that_was_read() {
    let forgetful = store(1_100, 256);
    let prove = |answer: Result<Vec<Digest>, &'static str>| forgetful.prove_inclusion(LeafIndex(300), 1_000, |_| answer.clone());
    assert_eq!(prove(Err("gone")), Err(ProveError::Read { chunk: 1, source: "gone" }));
    assert_eq!(prove(Ok(vec![])), Err(ProveError::ChunkLength { chunk: 1, found: 0 }));
    let mut altered = read_chunk(1).unwrap();
    altered[77].0[3] ^= 1;
    assert!(matches!(prove(Ok(altered)), Err(ProveError::ChunkAltered { chunk: 1, .. })));
    let ahead = forgetful.prove_inclusion(LeafIndex(0), 1_101, no_read);
    assert_eq!(ahead, Err(ProveError::SizeAhead { size: 1_101, stored: 1_100 }));
    assert_eq!(forgetful.root_at(1_101), None);
    assert_eq!(forgetful.root_at(3), None);
    assert_eq!(forgetful.root_at(0), Some(EMPTY_ROOT));
}

fn flip(digest: &Digest, bit: usize) -> Digest {
    let mut changed = *digest;
    changed.0[bit / 8] ^= 1 << (bit % 8);
    changed
}

/// All paths that differ from this one by a bit of one element (two bits are tried), a lost, doubled or moved element.
fn changed_paths(path: &[Digest]) -> Vec<Vec<Digest>> {
    let mut changed = vec![[path, &[EMPTY_ROOT]].concat()];
    for i in 0..path.len() {
        for bit in [0, 255, (i * 37) % 256] {
            let mut other = path.to_vec();
            other[i] = flip(&other[i], bit);
            changed.push(other);
        }
        changed.push([&path[..i], &path[i + 1..]].concat());
        changed.push([&path[..=i], &path[i..]].concat());
        if i > 0 {
            let mut other = path.to_vec();
            other.swap(i - 1, i);
            changed.push(other);
        }
    }
    changed
}

#[test]
fn an_inclusion_proof_with_anything_changed_is_refused() {
    let grown = store(SIZE_MAX + 1, 65_536);
    let mut refused = 0;
    for size in [1, 2, 3, 4, 6, 7, 8, 9, 64, 100, 255, 256, 257, SIZE_MAX] {
        let root = grown.root_at(size).unwrap();
        for index in (0..size).step_by(if size < 10 { 1 } else { 17 }) {
            let proof = grown.prove_inclusion(LeafIndex(index), size, read_chunk).unwrap();
            let hash = leaf_hash(&leaf(index));
            let mut refuse = |proof: &InclusionProof, hash: &Digest, root: &Digest| {
                assert!(proof.verify(hash, root).is_err(), "leaf {index} of {size}: {proof:?}");
                refused += 1;
            };
            for path in changed_paths(&proof.path) {
                refuse(&InclusionProof { path, ..proof.clone() }, &hash, &root);
            }
            for bit in 0..256 {
                refuse(&proof, &flip(&hash, bit), &root);
                refuse(&proof, &hash, &flip(&root, bit));
            }
            for other in (0..size).filter(|&other| other != index).chain([size, u64::MAX]) {
                refuse(&InclusionProof { leaf_index: LeafIndex(other), ..proof.clone() }, &hash, &root);
            }
            // A size comes with its root: the checkpoint signs both.
            for other in [size - 1, size + 1] {
                refuse(&InclusionProof { tree_size: other, ..proof.clone() }, &hash, &grown.root_at(other).unwrap());
            }
            refuse(&InclusionProof { tree_size: 0, ..proof.clone() }, &hash, &root);
            refuse(&InclusionProof { tree_size: u64::MAX, ..proof.clone() }, &hash, &root);
        }
    }
    assert!(refused > 10_000);
}

#[test]
fn a_consistency_proof_with_anything_changed_is_refused() {
    let grown = store(SIZE_MAX + 1, 65_536);
    let root = |size: u64| grown.root_at(size).unwrap();
    let mut refused = 0;
    for new in [1, 2, 3, 4, 7, 8, 9, 100, 256, 257, SIZE_MAX] {
        for old in (0..=new).step_by(if new < 10 { 1 } else { 13 }) {
            let proof = grown.prove_consistency(old, new, read_chunk).unwrap();
            let mut refuse = |proof: &ConsistencyProof, old_root: &Digest, new_root: &Digest| {
                assert!(proof.verify(old_root, new_root).is_err(), "{old} to {new}: {proof:?}");
                refused += 1;
            };
            for path in changed_paths(&proof.path) {
                refuse(&ConsistencyProof { path, ..proof.clone() }, &root(old), &root(new));
            }
            for bit in 0..256 {
                refuse(&proof, &flip(&root(old), bit), &root(new));
                // Every tree extends the empty one.
                if old > 0 {
                    refuse(&proof, &root(old), &flip(&root(new), bit));
                }
            }
            for other in [old.wrapping_sub(1), old + 1] {
                if other > 0 && other <= new && old > 0 {
                    refuse(&ConsistencyProof { old_size: other, ..proof.clone() }, &root(other), &root(new));
                }
            }
            if old > 0 {
                refuse(&ConsistencyProof { new_size: new + 1, ..proof.clone() }, &root(old), &root(new + 1));
                refuse(&ConsistencyProof { new_size: u64::MAX, ..proof.clone() }, &root(old), &root(new));
            }
            refuse(&ConsistencyProof { old_size: new + 1, ..proof.clone() }, &root(old), &root(new));
        }
    }
    assert!(refused > 10_000);
}

#[test]
fn two_roots_of_one_size_are_a_fork_and_everything_else_a_bad_proof() {
    let (one, other) = (leaf_hash(b"one"), leaf_hash(b"other"));
    let proof = ConsistencyProof { old_size: 1, new_size: 1, path: vec![] };
    let fork = proof.verify(&one, &other).unwrap_err();
    assert_eq!(fork, ProofError::Fork { size: 1, old_root: one, new_root: other });
    assert_eq!(fork.reason(), Reason::LogFork);
    let long = InclusionProof { leaf_index: LeafIndex(0), tree_size: TREE_SIZE_MAX, path: vec![one; 64] };
    let error = long.verify(&one, &one).unwrap_err();
    assert_eq!(error, ProofError::PathTooLong { found: 64 });
    assert_eq!(error.reason(), Reason::LogProofInvalid);
    let short = InclusionProof { leaf_index: LeafIndex(0), tree_size: 4, path: vec![one] };
    assert_eq!(short.verify(&one, &one), Err(ProofError::PathTooShort { found: 1 }));
}

#[test]
fn an_extension_of_the_largest_frontier_still_works() {
    let peaks = vec![leaf_hash(b"peak")];
    let frontier = Frontier::from_peaks(FRONTIER_SIZE_MAX, peaks).unwrap();
    let extension = Extension::new(&frontier, &hashes(0..5));
    for (index, proof) in extension.inclusion_proofs().enumerate() {
        assert_eq!(proof.verify(&leaf_hash(&leaf(u64::try_from(index).unwrap())), &extension.root()), Ok(()));
    }
    assert_eq!(extension.consistency_proof().verify(&frontier.root(), &extension.root()), Ok(()));
}

fn digests() -> impl Strategy<Value = Vec<Digest>> {
    proptest::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..80)
}

proptest! {
    #[test]
    fn no_numbers_make_verification_panic_or_succeed(a: u64, b: u64, path in digests(), hash: [u8; 32], root: [u8; 32]) {
        let (hash, root) = (Digest(hash), Digest(root));
        let inclusion = InclusionProof { leaf_index: LeafIndex(a), tree_size: b, path: path.clone() };
        prop_assert!(inclusion.verify(&hash, &root).is_err());
        let consistency = ConsistencyProof { old_size: a, new_size: b, path: path.clone() };
        prop_assert!(consistency.verify(&hash, &root).is_err());
        let small = InclusionProof { leaf_index: LeafIndex(a % 64), tree_size: b % 64, path: path.clone() };
        prop_assert_eq!(small.verify(&hash, &root).is_ok(), b % 64 == 1 && a % 64 == 0 && path.is_empty() && hash == root);
    }

    #[test]
    fn blocks_of_any_lengths_grow_the_tree_that_single_leaves_grow(blocks in proptest::collection::vec(0usize..40, 1..12)) {
        let mut growing = Frontier::new();
        for length in blocks {
            let start = growing.size();
            let end = start + u64::try_from(length).unwrap();
            let extension = Extension::new(&growing, &hashes(start..end));
            prop_assert_eq!(extension.consistency_proof().verify(&growing.root(), &extension.root()), Ok(()));
            for proof in extension.inclusion_proofs() {
                prop_assert_eq!(proof.verify(&leaf_hash(&leaf(proof.leaf_index.0)), &extension.root()), Ok(()));
            }
            growing = extension.into_frontier();
            prop_assert_eq!(&growing, &frontier(end));
        }
    }
}
