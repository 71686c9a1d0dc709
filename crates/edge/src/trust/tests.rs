//! What an edge does not believe: forks, rollbacks, foreign signatures, proofs of other bytes.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use truc_ledger::{Checkpoint, LogSigner, TreeStore, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_signing::statement::SignerRole;
use truc_signing::{Owner, TrustedKey, sha256, spki_digest};
use truc_types::{Digest, LeafIndex, Timestamp};

use super::{Observed, Trust, TrustError, TrustedLog};
use crate::record::CHECKPOINT_BYTES_MAX;
use crate::testing::{fact, id};

const ORIGIN: &str = "truc.example/axis/2026";

struct Axis {
    signer: LogSigner,
    tree: TreeStore,
    leaves: Vec<Vec<u8>>,
}

impl Axis {
    fn new(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let signer = LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[3; 32])).unwrap();
        let (mut tree, leaves) = (TreeStore::new(1 << 16), Vec::from_iter(leaves));
        leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        Self { signer, tree, leaves }
    }

    fn checkpoint(&self, size: u64) -> String {
        let root = self.tree.root_at(size).unwrap();
        truc_ledger::checkpoint::sign(&Checkpoint { origin: ORIGIN.to_owned(), size, root }, &self.signer).unwrap()
    }

    fn entry(&self, leaf: u64) -> pb::LoggedEntry {
        let never = |chunk: u64| Err::<Vec<Digest>, String>(format!("chunk {chunk} is not in memory"));
        let proof = self.tree.prove_inclusion(LeafIndex(leaf), self.tree.size(), never).unwrap();
        let path: Vec<u8> = proof.path.iter().flat_map(|hash| hash.0).collect();
        pb::LoggedEntry { entry: self.leaves[usize::try_from(leaf).unwrap()].clone().into(), leaf, path: path.into() }
    }

    fn extension(&self, old: u64, new: u64) -> Vec<u8> {
        let never = |chunk: u64| Err::<Vec<Digest>, String>(format!("chunk {chunk} is not in memory"));
        self.tree.prove_consistency(old, new, never).unwrap().path.iter().flat_map(|hash| hash.0).collect()
    }

    fn log(&self) -> TrustedLog {
        TrustedLog::new(self.signer.verifier().clone())
    }

    fn trust(&self) -> Trust {
        self.trust_with(self.log())
    }

    fn trust_with(&self, log: TrustedLog) -> Trust {
        let key = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let operator = TrustedKey {
            keyid: spki_digest(&key),
            key: key.into(),
            owner: Owner::Operator,
            role: SignerRole::Operator,
            cert_sha256: sha256(b"operator"),
            not_before: Timestamp::default(),
            not_after: Timestamp::MAX,
            revoked_at: None,
        };
        Trust::new(log, operator, Observed::new(None))
    }
}

fn numbered(count: u8) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number; 10]).collect()
}

#[test]
fn a_growing_log_is_followed_and_only_what_was_recorded_goes_into_statements() {
    let axis = Axis::new(numbered(20));
    let trust = axis.trust();
    let first = trust.open_checkpoint(&axis.checkpoint(5)).unwrap();
    assert_eq!(trust.observed().for_statements(), None);
    trust.observed().recorded(&first.checkpoint);
    let newest = trust.open_checkpoint(&axis.checkpoint(17)).unwrap();
    trust.open_checkpoint(&axis.checkpoint(9)).unwrap();
    assert_eq!(trust.observed().to_prove().unwrap().checkpoint, newest.checkpoint, "the largest one, not the last one");
    let proved = trust.observed().proved().unwrap();
    trust.check_extension(&proved, &newest.checkpoint, &axis.extension(5, 17)).unwrap();
    trust.observed().recorded(&newest.checkpoint);
    assert_eq!(trust.observed().for_statements().unwrap().size, 17);
    assert!(trust.observed().to_prove().is_none());
}

