//! Reading an entry in brief: where the few fields stand that `apply` asks for. Not what to do with an entry in which they are not found as our writer
//! writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_signing::sha256;
use truc_signing::statement::{Accepted, FactEvent, QueueEntry, ReceiptEvent};
use truc_types::limits::PAYLOAD_BYTES_MAX;
use truc_types::names::{ENVELOPE_V1, FACT_V1, PAYLOAD_TYPE, RECEIPT_V1, STATEMENT_TYPE};
use truc_types::{Digest, EdgeTerm, LeafIndex, MessageId, QueuePosition, SenderSeq, Urgency};

use super::{Brief, EnvelopeBrief, ItemBrief, ReceiptBrief, ReceiptHead};
use crate::skim::Skim;

/// Items for which room is made before the first is read: most receipts have fewer.
const ITEMS: usize = 8;

/// An entry of one of the three frequent kinds as our writer writes it.
pub(super) fn skim(bytes: &[u8]) -> Option<Brief> {
    if bytes.starts_with(b"{\"_type\"") {
        return statement(bytes, |predicate_type, subjects, predicate| match predicate_type {
            FACT_V1 => accepted(subjects, predicate).map(Brief::Accepted),
            _ => None,
        });
    }
    let payload = payload(bytes)?;
    statement(&payload, |predicate_type, subjects, predicate| match predicate_type {
        ENVELOPE_V1 => envelope(predicate, bytes).map(Brief::Envelope),
        RECEIPT_V1 => receipt(subjects, predicate).map(Brief::Receipt),
        _ => None,
    })
}

/// The payload of a DSSE file.
fn payload(file: &[u8]) -> Option<Vec<u8>> {
    let (mut file, mut payload_type, mut payload) = (Skim::new(file), None, None);
    while file.field()? {
        match file.name()? {
            b"payloadType" => once(&mut payload_type, file.text()?)?,
            b"payload" => once(&mut payload, file.base64()?)?,
            _ => file.skip()?,
        }
    }
    let is_ours = payload_type == Some(PAYLOAD_TYPE) && file.is_done();
    let payload = STANDARD.decode(payload.filter(|_| is_ours)?).ok()?;
    (payload.len() <= PAYLOAD_BYTES_MAX).then_some(payload)
}

/// Reads a statement by the type of its predicate, which stands in front of it. The subjects are given as the place where their list begins.
fn statement<'a>(bytes: &'a [u8], read: impl FnOnce(&str, Skim<'a>, &mut Skim<'a>) -> Option<Brief>) -> Option<Brief> {
    let mut skim = Skim::new(bytes);
    let (mut is_statement, mut subjects, mut predicate_type) = (None, None, None);
    while skim.field()? {
        match skim.name()? {
            b"_type" => once(&mut is_statement, skim.text()? == STATEMENT_TYPE)?,
            b"subject" => once(&mut subjects, skim.passed()?)?,
            b"predicateType" => once(&mut predicate_type, skim.text()?)?,
            b"predicate" if is_statement == Some(true) => {
                let brief = read(predicate_type?, subjects?, &mut skim)?;
                // It is the last field.
                return (skim.field() == Some(false) && skim.is_done()).then_some(brief);
            }
            _ => return None,
        }
    }
    None
}

fn envelope(skim: &mut Skim<'_>, file: &[u8]) -> Option<EnvelopeBrief> {
    let (mut message_id, mut sender, mut recipients) = (None, None, None);
    let (mut lane, mut edge_term, mut seq) = (None, None, None);
    while skim.field()? {
        match skim.name()? {
            b"message_id" => once(&mut message_id, skim.parsed()?)?,
            b"sender" => once(&mut sender, field(skim, b"agency", Skim::parsed)?)?,
            b"recipients" => {
                let mut codes = Vec::new();
                while skim.item()? {
                    codes.push(skim.parsed()?);
                }
                once(&mut recipients, codes)?;
            }
            b"doc" => once(&mut lane, field(skim, b"urgency", |skim| Urgency::from_digit(u8::try_from(skim.integer()?).ok()?))?.lane())?,
            b"edge_term" => once(&mut edge_term, EdgeTerm(number(skim)?))?,
            b"sender_seq" => once(&mut seq, SenderSeq(number(skim)?))?,
            _ => skim.skip()?,
        }
    }
    let recipients: Vec<_> = recipients.filter(|codes: &Vec<_>| !codes.is_empty())?;
    let (message_id, sender, edge_term, seq, lane) = (message_id?, sender?, edge_term?, seq?, lane?);
    Some(EnvelopeBrief { message_id, digest: sha256(file), sender, edge_term, seq, lane, recipients })
}

