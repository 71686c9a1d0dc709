//! What does it cost to read and to verify one sealed envelope, and which part of it? Pure computation on one core.

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ed25519_dalek::Signature;
use truc_benches::Axis;
use truc_signing::statement::Statement;
use truc_signing::{DsseFile, open_sealed, pae, seal, sha256};

fn envelope(criterion: &mut Criterion) {
    let axis = Axis::new(2);
    let file = axis.envelope(1, 1);
    let Ok(parsed) = DsseFile::parse(&file) else { return };
    let encoded = STANDARD.encode(&parsed.payload);
    let mut group = criterion.benchmark_group(format!("envelope of {} bytes", file.len()));
    group.throughput(Throughput::Elements(1));
    group.bench_function("DSSE outer parse with base64", |b| b.iter(|| DsseFile::parse(black_box(&file))));
    group.bench_function("base64 decode alone", |b| b.iter(|| STANDARD.decode(black_box(&encoded))));
    group.bench_function("payload parse", |b| b.iter(|| Statement::parse(black_box(&parsed.payload))));
    group.bench_function("open: both parses and the digest", |b| b.iter(|| open_sealed(black_box(&file))));
    group.bench_function("SHA-256 of the file", |b| b.iter(|| sha256(black_box(&file))));
    if let Some(signature) = parsed.signatures.first() {
        let (key, signed, signature) = (axis.key().verifying_key(), pae(&parsed.payload), Signature::from_bytes(&signature.sig));
        assert!(key.verify_strict(&signed, &signature).is_ok(), "what is measured is a seal that holds");
        group.bench_function("verify_strict", |b| b.iter(|| key.verify_strict(black_box(&signed), &signature)));
    }
    group.bench_function("seal", |b| b.iter(|| seal(black_box(&parsed.payload), &[axis.key()])));
    group.finish();
}

criterion_group! { name = benches; config = truc_benches::criterion("none: nothing is written"); targets = envelope }
criterion_main!(benches);
