//! What is wrong with a settings file: every mistake with its line, for people and for programs.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The whole name of the setting; empty where the file as a whole is meant.
    pub key: String,
    /// Line in the file, from 1; nothing for defaults and flags.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong, with the wrong value in it.
    pub message: String,
}

/// All mistakes of one reading, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl Mistakes {
    /// One mistake of the file as a whole.
    #[must_use]
    pub fn of_file(file: PathBuf, message: String) -> Self {
        Self { file, mistakes: vec![Mistake { key: String::new(), line: None, column: None, message }] }
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object = serde_json::json!({ "file": self.file.display().to_string(), "mistakes": self.mistakes });
        object.to_string()
    }
}

/// `file:line:column: key: message`, one line each, as editors read it.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Mistake { key, line, column, message }) in self.mistakes.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let (Some(line), Some(column)) = (line, column) {
                write!(f, ":{line}:{column}")?;
            }
            if !key.is_empty() {
                write!(f, ": {key}")?;
            }
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
