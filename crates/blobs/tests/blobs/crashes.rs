//! Every state that a kill between two steps of publishing or deleting leaves, found by the next process.

use std::fs;

use truc_blobs::{BlobError, BlobStore, FolderStore, UploadState};

use crate::scratch::{Scratch, digest_of, ministry, province};

const BYTES: &[u8] = b"cong van so 12/BNV";

/// A store whose process died when everything had arrived and `finish` was about to begin.
fn before_finish(foreign: bool) -> Scratch {
    let scratch = Scratch::new();
    if foreign {
        scratch.upload(&province(), BYTES);
    }
    let digest = digest_of(BYTES);
    scratch.store().begin_upload(&ministry(), &digest, BYTES.len() as u64).unwrap();
    scratch.store().append(&ministry(), &digest, 0, BYTES).unwrap();
    scratch
}

/// Whatever was left, beginning again and doing as told ends well; the answer says how much had to be sent again.
fn recover(scratch: &mut Scratch) -> usize {
    scratch.reopen();
    let (store, agency, digest) = (scratch.store(), ministry(), digest_of(BYTES));
    let sent = match store.begin_upload(&agency, &digest, BYTES.len() as u64).unwrap() {
        UploadState::Complete => 0,
        UploadState::Resume(offset) => {
            let missing = &BYTES[usize::try_from(offset).unwrap()..];
            store.append(&agency, &digest, offset, missing).unwrap();
            missing.len()
        }
    };
    assert_eq!(store.finish(&agency, &digest).unwrap(), BYTES.len() as u64);
    assert_eq!(store.owns(&agency, &digest).unwrap(), Some(BYTES.len() as u64));
    assert_eq!(scratch.read(&digest, 0), BYTES);
    sent
}

#[test]
fn a_kill_after_any_step_of_publishing_costs_no_second_transfer() {
    for foreign in [false, true] {
        let digest = digest_of(BYTES);
        let mut scratch = before_finish(foreign);
        assert_eq!(recover(&mut scratch), 0);
        assert!(!scratch.part(&ministry(), &digest).exists());

        let mut scratch = before_finish(foreign);
        let owner = scratch.owner(&ministry(), &digest);
        fs::create_dir_all(owner.parent().unwrap()).unwrap();
        fs::write(&owner, b"").unwrap();
        assert_eq!(recover(&mut scratch), 0);

        let mut scratch = before_finish(foreign);
        fs::create_dir_all(owner_folder(&scratch)).unwrap();
        fs::write(scratch.owner(&ministry(), &digest), b"").unwrap();
        fs::create_dir_all(scratch.blob(&digest).parent().unwrap()).unwrap();
        fs::rename(scratch.part(&ministry(), &digest), scratch.blob(&digest)).unwrap();
        assert_eq!(recover(&mut scratch), 0);
    }
}

fn owner_folder(scratch: &Scratch) -> std::path::PathBuf {
    scratch.owner(&ministry(), &digest_of(BYTES)).parent().unwrap().to_owned()
}

#[test]
fn an_ownership_without_its_blob_counts_as_none() {
    let mut scratch = Scratch::new();
    let digest = digest_of(BYTES);
    fs::create_dir_all(owner_folder(&scratch)).unwrap();
    fs::write(scratch.owner(&ministry(), &digest), b"").unwrap();
    assert_eq!(scratch.store().owns(&ministry(), &digest).unwrap(), None);
    assert_eq!(recover(&mut scratch), BYTES.len());
}

#[test]
fn a_part_that_returns_after_a_power_cut_is_harmless() {
    let mut scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), BYTES);
    fs::write(scratch.part(&ministry(), &digest), BYTES).unwrap();
    assert_eq!(recover(&mut scratch), 0);
    scratch.store().abandon(&ministry(), &digest).unwrap();
    assert_eq!(scratch.read(&digest, 0), BYTES);
}

#[test]
fn a_part_filled_with_zeros_by_a_power_cut_is_refused_and_sent_again() {
    let mut scratch = before_finish(false);
    fs::write(scratch.part(&ministry(), &digest_of(BYTES)), vec![0; BYTES.len()]).unwrap();
    scratch.reopen();
    let digest = digest_of(BYTES);
    scratch.store().begin_upload(&ministry(), &digest, BYTES.len() as u64).unwrap();
    assert!(matches!(scratch.store().finish(&ministry(), &digest), Err(BlobError::DigestMismatch { .. })));
    assert_eq!(recover(&mut scratch), BYTES.len());
}

#[test]
fn a_kill_between_the_steps_of_deleting_leaves_nothing_that_anyone_owns() {
    let mut scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), BYTES);
    scratch.upload(&province(), BYTES);
    for agency in [ministry(), province()] {
        fs::remove_file(scratch.owner(&agency, &digest)).unwrap();
    }
    scratch.reopen();
    assert_eq!(scratch.store().owns(&ministry(), &digest).unwrap(), None);
    assert!(scratch.store().delete(&digest).unwrap());
    assert!(!scratch.store().delete(&digest).unwrap());
}

#[test]
fn files_that_are_not_ours_and_left_overs_of_local_readers_do_not_hinder_the_start() {
    let mut scratch = before_finish(false);
    for stray in ["uploads/not an agency/x.part", "uploads/G09/short.part", "uploads/G09/note.txt", "incoming/7.part"] {
        let path = scratch.path().join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"?").unwrap();
    }
    scratch.reopen();
    assert!(scratch.path().join("uploads/G09/note.txt").exists());
    assert!(!scratch.path().join("incoming/7.part").exists());
    assert!(matches!(FolderStore::open(scratch.path()), Err(BlobError::Locked { .. })));
    assert_eq!(recover(&mut scratch), 0);
}
