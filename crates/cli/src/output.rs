//! Where a verb writes: data to standard output, as text or as one JSON object a line; talk and failures to standard error.
//!
//! Not logging: log lines go through `tracing`.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::failure::Failure;

/// The two streams of a verb.
pub struct Output {
    json: bool,
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error.
    #[must_use]
    pub fn to_standard(json: bool) -> Self {
        Self::new(json, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// Any two streams: for callers inside one process.
    #[must_use]
    pub fn new(json: bool, data: Box<dyn Write + Send>, talk: Box<dyn Write + Send>) -> Self {
        Self { json, data, talk }
    }

    /// Whether data is JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// One piece of data: the text for people or the object for programs. Flushed, because others wait for lines.
    ///
    /// # Errors
    /// [`Failure::Output`] when the stream is closed or full.
    pub fn data(&mut self, text: &str, object: &impl Serialize) -> Result<(), Failure> {
        let written = if self.json {
            serde_json::to_writer(&mut self.data, object).map_err(io::Error::from).and_then(|()| self.data.write_all(b"\n"))
        } else {
            writeln!(self.data, "{}", printable(text))
        };
        written.and_then(|()| self.data.flush()).map_err(Failure::Output)
    }

    /// Something for people to know; not data. A closed standard error is no reason to stop.
    pub fn talk(&mut self, text: &str) {
        let _talked: io::Result<()> = writeln!(self.talk, "{}", printable(text));
    }

    /// The same line again, for progress; only for a person who looks at a terminal.
    pub fn progress(&mut self, text: &str, last: bool) {
        if !self.json && io::stderr().is_terminal() {
            let end = if last { "\n" } else { "" };
            let _talked: io::Result<()> = write!(self.talk, "\r{}{end}", printable(text)).and_then(|()| self.talk.flush());
        }
    }

    /// Why the verb stops: reason, message, advice.
    pub fn failure(&mut self, failure: &Failure) {
        let text = if self.json {
            let object = serde_json::json!({
                "error": failure.to_string(),
                "reason": failure.reason().map(truc_types::Reason::code),
                "advice": failure.advice(),
            });
            object.to_string()
        } else {
            let advice = failure.advice().map(|advice| format!("\n  what to do: {advice}")).unwrap_or_default();
            format!("truc: {failure}{advice}")
        };
        self.talk(&text);
    }
}

/// The text with control characters (but line feeds) shown instead of obeyed: names and messages of others reach a terminal here.
#[must_use]
pub fn printable(text: &str) -> String {
    // Bidirectional overrides reorder what stands beside them, so a name could pretend to be another.
    let hostile = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        if hostile(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_do_not_obey_the_names_of_others() {
        assert_eq!(printable("Công văn\n\u{1b}[2J\u{202e}fdp.exe"), "Công văn\n\\u{1b}[2J\\u{202e}fdp.exe");
    }
}
