//! The recorder: one thread that decides, appends and answers, in this order. It owns the journal; everybody else has a [`Store`](crate::store::Store).
//!
//! Commands that arrive while a block is being synced share the next one (group commit). A command sees the effect of those before it, and its answer
//! leaves only after its block is durable; an error rests on the same state and waits as well. A block whose outcome is unknown ends the process.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use truc_journal::{Block, BlockHeader, BlockKind, Journal};
use truc_ledger::{Frontier, leaf_hash};
use truc_signing::sha256;
use truc_transport::clock;
use truc_types::limits::{BLOCK_BYTES_MAX, BLOCK_COMMANDS_MAX, BLOCK_ENTRIES_MAX};
use truc_types::{LeafIndex, Position, Timestamp};
use truc_views::Writer;

use crate::error::EdgeError;
use crate::later::Later;
use crate::pace::Pace;
use crate::record::{Record, Recorded};
use crate::state::{State, StateError};

/// Commands that wait for the recorder; more callers wait in line.
const QUEUE_MAX: usize = 1_024;
/// Rows after which the view is written: some seconds of a busy edge. A row that changes twice in between is written once, one that came and went never.
const VIEW_ROWS_MIN: usize = 4_000;
/// The longest that fewer rows wait; what the view lacks is read from the journal again after a crash.
const VIEW_PAUSE: Duration = Duration::from_secs(5);
/// A batch that is not written so long after the next one was due is told of, and again each time.
const VIEW_STUCK: Duration = Duration::from_secs(60);
/// Room that one command may need in the overlay: seven receipts of 100 items, each with at most 30 rows of the catalogue.
const COMMAND_ROWS_MAX: usize = 25_000;
/// The same in bytes: 100 outbox rows of 64 KiB.
const COMMAND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a command becomes: records, and what is told to its caller once they are durable (`true`) or never known to be (`false`).
pub(crate) struct Decided {
    pub(crate) records: Vec<Recorded>,
    pub(crate) settle: Box<dyn FnOnce(bool) + Send>,
}

/// A command: looks at the state, with the effect of all commands before it.
pub(crate) type Decide = Box<dyn FnOnce(&State) -> Decided + Send>;

/// What the recorder is told.
pub(crate) enum Command {
    /// Decide and record.
    Decide(Decide),
    /// Decide and record what is in [`Later`].
    DecideLater,
    /// A second passed: bring the journal's mark up to date, and the view if it is time.
    Settle,
    /// Nothing comes after this.
    Close,
}

/// Counts of changes by what is interested in them; readers wait for the next one.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Documents became visible to the DMS.
    pub(crate) arrivals: watch::Sender<u64>,
    /// The status of a document that was sent changed.
    pub(crate) statuses: watch::Sender<u64>,
    /// The DMS handed a document in.
    pub(crate) outbox: watch::Sender<u64>,
    /// Something has to stand in a receipt: told when it is decided, because the receipt's own block comes behind it.
    pub(crate) receipts: watch::Sender<u64>,
    /// Something happened to a document.
    pub(crate) events: watch::Sender<u64>,
}

impl Signals {
    /// Wakes each reader once, however many records of the block are his.
    fn tell(&self, records: &[Record], arrivals: bool) {
        let (mut outbox, mut statuses) = (false, false);
        for record in records {
            match record {
                Record::Drafted { .. } => outbox = true,
                Record::Sealed { .. } | Record::Accepted { .. } | Record::RefusedByAxis { .. } | Record::FeedReceipt { .. } => {
                    statuses = true;
                }
                Record::ReceiptLogged { .. }
                | Record::ReceiptReturned { .. }
                | Record::TermOpening { .. }
                | Record::TermOpened { .. }
                | Record::ArrivedEnvelope { .. }
                | Record::Arrived { .. }
                | Record::Answered { .. }
                | Record::ReceiptSealed { .. }
                | Record::Confirmed { .. }
                | Record::CheckpointSeen { .. }
                | Record::Declined { .. }
                | Record::WatchWritten { .. }
                | Record::RegistryEntry { .. } => {}
            }
        }
        let told = [(outbox, &self.outbox), (statuses, &self.statuses), (arrivals, &self.arrivals), (!records.is_empty(), &self.events)];
        told.into_iter().filter(|(changed, _)| *changed).for_each(|(_, signal)| bump(signal));
    }
}

