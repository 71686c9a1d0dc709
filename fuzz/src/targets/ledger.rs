//! Checkpoints, notes, proofs, verifier keys, peaks of a tree: what is read is written so that it reads back equal.

use truc_ledger::{Checkpoint, Frontier, LogVerifier, Note, TlogProof};
use truc_types::Digest;

pub(super) fn checkpoint(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    // The body of a signed one, or the text as it is.
    let body = text.split_once("\n\n").map_or_else(|| text.to_owned(), |(body, _)| format!("{body}\n"));
    let Ok(checkpoint) = Checkpoint::parse_body(&body) else { return false };
    let again = Checkpoint::parse_body(&checkpoint.to_body());
    assert!(again.is_ok_and(|again| again == checkpoint), "a checkpoint reads back as another");
    true
}

pub(super) fn note(input: &[u8]) -> bool {
    let Ok(note) = Note::parse(input) else { return false };
    assert!(Note::parse(note.to_text().as_bytes()).is_ok_and(|again| again == note), "a note reads back as another");
    true
}

pub(super) fn tlog_proof(input: &[u8]) -> bool {
    let Ok(proof) = TlogProof::parse(input) else { return false };
    assert!(TlogProof::parse(proof.to_text().as_bytes()).is_ok_and(|again| again == proof), "a proof reads back as another");
    true
}

pub(super) fn vkey(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(key) = text.strip_suffix('\n').unwrap_or(text).parse::<LogVerifier>() else { return false };
    assert!(key.to_string().parse::<LogVerifier>().is_ok_and(|again| again.to_string() == key.to_string()), "a key reads back as another");
    true
}

/// A size and digests: a frontier has as many peaks as its size has bits, and gives them back.
pub(super) fn peaks(input: &[u8]) -> bool {
    let Some((size, rest)) = input.split_first_chunk::<8>() else { return false };
    let (digests, _) = rest.as_chunks::<32>();
    let peaks: Vec<_> = digests.iter().copied().map(Digest).collect();
    let size = u64::from_be_bytes(*size);
    let Ok(mut frontier) = Frontier::from_peaks(size, peaks.clone()) else { return false };
    assert_eq!(u32::try_from(peaks.len()), Ok(size.count_ones()), "a frontier of {size} leaves took {} peaks", peaks.len());
    let root = frontier.root();
    if size < u64::MAX {
        frontier.append(Digest([1; 32]));
        assert_ne!(frontier.root(), root, "a leaf more left the root as it was");
    }
    true
}
