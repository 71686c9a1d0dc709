//! Opens journal and view of a data folder, and is everybody's way to them: commands to the recorder, reads that wait until what they saw is durable.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_journal::{Journal, JournalReader, ReadError};
use truc_ledger::{Frontier, leaf_hash};
use truc_types::names::EDGE_ORIGIN_PREFIX;
use truc_types::{AgencyCode, Digest, Position, Reason, Refusal, Timestamp};
use truc_views::{Overlay, ViewFormat, ViewStore, Writer};

use crate::error::EdgeError;
use crate::later::Later;
use crate::pace::Pace;
use crate::record::{Record, Recorded};
use crate::recorder::{Command, Decide, Decided, Recorder, Shared, Signals, share_of, state_error};
use crate::state::{Event, META, PEAKS_KEY, ROWS_FORMAT, State, StateError};

/// Memory for the view's cache: 94 edges in one process stay below 200 MB.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;
/// How long what nobody waits for may wait for other things to share a block with: a block costs about as much as what is in it.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same for what somebody looks at, but nothing that follows waits for: on a busy edge another block comes sooner than this.
const PATIENCE_SHORT: Duration = Duration::from_millis(2);
/// Commands that may wait for another block: as many as one takes; one more makes its own.
const LATER_MAX: usize = truc_types::limits::BLOCK_COMMANDS_MAX;
/// The writer of the view is behind everything that somebody waits for: a batch is some tens of milliseconds of work at once.
const VIEW_NICE: i32 = 10;
/// How often the recorder is told that time passes.
const SECOND: Duration = Duration::from_secs(1);
/// Rows after which a replay writes the view.
const REPLAY_ROWS_MAX: usize = 20_000;

