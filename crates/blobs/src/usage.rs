//! How much is in a store: counted by walking its folders, up to a number of files. Not a balance that is kept: it would have to be right after
//! every crash, and nobody needs it often.

use std::path::Path;
use std::time::UNIX_EPOCH;

use truc_types::{AgencyCode, Timestamp};

use crate::BlobError;
use crate::files::{Files, list, metadata};

/// What is in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Whole blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that are pinned now.
    pub pinned: u64,
    /// Unfinished uploads, by agency.
    pub uploads: Vec<AgencyUploads>,
    /// The walk ended at its limit: the numbers are lower bounds.
    pub partial: bool,
}

/// Unfinished uploads of one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyUploads {
    /// The agency.
    pub agency: AgencyCode,
    /// How many.
    pub uploads: u64,
    /// Bytes that have arrived.
    pub bytes: u64,
    /// When something was last added to the one that waits longest.
    pub oldest: Timestamp,
}

/// Counts at most `files_max` blobs.
pub(crate) fn count(files: &Files, root: &Path, files_max: u64) -> Result<Usage, BlobError> {
    let mut usage = Usage::default();
    'blobs: for folder in list(&root.join("blobs"))? {
        for blob in list(&folder)? {
            if usage.blobs == files_max {
                usage.partial = true;
                break 'blobs;
            }
            // One that was deleted meanwhile is not counted.
            if let Some(found) = metadata(&blob)? {
                usage.blobs += 1;
                usage.bytes += found.len();
            }
        }
    }
    for (agency, digest) in files.uploads()? {
        let part = files.part(&agency, &digest);
        let Some(found) = metadata(&part)? else { continue };
        let changed = found.modified().map_err(BlobError::storage("look at", &part))?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Timestamp::from_millis(u64::try_from(changed.as_millis()).unwrap_or(u64::MAX));
        match usage.uploads.iter_mut().find(|uploads| uploads.agency == agency) {
            Some(uploads) => {
                uploads.uploads += 1;
                uploads.bytes += found.len();
                uploads.oldest = uploads.oldest.min(changed);
            }
            None => usage.uploads.push(AgencyUploads { agency, uploads: 1, bytes: found.len(), oldest: changed }),
        }
    }
    usage.uploads.sort_by_key(|uploads| uploads.oldest);
    Ok(usage)
}
