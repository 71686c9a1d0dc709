//! The disk fails: it is unknown whether a block is durable. What is answered, how the engine ends, what the next start finds.

use truc_journal::Journal as _;
use truc_journal::memory::{Fault, MemoryJournal};
use truc_transport::clock;
use truc_types::{BlockNumber, Reason};

use super::axis::Axis;
use super::engine::{self, Engine};
use super::gate::gate;

/// Document 1 in a block that fails; behind it, undurable, a repetition of it, a refusal that rests on it, and document 2.
fn fail(fault: Fault) {
    let (axis, views) = (Axis::new(), tempfile::tempdir().unwrap());
    let mut journal = MemoryJournal::new();
    axis.begin(&mut journal);
    let number = journal.end().number;
    journal.fail_append(BlockNumber(number.0 + 2), fault);
    let (gate, mut keeper) = gate(journal);
    let mut engine = Engine::start_open(&axis, engine::booted(Box::new(gate), &views.path().join("1")), || {
        keeper.wait_for_block();
        keeper.pass_one();
    });
    let id = clock::mint();
    let [first, conflict] = ["một", "khác"].map(|subject| axis.envelope(id, 1, subject));
    let second = axis.envelope(clock::mint(), 2, "hai");
    let before = engine.published.checkpoint().note;
    engine.submit(10, 0, first.clone());
    keeper.wait_for_block();
    for (request, file) in [(11, &first), (12, &conflict), (13, &second)] {
        engine.submit(request, 0, file.clone());
    }
    engine.wait_until_handled();
    keeper.pass_all();
    for request in 10..=13 {
        assert_eq!(engine.refused(request), Reason::OutcomeUnknown, "{fault:?}: request {request}");
    }
    assert_eq!(engine.published.checkpoint().note, before, "{fault:?}: nothing of it is published");
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(engine.endings.begun());
    assert_eq!(engine.endings.panicked(), None);
    assert_eq!(engine.end().unwrap_err().reason, Reason::JournalStorage, "{fault:?}: the process ends with the fault of the disk");

    let journal = keeper.journal.lock().take().unwrap().reopen();
    let found = journal.end().number.0 - number.0;
    assert_eq!(found, if fault == Fault::Persisted { 3 } else { 2 });
    let mut engine = Engine::start(engine::booted(Box::new(journal), &views.path().join("2")));
    for (request, file) in [(10, &first), (13, &second)] {
        engine.submit(request, 0, file.clone());
        let acceptance = engine.accepted(request);
        engine::check(&acceptance, file);
        assert!(acceptance.fact.is_some());
    }
    engine.submit(12, 0, conflict);
    assert_eq!(engine.refused(12), Reason::MessageIdConflict);
    engine.end().unwrap();
}

#[test]
fn a_block_that_was_written_all_the_same_is_found_and_its_documents_are_accepted_once() {
    fail(Fault::Persisted);
}

#[test]
fn a_block_that_was_not_written_leaves_no_trace_and_its_documents_are_accepted_anew() {
    fail(Fault::NotPersisted);
}
