//! Every limit of the system, each with its unit in its name and its derivation beside it.

/// A code has at most 35 characters (Decision 20/2020/QĐ-TTg).
pub const CODE_BYTES_MAX: usize = 35;
/// A DSSE file. C2SP entry bundles have 16-bit lengths; the rest up to 65,535 stays free for wrappers of later formats.
pub const STATEMENT_FILE_BYTES_MAX: usize = 60_000;
/// Payload of a DSSE file: base64 makes 4 of 3 bytes, the shell with four signatures takes under 400 bytes.
pub const PAYLOAD_BYTES_MAX: usize = 44_700;
/// Signatures on one statement: approver, seal and two for changes of algorithm.
pub const SIGNATURES_MAX: usize = 4;
/// Recipients, update and replacement lists of one envelope together: all 94 agencies twice over, and it fits [`PAYLOAD_BYTES_MAX`].
pub const ENVELOPE_CODES_MAX: usize = 200;
/// Attachments of one envelope (the largest seen in the field has 30; domain figures of 2020).
pub const ATTACHMENTS_MAX: usize = 30;
/// Bytes of one attachment: the validators of the field take 50 MB.
pub const ATTACHMENT_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// Bytes of all attachments of one envelope: 30 of the largest.
pub const ATTACHMENTS_BYTES_MAX: u64 = ATTACHMENT_BYTES_MAX * ATTACHMENTS_MAX as u64;
/// Display name of an attachment in bytes. The law's 500 are characters of a database column; 30 names of 255 bytes fit the payload, as file systems have it.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 255;
/// Media type of an attachment (RFC 6838: 127 + 1 + 127, cut to what occurs).
pub const MEDIA_TYPE_BYTES_MAX: usize = 127;
/// Number of a document (Decree 30/2020 annex VI: 11 characters, up to 3 bytes each).
pub const DOC_NUMBER_BYTES_MAX: usize = 33;
/// Notation of a document (annex VI: 30 characters, up to 3 bytes each).
pub const DOC_NOTATION_BYTES_MAX: usize = 90;
/// Subject of a document (annex VI: 500 characters, up to 3 bytes each).
pub const DOC_SUBJECT_BYTES_MAX: usize = 1_500;
/// National document identifier (observed up to 75 characters; 255 leaves room).
pub const DOCUMENT_ID_BYTES_MAX: usize = 255;
/// Other names of people, places and types (annex VI: at most 200 characters).
pub const DOC_NAME_BYTES_MAX: usize = 600;
/// Free texts: content, description, reason.
pub const DOC_TEXT_BYTES_MAX: usize = 1_500;
/// Items of a list inside an envelope that are not codes (appendices, places, answered documents).
pub const LIST_ITEMS_MAX: usize = 20;
/// Items of one receipt, all from one original sender: a batch of a busy minute, 100 × about 300 bytes fits the payload.
pub const RECEIPT_ITEMS_MAX: usize = 100;
/// The client reference of a DMS.
pub const CLIENT_REFERENCE_BYTES_MAX: usize = 200;

/// Entries of one block.
pub const BLOCK_ENTRIES_MAX: usize = 512;
/// Commands decided into one block; each makes at most two entries.
pub const BLOCK_COMMANDS_MAX: usize = 256;
/// Payload bytes of one block: below the 1 MB message limit of an engine like NATS JetStream.
pub const BLOCK_BYTES_MAX: usize = 512 * 1024;
/// Bytes of one entry: 16-bit lengths of C2SP entry bundles.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Bytes after which a segment file is sealed and the next one begins.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Age of the synced high-water mark at which it is written anew.
pub const HIGH_WATER_AGE_MILLIS_MAX: u64 = 1_000;

/// Window in which an agency may use its sequence numbers in any order.
pub const SEQUENCE_WINDOW: u64 = 4_096;
/// Age of `created_at` above which an envelope is refused; inside it the same bytes get the original acceptance.
pub const ENVELOPE_AGE_DAYS_MAX: u64 = 400;
/// How far in the future `created_at` may lie: clocks are synchronised with the axis (Decision 28/2018 art. 14.4).
pub const CLOCK_SKEW_MILLIS_MAX: u64 = 5 * 60 * 1000;
/// A backward step of the broker's clock that makes it unready.
pub const CLOCK_STEP_BACK_MILLIS_MAX: u64 = 5_000;

/// How long a delivery is leased: an edge on a slow line fetches 30 attachments in it.
pub const LEASE_MILLIS: u64 = 60_000;
/// First pause before a delivery is offered again; it doubles up to [`REDELIVERY_PAUSE_MILLIS_MAX`].
pub const REDELIVERY_PAUSE_MILLIS_MIN: u64 = 1_000;
/// Longest pause between two offers of one delivery.
pub const REDELIVERY_PAUSE_MILLIS_MAX: u64 = 15 * 60 * 1000;
/// Deliveries one stream may have leased at once: the largest credit.
pub const DELIVERY_CREDIT_MAX: u32 = 256;
/// Statements one submit stream may have in flight.
pub const SUBMIT_IN_FLIGHT_MAX: usize = 1_024;
/// Commands that wait for the sequencer, from all streams together.
pub const SEQUENCER_QUEUE_MAX: usize = 4_096;
/// Bytes of one chunk of a blob on the wire.
pub const BLOB_CHUNK_BYTES: usize = 256 * 1024;
/// Largest gRPC message: a delivery with its statement, fact, proofs and shell, or a blob chunk.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Items of one page of a list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Entries by which the views may lag behind the journal before admission slows.
pub const VIEW_LAG_ENTRIES_MAX: u64 = 100_000;
/// Graceful shutdown: what is in flight gets this long.
pub const SHUTDOWN_MILLIS_MAX: u64 = 10_000;