fn bump(signal: &watch::Sender<u64>) {
    signal.send_modify(|count| *count = count.wrapping_add(1));
}

/// What the thread shares with everybody.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Arc<State>,
    pub(crate) durable: watch::Sender<Position>,
    pub(crate) failed: watch::Sender<Option<Arc<EdgeError>>>,
    pub(crate) signals: Signals,
}

/// The thread's own things.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    journal: Box<dyn Journal>,
    origin: String,
    frontier: Frontier,
    writer: Writer,
    later: Arc<Later>,
    pace: Arc<Pace>,
    /// Up to where the view's writer has the rows.
    handed: Position,
    /// When it gets the next ones at the latest.
    view_due: Instant,
}

/// Commands that were decided and not appended yet.
#[derive(Default)]
struct Batch {
    /// Time of the block: that of its first command, never before that of the block before.
    time: Option<Timestamp>,
    records: Vec<Record>,
    entries: Vec<Arc<[u8]>>,
    bytes: usize,
    settles: Vec<Box<dyn FnOnce(bool) + Send>>,
}

impl Recorder {
    pub(crate) fn new(
        shared: Arc<Shared>,
        journal: Box<dyn Journal>,
        origin: String,
        frontier: Frontier,
        writer: Writer,
        (later, pace): (Arc<Later>, Arc<Pace>),
    ) -> Self {
        let (handed, view_due) = (writer.reached(), Instant::now() + share_of(&origin, VIEW_PAUSE));
        Self { shared, journal, origin, frontier, writer, later, pace, handed, view_due }
    }

