//! How long does the disk under the target folder take to make a block durable, and how does that depend on the size of the block? Every append is one
//! write and one real fdatasync; the last lines give percentiles, because the slowest sync is what a submitter waits for.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use truc_journal::conformance::block_of;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Block, BlockKind, Journal};

/// Bytes of one envelope.
const ENTRY_BYTES: usize = 1_536;
/// Blocks whose times become percentiles.
const BLOCKS: usize = 300;

/// The folder of the build: on the disk that is measured, which a temporary folder in memory would not be.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

fn next(journal: &SegmentJournal, entries: usize) -> Block {
    let number = journal.end().number.0;
    let entry = |index: u64| -> Arc<[u8]> {
        let mut bytes = vec![b'x'; ENTRY_BYTES];
        bytes.iter_mut().zip(number.to_be_bytes().into_iter().chain(index.to_be_bytes())).for_each(|(to, from)| *to = from);
        bytes.into()
    };
    block_of(&journal.end(), BlockKind::Entries, (0..).take(entries).map(entry).collect())
}

#[expect(clippy::expect_used, reason = "without a journal there is nothing to measure")]
fn open(folder: &Path) -> SegmentJournal {
    let key_of = |bytes: &[u8]| bytes.first_chunk().copied();
    SegmentJournal::open(folder, SegmentOptions::new(Arc::new(key_of))).expect("a new folder takes a journal").0
}

#[expect(clippy::expect_used, reason = "a commit that fails has no time")]
fn commit(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(FOLDER).expect("the target folder takes files");
    let mut group = criterion.benchmark_group("commit of entries of 1.5 KiB");
    for entries in [1usize, 64, 256] {
        let mut journal = open(&folder.path().join(entries.to_string()));
        group.throughput(Throughput::Elements(u64::try_from(entries).unwrap_or(1)));
        group.bench_function(BenchmarkId::new("entries", entries), |b| {
            // One block at a time: its header continues the one before it.
            b.iter_custom(|iterations| {
                let mut spent = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    let block = next(&journal, entries);
                    spent += timed(|| journal.append(block).expect("the block continues the journal"));
                }
                spent
            });
        });
    }
    group.finish();

    let mut file = tempfile::tempfile_in(FOLDER).expect("the target folder takes files");
    criterion.bench_function("append of 4 KiB and fdatasync, to compare with", |b| {
        b.iter_batched(
            || [b'x'; 4096],
            |bytes| file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the disk takes 4 KiB"),
            BatchSize::PerIteration,
        );
    });
}

fn timed(work: impl FnOnce()) -> std::time::Duration {
    #[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
    let began = Instant::now();
    work();
    began.elapsed()
}

#[expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a commit that fails has no time; standard output is where criterion writes figures"
)]
fn percentiles(_: &mut Criterion) {
    let folder = tempfile::tempdir_in(FOLDER).expect("the target folder takes files");
    let mut journal = open(folder.path());
    let mut times: Vec<_> = (0..BLOCKS)
        .map(|_| {
            let block = next(&journal, 256);
            timed(|| journal.append(block).expect("the block continues the journal"))
        })
        .collect();
    times.sort_unstable();
    let at = |thousandth: usize| times.get((times.len() - 1) * thousandth / 1_000).copied().unwrap_or_default();
    println!(
        "commit of 256 entries, {BLOCKS} blocks: p50 {:.2?}, p90 {:.2?}, p99 {:.2?}, largest {:.2?}",
        at(500),
        at(900),
        at(990),
        at(1_000)
    );
}

criterion_group! { name = benches; config = truc_benches::criterion("one write and one fdatasync per block, in the target folder"); targets = commit, percentiles }
criterion_main!(benches);
