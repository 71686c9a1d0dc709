//! The piece of a message that a diagnostic points at, for people: short, and never the content of an attachment.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

/// A line and a column, both from 1.
type Point = (u64, u64);

/// Bytes kept of each piece: enough for [`CHARACTERS_MAX`] of any script.
const BYTES_MAX: usize = 400;
/// Characters shown: what fits beside a line number.
const CHARACTERS_MAX: usize = 90;
/// Letters in a row that can be base64 from which on they are cut: longer than names, codes and words.
const BASE64_RUN_MAX: usize = 40;

/// What stands at these points, each up to the end of its line. Reads no further than it needs to.
pub(super) fn excerpts(mut input: impl BufRead, points: impl Iterator<Item = Point>) -> io::Result<BTreeMap<Point, String>> {
    let mut wanted: Vec<Point> = points.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut wanted = wanted.into_iter().peekable();
    let mut running: Vec<(Point, Vec<u8>)> = Vec::new();
    let mut done = BTreeMap::new();
    let (mut line, mut column) = (1_u64, 0_u64);
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() || (running.is_empty() && wanted.peek().is_none()) {
            break;
        }
        for byte in bytes {
            // Every byte of a character but its first is 10xxxxxx.
            column += u64::from(*byte & 0b1100_0000 != 0b1000_0000);
            if let Some(point) = wanted.next_if(|point| *point <= (line, column)) {
                running.push((point, Vec::new()));
            }
            if *byte == b'\n' {
                (line, column) = (line + 1, 0);
                done.extend(running.drain(..).map(shown));
            } else if !running.is_empty() {
                running.iter_mut().for_each(|(_, piece)| piece.push(*byte));
                done.extend(running.extract_if(.., |(_, piece)| piece.len() >= BYTES_MAX).map(shown));
            }
        }
        let amount = bytes.len();
        input.consume(amount);
    }
    done.extend(running.into_iter().map(shown));
    Ok(done)
}

fn shown((point, bytes): (Point, Vec<u8>)) -> (Point, String) {
    let text = String::from_utf8_lossy(&bytes);
    (point, cut(without_base64(text.trim_end_matches(['\r', '\u{fffd}']))))
}

/// The text with every long run of base64 cut to its first letters.
fn without_base64(text: &str) -> String {
    let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    let (mut shown, mut run) = (String::new(), String::new());
    let flush = |run: &mut String, shown: &mut String| {
        if run.len() > BASE64_RUN_MAX {
            shown.extend(run.chars().take(8));
            shown.push('…');
        } else {
            shown.push_str(run);
        }
        run.clear();
    };
    for letter in text.chars() {
        if is_base64(letter) {
            run.push(letter);
        } else {
            flush(&mut run, &mut shown);
            shown.push(if letter == '\t' { ' ' } else { letter });
        }
    }
    flush(&mut run, &mut shown);
    shown
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The line with its number, and carets below what was found, or below the first letter.
pub(super) fn pointed(line: u64, text: &str, found: &str) -> String {
    let number = line.to_string();
    let found = found.trim_end_matches('…');
    let (before, length) = match text.find(found) {
        Some(start) if !found.is_empty() => (text.get(..start).unwrap_or_default().chars().count(), found.chars().count()),
        _ => (0, 1),
    };
    let gap = " ".repeat(number.len());
    format!("  {number} | {text}\n  {gap} | {}{}", " ".repeat(before), "^".repeat(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, point: Point, expected: &str) {
        let found = excerpts(text.as_bytes(), [point].into_iter()).unwrap();
        assert_eq!(found.get(&point).map(String::as_str), Some(expected));
    }

    #[test]
    fn a_piece_starts_at_its_column_and_ends_with_its_line() {
        check("<a>\n  <b>đã đến</b>\r\n</a>", (2, 3), "<b>đã đến</b>");
        check("<a><đ/><b/></a>", (1, 8), "<b/></a>");
        check("<a>", (1, 1), "<a>");
        let long = format!("<a>{}", "một hai ".repeat(100));
        check(&long, (1, 1), &format!("{}…", long.chars().take(90).collect::<String>()));
    }

    #[test]
    fn the_content_of_an_attachment_is_never_shown() {
        let content = "JVBERi0xLjQK".repeat(1000);
        check(&format!("<C xmlns=\"u\">{content}</C>"), (1, 1), "<C xmlns=\"u\">JVBERi0x…");
        check(&format!("<C>abc</C>\n{content}\n"), (2, 1), "JVBERi0x…");
    }

    #[test]
    fn carets_stand_below_what_was_found() {
        assert_eq!(pointed(35, "<D>05/11/2025</D>", "05/11/2025"), "  35 | <D>05/11/2025</D>\n     |    ^^^^^^^^^^");
        assert_eq!(pointed(7, "<Đ>đến</Đ>", "đến"), "  7 | <Đ>đến</Đ>\n    |    ^^^");
        assert_eq!(pointed(7, "<D/>", ""), "  7 | <D/>\n    | ^");
    }
}
