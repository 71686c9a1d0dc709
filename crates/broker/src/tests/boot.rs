//! Starts: from views that are current, older or undecodable. The state is always that of the journal, and the checkpoint the same bytes.

use std::fs;
use std::path::Path;

use truc_core::{Entry, State};
use truc_journal::JournalReader;
use truc_journal::segment::{SegmentJournal, SegmentOptions};
use truc_transport::clock;
use truc_types::{MessageId, Position};
use truc_views::{Table, ViewBatch, ViewStore};

use super::axis::{self, Axis};
use super::engine::{self, Engine};
use crate::boot::{Booted, boot};
use crate::glance::key_of;
use crate::replay::replay;
use crate::rows;

fn begin(axis: &Axis, data: &Path) {
    let options = SegmentOptions::new(std::sync::Arc::new(key_of));
    let (mut journal, _) = SegmentJournal::open(&data.join("journal"), options).unwrap();
    axis.begin(&mut journal);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Sends a document and ends.
fn send(mut engine: Engine, axis: &Axis, seq: u64) -> (MessageId, std::sync::Arc<str>) {
    let id = clock::mint();
    engine.submit(seq, 0, axis.envelope(id, seq, "văn bản"));
    engine.accepted(seq);
    let note = engine.published.checkpoint().note;
    engine.end().unwrap();
    (id, note)
}

/// Boots and compares with a replay of all entries.
fn booted(data: &Path, ids: &[MessageId]) -> Booted {
    let booted = boot(data, &axis::signer()).unwrap();
    let (replayed, _) = replay(booted.journal.reader().as_ref(), State::default(), None).unwrap();
    assert!(booted.state.facts_equal(&replayed));
    for id in ids {
        assert_eq!(booted.state.known(id), replayed.known(id), "{id}");
        assert!(booted.state.known(id).is_some());
    }
    booted
}

#[test]
fn a_start_from_older_views_equals_a_replay_and_signs_the_same_checkpoint() {
    let (axis, data) = (Axis::new(), tempfile::tempdir().unwrap());
    begin(&axis, data.path());
    let (views, older) = (data.path().join("views"), data.path().join("older"));
    let engine = Engine::start_open(&axis, boot(data.path(), &axis::signer()).unwrap(), || {});
    let (first, note) = send(engine, &axis, 1);
    let restarted = booted(data.path(), &[first]);
    assert_eq!(restarted.published.checkpoint().note, note, "signing again gives the same bytes");
    drop(restarted);
    copy(&views, &older);
    let (second, note) = send(Engine::start(booted(data.path(), &[first])), &axis, 2);
    fs::remove_dir_all(&views).unwrap();
    fs::rename(&older, &views).unwrap();
    let restarted = booted(data.path(), &[first, second]);
    assert_eq!(restarted.state.open_messages(), 2);
    assert_eq!(restarted.published.checkpoint().note, note);
}

#[test]
fn views_with_a_row_that_does_not_decode_are_deleted_whole() {
    let (axis, data) = (Axis::new(), tempfile::tempdir().unwrap());
    begin(&axis, data.path());
    let engine = Engine::start_open(&axis, boot(data.path(), &axis::signer()).unwrap(), || {});
    let (first, _) = send(engine, &axis, 1);
    let restarted = booted(data.path(), &[first]);
    let position = restarted.views.position();
    assert_eq!(position, restarted.state.next(), "an end writes all rows");
    drop(restarted);
    let (views, _) = ViewStore::open(&data.path().join("views"), rows::FORMAT, position).unwrap();
    // The rows of an open message that is in no journal, and one that is no row.
    let op = |table, key: &[u8], value: &[u8]| (Table(table), key.to_vec(), Some(value.to_vec()));
    views.write(ViewBatch { position, ops: vec![op(1, &[7; 16], b"no row")] }).unwrap();
    drop(views);
    let restarted = booted(data.path(), &[first]);
    assert_eq!(restarted.views.position().0, 0);
    assert_eq!(restarted.views.get(Table(1), &[7; 16]).unwrap(), None);
    send(Engine::start(restarted), &axis, 2);
    assert_eq!(booted(data.path(), &[first]).state.open_messages(), 2);
}

/// The state of all entries, each read by the strict reader and applied whole.
fn strictly(reader: &dyn JournalReader) -> State {
    let (mut state, mut effects) = (State::default(), Vec::new());
    for block in reader.blocks_from(Position(0)) {
        for (position, bytes) in block.unwrap().positioned() {
            state.apply(position, &Entry::parse(bytes.clone()).unwrap(), &mut effects).unwrap();
        }
    }
    state
}

/// Waits until the journal has no sealed segment that is not packed; so many are.
fn packed(journal: &Path) -> usize {
    for _ in 0..60_000 {
        let names: Vec<_> = fs::read_dir(journal).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok()).collect();
        let count = |suffix| names.iter().filter(|name| name.ends_with(suffix)).count();
        if count(".seg") <= 1 {
            return count(".bundles");
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("segments are not packed")
}

#[test]
fn views_that_are_rebuilt_from_packed_segments_have_what_the_strict_reader_gives() {
    const DOCUMENTS: u64 = 160;
    let (axis, data) = (Axis::new(), tempfile::tempdir().unwrap());
    let (folder, views) = (data.path().join("journal"), data.path().join("views"));
    let options = SegmentOptions { segment_bytes_max: 64 * 1024, ..SegmentOptions::new(std::sync::Arc::new(key_of)) };
    let (mut journal, _) = SegmentJournal::open(&folder, options).unwrap();
    axis.begin(&mut journal);
    let mut engine = Engine::start_open(&axis, engine::booted(Box::new(journal), &views), || {});
    let mut ids = Vec::new();
    for seq in 1..=DOCUMENTS {
        let id = clock::mint();
        let envelope = axis.envelope(id, seq, "văn bản \"đi\"");
        engine.submit(2 * seq, 0, envelope.clone());
        engine.accepted(2 * seq);
        if !seq.is_multiple_of(3) {
            engine.submit(2 * seq + 1, 1, axis.fetched(id, &envelope));
            engine.accepted(2 * seq + 1);
        }
        ids.push(id);
    }
    assert!(packed(&folder) > 0);
    engine.end().unwrap();
    fs::remove_dir_all(&views).unwrap();
    let rebuilt = booted(data.path(), &ids);
    let reader = rebuilt.journal.reader();
    let packed_through = Position(reader.chunk_roots().unwrap().len() as u64 * 256);
    assert!(packed_through.0 > 0 && reader.indexed_through() >= packed_through, "some entries are read in brief");
    assert!(rebuilt.state.facts_equal(&strictly(reader.as_ref())));
    // What is written of it is what the next start reads.
    send(Engine::start(rebuilt), &axis, DOCUMENTS + 1);
    let restarted = booted(data.path(), &ids);
    assert_eq!(restarted.views.position(), restarted.state.next());
    assert!(restarted.state.facts_equal(&strictly(restarted.journal.reader().as_ref())));
}
