//! What is read from the rows: single rows, and pages of open work. Nothing here changes anything.

use std::collections::HashMap;

use truc_types::limits::{PAGE_ITEMS_MAX, RECEIPT_ITEMS_MAX};
use truc_types::{AgencyCode, Digest, MessageId, OrganisationCode, Position, Timestamp};
use truc_views::KeyRange;

use super::rows::{
    ARRIVAL, CERTIFICATE, Event, INBOX, InboxRow, META, META_KEY, Meta, OPEN, ORGANISATION, OUTBOX, OutboxRow, PENDING, PendingRow,
    RECEIPT, REFERENCE, REGISTRY, ReceiptRow, ReferenceRow, WATCH_KEY, WatchRow, from_row, inbox_key, message_of_open_key,
    parts_of_inbox_key, parts_of_pending_key, pending_prefix,
};
use super::{State, StateError, unreadable};

/// Cursors that share a row of [`ARRIVAL`].
const ARRIVALS_PER_ROW: u64 = 16;

/// Something that has to stand in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingItem {
    pub(crate) message_id: MessageId,
    pub(crate) recipient: OrganisationCode,
    pub(crate) row: PendingRow,
}

/// Keys of open documents, and the key after which there are more.
pub(crate) type OpenKeys = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// How much is waiting, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Documents of the DMS that are not sealed.
    pub(crate) stored: u64,
    /// Sealed ones that the axis has not answered.
    pub(crate) sealed: u64,
    /// When the DMS handed the oldest of both in.
    pub(crate) oldest: Option<Timestamp>,
    /// Documents that the DMS has been shown and has not confirmed.
    pub(crate) unconfirmed: u64,
    /// Events that are in no receipt in the log.
    pub(crate) receipts: u64,
    pub(crate) feed_cursor: u64,
    pub(crate) witness_size: u64,
}

impl State {
    /// How much is waiting; of each queue at most `limit` rows are looked at.
    pub(crate) fn backlog(&self, limit: usize) -> Result<Backlog, StateError> {
        let meta = self.meta()?;
        let (open, _) = self.open_documents(None, limit)?;
        let (mut stored, mut sealed) = (0, 0);
        for message_id in &open {
            match self.outbox(message_id)?.and_then(|row| row.sealed) {
                Some(_) => sealed += 1,
                None => stored += 1,
            }
        }
        let pending = self.scan(PENDING, &KeyRange::all(), limit)?.rows.len() as u64;
        let in_receipts = self.waiting_receipts(limit)?.iter().map(|(_, row)| row.items.len() as u64).sum::<u64>();
        Ok(Backlog {
            stored,
            sealed,
            // An id is minted when its document is handed in.
            oldest: open.iter().map(MessageId::minted_at).min(),
            unconfirmed: meta.arrival_cursor.saturating_sub(meta.confirmed),
            receipts: pending + in_receipts,
            feed_cursor: meta.feed_cursor,
            witness_size: meta.checkpoint.map_or(0, |checkpoint| checkpoint.size),
        })
    }

    /// What there is one of.
    pub(crate) fn meta(&self) -> Result<Meta, StateError> {
        match &*self.meta.read() {
            Some(meta) => Ok(meta.clone()),
            None => Ok(self.read(META, META_KEY)?.unwrap_or_default()),
        }
    }

    /// What a client reference stands for.
    pub(crate) fn reference(&self, reference: &str) -> Result<Option<ReferenceRow>, StateError> {
        self.read(REFERENCE, reference.as_bytes())
    }

    /// A document that this agency sends.
    pub(crate) fn outbox(&self, message_id: &MessageId) -> Result<Option<OutboxRow>, StateError> {
        self.read(OUTBOX, &message_id.to_bytes())
    }

    /// Documents that still have to reach the axis, urgent ones first, after `after`; and where more of them begin.
    pub(crate) fn open_documents(&self, after: Option<&[u8]>, limit: usize) -> Result<(Vec<MessageId>, Option<Vec<u8>>), StateError> {
        let (keys, next) = self.open_keys(after, limit)?;
        let messages = keys.iter().map(|key| message_of_open_key(key).ok_or_else(|| unreadable(OPEN, "its key")));
        Ok((messages.collect::<Result<_, _>>()?, next))
    }

    /// Their keys.
    pub(crate) fn open_keys(&self, after: Option<&[u8]>, limit: usize) -> Result<OpenKeys, StateError> {
        let range = after.map_or_else(KeyRange::all, |key| KeyRange::all().after(key));
        let page = self.scan(OPEN, &range, limit)?;
        let next = page.more.then(|| page.rows.last().map(|(key, _)| key.clone())).flatten();
        Ok((page.rows.into_iter().map(|(key, _)| key).collect(), next))
    }

