//! What does it cost to close a full block of 256 envelopes and their facts: leaf hashes, the new root, all proofs, the checkpoint? One core.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use truc_benches::Axis;
use truc_ledger::{Checkpoint, Extension, Frontier, LogSigner, checkpoint, leaf_hash};
use truc_types::Digest;
use truc_types::limits::BLOCK_COMMANDS_MAX;

/// Leaves before the block: a year's log after its first months. An odd number, so that the frontier has many peaks.
const LEAVES_BEFORE: u64 = 1_234_567;
const ORIGIN: &str = "truc.example/axis/2026";

fn frontier() -> Frontier {
    let mut frontier = Frontier::new();
    for leaf in 0..LEAVES_BEFORE {
        let mut hash = [0; 32];
        hash.iter_mut().zip(leaf.to_be_bytes()).for_each(|(to, from)| *to = from);
        frontier.append(Digest(hash));
    }
    frontier
}

fn block(criterion: &mut Criterion) {
    let axis = Axis::new(2);
    let pair: Vec<Arc<[u8]>> = axis.entries(1, 1).into_iter().map(|entry| entry.bytes).collect();
    let entries: Vec<Arc<[u8]>> = std::iter::repeat_n(pair, BLOCK_COMMANDS_MAX).flatten().collect();
    let leaves: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let frontier = frontier();
    let extension = Extension::new(&frontier, &leaves);

    let mut group = criterion.benchmark_group("block of 256 envelopes and 256 facts");
    group.throughput(Throughput::Elements(BLOCK_COMMANDS_MAX as u64));
    group.bench_function("leaf hashes", |b| b.iter(|| entries.iter().map(|entry| leaf_hash(black_box(entry))).collect::<Vec<_>>()));
    group.bench_function("extension and root", |b| b.iter(|| Extension::new(black_box(&frontier), &leaves).root()));
    group.bench_function("all 512 inclusion proofs", |b| b.iter(|| extension.inclusion_proofs().collect::<Vec<_>>()));
    group.finish();

    let Ok(signer) = LogSigner::new(ORIGIN, &SigningKey::from_bytes(&[5; 32])) else { return };
    let signed = Checkpoint { origin: ORIGIN.to_owned(), size: extension.size(), root: extension.root() };
    criterion.bench_function("checkpoint sign", |b| b.iter(|| checkpoint::sign(black_box(&signed), &signer)));
}

criterion_group! { name = benches; config = truc_benches::criterion("none: nothing is written"); targets = block }
criterion_main!(benches);
