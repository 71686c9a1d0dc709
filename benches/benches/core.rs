//! What do admit, decide and apply cost, and how does that grow with the number of recipients? Pure computation on one core; decide and apply are the
//! sequencer's thread, of which there is one.

use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use truc_benches::{Axis, start, submit};
use truc_core::decide;
use truc_types::Position;

const FAN_OUTS: [u8; 3] = [1, 10, 94];
/// Open messages at which a measured state is made anew: the memory of a bench is bounded too.
const OPEN_MESSAGES_MAX: usize = 4_000;

fn admission(criterion: &mut Criterion) {
    let axis = Axis::new(95);
    let mut group = criterion.benchmark_group("admit");
    group.throughput(Throughput::Elements(1));
    for fan_out in FAN_OUTS {
        let file = axis.envelope(1, fan_out);
        group.bench_with_input(BenchmarkId::new("recipients", fan_out), &file, |b, file| {
            b.iter_batched(|| file.clone(), |file| axis.admit(file), BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn decision(criterion: &mut Criterion) {
    let axis = Axis::new(95);
    let mut group = criterion.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    for fan_out in FAN_OUTS {
        let admitted = axis.admit(axis.envelope(1, fan_out));
        group.bench_with_input(BenchmarkId::new("recipients", fan_out), &admitted, |b, admitted| {
            b.iter_batched(|| submit(admitted.clone()), |submit| decide(start(), Position(0), &axis.state, submit), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Envelope and accepted fact, one after the other, on a state that grows.
fn application(criterion: &mut Criterion) {
    let mut axis = Axis::new(95);
    let mut group = criterion.benchmark_group("apply envelope and fact");
    group.throughput(Throughput::Elements(1));
    for fan_out in FAN_OUTS {
        axis.rewind();
        let mut number = 0;
        group.bench_function(BenchmarkId::new("recipients", fan_out), |b| {
            b.iter_custom(|iterations| {
                let mut spent = Duration::ZERO;
                let mut effects = Vec::new();
                for _ in 0..iterations {
                    if axis.state.open_messages() >= OPEN_MESSAGES_MAX {
                        axis.rewind();
                        number = 0;
                    }
                    number += 1;
                    let entries = axis.entries(number, fan_out);
                    #[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
                    let began = Instant::now();
                    for entry in &entries {
                        let applied = axis.state.apply(axis.state.next(), entry, &mut effects);
                        assert!(applied.is_ok(), "what is measured is an entry that applies: {applied:?}");
                    }
                    effects.clear();
                    spent += began.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = truc_benches::criterion("none: nothing is written"); targets = admission, decision, application }
criterion_main!(benches);