/// Journal and state of one edge. Cheap to clone; the recorder ends with [`Store::close`], or when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    reader: Arc<dyn JournalReader>,
    later: Arc<Later>,
    pace: Arc<Pace>,
    commands: mpsc::Sender<Command>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens the folders, replays what the view lacks and starts the recorder. Blocking. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Everything that the journal and the view refuse: nothing is overwritten.
    pub(crate) fn open(journal: &Path, views: &Path, agency: &AgencyCode) -> Result<Self, EdgeError> {
        let (journal, report) = SegmentJournal::open(journal, SegmentOptions::new(Arc::new(|_| None)))?;
        if let Some(dropped) = &report.dropped {
            tracing::warn!(position = %dropped.position, bytes = dropped.bytes, "an unfinished block at the end of the journal was dropped");
        }
        let origin = format!("{EDGE_ORIGIN_PREFIX}{agency}");
        if !report.end.origin.is_empty() && report.end.origin != origin {
            return Err(EdgeError::Config {
                setting: "agency",
                cause: format!("the journal is {}, the edge is {origin}", report.end.origin),
            });
        }
        let reader = journal.reader();
        let format = ViewFormat { name: "edge", format: ROWS_FORMAT, cache_bytes: CACHE_BYTES };
        let (view, opened) = ViewStore::open(views, format, report.end.position)?;
        let view = Arc::new(view);
        let from = opened.replay_from();
        let state = State::new(Arc::new(Overlay::new(Arc::clone(&view))), from);
        let frontier = replay(reader.as_ref(), &view, &state, from, report.end.root)?;
        tracing::info!(agency = %agency, view = ?opened, end = %report.end.position, "journal open");
        let overlay = Arc::clone(state.rows());
        let writer = Writer::start(view, VIEW_NICE, move |position| overlay.written(position))?;
        let shared = Arc::new(Shared {
            state: Arc::new(state),
            durable: watch::Sender::new(report.end.position),
            failed: watch::Sender::new(None),
            signals: Signals::default(),
        });
        let offset = share_of(&origin, SECOND);
        let (later, pace) = (Arc::new(Later::default()), Arc::new(Pace::default()));
        let waiting = (Arc::clone(&later), Arc::clone(&pace));
        let (commands, thread) = Recorder::new(Arc::clone(&shared), Box::new(journal), origin, frontier, writer, waiting).start()?;
        tokio::spawn(tick(commands.downgrade(), offset));
        Ok(Self { shared, reader, later, pace, commands, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Decides on the recorder's thread and records what was decided. The answer comes after it is durable.
    ///
    /// # Errors
    /// What `decide` refuses, or [`Reason::OutcomeUnknown`] if the journal failed: the same call again finds out.
    pub(crate) async fn record<R: Into<Recorded>, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, T), Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.record_then(decide, std::convert::identity).await
    }

    /// As [`Store::record`]; `then` has what was decided once it is durable, whether or not the caller still waits, and makes the answer of it.
    pub(crate) async fn record_then<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
        then: impl FnOnce(D) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (decide, answered) = prepared(decide, then);
        self.commands.send(Command::Decide(decide)).await.map_err(|_| outcome_unknown())?;
        answered.await.unwrap_or_else(|_| Err(outcome_unknown()))
    }

    /// As [`Store::record`], for what nobody waits for: it may be some milliseconds later, in the block of something else.
    pub(crate) async fn record_later<R: Into<Recorded>, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, T), Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.record_within(PATIENCE, decide, std::convert::identity).await
    }

    /// As [`Store::record_then`], for what somebody looks at and nothing waits for: it shares the block of something else if one comes in two milliseconds.
    pub(crate) async fn record_soon<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
        then: impl FnOnce(D) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.record_within(PATIENCE_SHORT, decide, then).await
    }

    /// As [`Store::record_then`], for what the recipient's DMS waits for: where many blocks come, it joins the next one or the one after a pause of some
    /// milliseconds ([`Pace`]). What comes alone does not wait.
    pub(crate) async fn record_paced<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
        then: impl FnOnce(D) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        match self.pace.pause(Instant::now()) {
            Duration::ZERO => self.record_then(decide, then).await,
            pause => self.record_within(pause, decide, then).await,
        }
    }

    /// As [`Store::record_soon`], or later where many blocks come.
    pub(crate) async fn record_soon_paced<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
        &self,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
        then: impl FnOnce(D) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        self.record_within(self.pace.pause(Instant::now()).max(PATIENCE_SHORT), decide, then).await
    }

    async fn record_within<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
        &self,
        patience: Duration,
        decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
        then: impl FnOnce(D) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (decide, answered) = prepared(decide, then);
        match self.later.put(decide, Instant::now() + patience, LATER_MAX) {
            Ok(None) => {}
            // A task of its own: if this caller goes away, the others still get their block.
            Ok(Some(due)) => drop(tokio::spawn(keep_time(self.commands.clone(), Arc::clone(&self.later), due))),
            Err(decide) => self.commands.send(Command::Decide(decide)).await.map_err(|_| outcome_unknown())?,
        }
        answered.await.unwrap_or_else(|_| Err(outcome_unknown()))
    }

    /// Records without a question.
    pub(crate) async fn record_all(&self, records: Vec<Record>) -> Result<(), Refusal> {
        self.record(move |_| Ok((records, ()))).await
    }

    /// Reads a few rows on the thread of the caller; what was read is durable when this returns. Rows that were not just written cost a look into the page
    /// cache: less than handing the work to another thread does. What walks over many rows is for [`Store::search`].
    ///
    /// # Errors
    /// When the view fails, or the journal.
    pub(crate) async fn read<T>(&self, query: impl FnOnce(&State) -> Result<T, StateError>) -> Result<T, Refusal> {
        let value = query(&self.shared.state);
        let begun = self.shared.state.begun();
        self.wait_for(begun).await?;
        value.map_err(refusal_of)
    }

    /// Reads many rows, on a thread for that; what was read is durable when this returns.
    ///
    /// # Errors
    /// When the view fails, or the journal.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        query: impl FnOnce(&State) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let state = Arc::clone(&self.shared.state);
        let work = move || {
            let value = query(&state);
            (value, state.begun())
        };
        let (value, begun) = tokio::task::spawn_blocking(work).await.map_err(|cause| internal(&cause.to_string()))?;
        self.wait_for(begun).await?;
        value.map_err(refusal_of)
    }

    /// Reads a few rows that may not be durable yet: only for a decision of which nothing leaves this process before a later record is durable, or that is
    /// taken again by whoever decides on the recorder's thread.
    pub(crate) fn peek<T>(&self, query: impl FnOnce(&State) -> Result<T, StateError>) -> Result<T, Refusal> {
        query(&self.shared.state).map_err(refusal_of)
    }

    async fn wait_for(&self, begun: Position) -> Result<(), Refusal> {
        if *self.shared.durable.borrow() >= begun {
            return Ok(());
        }
        let mut durable = self.shared.durable.subscribe();
        let mut failed = self.shared.failed.subscribe();
        tokio::select! {
            reached = durable.wait_for(|position| *position >= begun) => reached.map(|_| ()).map_err(|_| outcome_unknown()),
            _ = failed.wait_for(Option::is_some) => Err(outcome_unknown()),
        }
    }

    /// The record at a position.
    ///
    /// # Errors
    /// When the journal cannot be read there.
    pub(crate) async fn record_at(&self, position: Position) -> Result<Record, Refusal> {
        let record = self.at(position, |reader, position| reader.entry(position)).await?;
        Record::parse(&record).map_err(|cause| Refusal::new(Reason::JournalCorrupt, format!("position {position}: {cause}")))
    }

    /// Block time of the record at a position.
    ///
    /// # Errors
    /// When the journal cannot be read there.
    pub(crate) async fn time_at(&self, position: Position) -> Result<Timestamp, Refusal> {
        self.at(position, |reader, position| reader.block_at(position).map(|block| block.header.time)).await
    }

    /// Reads the journal at a position. What stands in the segment that grows is a block in the page cache and is read here and now; an older one may lie
    /// on the disk alone and has to be unpacked, which is for a thread of its own.
    async fn at<T: Send + 'static>(
        &self,
        position: Position,
        read: impl FnOnce(&dyn JournalReader, Position) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let refused = |cause: ReadError| Refusal::new(cause.reason(), cause.to_string());
        if position >= self.reader.indexed_through() {
            return read(self.reader.as_ref(), position).map_err(refused);
        }
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || read(reader.as_ref(), position));
        read.await.map_err(|cause| internal(&cause.to_string()))?.map_err(refused)
    }

    /// The groups to which something was added that has to stand in a receipt, since the last call.
    pub(crate) fn take_touched(&self) -> HashSet<(Event, AgencyCode)> {
        self.shared.state.take_touched()
    }

    /// What changes.
    pub(crate) fn signals(&self) -> &Signals {
        &self.shared.signals
    }

    /// Waits until the recorder has failed.
    pub(crate) async fn failed(&self) -> Arc<EdgeError> {
        let mut failed = self.shared.failed.subscribe();
        // The sender lives in self: it cannot have gone.
        let found = failed.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Arc::new(EdgeError::Serve("the recorder has gone".to_owned())))
    }

    /// Ends the recorder and waits for it: journal closed, view written. Later commands are answered with [`Reason::OutcomeUnknown`].
    pub(crate) async fn close(self) {
        // An error means that it has ended already.
        let _ended = self.commands.send(Command::Close).await;
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && !tokio::task::spawn_blocking(move || thread.join().is_ok()).await.unwrap_or(false)
        {
            tracing::error!("the recorder did not end well");
        }
    }
}

