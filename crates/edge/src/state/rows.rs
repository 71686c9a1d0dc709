//! The tables of an edge's view: keys and rows, all postcard. What changes them stands in `apply`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use truc_types::{AgencyCode, Digest, EdgeTerm, LeafIndex, MessageId, OrganisationCode, Position, QueuePosition, SenderSeq, Timestamp};
use truc_views::Table;

use super::catalogue::ListKey;
use crate::record::{Answer, GivenReason};
use crate::wire;

/// Format of the rows: another one rebuilds the view.
pub(crate) const ROWS_FORMAT: u32 = 6;

/// Single rows: [`Meta`], [`WatchRow`], and the peaks of the journal's tree.
pub(crate) const META: Table = Table(0);
/// Client reference → [`ReferenceRow`].
pub(crate) const REFERENCE: Table = Table(1);
/// Message id → [`OutboxRow`].
pub(crate) const OUTBOX: Table = Table(2);
/// Lane (highest first) and message id → nothing: documents that still have to reach the axis.
pub(crate) const OPEN: Table = Table(3);
/// Message id and recipient → [`InboxRow`].
pub(crate) const INBOX: Table = Table(4);
/// Arrival cursor / 16 → cursors and keys of inbox rows, one after another.
pub(crate) const ARRIVAL: Table = Table(5);
/// Event, sender, message id and recipient → [`PendingRow`]: what is to be put into a receipt.
pub(crate) const PENDING: Table = Table(6);
/// Receipt id → [`ReceiptRow`]: sealed receipts that are not in the log yet.
pub(crate) const RECEIPT: Table = Table(7);
/// Registry version → position of its record.
pub(crate) const REGISTRY: Table = Table(8);
/// Organisation → the agency that serves it.
pub(crate) const ORGANISATION: Table = Table(9);
/// Key id → position of the registry record with its certificate.
pub(crate) const CERTIFICATE: Table = Table(10);

/// Message id → [`TitleRow`](super::catalogue::TitleRow): what lists and searches ask of a document.
pub(crate) const TITLE: Table = Table(20);
/// [`ListKey`](super::catalogue::ListKey), the newest first → [`ListRow`](super::catalogue::ListRow): the documents that the DMS may see.
pub(crate) const LIST: Table = Table(21);
/// What a sent document is called, and what any document answers, and the document → nothing. The other way round they stand in its [`TITLE`].
pub(crate) const LINK: Table = Table(23);
/// What a received document is called, and its number in the list → message id.
pub(crate) const NAMED: Table = Table(24);
/// Position of a record → the events of it and of some that follow it: positions and [`EventRow`](super::events::EventRow)s, one after another.
pub(crate) const EVENTS: Table = Table(25);

/// Position / 128 → 128 bits, the first one lowest: records that tell the sender of a document something about it.
pub(crate) const NOTICE: Table = Table(26);

/// Key of [`WatchRow`].
pub(crate) const WATCH_KEY: &[u8] = b"watch";
/// Key of [`Meta`].
pub(crate) const META_KEY: &[u8] = b"meta";
/// Key of the peaks of the journal's tree at the position that the view has reached.
pub(crate) const PEAKS_KEY: &[u8] = b"peaks";

/// The newest checkpoint that extends all before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenCheckpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    #[serde(with = "wire::digest")]
    pub(crate) root: Digest,
}

/// What there is one of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The newest term this edge asked for.
    #[serde(with = "wire::term")]
    pub(crate) term: EdgeTerm,
    /// Whether it is open.
    pub(crate) term_open: bool,
    /// The last number used in it.
    #[serde(with = "wire::seq")]
    pub(crate) seq: SenderSeq,
    /// Documents that are sealed and that the axis has not answered.
    pub(crate) unanswered: u64,
    /// The last receipt of the feed that is stored.
    pub(crate) feed_cursor: u64,
    /// The last document that was shown to the DMS.
    pub(crate) arrival_cursor: u64,
    /// The last document that the DMS has stored.
    pub(crate) confirmed: u64,
    /// Documents that ever came into the list.
    pub(crate) listed: u64,
    /// Version of the registry.
    pub(crate) registry_version: u64,
    /// Leaf after the last registry statement.
    pub(crate) registry_next_leaf: u64,
    pub(crate) checkpoint: Option<SeenCheckpoint>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            term: EdgeTerm(0),
            term_open: false,
            seq: SenderSeq(0),
            unanswered: 0,
            feed_cursor: 0,
            arrival_cursor: 0,
            confirmed: 0,
            listed: 0,
            registry_version: 0,
            registry_next_leaf: 0,
            checkpoint: None,
        }
    }
}

