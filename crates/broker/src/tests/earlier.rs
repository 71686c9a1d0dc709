//! An edge that comes back with less receipts than it confirmed gets them again, from the journal, before those that were kept.

use tokio::sync::mpsc;
use truc_core::registry::AgencyIndex;
use truc_journal::memory::MemoryJournal;
use truc_transport::clock;
use truc_types::{EdgeTerm, Reason};

use super::axis::Axis;
use super::engine::{self, Engine};
use crate::earlier::Search;
use crate::sequencer::Command;
use crate::stream::{Earlier, STREAM_ITEMS_MAX, StreamId, StreamItem};

const AGENCY: AgencyIndex = AgencyIndex(0);

/// Opens a delivery stream of agency 0, which has stored receipts up to `feed_cursor`.
fn open(engine: &Engine, feed_cursor: u64) -> (StreamId, mpsc::Receiver<StreamItem>) {
    let (items, reading) = mpsc::channel(STREAM_ITEMS_MAX);
    let id = StreamId(feed_cursor + 1);
    engine.commands.blocking_send(Command::Open { agency: AGENCY, edge_term: EdgeTerm(1), feed_cursor, id, peer: None, items }).unwrap();
    (id, reading)
}

/// The next receipts of a stream: cursors from the journal, then those that were kept.
fn fed(reading: &mut mpsc::Receiver<StreamItem>, engine: &Engine, until: u64) -> Vec<(u64, truc_types::Position)> {
    let mut fed = Vec::new();
    while fed.last().is_none_or(|(cursor, _)| *cursor < until) {
        match reading.blocking_recv().unwrap() {
            StreamItem::Feed { cursor, position } => fed.push((cursor, position)),
            StreamItem::Earlier(earlier) => {
                let mut search = Search::new(&engine.published, earlier).unwrap();
                fed.extend(search.look(&engine.published).unwrap());
                assert!(search.is_done());
            }
            StreamItem::Opened { .. } => {}
            other => panic!("{other:?} in the feed"),
        }
    }
    fed
}

#[test]
fn an_edge_that_lost_confirmed_receipts_gets_every_one_again_without_a_gap() {
    let axis = Axis::new();
    let views = tempfile::tempdir().unwrap();
    let mut journal = MemoryJournal::new();
    axis.begin(&mut journal);
    let mut engine = Engine::start_open(&axis, engine::booted(Box::new(journal), views.path()), || {});
    for number in 1..=5 {
        let id = clock::mint();
        let envelope = axis.envelope(id, number, "văn bản");
        engine.submit(10 * number, 0, envelope.clone());
        engine.accepted(10 * number);
        engine.submit(10 * number + 1, 1, axis.fetched(id, &envelope));
        engine.accepted(10 * number + 1);
    }
    let (id, mut reading) = open(&engine, 0);
    let all = fed(&mut reading, &engine, 5);
    assert_eq!(all.iter().map(|(cursor, _)| *cursor).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    engine.commands.blocking_send(Command::Confirm { agency: AGENCY, id, feed_cursor: 3 }).unwrap();
    engine.wait_until_handled();
    for stored in 0..5 {
        let (_, mut reading) = open(&engine, stored);
        let from = usize::try_from(stored).unwrap();
        assert_eq!(fed(&mut reading, &engine, 5), all[from..], "the edge has stored {stored}");
    }
    let missing = Earlier { agency: AGENCY, after: 5, until: 7 };
    let refused = Search::new(&engine.published, missing).unwrap().look(&engine.published).unwrap_err();
    assert_eq!(refused.reason, Reason::JournalCorrupt);
    engine.end().unwrap();
}
