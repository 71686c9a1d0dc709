//! What a soak looks at, over time, and when that counts as flat. Not how it is looked at.

use serde::Serialize;

use crate::bench::findings::Row;
use crate::bench::plot::{Line, Panel};

/// The process of the broker, and what documents felt, in one interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Since the start.
    pub(super) minutes: f64,
    pub(super) documents_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    pub(super) resident_mib: f64,
    pub(super) descriptors: f64,
    pub(super) threads: f64,
    pub(super) disk_mib: f64,
}

/// What of a sample one series has.
struct Measure {
    name: &'static str,
    of: fn(&Sample) -> f64,
    /// With how much of the second quarter's median, and how much more, that of the last is still flat. None where growth is what is expected.
    allowed: Option<(f64, f64)>,
}

/// The first quarter is not held against anything: caches fill, the first segments are packed.
const MEASURES: &[Measure] = &[
    Measure { name: "documents/s back", of: |sample| sample.documents_per_second, allowed: None },
    Measure { name: "p50 ms", of: |sample| sample.p50_ms, allowed: Some((1.25, 1.0)) },
    Measure { name: "p99 ms", of: |sample| sample.p99_ms, allowed: Some((1.5, 5.0)) },
    Measure { name: "max ms", of: |sample| sample.max_ms, allowed: None },
    Measure { name: "RSS MiB", of: |sample| sample.resident_mib, allowed: Some((1.05, 16.0)) },
    Measure { name: "descriptors", of: |sample| sample.descriptors, allowed: Some((1.0, 8.0)) },
    Measure { name: "threads", of: |sample| sample.threads, allowed: Some((1.0, 2.0)) },
    Measure { name: "disk MiB", of: |sample| sample.disk_mib, allowed: None },
];
const PANELS: [(&str, &str, bool, &[&str]); 4] = [
    ("Latency, from the intended time to the acknowledged receipt at the sender", "milliseconds", true, &["p50 ms", "p99 ms", "max ms"]),
    ("Memory of the broker", "MiB resident", false, &["RSS MiB"]),
    ("What the broker holds", "count", false, &["descriptors", "threads"]),
    ("Journal and views", "MiB", false, &["disk MiB"]),
];

/// One measure over time.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Series {
    pub(super) measure: &'static str,
    /// Medians of the quarters of the time.
    pub(super) quarters: [f64; 4],
    pub(super) most: f64,
    /// The most that the last quarter's median may be; none where growth is what is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_quarter_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_flat: Option<bool>,
    values: Vec<f64>,
}

/// All measures over the time of these samples, of which there are at least four.
pub(super) fn all(samples: &[Sample]) -> Vec<Series> {
    let series = MEASURES.iter().map(|Measure { name, of, allowed }| {
        let values: Vec<f64> = samples.iter().map(of).collect();
        let quarters = [0, 1, 2, 3].map(|quarter| median(quarter_of(&values, quarter)));
        let [_, second, _, last] = quarters;
        let last_quarter_max = allowed.map(|(share, more)| second * share + more);
        let is_flat = last_quarter_max.map(|max| last <= max);
        Series { measure: name, quarters, most: values.iter().copied().fold(0.0, f64::max), last_quarter_max, is_flat, values }
    });
    series.collect()
}

fn quarter_of(values: &[f64], quarter: usize) -> &[f64] {
    values.get(values.len() * quarter / 4..values.len() * (quarter + 1) / 4).unwrap_or_default()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl Row for Series {
    fn head() -> Vec<&'static str> {
        vec!["broker", "1st quarter", "2nd", "3rd", "last", "most", "last may be", "flat"]
    }

    fn cells(&self) -> Vec<String> {
        let number = |value: f64| format!("{value:.1}");
        let verdict = match self.is_flat {
            None => "-",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        let figures = self.quarters.into_iter().chain([self.most]).map(number);
        let allowed = self.last_quarter_max.map_or_else(|| "-".to_owned(), number);
        std::iter::once(self.measure.to_owned()).chain(figures).chain([allowed, verdict.to_owned()]).collect()
    }
}

/// All measures against time.
pub(super) fn panels(samples: &[Sample], series: &[Series]) -> Vec<Panel> {
    let line = |name: &&str| {
        let series = series.iter().find(|series| series.measure == *name)?;
        let points = samples.iter().zip(&series.values).map(|(sample, value)| (sample.minutes, *value)).collect();
        Some(Line { name: (*name).to_owned(), points })
    };
    let panel = |(title, y, is_logarithmic, names): (&str, &'static str, bool, &[&str])| Panel {
        title: title.to_owned(),
        x: "minutes since the start",
        y,
        is_logarithmic,
        lines: names.iter().filter_map(line).collect(),
    };
    PANELS.into_iter().map(panel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sample a minute, whose memory is what `resident_mib` says.
    fn samples(resident_mib: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |minute: u32| {
            let minutes = f64::from(minute);
            let (p50_ms, p99_ms, max_ms) = (2.0, 6.0, 9.0);
            let held = (resident_mib(minutes), 30.0, 9.0);
            let (resident_mib, descriptors, threads) = held;
            Sample { minutes, documents_per_second: 500.0, p50_ms, p99_ms, max_ms, resident_mib, descriptors, threads, disk_mib: minutes }
        };
        (0..60).map(sample).collect()
    }

    fn memory(resident_mib: impl Fn(f64) -> f64) -> Series {
        all(&samples(resident_mib)).into_iter().find(|series| series.measure == "RSS MiB").unwrap()
    }

    #[test]
    fn what_grows_without_end_is_not_flat_and_what_fills_once_is() {
        let filled = memory(|minutes| f64::min(100.0, 20.0 + 10.0 * minutes));
        assert_eq!((filled.quarters, filled.is_flat), ([90.0, 100.0, 100.0, 100.0], Some(true)));
        // A mebibyte a minute: 30 from the middle of the second quarter to that of the last.
        let leaking = memory(|minutes| 100.0 + minutes);
        assert_eq!((leaking.quarters, leaking.is_flat), ([107.0, 122.0, 137.0, 152.0], Some(false)));
        assert_eq!(leaking.last_quarter_max.map(f64::round), Some(144.0));
        // One bad minute is no growth.
        assert_eq!(memory(|minutes| if minutes == 55.0 { 900.0 } else { 100.0 }).is_flat, Some(true));
    }

    #[test]
    fn every_line_of_the_plot_is_a_measure() {
        let samples = samples(|_| 1.0);
        let lines: Vec<_> = panels(&samples, &all(&samples)).iter().map(|panel| panel.lines.len()).collect();
        assert_eq!(lines, [3, 1, 2, 1]);
    }
}
