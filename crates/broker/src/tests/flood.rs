//! An edge that gives credit without end and reads nothing.

use tokio::sync::mpsc;
use truc_core::registry::AgencyIndex;
use truc_journal::memory::MemoryJournal;
use truc_transport::clock;
use truc_types::EdgeTerm;
use truc_types::limits::DELIVERY_CREDIT_MAX;

use super::axis::Axis;
use super::engine::{self, Engine};
use crate::sequencer::Command;
use crate::stream::{STREAM_ITEMS_MAX, StreamId, StreamItem};

#[test]
fn an_edge_that_does_not_read_gets_no_more_than_its_places_and_loses_nothing() {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let mut journal = MemoryJournal::new();
    axis.begin(&mut journal);
    let mut engine = Engine::start_open(&axis, engine::booted(Box::new(journal), views.path()), || {});
    let documents = STREAM_ITEMS_MAX as u64 + 20;
    for seq in 1..=documents {
        engine.submit(seq, 0, axis.envelope(clock::mint(), seq, "văn bản"));
    }
    for seq in 1..=documents {
        engine.accepted(seq);
    }
    let (agency, id) = (AgencyIndex(1), StreamId(1));
    let (items, mut reading) = mpsc::channel(STREAM_ITEMS_MAX);
    let watched = items.clone();
    engine.commands.blocking_send(Command::Open { agency, edge_term: EdgeTerm(1), feed_cursor: 0, id, peer: None, items }).unwrap();
    for _ in 0..documents {
        engine.commands.blocking_send(Command::Credit { agency, id, deliveries: DELIVERY_CREDIT_MAX }).unwrap();
    }
    engine.wait_until_handled();
    assert_eq!(watched.capacity(), 0, "every place is taken, one of them by the reason of the end");
    assert!(matches!(reading.blocking_recv(), Some(StreamItem::Opened { waiting }) if waiting == documents));
    for expected in 1..=documents {
        match reading.blocking_recv() {
            Some(StreamItem::Delivery(item)) => assert_eq!((item.queue_position.0, item.attempt), (expected, 1)),
            other => panic!("{other:?} instead of delivery {expected}"),
        }
    }
    engine
        .commands
        .blocking_send(Command::Open { agency, edge_term: EdgeTerm(1), feed_cursor: 0, id: StreamId(2), peer: None, items: watched })
        .unwrap();
    assert!(matches!(reading.blocking_recv(), Some(StreamItem::Closed(_))), "a second stream ends the first, which is told");
    engine.end().unwrap();
}
