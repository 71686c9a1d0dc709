//! The bytes of the document: attachments and the edXML file have the size and digest that the envelope seals.
//!
//! Bytes that are not there leave the verdict open, not negative: the axis deletes them after a time, the evidence stays.
//! Not the signatures inside the PDFs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use truc_signing::statement::{Envelope, attachment_subject};
use truc_types::Digest;
use truc_types::names::EDXML_SUBJECT;

use super::folder::{Folder, INSTRUCTIONS};
use super::report::Report;

/// `VERIFY.txt` of every release. A text that tells an auditor what to run is no place for a stranger's words.
const KNOWN_INSTRUCTIONS: [&str; 1] = [include_str!("../../../edge/src/verify.txt")];

/// Checks the files that the envelope names.
pub(super) fn check(folder: &Folder, envelope: &Envelope, report: &mut Report) {
    for (index, attachment) in envelope.attachments.iter().enumerate() {
        let path = folder.attachments.get(&index).map(AsRef::as_ref);
        check_file(&attachment_subject(index), path, attachment.size, &attachment.sha256, report);
    }
    for index in folder.attachments.keys().filter(|index| **index >= envelope.attachments.len()) {
        report.failed("content.digest", &attachment_subject(*index), "the envelope names no such attachment");
    }
    match (&envelope.edxml, &folder.edxml) {
        (Some(source), path) => check_file(EDXML_SUBJECT, path.as_deref(), source.size, &source.sha256, report),
        (None, Some(_)) => report.failed("content.digest", EDXML_SUBJECT, "the envelope names no edXML file"),
        (None, None) => {}
    }
}

/// Checks that the instructions are ours.
pub(super) fn check_instructions(folder: &Folder, report: &mut Report) {
    match &folder.instructions {
        Some(text) if KNOWN_INSTRUCTIONS.iter().any(|known| known.as_bytes() == text) => {
            report.passed("folder.guide", INSTRUCTIONS, "the instructions of this release");
        }
        Some(_) => report.failed("folder.guide", INSTRUCTIONS, "these are not the instructions of any release: do not follow them"),
        None => {}
    }
}

fn check_file(file: &str, path: Option<&Path>, size: u64, sha256: &Digest, report: &mut Report) {
    let Some(path) = path else {
        report.indeterminate("content.digest", file, format!("the file is not here; the envelope seals {size} bytes with digest {sha256}"));
        return;
    };
    let result = match digest(path, size) {
        Ok((found, _)) if found != size => Err(format!("it has {found} bytes or more, the envelope seals {size}")),
        Ok((_, found)) if found != *sha256 => Err(format!("its digest is {found}, the envelope seals {sha256}")),
        Ok(_) => Ok(format!("{size} bytes, digest {sha256}")),
        Err(cause) => Err(cause.to_string()),
    };
    report.result("content.digest", file, result);
}

/// Length and digest of a file; stops one byte after the expected size.
fn digest(path: &Path, size: u64) -> io::Result<(u64, Digest)> {
    let mut file = File::open(path)?.take(size.saturating_add(1));
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        length += u64::try_from(read).unwrap_or(0);
    }
    Ok((length, Digest(hash.finalize().into())))
}
