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
/// Bytes of one blob: an attachment, or a whole edXML file, which is carried as it is. The largest attachment in base64 with wrapped lines
/// (4 of 3 bytes, 78 of 76) has 68.4 MiB; the rest is room for the header and for 20 MiB of further attachments. Statements hold attachments
/// to [`ATTACHMENT_BYTES_MAX`].
pub const BLOB_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Display name of an attachment. The law's 500 are characters of a database column; 255 bytes is what file systems have.
/// All text limits count bytes as written in JSON, where a quote, a backslash, a line feed and a tab take two: so a test can show that the
/// largest envelope and the largest receipt, with every text and list of this table full at once, fit [`STATEMENT_FILE_BYTES_MAX`].
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 255;
/// Media type of an attachment (RFC 6838 allows 127 + 1 + 127; the longest of the office formats has 83).
pub const MEDIA_TYPE_BYTES_MAX: usize = 100;
/// Object identifier of an opaque attachment encoding: the longest in common use have under 40 characters.
pub const OID_BYTES_MAX: usize = 48;
/// Bytes of an edXML file: the attachments in base64 with wrapped lines are 1.37 times their bytes; the rest is room for the header.
pub const EDXML_BYTES_MAX: u64 = ATTACHMENTS_BYTES_MAX / 2 * 3;
/// Number of a document (Decree 30/2020 annex VI: 11 characters, up to 3 bytes each).
pub const DOC_NUMBER_BYTES_MAX: usize = 33;
/// Notation of a document (annex VI: 30 characters, up to 3 bytes each).
pub const DOC_NOTATION_BYTES_MAX: usize = 90;
/// Subject of a document (annex VI: 500 characters, up to 3 bytes each).
pub const DOC_SUBJECT_BYTES_MAX: usize = 1_500;
/// National document identifier (observed up to 75 characters; twice that).
pub const DOCUMENT_ID_BYTES_MAX: usize = 150;
/// Names of people, posts, places, types and appendices in a document (annex VI: at most 100 characters, up to 3 bytes each).
pub const DOC_NAME_BYTES_MAX: usize = 300;
/// Short codes and words of a document: competence, drafter's initials, language (annex VI: 30 characters), task.
pub const DOC_CODE_BYTES_MAX: usize = 90;
/// Codes, mail address and telephone number of a contact.
pub const CONTACT_CODE_BYTES_MAX: usize = 100;
/// Number and notation of a referenced document as one text with a slash between them.
pub const REFERENCE_CODE_BYTES_MAX: usize = DOC_NUMBER_BYTES_MAX + 1 + DOC_NOTATION_BYTES_MAX;
/// Documents answered and documents replaced by one envelope together: more than are ever seen, and they fit beside full texts.
pub const REFERENCES_MAX: usize = 8;
/// One "Nơi nhận" line (validators of the field: 150 characters, up to 3 bytes each).
pub const PLACE_BYTES_MAX: usize = 450;
/// All "Nơi nhận" lines together (annex VI: 1,000 characters; 2 bytes each on average in Vietnamese).
pub const PLACES_BYTES_MAX: usize = 2_000;
/// Names of all appendices together: ten long ones, or the full list of short ones.
pub const APPENDICES_BYTES_MAX: usize = 1_200;
/// Free texts: content, description, reason.
pub const DOC_TEXT_BYTES_MAX: usize = 1_500;
/// Items of a list inside an envelope that are not codes (appendices, places, answered documents).
pub const LIST_ITEMS_MAX: usize = 20;
/// Number in the register of the recipient (annex VI: 10 characters, up to 3 bytes each).
pub const ARRIVAL_NUMBER_BYTES_MAX: usize = 30;
/// Code of a reason: a word for programs.
pub const REASON_CODE_BYTES_MAX: usize = 40;
/// Codes and texts of all reasons of one receipt together: four of the longest, or 60 bytes for each of 100 items.
pub const RECEIPT_REASONS_BYTES_MAX: usize = 6_000;
/// Name of an organisation in the directory (annex VI: 200 characters, up to 3 bytes each).
pub const ORGANISATION_NAME_BYTES_MAX: usize = 600;
/// Organisations of one registry statement: 40 × about 1,050 bytes with every text full fits the payload.
pub const ORGANISATIONS_PER_STATEMENT_MAX: usize = 40;
/// Successors of one organisation: a province was split into four at most since 1945.
pub const SUCCESSORS_MAX: usize = 5;
/// A certificate, DER or one PEM block: Ed25519 certificates have under 1,000 bytes, RSA ones of national authorities under 3,000.
pub const CERTIFICATE_BYTES_MAX: usize = 4_096;
/// The authority's certificates in one PEM text: a root and two below it.
pub const CERTIFICATE_CHAIN_BYTES_MAX: usize = 3 * CERTIFICATE_BYTES_MAX;
/// Predicate types that a registry statement lists: five today.
pub const PREDICATES_MAX: usize = 20;
/// Sequence numbers withdrawn in one sender head: a quarter of [`SEQUENCE_WINDOW`], 17 bytes each.
pub const WITHDRAWN_MAX: usize = 1_024;
/// Items of one receipt, all from one original sender: a batch of a busy minute, 100 × about 300 bytes fits the payload.
pub const RECEIPT_ITEMS_MAX: usize = 100;
/// The client reference of a DMS.
pub const CLIENT_REFERENCE_BYTES_MAX: usize = 200;

