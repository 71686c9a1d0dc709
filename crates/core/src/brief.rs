//! What `apply` reads of an entry, and nothing else: for entries that the log has packed, whose bytes were read strictly when they were admitted and
//! whose bundle is checked when it is unpacked. A rebuild takes most of its time for reading, and most of a statement means nothing to the state.
//!
//! Not a check of statements: what is in one beside that is passed over. It is read as our writer writes it; whatever looks otherwise, and every kind that
//! is rare, goes through the strict reader, which refuses what is no statement. Of a statement that the strict reader takes, both read the same.

mod read;

use std::sync::Arc;

use truc_signing::statement::{self as st, Accepted, ReceiptEvent, StatementError};
use truc_types::{AgencyCode, Digest, EdgeTerm, Lane, MessageId, OrganisationCode, SenderSeq};

use crate::entry::Entry;
use read::skim;

/// An entry in brief.
#[derive(Debug, Clone)]
pub enum Brief {
    /// A document on its way.
    Envelope(EnvelopeBrief),
    /// The fact that it was accepted, which has nothing that is not applied.
    Accepted(Accepted),
    /// What became of documents.
    Receipt(ReceiptBrief),
    /// Any other, read strictly.
    Whole(Box<Entry>),
}

/// An envelope in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeBrief {
    /// Its id.
    pub message_id: MessageId,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// The agency that sealed it.
    pub sender: AgencyCode,
    /// Term of the sender's edge.
    pub edge_term: EdgeTerm,
    /// Number in that term.
    pub seq: SenderSeq,
    /// By its urgency.
    pub lane: Lane,
    /// To whom.
    pub recipients: Vec<OrganisationCode>,
}

/// A receipt in brief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptBrief {
    /// What holds for all items.
    pub head: ReceiptHead,
    /// The documents.
    pub items: Vec<ItemBrief>,
}

/// What a receipt says once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptHead {
    /// Its id.
    pub receipt_id: MessageId,
    /// What happened.
    pub event: ReceiptEvent,
    /// The agency that sealed it.
    pub issuer: AgencyCode,
    /// The agency that sent the documents.
    pub original_sender: AgencyCode,
    /// Term of the issuer's edge.
    pub edge_term: EdgeTerm,
}

/// What a receipt says of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemBrief {
    /// The message.
    pub message_id: MessageId,
    /// SHA-256 of its file.
    pub envelope: Digest,
    /// The organisation it was delivered for.
    pub recipient: OrganisationCode,
}

impl Brief {
    /// Reads an entry of the log.
    ///
    /// # Errors
    /// Those of [`Entry::parse`].
    pub fn read(bytes: &Arc<[u8]>) -> Result<Self, StatementError> {
        match skim(bytes) {
            Some(brief) => Ok(brief),
            None => Entry::parse(bytes.clone()).map(|entry| Self::Whole(Box::new(entry))),
        }
    }
}

impl EnvelopeBrief {
    pub(crate) fn of(envelope: &st::Envelope, digest: Digest) -> Self {
        Self {
            message_id: envelope.message_id,
            digest,
            sender: envelope.sender.agency.clone(),
            edge_term: envelope.edge_term,
            seq: envelope.sender_seq,
            lane: envelope.doc.urgency.lane(),
            recipients: envelope.recipients.clone(),
        }
    }
}

impl ReceiptHead {
    pub(crate) fn of(receipt: &st::Receipt) -> Self {
        Self {
            receipt_id: receipt.receipt_id,
            event: receipt.event,
            issuer: receipt.issuer.clone(),
            original_sender: receipt.original_sender.clone(),
            edge_term: receipt.edge_term,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use st::{Fact, Statement};

    use super::*;

    /// What the strict reader finds, in brief.
    fn expected(entry: Entry) -> Brief {
        match &entry.statement {
            Statement::Envelope(envelope) => Brief::Envelope(EnvelopeBrief::of(envelope, entry.digest())),
            Statement::Fact(Fact::Accepted(accepted)) => Brief::Accepted(accepted.clone()),
            Statement::Receipt(receipt) => {
                let items = receipt.items.iter().map(|item| {
                    let st::ReceiptItem { message_id, envelope, recipient, .. } = item.clone();
                    ItemBrief { message_id, envelope, recipient }
                });
                Brief::Receipt(ReceiptBrief { head: ReceiptHead::of(receipt), items: items.collect() })
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
            let is_frequent =
                matches!(entry.statement, Statement::Envelope(_) | Statement::Receipt(_) | Statement::Fact(Fact::Accepted(_)));
            let read = check(&bytes, &path.display().to_string());
            assert_eq!(skim(&bytes).is_some(), is_frequent, "{}", path.display());
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
}