/// What is durable in the watch folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WatchRow {
    /// Cursor of the last document that arrived.
    pub(crate) arrivals: u64,
    /// Position of the last notice.
    #[serde(with = "wire::position")]
    pub(crate) notices: Position,
}

/// What a client reference stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReferenceRow {
    #[serde(with = "wire::message_id")]
    pub(crate) message_id: MessageId,
    #[serde(with = "wire::digest")]
    pub(crate) request: Digest,
}

/// A document that this agency sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutboxRow {
    pub(crate) reference: String,
    pub(crate) lane: u8,
    /// Its draft.
    #[serde(with = "wire::position")]
    pub(crate) drafted: Position,
    pub(crate) sealed: Option<SealedAt>,
    pub(crate) accepted: Option<AcceptedAt>,
    /// Reason and sentence of a final refusal.
    pub(crate) refusal: Option<(String, String)>,
    /// Position of that.
    pub(crate) refused_at: Option<u64>,
    /// Its place in the list.
    pub(crate) listed: ListKey,
    /// In the order of the envelope.
    pub(crate) recipients: Vec<RecipientRow>,
}

impl OutboxRow {
    /// Whether it is sealed and the axis has not answered.
    pub(super) const fn is_unanswered(&self) -> bool {
        self.sealed.is_some() && self.is_open()
    }

    /// Whether it still has to reach the axis.
    pub(crate) const fn is_open(&self) -> bool {
        self.accepted.is_none() && self.refusal.is_none()
    }
}

/// The seal that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedAt {
    #[serde(with = "wire::position")]
    pub(crate) position: Position,
    #[serde(with = "wire::term")]
    pub(crate) term: EdgeTerm,
}

/// The acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcceptedAt {
    #[serde(with = "wire::position")]
    pub(crate) position: Position,
    #[serde(with = "wire::leaf_index")]
    pub(crate) leaf: LeafIndex,
    #[serde(with = "wire::time")]
    pub(crate) at: Timestamp,
    /// SHA-256 of the envelope's file: receipts must name it.
    #[serde(with = "wire::digest")]
    pub(crate) envelope: Digest,
}

/// How far a document is with one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Step {
    Waiting,
    Queued,
    Fetched,
    Acknowledged,
    Refused,
}

/// A document for one recipient, as its sender sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecipientRow {
    #[serde(with = "wire::organisation")]
    pub(crate) code: OrganisationCode,
    /// The agency that serves it, by the axis fact; empty before.
    pub(crate) agency: String,
    pub(crate) step: Step,
    #[serde(with = "wire::time")]
    pub(crate) at: Timestamp,
    #[serde(with = "wire::queue_position")]
    pub(crate) queue_position: QueuePosition,
    pub(crate) arrival_number: Option<String>,
    pub(crate) reason: Option<GivenReason>,
    /// Positions of the receipts' records, oldest first.
    pub(crate) receipts: Vec<u64>,
}

/// Whether a DMS may see a document that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Visibility {
    /// Its `fetched` is not in the log yet.
    Stored,
    /// Shown under this cursor.
    Shown(u64),
    /// Its `fetched` was refused: the copy counts for nothing.
    Discarded,
}

/// A document that arrived for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InboxRow {
    /// The record with the envelope.
    #[serde(with = "wire::position")]
    pub(crate) envelope_at: Position,
    /// The record of the arrival.
    #[serde(with = "wire::position")]
    pub(crate) arrived_at: Position,
    /// SHA-256 of the envelope's file.
    #[serde(with = "wire::digest")]
    pub(crate) envelope: Digest,
    /// The agency that sealed it.
    #[serde(with = "wire::agency")]
    pub(crate) sender: AgencyCode,
    #[serde(with = "wire::queue_position")]
    pub(crate) queue_position: QueuePosition,
    pub(crate) visibility: Visibility,
    /// Position of the record that showed or discarded it.
    pub(crate) visible_at: Option<u64>,
    /// Its place in the list, once it is shown.
    pub(crate) listed: Option<ListKey>,
    /// What the DMS decided.
    pub(crate) answer: Option<Answer>,
    /// When it decided.
    #[serde(with = "wire::time")]
    pub(crate) answered_at: Timestamp,
    /// Position of that.
    pub(crate) answer_at: Option<u64>,
    /// Position of the record by which the answer is in the log.
    pub(crate) answer_logged_at: Option<u64>,
}

