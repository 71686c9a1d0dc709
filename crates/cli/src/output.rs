//! Where a verb writes: data to standard output, as text or as one JSON object a line; talk and failures to standard error.
//!
//! Not logging: log lines go through `tracing`.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;
use truc_types::Reason;

use crate::failure::Failure;
use crate::language::Language;

/// The two streams of a verb.
pub struct Output {
    json: bool,
    language: Language,
    data: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
    /// Letters of the line of progress that is on the screen.
    progress: usize,
}

impl Output {
    /// Standard output and standard error.
    #[must_use]
    pub fn to_standard(json: bool, language: Language) -> Self {
        Self::new(json, Box::new(io::stdout()), Box::new(io::stderr())).in_language(language)
    }

    /// The same streams in another language.
    #[must_use]
    pub fn in_language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    /// Any two streams, in English: for callers inside one process.
    #[must_use]
    pub fn new(json: bool, data: Box<dyn Write + Send>, talk: Box<dyn Write + Send>) -> Self {
        Self { json, language: Language::En, data, talk, progress: 0 }
    }

    /// Whether data is JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// The language of explanations.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// One piece of data: the text for people or the object for programs. Flushed, because others wait for lines.
    ///
    /// # Errors
    /// [`Failure::Output`] when the stream is closed or full.
    pub fn data(&mut self, text: &str, object: &impl Serialize) -> Result<(), Failure> {
        self.progress_end();
        let written = if self.json {
            serde_json::to_writer(&mut self.data, object).map_err(io::Error::from).and_then(|()| self.data.write_all(b"\n"))
        } else {
            writeln!(self.data, "{}", printable(text))
        };
        written.and_then(|()| self.data.flush()).map_err(Failure::Output)
    }

    /// Bytes of our own making, as they are: a script for a shell.
    ///
    /// # Errors
    /// [`Failure::Output`] when the stream is closed or full.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.data.write_all(bytes).and_then(|()| self.data.flush()).map_err(Failure::Output)
    }

    /// Something for people to know; not data. A closed standard error is no reason to stop.
    pub fn talk(&mut self, text: &str) {
        self.progress_end();
        let _talked: io::Result<()> = writeln!(self.talk, "{}", printable(text));
    }

    /// Whether a person looks at a terminal, for whom a line may be written again and again.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// The same line again, for progress; only for a person who looks at a terminal. What the line before had more is blanked.
    pub fn progress(&mut self, text: &str) {
        if self.shows_progress() {
            let text = printable(text);
            let length = text.chars().count();
            let rest = self.progress.saturating_sub(length);
            self.progress = length;
            let _talked: io::Result<()> = write!(self.talk, "\r{text}{}", " ".repeat(rest)).and_then(|()| self.talk.flush());
        }
    }

    /// Takes the line of progress off the screen: the next line has its place.
    pub fn progress_end(&mut self) {
        if self.progress > 0 {
            self.progress("");
            let _talked: io::Result<()> = write!(self.talk, "\r").and_then(|()| self.talk.flush());
            self.progress = 0;
        }
    }

    /// Why the verb stops: reason, message, whose fault it is, whether to try again, what to do.
    pub fn failure(&mut self, failure: &Failure) {
        let text = if self.json { failure_object(failure).to_string() } else { failure_text(failure, self.language) };
        self.talk(&text);
    }
}

fn failure_object(failure: &Failure) -> serde_json::Value {
    let reason = failure.reason();
    let values: serde_json::Map<String, serde_json::Value> =
        failure.values().iter().map(|(name, value)| (name.clone().into_owned(), value.as_str().into())).collect();
    serde_json::json!({
        "error": failure.to_string(),
        "reason": reason.map(Reason::code),
        "values": values,
        "blame": reason.map(|reason| reason.blame().word()),
        "retry": reason.map(|reason| reason.retry().word()),
        "advice": failure.advice(Language::En),
        "advice_vi": failure.advice(Language::Vi),
    })
}

fn failure_text(failure: &Failure, language: Language) -> String {
    let mut text = format!("truc: {}", failure.message(language));
    let mut line = |english: &str, vietnamese: &str, value: &str| {
        text.push_str(&format!("\n  {}: {value}", language.choose(english, vietnamese)));
    };
    // Who looks for something that is not there has done nothing wrong, and may look again.
    if let Some(reason) = failure.reason().filter(|reason| *reason != Reason::MessageUnknown) {
        if language == Language::Vi {
            // The message before is of the process that refused, and English.
            line("", "nghĩa là", reason.meaning_vi());
        }
        line("whose fault", "trách nhiệm", language.choose(reason.blame().who(), reason.blame().who_vi()));
        line("again", "gửi lại", language.choose(reason.retry().when(), reason.retry().when_vi()));
    }
    if let Some(advice) = failure.advice(language) {
        line("what to do", "cách khắc phục", advice);
    }
    text
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
    use truc_types::Refusal;

    use super::*;

    #[test]
    fn a_refusal_says_what_happened_whose_fault_it_is_and_what_to_do_in_both_languages() {
        let failure = Failure::Refused(Refusal::new(Reason::RecipientUnknown, "nobody has the code H53.99").with("recipient", "H53.99"));
        assert_eq!(
            failure_text(&failure, Language::En),
            "truc: recipient.unknown: nobody has the code H53.99\n  whose fault: the caller\n  again: it may succeed after the change\n  \
             what to do: look the code up in the directory"
        );
        let vietnamese = failure_text(&failure, Language::Vi);
        assert!(vietnamese.starts_with("truc: recipient.unknown: nobody has the code H53.99\n"), "{vietnamese}");
        for text in [Reason::RecipientUnknown.meaning_vi(), Reason::RecipientUnknown.advice_vi(), "bên gọi"] {
            assert!(vietnamese.contains(text), "{vietnamese}");
        }
        let object = failure_object(&failure);
        assert_eq!((object["values"]["recipient"].as_str(), object["blame"].as_str()), (Some("H53.99"), Some("caller")));
    }

    #[test]
    fn terminals_do_not_obey_the_names_of_others() {
        assert_eq!(printable("Công văn\n\u{1b}[2J\u{202e}fdp.exe"), "Công văn\n\\u{1b}[2J\\u{202e}fdp.exe");
    }
}