/// A command, and its answer.
fn prepared<R: Into<Recorded>, D: Send + 'static, T: Send + 'static>(
    decide: impl FnOnce(&State) -> Result<(Vec<R>, D), Refusal> + Send + 'static,
    then: impl FnOnce(D) -> T + Send + 'static,
) -> (Decide, oneshot::Receiver<Result<T, Refusal>>) {
    let (answer, answered) = oneshot::channel();
    let decide = move |state: &State| {
        let (records, outcome) = match decide(state) {
            Ok((records, value)) => (records.into_iter().map(Into::into).collect(), Ok(value)),
            Err(refusal) => (Vec::new(), Err(refusal)),
        };
        let settle = Box::new(move |durable: bool| {
            // A caller that went away learns at its next call what happened.
            let _gone = answer.send(if durable { outcome.map(then) } else { Err(outcome_unknown()) });
        });
        Decided { records, settle }
    };
    (Box::new(decide), answered)
}

/// Has what waits decided when its time has come, unless another block took it along.
async fn keep_time(commands: mpsc::Sender<Command>, later: Arc<Later>, due: Instant) {
    tokio::time::sleep_until(due).await;
    if later.is_due(due) && commands.send(Command::DecideLater).await.is_err() {
        // The recorder has ended: nobody else would drop them.
        drop(later.take());
    }
}

