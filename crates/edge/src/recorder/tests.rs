//! When an edge's view is written. Journal, view and its writer are real; the tests call what the recorder's thread calls.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_types::AgencyCode;
use truc_views::{Overlay, Table, ViewBatch, ViewFormat, ViewStore};

use super::*;
use crate::testing::{agency, drafted, id};

/// The longest that a test waits for the writer: a sync of a slow disk takes a part of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// A table of which the state knows nothing.
const ROWS: Table = Table(200);

#[test]
fn journals_have_different_shares_of_a_time_and_always_the_same() {
    let shares: Vec<Duration> = ["H53", "A80", "G22", "G12"].map(|agency| share_of(agency, VIEW_PAUSE)).into();
    assert!(shares.iter().all(|share| *share < VIEW_PAUSE));
    assert!(shares.iter().enumerate().all(|(index, share)| shares.iter().skip(index + 1).all(|other| other != share)));
    assert_eq!(share_of("H53", VIEW_PAUSE), share_of("H53", VIEW_PAUSE));
}

/// A recorder whose thread is not started. `written` is called when a batch is in the view, before the next one is looked at.
fn recorder(folder: &Path, written: impl Fn() + Send + 'static) -> Recorder {
    let own: AgencyCode = agency("H53");
    let (journal, report) = SegmentJournal::open(&folder.join("journal"), SegmentOptions::new(Arc::new(|_| None))).unwrap();
    let format = ViewFormat { name: "edge", format: 1, cache_bytes: 1 << 20 };
    let (view, _) = ViewStore::open(&folder.join("views"), format, report.end.position).unwrap();
    let view = Arc::new(view);
    let state = State::new(Arc::new(Overlay::new(Arc::clone(&view))), report.end.position);
    let overlay = Arc::clone(state.rows());
    let writer = Writer::start(view, 0, move |position| {
        overlay.written(position);
        written();
    });
    let shared = Arc::new(Shared {
        state: Arc::new(state),
        durable: watch::Sender::new(report.end.position),
        failed: watch::Sender::new(None),
        signals: Signals::default(),
    });
    let waiting = (Arc::new(Later::default()), Arc::new(Pace::default()));
    let made = Recorder::new(shared, Box::new(journal), format!("edge/{own}"), Frontier::default(), writer.unwrap(), waiting);
    // The next row is not due before the test says so.
    Recorder { view_due: Instant::now() + VIEW_STUCK, ..made }
}

impl Recorder {
    /// Records a document, and puts rows beside those that it makes.
    fn take(&mut self, number: u8, rows: usize) {
        let record = drafted(id(number), &format!("reference-{number}"), &["A80"]);
        let decide: Decide = Box::new(move |state| {
            for row in 0..rows {
                state.rows().put(ROWS, &[&[number][..], &row.to_be_bytes()].concat(), vec![1]).unwrap();
            }
            Decided { records: vec![record.into()], settle: Box::new(|durable| assert!(durable)) }
        });
        let mut batch = Batch::default();
        self.decide(decide, &mut batch).unwrap();
        self.commit(&mut batch).unwrap();
    }
}

/// What is called when a batch is written: it says so, and waits for a word.
fn gate() -> (impl Fn() + Send + 'static, Receiver<()>, Sender<()>) {
    let ((say, said), (let_on, wait)) = (channel(), channel());
    let written = move || {
        say.send(()).unwrap();
        // The test has ended: so does the thread.
        let _ended = wait.recv();
    };
    (written, said, let_on)
}

