//! What does the whole path of a document through one broker cost without a network: statement bytes in; verified, decided, durable; proofs out? With one
//! document at a time it is the latency of one block, with many the time of one among them. The stages alone are in `benches/`.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use truc::bench::path::EnginePath;

/// Agencies, each with one stream: enough for the most recipients.
const AGENCIES: u16 = 11;
/// The folder of the build: on the disk that is measured, which a temporary folder in memory would not be.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

#[expect(clippy::expect_used, reason = "a path that fails has no time")]
fn path(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system starts a runtime");
    let _entered = runtime.enter();
    let mut group = criterion.benchmark_group("statement bytes in, proofs out");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for (recipients, in_flight) in [(1, 1), (1, 1_024), (10, 1_024)] {
        let folder = tempfile::tempdir_in(FOLDER).expect("the target folder takes files");
        let mut path = EnginePath::start(folder.path(), AGENCIES, Duration::ZERO).expect("an engine starts on a new folder");
        group.bench_function(BenchmarkId::new(format!("{recipients} recipients"), format!("{in_flight} in flight")), |b| {
            b.iter_custom(|documents| runtime.block_on(path.time(documents, recipients, in_flight)).expect("every answer holds"));
        });
        runtime.block_on(path.finish()).expect("the journal did not fail");
    }
    group.finish();
}

criterion_group!(benches, path);
criterion_main!(benches);
