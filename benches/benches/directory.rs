//! What does the national directory cost: 110,000 organisations in memory, a change while readers hold the registry, a page, a look-up, a suggestion?
//! Pure computation on one core.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use truc_core::registry::Registry;
use truc_directory::{Filter, Paging};
use truc_signing::statement::{AgencyJoined, Genesis, Organisation, PublishedLimits, Registry as Statement, RegistryEvent};
use truc_types::limits::ORGANISATIONS_PER_STATEMENT_MAX;
use truc_types::names::ENVELOPE_V1;
use truc_types::{Digest, Position, Timestamp};

const AGENCIES: usize = 94;
const ORGANISATIONS: usize = 110_000;

#[expect(clippy::expect_used, reason = "what is measured is a registry that applies")]
fn apply(registry: &mut Registry, event: RegistryEvent) {
    let version = registry.version() + 1;
    let statement = Statement { version, at: Timestamp::default(), event, required_signers: Vec::new() };
    registry.apply(Position(version - 1), &statement).expect("a statement that follows");
}

#[expect(clippy::expect_used, reason = "codes made here are codes")]
fn organisation(number: usize) -> Organisation {
    let (agency, unit) = (number % AGENCIES, number / AGENCIES);
    Organisation {
        code: format!("H{agency:02}.{:02}.{:03}", unit / 1_000, unit % 1_000).parse().expect("a code"),
        old_code: Some(format!("{:03}.{:02}.00.H{agency:02}", unit % 1_000, unit / 1_000).parse().expect("a code")),
        name: Some(format!("Ủy ban nhân dân xã số {unit} – đơn vị của cơ quan {agency} (ví dụ hư cấu)")),
        served_by: format!("H{agency:02}").parse().expect("a code"),
        parent: Some(format!("H{agency:02}").parse().expect("a code")),
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
    }
}

#[expect(clippy::expect_used, reason = "codes made here are codes")]
fn national() -> Registry {
    let limits = PublishedLimits {
        attachment_bytes: 1,
        attachments: 1,
        recipients: 200,
        statement_bytes: 60_000,
        receipt_items: 100,
        envelope_age_days: 400,
    };
    let genesis = Genesis {
        axis_name: "Bench".to_owned(),
        log_origin: "truc.example/axis/2026".to_owned(),
        log_vkey: String::new(),
        ca_pem: String::new(),
        operator_keyid: Digest([0; 32]),
        operator_pem: String::new(),
        limits,
        loopback_kind: String::new(),
        predicates: Vec::new(),
    };
    let mut registry = Registry::default();
    apply(&mut registry, RegistryEvent::Genesis(Box::new(genesis)));
    for number in 0..AGENCIES {
        let joined = AgencyJoined {
            agency: format!("H{number:02}").parse().expect("a code"),
            old_code: None,
            name_vi: format!("Cơ quan {number}"),
            name_en: None,
            kind: "province".to_owned(),
            code_status: "placeholder".to_owned(),
            valid_from: None,
            predicates: vec![ENVELOPE_V1.to_owned()],
        };
        apply(&mut registry, RegistryEvent::AgencyJoined(joined));
    }
    let all: Vec<_> = (0..ORGANISATIONS).collect();
    for chunk in all.chunks(ORGANISATIONS_PER_STATEMENT_MAX) {
        apply(&mut registry, RegistryEvent::OrganisationsAdded(chunk.iter().copied().map(organisation).collect()));
    }
    registry
}

/// Resident memory of this process in KiB, from Linux.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "memory is a figure of this bench; standard output is where criterion writes its figures")]
fn directory(criterion: &mut Criterion) {
    let before = resident_kib();
    let registry = national();
    let added = resident_kib().saturating_sub(before);
    println!("{} organisations take {} MiB of resident memory", registry.organisations().len(), added / 1024);
    assert_eq!(registry.organisations().len(), AGENCIES + ORGANISATIONS);

    let mut group = criterion.benchmark_group("directory of 110,000");
    let change = RegistryEvent::OrganisationsAdded((0..ORGANISATIONS_PER_STATEMENT_MAX).map(|n| organisation(n * 2_749)).collect());
    group.bench_function("apply a change of 40 while a reader holds the registry", |b| {
        // The clone is the reader: every chunk that the change touches has to be copied.
        b.iter_batched(
            || change.clone(),
            |change| {
                let mut next = registry.clone();
                apply(&mut next, change);
                next
            },
            BatchSize::PerIteration,
        );
    });
    let filter = Filter::default();
    let page = Paging { size: 1_000, token: "H50".to_owned() };
    group.bench_function("page of 1,000 organisations", |b| b.iter(|| truc_directory::organisations(&registry, &filter, &page)));
    let rare = Filter { query: "khong co ten nay".to_owned(), ..Filter::default() };
    group.bench_function("page of a search that finds nothing", |b| b.iter(|| truc_directory::organisations(&registry, &rare, &page)));
    let last = registry.version() - 1;
    group.bench_function("changes since the last version", |b| b.iter(|| truc_directory::changes(&registry, last, &Paging::default())));
    group.bench_function("look-up by the old code", |b| b.iter(|| truc_directory::look_up(&registry, black_box("007.00.00.H53"))));
    group.bench_function("suggestions for an unknown code", |b| b.iter(|| truc_directory::look_up(&registry, black_box("H53.00.9999"))));
    group.finish();
}

criterion_group! { name = benches; config = truc_benches::criterion("none: nothing is written"); targets = directory }
criterion_main!(benches);
