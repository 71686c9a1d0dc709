//! A message of 70 MB is read and written in constant memory. Alone in its process, because it measures the process.

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use sha2::{Digest as _, Sha256};
    use truc_edxml::{AttachmentInfo, AttachmentSink, AttachmentSource, Document, Message, read_message, write_message};
    use truc_types::Digest;
    use truc_types::limits::ATTACHMENT_BYTES_MAX;

    #[derive(Default)]
    struct Counted(u64);

    impl AttachmentSink for Counted {
        fn begin(&mut self, _index: usize) -> io::Result<()> {
            Ok(())
        }
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0 += bytes.len() as u64;
            Ok(())
        }
        fn end(&mut self, _size: u64, _sha256: &Digest) -> io::Result<()> {
            Ok(())
        }
    }

    /// The largest resident size so far, in KiB.
    fn peak_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The reply with a content of so many bytes, wrapped at 76 characters as some writers do, made while it is read.
    fn message(bytes: u64) -> impl Read {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/edxml/made/04-reply.edxml");
        let sample = std::fs::read_to_string(path).unwrap();
        let tag = "<ContentTransferEncoded>";
        let (head, rest) = sample.split_once(tag).unwrap();
        let tail = &rest[rest.find("</ContentTransferEncoded>").unwrap()..];
        let groups = bytes / 3;
        let line = "QUJD".repeat(19) + "\r\n";
        let lines = line.repeat(1000);
        let (whole, left) = (groups / 19_000, groups % 19_000);
        let last = match bytes % 3 {
            0 => "",
            1 => "QQ==",
            _ => "QUI=",
        };
        let text = Repeated { line: lines.into_bytes(), at: 0, left: whole };
        let end = "QUJD".repeat(usize::try_from(left).unwrap()) + last + tail;
        io::Cursor::new(format!("{head}{tag}")).chain(text).chain(io::Cursor::new(end))
    }

    struct Repeated {
        line: Vec<u8>,
        at: usize,
        left: u64,
    }

    impl Read for Repeated {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Ok(0);
            }
            let count = (&self.line[self.at..]).read(out)?;
            self.at += count;
            if self.at == self.line.len() {
                (self.at, self.left) = (0, self.left - 1);
            }
            Ok(count)
        }
    }

    /// So many bytes of one letter, made while they are read.
    struct Letters(u64);

    impl AttachmentSource for Letters {
        fn open(&mut self, _index: usize) -> io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(io::repeat(b'A').take(self.0)))
        }
    }

    /// The document, with these bytes under this name, written to nowhere.
    fn write(document: &Document, name: &str, bytes: u64) {
        let mut hasher = Sha256::new();
        io::copy(&mut io::repeat(b'A').take(bytes), &mut HashWriter(&mut hasher)).unwrap();
        let attachment = AttachmentInfo {
            name: name.to_owned(),
            description: None,
            media_type: "application/octet-stream".to_owned(),
            content_id: "1".to_owned(),
            size: bytes,
            sha256: Digest(hasher.finalize().into()),
        };
        let message = Message::Document(Box::new(Document { attachments: vec![attachment], ..document.clone() }));
        write_message(&message, &mut Letters(bytes), &mut io::sink()).unwrap();
    }

    struct HashWriter<'a>(&'a mut Sha256);

    impl io::Write for HashWriter<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_largest_attachment_is_read_and_written_in_constant_memory_and_one_byte_more_is_not() {
        let mut sink = Counted::default();
        read_message(BufReader::new(message(1_000_000)), &mut sink).unwrap();
        let before = peak_kib();
        let mut sink = Counted::default();
        let read = read_message(BufReader::new(message(ATTACHMENT_BYTES_MAX)), &mut sink).unwrap();
        let Message::Document(document) = read.message else { panic!("a document") };
        assert_eq!((document.attachments[0].size, sink.0), (ATTACHMENT_BYTES_MAX, ATTACHMENT_BYTES_MAX));
        let grown = peak_kib() - before;
        assert!(grown < 1024, "a message of 72 MB took {grown} KiB more than one of 1.4 MB");
        let error = read_message(BufReader::new(message(ATTACHMENT_BYTES_MAX + 1)), &mut Counted::default()).unwrap_err();
        assert_eq!(error.reason(), Some(truc_types::Reason::AttachmentTooLarge));

        // One test, because the peak is the process's own.
        for name in ["a.pdf", "a.csv"] {
            write(&document, name, 1_000_000);
            let before = peak_kib();
            write(&document, name, ATTACHMENT_BYTES_MAX);
            let grown = peak_kib() - before;
            assert!(grown < 1024, "writing {name} of 50 MiB took {grown} KiB more than one of 1 MB");
        }
    }
}
