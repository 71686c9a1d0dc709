//! Properties: no bytes make the reader panic, and the order of elements does not matter.

use proptest::prelude::*;
use truc_edxml::Message;

use crate::support::{Kept, new_document, read, sample, write};

/// Children of one element, shuffled by `seed`; the samples hold one element per line, which makes blocks easy to cut.
fn shuffle(message: &str, parent: &str, indent: usize, seed: u64) -> String {
    let lines: Vec<&str> = message.lines().collect();
    let start = lines.iter().position(|line| line.trim_start().starts_with(&format!("<{parent}"))).unwrap() + 1;
    let end = lines.iter().position(|line| line.trim_start().starts_with(&format!("</{parent}>"))).unwrap();
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in &lines[start..end] {
        let depth = line.len() - line.trim_start().len();
        if depth == indent && !line.trim_start().starts_with("</") {
            blocks.push(Vec::new());
        }
        blocks.last_mut().unwrap().push(line);
    }
    let mut state = seed | 1;
    for at in (1..blocks.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        blocks.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
    // Lists keep their order: it is part of the message.
    blocks.sort_by_key(|block| block[0].contains("<edXML:To>") && block.iter().any(|line| line.contains("H37")));
    [&lines[..start], &blocks.concat(), &lines[end..]].concat().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shuffled_elements_give_the_same_message(seed in any::<u64>()) {
        let expected = read(new_document());
        let mut message = new_document();
        for (parent, indent) in [("edXML:MessageHeader", 8), ("edXML:From", 10), ("edXML:OtherInfo", 10), ("edXML:TraceHeaderList", 8), ("edXML:edXMLHeader", 6)] {
            message = shuffle(&message, parent, indent, seed);
        }
        let found = read(message);
        prop_assert_eq!(found.0.unwrap(), expected.0.unwrap());
        prop_assert_eq!(found.1, expected.1);
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(read(&bytes).0.is_err());
    }
}

#[test]
fn a_seeded_loop_over_tokens_of_the_format_never_panics() {
    const TOKENS: [&str; 20] = [
        "<edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">",
        "</edXML>",
        "<edXMLEnvelope>",
        "</edXMLEnvelope>",
        "<edXMLHeader>",
        "</edXMLHeader>",
        "<MessageHeader>",
        "</MessageHeader>",
        "<AttachmentEncoded>",
        "</AttachmentEncoded>",
        "<Attachment>",
        "</Attachment>",
        "<ContentTransferEncoded>",
        "</ContentTransferEncoded>",
        "UEsDBA==",
        "&amp;",
        "<!--x-->",
        "<![CDATA[UEsD]]>",
        "<Signature/>",
        "\0",
    ];
    let mut state = 0x5eed_u64;
    for _ in 0..20_000 {
        let mut message = String::from(TOKENS[0]);
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            message.push_str(TOKENS[usize::try_from(state >> 33).unwrap() % TOKENS.len()]);
        }
        match read(&message).0 {
            Err(truc_edxml::ReadError::Refused { diagnostics, .. }) => assert!(!diagnostics.is_empty(), "{message}"),
            other => panic!("{message}: {other:?}"),
        }
    }
}

/// What the reader accepted is written, read again and is the same; what it refused has a reason.
fn check_stable(bytes: &[u8]) -> bool {
    let (first, mut kept) = read(bytes);
    assert!(kept.attachments.iter().map(Vec::len).sum::<usize>() < 1 << 20);
    let reading = match first {
        Ok(reading) => reading,
        Err(truc_edxml::ReadError::Refused { diagnostics, .. }) => {
            assert!(diagnostics.iter().any(|diagnostic| diagnostic.severity == truc_edxml::Severity::Error));
            return false;
        }
        Err(other) => panic!("{other}"),
    };
    if matches!(reading.message, Message::Status(_)) {
        kept = Kept::default();
    }
    let written = write(&reading.message, &mut kept).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)));
    let (second, kept_again) = read(&written);
    assert_eq!(second.unwrap().message, reading.message, "{}", String::from_utf8_lossy(bytes));
    assert_eq!(kept_again, kept);
    true
}

/// A xorshift generator: the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}

#[test]
fn mutated_samples_never_panic_and_what_is_accepted_is_stable() {
    const NAMES: [&str; 5] = [
        "made/01-new-document.edxml",
        "made/02c-status-02-refused.edxml",
        "made/03-recall.edxml",
        "made/04-reply.edxml",
        "made/05-update.edxml",
    ];
    const PIECES: [&str; 14] =
        ["<", ">", "/", "&", "&#13;", "&amp;", "N/A", "\t", "\r\n", "05/11/2025", "application/zip", "..", "\u{a0}", "<edXML:To>"];
    let mut numbers = Numbers(0x5eed_2025);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..2_000 {
        let mut bytes = sample(NAMES[round % NAMES.len()]).into_bytes();
        for _ in 0..=numbers.below(2) {
            let mut at = numbers.below(bytes.len());
            if numbers.below(3) > 0 {
                // Most changes go into texts, where a message may stay readable.
                at = bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'>')
                    .map_or(at, |end| (at + end + 1 + numbers.below(4)).min(bytes.len() - 1));
            }
            match numbers.below(6) {
                0 => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b' ' + u8::try_from(numbers.below(90)).unwrap()),
                3 => drop(bytes.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
                4 => bytes.truncate(at.max(1)),
                _ => {
                    // A line is doubled or lost: elements repeated and missing, tags without partners.
                    let lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                    let line = numbers.below(lines.len());
                    let copies = numbers.below(2) * 2;
                    let changed = lines.iter().enumerate().flat_map(|(index, text)| text.repeat(if index == line { copies } else { 1 }));
                    bytes = changed.collect();
                }
            }
            if bytes.is_empty() {
                bytes.push(b'<');
            }
        }
        if check_stable(&bytes) { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 250 && refused > 250, "{accepted} accepted, {refused} refused: the mutations test one side only");
}
