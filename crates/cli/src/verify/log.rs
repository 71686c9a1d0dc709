//! What the log proves: that each statement's exact bytes are a leaf, and that all checkpoints of the folder are of one history.
//!
//! Not what the statements say: `story.rs`.

use std::collections::HashMap;

use truc_ledger::{Checkpoint, LogVerifier, TlogProof, leaf_hash, node_hash};
use truc_types::{Digest, LeafIndex};

use super::folder::Folder;
use super::report::Report;

/// Where a statement stands in which tree, proved.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) leaf: LeafIndex,
    pub(super) checkpoint: Checkpoint,
}

impl Place {
    /// Whether this place is in the log after the other; logs of later years come after those of earlier ones.
    pub(super) fn is_after(&self, other: &Self) -> bool {
        (self.checkpoint.origin.as_str(), self.leaf) > (other.checkpoint.origin.as_str(), other.leaf)
    }
}

/// What the proofs of the folder say together.
#[derive(Default)]
pub(super) struct Log {
    /// By path of the statement.
    pub(super) places: HashMap<String, Place>,
    history: History,
}

impl Log {
    /// The root that the log signed for a size, if a checkpoint here says so.
    pub(super) fn root(&self, origin: &str, size: u64) -> Option<Digest> {
        self.history.roots.get(&(origin.to_owned(), size)).copied()
    }
}

/// Checks every proof against the bytes beside it.
pub(super) fn check(folder: &Folder, keys: &[LogVerifier], report: &mut Report) -> Log {
    let mut places = HashMap::new();
    let mut history = History::default();
    for logged in folder.logged() {
        match (&logged.statement, &logged.proof) {
            (Some(statement), Some(proof)) => match check_one(statement, proof, keys, &mut history) {
                Ok(Some(place)) => {
                    let Checkpoint { origin, size, .. } = &place.checkpoint;
                    report.passed("log.inclusion", &logged.path, format!("leaf {} of {size} in {origin}", place.leaf));
                    places.insert(logged.path.clone(), place);
                }
                Ok(None) => report.indeterminate("log.inclusion", &logged.proof_path(), "there is no log key to check it with"),
                Err(fault) => report.failed("log.inclusion", &logged.proof_path(), fault),
            },
            (Some(_), None) => report.indeterminate("log.inclusion", &logged.proof_path(), "the proof is missing"),
            (None, _) => report.indeterminate("log.inclusion", &logged.path, "the statement is missing"),
        }
    }
    if !places.is_empty() {
        report.result("log.consistent", ".", history.verdict());
    }
    Log { places, history }
}

fn check_one(statement: &[u8], proof: &[u8], keys: &[LogVerifier], history: &mut History) -> Result<Option<Place>, String> {
    let proof = TlogProof::parse(proof).map_err(|fault| fault.to_string())?;
    if proof.extra.is_some() {
        return Err("it has extra data, which nothing authenticates".to_owned());
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let named =
        |key: &&LogVerifier| proof.checkpoint.signatures().iter().any(|line| line.key_id == key.id() && line.key_name == key.name());
    let key = keys.iter().find(named).ok_or("no trusted log key signed its checkpoint")?;
    let hash = leaf_hash(statement);
    let proved = proof.verify(&hash, key).map_err(|fault| fault.to_string())?;
    history.learn(&proved.checkpoint, proved.leaf_index, &hash, &proof.path);
    Ok(Some(Place { leaf: proved.leaf_index, checkpoint: proved.checkpoint }))
}

/// What all proofs say of the log together. A complete subtree never changes, whatever the size of the tree: two proofs that give different
/// hashes for one show two histories.
#[derive(Default)]
struct History {
    roots: HashMap<(String, u64), Digest>,
    nodes: HashMap<(String, u32, u64), Digest>,
    fork: Option<String>,
}

impl History {
    fn learn(&mut self, checkpoint: &Checkpoint, leaf: LeafIndex, leaf_hash: &Digest, path: &[Digest]) {
        let Checkpoint { origin, size, root } = checkpoint;
        if self.roots.insert((origin.clone(), *size), *root).is_some_and(|other| other != *root) {
            self.fork = Some(format!("two roots for {size} leaves of {origin}"));
        }
        // fn, sn and r of RFC 9162 section 2.1.3.2, with the level beside them.
        let (mut node, mut last, mut level, mut hash) = (leaf.0, size.saturating_sub(1), 0u32, *leaf_hash);
        self.node(checkpoint, level, node, hash);
        for sibling in path {
            while node & 1 == 0 && node == last && node != 0 {
                (node, last, level) = (node >> 1, last >> 1, level + 1);
            }
            self.node(checkpoint, level, node ^ 1, *sibling);
            hash = if node & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
            (node, last, level) = (node >> 1, last >> 1, level + 1);
            self.node(checkpoint, level, node, hash);
        }
    }

    /// Remembers the hash of a node if its subtree is complete.
    fn node(&mut self, checkpoint: &Checkpoint, level: u32, index: u64, hash: Digest) {
        let end = u128::from(index).saturating_add(1) << level.min(64);
        if end > u128::from(checkpoint.size) {
            return;
        }
        let known = self.nodes.insert((checkpoint.origin.clone(), level, index), hash);
        if known.is_some_and(|known| known != hash) {
            self.fork = Some(format!("two hashes for node {index} of level {level} of {}", checkpoint.origin));
        }
    }

    fn verdict(&self) -> Result<String, String> {
        match &self.fork {
            Some(fork) => Err(format!("the log shows two histories: {fork}")),
            None => Ok(format!("{} checkpoints agree on {} subtrees", self.roots.len(), self.nodes.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_ledger::{Extension, Frontier};

    fn learn_all(history: &mut History, leaves: &[&[u8]]) {
        let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let extension = Extension::new(&Frontier::new(), &hashes);
        let checkpoint = Checkpoint { origin: "log".to_owned(), size: extension.size(), root: extension.root() };
        for (proof, hash) in extension.inclusion_proofs().zip(&hashes) {
            history.learn(&checkpoint, proof.leaf_index, hash, &proof.path);
        }
    }

    #[test]
    fn trees_of_one_history_agree_at_every_size_and_a_fork_shows() {
        let leaves: Vec<[u8; 1]> = (0..40).map(|leaf| [leaf]).collect();
        let leaves: Vec<&[u8]> = leaves.iter().map(<[u8; 1]>::as_slice).collect();
        let mut history = History::default();
        for size in 1..=leaves.len() {
            learn_all(&mut history, &leaves[..size]);
        }
        assert!(history.verdict().is_ok(), "{:?}", history.verdict());
        let mut forked = leaves.clone();
        forked[7] = b"another";
        learn_all(&mut history, &forked[..21]);
        assert!(history.verdict().is_err());
    }
}
