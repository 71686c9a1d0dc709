//! The figures that benches share: percentiles of a histogram of microseconds, and what one document cost a process. Not how they are measured.

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;
use truc_types::{Reason, Refusal};

use super::broker::Reading;
use crate::failure::Failure;
use crate::local::usage::Usage;

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Latencies {
    /// What was counted.
    pub(super) count: u64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) max_ms: f64,
}

impl Latencies {
    /// Names of the columns of [`Self::cells`].
    pub(super) const HEAD: [&'static str; 5] = ["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"];

    /// Those of a histogram of microseconds.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a bench are far below 2^53")]
    pub(super) fn of(micros: &Histogram<u64>) -> Self {
        let at = |quantile: f64| micros.value_at_quantile(quantile) as f64 / 1_000.0;
        let max_ms = micros.max() as f64 / 1_000.0;
        Self { count: micros.len(), p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p999_ms: at(0.999), max_ms }
    }

    pub(super) fn cells(&self) -> Vec<String> {
        [self.p50_ms, self.p90_ms, self.p99_ms, self.p999_ms, self.max_ms].iter().map(|value| format!("{value:.2}")).collect()
    }
}

/// An empty histogram of microseconds: three significant digits, grows with what it is given.
pub(super) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new(3).map_err(|cause| defect(&cause.to_string()))
}

/// Adds how long something took. A histogram grows with what it is given: nothing is too large for it.
pub(super) fn record(micros: &mut Histogram<u64>, since: Instant, now: Instant) {
    let took = u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX);
    micros.record(took).unwrap_or_else(|cause| tracing::error!(%cause, took, "a latency that was not recorded"));
}

/// What documents cost the broker, and the process that sent and checked them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cost {
    pub(super) broker_cpu_us_per_document: f64,
    pub(super) client_cpu_us_per_document: f64,
    pub(super) broker_bytes_written_per_document: f64,
    pub(super) broker_syncs_per_document: f64,
    /// At the end of the phase.
    pub(super) broker_resident_bytes: u64,
    /// The most so far.
    pub(super) broker_resident_bytes_max: u64,
}

/// Both processes at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    pub(super) broker: Reading,
    pub(super) client: Usage,
}

impl Cost {
    /// Names of the columns of [`Self::cells`].
    pub(super) const HEAD: [&'static str; 6] =
        ["broker CPU µs/doc", "client CPU µs/doc", "written B/doc", "syncs/doc", "broker RSS MiB", "peak MiB"];

    /// What so many documents cost between two moments.
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes of a bench are far below 2^53")]
    pub(super) fn between(before: &Both, after: &Both, documents: u64) -> Self {
        let each = |amount: f64| amount / documents.max(1) as f64;
        let micros = |before: &Usage, after: &Usage| each((after.cpu_seconds - before.cpu_seconds) * 1e6);
        let written = after.broker.usage.bytes_written.saturating_sub(before.broker.usage.bytes_written);
        Self {
            broker_cpu_us_per_document: micros(&before.broker.usage, &after.broker.usage),
            client_cpu_us_per_document: micros(&before.client, &after.client),
            broker_bytes_written_per_document: each(written as f64),
            broker_syncs_per_document: each(after.broker.syncs.saturating_sub(before.broker.syncs) as f64),
            broker_resident_bytes: after.broker.usage.resident_bytes,
            broker_resident_bytes_max: after.broker.usage.resident_bytes_max,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes of a bench are far below 2^53")]
    pub(super) fn cells(&self) -> Vec<String> {
        let mebibytes = |bytes: u64| format!("{:.0}", bytes as f64 / (1024.0 * 1024.0));
        vec![
            format!("{:.1}", self.broker_cpu_us_per_document),
            format!("{:.1}", self.client_cpu_us_per_document),
            format!("{:.0}", self.broker_bytes_written_per_document),
            format!("{:.4}", self.broker_syncs_per_document),
            mebibytes(self.broker_resident_bytes),
            mebibytes(self.broker_resident_bytes_max),
        ]
    }
}

/// The bench itself does not hold together.
pub(super) fn defect(message: &str) -> Failure {
    Failure::Refused(Refusal::new(Reason::RequestInvalid, format!("the bench failed: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_milliseconds() {
        let mut micros = histogram().unwrap();
        (1..=1_000).for_each(|value| micros.record(value * 1_000).unwrap());
        let found = Latencies::of(&micros);
        assert_eq!(found.count, 1_000);
        for (found, expected) in
            [(found.p50_ms, 500.0), (found.p90_ms, 900.0), (found.p99_ms, 990.0), (found.p999_ms, 999.0), (found.max_ms, 1_000.0)]
        {
            assert!((found - expected).abs() < expected / 500.0, "{found} {expected}");
        }
    }

    #[test]
    fn costs_are_of_one_document() {
        let usage = |cpu_seconds, bytes_written| Usage { cpu_seconds, bytes_written, resident_bytes: 1 << 20, resident_bytes_max: 2 << 20 };
        let both = |cpu, bytes, syncs| Both { broker: Reading { usage: usage(cpu, bytes), syncs }, client: usage(cpu / 2.0, 0) };
        let cost = Cost::between(&both(1.0, 1_000, 10), &both(2.0, 3_000, 12), 100);
        assert_eq!(cost.cells(), ["10000.0", "5000.0", "20", "0.0200", "1", "2"]);
    }
}
