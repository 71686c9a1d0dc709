//! The lines of an exported journal, and what they prove by themselves: each entry is the leaf after the one before, and the tree of all leaves has the
//! root that the log signed. Not the writing (`admin journal export`) and not the check of the signature (`admin journal verify-export`).

use std::io::{BufRead, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use truc_ledger::{Frontier, leaf_hash};
use truc_types::Digest;

use crate::failure::Failure;

/// A line of an export: an entry of 64 KiB in base64, and the rest.
const LINE_BYTES_MAX: u64 = 100 * 1024;

/// One line: an entry, or at the end what the log signed over all of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// An entry.
    Entry(Entry),
    /// The last line.
    Signed(Signed),
}

/// An entry of the log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the journal.
    pub position: u64,
    /// Index of its leaf in the tree of its shard.
    pub leaf: u64,
    /// Number of its block.
    pub block: u64,
    /// Time of the block.
    pub block_time: String,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// The bytes, in base64.
    pub entry: String,
}

/// The checkpoint of the log behind the last entry (C2SP tlog-checkpoint).
#[derive(Debug, Serialize, Deserialize)]
pub struct Signed {
    /// Body and signature lines.
    pub checkpoint: String,
}

impl Entry {
    /// The line of these bytes.
    #[must_use]
    pub fn of(position: u64, leaf: u64, block: u64, block_time: String, bytes: &[u8]) -> Self {
        let sha256 = Digest(Sha256::digest(bytes).into()).to_hex();
        Self { position, leaf, block, block_time, sha256, entry: STANDARD.encode(bytes) }
    }
}

/// Why lines are no export.
#[derive(Debug)]
pub enum Fault {
    /// They cannot be read.
    Read(std::io::Error),
    /// A line is not what it should be.
    Line {
        /// Where it begins.
        at: u64,
        /// What is wrong with it.
        cause: String,
    },
}

impl Fault {
    /// The failure that it is for a file, by what the caller makes of a wrong line.
    pub fn of(self, path: &Path, wrong: impl FnOnce(String) -> Failure) -> Failure {
        match self {
            Self::Read(source) => Failure::file(path, source),
            Self::Line { at, cause } => wrong(format!("{} is no export: at byte {at}: {cause}", path.display())),
        }
    }
}

/// What has been read of an export so far.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Position behind the last entry.
    pub next: Option<u64>,
    /// Entries.
    pub entries: u64,
    /// Bytes of all lines with entries.
    pub bytes: u64,
    /// The tree of the current shard; `None` while its first leaf is missing.
    pub tree: Option<Frontier>,
    /// The bytes of the very first entry of the log, if the export begins with it.
    pub first: Option<Vec<u8>>,
    /// The last line, where there is one.
    pub checkpoint: Option<String>,
}

impl Mirror {
    /// Reads lines to the end, or to a last one that was not written to its end.
    ///
    /// # Errors
    /// The first line that is no entry, does not follow from those before, or is longer than any; and what cannot be read.
    pub fn read(&mut self, reader: &mut dyn BufRead) -> Result<(), Fault> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(Fault::Read)?;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            let at = self.bytes;
            if line.last() != Some(&b'\n') {
                let too_long = || Fault::Line { at, cause: "a line is longer than any entry".to_owned() };
                return if read == LINE_BYTES_MAX { Err(too_long()) } else { Ok(()) };
            }
            self.line(&line, read).map_err(|cause| Fault::Line { at, cause })?;
        }
    }

    fn line(&mut self, line: &[u8], length: u64) -> Result<(), String> {
        match serde_json::from_slice(line).map_err(|cause| cause.to_string())? {
            _ if self.checkpoint.is_some() => Err("something follows the checkpoint".to_owned()),
            Line::Signed(signed) => {
                self.checkpoint = Some(signed.checkpoint);
                Ok(())
            }
            Line::Entry(entry) => {
                let bytes = STANDARD.decode(&entry.entry).map_err(|cause| cause.to_string())?;
                if Digest(Sha256::digest(&bytes).into()).to_hex() != entry.sha256 {
                    return Err(format!("the entry at position {} does not have its SHA-256", entry.position));
                }
                self.append(entry.position, entry.leaf, &bytes)?;
                self.bytes += length;
                Ok(())
            }
        }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it does not follow the one before.
    pub fn append(&mut self, position: u64, leaf: u64, bytes: &[u8]) -> Result<(), String> {
        if let Some(next) = self.next.filter(|next| *next != position) {
            return Err(format!("position {position} comes where {next} should be"));
        }
        if leaf == 0 {
            // A shard begins: its tree is its own.
            self.tree = Some(Frontier::new());
        }
        if position == 0 {
            self.first = Some(bytes.to_vec());
        }
        if let Some(tree) = &mut self.tree {
            if tree.size() != leaf {
                return Err(format!("leaf {leaf} comes where {} should be", tree.size()));
            }
            tree.append(leaf_hash(bytes));
        }
        self.next = position.checked_add(1);
        self.entries += 1;
        Ok(())
    }
}
