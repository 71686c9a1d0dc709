//! Reading durable blocks, from any number of threads, with positioned reads; and the shared state behind it.
//!
//! Knows only what has been published: the writer adds a block here after its sync and never before.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use truc_types::Position;

use super::disk::Disk;
use super::format::{BLOCK_HEADER_BYTES, StoredHeader};
use super::index::Index;
use super::walk::read_at;
use crate::block::{Block, JournalEnd};
use crate::contract::{Blocks, Damage, JournalReader, ReadError, first_block_from};

/// Files that readers keep open: the busy tail, replays and look-ups, far below any limit on descriptors.
const OPEN_FILES_MAX: usize = 32;

/// Where a block is: 16 bytes in memory per block. Its number is its index.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPlace {
    pub(super) position: Position,
    /// Which segment, counted from 0.
    pub(super) segment: u32,
    /// Segments are far below 4 GiB.
    pub(super) offset: u32,
}

/// A segment as readers need it.
#[derive(Debug)]
pub(super) struct SegmentInfo {
    pub(super) path: PathBuf,
    pub(super) origin: Arc<str>,
    /// Position behind its last entry and its index; `None` for the one that grows.
    pub(super) sealed: Option<(Position, Index)>,
}

/// What is durable.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) places: Vec<BlockPlace>,
    pub(super) segments: Vec<SegmentInfo>,
    pub(super) end: JournalEnd,
}

/// The reading side of a folder of segment files.
pub(super) struct SegmentReader {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) published: Arc<RwLock<Published>>,
    files: Mutex<VecDeque<(PathBuf, Arc<File>)>>,
}

impl SegmentReader {
    pub(super) fn new(disk: Arc<dyn Disk>, published: Published) -> Self {
        Self { disk, published: Arc::new(RwLock::new(published)), files: Mutex::new(VecDeque::new()) }
    }

    /// A file, from those that are open if it is among them.
    fn file(&self, path: &Path) -> Result<Arc<File>, ReadError> {
        let mut files = self.files.lock();
        if let Some(at) = files.iter().position(|(open, _)| open == path)
            && let Some(found) = files.remove(at)
        {
            let file = found.1.clone();
            files.push_front(found);
            return Ok(file);
        }
        drop(files);
        let file = Arc::new(self.disk.open(path).map_err(|source| ReadError::Storage { path: path.to_owned(), source })?);
        let mut files = self.files.lock();
        files.push_front((path.to_owned(), file.clone()));
        files.truncate(OPEN_FILES_MAX);
        Ok(file)
    }

    /// The block with this number, `None` if it is not durable.
    fn block(&self, number: usize) -> Result<Option<Block>, ReadError> {
        let (place, path, origin) = {
            let published = self.published.read();
            let Some(place) = published.places.get(number).copied() else {
                return Ok(None);
            };
            let segment = usize::try_from(place.segment).ok().and_then(|segment| published.segments.get(segment));
            let Some(segment) = segment else {
                return Ok(None);
            };
            (place, segment.path.clone(), segment.origin.clone())
        };
        let file = self.file(&path)?;
        let damage = |cause: String| {
            ReadError::Corrupt(Damage { file: path.clone(), offset: u64::from(place.offset), position: place.position, cause })
        };
        let storage = |source: io::Error| ReadError::Storage { path: path.clone(), source };
        let mut head = [0u8; BLOCK_HEADER_BYTES];
        if !read_at(&file, &mut head, u64::from(place.offset)).map_err(storage)? {
            return Err(damage("the file ends inside a header".to_owned()));
        }
        let stored = StoredHeader::decode(&head, &origin).map_err(|error| damage(error.to_string()))?;
        if u64::try_from(number) != Ok(stored.header.number.0) || stored.header.position != place.position {
            return Err(damage(format!("block {} stands where block {number} belongs", stored.header.number)));
        }
        let mut payload = vec![0u8; stored.payload_bytes];
        let behind = u64::from(place.offset) + u64::try_from(BLOCK_HEADER_BYTES).unwrap_or(u64::MAX);
        if !read_at(&file, &mut payload, behind).map_err(storage)? {
            return Err(damage("the file ends inside a block".to_owned()));
        }
        let entries = stored.decode_payload(&payload).map_err(|error| damage(error.to_string()))?;
        Ok(Some(Block { header: stored.header, entries }))
    }

    fn first_from(&self, position: Position) -> usize {
        let published = self.published.read();
        let first_position = |index: usize| published.places.get(index).map_or(Position(u64::MAX), |place| place.position);
        first_block_from(published.places.len(), first_position, published.end.position, position)
    }
}

impl JournalReader for SegmentReader {
    fn durable_end(&self) -> JournalEnd {
        self.published.read().end.clone()
    }

    fn block_at(&self, position: Position) -> Result<Block, ReadError> {
        let number = {
            let published = self.published.read();
            if position >= published.end.position {
                return Err(ReadError::NotDurable { position, end: published.end.position });
            }
            // Blocks without entries come before the one that fills their position.
            published.places.partition_point(|place| place.position <= position).saturating_sub(1)
        };
        self.block(number)?.ok_or_else(|| ReadError::NotDurable { position, end: self.durable_end().position })
    }

    fn entry(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        let block = self.block_at(position)?;
        let found = block.positioned().find(|(at, _)| *at == position).map(|(_, entry)| entry.to_vec());
        found.ok_or_else(|| ReadError::NotDurable { position, end: self.durable_end().position })
    }

    fn blocks_from(&self, position: Position) -> Blocks<'_> {
        let mut next = Some(self.first_from(position));
        Box::new(std::iter::from_fn(move || {
            let number = next?;
            let block = self.block(number).transpose();
            next = match &block {
                Some(Err(_)) => None,
                // Not ended for good: the next call sees what has become durable since.
                None => Some(number),
                Some(Ok(_)) => Some(number + 1),
            };
            block
        }))
    }

    fn find(&self, id: &[u8; 16]) -> Result<Option<Position>, ReadError> {
        let candidates: Vec<Index> = {
            let published = self.published.read();
            let sealed = published.segments.iter().filter_map(|segment| segment.sealed.as_ref());
            sealed.filter(|(_, index)| index.may_hold(id)).map(|(_, index)| index.clone()).collect()
        };
        for index in candidates {
            let file = self.file(&index.path)?;
            let found = index.find(&file, id).map_err(|source| ReadError::Storage { path: index.path.clone(), source })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn indexed_through(&self) -> Position {
        let published = self.published.read();
        published.segments.iter().rev().find_map(|segment| segment.sealed.as_ref()).map_or(Position(0), |(end, _)| *end)
    }
}
