//! Reading durable blocks, from any number of threads, with positioned reads; and the shared state behind it.
//!
//! Knows only what has been published: the writer adds a block here after its sync and never before. A segment may be packed while it is read: who
//! finds its file gone looks again.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use truc_ledger::store::CHUNK_LEAVES;
use truc_ledger::{Frontier, leaf_hash};
use truc_types::{BlockNumber, Digest, Position};

use super::bundle::wide;
use super::disk::Disk;
use super::format::{BLOCK_HEADER_BYTES, SegmentHeader, StoredHeader};
use super::index::Index;
use super::unpack::{Bundle, Bundled, UnpackError};
use super::walk::read_at;
use crate::block::{Block, JournalEnd};
use crate::contract::{Blocks, Damage, JournalReader, ReadError};

/// Files that readers keep open: the busy tail, replays and look-ups, far below any limit on descriptors.
const OPEN_FILES_MAX: usize = 32;
/// Unpacked bundles that readers keep: one per replay or proof under way.
const BUNDLES_MAX: usize = 8;
/// Their bytes: a bundle of common entries has 0.4 MB, one of the longest possible 17 MB; one is always kept.
const BUNDLES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often a read is begun anew because the file went: a segment is packed once.
const READS_MAX: u32 = 3;

/// Where a block of a plain segment is: 8 bytes in memory. Its number is its index.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPlace {
    /// Position of its first entry, counted from that of the segment. A segment has less than 4 GiB, an entry more than a byte.
    pub(super) position: u32,
    /// Segments are far below 4 GiB.
    pub(super) offset: u32,
}

/// What readers keep of a segment in memory.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// The place of each block: the segment that grows, and those that wait to be packed.
    Plain(Vec<BlockPlace>),
    /// Header and footer; the rows stay in the file.
    Bundled(Arc<Bundled>),
}

/// A segment as readers need it.
#[derive(Debug)]
pub(super) struct SegmentInfo {
    pub(super) path: PathBuf,
    pub(super) header: Arc<SegmentHeader>,
    pub(super) form: Form,
    /// Position behind its last entry and its index; `None` for the one that grows.
    pub(super) sealed: Option<(Position, Index)>,
}

/// What is durable.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) segments: Vec<SegmentInfo>,
    pub(super) end: JournalEnd,
}

/// The reading side of a folder of segment files.
pub(super) struct SegmentReader {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) published: Arc<RwLock<Published>>,
    files: Mutex<VecDeque<(PathBuf, Arc<File>)>>,
    bundles: Mutex<VecDeque<(BlockNumber, Arc<Bundle>)>>,
}

/// A segment to read from, as it was published a moment ago.
struct Source {
    path: PathBuf,
    header: Arc<SegmentHeader>,
    /// Position and number behind its last block, as far as published.
    end: (Position, BlockNumber),
    kind: SourceKind,
}

enum SourceKind {
    /// The place of the block that is wanted.
    Plain(BlockPlace),
    Bundled(Arc<Bundled>),
}

impl SegmentInfo {
    pub(super) fn plain(path: PathBuf, header: SegmentHeader) -> Self {
        Self { path, header: Arc::new(header), form: Form::Plain(Vec::new()), sealed: None }
    }

    /// Publishes a block of the growing segment.
    pub(super) fn push(&mut self, position: Position, offset: u64) -> io::Result<()> {
        let Form::Plain(places) = &mut self.form else { return Err(io::Error::other("a bundled segment does not grow")) };
        let position = u32::try_from(position.0.saturating_sub(self.header.position.0)).map_err(io::Error::other)?;
        places.push(BlockPlace { position, offset: u32::try_from(offset).map_err(io::Error::other)? });
        Ok(())
    }

    /// Number of the first block at or behind a position among the places of a plain segment.
    fn first_place_at(&self, places: &[BlockPlace], position: Position) -> BlockNumber {
        let below = places.partition_point(|place| self.header.position.plus(u64::from(place.position)) < position);
        self.header.number.plus(wide(below))
    }
}

