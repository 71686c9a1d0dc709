//! How far each table reaches: how many rows it has and the last key it ever had. Kept in memory beside the rows, so that a look for what cannot be there,
//! a new id or the end of a table that only grows, costs nothing. Not the rows themselves.

use std::collections::HashMap;

use crate::batch::Table;
use crate::rows;

/// What is known of every table that has had a row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extents {
    tables: HashMap<Table, Extent>,
}

#[derive(Debug, Clone, Default)]
struct Extent {
    rows: u64,
    /// No row lies above it. It goes down only when the table is empty.
    last: Vec<u8>,
}

impl Extents {
    /// A row of sled changes; parts of split values are passed over, because each has a row of its own that leads to it.
    pub(crate) fn change(&mut self, physical: &[u8], was_there: bool, is_there: bool) {
        let Some((table, key)) = rows::row_of(physical) else { return };
        let extent = self.tables.entry(table).or_default();
        match (was_there, is_there) {
            (false, true) => extent.rows += 1,
            (true, false) => extent.rows = extent.rows.saturating_sub(1),
            _ => {}
        }
        if extent.rows == 0 {
            extent.last.clear();
        } else if is_there && key > extent.last.as_slice() {
            extent.last = key.to_vec();
        }
    }

    /// Whether the table may have a row with this key or one above it. "No" is certain.
    pub(crate) fn may_have(&self, table: Table, key: &[u8]) -> bool {
        self.tables.get(&table).is_some_and(|extent| extent.rows > 0 && key <= extent.last.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_behind_its_last_row_and_is_empty_when_all_are_gone() {
        let (mut extents, table) = (Extents::default(), Table(3));
        let row = |key: &[u8]| rows::row_key(table, key);
        assert!(!extents.may_have(table, b""));
        extents.change(&row(b"b"), false, true);
        extents.change(&row(b"d"), false, true);
        extents.change(&row(b"c"), false, true);
        let known = |extents: &Extents| [b"a", b"d", b"e"].map(|key| extents.may_have(table, key));
        assert_eq!(known(&extents), [true, true, false]);
        assert!(!extents.may_have(Table(2), b"a") && !extents.may_have(Table(4), b"a"));
        extents.change(&row(b"d"), true, true);
        extents.change(&row(b"d"), true, false);
        assert_eq!(known(&extents), [true, true, false], "what was the last key stays the bound");
        extents.change(&row(b"b"), true, false);
        extents.change(&row(b"c"), true, false);
        assert_eq!(known(&extents), [false; 3]);
        extents.change(&row(b"a"), false, true);
        assert_eq!(known(&extents), [true, false, false]);
    }
}
