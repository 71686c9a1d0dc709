//! Commands that race for one id or number, and that no answer leaves before what it rests on is durable.

use truc_journal::memory::MemoryJournal;
use truc_transport::clock;
use truc_types::Reason;

use super::axis::Axis;
use super::engine::{self, Engine};
use super::gate::{Keeper, gate};

/// An engine whose next block waits at the gate with document 1 of request 10 in it.
fn held(axis: &Axis, views: &tempfile::TempDir) -> (Engine, Keeper) {
    let mut journal = MemoryJournal::new();
    axis.begin(&mut journal);
    let (gate, keeper) = gate(journal);
    let booted = engine::booted(Box::new(gate), views.path());
    let engine = Engine::start_open(axis, booted, || {
        keeper.wait_for_block();
        keeper.pass_one();
    });
    engine.submit(10, 0, axis.envelope(clock::mint(), 1, "thứ nhất"));
    keeper.wait_for_block();
    (engine, keeper)
}

#[test]
fn of_two_statements_with_one_id_or_number_in_one_block_the_first_is_taken() {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let (mut engine, mut keeper) = held(&axis, &views);
    let id = clock::mint();
    let first = axis.envelope(id, 2, "một");
    engine.submit(11, 0, first.clone());
    engine.submit(12, 0, axis.envelope(id, 3, "hai"));
    engine.submit(13, 0, axis.envelope(clock::mint(), 2, "ba"));
    engine.submit(14, 0, first.clone());
    engine.wait_until_handled();
    keeper.pass_all();
    engine.accepted(10);
    let accepted = engine.accepted(11);
    engine::check(&accepted, &first);
    assert_eq!(engine.refused(12), Reason::MessageIdConflict);
    assert_eq!(engine.refused(13), Reason::SequenceReused);
    let repeated = engine.accepted(14);
    engine::check(&repeated, &first);
    assert_eq!(repeated.statement.leaf_index, accepted.statement.leaf_index);
    engine.end().unwrap();
}

#[test]
fn no_answer_leaves_before_the_block_it_rests_on_is_durable() {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let (mut engine, mut keeper) = held(&axis, &views);
    let before = engine.published.checkpoint();
    // Refused because of document 1, which is not durable; without a fact of its own, as it may be sent again.
    engine.submit(11, 0, axis.envelope(clock::mint(), 9_999, "ngoài cửa sổ"));
    engine.submit(12, 0, axis.envelope(clock::mint(), 1, "trùng số"));
    engine.wait_until_handled();
    assert!(!engine.has_answer(), "neither the acceptance nor the refusals");
    assert_eq!(engine.published.checkpoint().note, before.note);
    keeper.pass_one();
    keeper.wait_for_block();
    engine.accepted(10);
    engine.wait_until_handled();
    assert!(!engine.has_answer(), "the refusals leave with the block that logs the second of them");
    keeper.pass_all();
    assert_eq!(engine.refused(11), Reason::SequenceOutsideWindow);
    assert_eq!(engine.refused(12), Reason::SequenceReused);
    engine.end().unwrap();
}

#[test]
fn an_end_answers_what_was_sent_before_it_and_leaves_nobody_waiting() {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let (mut engine, mut keeper) = held(&axis, &views);
    engine.submit(11, 0, axis.envelope(clock::mint(), 2, "hai"));
    // Somebody holds a way to the sequencer, like a connection that does not end.
    let held_open = engine.commands.clone();
    keeper.pass_all();
    engine.accepted(10);
    engine.accepted(11);
    engine.end().unwrap();
    assert!(held_open.is_closed());
}