impl Published {
    /// Position and number at which a segment ends.
    fn end_of(&self, index: usize) -> (Position, BlockNumber) {
        let next = self.segments.get(index + 1).map(|next| (next.header.position, next.header.number));
        next.unwrap_or((self.end.position, self.end.number))
    }

    /// The segment of a block, if the block is durable.
    fn source(&self, number: BlockNumber) -> Option<Source> {
        let index = self.segments.partition_point(|segment| segment.header.number <= number).checked_sub(1)?;
        let segment = self.segments.get(index)?;
        let kind = match &segment.form {
            Form::Plain(places) => SourceKind::Plain(*places.get(usize::try_from(number.0 - segment.header.number.0).ok()?)?),
            Form::Bundled(bundled) => SourceKind::Bundled(bundled.clone()),
        };
        let source = Source { path: segment.path.clone(), header: segment.header.clone(), end: self.end_of(index), kind };
        (number < source.end.1).then_some(source)
    }
}

impl Source {
    fn damage(&self, offset: u64, position: Position, cause: String) -> ReadError {
        ReadError::Corrupt(Damage { file: self.path.clone(), offset, position, cause })
    }

    fn storage(&self, source: io::Error) -> ReadError {
        ReadError::Storage { path: self.path.clone(), source }
    }

    fn unpacked<T>(&self, position: Position, read: Result<T, UnpackError>) -> Result<T, ReadError> {
        read.map_err(|error| match error {
            UnpackError::Storage(source) => self.storage(source),
            UnpackError::Wrong { offset, cause } => self.damage(offset, position, cause.to_string()),
        })
    }
}