impl InboxRow {
    /// It is shown or discarded, by the record at a position.
    pub(super) const fn decided(&mut self, visibility: Visibility, position: Position) {
        (self.visibility, self.visible_at) = (visibility, Some(position.0));
    }
}

/// What happened to a document, in the order in which it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub(crate) enum Event {
    Fetched = 0,
    Acknowledged = 1,
    Refused = 2,
}

impl Event {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Fetched),
            1 => Some(Self::Acknowledged),
            2 => Some(Self::Refused),
            _ => None,
        }
    }
}

/// Something that has to stand in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingRow {
    #[serde(with = "wire::digest")]
    pub(crate) envelope: Digest,
    #[serde(with = "wire::time")]
    pub(crate) at: Timestamp,
    #[serde(with = "wire::queue_position")]
    pub(crate) queue_position: QueuePosition,
    pub(crate) arrival_number: Option<String>,
    pub(crate) reason: Option<GivenReason>,
    /// A receipt with this item was refused and nobody said which item was wrong: it goes alone.
    pub(crate) alone: bool,
}

/// An item of a sealed receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    #[serde(with = "wire::message_id")]
    pub(crate) message_id: MessageId,
    #[serde(with = "wire::organisation")]
    pub(crate) recipient: OrganisationCode,
    pub(crate) pending: PendingRow,
}

/// A sealed receipt that is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptRow {
    #[serde(with = "wire::position")]
    pub(crate) position: Position,
    #[serde(with = "wire::term")]
    pub(crate) term: EdgeTerm,
    pub(crate) event: Event,
    #[serde(with = "wire::agency")]
    pub(crate) sender: AgencyCode,
    pub(crate) items: Vec<ItemRow>,
}

/// Key of an open document.
pub(crate) fn open_key(lane: u8, message_id: &MessageId) -> Vec<u8> {
    let mut key = vec![u8::MAX - lane];
    key.extend_from_slice(&message_id.to_bytes());
    key
}

/// The message of an open key.
pub(crate) fn message_of_open_key(key: &[u8]) -> Option<MessageId> {
    let (_, id) = key.split_first()?;
    Some(MessageId::from_bytes(id.try_into().ok()?))
}

/// Key of an inbox row.
pub(crate) fn inbox_key(message_id: &MessageId, recipient: &OrganisationCode) -> Vec<u8> {
    let mut key = message_id.to_bytes().to_vec();
    key.extend_from_slice(recipient.as_str().as_bytes());
    key
}

/// Message and recipient of an inbox key.
pub(crate) fn parts_of_inbox_key(key: &[u8]) -> Option<(MessageId, OrganisationCode)> {
    let (id, recipient) = key.split_first_chunk::<16>()?;
    Some((MessageId::from_bytes(*id), std::str::from_utf8(recipient).ok()?.parse().ok()?))
}

/// Prefix of the pending items of one event and sender: what may stand in one receipt. No code has a zero byte.
pub(crate) fn pending_prefix(event: Event, sender: &AgencyCode) -> Vec<u8> {
    let mut key = vec![event as u8];
    key.extend_from_slice(sender.as_str().as_bytes());
    key.push(0);
    key
}

/// Key of a pending item.
pub(crate) fn pending_key(event: Event, sender: &AgencyCode, message_id: &MessageId, recipient: &OrganisationCode) -> Vec<u8> {
    let mut key = pending_prefix(event, sender);
    key.extend_from_slice(&inbox_key(message_id, recipient));
    key
}

/// Event, sender, message and recipient of a pending key.
pub(crate) fn parts_of_pending_key(key: &[u8]) -> Option<(Event, AgencyCode, MessageId, OrganisationCode)> {
    let (event, rest) = key.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (sender, rest) = rest.split_at_checked(end)?;
    let (message_id, recipient) = parts_of_inbox_key(rest.get(1..)?)?;
    Some((Event::from_byte(*event)?, std::str::from_utf8(sender).ok()?.parse().ok()?, message_id, recipient))
}

/// The bytes of a row.
pub(crate) fn to_row<T: Serialize>(row: &T) -> Result<Vec<u8>, String> {
    postcard::to_allocvec(row).map_err(|cause| cause.to_string())
}

/// Reads a row.
pub(crate) fn from_row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    postcard::from_bytes(bytes).map_err(|cause| cause.to_string())
}