/// Message of a refusal: two or three sentences. With [`REFUSAL_VALUE_BYTES_MAX`] it keeps a status with ten values below 8 KiB,
/// the smallest limit of headers among HTTP/2 libraries and proxies.
pub const REFUSAL_MESSAGE_BYTES_MAX: usize = 1_000;
/// Diagnostics that travel in the details of a status, as text: with the rest they stay below 8 KiB in base64.
pub const STATUS_VIOLATIONS_BYTES_MAX: usize = 3_000;
/// One value of a refusal: a digest in hexadecimal, three times over.
pub const REFUSAL_VALUE_BYTES_MAX: usize = 200;
/// Pause before a call is tried again that was refused for the moment; clients double it.
pub const RETRY_PAUSE_MILLIS: u64 = 1_000;

/// Entries of one block.
pub const BLOCK_ENTRIES_MAX: usize = 512;
/// Commands decided into one block; each makes at most two entries.
pub const BLOCK_COMMANDS_MAX: usize = 256;
/// Payload bytes of one block: below the 1 MB message limit of an engine like NATS JetStream.
pub const BLOCK_BYTES_MAX: usize = 512 * 1024;
/// Bytes of one entry: 16-bit lengths of C2SP entry bundles.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// A log origin: the longest prefix of `names` and a code are 53 bytes; 128 leaves room for real host names.
pub const ORIGIN_BYTES_MAX: usize = 128;
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
/// Commands that wait for the sequencer, from all streams together: the next two blocks. It is first come, first served, so it is short; what waits
/// longer waits in front of admission, where each agency has its turn.
pub const SEQUENCER_QUEUE_MAX: usize = 2 * BLOCK_COMMANDS_MAX;
/// Statements of one agency that may be refused by its own fault in a second, on average: each takes about 0.1 ms, so this is a hundredth of a processor.
pub const REFUSALS_PER_SECOND_MAX: u32 = 100;
/// And at once: a full stream, of an edge whose certificate has ended.
pub const REFUSALS_AT_ONCE_MAX: u32 = 1_024;
/// Work on attachments and old entries that one agency has under way at once: writing, hashing, syncing, reading. One thread hashes some 200 MB a second,
/// faster than the line of an agency.
pub const DISK_WORK_PER_AGENCY_MAX: usize = 1;
/// The same of all agencies: while some wait for the disk, others hash.
pub const DISK_WORK_MAX: usize = 8;
/// Attachments that one agency reads at once, a file each: all of the largest document twice over. More wait.
pub const DOWNLOADS_PER_AGENCY_MAX: usize = 2 * ATTACHMENTS_MAX;
/// A call that goes no further by the fault of the other side is ended: 30 attachments in chunks of [`BLOB_CHUNK_BYTES`] share a line of 256 kbit/s
/// for four minutes.
pub const STALLED_MILLIS_MAX: u64 = 5 * 60 * 1000;
/// Answers that one agency leaves unread, on all its streams: four full ones. Each takes up to 4 KiB with its proofs; then nothing more of it is read.
pub const UNREAD_ANSWERS_MAX: usize = 4 * SUBMIT_IN_FLIGHT_MAX;
/// Entries of the journal that one step of a search for earlier receipts looks through: some tens of milliseconds, then another agency has its turn.
pub const EARLIER_RECEIPTS_LOOKED_MAX: u64 = 10_000;
/// Such steps at once, of all agencies: each takes a processor, and only an edge that lost receipts needs them.
pub const EARLIER_RECEIPTS_AT_ONCE_MAX: usize = 1;
/// Bytes of one chunk of a blob on the wire.
pub const BLOB_CHUNK_BYTES: usize = 256 * 1024;
/// Largest gRPC message: a delivery with its statement, fact, proofs and shell, or a blob chunk.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Items of one page of a list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Text that a list of the directory is searched for: half a long name.
pub const DIRECTORY_QUERY_BYTES_MAX: usize = 100;
/// Entries of the directory that one call looks at: an eighth of the national directory. Where none matches, 40 ms of one processor
/// (`cargo bench -p truc-benches --bench directory`), hence on a worker thread.
pub const DIRECTORY_SCAN_MAX: usize = 16_000;
/// Searches of the directory at once, of all agencies: they take a processor each, up to 55 ms for suggestions among all codes.
pub const DIRECTORY_SCANS_AT_ONCE_MAX: usize = 1;
/// Codes that are suggested for one that nobody has: what people read.
pub const NEAR_CODES_MAX: usize = 5;
/// Bytes of one page of documents: half of [`GRPC_MESSAGE_BYTES_MAX`], so that the last document always fits.
pub const PAGE_BYTES_MAX: usize = GRPC_MESSAGE_BYTES_MAX / 2;
/// Rows that one page of a list looks at, whatever it finds: well under a second, then the caller asks on.
pub const PAGE_LOOKS_MAX: usize = 20_000;
/// Documents of one correspondence that are gathered for a question: more than people read, and a few megabytes.
pub const THREAD_DOCUMENTS_MAX: usize = 1_000;
/// Possible duplicates that a received document names: more than a clerk looks at.
pub const DUPLICATES_MAX: usize = 20;
/// Unfinished hand-ins that one edge keeps: 64 of 1.5 GB are what a disk for the attachments of an agency has to spare.
pub const HAND_INS_MAX: usize = 64;
/// Age after its last byte at which an unfinished hand-in is swept, and an attachment of which an edge has a part: a line that was away over a long holiday.
pub const HAND_IN_AGE_MILLIS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;
/// Streams of its document-management system that an edge reads or writes at once: all calls of one connection. Each holds a thread, of which a process has
/// 512 for all its work.
pub const DMS_STREAMS_MAX: usize = CALLS_PER_CONNECTION_MAX as usize;
/// Silence in the middle of a stream that a document-management system sends: a file server wakes up in seconds, a line that is gone says nothing for ever.
pub const DMS_SILENCE_MILLIS_MAX: u64 = 2 * 60 * 1000;
/// Bytes of a token of a DMS: 32 random bytes in hexadecimal have 64; four times that.
pub const TOKEN_BYTES_MAX: usize = 256;
/// Fewest bytes of a token: 16 random bytes in hexadecimal.
pub const TOKEN_BYTES_MIN: usize = 32;
/// Tokens in one file: every system and service account of an agency.
pub const TOKENS_MAX: usize = 1_000;
/// Deliveries of messages that are open: some 112 bytes of memory each, 600 MB in all (`truc bench open`). Ten days of the national load with nobody
/// fetching anything are 1 million.
pub const OPEN_DELIVERIES_MAX: u64 = 5_000_000;
/// Entries by which the views may lag behind the journal before admission slows.
pub const VIEW_LAG_ENTRIES_MAX: u64 = 100_000;
/// Files that one scan of a watch folder takes up, oldest first: a scan of small files ends within a second or two.
pub const WATCH_FILES_PER_SCAN_MAX: usize = 256;
/// Files that wait in `out/` of a watch folder; above, the edge writes no more until the DMS has fetched some. Ten busy days.
pub const WATCH_FILES_WAITING_MAX: usize = 10_000;
/// Connections that one process takes: ten for each of 94 agencies, and room for those that are being refused. Each takes about 100 KiB.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections under certificates of one agency: an edge has one, and a second while it moves; the rest is for tools and for ends not seen yet.
pub const CONNECTIONS_PER_AGENCY_MAX: usize = 16;
/// Calls that one connection may have open at once: an edge has two streams, and uploads and downloads beside them.
pub const CALLS_PER_CONNECTION_MAX: u32 = 128;
/// Bytes of the headers of one call: a path, a content type, an access token; a refusal on its way back stays below 8 KiB.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// How long a TLS handshake may take: two round trips over the slowest line.
pub const HANDSHAKE_MILLIS_MAX: u64 = 10_000;
/// Streams that a client opened and reset before they were looked at; more end the connection (rapid reset, CVE-2023-44487).
pub const RESET_STREAMS_MAX: usize = 20;
/// An idle connection is probed so often, and dead when it does not answer for as long.
pub const KEEPALIVE_MILLIS: u64 = 20_000;
/// Graceful shutdown: what is in flight gets this long.
pub const SHUTDOWN_MILLIS_MAX: u64 = 10_000;

