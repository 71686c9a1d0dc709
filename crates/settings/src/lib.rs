//! Settings files: each setting declared once, with its manual, default, rule and when it takes effect; read with all mistakes at once, each with its
//! line; written back with comments. Not the settings themselves: those are declared by the program that has them.

mod declare;
mod entry;
mod mistake;
mod read;
mod rule;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use declare::Section;
pub use entry::{Applies, Change, Entry, Origin, changes};
pub use mistake::{Mistake, Mistakes};
pub use read::{Field, Loaded, Override, Reader, Source, compose, load};
pub use rule::{Rule, any, existing_file, existing_folder, optional, range, rule};
pub use value::{Raw, Value};
pub use write::{Style, table, write};
