//! What a value must fulfil beyond its type, and how the manual says so.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

type Check<T> = Box<dyn Fn(&T) -> Result<(), String>>;

/// A rule for values of one setting.
pub struct Rule<T> {
    /// For the manual; empty when there is nothing to say.
    pub(crate) says: String,
    pub(crate) check: Check<T>,
}

impl<T> fmt::Debug for Rule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("says", &self.says).finish_non_exhaustive()
    }
}

/// Every value of the type is good.
#[must_use]
pub fn any<T>() -> Rule<T> {
    Rule { says: String::new(), check: Box::new(|_| Ok(())) }
}

/// What a function accepts. `says` stands in the manual.
pub fn rule<T>(says: &str, check: impl Fn(&T) -> Result<(), String> + 'static) -> Rule<T> {
    Rule { says: says.to_owned(), check: Box::new(check) }
}

/// A number in a range.
#[must_use]
pub fn range(range: RangeInclusive<u64>) -> Rule<u64> {
    let says = match (*range.start(), *range.end()) {
        (0, end) => format!("at most {end}"),
        (start, u64::MAX) => format!("at least {start}"),
        (start, end) => format!("{start} to {end}"),
    };
    let expected = says.clone();
    let check = move |value: &u64| if range.contains(value) { Ok(()) } else { Err(format!("is {value}, expected {expected}")) };
    Rule { says, check: Box::new(check) }
}

/// A file that is there and can be read.
#[must_use]
pub fn existing_file() -> Rule<PathBuf> {
    rule("a file that exists", |path: &PathBuf| match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(format!("is {}, which is no file", path.display())),
        Err(cause) => Err(format!("is {}: {cause}", path.display())),
    })
}

/// A folder that is there and can be read.
#[must_use]
pub fn existing_folder() -> Rule<PathBuf> {
    rule("a folder that exists", |path: &PathBuf| match std::fs::read_dir(path) {
        Ok(_) => Ok(()),
        Err(cause) => Err(format!("is {}: {cause}", path.display())),
    })
}

/// The rule of a value that may be unset.
#[must_use]
pub fn optional<T: 'static>(inner: Rule<T>) -> Rule<Option<T>> {
    let Rule { says, check } = inner;
    Rule { says, check: Box::new(move |value| value.as_ref().map_or(Ok(()), &check)) }
}
