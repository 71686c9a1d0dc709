//! edXML packets with their base64 and zip streams: whatever comes out is bounded by what went in, and what the reader tells of it is true.

use std::io;

use truc_edxml::{AttachmentSink, read_message};
use truc_types::Digest;

/// deflate makes at most 1,032 bytes of one.
const GROWTH_MAX: u64 = 1_100;

/// Counts.
#[derive(Default)]
struct Count {
    open: bool,
    bytes: u64,
    current: u64,
    next: usize,
}

impl AttachmentSink for Count {
    fn begin(&mut self, index: usize) -> io::Result<()> {
        // One that had a fault before has no end.
        assert!(index >= self.next, "attachments come out of order");
        (self.open, self.current, self.next) = (true, 0, index + 1);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(self.open, "bytes outside an attachment");
        self.current += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn end(&mut self, size: u64, _: &Digest) -> io::Result<()> {
        assert_eq!(size, self.current, "an attachment has another size than bytes");
        self.open = false;
        Ok(())
    }
}

pub(super) fn packet(input: &[u8]) -> bool {
    let mut count = Count::default();
    let read = read_message(input, &mut count).is_ok();
    let limit = input.len() as u64 * GROWTH_MAX;
    assert!(count.bytes <= limit, "{} bytes of attachments came out of {} bytes", count.bytes, input.len());
    read
}