/// How often disk, keys, clock and sequencer are looked at: with [`READINESS_PROBE_MILLIS_MAX`] a fault shows within 15 s.
pub const READINESS_EVERY_MILLIS: u64 = 5_000;
/// Longest time for one look at the disk or through the sequencer: a sync of a busy disk takes under one second.
pub const READINESS_PROBE_MILLIS_MAX: u64 = 5_000;
/// How long a jump of the clock, against the clock that only counts, keeps a process unready: three queries of a time service.
pub const CLOCK_JUMP_HOLD_MILLIS: u64 = 60_000;
/// Free bytes below which nothing new is taken in: half an hour of the largest journal (64 MiB of statements a minute at most) finds room in it, so
/// receipts and deliveries of what is in go on.
pub const DISK_RESERVE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// How long the signed loopback message may take from its sealing to its receipt in the feed.
pub const LOOPBACK_MILLIS_MAX: u64 = 10_000;
/// Seconds without a real document through the whole path after which the loopback message is sent.
pub const LOOPBACK_IDLE_SECONDS: u64 = 60;
/// Connections that may ask for metrics and readiness at once: a scraper, a supervisor and a person, each twice.
pub const OBSERVE_CONNECTIONS_MAX: usize = 6;
/// Time for one request for metrics or readiness.
pub const OBSERVE_REQUEST_MILLIS_MAX: u64 = 10_000;
/// Rows of a queue that are looked at for one reading of the metrics; what is beyond shows as this number.
pub const METRICS_ROWS_MAX: usize = 10_000;
