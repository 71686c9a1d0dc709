//! The stages that one document passes in the broker, each as one function that is called for it and nothing else: what callgrind counts. Criterion's
//! benches measure the same stages in time.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use prost::Message as _;
use truc_core::{Admitted, Decision, Effect, Entry, State, Submit, decide};
use truc_ledger::{Checkpoint, Extension, Frontier, InclusionProof, LogSigner, checkpoint, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_signing::statement::{Fact, Statement};
use truc_signing::{DsseFile, pae, sha256};
use truc_types::limits::BLOCK_COMMANDS_MAX;
use truc_types::{Digest, Position};

use crate::{Axis, start, submit};

/// The stages: what the table calls them, and the functions below. The symbol of each contains its name, and no name is the beginning of another.
pub const STAGES: [(&str, &str); 13] = [
    ("outer parse", "stage_outer_parse"),
    ("payload parse", "stage_payload_parse"),
    ("fact parse, 94 recipients", "stage_fact_parse"),
    ("digest of the file", "stage_digest"),
    ("verify_strict", "stage_verify_strict"),
    ("admit, 1 recipient", "stage_admit"),
    ("decide, 1 recipient", "stage_decide_one"),
    ("decide, 94 recipients", "stage_decide_all"),
    ("apply envelope and fact, 1 recipient", "stage_apply_one"),
    ("apply envelope and fact, 94 recipients", "stage_apply_all"),
    ("block build, a document of 256", "stage_block_build"),
    ("checkpoint sign, a document of 256", "stage_checkpoint_sign"),
    ("reply encode", "stage_reply_encode"),
];

/// How often each stage is passed: what is counted is divided by it.
pub const DOCUMENTS: u64 = 16;
/// Documents of the one block that is built and signed.
pub const BLOCK_DOCUMENTS: u64 = BLOCK_COMMANDS_MAX as u64;
/// Leaves before the block: few enough to be hashed under valgrind, and in binary every second digit is set, so that the frontier has many peaks.
const LEAVES_BEFORE: u64 = 0b1_0101_0101_0101;
const ORIGIN: &str = "truc.example/axis/2026";

/// Whether a stage is passed once for a block, not for each document.
#[must_use]
pub fn is_of_a_block(name: &str) -> bool {
    name.ends_with("a document of 256")
}

/// Passes every stage with `DOCUMENTS` documents. Preparation lies outside the functions that are counted.
///
/// # Panics
/// If a stage refuses what it should take: there is nothing to count then.
pub fn run() {
    let axis = Axis::new(95);
    for number in 1..=DOCUMENTS {
        read(&axis, &axis.envelope(number, 1));
    }
    let one = accept(axis, 1, stage_decide_one, stage_apply_one);
    accept(Axis::new(95), 94, stage_decide_all, stage_apply_all);
    block(&one);
}

#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn read(axis: &Axis, file: &Arc<[u8]>) {
    let parsed = stage_outer_parse(black_box(file));
    let _statement = black_box(stage_payload_parse(black_box(&parsed.payload)));
    black_box(stage_digest(black_box(file)));
    let signature = parsed.signatures.first().expect("an envelope is sealed");
    let (key, signed) = (axis.key().verifying_key(), pae(&parsed.payload));
    assert!(stage_verify_strict(&key, black_box(&signed), &Signature::from_bytes(&signature.sig)), "the seal holds");
}

/// Admits, decides and applies one document after the other; their entries.
fn accept(
    mut axis: Axis,
    fan_out: u8,
    decide: fn(&State, Submit) -> Decision,
    apply: fn(&mut State, &[Entry], &mut Vec<Effect>),
) -> Vec<Entry> {
    let (mut entries, mut effects) = (Vec::new(), Vec::new());
    for number in 1..=DOCUMENTS {
        let file = axis.envelope(number, fan_out);
        // One fan-out is enough: what admission does for a recipient is look it up.
        let admitted = if fan_out == 1 { stage_admit(&axis, file) } else { axis.admit(file) };
        let decision = decide(&axis.state, black_box(submit(admitted)));
        assert_eq!(decision.entries.len(), 2, "the envelope is accepted: {:?}", decision.outcome);
        apply(&mut axis.state, &decision.entries, &mut effects);
        effects.clear();
        if fan_out > 1 {
            // What each recipient does with a fact about all of them.
            decision.entries.iter().skip(1).for_each(|fact| drop(black_box(stage_fact_parse(black_box(&fact.bytes)))));
        }
        entries.extend(decision.entries);
    }
    entries
}

