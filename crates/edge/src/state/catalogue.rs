//! The catalogue: the documents that the DMS may see, the newest first, by what they are called and by what they answer.
//!
//! A document comes into the list when the DMS may see it: handed in, or shown. Nothing leaves it. Not the documents themselves: those are records.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use truc_signing::sha256;
use truc_signing::statement::{DocumentReference, Envelope};
use truc_types::limits::{DUPLICATES_MAX, ENVELOPE_CODES_MAX, THREAD_DOCUMENTS_MAX};
use truc_types::{Date, MessageId, OrganisationCode, Timestamp};
use truc_views::KeyRange;

use super::rows::{InboxRow, LINK, LIST, NAMED, TITLE, from_row};
use super::{State, StateError, unreadable};
use crate::wire;

/// A place in the list: 8 bytes of time and 8 of the number of the document, both from above, so that the newest comes first.
pub(crate) type ListKey = [u8; 16];

/// Vietnam has one zone without summer time.
const ZONE_MILLIS: u64 = 7 * 60 * 60 * 1_000;

/// A message id, or the digest of a name, cut to the same length.
type Node = [u8; 16];

/// What lists and searches ask of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TitleRow {
    #[serde(with = "wire::organisation")]
    pub(crate) sender: OrganisationCode,
    pub(crate) number: String,
    pub(crate) notation: String,
    /// What it is called: national identifier; number, notation, organisation and year.
    names: Vec<Node>,
    /// What it answers, and the first of its correspondence.
    answers: Vec<Node>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListRow {
    #[serde(with = "wire::message_id")]
    pub(crate) message_id: MessageId,
    /// The recipient of a received document; `None` for a sent one.
    recipient: Option<String>,
    /// When it came into the list.
    #[serde(with = "wire::time")]
    pub(crate) at: Timestamp,
}

impl ListRow {
    /// The recipient of a received document; `None` for a sent one.
    pub(crate) fn recipient(&self) -> Result<Option<OrganisationCode>, StateError> {
        self.recipient.as_ref().map(|code| code.parse().map_err(|_| unreadable(LIST, "its recipient"))).transpose()
    }

    /// Whether this DMS handed it in.
    pub(crate) const fn is_sent(&self) -> bool {
        self.recipient.is_none()
    }
}

/// The first place of the list that is not newer than a time.
pub(crate) fn list_key(at: Timestamp, number: u64) -> ListKey {
    let mut key = [0; 16];
    let (time, rest) = key.split_at_mut(8);
    time.copy_from_slice(&(u64::MAX - at.as_millis()).to_be_bytes());
    rest.copy_from_slice(&(u64::MAX - number).to_be_bytes());
    key
}

/// When a document came into the list.
pub(crate) fn listed_at(key: &ListKey) -> Timestamp {
    let [time, _] = halves(key);
    Timestamp::from_millis(time)
}

/// Time and number of a place in the list.
fn halves(key: &ListKey) -> [u64; 2] {
    let halves = u128::from_be_bytes(*key);
    [halves >> 64, halves & u128::from(u64::MAX)].map(|half| u64::MAX - u64::try_from(half).unwrap_or(u64::MAX))
}

fn named(kind: &str, parts: &[&str]) -> Node {
    // No part has a zero byte: control characters are refused in every text of a statement.
    let mut node = [0; 16];
    node.iter_mut().zip(sha256([kind, &parts.join("\0")].join("\0").as_bytes()).0).for_each(|(to, from)| *to = from);
    node
}

fn by_identifier(document_id: &str) -> Node {
    named("id", &[document_id])
}

/// Number and notation are unique per organisation and year (Decree 30/2020, art. 15).
fn by_code(organisation: &OrganisationCode, code: &str, year: u16) -> Node {
    named("code", &[organisation.as_str(), code, &year.to_string()])
}

fn year(date: Date) -> u16 {
    date.parts().0
}

/// Numbers begin anew on New Year's Day in Vietnam, seven hours before that of UTC.
fn year_of(message_id: &MessageId) -> u16 {
    let days = message_id.minted_at().plus_millis(ZONE_MILLIS).as_millis() / 86_400_000;
    u32::try_from(days).ok().and_then(Date::from_days_since_epoch).map_or(0, year)
}

