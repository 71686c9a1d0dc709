//! C2SP signed notes v1.0.0: a text and the lines of those who signed it.
//!
//! A note whose signatures were not verified is noise: nothing reads [`Note::text`] before [`Note::verify`]. What checkpoints say is
//! in [`crate::checkpoint`].

use crate::encoding::{base64, excerpt, from_base64};
use crate::key::{LogSigner, LogVerifier, check_name};

/// Bytes of one note: a checkpoint body, a log signature and a dozen post-quantum cosignatures of 5 kB each.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Signatures on one note: as many as every verifier must accept (signed-note, Format).
pub const NOTE_SIGNATURES_MAX: usize = 16;

/// A note whose form is right; its signatures are not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line. Lines of unknown keys and algorithms are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub key_name: String,
    /// Id of the key.
    pub key_id: u32,
    /// What the key made of the text; at least one byte.
    pub signature: Vec<u8>,
}

/// Why bytes are no note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Above [`NOTE_BYTES_MAX`].
    #[error("a note of {found} bytes is above the limit of {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Bytes found.
        found: usize,
    },
    /// Not UTF-8.
    #[error("a note is UTF-8, but byte {at} is not")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A control character other than newline.
    #[error("the control character {0:?} has no place in a note")]
    ControlCharacter(char),
    /// No empty line between text and signatures.
    #[error("a note has an empty line between its text and its signatures")]
    NoSignatures,
    /// The text of a note to sign does not end with a newline.
    #[error("the text of a note ends with a newline")]
    TextUnfinished,
    /// The last line does not end.
    #[error("a note ends with a newline")]
    NoFinalNewline,
    /// Above [`NOTE_SIGNATURES_MAX`].
    #[error("a note has at most {NOTE_SIGNATURES_MAX} signatures, found {found}")]
    TooManySignatures {
        /// Signature lines found.
        found: usize,
    },
    /// Not an em dash, a name and base64 of a key id and a signature.
    #[error("{0:?} is no signature line")]
    SignatureLine(String),
    /// The name in a signature line is none.
    #[error("{0:?} is no key name")]
    KeyName(String),
    /// What follows the name is not base64.
    #[error("the signature of {0:?} is not base64")]
    SignatureEncoding(String),
    /// No byte after the key id.
    #[error("the signature of {0:?} ends in or after its key id")]
    SignatureTooShort(String),
}

/// Why a note is not signed by the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No line with the name and id of the key.
    #[error("no signature of the key {name}+{id:08x}")]
    Missing {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: u32,
    },
    /// A line with name and id of the key that is not its signature.
    #[error("a signature of the key {name}+{id:08x} is not valid")]
    Invalid {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: u32,
    },
}

impl Note {
    /// Signs a text.
    ///
    /// # Errors
    /// When the text cannot be that of a note: too large, with control characters, or without newline at the end.
    pub fn sign(text: &str, signer: &LogSigner) -> Result<Self, NoteError> {
        check_text(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextUnfinished);
        }
        let verifier = signer.verifier();
        let signature = NoteSignature { key_name: verifier.name().to_owned(), key_id: verifier.id(), signature: signer.sign(text) };
        let note = Self { text: text.to_owned(), signatures: vec![signature] };
        let found = note.to_text().len();
        if found > NOTE_BYTES_MAX { Err(NoteError::TooLarge { found }) } else { Ok(note) }
    }

    /// Reads a note. What comes out has one spelling: [`Self::to_text`] gives the same bytes.
    ///
    /// # Errors
    /// The first thing that is wrong with its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge { found: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|error| NoteError::NotUtf8 { at: error.valid_up_to() })?;
        check_text(note)?;
        // The last empty line: texts may hold empty lines, signatures do not.
        let (_, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let text = note.strip_suffix(lines).and_then(|text| text.strip_suffix('\n')).ok_or(NoteError::NoSignatures)?;
        if lines.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoFinalNewline)?;
        let found = lines.split('\n').count();
        if found > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { found });
        }
        let signatures = lines.split('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The note as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for line in &self.signatures {
            note.push_str(&line.to_line());
        }
        note
    }

    /// What was signed, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order, of known and unknown keys.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks that the key signed the text. Lines of other keys are ignored, even when they share its name or its id; every line that
    /// shares both has to hold.
    ///
    /// # Errors
    /// When there is no line of the key, or one that is not its signature.
    pub fn verify(&self, verifier: &LogVerifier) -> Result<(), SignatureError> {
        let (name, id) = (verifier.name(), verifier.id());
        let mut found = false;
        for line in self.signatures.iter().filter(|line| line.key_name == name && line.key_id == id) {
            if !verifier.accepts(&self.text, &line.signature) {
                return Err(SignatureError::Invalid { name: name.to_owned(), id });
            }
            found = true;
        }
        if found { Ok(()) } else { Err(SignatureError::Missing { name: name.to_owned(), id }) }
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, encoded) =
            line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(|| NoteError::SignatureLine(excerpt(line)))?;
        check_name(name).map_err(|_| NoteError::KeyName(excerpt(name)))?;
        let bytes = from_base64(encoded).ok_or_else(|| NoteError::SignatureEncoding(excerpt(name)))?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { key_name: name.to_owned(), key_id: u32::from_be_bytes(*id), signature: signature.to_vec() })
            }
            _ => Err(NoteError::SignatureTooShort(excerpt(name))),
        }
    }

    fn to_line(&self) -> String {
        let bytes = [self.key_id.to_be_bytes().as_slice(), &self.signature].concat();
        format!("— {} {}\n", self.key_name, base64(&bytes))
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    match text.chars().find(|&letter| letter < '\u{20}' && letter != '\n') {
        Some(letter) => Err(NoteError::ControlCharacter(letter)),
        None => Ok(()),
    }
}
