//! Whole blobs: reading ranges, local readers, pins and deletion from many threads.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use truc_blobs::{BlobError, BlobStore, Stored};
use truc_types::limits::{BLOB_BYTES_MAX, BLOB_CHUNK_BYTES};

use crate::scratch::{Scratch, digest_of, ministry, province};

#[test]
fn ranges_read_to_the_end_even_while_the_blob_is_deleted() {
    let scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), b"0123456789");
    for offset in 0..=10 {
        assert_eq!(scratch.read(&digest, offset), &b"0123456789"[usize::try_from(offset).unwrap()..]);
    }
    assert!(matches!(scratch.store().open_range(&digest, 11), Err(BlobError::OffsetOutside { size: 10, .. })));
    let mut reader = scratch.store().open_range(&digest, 4).unwrap();
    assert_eq!((reader.size(), reader.remaining()), (10, 6));
    assert!(scratch.store().delete(&digest).unwrap());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), reader.remaining()), ("456789", 0));
    assert!(matches!(scratch.store().open_range(&digest, 0), Err(BlobError::Unknown { .. })));
    assert_eq!(scratch.store().owns(&ministry(), &digest).unwrap(), None);
}

#[test]
fn a_blob_that_was_cut_short_on_the_disk_fails_instead_of_ending_early() {
    let scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), b"0123456789");
    let mut reader = scratch.store().open_range(&digest, 0).unwrap();
    std::fs::File::options().write(true).open(scratch.blob(&digest)).unwrap().set_len(4).unwrap();
    let failed = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_blob_that_was_cut_short_on_the_disk_is_whole_again_when_its_bytes_come_again() {
    let scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), b"0123456789");
    assert_eq!(scratch.store().owns(&ministry(), &digest).unwrap(), Some(10));
    assert_eq!(scratch.store().owns_seen(&ministry(), &digest), Some(10));
    std::fs::File::options().write(true).open(scratch.blob(&digest)).unwrap().set_len(4).unwrap();
    assert_eq!(scratch.store().owns_seen(&ministry(), &digest), None, "what was seen is there no more");
    assert_eq!(scratch.store().owns(&ministry(), &digest).unwrap(), Some(4));
    assert_eq!(scratch.store().pin(&ministry(), &digest).unwrap().map(|(_, size)| size), Some(4));
    scratch.store().put_from_reader(&ministry(), &mut b"0123456789".as_slice()).unwrap();
    assert_eq!(scratch.read(&digest, 0), b"0123456789");
    assert_eq!(scratch.store().pin(&ministry(), &digest).unwrap().map(|(_, size)| size), Some(10));
}

#[test]
fn a_reader_gives_pieces_as_they_go_over_the_line() {
    let scratch = Scratch::new();
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(BLOB_CHUNK_BYTES + 5).collect();
    let digest = scratch.upload(&ministry(), &bytes);
    let mut reader = scratch.store().open_range(&digest, 1).unwrap();
    assert_eq!(reader.chunk().unwrap(), bytes[1..=BLOB_CHUNK_BYTES]);
    assert_eq!(reader.chunk().unwrap(), bytes[BLOB_CHUNK_BYTES + 1..]);
    assert!(reader.chunk().unwrap().is_empty());
}

#[test]
fn a_file_is_taken_over_from_wherever_it_lies() {
    let scratch = Scratch::new();
    let beside = tempfile::tempdir_in(scratch.path().parent().unwrap()).unwrap();
    // Memory is another file system than the disk: there is no renaming from one to the other.
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    for (folder, bytes) in [(beside.path(), b"beside".as_slice()), (elsewhere.path(), b"elsewhere")] {
        let (file, stored) = (folder.join("written"), Stored { digest: digest_of(bytes), size: bytes.len() as u64 });
        std::fs::write(&file, bytes).unwrap();
        let short = Stored { size: 1, ..stored };
        assert!(matches!(scratch.store().put_file(&ministry(), &file, &short), Err(BlobError::SizeMismatch { .. })));
        scratch.store().put_file(&ministry(), &file, &stored).unwrap();
        assert!(!file.exists());
        assert_eq!(scratch.read(&stored.digest, 0), bytes);
        assert_eq!(scratch.store().owns(&ministry(), &stored.digest).unwrap(), Some(stored.size));
        assert_eq!(scratch.store().owns(&province(), &stored.digest).unwrap(), None);
    }
}