    /// A document that arrived for one recipient.
    pub(crate) fn inbox(&self, message_id: &MessageId, recipient: &OrganisationCode) -> Result<Option<InboxRow>, StateError> {
        self.read(INBOX, &inbox_key(message_id, recipient))
    }

    /// All arrivals of one message, by recipient; at most as many as an envelope has recipients.
    pub(crate) fn arrivals_of(&self, message_id: &MessageId) -> Result<Vec<(OrganisationCode, InboxRow)>, StateError> {
        let page = self.scan(INBOX, &KeyRange::prefix(&message_id.to_bytes()), truc_types::limits::ENVELOPE_CODES_MAX)?;
        let arrival = |(key, row): (Vec<u8>, Vec<u8>)| {
            let (_, recipient) = parts_of_inbox_key(&key).ok_or_else(|| unreadable(INBOX, "its key"))?;
            Ok((recipient, from_row(&row).map_err(|cause| unreadable(INBOX, &cause))?))
        };
        page.rows.into_iter().map(arrival).collect()
    }

    /// Documents that were shown to the DMS after the cursor: cursor, message, recipient.
    pub(crate) fn shown_after(&self, cursor: u64, limit: usize) -> Result<Vec<(u64, MessageId, OrganisationCode)>, StateError> {
        let (mut range, mut found) = (KeyRange::between(&(cursor / ARRIVALS_PER_ROW).to_be_bytes(), &[0xff; 9]), Vec::new());
        loop {
            let page = self.scan(ARRIVAL, &range, PAGE_ITEMS_MAX.min(limit))?;
            for (_, row) in &page.rows {
                let mut rest = row.as_slice();
                while !rest.is_empty() && found.len() < limit {
                    let ((at, key), after): ((u64, &[u8]), _) =
                        postcard::take_from_bytes(rest).map_err(|cause| unreadable(ARRIVAL, &cause.to_string()))?;
                    rest = after;
                    if at > cursor {
                        let (message_id, recipient) = parts_of_inbox_key(key).ok_or_else(|| unreadable(ARRIVAL, "its value"))?;
                        found.push((at, message_id, recipient));
                    }
                }
            }
            match page.rows.last() {
                // Who gets fewer than asked for has all of them.
                Some((key, _)) if page.more && found.len() < limit => range = range.after(key),
                _ => return Ok(found),
            }
        }
    }

    /// Notes what is shown under the next cursor.
    pub(super) fn write_arrival(&self, cursor: u64, key: &[u8]) -> Result<(), StateError> {
        let row_key = (cursor / ARRIVALS_PER_ROW).to_be_bytes();
        let row = self.rows.get(ARRIVAL, &row_key)?.unwrap_or_default();
        let row = postcard::to_extend(&(cursor, key), row).map_err(|cause| unreadable(ARRIVAL, &cause.to_string()))?;
        Ok(self.rows.put(ARRIVAL, &row_key, row)?)
    }

    /// How far the watch folder is; before it was first used: after the last document that the DMS has confirmed.
    pub(crate) fn watch(&self) -> Result<WatchRow, StateError> {
        let known = self.read(META, WATCH_KEY)?;
        let begin = || Ok::<_, StateError>(WatchRow { arrivals: self.meta()?.confirmed, notices: Position(0) });
        known.map_or_else(begin, Ok)
    }

    /// The kinds of receipts that could be sealed now, each once: event and original sender.
    pub(crate) fn pending_groups(&self, limit: usize) -> Result<Vec<(Event, AgencyCode)>, StateError> {
        let mut groups = Vec::new();
        let mut range = KeyRange::all();
        while groups.len() < limit {
            let page = self.scan(PENDING, &range, 1)?;
            let Some((key, _)) = page.rows.first() else { break };
            let (event, sender, ..) = parts_of_pending_key(key).ok_or_else(|| unreadable(PENDING, "its key"))?;
            // The longest key of a group is shorter than its prefix and 0xff.
            let mut last = pending_prefix(event, &sender);
            last.pop();
            last.push(1);
            range = KeyRange::all().after(&last);
            groups.push((event, sender));
        }
        Ok(groups)
    }

    /// Whether something of one kind could be sealed now.
    pub(crate) fn is_pending(&self, group: &(Event, AgencyCode)) -> Result<bool, StateError> {
        Ok(self.pending_count(group)? > 0)
    }

