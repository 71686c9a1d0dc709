//! How a process counts: a table of descriptions, handles made from it once, and their OpenMetrics text. What is counted stands in each daemon's own
//! table; who may read it is `observe`.
//!
//! A handle is an atomic number, or a lock that is held for a few instructions for a histogram: nothing is formatted or looked up while documents pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A number that only grows.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// A number that goes up and down.
pub type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
/// Numbers by the bucket that they fall into.
pub type Histogram = prometheus_client::metrics::histogram::Histogram;

type Labels = Vec<(&'static str, String)>;

/// Buckets of what a submitter waits for: from a fast disk's sync to the deadline of a call.
const LATENCY_SECONDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Buckets of what a document waits for: from one round trip to the days that an edge may be away.
const WAIT_SECONDS: [f64; 14] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0];

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A histogram of answers' times.
    Latency,
    /// A histogram of documents' times.
    Wait,
}

impl Kind {
    /// The type by which scrapers know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Latency | Self::Wait => "histogram",
        }
    }
}

/// One metric: everything that documentation, tests and scrapers need to know of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    /// Name as it is scraped, with its unit, and `_total` for counters. A histogram adds `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What kind of number.
    pub kind: Kind,
    /// The unit, in base units: `seconds`, `bytes`, or what is counted.
    pub unit: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence without a full stop.
    pub help: &'static str,
}

/// The metrics of one process. Cheap to clone; several edges in one process share one.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: BTreeMap<&'static str, AnyFamily>,
}

enum AnyFamily {
    Counter(Family<Labels, Counter>),
    Gauge(Family<Labels, Gauge>),
    Histogram(Family<Labels, Histogram, fn() -> Histogram>),
}

impl Metrics {
    /// Metrics with these tables, each name once.
    #[must_use]
    pub fn new(tables: &[&[&'static Description]]) -> Self {
        let mut registry = Registry::default();
        let mut families = BTreeMap::new();
        for description in tables.iter().copied().flatten() {
            // The library appends `_total` itself.
            let name = description.name.strip_suffix("_total").unwrap_or(description.name);
            let family = match description.kind {
                Kind::Counter => {
                    let family = Family::<Labels, Counter>::default();
                    registry.register(name, description.help, family.clone());
                    AnyFamily::Counter(family)
                }
                Kind::Gauge => {
                    let family = Family::<Labels, Gauge>::default();
                    registry.register(name, description.help, family.clone());
                    AnyFamily::Gauge(family)
                }
                Kind::Latency | Kind::Wait => {
                    let new: fn() -> Histogram = if description.kind == Kind::Latency { latency } else { wait };
                    let family = Family::new_with_constructor(new);
                    registry.register(name, description.help, family.clone());
                    AnyFamily::Histogram(family)
                }
            };
            let earlier = families.insert(description.name, family);
            debug_assert!(earlier.is_none(), "{} stands twice in the tables", description.name);
        }
        Self(Arc::new(Inner { registry, families }))
    }

    /// The counter of these label values, which exists from now on.
    ///
    /// # Panics
    /// When the description is of another kind or in none of the tables: a defect that the first start shows.
    #[must_use]
    #[expect(clippy::panic, reason = "handles are made at the start, from constants of the same program")]
    pub fn counter(&self, description: &'static Description, values: &[&str]) -> Counter {
        match self.0.families.get(description.name) {
            Some(AnyFamily::Counter(family)) => family.get_or_create(&labels(description, values)).clone(),
            _ => panic!("{} is no counter of this process", description.name),
        }
    }

    /// The gauge of these label values.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    #[must_use]
    #[expect(clippy::panic, reason = "handles are made at the start, from constants of the same program")]
    pub fn gauge(&self, description: &'static Description, values: &[&str]) -> Gauge {
        match self.0.families.get(description.name) {
            Some(AnyFamily::Gauge(family)) => family.get_or_create(&labels(description, values)).clone(),
            _ => panic!("{} is no gauge of this process", description.name),
        }
    }

    /// The histogram of these label values.
    ///
    /// # Panics
    /// As [`Metrics::counter`].
    #[must_use]
    #[expect(clippy::panic, reason = "handles are made at the start, from constants of the same program")]
    pub fn histogram(&self, description: &'static Description, values: &[&str]) -> Histogram {
        match self.0.families.get(description.name) {
            Some(AnyFamily::Histogram(family)) => family.get_or_create(&labels(description, values)).clone(),
            _ => panic!("{} is no histogram of this process", description.name),
        }
    }

    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(cause) = encode(&mut text, &self.0.registry) {
            // A `String` takes whatever is written to it.
            tracing::error!(%cause, "the metrics cannot be written");
        }
        text
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Metrics").field(&self.0.families.len()).finish()
    }
}

/// A table as documentation shows it.
#[must_use]
pub fn markdown(table: &[&Description]) -> String {
    let row = |description: &&Description| {
        let labels: Vec<_> = description.labels.iter().map(|label| format!("`{label}`")).collect();
        let Description { name, kind, unit, help, .. } = description;
        format!("| `{name}` | {} | {unit} | {} | {help} |\n", kind.name(), labels.join(", "))
    };
    "| name | type | unit | labels | what it says |\n|---|---|---|---|---|\n".to_owned() + &table.iter().map(row).collect::<String>()
}

/// A whole number as a gauge shows it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which nothing that is counted here reaches")]
pub const fn number(value: u64) -> f64 {
    value as f64
}

/// Milliseconds as seconds.
#[must_use]
pub const fn seconds(millis: u64) -> f64 {
    number(millis) / 1_000.0
}

fn labels(description: &Description, values: &[&str]) -> Labels {
    debug_assert_eq!(description.labels.len(), values.len(), "{}", description.name);
    description.labels.iter().copied().zip(values.iter().map(|value| (*value).to_owned())).collect()
}

fn latency() -> Histogram {
    Histogram::new(LATENCY_SECONDS)
}

fn wait() -> Histogram {
    Histogram::new(WAIT_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Description = Description { name: "t_sent_total", kind: Kind::Counter, unit: "documents", labels: &["lane"], help: "Sent" };
    const AGE: Description = Description { name: "t_age_seconds", kind: Kind::Gauge, unit: "seconds", labels: &[], help: "Age" };
    const TOOK: Description = Description { name: "t_took_seconds", kind: Kind::Latency, unit: "seconds", labels: &[], help: "Took" };

    #[test]
    fn what_was_counted_is_rendered_under_the_names_of_the_table() {
        let metrics = Metrics::new(&[&[&SENT], &[&AGE, &TOOK]]);
        let sent = metrics.counter(&SENT, &["top"]);
        sent.inc();
        metrics.counter(&SENT, &["top"]).inc_by(2);
        metrics.gauge(&AGE, &[]).set(seconds(1_500));
        metrics.histogram(&TOOK, &[]).observe(0.003);
        let text = metrics.render();
        for line in
            ["t_sent_total{lane=\"top\"} 3", "t_age_seconds{} 1.5", "t_took_seconds_bucket{le=\"0.005\"} 1", "t_took_seconds_count{} 1"]
        {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.lines().any(|line| line == "t_took_seconds_bucket{le=\"0.002\"} 0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
