//! Entries read in brief: the same as the strict reader reads, whatever their spelling; what is no statement is refused as it refuses it.

use std::path::Path;
use std::sync::Arc;

use truc_core::{Brief, Entry, EnvelopeBrief, ItemBrief, ReceiptBrief, ReceiptHead};
use truc_signing::statement::{Fact, ReceiptItem, Statement};

/// What the strict reader finds, in brief.
fn expected(entry: Entry) -> Brief {
    match &entry.statement {
        Statement::Envelope(envelope) => Brief::Envelope(EnvelopeBrief {
            message_id: envelope.message_id,
            digest: entry.digest(),
            sender: envelope.sender.agency.clone(),
            edge_term: envelope.edge_term,
            seq: envelope.sender_seq,
            lane: envelope.doc.urgency.lane(),
            recipients: envelope.recipients.clone(),
        }),
        Statement::Fact(Fact::Accepted(accepted)) => Brief::Accepted(accepted.clone()),
        Statement::Receipt(receipt) => {
            let items = receipt.items.iter().map(|item| {
                let ReceiptItem { message_id, envelope, recipient, .. } = item.clone();
                ItemBrief { message_id, envelope, recipient }
            });
            let head = ReceiptHead {
                receipt_id: receipt.receipt_id,
                event: receipt.event,
                issuer: receipt.issuer.clone(),
                original_sender: receipt.original_sender.clone(),
                edge_term: receipt.edge_term,
            };
            Brief::Receipt(ReceiptBrief { head, items: items.collect() })
        }
        _ => Brief::Whole(Box::new(entry)),
    }
}

fn golden() -> impl Iterator<Item = (std::path::PathBuf, Arc<[u8]>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/statements");
    let paths = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap().into()))
}

/// Compares by what is printed: entries have no other equality. What was read whole counts in brief.
fn check(bytes: &[u8], what: &str) -> Brief {
    let bytes: Arc<[u8]> = bytes.into();
    let (strict, brief) = (Entry::parse(bytes.clone()).unwrap(), Brief::read(&bytes).unwrap());
    let found = match brief.clone() {
        Brief::Whole(entry) => expected(*entry),
        read => read,
    };
    assert_eq!(format!("{found:?}"), format!("{:?}", expected(strict)), "{what}");
    brief
}

#[test]
fn every_golden_statement_is_read_as_the_strict_reader_reads_it() {
    let (mut brief, mut whole) = (0, 0);
    for (path, bytes) in golden() {
        let Ok(entry) = Entry::parse(bytes.clone()) else { continue };
        let is_frequent = matches!(entry.statement, Statement::Envelope(_) | Statement::Receipt(_) | Statement::Fact(Fact::Accepted(_)));
        let read = check(&bytes, &path.display().to_string());
        assert_eq!(!matches!(read, Brief::Whole(_)), is_frequent, "{}", path.display());
        *if matches!(read, Brief::Whole(_)) { &mut whole } else { &mut brief } += 1;
    }
    assert!(brief >= 13 && whole >= 11, "{brief} in brief, {whole} whole");
}

#[test]
fn other_spellings_of_the_same_statement_are_read_all_the_same() {
    let spellings = |text: &str| {
        let escaped = [("\"event\"", "\"\\u0065vent\""), ("\"message_id\"", "\"\\u006dessage_id\""), ("G22", "\\u004722")];
        let spaced = [("\":", "\" : "), (",\"", ",\n \""), ("}", " }"), ("[", "[ ")];
        spaced.into_iter().chain(escaped).map(|(from, to)| text.replace(from, to)).filter(|other| other != text).collect::<Vec<_>>()
    };
    let mut count = 0;
    for (path, bytes) in golden() {
        let Ok(entry) = Entry::parse(bytes.clone()) else { continue };
        let what = path.display().to_string();
        let text = std::str::from_utf8(&bytes).unwrap();
        if matches!(entry.statement, Statement::Fact(_)) {
            // How a fact begins says that it is one.
            let begins = |other: &String| other.starts_with("{\"_type\"");
            for other in spellings(text).iter().filter(|other| begins(other)) {
                check(other.as_bytes(), &what);
                count += 1;
            }
            continue;
        }
        let file = truc_signing::DsseFile::parse(&bytes).unwrap();
        for payload in spellings(std::str::from_utf8(&file.payload).unwrap()) {
            check(&truc_signing::DsseFile { payload: payload.into_bytes(), ..file.clone() }.to_bytes(), &what);
            count += 1;
        }
        let spaced = text.replace("\":", "\" : ");
        assert!(matches!(check(spaced.as_bytes(), &what), Brief::Whole(_)));
    }
    assert!(count > 60, "{count}");
}

#[test]
fn what_is_no_statement_is_refused_as_the_strict_reader_refuses_it() {
    let (mut refused, mut cut) = (0, 0);
    for (path, bytes) in golden().filter(|(_, bytes)| Entry::parse(bytes.clone()).is_ok()) {
        for length in (0..bytes.len()).step_by(7) {
            let short: Arc<[u8]> = bytes.get(..length).unwrap().into();
            assert!(Brief::read(&short).is_err(), "{} cut to {length}", path.display());
            cut += 1;
        }
    }
    // A payload where none belongs, a fact that is sealed, an envelope that is not.
    for (_, bytes) in golden() {
        let payload = Entry::parse(bytes.clone()).is_err();
        if payload && Statement::parse(&bytes).is_ok() {
            assert!(Brief::read(&bytes).is_err());
            refused += 1;
        }
    }
    assert!(refused > 10 && cut > 1_000, "{refused} {cut}");
}