    /// How much of one kind could be sealed now. All rows are counted when somebody asks for the first time.
    pub(crate) fn pending_count(&self, group: &(Event, AgencyCode)) -> Result<usize, StateError> {
        let mut pending = self.pending.lock();
        let counts = match &mut *pending {
            Some(counts) => counts,
            none => none.insert(self.count_pending()?),
        };
        Ok(counts.get(group).copied().unwrap_or_default())
    }

    fn count_pending(&self) -> Result<HashMap<(Event, AgencyCode), usize>, StateError> {
        let (mut counts, mut range) = (HashMap::new(), KeyRange::all());
        loop {
            let page = self.scan(PENDING, &range, PAGE_ITEMS_MAX)?;
            for (key, _) in &page.rows {
                let (event, sender, ..) = parts_of_pending_key(key).ok_or_else(|| unreadable(PENDING, "its key"))?;
                *counts.entry((event, sender)).or_default() += 1;
            }
            match page.rows.last() {
                Some((key, _)) if page.more => range = KeyRange::all().after(key),
                _ => return Ok(counts),
            }
        }
    }

    /// The items of the next receipt of one kind, oldest message first; one alone if it was set apart.
    pub(crate) fn pending_items(&self, event: Event, sender: &AgencyCode) -> Result<Vec<PendingItem>, StateError> {
        let page = self.scan(PENDING, &KeyRange::prefix(&pending_prefix(event, sender)), RECEIPT_ITEMS_MAX)?;
        let mut items = Vec::with_capacity(page.rows.len());
        for (key, row) in page.rows {
            let (_, _, message_id, recipient) = parts_of_pending_key(&key).ok_or_else(|| unreadable(PENDING, "its key"))?;
            let row: PendingRow = from_row(&row).map_err(|cause| unreadable(PENDING, &cause))?;
            match (row.alone, items.is_empty()) {
                (true, true) => return Ok(vec![PendingItem { message_id, recipient, row }]),
                (true, false) => break,
                (false, _) => items.push(PendingItem { message_id, recipient, row }),
            }
        }
        Ok(items)
    }

    /// Sealed receipts that are not in the log yet, oldest first.
    pub(crate) fn waiting_receipts(&self, limit: usize) -> Result<Vec<(MessageId, ReceiptRow)>, StateError> {
        let page = self.scan(RECEIPT, &KeyRange::all(), limit)?;
        let receipt = |(key, row): (Vec<u8>, Vec<u8>)| {
            let key: [u8; 16] = key.try_into().map_err(|_| unreadable(RECEIPT, "its key"))?;
            Ok((MessageId::from_bytes(key), from_row(&row).map_err(|cause| unreadable(RECEIPT, &cause))?))
        };
        page.rows.into_iter().map(receipt).collect()
    }

    /// Positions of the registry's records from a version on.
    pub(crate) fn registry_from(&self, version: u64, limit: usize) -> Result<Vec<Position>, StateError> {
        let range = KeyRange::between(&version.to_be_bytes(), &[0xff; 9]);
        let page = self.scan(REGISTRY, &range, limit)?;
        page.rows.iter().map(|(_, row)| from_row(row).map(Position).map_err(|cause| unreadable(REGISTRY, &cause))).collect()
    }

    /// The codes that an agency serves, in the order of their bytes, and whether there are more than `limit`.
    pub(crate) fn organisations_of(&self, agency: &AgencyCode, limit: usize) -> Result<(Vec<OrganisationCode>, bool), StateError> {
        let (mut found, mut range) = (Vec::new(), KeyRange::all());
        loop {
            let page = self.scan(ORGANISATION, &range, PAGE_ITEMS_MAX)?;
            for (key, served_by) in &page.rows {
                if served_by != agency.as_str().as_bytes() {
                    continue;
                }
                if found.len() >= limit {
                    return Ok((found, true));
                }
                let code = std::str::from_utf8(key).ok().and_then(|code| code.parse().ok());
                found.push(code.ok_or_else(|| unreadable(ORGANISATION, "its key"))?);
            }
            match page.rows.last() {
                Some((key, _)) if page.more => range = KeyRange::all().after(key),
                _ => return Ok((found, false)),
            }
        }
    }

    /// Position of the registry record with the certificate of a key.
    pub(crate) fn certificate_of(&self, keyid: &Digest) -> Result<Option<Position>, StateError> {
        Ok(self.read(CERTIFICATE, &keyid.0)?.map(Position))
    }
}
