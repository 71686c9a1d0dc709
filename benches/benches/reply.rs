//! What does it cost to write one acceptance for the wire, and what does it cost an edge to read and verify it? One core.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use prost::Message as _;
use truc_benches::Axis;
use truc_ledger::{Checkpoint, Extension, Frontier, InclusionProof, LogSigner, checkpoint, leaf_hash};
use truc_proto::broker::v1 as pb;
use truc_types::{Digest, LeafIndex};

/// Leaves before the block: paths have 21 hashes.
const LEAVES_BEFORE: u64 = 1_234_567;
const ORIGIN: &str = "truc.example/axis/2026";

fn logged(entry: Bytes, proof: &InclusionProof) -> pb::LoggedEntry {
    let path: Vec<u8> = proof.path.iter().flat_map(|digest| digest.0).collect();
    pb::LoggedEntry { entry, leaf: proof.leaf_index.0, path: path.into() }
}

fn frontier() -> Frontier {
    let mut frontier = Frontier::new();
    for _ in 0..LEAVES_BEFORE {
        frontier.append(Digest([1; 32]));
    }
    frontier
}

#[expect(clippy::expect_used, reason = "a bench whose fixture does not stand has nothing to measure")]
fn reply(criterion: &mut Criterion) {
    let entries = Axis::new(2).entries(1, 1);
    let [envelope, fact] = entries.as_slice() else { return };
    let leaves = [leaf_hash(&envelope.bytes), leaf_hash(&fact.bytes)];
    let extension = Extension::new(&frontier(), &leaves);
    let proof = |offset: u64| extension.inclusion_proof(LeafIndex(LEAVES_BEFORE + offset)).expect("the leaf is in the block");
    let proofs = [proof(0), proof(1)];
    let signer = LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[5; 32])).expect("an origin names a key");
    let signed = Checkpoint { origin: ORIGIN.to_owned(), size: extension.size(), root: extension.root() };
    let note = checkpoint::sign(&signed, &signer).expect("a checkpoint is a note");
    let [first, second] = &proofs;
    let respond = || pb::SubmitResponse {
        request_id: 7,
        outcome: Some(pb::submit_response::Outcome::Accepted(pb::Acceptance {
            statement: Some(logged(Bytes::new(), first)),
            fact: Some(logged(Bytes::from_owner(fact.bytes.clone()), second)),
            checkpoint: note.clone(),
        })),
    };
    let wire = Bytes::from(respond().encode_to_vec());

    let mut group = criterion.benchmark_group(format!("acceptance of {} bytes", wire.len()));
    group.throughput(Throughput::Elements(1));
    group.bench_function("build and encode", |b| b.iter(|| respond().encode_to_vec()));
    group.bench_function("decode", |b| b.iter(|| pb::SubmitResponse::decode(black_box(wire.clone()))));
    group.bench_function("verify both inclusion proofs", |b| {
        b.iter(|| leaves.iter().zip(&proofs).all(|(leaf, proof)| proof.verify(black_box(leaf), &signed.root).is_ok()));
    });
    group.bench_function("open the checkpoint", |b| b.iter(|| checkpoint::open(black_box(note.as_bytes()), signer.verifier())));
    group.finish();
}

criterion_group! { name = benches; config = truc_benches::criterion("none: nothing is written"); targets = reply }
criterion_main!(benches);
