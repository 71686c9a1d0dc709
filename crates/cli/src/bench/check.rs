//! Is an answer what the protocol promises? Checkpoint, both inclusion proofs, and that the fact is about the envelope that was sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use truc_ledger::{LogVerifier, ProvenTree, checkpoint, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_signing::statement::{Fact, Statement};
use truc_transport::status;
use truc_types::{Digest, LeafIndex, Reason, Refusal};

use super::stock::Sealed;

/// Blocks whose checkpoint and last proof are kept: answers of the last few come mixed, over all streams.
const BLOCKS_MAX: usize = 16;

/// Checks the answers of any number of streams; its clones share what they know. One bad answer is an error: a bench of a broker that lies has no
/// figures.
#[derive(Clone)]
pub(super) struct Checker {
    log: LogVerifier,
    known: Arc<Mutex<Known>>,
}

/// What was seen of the log.
#[derive(Default)]
struct Known {
    /// Notes whose signature holds, the newest last, with what is proven of their trees: all answers of a block carry the same, so one verification
    /// serves them all.
    blocks: VecDeque<(String, Arc<Mutex<ProvenTree>>)>,
    /// Every tree size that was seen, with its root: one per block.
    roots: BTreeMap<u64, Digest>,
}

impl Checker {
    pub(super) fn new(log: LogVerifier) -> Self {
        Self { log, known: Arc::default() }
    }

    /// Checks the answer to an envelope.
    pub(super) fn accepted(&self, sent: &Sealed, outcome: Option<Outcome>) -> Result<(), Refusal> {
        let (acceptance, tree) = self.opened(sent, outcome)?;
        let fact = acceptance.fact.ok_or_else(|| invalid("an acceptance of an envelope without its fact"))?;
        proof(&tree, &fact, &leaf_hash(&fact.entry))?;
        match Statement::parse(&fact.entry) {
            Ok(Statement::Fact(Fact::Accepted(accepted))) if accepted.envelope == sent.digest => Ok(()),
            Ok(other) => Err(invalid(&format!("a fact that is not about envelope {}: {other:?}", sent.digest))),
            Err(cause) => Err(invalid(&format!("a fact that does not parse: {cause}"))),
        }
    }

    /// Checks the answer to any statement, but for its fact.
    pub(super) fn statement(&self, sent: &Sealed, outcome: Option<Outcome>) -> Result<pb::Acceptance, Refusal> {
        self.opened(sent, outcome).map(|(acceptance, _)| acceptance)
    }

    /// Blocks whose checkpoints were seen.
    pub(super) fn blocks(&self) -> usize {
        self.known.lock().roots.len()
    }

    fn opened(&self, sent: &Sealed, outcome: Option<Outcome>) -> Result<(pb::Acceptance, Arc<Mutex<ProvenTree>>), Refusal> {
        let acceptance = match outcome {
            Some(Outcome::Accepted(acceptance)) => acceptance,
            Some(Outcome::Refused(refused)) => {
                return Err(status::from_proto(&refused).unwrap_or_else(|| invalid(&format!("the refusal {}", refused.reason))));
            }
            None => return Err(invalid("an answer without an outcome")),
        };
        let tree = self.open(&acceptance.checkpoint)?;
        let statement = acceptance.statement.as_ref().ok_or_else(|| invalid("an acceptance without a proof"))?;
        proof(&tree, statement, &sent.leaf)?;
        Ok((acceptance, tree))
    }

    fn open(&self, note: &str) -> Result<Arc<Mutex<ProvenTree>>, Refusal> {
        let mut known = self.known.lock();
        if let Some((_, tree)) = known.blocks.iter().rev().find(|(seen, _)| seen == note) {
            return Ok(tree.clone());
        }
        let opened = checkpoint::open(note.as_bytes(), &self.log).map_err(|cause| invalid(&format!("a checkpoint: {cause}")))?;
        add_root(&mut known.roots, opened.size, opened.root)?;
        if known.blocks.len() >= BLOCKS_MAX {
            known.blocks.pop_front();
        }
        let tree = Arc::new(Mutex::new(ProvenTree::new(&opened)));
        known.blocks.push_back((note.to_owned(), tree.clone()));
        Ok(tree)
    }
}

