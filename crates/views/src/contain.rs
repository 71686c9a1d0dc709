//! Panics of sled turned into errors: damaged files make it panic while it opens, reads and writes. Not for panics of our own code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest explanation that is kept of a failure inside sled, in bytes: it can quote whole pages.
const WHY_BYTES_MAX: usize = 300;

/// Runs `work` and returns its failure or its panic as a bounded text.
///
/// What `work` touches must not be trusted after a failure: callers mark the store as broken or throw it away.
pub(crate) fn contained<T>(work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(bounded(&error.to_string())),
        Err(panic) => Err(bounded(&format!("sled panicked: {}", panic_text(panic.as_ref())))),
    }
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// The beginning of a text, cut at a character boundary, without control characters.
pub(crate) fn bounded(text: &str) -> String {
    let end = text.floor_char_boundary(WHY_BYTES_MAX);
    text.get(..end).unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_bounded_one_line_texts() {
        let why = contained::<()>(|| panic!("{}", "ệ\n".repeat(1_000))).unwrap_err();
        assert!(why.starts_with("sled panicked: ệ ệ"));
        assert!(why.len() <= WHY_BYTES_MAX);
        assert_eq!(contained(|| Ok(3)), Ok(3));
    }
}