/// Builds a full block of the documents, over and over the same, signs its checkpoint, and answers the documents.
#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn block(entries: &[Entry]) {
    let block: Vec<Arc<[u8]>> = entries.iter().map(|entry| entry.bytes.clone()).cycle().take(2 * BLOCK_COMMANDS_MAX).collect();
    let mut frontier = Frontier::new();
    for _ in 0..LEAVES_BEFORE {
        frontier.append(Digest([1; 32]));
    }
    let signer = LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[5; 32])).expect("an origin names a key");
    let (extension, proofs) = stage_block_build(&frontier, black_box(&block));
    let signed = Checkpoint { origin: ORIGIN.to_owned(), size: extension.size(), root: extension.root() };
    let note = stage_checkpoint_sign(black_box(&signed), &signer);
    for (pair, proofs) in entries.chunks_exact(2).zip(proofs.chunks_exact(2)) {
        let ([_, fact], [envelope_proof, fact_proof]) = (pair, proofs) else { continue };
        let reply = stage_reply_encode(Bytes::from_owner(fact.bytes.clone()), [envelope_proof, fact_proof], black_box(&note));
        assert!(reply.len() > note.len(), "a reply holds its checkpoint");
    }
}

#[inline(never)]
#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn stage_outer_parse(file: &[u8]) -> DsseFile {
    DsseFile::parse(file).expect("an envelope is a DSSE file")
}

#[inline(never)]
#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn stage_payload_parse(payload: &[u8]) -> Statement {
    Statement::parse(payload).expect("an envelope is a statement")
}

#[inline(never)]
#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn stage_fact_parse(fact: &[u8]) -> Fact {
    Fact::parse(fact).expect("a decided fact is one")
}

#[inline(never)]
fn stage_digest(file: &[u8]) -> Digest {
    sha256(file)
}

#[inline(never)]
fn stage_verify_strict(key: &VerifyingKey, signed: &[u8], signature: &Signature) -> bool {
    key.verify_strict(signed, signature).is_ok()
}

#[inline(never)]
fn stage_admit(axis: &Axis, file: Arc<[u8]>) -> Admitted {
    axis.admit(file)
}

#[inline(never)]
fn stage_decide_one(state: &State, submit: Submit) -> Decision {
    decide(start(), Position(0), state, submit)
}

#[inline(never)]
fn stage_decide_all(state: &State, submit: Submit) -> Decision {
    black_box(decide(start(), Position(0), state, submit))
}

#[inline(never)]
fn stage_apply_one(state: &mut State, entries: &[Entry], effects: &mut Vec<Effect>) {
    apply(state, entries, effects);
}

#[inline(never)]
fn stage_apply_all(state: &mut State, entries: &[Entry], effects: &mut Vec<Effect>) {
    apply(black_box(state), entries, effects);
}

#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn apply(state: &mut State, entries: &[Entry], effects: &mut Vec<Effect>) {
    for entry in entries {
        state.apply(state.next(), entry, effects).expect("a decided entry applies");
    }
}

#[inline(never)]
fn stage_block_build(frontier: &Frontier, block: &[Arc<[u8]>]) -> (Extension, Vec<InclusionProof>) {
    let leaves: Vec<Digest> = block.iter().map(|entry| leaf_hash(entry)).collect();
    let extension = Extension::new(frontier, &leaves);
    let proofs = extension.inclusion_proofs().collect();
    black_box(extension.root());
    (extension, proofs)
}

#[inline(never)]
#[expect(clippy::expect_used, reason = "a count of a stage that fails says nothing")]
fn stage_checkpoint_sign(signed: &Checkpoint, signer: &LogSigner) -> String {
    checkpoint::sign(signed, signer).expect("a checkpoint is a note")
}

#[inline(never)]
fn stage_reply_encode(fact: Bytes, proofs: [&InclusionProof; 2], note: &str) -> Vec<u8> {
    let logged = |entry: Bytes, proof: &InclusionProof| {
        let path: Vec<u8> = proof.path.iter().flat_map(|digest| digest.0).collect();
        pb::LoggedEntry { entry, leaf: proof.leaf_index.0, path: path.into() }
    };
    let [envelope, fact_proof] = proofs;
    let acceptance = pb::Acceptance {
        statement: Some(logged(Bytes::new(), envelope)),
        fact: Some(logged(fact, fact_proof)),
        checkpoint: note.to_owned(),
    };
    pb::SubmitResponse { request_id: 7, outcome: Some(pb::submit_response::Outcome::Accepted(acceptance)) }.encode_to_vec()
}
