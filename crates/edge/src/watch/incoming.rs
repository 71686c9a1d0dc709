//! `in/`: scans, takes settled files up one after another, hands each in, and shelves it in `done/` or `failed/`. One bad file delays no other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use truc_blobs::BlobError;
use truc_edxml::Diagnostic;
use truc_signing::sha256;
use truc_types::limits::{BLOB_BYTES_MAX, WATCH_FILES_PER_SCAN_MAX};
use truc_types::{Blame, Digest, MessageId, Reason, Refusal, Retry};

use super::folders::{Dropped, Folders, Shelf, TakenUp};
use super::settle::{Watched, ends_like_edxml};
use super::{WatchFolder, report};
use crate::edxml::{Rejected, Staged, hand_in};
use crate::node::Node;

/// What a client reference of a dropped file begins with.
pub(super) const REFERENCE_PREFIX: &str = "watch:";
/// Bytes at the end of a file that show whether it is whole.
const TAIL_BYTES: u64 = 512;

/// Scans until the edge ends.
pub(crate) async fn run(node: Arc<Node>, settings: WatchFolder) {
    let mut watched = Watched::default();
    let mut last_fault = None;
    loop {
        let fault = scan(&node, &settings, &mut watched).await.err();
        // Once per fault, not once per scan.
        if let Some(refusal) = fault.as_ref().filter(|fault| Some(*fault) != last_fault.as_ref()) {
            tracing::error!(reason = %refusal.reason, message = %refusal.message, "the watch folder cannot be read");
        }
        last_fault = fault;
        tokio::time::sleep(Duration::from_millis(settings.poll_millis)).await;
    }
}

async fn scan(node: &Arc<Node>, settings: &WatchFolder, watched: &mut Watched) -> Result<(), Refusal> {
    let (path, known, now) = (settings.path.clone(), std::mem::take(watched), Instant::now());
    let scanning = tokio::task::spawn_blocking(move || {
        let mut watched = known;
        let found = Folders::open(&path).and_then(|folders| {
            let found = folders.dropped(WATCH_FILES_PER_SCAN_MAX, |name| watched.is_paused(name, now))?;
            Ok((Arc::new(folders), found))
        });
        if let Ok((_, found)) = &found {
            watched.scanned(found, now);
        }
        (watched, found)
    });
    let (kept, found) = scanning.await.map_err(|cause| fault(&cause))?;
    *watched = kept;
    let (folders, found) = found.map_err(|cause| fault(&cause))?;
    let (settle, patience) = (Duration::from_millis(settings.settle_millis), Duration::from_millis(settings.patience_millis));
    for dropped in found {
        let quiet = watched.quiet_for(&dropped, now);
        if quiet < settle {
            continue;
        }
        match take(node, &folders, &dropped, quiet >= patience).await {
            Ok(true) => {}
            Ok(false) => watched.pause(&dropped.name, Instant::now()),
            Err(refusal) => {
                // No name: it may be a title.
                tracing::warn!(reason = %refusal.reason, message = %refusal.message, "a dropped file has to wait");
                watched.pause(&dropped.name, Instant::now());
            }
        }
    }
    Ok(())
}

/// What the first look at a file found.
enum Looked {
    /// It is whole and copied.
    Staged(Staged),
    /// It is no longer what was scanned, or has no end yet.
    Wait,
    TooLarge,
}

/// Hands one file in and shelves it; false if it has to wait.
async fn take(node: &Arc<Node>, folders: &Arc<Folders>, dropped: &Dropped, patience_over: bool) -> Result<bool, Refusal> {
    node.meters.check_disk()?;
    let (staging, at, file) = (node.hand_ins.root().to_owned(), Arc::clone(folders), dropped.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let taken = at.take_up(&file.name).map_err(|cause| fault(&cause))?;
        let looked = if taken.stamp != file.stamp {
            Looked::Wait
        } else if taken.stamp.bytes > BLOB_BYTES_MAX {
            Looked::TooLarge
        } else if !patience_over && !ends_like_edxml(&taken.tail(TAIL_BYTES).map_err(|cause| fault(&cause))?) {
            Looked::Wait
        } else {
            let mut reader = taken.reader().map_err(|cause| fault(&cause))?;
            let staged = Staged::copy(&staging, &mut reader).map_err(|cause| match cause {
                BlobError::Reader { source } => fault(&source),
                cause => Refusal::new(cause.reason(), cause.to_string()),
            })?;
            if taken.unchanged().map_err(|cause| fault(&cause))? { Looked::Staged(staged) } else { Looked::Wait }
        };
        Ok::<_, Refusal>((taken, looked))
    });
    let (taken, looked) = looking.await.map_err(|cause| fault(&cause))??;
    match looked {
        Looked::Wait => Ok(false),
        Looked::TooLarge => {
            let message = format!("the file has {} bytes, at most {BLOB_BYTES_MAX} are carried", taken.stamp.bytes);
            let rejected = Rejected::from(Refusal::new(Reason::AttachmentTooLarge, message));
            fail(folders, dropped, taken, None, rejected).await
        }
        Looked::Staged(staged) => {
            let digest = staged.stored.digest;
            let reference = reference_of(&dropped.name, &digest);
            match handed_in(node, &reference, staged).await {
                Ok((message_id, warnings)) => {
                    let note = report::handed_in(&dropped.name, &digest, &reference, message_id, &warnings);
                    shelve(folders, Shelf::Done, dropped, message_id.to_string(), taken, vec![(".json", note)]).await
                }
                Err(rejected) => fail(folders, dropped, taken, Some(digest), rejected).await,
            }
        }
    }
}

