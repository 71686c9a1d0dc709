//! DSSE files, statements, certificates and key files: what is read is written so that it reads back equal; certificates keep their exact bytes.

use std::sync::Arc;

use truc_core::{Brief, Entry};
use truc_signing::statement::{Envelope, Fact, Receipt, Registry, SenderHead, Statement};
use truc_signing::{Authority, Certificate, DsseFile, Signature, keyfile, open_sealed};
use truc_types::limits::{CERTIFICATE_BYTES_MAX, STATEMENT_FILE_BYTES_MAX};

use crate::corpus::{files, texts};

pub(super) fn dsse(input: &[u8]) -> bool {
    let Ok(file) = DsseFile::parse(input) else { return false };
    assert!(input.len() <= STATEMENT_FILE_BYTES_MAX, "a file over the limit was read");
    assert!(DsseFile::parse(&file.to_bytes()).is_ok_and(|again| again == file), "a DSSE file reads back as another");
    let opened = open_sealed(input);
    assert!(opened.is_err() || Statement::parse(&file.payload).is_ok(), "a file opens whose payload is no statement");
    opened.is_ok()
}

pub(super) fn statement(input: &[u8]) -> bool {
    let Ok(statement) = Statement::parse(input) else { return false };
    let written = match &statement {
        Statement::Envelope(envelope) => envelope.to_json(),
        Statement::Receipt(receipt) => receipt.to_json(),
        Statement::Fact(fact) => fact.to_json(),
        Statement::Registry(registry) => registry.to_json(),
        Statement::SenderHead(head) => head.to_json(),
    };
    let again = Statement::parse(&written);
    assert!(again.is_ok_and(|again| again == statement), "a statement reads back as another: {}", String::from_utf8_lossy(&written));
    true
}

/// A payload is of one type only.
pub(super) fn envelope(input: &[u8]) -> bool {
    let read = [
        Envelope::parse(input).is_ok(),
        Receipt::parse(input).is_ok(),
        Fact::parse(input).is_ok(),
        Registry::parse(input).is_ok(),
        SenderHead::parse(input).is_ok(),
    ];
    let statement = Statement::parse(input).ok();
    if let Ok(fact) = Fact::parse(input) {
        // Facts in the axis' own spelling have a reader of their own.
        assert_eq!(statement, Some(Statement::Fact(fact)), "a fact that is read along its spelling is another");
    }
    let as_one = statement.is_some();
    assert_eq!(read.iter().filter(|read| **read).count(), usize::from(as_one), "{read:?} beside {as_one}");
    as_one
}

/// An entry keeps the bytes that it was read from, and says the same in brief.
pub(super) fn entry(input: &[u8]) -> bool {
    // A payload alone is no entry, but mutations of it are statements more often than those of its base64.
    if !matches!(Statement::parse(input), Err(_) | Ok(Statement::Fact(_))) {
        let signatures = vec![Signature { keyid: truc_signing::sha256(input), sig: [7; 64] }];
        return entry(&DsseFile { payload: input.to_vec(), signatures }.to_bytes());
    }
    let bytes: Arc<[u8]> = input.into();
    let brief = Brief::read(&bytes);
    let Ok(entry) = Entry::parse(bytes.clone()) else { return false };
    assert!(brief.is_ok_and(|brief| says(&brief, &entry)), "in brief an entry says something else: {}", String::from_utf8_lossy(input));
    assert_eq!(entry.bytes, bytes, "an entry changed its bytes");
    assert_eq!(entry.digest(), truc_signing::sha256(input), "an entry has another digest than its bytes");
    true
}

/// Whether what was read in brief is what the entry says.
fn says(brief: &Brief, entry: &Entry) -> bool {
    match (brief, &entry.statement) {
        (Brief::Envelope(found), Statement::Envelope(envelope)) => {
            (found.message_id, found.digest, found.edge_term, found.seq)
                == (envelope.message_id, entry.digest(), envelope.edge_term, envelope.sender_seq)
                && (&found.sender, found.lane) == (&envelope.sender.agency, envelope.doc.urgency.lane())
                && found.recipients == envelope.recipients
        }
        (Brief::Accepted(found), Statement::Fact(Fact::Accepted(accepted))) => found == accepted,
        (Brief::Receipt(found), Statement::Receipt(receipt)) => {
            let items = found.items.iter().map(|item| (item.message_id, item.envelope, &item.recipient));
            (found.head.receipt_id, found.head.event, found.head.edge_term) == (receipt.receipt_id, receipt.event, receipt.edge_term)
                && (&found.head.issuer, &found.head.original_sender) == (&receipt.issuer, &receipt.original_sender)
                && items.eq(receipt.items.iter().map(|item| (item.message_id, item.envelope, &item.recipient)))
        }
        (Brief::Whole(found), _) => found.bytes == entry.bytes,
        _ => false,
    }
}

pub(super) fn certificate(input: &[u8]) -> bool {
    let own = Certificate::from_der(input);
    if let Ok(certificate) = &own {
        assert_eq!(certificate.der(), input, "a certificate has other bytes than it was read from");
        assert!(input.len() <= CERTIFICATE_BYTES_MAX, "a certificate over the limit was read");
    }
    let authority = Authority::from_der(input);
    if let Ok(authority) = &authority {
        assert_eq!(authority.der(), input, "an authority has other bytes than it was read from");
    }
    own.is_ok() || authority.is_ok()
}

pub(super) fn certificate_pem(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let own = Certificate::from_pem(text);
    if let Ok(certificate) = &own {
        assert!(Certificate::from_der(certificate.der()).is_ok(), "a certificate reads from PEM but not from its own bytes");
    }
    let authority = Authority::from_pem(text);
    if let Ok(authority) = &authority {
        assert!(Authority::from_der(authority.der()).is_ok(), "an authority reads from PEM but not from its own bytes");
    }
    own.is_ok() || authority.is_ok()
}

pub(super) fn keyfile(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(key) = keyfile::read_plain(text) else { return false };
    let again = keyfile::write_plain(&key).ok().and_then(|written| keyfile::read_plain(&written).ok());
    assert!(again.is_some_and(|again| again == key), "a key reads back as another");
    true
}

/// The DER inside the PEM files of the evidence.
pub(super) fn certificates() -> Vec<Vec<u8>> {
    let pems = files("evidence", ".pem");
    let ders = pems.iter().filter_map(|pem| std::str::from_utf8(pem).ok()).filter_map(|pem| {
        let own = Certificate::from_pem(pem).map(|certificate| certificate.der().to_vec());
        own.or_else(|_| Authority::from_pem(pem).map(|authority| authority.der().to_vec())).ok()
    });
    let ders: Vec<_> = ders.collect();
    assert!(!ders.is_empty(), "no certificate of the evidence reads");
    ders
}

/// A key file in the clear; an encrypted one would spend the time of the run on key derivation.
pub(super) fn key_files() -> Vec<Vec<u8>> {
    texts(&["-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n-----END PRIVATE KEY-----\n"])
}