/// Tells the recorder every second that a second passed, as long as anybody else uses it.
async fn tick(commands: mpsc::WeakSender<Command>, offset: Duration) {
    tokio::time::sleep(offset).await;
    loop {
        tokio::time::sleep(SECOND).await;
        let Some(commands) = commands.upgrade() else { return };
        if commands.send(Command::Settle).await.is_err() {
            return;
        }
    }
}

/// Applies what the view lacks and checks that all records lead to the root in the journal.
fn replay(reader: &dyn JournalReader, view: &ViewStore, state: &State, from: Position, root: Digest) -> Result<Frontier, EdgeError> {
    let mut frontier = match stored_frontier(state, from)? {
        Some(frontier) => frontier,
        None => hash_up_to(reader, from)?,
    };
    for block in reader.blocks_from(from) {
        let block = block?;
        for (position, entry) in block.positioned().filter(|(position, _)| *position >= from) {
            let record = Record::parse(entry).map_err(|cause| EdgeError::Record { position, cause: cause.to_string() })?;
            frontier.append(leaf_hash(entry));
            state.apply(position, block.header.time, &record).map_err(|cause| state_error(position, cause))?;
        }
        if state.rows().pending_rows() > REPLAY_ROWS_MAX {
            write_view(view, state, &frontier)?;
        }
    }
    if frontier.root() != root {
        return Err(EdgeError::RootMismatch { position: state.applied() });
    }
    write_view(view, state, &frontier)?;
    Ok(frontier)
}

fn write_view(view: &ViewStore, state: &State, frontier: &Frontier) -> Result<(), EdgeError> {
    if !state.has_rows() {
        return Ok(());
    }
    let position = state.applied();
    view.write(state.take_rows(frontier).map_err(|cause| state_error(position, cause))?)?;
    state.rows().written(position);
    Ok(())
}

/// The peaks that the view holds, if they are those of its position.
fn stored_frontier(state: &State, position: Position) -> Result<Option<Frontier>, EdgeError> {
    if position == Position(0) {
        return Ok(Some(Frontier::new()));
    }
    let Some(row) = state.rows().get(META, PEAKS_KEY)? else { return Ok(None) };
    let parsed = row.split_first_chunk::<8>().and_then(|(at, rest)| rest.split_first_chunk::<8>().map(|(size, peaks)| (at, size, peaks)));
    let Some((at, size, peaks)) = parsed else { return Ok(None) };
    if u64::from_be_bytes(*at) != position.0 {
        return Ok(None);
    }
    let peaks = peaks.as_chunks::<32>().0.iter().map(|peak| Digest(*peak)).collect();
    Ok(Frontier::from_peaks(u64::from_be_bytes(*size), peaks).ok())
}

