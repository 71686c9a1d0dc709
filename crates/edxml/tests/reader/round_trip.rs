//! The writer against the reader: what is written is read as it was, and looks as the national library would have written it.

use expect_test::expect_file;
use truc_edxml::Message;

use crate::support::{read, sample, write};

const SAMPLES: [&str; 15] = [
    "made/01-new-document.edxml",
    "made/02a-status-01-arrived.edxml",
    "made/02b-status-03-accepted.edxml",
    "made/02c-status-02-refused.edxml",
    "made/02d-status-06-completed.edxml",
    "made/03-recall.edxml",
    "made/03b-status-15-recall-agreed.edxml",
    "made/04-reply.edxml",
    "made/05-update.edxml",
    "sdk/edoc_new.edxml",
    "sdk/edoc_update.edxml",
    "sdk/status_acceptance_03.edxml",
    "sdk/status_change-acceptance_15.edxml",
    "sdk/status_inbox_01.edxml",
    "sdk/status_rejection_02.edxml",
];

#[test]
fn every_sample_survives_read_write_read_with_its_attachments() {
    for name in SAMPLES {
        let (first, mut kept) = read(sample(name));
        let first = first.unwrap();
        let written = write(&first.message, &mut kept).unwrap();
        let (second, kept_again) = read(&written);
        let second = second.unwrap();
        assert_eq!(second.message, first.message, "{name}");
        assert_eq!(kept_again, kept, "{name}");
        // What the content itself deserves (a due date before the date of issue) stays; the form gives no diagnostic.
        let codes = |reading: &truc_edxml::Reading| reading.warnings.iter().map(|warning| warning.rule.code()).collect::<Vec<_>>();
        assert_eq!(codes(&second), codes(&first), "{name}");
        assert_eq!(write(&second.message, &mut kept).unwrap(), written, "{name}: the same message gives the same bytes");
        let has_attachments = matches!(&second.message, Message::Document(document) if !document.attachments.is_empty());
        assert_eq!(has_attachments, !kept.attachments.is_empty());
    }
}

#[test]
fn what_is_written_looks_as_the_national_library_writes_it() {
    for name in ["made/01-new-document.edxml", "made/05-update.edxml", "made/02c-status-02-refused.edxml"] {
        let (reading, mut kept) = read(sample(name));
        let written = write(&reading.unwrap().message, &mut kept).unwrap();
        let file = format!("{}/tests/written/{}", env!("CARGO_MANIFEST_DIR"), name.rsplit('/').next().unwrap());
        expect_file![file].assert_eq(&written);
    }
}
