//! Sizes, durations and counts as people read them. Not for programs: those get bytes and milliseconds.

/// Bytes in the largest binary unit of which there is at least one.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, "B");
    for larger in UNITS {
        if whole < 1_024 {
            break;
        }
        (rest, whole, unit) = (whole % 1_024, whole / 1_024, larger);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{} {unit}", rest * 10 / 1_024) }
}

/// A duration in the two largest units that say something.
#[must_use]
pub fn millis(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=59 => format!("{seconds}.{} s", millis % 1_000 / 100),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A bar with its percentage, for a line of progress.
#[must_use]
pub fn bar(done: u64, total: u64) -> String {
    let percent = u128::from(done).saturating_mul(100).checked_div(u128::from(total)).unwrap_or(100).min(100);
    let filled = usize::try_from(percent / 4).unwrap_or(0);
    format!("[{:<25}] {percent:>3} %", "=".repeat(filled))
}

/// A bar over bytes.
#[must_use]
pub fn bytes_bar(done: u64, total: u64) -> String {
    format!("{}  {} / {}", bar(done, total), bytes(done), bytes(total))
}

/// Columns of text with two spaces between them; the first row is the head. Widths count characters, not bytes.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_as_people_say_them() {
        for (size, text) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (50 << 20, "50.0 MiB"), (u64::MAX, "16777215.9 TiB")] {
            assert_eq!(bytes(size), text);
        }
        for (long, text) in [(7, "7 ms"), (1_530, "1.5 s"), (61_000, "1 min 1 s"), (3_661_000, "1 h 1 min"), (90_000_000, "1 d 1 h")] {
            assert_eq!(millis(long), text);
        }
        assert_eq!(bytes_bar(1 << 20, 4 << 20), "[======                   ]  25 %  1.0 MiB / 4.0 MiB");
        assert_eq!([bar(0, 0), bar(u64::MAX, u64::MAX)].map(|bar| bar.ends_with("100 %")), [true, true]);
        let rows = [vec!["a".to_owned(), "số".to_owned()], vec!["dài".to_owned(), "1".to_owned()]];
        assert_eq!(table(&rows), "a    số\ndài  1");
    }
}