/// What a reference names; a number without organisation and date names too many.
fn nodes_of(reference: &DocumentReference) -> Vec<Node> {
    let by_code = match (&reference.organisation, &reference.code, reference.issued_on) {
        (Some(organisation), Some(code), Some(date)) => Some(by_code(organisation, code, year(date))),
        _ => None,
    };
    let by_identifier = reference.document_id.as_deref().map(by_identifier);
    reference.message_id.map(|id| id.to_bytes()).into_iter().chain(by_identifier).chain(by_code).collect()
}

impl State {
    /// Notes what a document is called and what it answers.
    pub(super) fn write_title(&self, message_id: &MessageId, envelope: &Envelope) -> Result<(), StateError> {
        let (doc, sender) = (&envelope.doc, &envelope.sender.organisation);
        let (number, notation) = (doc.number.clone().unwrap_or_default(), doc.notation.clone().unwrap_or_default());
        let year = doc.issued_on.map_or_else(|| year_of(message_id), year);
        let by_code = (!number.is_empty()).then(|| by_code(sender, &format!("{number}/{notation}"), year));
        let names = doc.document_id.as_deref().map(by_identifier).into_iter().chain(by_code).collect();
        let replaced = envelope.replaces.iter().map(|replacement| &replacement.document);
        let answers = envelope.in_reply_to.iter().chain(replaced).flat_map(nodes_of);
        let answers = answers.chain(envelope.thread.map(|first| first.to_bytes())).collect();
        self.write(TITLE, &message_id.to_bytes(), &TitleRow { sender: sender.clone(), number, notation, names, answers })
    }

    /// Enters a document into the list; where it stands there. `recipient` is that of a received one.
    pub(super) fn list(&self, message_id: &MessageId, recipient: Option<&OrganisationCode>, at: Timestamp) -> Result<ListKey, StateError> {
        let title = self.title(message_id)?.ok_or_else(|| StateError::Inconsistent(format!("{message_id} has no title")))?;
        let mut number = 0;
        self.change_meta(|meta| {
            meta.listed += 1;
            number = meta.listed;
        })?;
        let key = list_key(at, number);
        let row = ListRow { message_id: *message_id, recipient: recipient.map(ToString::to_string), at };
        self.write(LIST, &key, &row)?;
        let (received, linked) = if recipient.is_some() { title.names.split_at(title.names.len()) } else { title.names.split_at(0) };
        for name in received {
            self.rows.put(NAMED, &[name.as_slice(), &number.to_be_bytes()].concat(), message_id.to_bytes().to_vec())?;
        }
        for node in linked.iter().chain(&title.answers) {
            self.rows.put(LINK, &[node.as_slice(), message_id.to_bytes().as_slice()].concat(), Vec::new())?;
        }
        Ok(key)
    }

    /// What a document is called.
    pub(crate) fn title(&self, message_id: &MessageId) -> Result<Option<TitleRow>, StateError> {
        self.read(TITLE, &message_id.to_bytes())
    }

    /// Lines of the list after `after` and not before `until`, the newest first, with their keys; and whether there are more.
    pub(crate) fn listed_after(&self, from: &ListKey, after: Option<&[u8]>, limit: usize) -> Result<ListPage, StateError> {
        let range = KeyRange::between(from, &[0xff; 17]);
        let range = after.map_or_else(|| range.clone(), |key| range.clone().after(key));
        let page = self.scan(LIST, &range, limit)?;
        let line = |(key, row): (Vec<u8>, Vec<u8>)| {
            let key = key.try_into().map_err(|_| unreadable(LIST, "its key"))?;
            Ok((key, from_row(&row).map_err(|cause| unreadable(LIST, &cause))?))
        };
        Ok(ListPage { lines: page.rows.into_iter().map(line).collect::<Result<_, StateError>>()?, more: page.more })
    }

