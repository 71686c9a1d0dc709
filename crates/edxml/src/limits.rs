//! Limits of the reader, each with its unit in its name and its derivation. Limits that other crates share stand in `truc_types::limits`.

use truc_types::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_BYTES_MAX};

/// Bytes of a whole message. Base64 makes 4 of 3 bytes and wrapped lines add 2 in 76: 30 attachments of 50 MiB take 1.37 times their bytes;
/// 1.5 leaves room for the header and for archives that do not compress.
pub const MESSAGE_BYTES_MAX: u64 = ATTACHMENTS_BYTES_MAX / 2 * 3;
/// Bytes of one attachment as it travels, after base64: the largest attachment and the frame of an archive around it.
pub const ENCODED_BYTES_MAX: u64 = ATTACHMENT_BYTES_MAX + 128 * 1024;
/// Bytes of one tag, comment, text or reference that the reader keeps in memory. The longest legal text has 1,500 bytes; certificates have a few thousand.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all texts outside attachments: 200 recipients with every field at its limit, and a signature block.
pub const HEADER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Elements of a message: 200 recipients of 9, 30 attachments of 14, 200 traces and a signature block are under 4,000.
pub const ELEMENTS_MAX: usize = 10_000;
/// Depth of nesting: the deepest element of the format is the 9th, of a signature block the 11th.
pub const DEPTH_MAX: usize = 24;
/// Attributes of one element, declarations of namespaces among them; the format uses 3.
pub const ATTRIBUTES_MAX: usize = 16;
/// Bytes of an element's name with its prefix; the longest of the format has 28. Names make the paths of diagnostics: with [`DEPTH_MAX`] and
/// [`ELEMENTS_MAX`] all paths together stay below 16 MiB.
pub const NAME_BYTES_MAX: usize = 64;
/// How many times larger than its archive an attachment may be. Office files and tables shrink 5 to 50 times, deflate can do 1,032.
pub const EXPANSION_RATIO_MAX: u64 = 200;
/// Bytes below which the ratio does not matter: a small table of equal lines harms nobody.
pub const EXPANSION_FREE_BYTES: u64 = 1024 * 1024;
/// Hops of a trace: far more than there are systems on any way.
pub const TRACE_HOPS_MAX: usize = 200;
/// Bytes of a ContentId; UUIDs have 36, and a mail-like one with a host name has under 255.
pub const CONTENT_ID_BYTES_MAX: usize = 255;
/// Bytes of `TraceHeaderList/@id`: a UUID has 36.
pub const TRACE_ID_BYTES_MAX: usize = 100;
/// Diagnostics kept; what comes after is only counted as lost. One screen in a log.
pub const DIAGNOSTICS_MAX: usize = 100;
/// Characters of a wrong value that a diagnostic quotes.
pub const FOUND_CHARACTERS_MAX: usize = 60;
/// Bytes handed to a sink at once, at most.
pub const CHUNK_BYTES_MAX: usize = 32 * 1024;