fn accepted(mut subjects: Skim<'_>, skim: &mut Skim<'_>) -> Option<Accepted> {
    let (message_id, envelope) = subject(&mut subjects)?;
    let (mut event, mut leaf, mut block_time, mut registry_version, mut queue) = (None, None, None, None, None);
    while skim.field()? {
        match skim.name()? {
            b"event" => once(&mut event, skim.text()? == FactEvent::Accepted.as_str())?,
            b"leaf" => once(&mut leaf, LeafIndex(skim.integer()?))?,
            b"block_time" => once(&mut block_time, skim.parsed()?)?,
            b"registry_version" => once(&mut registry_version, skim.integer()?)?,
            b"queue" => {
                let mut entries = Vec::with_capacity(1);
                while skim.item()? {
                    entries.push(queue_entry(skim)?);
                }
                once(&mut queue, entries)?;
            }
            _ => return None,
        }
    }
    // One subject, at least one recipient.
    let is_whole = event? && !subjects.item()?;
    let queue = queue.filter(|entries| is_whole && !entries.is_empty())?;
    Some(Accepted { message_id, envelope, leaf: leaf?, block_time: block_time?, registry_version: registry_version?, queue })
}

fn queue_entry(skim: &mut Skim<'_>) -> Option<QueueEntry> {
    let (mut recipient, mut agency, mut position) = (None, None, None);
    while skim.field()? {
        match skim.name()? {
            b"recipient" => once(&mut recipient, skim.parsed()?)?,
            b"agency" => once(&mut agency, skim.parsed()?)?,
            b"position" => once(&mut position, QueuePosition(number(skim)?))?,
            _ => return None,
        }
    }
    Some(QueueEntry { recipient: recipient?, agency: agency?, position: position? })
}

fn receipt(mut subjects: Skim<'_>, skim: &mut Skim<'_>) -> Option<ReceiptBrief> {
    let (mut receipt_id, mut event, mut issuer) = (None, None, None);
    let (mut original_sender, mut edge_term, mut items) = (None, None, None);
    while skim.field()? {
        match skim.name()? {
            b"receipt_id" => once(&mut receipt_id, skim.parsed()?)?,
            b"event" => {
                let text = skim.text()?;
                once(&mut event, ReceiptEvent::ALL.iter().copied().find(|event| event.as_str() == text)?)?;
            }
            b"issuer" => once(&mut issuer, skim.parsed()?)?,
            b"original_sender" => once(&mut original_sender, skim.parsed()?)?,
            b"edge_term" => once(&mut edge_term, EdgeTerm(number(skim)?))?,
            b"items" => {
                let mut found = Vec::with_capacity(ITEMS);
                while skim.item()? {
                    let (message_id, envelope) = subject(&mut subjects)?;
                    found.push(ItemBrief { message_id, envelope, recipient: field(skim, b"recipient", Skim::parsed)? });
                }
                once(&mut items, found)?;
            }
            _ => skim.skip()?,
        }
    }
    let is_whole = !subjects.item()?;
    let items = items.filter(|items| is_whole && !items.is_empty())?;
    let (receipt_id, event, issuer) = (receipt_id?, event?, issuer?);
    let head = ReceiptHead { receipt_id, event, issuer, original_sender: original_sender?, edge_term: edge_term? };
    Some(ReceiptBrief { head, items })
}

/// The next subject: the id in its name, and its digest.
fn subject(subjects: &mut Skim<'_>) -> Option<(MessageId, Digest)> {
    if !subjects.item()? {
        return None;
    }
    let (mut name, mut digest) = (None, None);
    while subjects.field()? {
        match subjects.name()? {
            b"name" => once(&mut name, subjects.parsed()?)?,
            b"digest" => once(&mut digest, field(subjects, b"sha256", Skim::parsed)?)?,
            _ => return None,
        }
    }
    Some((name?, digest?))
}

/// One field of an object; the others are passed over.
fn field<'a, T>(skim: &mut Skim<'a>, wanted: &[u8], read: impl Fn(&mut Skim<'a>) -> Option<T>) -> Option<T> {
    let mut found = None;
    while skim.field()? {
        if skim.name()? == wanted { once(&mut found, read(skim)?)? } else { skim.skip()? }
    }
    found
}

/// An integer from 1.
fn number(skim: &mut Skim<'_>) -> Option<u64> {
    skim.integer().filter(|number| *number > 0)
}

/// Sets what no object says twice.
fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}