    /// Starts the thread; it ends when the last sender is gone, or when the journal fails.
    pub(crate) fn start(self) -> Result<(mpsc::Sender<Command>, JoinHandle<()>), EdgeError> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let thread =
            thread::Builder::new().name("edge-recorder".to_owned()).spawn(move || self.run(receiver)).map_err(EdgeError::Thread)?;
        Ok((sender, thread))
    }

    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let recorded = self.record_all(&mut commands);
        // Nothing comes in any more, and what waits is dropped: its callers learn that the outcome is unknown.
        drop(commands);
        drop(self.later.take());
        if let Err(cause) = recorded {
            tracing::error!(reason = %cause.reason(), %cause, "the journal stopped: the edge ends");
            self.shared.failed.send_replace(Some(Arc::new(cause)));
            // Callers in the queue learn by their dropped answers that the outcome is unknown.
            return;
        }
        if let Err(cause) = self.journal.close() {
            tracing::error!(%cause, "closing the journal failed");
        }
        self.writer.close();
    }

    fn record_all(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<(), EdgeError> {
        let mut open = true;
        while open && let Some(first) = commands.blocking_recv() {
            let mut batch = Batch::default();
            self.decide_later(&mut batch)?;
            let mut next = Some(first);
            while let Some(command) = next.take() {
                match command {
                    Command::Decide(decide) => self.decide(decide, &mut batch)?,
                    Command::DecideLater => self.decide_later(&mut batch)?,
                    Command::Settle => self.settle()?,
                    Command::Close => open = false,
                }
                if open && batch.settles.len() < BLOCK_COMMANDS_MAX {
                    next = commands.try_recv().ok();
                }
            }
            self.commit(&mut batch)?;
            if self.is_view_due() {
                self.write_view()?;
            }
        }
        self.write_view()
    }

    fn decide_later(&mut self, batch: &mut Batch) -> Result<(), EdgeError> {
        self.later.take().into_iter().try_for_each(|decide| self.decide(decide, batch))
    }

    fn decide(&mut self, decide: Decide, batch: &mut Batch) -> Result<(), EdgeError> {
        let shared = Arc::clone(&self.shared);
        if !shared.state.rows().has_room(COMMAND_ROWS_MAX, COMMAND_BYTES_MAX) {
            self.commit(batch)?;
            self.write_view()?;
            self.writer.wait();
        }
        let decided = decide(&shared.state);
        let unfit = |cause: String| EdgeError::Record { position: shared.state.applied(), cause };
        let mut entries: Vec<Arc<[u8]>> = Vec::with_capacity(decided.records.len());
        for Recorded { record, .. } in &decided.records {
            entries.push(record.to_bytes().map_err(|cause| unfit(cause.to_string()))?.into());
        }
        let bytes = entries.iter().map(|entry| entry.len()).sum::<usize>();
        if batch.bytes + bytes > BLOCK_BYTES_MAX || batch.entries.len() + entries.len() > BLOCK_ENTRIES_MAX {
            self.commit(batch)?;
        }
        let time = *batch.time.get_or_insert_with(|| clock::now().max(self.journal.end().time));
        for Recorded { record, inside } in decided.records {
            let position = shared.state.applied();
            shared.state.apply_read(position, time, &record, inside).map_err(|cause| state_error(position, cause))?;
            batch.records.push(record);
        }
        if shared.state.is_touched() {
            bump(&shared.signals.receipts);
        }
        batch.bytes += bytes;
        batch.entries.extend(entries);
        batch.settles.push(decided.settle);
        Ok(())
    }

    /// Appends what was decided, and answers. A crash before the append leaves nothing; after it, callers that were not answered ask again.
    fn commit(&mut self, batch: &mut Batch) -> Result<(), EdgeError> {
        let batch = std::mem::take(batch);
        if !batch.entries.is_empty()
            && let Err(cause) = self.append(batch.entries, batch.time.unwrap_or_default())
        {
            batch.settles.into_iter().for_each(|settle| settle(false));
            return Err(cause);
        }
        self.shared.durable.send_replace(self.journal.end().position);
        batch.settles.into_iter().for_each(|settle| settle(true));
        self.shared.signals.tell(&batch.records, self.shared.state.take_shown());
        Ok(())
    }

    fn append(&mut self, entries: Vec<Arc<[u8]>>, time: Timestamp) -> Result<(), EdgeError> {
        let end = self.journal.end();
        let mut frontier = self.frontier.clone();
        entries.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        let header = BlockHeader {
            kind: BlockKind::Entries,
            number: end.number,
            position: end.position,
            leaf: LeafIndex(end.tree_size),
            origin: self.origin.clone(),
            term: end.term,
            time,
            tree_size: frontier.size(),
            root: frontier.root(),
        };
        self.journal.append(Block { header, entries })?;
        self.pace.block(Instant::now());
        self.frontier = frontier;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), EdgeError> {
        if self.is_view_stuck() {
            tracing::error!(position = %self.handed, reached = %self.writer.reached(), "the view is not written any more: is the disk stuck?");
            self.view_due = Instant::now();
        }
        Ok(self.journal.settle()?)
    }

    /// Whether the writer has a batch that it should have written long ago.
    fn is_view_stuck(&self) -> bool {
        self.writer.reached() < self.handed && Instant::now() >= self.view_due + VIEW_STUCK
    }

    /// Whether there is enough for the view's writer, and it is not at work: what comes meanwhile is one batch. One that is broken has to say so.
    fn is_view_due(&self) -> bool {
        let is_waiting = self.shared.state.rows().pending_rows() >= VIEW_ROWS_MIN || Instant::now() >= self.view_due;
        is_waiting && (self.writer.reached() >= self.handed || self.writer.broken().is_some())
    }

    /// Hands the rows to the view's writer. Only called between blocks: what is pending is durable in the journal then.
    fn write_view(&mut self) -> Result<(), EdgeError> {
        let durable = self.journal.end().position;
        if self.shared.state.applied() != durable {
            return Ok(());
        }
        self.view_due = Instant::now() + VIEW_PAUSE;
        if !self.shared.state.has_rows() {
            return Ok(());
        }
        let batch = self.shared.state.take_rows(&self.frontier).map_err(|cause| state_error(durable, cause))?;
        self.handed = batch.position;
        self.writer.write(batch).map_err(|cause| {
            // The journal has everything: the next start rebuilds the view.
            let why = self.writer.broken().unwrap_or_default();
            tracing::error!(%why, "the view cannot be written");
            EdgeError::View(cause)
        })
    }
}

/// A share of a time that is another one for each journal: what edges of one process do from time to time, they do not all do at once.
pub(crate) fn share_of(origin: &str, time: Duration) -> Duration {
    let [high, low, ..] = sha256(origin.as_bytes()).0;
    time * u32::from(u16::from_be_bytes([high, low])) / (1 << 16)
}

/// What went wrong with the state at a position.
pub(crate) fn state_error(position: Position, cause: StateError) -> EdgeError {
    match cause {
        StateError::View(cause) => EdgeError::View(cause),
        StateError::Inconsistent(cause) => EdgeError::Record { position, cause },
    }
}

#[cfg(test)]
mod tests;
