//! Drops what nobody goes on with: unfinished hand-ins of the DMS, and attachments that came in part, from the axis or out of an edXML file. Not what is
//! whole: that belongs to documents, or is forgotten with the refusal of one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use truc_blobs::BlobStore;
use truc_transport::clock;
use truc_types::limits::HAND_IN_AGE_MILLIS_MAX;

use crate::hand_in::HandIns;
use crate::node::Node;

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Sweeps now and every hour, until it is dropped.
pub(crate) async fn run(node: Arc<Node>) -> Infallible {
    loop {
        let (hand_ins, blobs) = (Arc::clone(&node.hand_ins), Arc::clone(&node.blobs));
        // The next round tries again.
        if let Err(cause) = tokio::task::spawn_blocking(move || once(&hand_ins, blobs.as_ref())).await {
            tracing::warn!(%cause, "a sweep of unfinished files broke");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// A fault of one folder keeps nobody from the other. Parts that stayed for ever would one day be as many as may be open, and no attachment could be taken.
fn once(hand_ins: &HandIns, blobs: &dyn BlobStore) {
    if let Err(cause) = hand_ins.sweep() {
        tracing::warn!(%cause, "unfinished hand-ins could not be swept");
    }
    if let Err(cause) = blobs.sweep(clock::now(), Duration::from_millis(HAND_IN_AGE_MILLIS_MAX)) {
        tracing::warn!(%cause, "parts of attachments could not be swept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::SystemTime;
    use truc_blobs::{FolderStore, OPEN_UPLOADS_PER_AGENCY_MAX, UploadState};
    use truc_signing::sha256;
    use truc_types::{AgencyCode, Reason};

    /// Every file below a folder looks as if it had not been touched since.
    fn make_older(folder: &std::path::Path, changed: SystemTime) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                make_older(&path, changed);
            } else {
                File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
            }
        }
    }

    #[test]
    fn parts_that_nobody_goes_on_with_make_room_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let hand_ins = HandIns::open(&folder.path().join("hand-ins")).unwrap();
        let blobs = FolderStore::open(&folder.path().join("blobs")).unwrap();
        let agency: AgencyCode = "H53".parse().unwrap();
        for number in 0..OPEN_UPLOADS_PER_AGENCY_MAX {
            let digest = sha256(number.to_string().as_bytes());
            blobs.begin_upload(&agency, &digest, 100).unwrap();
            blobs.append(&agency, &digest, 0, b"half").unwrap();
        }
        let begin = |what: &[u8]| blobs.begin_upload(&agency, &sha256(what), 100);
        once(&hand_ins, &blobs);
        assert_eq!(begin(b"0").unwrap(), UploadState::Resume(4), "a part of today is gone on with");
        assert_ne!(begin(b"new").unwrap_err().reason(), Reason::DiskFull);
        let age = Duration::from_millis(HAND_IN_AGE_MILLIS_MAX + 60_000);
        make_older(folder.path(), SystemTime::UNIX_EPOCH + Duration::from_millis(clock::now().as_millis()) - age);
        once(&hand_ins, &blobs);
        assert_eq!(begin(b"new").unwrap(), UploadState::Resume(0));
        assert_eq!(begin(b"0").unwrap(), UploadState::Resume(0));
    }
}
