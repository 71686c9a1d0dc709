//! Properties: no bytes make the reader panic, and the order of elements does not matter.

use proptest::prelude::*;
use truc_edxml::{Message, Reading};

use crate::support::{new_document, read, sample};

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
    fn mutated_samples_never_panic(
        which in 0usize..3,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..8),
    ) {
        let name = ["made/01-new-document.edxml", "made/04-reply.edxml", "made/05-update.edxml"][which];
        let mut bytes = sample(name).into_bytes();
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let (result, kept) = read(&bytes);
        prop_assert!(kept.attachments.iter().map(Vec::len).sum::<usize>() < 1 << 20);
        if let Ok(Reading { message: Message::Document(document), .. }) = result {
            prop_assert_eq!(document.attachments.len(), kept.ended);
        }
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