    /// Messages that were shown before this one and have a name of it.
    fn possible_duplicates(&self, message_id: &MessageId, row: &InboxRow) -> Result<Vec<MessageId>, StateError> {
        let Some(key) = &row.listed else { return Ok(Vec::new()) };
        let Some(title) = self.title(message_id)? else { return Ok(Vec::new()) };
        let ([_, number], mut found) = (halves(key), Vec::new());
        for name in &title.names {
            let range = KeyRange::between(name, &[name.as_slice(), &number.to_be_bytes()].concat());
            for (_, id) in self.scan(NAMED, &range, ENVELOPE_CODES_MAX)?.rows {
                let id = MessageId::from_bytes(id.try_into().map_err(|_| unreadable(NAMED, "its value"))?);
                if id != *message_id && !found.contains(&id) && found.len() < DUPLICATES_MAX {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }

    /// A document that arrived, with those that it may be once more.
    pub(crate) fn inbox_with_duplicates(
        &self,
        message_id: &MessageId,
        recipient: &OrganisationCode,
    ) -> Result<Option<(InboxRow, Vec<MessageId>)>, StateError> {
        let Some(row) = self.inbox(message_id, recipient)? else { return Ok(None) };
        let duplicates = self.possible_duplicates(message_id, &row)?;
        Ok(Some((row, duplicates)))
    }

    /// Where a document stands in the list: as a sent one, and as a received one for each recipient.
    fn places_of(&self, message_id: &MessageId) -> Result<Vec<ListKey>, StateError> {
        let sent = self.outbox(message_id)?.map(|row| row.listed);
        let received = self.arrivals_of(message_id)?.into_iter().filter_map(|(_, row)| row.listed);
        Ok(sent.into_iter().chain(received).collect())
    }

    /// The correspondence of a document, nearest first by links, then put in the order of the list, oldest first; and whether it was cut.
    pub(crate) fn thread(&self, message_id: &MessageId) -> Result<Thread, StateError> {
        let mut thread = Thread::default();
        let mut seen: HashSet<Node> = HashSet::from([message_id.to_bytes()]);
        let mut waiting = VecDeque::from([message_id.to_bytes()]);
        while let Some(node) = waiting.pop_front() {
            let here = self.places_of(&MessageId::from_bytes(node))?;
            // Of a document that the DMS may not see nothing is followed.
            let title = if here.is_empty() { None } else { self.title(&MessageId::from_bytes(node))? };
            for key in here {
                if thread.lines.len() >= THREAD_DOCUMENTS_MAX {
                    thread.incomplete = true;
                    break;
                }
                let row = self.read(LIST, &key)?.ok_or_else(|| unreadable(LIST, "a document names no line"))?;
                thread.lines.push((key, row));
            }
            let mut next_nodes = title.map_or_else(Vec::new, |title| [title.names, title.answers].concat());
            let links = self.scan(LINK, &KeyRange::prefix(&node), THREAD_DOCUMENTS_MAX)?;
            let named = self.scan(NAMED, &KeyRange::prefix(&node), THREAD_DOCUMENTS_MAX)?;
            thread.incomplete |= links.more || named.more;
            for (key, _) in links.rows {
                next_nodes.push(*key.last_chunk::<16>().ok_or_else(|| unreadable(LINK, "its key"))?);
            }
            for (_, id) in named.rows {
                next_nodes.push(id.try_into().map_err(|_| unreadable(NAMED, "its value"))?);
            }
            for next in next_nodes {
                // Names and messages: at most so many of each that the documents found stay below their limit several times over.
                if seen.len() >= 4 * THREAD_DOCUMENTS_MAX {
                    thread.incomplete = true;
                } else if seen.insert(next) {
                    waiting.push_back(next);
                }
            }
        }
        thread.lines.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        Ok(thread)
    }
}

/// Lines of the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListPage {
    pub(crate) lines: Vec<(ListKey, ListRow)>,
    pub(crate) more: bool,
}

/// A correspondence, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    pub(crate) lines: Vec<(ListKey, ListRow)>,
    /// It was too large to be gathered.
    pub(crate) incomplete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_a_date_is_of_the_year_in_vietnam() {
        for (minted, expected) in
            [("2025-12-31T16:59:59.999Z", 2025), ("2025-12-31T17:00:00.000Z", 2026), ("2026-12-31T16:59:59.999Z", 2026)]
        {
            assert_eq!(year_of(&MessageId::mint(minted.parse().unwrap(), [0; 10])), expected, "{minted}");
        }
    }
}