fn hash_up_to(reader: &dyn JournalReader, end: Position) -> Result<Frontier, EdgeError> {
    let mut frontier = Frontier::new();
    for block in reader.blocks_from(Position(0)) {
        let block = block?;
        let before = block.positioned().take_while(|(position, _)| *position < end);
        before.for_each(|(_, entry)| frontier.append(leaf_hash(entry)));
        if block.end().position >= end {
            break;
        }
    }
    Ok(frontier)
}

fn outcome_unknown() -> Refusal {
    Refusal::new(Reason::OutcomeUnknown, "the edge's journal did not answer: whether this was stored is found out by asking again")
}

fn internal(cause: &str) -> Refusal {
    Refusal::new(Reason::OutcomeUnknown, format!("a worker of the edge ended: {cause}"))
}

/// A failed read of the state as a refusal.
pub(crate) fn refusal_of(cause: StateError) -> Refusal {
    match cause {
        StateError::View(cause) => Refusal::new(cause.reason(), cause.to_string()),
        StateError::Inconsistent(cause) => Refusal::new(Reason::JournalCorrupt, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agency, drafted, id};
    use truc_types::MessageId;

    fn open(folder: &Path) -> Result<Store, EdgeError> {
        Store::open(&folder.join("journal"), &folder.join("views"), &agency("H53"))
    }

    async fn draft(store: &Store, number: u8, reference: &'static str) -> Result<MessageId, Refusal> {
        let record = drafted(id(number), reference, &["A80"]);
        let decided = store.record(move |state| match state.reference(reference).map_err(refusal_of)? {
            Some(known) => Ok((Vec::new(), known.message_id)),
            None => Ok((vec![record], id(number))),
        });
        decided.await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_answered_is_there_after_a_restart_and_with_the_views_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        // Together, so that they share a block: the second sees the first.
        let (one, again) = tokio::join!(draft(&store, 1, "HS-1"), draft(&store, 2, "HS-1"));
        assert_eq!((one, again), (Ok(id(1)), Ok(id(1))));
        assert_eq!(draft(&store, 3, "HS-3").await, Ok(id(3)));
        store.close().await;
        for views_gone in [false, true, false] {
            if views_gone {
                std::fs::remove_dir_all(folder.path().join("views")).unwrap();
            }
            let store = open(folder.path()).unwrap();
            assert_eq!(draft(&store, 9, "HS-1").await, Ok(id(1)));
            let open = store.read(|state| state.open_documents(None, 10)).await.unwrap().0;
            assert_eq!(open, [id(1), id(3)]);
            let row = store.read(|state| state.outbox(&id(3))).await.unwrap().unwrap();
            assert!(matches!(store.record_at(row.drafted).await, Ok(Record::Drafted { reference, .. }) if reference == "HS-3"));
            store.close().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_view_that_is_newer_than_the_journal_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        draft(&store, 1, "HS-1").await.unwrap();
        store.close().await;
        std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
        let refused = open(folder.path()).err().unwrap();
        assert_eq!(refused.reason(), Reason::ViewAhead);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_journal_of_another_agency_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        draft(&store, 1, "HS-1").await.unwrap();
        store.close().await;
        let refused = Store::open(&folder.path().join("journal"), &folder.path().join("views"), &agency("A80")).err().unwrap();
        assert!(matches!(refused, EdgeError::Config { setting: "agency", .. }), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_records_nothing_and_a_closed_store_says_that_the_outcome_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        let refused = store.record(|_| Err::<(Vec<Record>, ()), _>(Refusal::new(Reason::RequestInvalid, "no"))).await;
        assert_eq!(refused.unwrap_err().reason, Reason::RequestInvalid);
        assert_eq!(store.read(|state| Ok(state.applied())).await, Ok(Position(0)));
        store.clone().close().await;
        assert_eq!(draft(&store, 1, "HS-1").await.unwrap_err().reason, Reason::OutcomeUnknown);
    }
}