impl SegmentReader {
    pub(super) fn new(disk: Arc<dyn Disk>, published: Published) -> Self {
        Self { disk, published: Arc::new(RwLock::new(published)), files: Mutex::default(), bundles: Mutex::default() }
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

    /// A file that is no more: its descriptor would keep its bytes on the disk.
    pub(super) fn close(&self, path: &Path) {
        self.files.lock().retain(|(open, _)| open != path);
    }

    /// The bundle of a segment with the entry at a position, from those that are unpacked if it is among them.
    fn bundle(&self, file: &File, bundled: &Bundled, position: Position) -> Result<Arc<Bundle>, UnpackError> {
        let segment = bundled.header.number;
        let mut bundles = self.bundles.lock();
        if let Some(at) = bundles.iter().position(|(of, bundle)| *of == segment && bundle.entry(position).is_some())
            && let Some(found) = bundles.remove(at)
        {
            let bundle = found.1.clone();
            bundles.push_front(found);
            return Ok(bundle);
        }
        drop(bundles);
        let (_, row) = bundled.bundle_of(file, position)?;
        let bundle = Arc::new(Bundled::unpack(file, &row)?);
        let mut bundles = self.bundles.lock();
        bundles.push_front((segment, bundle.clone()));
        bundles.truncate(BUNDLES_MAX);
        while bundles.len() > 1 && bundles.iter().map(|(_, bundle)| bundle.size()).sum::<usize>() > BUNDLES_BYTES_MAX {
            bundles.pop_back();
        }
        Ok(bundle)
    }

    /// Reads; once more if the file went because its segment was packed.
    fn read<T>(&self, mut attempt: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
        let mut reads = 1;
        loop {
            match attempt() {
                Err(ReadError::Storage { source, .. }) if source.kind() == io::ErrorKind::NotFound && reads < READS_MAX => reads += 1,
                read => return read,
            }
        }
    }

    /// The block with this number, `None` if it is not durable.
    fn block(&self, number: BlockNumber) -> Result<Option<Block>, ReadError> {
        self.read(|| {
            let Some(source) = self.published.read().source(number) else { return Ok(None) };
            let file = self.file(&source.path)?;
            match &source.kind {
                SourceKind::Plain(place) => read_plain(&source, &file, number, *place).map(Some),
                SourceKind::Bundled(bundled) => {
                    let block = bundled.block(&file, number, |position| self.bundle(&file, bundled, position));
                    source.unpacked(source.header.position, block).map(Some)
                }
            }
        })
    }

    /// Number of the block from which an iteration at `position` starts: the first that holds the position or lies behind it.
    fn first_from(&self, position: Position) -> Result<BlockNumber, ReadError> {
        self.read(|| {
            let (first, source) = {
                let published = self.published.read();
                // The last segment that begins before the position; blocks without entries at its end may lie at the position.
                let index = published.segments.partition_point(|segment| segment.header.position < position).saturating_sub(1);
                let Some(segment) = published.segments.get(index) else { return Ok(published.end.number) };
                match &segment.form {
                    Form::Plain(places) => (segment.first_place_at(places, position), None),
                    Form::Bundled(_) => (segment.header.number, published.source(segment.header.number)),
                }
            };
            let first = match &source {
                Some(source) => match &source.kind {
                    SourceKind::Bundled(bundled) => {
                        let file = self.file(&source.path)?;
                        source.unpacked(position, bundled.first_block_at(&file, position))?
                    }
                    SourceKind::Plain(_) => first,
                },
                None => first,
            };
            // The block before reaches past the position where its successor begins after it.
            let Some(before) = first.0.checked_sub(1).map(BlockNumber) else { return Ok(first) };
            Ok(if self.position_of(first)? > position { before } else { first })
        })
    }

    /// Position of a block; the journal's end behind the last one.
    fn position_of(&self, number: BlockNumber) -> Result<Position, ReadError> {
        let (source, end) = {
            let published = self.published.read();
            (published.source(number), published.end.position)
        };
        let Some(source) = source else { return Ok(end) };
        match &source.kind {
            SourceKind::Plain(place) => Ok(source.header.position.plus(u64::from(place.position))),
            SourceKind::Bundled(bundled) => {
                let file = self.file(&source.path)?;
                Ok(source.unpacked(source.header.position, bundled.header_of(&file, number))?.position)
            }
        }
    }

    /// The segments of the current shard that are bundled, as far as no plain one lies before them.
    fn bundled_of_shard(&self) -> Vec<(PathBuf, Arc<Bundled>)> {
        let published = self.published.read();
        let first = published.segments.iter().rposition(|segment| segment.header.leaf.0 == 0).unwrap_or(published.segments.len());
        let bundled = published.segments.iter().skip(first).map_while(|segment| match &segment.form {
            Form::Bundled(bundled) => Some((segment.path.clone(), bundled.clone())),
            Form::Plain(_) => None,
        });
        bundled.collect()
    }
}

fn read_plain(source: &Source, file: &File, number: BlockNumber, place: BlockPlace) -> Result<Block, ReadError> {
    let position = source.header.position.plus(u64::from(place.position));
    let damage = |cause: String| source.damage(u64::from(place.offset), position, cause);
    let mut head = [0u8; BLOCK_HEADER_BYTES];
    if !read_at(file, &mut head, u64::from(place.offset)).map_err(|error| source.storage(error))? {
        return Err(damage("the file ends inside a header".to_owned()));
    }
    let stored = StoredHeader::decode(&head, &source.header.origin).map_err(|error| damage(error.to_string()))?;
    if number != stored.header.number || stored.header.position != position {
        return Err(damage(format!("block {} stands where block {number} belongs", stored.header.number)));
    }
    let mut payload = vec![0u8; stored.payload_bytes];
    let behind = u64::from(place.offset) + wide(BLOCK_HEADER_BYTES);
    if !read_at(file, &mut payload, behind).map_err(|error| source.storage(error))? {
        return Err(damage("the file ends inside a block".to_owned()));
    }
    let entries = stored.decode_payload(&payload).map_err(|error| damage(error.to_string()))?;
    Ok(Block { header: stored.header, entries })
}

impl JournalReader for SegmentReader {
    fn durable_end(&self) -> JournalEnd {
        self.published.read().end.clone()
    }

