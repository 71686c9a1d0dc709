//! Uploads: resuming, wrong offsets, sizes and digests, limits, and that nobody learns what others have.

use std::time::Duration;

use proptest::prelude::*;
use truc_blobs::{BlobError, BlobStore, OPEN_UPLOADS_PER_AGENCY_MAX, UploadState};
use truc_types::limits::BLOB_BYTES_MAX;
use truc_types::{Reason, Timestamp};

use crate::scratch::{Scratch, digest_of, ministry, province};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn an_upload_resumes_after_a_cut_at_any_byte(
        bytes in proptest::collection::vec(any::<u8>(), 0..5_000),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 0..4_usize), 0..4),
    ) {
        let mut scratch = Scratch::new();
        let (agency, digest, size) = (ministry(), digest_of(&bytes), bytes.len() as u64);
        let mut sent = 0_usize;
        for (cut, restart, torn) in cuts {
            let begun = scratch.store().begin_upload(&agency, &digest, size).unwrap();
            prop_assert_eq!(begun, UploadState::Resume(sent as u64));
            let end = sent + cut.index(bytes.len() - sent + 1);
            prop_assert_eq!(scratch.store().append(&agency, &digest, sent as u64, &bytes[sent..end]).unwrap(), end as u64);
            sent = end;
            if restart {
                scratch.reopen();
                // A power cut may also take the end of the file away.
                sent = sent.saturating_sub(torn);
                let part = std::fs::File::options().write(true).open(scratch.part(&agency, &digest)).unwrap();
                part.set_len(sent as u64).unwrap();
                let refused = scratch.store().append(&agency, &digest, sent as u64, b"");
                prop_assert!(matches!(refused, Err(BlobError::NotBegun { .. })), "not begun");
            }
        }
        prop_assert_eq!(scratch.store().begin_upload(&agency, &digest, size).unwrap(), UploadState::Resume(sent as u64));
        if sent < bytes.len() {
            let incomplete = scratch.store().finish(&agency, &digest);
            prop_assert!(matches!(incomplete, Err(BlobError::Incomplete { length, .. }) if length == sent as u64), "at {}", sent);
        }
        scratch.store().append(&agency, &digest, sent as u64, &bytes[sent..]).unwrap();
        prop_assert_eq!(scratch.store().finish(&agency, &digest).unwrap(), size);
        scratch.reopen();
        prop_assert_eq!(scratch.store().finish(&agency, &digest).unwrap(), size);
        prop_assert_eq!(scratch.store().begin_upload(&agency, &digest, size).unwrap(), UploadState::Complete);
        prop_assert_eq!(scratch.read(&digest, 0), bytes);
    }
}

#[test]
fn wrong_offsets_are_told_the_right_one_and_change_nothing() {
    let scratch = Scratch::new();
    let (store, agency, digest) = (scratch.store(), ministry(), digest_of(b"attachment"));
    store.begin_upload(&agency, &digest, 10).unwrap();
    store.append(&agency, &digest, 0, b"attach").unwrap();
    for offset in [0, 5, 7, u64::MAX] {
        let refused = store.append(&agency, &digest, offset, b"ment").unwrap_err();
        assert!(matches!(refused, BlobError::WrongOffset { expected: 6, .. }), "{refused}");
        assert_eq!(refused.reason(), Reason::BlobOffset);
    }
    assert!(matches!(store.append(&agency, &digest, 6, b"ments"), Err(BlobError::TooLong { length: 11, size: 10, .. })));
    store.append(&agency, &digest, 6, b"ment").unwrap();
    assert_eq!(store.finish(&agency, &digest).unwrap(), 10);
}

#[test]
fn wrong_bytes_are_dropped_and_the_upload_begins_anew() {
    for restart in [false, true] {
        let mut scratch = Scratch::new();
        let (agency, digest) = (ministry(), digest_of(b"right"));
        scratch.store().begin_upload(&agency, &digest, 5).unwrap();
        scratch.store().append(&agency, &digest, 0, b"wrong").unwrap();
        if restart {
            scratch.reopen();
            assert_eq!(scratch.store().begin_upload(&agency, &digest, 5).unwrap(), UploadState::Resume(5));
        }
        let refused = scratch.store().finish(&agency, &digest).unwrap_err();
        assert!(matches!(refused, BlobError::DigestMismatch { found, .. } if found == digest_of(b"wrong")), "{refused}");
        assert!(!scratch.part(&agency, &digest).exists() && !scratch.blob(&digest).exists());
        assert_eq!(scratch.store().owns(&agency, &digest).unwrap(), None);
        assert!(matches!(scratch.store().finish(&agency, &digest), Err(BlobError::NotBegun { .. })));
        assert_eq!(scratch.store().begin_upload(&agency, &digest, 5).unwrap(), UploadState::Resume(0));
        scratch.upload(&agency, b"right");
    }
}

