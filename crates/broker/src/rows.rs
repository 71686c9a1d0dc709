//! The tables of the broker's view store: the rows of the core, the registry's positions. Written off the commit path; the journal is the truth.

use truc_core::registry::AgencyIndex;
use truc_core::rows::{AgencyRow, GroupRow, MessageRow, RowError, Rows};
use truc_core::{Entry, State};
use truc_journal::JournalReader;
use truc_types::Position;
use truc_views::{KeyRange, Table, ViewBatch, ViewError, ViewFormat, ViewStore};

/// Format of these rows: another one is rebuilt. They are written and, but for a start, not read: a small cache will do.
pub(crate) const FORMAT: ViewFormat = ViewFormat { name: "truc-broker", format: 4, cache_bytes: 16 * 1024 * 1024 };

/// Groups of open messages, by number.
const GROUPS: Table = Table(1);
/// Agencies by index.
const AGENCIES: Table = Table(2);
/// Positions of the registry statements, under their number.
const REGISTRY: Table = Table(3);
/// Positions of the receipts that an agency has not confirmed, under its index and the cursor of the first in the row.
const FEED: Table = Table(4);
/// Open messages of many recipients, by place.
const APART: Table = Table(5);
const PAGE: usize = 1_000;

/// Why a view does not give a state: it is rebuilt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("a row of table {table} does not decode: {cause}")]
    Decode { table: u8, cause: String },
    #[error(transparent)]
    Rows(#[from] RowError),
    #[error("registry statement at {position}: {cause}")]
    Registry { position: Position, cause: String },
}

/// The rows that changed as one batch for the view writer.
pub(crate) fn take(state: &mut State) -> ViewBatch {
    let rows: Rows<_, _> = state.take_rows_as(|row| encode(&row), |row| encode(&row));
    let mut ops = Vec::with_capacity(rows.groups.len() + rows.apart.len() + rows.agencies.len() + rows.feed.len() + rows.registry.len());
    for (group, row) in rows.groups {
        ops.push((GROUPS, group.to_be_bytes().to_vec(), row));
    }
    for (place, row) in rows.apart {
        ops.push((APART, place.to_be_bytes().to_vec(), row));
    }
    for (index, row) in rows.agencies {
        ops.push((AGENCIES, index.0.to_be_bytes().to_vec(), Some(encode(&row))));
    }
    for (index, cursor, positions) in rows.feed {
        ops.push((FEED, feed_key(index, cursor), positions.map(|positions| positions.iter().flat_map(|at| at.0.to_be_bytes()).collect())));
    }
    for (number, position) in (0u64..).zip(rows.registry) {
        ops.push((REGISTRY, number.to_be_bytes().to_vec(), Some(position.0.to_be_bytes().to_vec())));
    }
    ViewBatch { position: rows.position, ops }
}

/// The state that a view holds, at the view's position.
pub(crate) fn restore(store: &ViewStore, reader: &dyn JournalReader) -> Result<State, RestoreError> {
    let mut registry = Vec::new();
    each(store, REGISTRY, |_, value| {
        let position = Position(u64::from_be_bytes(fixed(REGISTRY, value)?));
        let failed = |cause: String| RestoreError::Registry { position, cause };
        let bytes = reader.entry(position).map_err(|cause| failed(cause.to_string()))?;
        registry.push((position, Entry::parse(bytes.into()).map_err(|cause| failed(cause.to_string()))?));
        Ok(())
    })?;
    let mut agencies: Vec<(AgencyIndex, AgencyRow)> = Vec::new();
    each(store, AGENCIES, |key, value| {
        agencies.push((AgencyIndex(u16::from_be_bytes(fixed(AGENCIES, key)?)), decode(AGENCIES, value)?));
        Ok(())
    })?;
    let mut feed: Vec<(AgencyIndex, u64, Vec<Position>)> = Vec::new();
    each(store, FEED, |key, value| {
        let key: [u8; 10] = fixed(FEED, key)?;
        let (index, cursor) = key.split_at(2);
        let index = AgencyIndex(u16::from_be_bytes(fixed(FEED, index)?));
        let positions = value.chunks(8).map(|position| fixed(FEED, position).map(|bytes| Position(u64::from_be_bytes(bytes))));
        feed.push((index, u64::from_be_bytes(fixed(FEED, cursor)?), positions.collect::<Result<_, _>>()?));
        Ok(())
    })?;
    // Read as they are taken in: a list of millions would be there twice. What fails ends the rows, and then the state is not used.
    let mut failed = None;
    let messages = rows(store, GROUPS).map(|row| row.and_then(group)).chain(rows(store, APART).map(|row| row.and_then(apart)));
    let messages = messages.map_while(|messages| messages.map_err(|cause| failed = Some(cause)).ok()).flatten();
    let state = State::restore(store.position(), registry, agencies, feed, messages);
    failed.map_or(Ok(state?), Err)
}

/// The messages of a row of [`GROUPS`].
fn group((key, value): (Vec<u8>, Vec<u8>)) -> Result<Vec<(u32, MessageRow)>, RestoreError> {
    let group = u32::from_be_bytes(fixed(GROUPS, &key)?);
    Ok(decode::<GroupRow>(GROUPS, &value)?.into_messages(group)?.collect())
}

/// The message of a row of [`APART`].
fn apart((key, value): (Vec<u8>, Vec<u8>)) -> Result<Vec<(u32, MessageRow)>, RestoreError> {
    let message: MessageRow = decode(APART, &value)?;
    if !message.stands_apart() {
        return Err(RestoreError::Decode { table: APART.0, cause: "a message of few recipients".to_owned() });
    }
    Ok(vec![(u32::from_be_bytes(fixed(APART, &key)?), message)])
}

fn each(store: &ViewStore, table: Table, mut row: impl FnMut(&[u8], &[u8]) -> Result<(), RestoreError>) -> Result<(), RestoreError> {
    rows(store, table).try_for_each(|found| found.and_then(|(key, value)| row(&key, &value)))
}

/// The rows of a table in order, page by page.
fn rows(store: &ViewStore, table: Table) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), RestoreError>> {
    let (mut range, mut page, mut more) = (KeyRange::all(), Vec::new().into_iter(), true);
    std::iter::from_fn(move || {
        loop {
            if let Some(row) = page.next() {
                return Some(Ok(row));
            }
            if !more {
                return None;
            }
            match store.scan(table, &range, PAGE) {
                Ok(found) => {
                    more = found.more;
                    match found.rows.last() {
                        Some((last, _)) => range = range.clone().after(last),
                        None => more = false,
                    }
                    page = found.rows.into_iter();
                }
                Err(cause) => {
                    more = false;
                    return Some(Err(cause.into()));
                }
            }
        }
    })
}

/// Orders by agency, then cursor.
fn feed_key(index: AgencyIndex, cursor: u64) -> Vec<u8> {
    [&index.0.to_be_bytes()[..], &cursor.to_be_bytes()[..]].concat()
}

fn encode<T: serde::Serialize>(row: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "rows are plain numbers, texts and lists: postcard encodes all of them")]
    postcard::to_stdvec(row).expect("rows encode")
}

fn decode<T: serde::de::DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, RestoreError> {
    postcard::from_bytes(value).map_err(|cause| RestoreError::Decode { table: table.0, cause: cause.to_string() })
}

fn fixed<const N: usize>(table: Table, bytes: &[u8]) -> Result<[u8; N], RestoreError> {
    bytes.try_into().map_err(|_| RestoreError::Decode { table: table.0, cause: format!("{} bytes instead of {N}", bytes.len()) })
}