    fn block_at(&self, position: Position) -> Result<Block, ReadError> {
        let not_durable = || ReadError::NotDurable { position, end: self.durable_end().position };
        if position >= self.durable_end().position {
            return Err(not_durable());
        }
        // `first_from` names the block itself where it reaches past the next position, and the one behind it otherwise. Blocks without entries come
        // before the one that fills their position.
        let mut number = self.first_from(position.next())?;
        while number >= self.durable_end().number || self.read(|| self.position_of(number))? > position {
            number = BlockNumber(number.0.checked_sub(1).ok_or_else(not_durable)?);
        }
        self.block(number)?.ok_or_else(not_durable)
    }

    fn entry(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        let bundled = self.read(|| {
            let source = {
                let published = self.published.read();
                let index = published.segments.partition_point(|segment| segment.header.position <= position).checked_sub(1);
                let segment = index.and_then(|index| published.segments.get(index)).map(|segment| segment.header.number);
                segment.filter(|_| position < published.end.position).and_then(|number| published.source(number))
            };
            let Some((source, SourceKind::Bundled(bundled))) = source.as_ref().map(|source| (source, &source.kind)) else {
                return Ok(None);
            };
            let file = self.file(&source.path)?;
            // One bundle, whatever block the entry came in.
            let bundle = source.unpacked(position, self.bundle(&file, bundled, position))?;
            Ok(bundle.entry(position).map(<[u8]>::to_vec))
        })?;
        if let Some(entry) = bundled {
            return Ok(entry);
        }
        let block = self.block_at(position)?;
        let found = block.positioned().find(|(at, _)| *at == position).map(|(_, entry)| entry.to_vec());
        found.ok_or_else(|| ReadError::NotDurable { position, end: self.durable_end().position })
    }

    fn blocks_from(&self, position: Position) -> Blocks<'_> {
        let mut next = None;
        let mut ended = false;
        Box::new(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let number = match next {
                Some(number) => Ok(number),
                None => self.first_from(position),
            };
            let block = number.and_then(|number| {
                next = Some(number);
                self.block(number)
            });
            match &block {
                Err(_) => ended = true,
                // Not ended for good: the next call sees what has become durable since.
                Ok(None) => {}
                Ok(Some(block)) => next = Some(block.header.number.next()),
            }
            block.transpose()
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

    fn chunk_roots(&self) -> Result<Vec<Digest>, ReadError> {
        let mut roots = Vec::new();
        // Leaves of a chunk that is divided between segments.
        let mut divided = Frontier::new();
        for (path, bundled) in self.bundled_of_shard() {
            let source = Source {
                header: Arc::new(bundled.header.clone()),
                end: (bundled.footer.end.position, bundled.footer.end.number),
                kind: SourceKind::Bundled(bundled.clone()),
                path,
            };
            let file = self.file(&source.path)?;
            let mut position = source.header.position;
            for index in 0..bundled.footer.bundles {
                let row = source.unpacked(position, bundled.bundle_row(&file, index))?;
                let leaf = source.header.leaf.0.saturating_add(position.0 - source.header.position.0);
                if row.position != position || leaf != wide(roots.len()) * CHUNK_LEAVES + divided.size() {
                    return Err(source.damage(row.offset, position, "a bundle stands where another belongs".to_owned()));
                }
                position = row.end();
                if u64::from(row.entries) == CHUNK_LEAVES && divided.size() == 0 {
                    roots.push(row.root);
                    continue;
                }
                let bundle = source.unpacked(row.position, Bundled::unpack(&file, &row))?;
                bundle.entries().for_each(|entry| divided.append(leaf_hash(entry)));
                if divided.size() == CHUNK_LEAVES {
                    roots.push(std::mem::replace(&mut divided, Frontier::new()).root());
                }
            }
        }
        Ok(roots)
    }
}