#[test]
fn two_histories_stop_the_edge() {
    let (axis, mut leaves) = (Axis::new(numbered(20)), numbered(20));
    leaves[3] = b"changed".to_vec();
    let other = Axis::new(leaves);
    let trust = axis.trust();
    let seen = trust.open_checkpoint(&axis.checkpoint(10)).unwrap();
    trust.observed().recorded(&seen.checkpoint);
    assert!(matches!(trust.open_checkpoint(&other.checkpoint(10)), Err(TrustError::Fork(_))), "one size, two roots");
    let larger = trust.open_checkpoint(&other.checkpoint(12)).unwrap();
    let proved = trust.observed().proved().unwrap();
    let proof = other.extension(10, 12);
    assert!(
        matches!(trust.check_extension(&proved, &larger.checkpoint, &proof), Err(TrustError::Fork(_))),
        "no proof leads to another history"
    );
    let older = trust.open_checkpoint(&axis.checkpoint(4)).unwrap();
    assert!(
        matches!(Trust::check_newest(&older.checkpoint, trust.observed().largest_size()), Err(TrustError::Fork(_))),
        "the log took something back"
    );
}

#[test]
fn edges_of_one_process_share_what_was_verified_and_not_what_each_has_seen() {
    let (axis, mut leaves) = (Axis::new(numbered(20)), numbered(20));
    leaves[3] = b"changed".to_vec();
    let other = Axis::new(leaves);
    let log = axis.log();
    let [first, second] = [(); 2].map(|()| axis.trust_with(axis.log().beside(&log)));
    let opened = first.open_checkpoint(&axis.checkpoint(10)).unwrap();
    assert!(Arc::ptr_eq(&opened, &second.open_checkpoint(&axis.checkpoint(10)).unwrap()), "verified once");
    let third = axis.trust_with(axis.log().beside(&log));
    third.open_checkpoint(&other.checkpoint(10)).unwrap();
    assert!(
        matches!(second.open_checkpoint(&other.checkpoint(10)), Err(TrustError::Fork(_))),
        "what one was shown is not what the other was"
    );
    let foreign = TrustedLog::new(LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[4; 32])).unwrap().verifier().clone());
    let stranger = axis.trust_with(foreign.beside(&log));
    assert!(matches!(stranger.open_checkpoint(&axis.checkpoint(10)), Err(TrustError::Invalid(_))), "another key is trusted there");
}

#[test]
fn checkpoints_of_other_keys_and_of_any_length_are_refused() {
    let axis = Axis::new(numbered(4));
    let trust = axis.trust();
    let foreign = LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[4; 32])).unwrap();
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 4, root: axis.tree.root_at(4).unwrap() };
    let signed = truc_ledger::checkpoint::sign(&checkpoint, &foreign).unwrap();
    let long = "x".repeat(CHECKPOINT_BYTES_MAX + 1);
    for text in [signed.as_str(), long.as_str(), "", "truc.example/axis/2026\n4\n"] {
        assert!(matches!(trust.open_checkpoint(text), Err(TrustError::Invalid(_))), "{text:.40}");
    }
    assert!(trust.observed().to_prove().is_none(), "what was refused is not remembered");
}

#[test]
fn an_acceptance_is_about_exactly_the_bytes_that_were_sent() {
    let file = b"a sealed envelope".to_vec();
    let mut leaves = numbered(4);
    leaves.extend([file.clone(), fact(id(1), &file, &["A80"]), b"other bytes".to_vec(), fact(id(1), b"other bytes", &["A80"])]);
    let axis = Axis::new(leaves);
    let trust = axis.trust();
    let acceptance = |statement: u64, fact: Option<u64>| pb::Acceptance {
        statement: Some(axis.entry(statement)),
        fact: fact.map(|leaf| axis.entry(leaf)),
        checkpoint: axis.checkpoint(8),
    };
    let accepted = trust.check_acceptance(&file, &acceptance(4, Some(5))).unwrap();
    assert_eq!((accepted.leaf.index, accepted.fact.unwrap().fact.message_id), (LeafIndex(4), id(1)));
    for (why, sent, acceptance) in [
        ("another leaf", file.as_slice(), acceptance(6, Some(5))),
        ("other bytes", b"other bytes".as_slice(), acceptance(4, Some(5))),
        ("a fact about another leaf", b"other bytes".as_slice(), acceptance(6, Some(7))),
        ("a leaf that is no fact", file.as_slice(), acceptance(4, Some(2))),
        ("no statement", file.as_slice(), pb::Acceptance { statement: None, ..acceptance(4, None) }),
        ("no checkpoint", file.as_slice(), pb::Acceptance { checkpoint: String::new(), ..acceptance(4, None) }),
    ] {
        assert!(matches!(trust.check_acceptance(sent, &acceptance), Err(TrustError::Invalid(_))), "{why}");
    }
}