#[test]
fn a_view_is_written_when_rows_are_many_or_old_and_never_two_batches_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (written, is_written, let_on) = gate();
    let mut recorder = recorder(folder.path(), written);
    // Dropped before the recorder, which waits for its writer: a test that fails must end.
    let let_on = let_on;
    recorder.take(1, 10);
    assert!(!recorder.is_view_due(), "some rows, and time left");
    let before = Instant::now();
    recorder.view_due = before;
    assert!(recorder.is_view_due(), "few rows, but old ones");
    recorder.write_view().unwrap();
    is_written.recv_timeout(PATIENCE).unwrap();
    assert!(recorder.view_due >= before + VIEW_PAUSE);
    recorder.view_due += VIEW_STUCK;
    assert!(!recorder.is_view_due());
    recorder.take(2, VIEW_ROWS_MIN);
    assert!(recorder.is_view_due(), "many rows, and what was handed over is in the view");

    // The writer still waits behind its first batch.
    recorder.write_view().unwrap();
    assert!(recorder.writer.reached() < recorder.handed);
    recorder.take(3, VIEW_ROWS_MIN);
    recorder.view_due = Instant::now();
    assert!(!recorder.is_view_due(), "one batch is not written yet");
    assert!(!recorder.is_view_stuck(), "it is not late");
    recorder.view_due = Instant::now().checked_sub(VIEW_STUCK).unwrap();
    assert!(recorder.is_view_stuck() && !recorder.is_view_due());
    recorder.settle().unwrap();
    assert!(!recorder.is_view_stuck(), "it was told of, and will be again in a minute");

    let_on.send(()).unwrap();
    is_written.recv_timeout(PATIENCE).unwrap();
    assert!(recorder.is_view_due() && !recorder.is_view_stuck(), "what came meanwhile is the next batch");
    drop(let_on);
    recorder.write_view().unwrap();
    recorder.writer.wait();
    assert_eq!((recorder.writer.reached(), recorder.shared.state.rows().pending_rows()), (Position(3), 0));
}

#[test]
fn a_view_that_is_broken_is_due_although_its_last_batch_was_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (written, is_written, let_on) = gate();
    let mut recorder = recorder(folder.path(), written);
    let let_on = let_on;
    recorder.take(1, 10);
    recorder.write_view().unwrap();
    is_written.recv_timeout(PATIENCE).unwrap();
    // Behind the first batch comes one that no view takes, and behind it the next one of the recorder.
    recorder.writer.write(ViewBatch { position: Position(0), ops: Vec::new() }).unwrap();
    recorder.take(2, VIEW_ROWS_MIN);
    recorder.write_view().unwrap();
    drop(let_on);
    recorder.writer.wait();
    recorder.take(3, VIEW_ROWS_MIN);
    assert!(recorder.writer.reached() < recorder.handed && recorder.is_view_due());
    assert!(matches!(recorder.write_view(), Err(EdgeError::View(_))), "the edge ends, and its next start rebuilds the view");
}

#[test]
fn the_thread_writes_the_view_when_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let (written, is_written, let_on) = gate();
    let recorder = recorder(folder.path(), written);
    let (commands, thread) = recorder.start().unwrap();
    let decide: Decide = Box::new(|state| {
        (0..VIEW_ROWS_MIN).for_each(|row| state.rows().put(ROWS, &row.to_be_bytes(), vec![1]).unwrap());
        Decided { records: vec![drafted(id(1), "reference", &["A80"]).into()], settle: Box::new(|durable| assert!(durable)) }
    });
    commands.blocking_send(Command::Decide(decide)).unwrap();
    is_written.recv_timeout(PATIENCE).unwrap();
    drop(let_on);
    commands.blocking_send(Command::Close).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_command_for_which_there_is_no_room_waits_until_the_rows_before_it_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = recorder(folder.path(), || ());
    let room = truc_views::OVERLAY_ROWS_MAX - COMMAND_ROWS_MAX;
    recorder.take(1, room);
    let rows = Arc::clone(recorder.shared.state.rows());
    assert!(rows.pending_rows() > room && recorder.writer.reached() == Position(0));
    recorder.take(2, 0);
    assert_eq!(recorder.writer.reached(), Position(1), "all of the first, before the second was decided");
    assert!(rows.has_room(COMMAND_ROWS_MAX, COMMAND_BYTES_MAX) && rows.pending_rows() < 100, "{}", rows.pending_rows());
}
