//! Ranges of keys and the pages that a scan of them returns. Not the scan itself.

use truc_types::limits::PAGE_ITEMS_MAX;

/// Keys and values of one page in bytes; a page holds at least one row whatever its size.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Keys from one (inclusive) to another (exclusive), in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
}

/// Rows of a range in the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the range has more rows: scan on with [`KeyRange::after`] the last key.
    pub more: bool,
}

impl KeyRange {
    /// Every key of a table.
    #[must_use]
    pub const fn all() -> Self {
        Self { from: Vec::new(), to: None }
    }

    /// Keys that begin with these bytes.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: prefix.to_vec(), to: successor(prefix) }
    }

    /// Keys not below `from` and below `to`.
    #[must_use]
    pub fn between(from: &[u8], to: &[u8]) -> Self {
        Self { from: from.to_vec(), to: Some(to.to_vec()) }
    }

    /// The part of this range that lies after `key`: the next page.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        let mut next = key.to_vec();
        next.push(0);
        self.from = self.from.max(next);
        self
    }

    /// Whether no key can lie in the range.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The smallest key above every key with this prefix; `None` if there is none.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(above) = last.checked_add(1) {
            next.push(above);
            return Some(next);
        }
    }
    None
}

/// A page that fills up to the limits of rows and bytes.
pub(crate) struct PageFill {
    page: Page,
    rows_max: usize,
    bytes: usize,
}

impl PageFill {
    pub(crate) fn new(limit: usize) -> Self {
        Self { page: Page::default(), rows_max: limit.min(PAGE_ITEMS_MAX), bytes: 0 }
    }

    /// Adds a row, or says that the page is full and the row belongs to the next one.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        let bytes = self.bytes.saturating_add(key.len()).saturating_add(value.len());
        if self.page.more || self.page.rows.len() >= self.rows_max || (bytes > PAGE_BYTES_MAX && !self.page.rows.is_empty()) {
            self.page.more = true;
            return false;
        }
        self.bytes = bytes;
        self.page.rows.push((key.to_vec(), value.to_vec()));
        true
    }

    pub(crate) fn finish(self) -> Page {
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255, 255]), None);
        assert_eq!(KeyRange::prefix(b""), KeyRange::all());
    }

    #[test]
    fn after_never_widens_a_range() {
        assert_eq!(KeyRange::between(b"m", b"z").after(b"a").from, b"m");
        assert_eq!(KeyRange::between(b"m", b"z").after(b"n").from, b"n\0");
        assert!(KeyRange::between(b"m", b"z").after(b"z").is_empty());
    }

    #[test]
    fn pages_end_at_either_limit_and_hold_at_least_one_row() {
        let mut fill = PageFill::new(usize::MAX);
        assert!(fill.push(b"a", &vec![0; PAGE_BYTES_MAX]));
        assert!(!fill.push(b"b", b""));
        assert!(fill.finish().more);
        let mut fill = PageFill::new(1);
        assert!(fill.push(b"a", b""));
        assert!(!fill.push(b"b", b""));
    }
}