/// Checks that an entry is in the tree of a checkpoint.
fn proof(tree: &Mutex<ProvenTree>, logged: &pb::LoggedEntry, leaf: &Digest) -> Result<(), Refusal> {
    let (path, rest) = logged.path.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(invalid("a path that is no list of hashes"));
    }
    let path = path.iter().map(|hash| Digest(*hash)).collect();
    let proven = tree.lock().verify(LeafIndex(logged.leaf), path, leaf);
    proven.map_err(|cause| invalid(&format!("a proof of leaf {}: {cause}", logged.leaf)))
}

/// Notes the root of a tree size; two roots of one size are a fork.
fn add_root(roots: &mut BTreeMap<u64, Digest>, size: u64, root: Digest) -> Result<(), Refusal> {
    match roots.insert(size, root) {
        Some(before) if before != root => {
            Err(Refusal::new(Reason::LogFork, format!("two checkpoints of size {size} have the roots {before} and {root}")))
        }
        _ => Ok(()),
    }
}

fn invalid(what: &str) -> Refusal {
    Refusal::new(Reason::LogProofInvalid, format!("the broker sent {what}"))
}

#[cfg(test)]
mod tests {
    use truc_signing::sha256;

    use super::super::lying::{self, flip, signer};
    use super::*;

    fn check(change: impl FnOnce(&mut pb::Acceptance)) -> Result<(), Reason> {
        let file = b"an envelope";
        let mut acceptance = lying::answer(file, file, &signer(1));
        change(&mut acceptance);
        let sent = Sealed { file: bytes::Bytes::from_static(file), digest: sha256(file), leaf: leaf_hash(file) };
        let checker = Checker::new(signer(1).verifier().clone());
        checker.accepted(&sent, Some(Outcome::Accepted(acceptance))).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn an_honest_answer_passes() {
        assert_eq!(check(|_| {}), Ok(()));
    }

    #[test]
    fn an_answer_that_does_not_hold_has_no_figures() {
        let wrong = Err(Reason::LogProofInvalid);
        assert_eq!(check(|answer| flip(&mut answer.statement.as_mut().unwrap().path)), wrong);
        assert_eq!(check(|answer| flip(&mut answer.fact.as_mut().unwrap().path)), wrong);
        assert_eq!(check(|answer| flip(&mut answer.fact.as_mut().unwrap().entry)), wrong);
        assert_eq!(check(|answer| answer.fact = None), wrong);
        assert_eq!(check(|answer| answer.statement = None), wrong);
        assert_eq!(check(|answer| *answer = lying::answer(b"an envelope", b"another", &signer(1))), wrong);
        assert_eq!(check(|answer| *answer = lying::answer(b"an envelope", b"an envelope", &signer(2))), wrong);
    }

    #[test]
    fn a_checkpoint_that_was_seen_vouches_only_for_what_it_signs() {
        let checker = Checker::new(signer(1).verifier().clone());
        let file = b"an envelope";
        let sent = Sealed { file: bytes::Bytes::from_static(file), digest: sha256(file), leaf: leaf_hash(file) };
        let mut acceptance = lying::answer(file, file, &signer(1));
        for _ in 0..2 {
            assert!(checker.accepted(&sent, Some(Outcome::Accepted(acceptance.clone()))).is_ok());
        }
        assert_eq!(checker.blocks(), 1);
        flip(&mut acceptance.statement.as_mut().unwrap().path);
        assert_eq!(checker.accepted(&sent, Some(Outcome::Accepted(acceptance.clone()))).unwrap_err().reason, Reason::LogProofInvalid);
        acceptance = lying::answer(file, file, &signer(1));
        acceptance.checkpoint = acceptance.checkpoint.replacen("\n2\n", "\n3\n", 1);
        assert_eq!(checker.accepted(&sent, Some(Outcome::Accepted(acceptance))).unwrap_err().reason, Reason::LogProofInvalid);
    }

    #[test]
    fn two_roots_of_one_size_are_a_fork() {
        let mut roots = BTreeMap::new();
        assert!(add_root(&mut roots, 5, Digest([1; 32])).is_ok());
        assert!(add_root(&mut roots, 5, Digest([1; 32])).is_ok());
        assert_eq!(add_root(&mut roots, 5, Digest([2; 32])).unwrap_err().reason, Reason::LogFork);
    }
}