/// The client reference of a dropped file: `watch:`, the first 32 digits of the SHA-256 of its name, a colon, the SHA-256 of its bytes.
fn reference_of(name: &OsStr, digest: &Digest) -> String {
    let name = sha256(name.as_bytes()).to_hex();
    format!("{REFERENCE_PREFIX}{}:{digest}", name.get(..32).unwrap_or_default())
}

/// What was handed in under this reference before, by a life that ended before it could shelve the file, is not read again. A document that the axis has
/// refused since then was not sent, and the same file under the same name never will be: that is a failure, or its sender would take it for sent.
async fn handed_in(node: &Arc<Node>, reference: &str, staged: Staged) -> Result<(MessageId, Vec<Diagnostic>), Rejected> {
    let wanted = reference.to_owned();
    let known = node.store.read(move |state| match state.reference(&wanted)? {
        Some(known) => Ok(Some((known.message_id, state.outbox(&known.message_id)?.and_then(|row| row.refusal)))),
        None => Ok(None),
    });
    match known.await? {
        None => hand_in(node, reference.to_owned(), staged).await,
        Some((message_id, None)) => Ok((message_id, Vec::new())),
        Some((message_id, Some((reason, message)))) => {
            let message = format!(
                "the axis refused this document before, as {message_id} ({reason}: {message}); to send it again give the file another name"
            );
            Err(Refusal::new(Reason::ReferenceConflict, message).with("message_id", message_id).into())
        }
    }
}

/// Shelves a file that is at fault; one that only met trouble of this edge stays.
async fn fail(
    folders: &Arc<Folders>,
    dropped: &Dropped,
    taken: TakenUp,
    digest: Option<Digest>,
    rejected: Rejected,
) -> Result<bool, Refusal> {
    let Rejected { refusal, diagnostics } = rejected;
    if refusal.reason.retry() == Retry::Later || matches!(refusal.reason.blame(), Blame::Operator | Blame::Us) {
        return Err(refusal);
    }
    tracing::warn!(reason = %refusal.reason, message = %refusal.message, "a dropped file is refused");
    let notes = vec![
        (".diagnostics.json", report::failed_json(&dropped.name, digest.as_ref(), &refusal, &diagnostics)),
        (".diagnostics.txt", report::failed_text(&dropped.name, &refusal, &diagnostics)),
    ];
    // Too large to be read: its size stands for its bytes.
    let tag = digest.map_or_else(|| taken.stamp.bytes.to_string(), |digest| digest.to_hex().chars().take(16).collect());
    shelve(folders, Shelf::Failed, dropped, tag, taken, notes).await
}

async fn shelve(
    folders: &Arc<Folders>,
    shelf: Shelf,
    dropped: &Dropped,
    tag: String,
    taken: TakenUp,
    notes: Vec<(&'static str, Vec<u8>)>,
) -> Result<bool, Refusal> {
    let (folders, name) = (Arc::clone(folders), dropped.name.clone());
    let shelving = tokio::task::spawn_blocking(move || folders.shelve(shelf, &name, &tag, &taken, &notes));
    shelving.await.map_err(|cause| fault(&cause))?.map_err(|cause| fault(&cause))
}

/// Trouble with the folder itself.
pub(super) fn fault(cause: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Reason::WatchFolder, cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_types::limits::CLIENT_REFERENCE_BYTES_MAX;

    #[test]
    fn the_reference_follows_from_name_and_bytes() {
        let reference = |name: &str, bytes: &[u8]| reference_of(OsStr::new(name), &sha256(bytes));
        assert_eq!(
            reference("a.edxml", b"x"),
            "watch:21def92235aa68e3dd022977287983de:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        );
        assert_ne!(reference("a.edxml", b"x"), reference("b.edxml", b"x"));
        assert_ne!(reference("a.edxml", b"x"), reference("a.edxml", b"y"));
        assert!(reference(&"x".repeat(255), b"x").len() <= CLIENT_REFERENCE_BYTES_MAX);
    }
}
