//! The contract of every attachment store. Not an implementation (`folder`).

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use truc_types::{AgencyCode, Digest, Timestamp};

use crate::{BlobError, BlobPin, BlobReader, Usage};

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadState {
    /// Go on at this offset in bytes; 0 if nothing is here yet.
    Resume(u64),
    /// The agency has uploaded all of it before; nothing is left to do.
    Complete,
}

/// A blob that was stored: its name and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// A store of attachments by their SHA-256 digest.
///
/// - **Durability.** What [`finish`](Self::finish), [`put_from_reader`](Self::put_from_reader) and [`put_file`](Self::put_file) have answered survives a
///   power cut, on [`durable_copies`](Self::durable_copies) machines. What [`append`](Self::append) has answered may be lost, never mixed up: the digest
///   decides at the end.
/// - **Ownership.** An agency owns a blob once it has itself delivered every byte of it. Nothing an agency can call tells whether another one has the same
///   bytes: `begin_upload`, `append`, `finish` and `owns` answer the same for a blob of others as for one that does not exist. One copy is stored.
/// - **Atomicity.** A blob is absent or whole; readers never see a part of one.
/// - **Deletion.** [`delete`](Self::delete) and [`pin`](Self::pin) exclude each other: a pinned blob stays until its last pin is dropped. A reader that is
///   open reads to its end even if the blob is deleted meanwhile.
/// - **Concurrency.** All calls may come from any thread. Calls for one upload wait for each other; other uploads go on.
/// - **Memory.** Constant for each call, whatever the size of the blob; the number of open uploads per agency is limited.
/// - **Errors.** [`BlobError::Storage`] says that the outcome is unknown: begin again and go on where the answer says. Every other error says that nothing
///   changed, except [`BlobError::DigestMismatch`], after which the upload begins anew.
pub trait BlobStore: Send + Sync {
    /// How much of an upload has arrived, without beginning it: it takes none of the agency's places.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::SizeMismatch`] if the agency owns the blob with another size, [`BlobError::Storage`].
    fn upload_progress(&self, agency: &AgencyCode, digest: &Digest, size: u64) -> Result<UploadState, BlobError>;

    /// Begins or resumes the upload of a blob of `size` bytes whose digest is known, and says where to go on. Has to be called once in each process before
    /// `append`. If more than `size` bytes had arrived under another declared size, they are dropped.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::TooManyUploads`], [`BlobError::SizeMismatch`] if the agency owns the blob with another size, [`BlobError::Storage`].
    fn begin_upload(&self, agency: &AgencyCode, digest: &Digest, size: u64) -> Result<UploadState, BlobError>;

    /// Adds bytes at `offset`, which has to be the number of bytes that are there, and returns the new number.
    ///
    /// # Errors
    /// [`BlobError::NotBegun`], [`BlobError::WrongOffset`] with the right one, [`BlobError::TooLong`], [`BlobError::Storage`].
    fn append(&self, agency: &AgencyCode, digest: &Digest, offset: u64, bytes: &[u8]) -> Result<u64, BlobError>;

    /// Ends an upload: checks size and digest, makes the blob durable and owned by the agency, and returns its size. Calling it again answers the same.
    ///
    /// # Errors
    /// [`BlobError::NotBegun`], [`BlobError::Incomplete`], [`BlobError::DigestMismatch`] (the bytes are gone then), [`BlobError::Storage`].
    fn finish(&self, agency: &AgencyCode, digest: &Digest) -> Result<u64, BlobError>;

    /// Drops an upload and the bytes that have arrived; nothing happens if there is none.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn abandon(&self, agency: &AgencyCode, digest: &Digest) -> Result<(), BlobError>;

    /// Stores everything that `reader` gives for `agency`; the digest is found on the way. For local use, where the bytes are at hand.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::Reader`] if the reader fails, [`BlobError::Storage`].
    fn put_from_reader(&self, agency: &AgencyCode, reader: &mut dyn Read) -> Result<Stored, BlobError>;

    /// Takes a file over that somebody has written beside the store and hashed meanwhile: what it holds is not read again where the file system can give it
    /// another name. The file is gone afterwards, also after an error that leaves it unknown whether its bytes are on the disk.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], [`BlobError::SizeMismatch`] if the file has another size, [`BlobError::Storage`].
    fn put_file(&self, agency: &AgencyCode, file: &Path, stored: &Stored) -> Result<(), BlobError>;

    /// The size of a blob that the agency owns; `None` if it does not own it, whether or not others do.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn owns(&self, agency: &AgencyCode, digest: &Digest) -> Result<Option<u64>, BlobError>;

    /// The same from memory and one look at the length of the file, without waiting for anything: `None` says nothing. What was put, owned or pinned a
    /// moment ago is known.
    fn owns_seen(&self, agency: &AgencyCode, digest: &Digest) -> Option<u64>;

    /// The size of a blob, whoever owns it. Never an answer to an agency that does not receive a document with it.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError>;

    /// Keeps a blob that the agency owns from being deleted until the pin is dropped, and says its size; `None` as for [`owns`](Self::owns). Pins do not
    /// survive the process. On the path of every envelope: a store may remember what it has looked up.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn pin(&self, agency: &AgencyCode, digest: &Digest) -> Result<Option<(BlobPin, u64)>, BlobError>;

    /// Reads a blob from an offset in bytes to its end. The digest is not checked again: recipients check it.
    ///
    /// # Errors
    /// [`BlobError::Unknown`], [`BlobError::OffsetOutside`], [`BlobError::Storage`].
    fn open_range(&self, digest: &Digest, offset: u64) -> Result<BlobReader, BlobError>;

    /// Deletes a blob and every ownership of it, durably. Answers whether it was there.
    ///
    /// # Errors
    /// [`BlobError::Pinned`], [`BlobError::Storage`].
    fn delete(&self, digest: &Digest) -> Result<bool, BlobError>;

    /// Drops uploads to which nothing was added for `age`, and returns how many.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn sweep(&self, now: Timestamp, age: Duration) -> Result<u64, BlobError>;

    /// How much is in the store; counting ends at `files_max` blobs. For the operator.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn usage(&self, files_max: u64) -> Result<Usage, BlobError>;

    /// How many agencies own a blob. For the operator, never an answer to an agency.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn owner_count(&self, digest: &Digest) -> Result<u64, BlobError>;

    /// Uploads that are not finished, of all agencies together.
    fn uploads_open(&self) -> usize;

    /// Bytes of all blobs that are stored. Reads every name: for once an hour.
    ///
    /// # Errors
    /// [`BlobError::Storage`].
    fn stored_bytes(&self) -> Result<u64, BlobError>;

    /// On how many machines a blob is once it is stored.
    fn durable_copies(&self) -> usize;
}
