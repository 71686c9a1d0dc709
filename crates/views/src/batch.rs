//! What is written to a view in one go: rows of tables, and the position they bring the view to. Not how they lie on disk (`rows`).

use truc_types::Position;

use crate::ViewError;

/// Key of one row in bytes: two codes, an id and numbers fit many times over, and a sled page still holds many keys.
pub const VIEW_KEY_BYTES_MAX: usize = 512;
/// Value of one row in bytes. Views hold small values; the largest are statements (60,000 bytes) with their proofs.
pub const VALUE_BYTES_MAX: usize = 256 * 1024;

/// One table of a view. The owner of the view says what each number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u8);

/// One change: table, key, and the new value, or `None` to delete the row.
pub type Op = (Table, Vec<u8>, Option<Vec<u8>>);

/// Changes that become durable together, and visible together through an [`crate::Overlay`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewBatch {
    /// Where the view stands once the batch is written: the next entry to replay.
    pub position: Position,
    /// The changes. The last one of a key counts.
    pub ops: Vec<Op>,
}

/// Refuses keys and values over the limits before anything is copied.
pub(crate) fn check(key: &[u8], value: Option<&[u8]>) -> Result<(), ViewError> {
    if key.len() > VIEW_KEY_BYTES_MAX {
        return Err(ViewError::KeyTooLong { bytes: key.len() });
    }
    match value {
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(ViewError::ValueTooLarge { bytes: value.len() }),
        _ => Ok(()),
    }
}