/// Gives some bytes, then fails.
struct Failing(&'static [u8]);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("the line broke")) } else { self.0.read(buffer) }
    }
}

#[test]
fn local_readers_are_stored_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let stored = scratch.store().put_from_reader(&ministry(), &mut bytes.as_slice()).unwrap();
    assert_eq!((stored.digest, stored.size), (digest_of(&bytes), 700_000));
    assert_eq!(scratch.store().owns(&ministry(), &stored.digest).unwrap(), Some(700_000));
    assert_eq!(scratch.store().owns(&province(), &stored.digest).unwrap(), None);
    assert_eq!(scratch.read(&stored.digest, 0), bytes);
    assert!(matches!(scratch.store().put_from_reader(&ministry(), &mut Failing(b"half")), Err(BlobError::Reader { .. })));
    let mut endless = io::repeat(7);
    let refused = scratch.store().put_from_reader(&ministry(), &mut endless).unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { size } if size > BLOB_BYTES_MAX));
    assert_eq!(std::fs::read_dir(scratch.path().join("incoming")).unwrap().count(), 0);
    assert_eq!(scratch.store().durable_copies(), 1);
}

#[test]
fn a_pinned_blob_stays_until_its_last_pin_is_dropped() {
    let scratch = Scratch::new();
    let digest = digest_of(b"pinned");
    let pin = |agency: &truc_types::AgencyCode| scratch.store().pin(agency, &digest).unwrap();
    assert!(pin(&ministry()).is_none());
    scratch.upload(&ministry(), b"pinned");
    assert!(pin(&province()).is_none(), "it is somebody else's");
    let ((first, size), (second, again)) = (pin(&ministry()).unwrap(), pin(&ministry()).unwrap());
    assert_eq!((first.digest(), size, again), (&digest, 6, 6));
    let pins = (first, second);
    assert!(matches!(scratch.store().delete(&digest), Err(BlobError::Pinned { .. })));
    drop(pins.0);
    assert!(matches!(scratch.store().delete(&digest), Err(BlobError::Pinned { .. })));
    drop(pins.1);
    assert!(scratch.store().delete(&digest).unwrap());
    assert!(pin(&ministry()).is_none(), "what was looked up before does not stay when the blob goes");
}

#[test]
fn pins_and_deletions_from_many_threads_never_leave_a_pin_without_its_blob() {
    let scratch = Scratch::new();
    let digest = scratch.upload(&ministry(), b"contended");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinning: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut held = 0_u32;
                    while !done.load(Ordering::Relaxed) {
                        if let Some((pin, _)) = scratch.store().pin(&ministry(), &digest).unwrap() {
                            assert_eq!(scratch.read(pin.digest(), 0), b"contended");
                            held += 1;
                        }
                    }
                    held
                })
            })
            .collect();
        let mut deleted = 0;
        while deleted < 40 {
            match scratch.store().delete(&digest) {
                Ok(true) => {
                    deleted += 1;
                    scratch.upload(&ministry(), b"contended");
                }
                Ok(false) => panic!("only this thread deletes"),
                Err(error) => assert!(matches!(error, BlobError::Pinned { .. }), "{error}"),
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(pinning.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>() > 0);
    });
}

#[test]
fn uploads_of_one_blob_by_two_agencies_at_once_end_in_one_copy_that_both_own() {
    let scratch = Scratch::new();
    let bytes = vec![5; 100_000];
    let digest = digest_of(&bytes);
    thread::scope(|scope| {
        for agency in [ministry(), province()] {
            let (scratch, bytes) = (&scratch, &bytes);
            scope.spawn(move || scratch.upload(&agency, bytes));
        }
    });
    for agency in [ministry(), province()] {
        assert_eq!(scratch.store().owns(&agency, &digest).unwrap(), Some(100_000));
    }
    assert_eq!(scratch.read(&digest, 0), bytes);
}