#[test]
fn sizes_are_limited_and_may_be_declared_anew() {
    let scratch = Scratch::new();
    let (store, agency, digest) = (scratch.store(), ministry(), digest_of(b"abc"));
    assert!(matches!(store.begin_upload(&agency, &digest, BLOB_BYTES_MAX + 1), Err(BlobError::TooLarge { .. })));
    store.begin_upload(&agency, &digest, BLOB_BYTES_MAX).unwrap();
    store.append(&agency, &digest, 0, b"abcdef").unwrap();
    assert_eq!(store.begin_upload(&agency, &digest, 3).unwrap(), UploadState::Resume(0));
    store.append(&agency, &digest, 0, b"abc").unwrap();
    assert_eq!(store.finish(&agency, &digest).unwrap(), 3);
    assert!(matches!(store.begin_upload(&agency, &digest, 4), Err(BlobError::SizeMismatch { size: 3, declared: 4, .. })));
}

/// What an agency is answered through a whole upload, as text.
fn answers(scratch: &Scratch, bytes: &[u8]) -> Vec<String> {
    let (store, agency, digest) = (scratch.store(), province(), digest_of(bytes));
    let size = bytes.len() as u64;
    vec![
        format!("{:?}", store.owns(&agency, &digest)),
        format!("{:?}", store.append(&agency, &digest, 0, bytes)),
        format!("{:?}", store.finish(&agency, &digest)),
        format!("{:?}", store.begin_upload(&agency, &digest, size + 1)),
        format!("{:?}", store.begin_upload(&agency, &digest, size)),
        format!("{:?}", store.finish(&agency, &digest)),
        format!("{:?}", store.append(&agency, &digest, 0, &bytes[..3])),
        format!("{:?}", store.owns(&agency, &digest)),
        format!("{:?}", store.abandon(&agency, &digest)),
        format!("{:?}", store.begin_upload(&agency, &digest, size)),
        format!("{:?}", store.append(&agency, &digest, 0, bytes)),
        format!("{:?}", store.begin_upload(&agency, &digest, size)),
        format!("{:?}", store.finish(&agency, &digest)),
        format!("{:?}", store.owns(&agency, &digest)),
        format!("{:?}", store.begin_upload(&agency, &digest, size)),
    ]
}

#[test]
fn what_others_have_is_answered_like_what_nobody_has() {
    let (absent, foreign) = (Scratch::new(), Scratch::new());
    let digest = foreign.upload(&ministry(), b"confidential");
    assert_eq!(answers(&foreign, b"confidential"), answers(&absent, b"confidential"));
    // Both own the one copy.
    assert_eq!(foreign.store().owns(&ministry(), &digest).unwrap(), Some(12));
    assert_eq!(std::fs::read_dir(foreign.blob(&digest).parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn open_uploads_of_an_agency_are_limited_and_abandoned_ones_swept() {
    let mut scratch = Scratch::new();
    let agency = ministry();
    let digest = |n: usize| digest_of(&n.to_be_bytes());
    for n in 0..OPEN_UPLOADS_PER_AGENCY_MAX {
        scratch.store().begin_upload(&agency, &digest(n), 8).unwrap();
    }
    scratch.reopen();
    let over = digest(OPEN_UPLOADS_PER_AGENCY_MAX);
    assert!(matches!(scratch.store().begin_upload(&agency, &over, 8), Err(BlobError::TooManyUploads)));
    scratch.store().begin_upload(&agency, &digest(3), 8).unwrap();
    scratch.store().begin_upload(&province(), &over, 8).unwrap();
    scratch.store().abandon(&agency, &digest(3)).unwrap();
    scratch.store().abandon(&agency, &digest(3)).unwrap();
    scratch.store().begin_upload(&agency, &over, 8).unwrap();
    let hour = Duration::from_secs(3_600);
    let modified = std::fs::metadata(scratch.part(&agency, &over)).unwrap().modified().unwrap();
    let written = u64::try_from(modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let old = std::fs::File::options().write(true).open(scratch.part(&agency, &digest(0))).unwrap();
    old.set_modified(modified - 2 * hour).unwrap();
    assert_eq!(scratch.store().sweep(Timestamp::from_millis(written), hour).unwrap(), 1);
    assert!(!scratch.part(&agency, &digest(0)).exists());
    assert!(matches!(scratch.store().append(&agency, &digest(0), 0, b"x"), Err(BlobError::NotBegun { .. })));
    let all = OPEN_UPLOADS_PER_AGENCY_MAX as u64;
    assert_eq!(scratch.store().sweep(Timestamp::from_millis(written + 3_600_000), hour).unwrap(), all);
    assert_eq!(scratch.store().begin_upload(&agency, &over, 8).unwrap(), UploadState::Resume(0));
}

#[test]
fn an_upload_that_could_not_begin_takes_no_place() {
    let scratch = Scratch::new();
    let (agency, store) = (ministry(), scratch.store());
    let digest = |number: usize| digest_of(&number.to_be_bytes());
    store.begin_upload(&agency, &digest(0), 8).unwrap();
    store.abandon(&agency, &digest(0)).unwrap();
    // The folder goes away under the store, as with a disk that takes no file.
    let folder = scratch.part(&agency, &digest(0)).parent().unwrap().to_owned();
    std::fs::remove_dir(&folder).unwrap();
    for number in 0..=OPEN_UPLOADS_PER_AGENCY_MAX {
        let refused = store.begin_upload(&agency, &digest(number), 8).unwrap_err();
        assert!(matches!(refused, BlobError::Storage { .. }), "{refused}");
    }
    assert_eq!(store.uploads_open(), 0);
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(store.begin_upload(&agency, &digest(1), 8).unwrap(), UploadState::Resume(0));
}
