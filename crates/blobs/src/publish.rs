//! How a verified file becomes a blob that an agency owns, and how a blob goes: the order of steps, and what a crash or power cut after each one leaves.
//!
//! | publishing | a crash here leaves |
//! |---|---|
//! | 1. sync the part file | the part: the agency resumes at its end and finishes again |
//! | 2. create the owner file, sync it and its folder | the part and an ownership without (or with an older copy of) the blob: as above, or complete |
//! | 3. rename the part to the blob, replacing an older copy | the same, or the blob |
//! | 4. sync the folder of the blob | the blob, owned: now the caller is answered |
//!
//! The owner file comes first so that no agency ever transfers a blob twice because of a crash. It is no lie without its blob: it says that the agency has
//! delivered every byte once, and it counts only while the blob is there. The old name of the part may return after a power cut; it is swept.
//!
//! | deleting | a crash here leaves |
//! |---|---|
//! | 1. remove every owner file, sync their folders | a blob that nobody owns: deleting again removes it |
//! | 2. remove the blob, sync its folder | nothing |

use std::fs::{self, File};
use std::path::Path;

use truc_types::{AgencyCode, Digest};

use crate::BlobError;
use crate::files::{Files, metadata, remove, sync_file, sync_folder_of};

/// The first step, before the lock of the blob is taken: others need not wait for it.
///
/// If it fails, the part is dropped: after that the page cache may show what the disk does not have, and the bytes have to come again.
pub(crate) fn make_durable(part: &Path) -> Result<(), BlobError> {
    if let Err(error) = sync_file(part) {
        remove(part)?;
        return Err(error);
    }
    Ok(())
}

/// Makes the verified and durable file `part` the blob and the agency its owner. The caller holds the lock of the blob.
///
/// A name of which it is not known whether it is durable is taken back, unless it stood there before: nobody must find the blob by it.
pub(crate) fn publish(files: &Files, part: &Path, agency: &AgencyCode, digest: &Digest) -> Result<(), BlobError> {
    let (owner, blob) = (files.owner(agency, digest), files.blob(digest));
    let (was_owned, was_there) = (metadata(&owner)?.is_some(), metadata(&blob)?.is_some());
    files.ensure_folder_of(&owner)?;
    let owned = File::create(&owner).and_then(|file| file.sync_all()).map_err(BlobError::storage("create", &owner));
    if let Err(error) = owned.and_then(|()| sync_folder_of(&owner)) {
        if !was_owned {
            remove(&owner)?;
        }
        return Err(error);
    }
    files.ensure_folder_of(&blob)?;
    fs::rename(part, &blob).map_err(BlobError::storage("rename to", &blob))?;
    if let Err(error) = sync_folder_of(&blob) {
        if !was_there {
            remove(&blob)?;
        }
        return Err(error);
    }
    Ok(())
}

/// Removes a blob and every ownership of it; answers whether the blob was there. The caller holds the lock of the blob and has looked for pins.
pub(crate) fn unpublish(files: &Files, digest: &Digest) -> Result<bool, BlobError> {
    for owner in files.owners(digest)? {
        if remove(&owner)? {
            sync_folder_of(&owner)?;
        }
    }
    let blob = files.blob(digest);
    let was_there = remove(&blob)?;
    if was_there {
        sync_folder_of(&blob)?;
    }
    Ok(was_there)
}
